package loadtest_test

import (
	"context"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/loadtest"
	"keyflow/reports"
)

// TestRunKeepsEvidence of wrong and failed answers: the exchange, bounded in number and size, without the bodies of licenses.
func TestRunKeepsEvidence(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	huge := strings.Repeat("h", 60<<10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "id-of-the-service")
		switch n.Add(1) % 3 {
		case 0:
			body(http.StatusBadGateway, "text/plain", "the upstream is not there\nat all")(w, r)
		case 1:
			w.Header().Set("X-Huge", huge)
			body(http.StatusOK, "application/octet-stream", "license of somebody else")(w, r)
		default:
			answer(w, r)
		}
	})
	c := config(t, s.URL, "300/s", 300*time.Millisecond)
	var mu sync.Mutex
	kept := map[string]string{}
	c.Evidence = func(e loadtest.Evidence) {
		mu.Lock()
		defer mu.Unlock()
		if kept[e.Name] != "" {
			t.Errorf("%s is given twice", e.Name)
		}
		kept[e.Name] = e.Text
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Wrong != 30 || a.Failed["http-502"] != 30 || a.Verified != 30 || len(kept) != 6 {
		t.Fatalf("got %+v, %d transcripts", a, len(kept))
	}
	for _, sample := range load.Samples {
		text := kept[strings.TrimPrefix(sample.Transcript, reports.TranscriptDir+"/")]
		want := []string{"> POST " + s.URL, "> Content-Type: application/octet-stream", "> body: 8 bytes, fingerprint"}
		switch sample.Class {
		case "http-502":
			want = append(want, "< HTTP/1.1 502 Bad Gateway after", "< X-Request-Id: id-of-the-service", ": the upstream is not there at all\n", "= http-502: expected")
		case "wrong-request":
			want = append(want, "< HTTP/1.1 200 OK after", "< X-Huge: hhh")
			if !strings.HasSuffix(text, "…\n") {
				t.Error("a huge answer is not cut")
			}
		default:
			t.Errorf("got a sample of %s", sample.Class)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("the transcript of %s does not have %q:\n%.400s", sample.Class, w, text)
			}
		}
		if strings.Contains(text, "somebody else") || len(text) > 17<<10 {
			t.Errorf("the transcript of %s has %d bytes or the license", sample.Class, len(text))
		}
	}
}

// TestRunKeepsNoEvidence where nobody wants it, and of no answer what did not come.
func TestRunKeepsNoEvidence(t *testing.T) {
	t.Parallel()
	s := serve(t, raw("", false))
	for _, wanted := range []bool{false, true} {
		c := config(t, s.URL, "100/s", 100*time.Millisecond)
		var mu sync.Mutex
		var texts []string
		if wanted {
			c.Evidence = func(e loadtest.Evidence) {
				mu.Lock()
				defer mu.Unlock()
				texts = append(texts, e.Text)
			}
		}
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range load.Samples {
			if (sample.Transcript != "") != wanted {
				t.Errorf("wanted: %v, got %+v", wanted, sample)
			}
		}
		if wanted && (len(texts) != 3 || !strings.Contains(texts[0], "< no whole answer after")) {
			t.Errorf("got %q", texts)
		}
	}
}

// stamped dates the tickets of a source.
func stamped(mint loadtest.Source, at time.Time) loadtest.Source {
	return func(ctx context.Context) (loadtest.Fresh, error) {
		fresh, err := mint(ctx)
		fresh.Message.Ticket.Minted = at
		return fresh, err
	}
}

// rights is a judge whose license has rights that follow from the number of the request.
func rights(of func(n uint64) drm.Verdict) loadtest.Judge {
	return func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		v := of(binary.BigEndian.Uint64(m.Body))
		v.Depth, v.KIDs, v.Findings = d, []drm.KID{kidA}, judge(m, answer, d).Findings
		if d == drm.DepthFull {
			v.Keys = map[drm.KID]drm.Fingerprint{kidA: "a"}
		}
		return v
	}
}

// TestRunJudgesRights of licenses that are signed rightly, at any depth.
func TestRunJudgesRights(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	minted := time.Unix(1_700_000_000, 0)
	play := drm.Policy{CanPlay: true}
	some, err := loadtest.ParseVerify("0.0001%")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of    func(n uint64) drm.Verdict
		class drm.Reason
		wrong int64
	}{
		"alike": {of: func(n uint64) drm.Verdict {
			return drm.Verdict{Policy: drm.Policy{CanPlay: true, License: time.Duration(1+n) * time.Second}, Asked: drm.Streaming, Type: drm.Streaming}
		}},
		"another type": {of: func(uint64) drm.Verdict {
			return drm.Verdict{Policy: play, Asked: drm.Streaming, Type: drm.Offline}
		}, class: loadtest.ReasonLicenseType, wrong: 10},
		"the server decides": {of: func(uint64) drm.Verdict {
			return drm.Verdict{Policy: play, Asked: drm.Automatic, Type: drm.Offline}
		}},
		"expired": {of: func(uint64) drm.Verdict {
			return drm.Verdict{Policy: drm.Policy{CanPlay: true, License: time.Hour}, Start: minted.Add(-2 * time.Hour)}
		}, class: loadtest.ReasonExpired, wrong: 10},
		"not expired": {of: func(uint64) drm.Verdict {
			return drm.Verdict{Policy: drm.Policy{CanPlay: true, License: time.Hour}, Start: minted.Add(-time.Hour)}
		}},
		"one of ten differs": {of: func(n uint64) drm.Verdict {
			return drm.Verdict{Policy: drm.Policy{CanPlay: true, CanPersist: n == 7}}
		}, class: loadtest.ReasonPolicyClass, wrong: 1},
	} {
		for _, verify := range []loadtest.Verify{loadtest.VerifyAll, some} {
			t.Run(name+" "+verify.String(), func(t *testing.T) {
				t.Parallel()
				cfg := config(t, s.URL, "100/s", 100*time.Millisecond)
				cfg.Workers, cfg.Verify, cfg.Judge = 1, verify, rights(c.of)
				mint := cfg.Shares[0].Source
				cfg.Shares[0].Source = stamped(mint, minted)
				load, err := loadtest.Run(bounded(t), cfg)
				if err != nil {
					t.Fatal(err)
				}
				checkBalance(t, load)
				if a := load.Accounting; a.Wrong != c.wrong || a.WrongBy[string(c.class)] != c.wrong {
					t.Errorf("got %+v, want %d wrong by %q", a, c.wrong, c.class)
				}
			})
		}
	}
}

// TestRunTellsWhatASampleSays of the answers outside it.
func TestRunTellsWhatASampleSays(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	for text, want := range map[string]reports.Verification{
		"all":  {Sampled: 100},
		"none": {Others: 100, AtMost: 1, Confidence: 0.95},
	} {
		c := config(t, s.URL, "500/s", 200*time.Millisecond)
		var err error
		if c.Verify, err = loadtest.ParseVerify(text); err != nil {
			t.Fatal(err)
		}
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		if load.Verification == nil || *load.Verification != want {
			t.Errorf("%s: got %+v, want %+v", text, load.Verification, want)
		}
	}
	c := config(t, s.URL, "500/s", 200*time.Millisecond)
	c.Verify = 500_000
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	v := load.Verification
	if v == nil || v.Sampled+v.Others != 100 || v.Sampled != load.Accounting.Verified || v.AtMost <= 0 || v.AtMost > 3/float64(v.Sampled) {
		t.Errorf("got %+v", v)
	}
}
