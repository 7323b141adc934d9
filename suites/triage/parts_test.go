package triage_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/reports"
	"keyflow/suites/matrix"
	"keyflow/suites/triage"
)

// TestBrowserWords: what a browser says where it got no answer, as far as it tells one reason from another.
func TestBrowserWords(t *testing.T) {
	t.Parallel()
	target := widevineTarget(t)
	p := newPlayer(t, target)
	_, q := p.message(drm.KindLicense)
	for word, want := range map[string]string{
		"net::ERR_NAME_NOT_RESOLVED":       "network dns",
		"NS_ERROR_UNKNOWN_HOST":            "network dns",
		"net::ERR_CERT_DATE_INVALID":       "network tls",
		"SSL_ERROR_BAD_CERT_DOMAIN":        "network tls",
		"net::ERR_CONNECTION_REFUSED":      "network connection-refused",
		"net::ERR_TIMED_OUT":               "network timeout",
		"net::ERR_BLOCKED_BY_CLIENT":       "network blocked",
		"net::ERR_ABORTED":                 "network aborted",
		"net::ERR_FAILED":                  "preflight answer-withheld",
		"":                                 "network no-answer",
		"token=secret-in-a-browser-s-word": "network no-answer",
	} {
		b := newBrowser(t, target)
		header := q.Header.Clone()
		header.Set("Origin", page)
		b.record(time.Now(), q, header, 0, nil, nil, word)
		got := read(t, b.archive(), triage.Options{})
		cause := got.Sessions[0].Cause
		if cause == nil || cause.Step+" "+cause.Reason != want || cause.Hint == "" || strings.Contains(cause.Seen, "secret") {
			t.Errorf("%q: want %s, have %+v", word, want, cause)
		}
	}
}

// TestTokenTimes: the times of tokens are compared with the time of the request, wherever they stand, and nothing else of them is told.
func TestTokenTimes(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	claims := func(format string, at time.Time) string {
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"HS256"}`)) + "." + enc(fmt.Appendf(nil, format, at.Unix())) + "." + enc([]byte("signature"))
	}
	target := widevineTarget(t)
	for name, c := range map[string]struct{ query, header, want, seen string }{
		"expired in a header":  {"", "Bearer " + claims(`{"exp":%d,"sub":"canary"}`, now.Add(-12*time.Second)), "code token-expired", "header Authorization expired 12s"},
		"expired in the query": {"?t=" + claims(`{"exp":%d}`, now.Add(-time.Hour)), "", "code token-expired", "query parameter t expired 1h0m"},
		"not yet":              {"", claims(`{"nbf":%d}`, now.Add(time.Hour)), "code token-not-yet-valid", "(nbf)"},
		"from the future":      {"", claims(`{"iat":%d}`, now.Add(time.Minute)), "code token-from-the-future", "(iat)"},
		"good":                 {"", claims(`{"exp":%d}`, now.Add(time.Hour)), "status http-status", "HTTP 403"},
		"no token":             {"", "Bearer abc", "status http-status", "HTTP 403"},
		"not JSON":             {"", "eyJhbGci.eyJx.x", "status http-status", "HTTP 403"},
		"no number":            {"", claims(`{"exp":"soon %d"}`, now), "status http-status", "HTTP 403"},
	} {
		p := newPlayer(t, target)
		m, err := p.session.Request(t.Context(), drm.KindLicense)
		if err != nil {
			t.Fatal(err)
		}
		q := target.Profile.Build(p.lease, m, provider.At{Now: now})
		header := q.Header.Clone()
		header.Set("Authorization", c.header)
		q.URL += c.query
		p.record(now, q, header, http.StatusForbidden, http.Header{"Content-Type": {"text/plain"}}, []byte("canary"), "")
		got := read(t, p.archive(), triage.Options{})
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		cause := got.Sessions[0].Cause
		if cause == nil || cause.Step+" "+cause.Reason != c.want || !strings.Contains(cause.Seen, c.seen) || bytes.Contains(text, []byte("canary")) || bytes.Contains(text, []byte("eyJ")) {
			t.Errorf("%s: want %s, have %+v: %s", name, c.want, cause, text)
		}
	}
}

// TestSessions: two acquisitions and what belongs to each, with a page beside them that nobody asked a license for.
func TestSessions(t *testing.T) {
	t.Parallel()
	wv := newPlayer(t, renewable(t)).asks(drm.KindCertificate).asks(drm.KindLicense)
	wv.later(time.Minute)
	wv.asks(drm.KindRenewal)
	pr := licensed(t, playReadyTarget(t, "cors-preflight-404"))
	wv.entries = append(wv.entries, pr.entries...)
	got := read(t, wv.archive(), triage.Options{Judges: map[drm.System]drm.Judge{drm.Widevine: widevine.NewOnlooker(nil)}})
	if len(got.Sessions) != 2 {
		t.Fatalf("%+v", got)
	}
	// The times of the second are those of the first minute again, so that it may come first.
	for _, s := range got.Sessions {
		var kinds []string
		for _, x := range s.Exchanges {
			kinds = append(kinds, x.Kind)
		}
		switch s.System {
		case "widevine":
			if strings.Join(kinds, " ") != "certificate license renewal" || s.Cause != nil || s.Exchanges[1].Preflight == nil || s.Page != page || len(s.KIDs) != 1 {
				t.Errorf("%+v", s)
			}
		default:
			if strings.Join(kinds, " ") != "license" || s.Cause == nil {
				t.Errorf("%+v", s)
			}
		}
	}
	if first := got.First(); first == nil || first.System != "playready" || got.Verdict().State != reports.Failed || got.Others != 1 {
		t.Errorf("%+v, %+v", first, got.Verdict())
	}
}

// TestLostBodies: what the archive does not hold leaves the verdict open, and is no failure.
func TestLostBodies(t *testing.T) {
	t.Parallel()
	good := licensed(t, widevineTarget(t)).archive()
	var doc struct {
		Log struct {
			Entries []struct {
				Started  string                     `json:"startedDateTime"`
				Request  map[string]json.RawMessage `json:"request"`
				Response struct {
					Status  int               `json:"status"`
					Headers []json.RawMessage `json:"headers"`
					Content map[string]any    `json:"content"`
				} `json:"response"`
			} `json:"entries"`
		} `json:"log"`
	}
	if err := json.Unmarshal(good, &doc); err != nil {
		t.Fatal(err)
	}
	for i := range doc.Log.Entries {
		delete(doc.Log.Entries[i].Response.Content, "text")
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, text, triage.Options{})
	if got.Exit() != reports.ExitIncomplete || len(got.NotShown()) == 0 || got.Sessions[0].Cause != nil || got.Verdict().State != reports.Incomplete {
		t.Errorf("%+v", got)
	}
}

// TestReplay sends captured requests once more, and judges the structure of what comes.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults []string
		want   string
	}{
		"good": {nil, ""}, "constant request id": {[]string{"wv-request-id-constant"}, "keys request-id"},
		"page": {[]string{"html-200"}, "edge html-answer"}, "redirected": {[]string{"redirect-307"}, "redirect redirect"}, "reset": {[]string{"connection-reset"}, "network connection-reset"},
	} {
		fake, target := matrix.Start(t, "cenc-1key", c.faults...)
		p := newPlayer(t, target)
		m, err := p.session.Request(t.Context(), drm.KindLicense)
		if err != nil {
			t.Fatal(err)
		}
		captured, err := widevine.Capture(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		s := triage.Replay{
			Name: "one.bin", Request: captured, Target: target, Need: p.ask.Need, Judge: widevine.NewOnlooker(fake.Authority().RootKey()),
		}.Send(t.Context())
		have := ""
		if s.Cause != nil {
			have = s.Cause.Step + " " + s.Cause.Reason
		}
		if have != c.want || len(s.Exchanges) != 1 || s.Exchanges[0].Entry != nil {
			t.Errorf("%s: want %q, have %+v", name, c.want, s)
		}
	}
}

// TestDoubleBase64: a request that was refused may be so for how it was sent.
func TestDoubleBase64(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, widevineTarget(t))
	m, err := p.session.Request(t.Context(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.StdEncoding.EncodeToString
	m.Body = []byte(enc([]byte(enc(m.Body))))
	p.post(p.target.Profile.Build(p.lease, m, provider.At{Now: time.Now()}))
	cause := read(t, p.archive(), triage.Options{}).Sessions[0].Cause
	if cause == nil || cause.Step != triage.StepStatus || !strings.Contains(cause.Seen, "sent in base64, base64") || !strings.Contains(cause.Hint, "twice") {
		t.Errorf("%+v", cause)
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.har")
	recorded, err2 := filepath.Glob("testdata/*/*.har")
	if err != nil || err2 != nil || len(files) == 0 || len(recorded) == 0 {
		f.Fatalf("%v, %v", files, recorded)
	}
	files = append(files, recorded...)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := triage.Read(bytes.NewReader(text), triage.Options{Judges: map[drm.System]drm.Judge{drm.Widevine: widevine.NewOnlooker(nil)}})
		if r == nil || r.Triage == nil || err != nil && r.Triage.Problem == "" {
			t.Fatalf("%v, %v", r, err)
		}
		for _, s := range r.Triage.Sessions {
			if len(s.Exchanges) == 0 {
				t.Errorf("a session without exchanges: %+v", s)
			}
			for _, x := range s.Exchanges {
				failures := 0
				for _, step := range x.Steps {
					if step.Outcome == reports.TriageFailed {
						failures++
					}
				}
				// The renewal's own failure is told beside the first of the exchange only where all else is ok.
				if failures > 1 || failures == 1 && s.Cause == nil {
					t.Errorf("%d failures, cause %v", failures, s.Cause)
				}
			}
		}
	})
}
