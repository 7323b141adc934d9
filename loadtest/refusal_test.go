package loadtest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/loadtest"
	"keyflow/reports"
)

// badConfig is a run of 3 good requests to 1 bad one, which begins with a letter of its own.
func badConfig(t testing.TB, url string) loadtest.Config {
	t.Helper()
	c := config(t, url, "200/s", 200*time.Millisecond)
	good, bad := c.Shares[0], c.Shares[0]
	good.Weight, good.Kind = 3, drm.KindLicense
	bad.Bad, bad.Kind = true, drm.KindLicense
	n := uint64(0)
	mint := make(chan uint64, 1)
	mint <- n
	bad.Source = func(context.Context) (loadtest.Fresh, error) {
		n := <-mint + 1
		mint <- n
		return loadtest.Fresh{Message: drm.Message{Kind: drm.KindLicense, Body: binary.BigEndian.AppendUint64([]byte("x"), n)}}, nil
	}
	c.Shares = []loadtest.Share{good, bad}
	return c
}

// answerBad answers good requests right, after the waits, and bad ones with the handler.
func answerBad(bad http.HandlerFunc, waits ...func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		if bytes.HasPrefix(b, []byte("x")) {
			bad(w, r)
			return
		}
		for _, wait := range waits {
			wait()
		}
		answer(w, r)
	}
}

// TestRunBad has servers that answer bad requests in every way: a refusal that the profile recognises is right, a license is
// wrong, and anything else is the failure that it would be of a good request.
func TestRunBad(t *testing.T) {
	t.Parallel()
	const binaryType = "application/octet-stream"
	soapFault := `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode>` +
		`<faultstring>refused</faultstring><detail><Exception><StatusCode>0x8004C600</StatusCode></Exception></detail></soap:Fault></soap:Body></soap:Envelope>`
	for name, c := range map[string]struct {
		bad    http.HandlerFunc
		system drm.System // "": Widevine
		errors string     // of the profile, YAML; "": none
		failed string     // class; "" and no reason: refused
		wrong  drm.Reason
	}{
		"403":                            {bad: body(403, "text/plain", "the signature is wrong")},
		"429 says nothing":               {bad: body(429, "text/plain", "slow down"), failed: "http-429"},
		"500":                            {bad: body(500, "text/plain", "oops"), failed: "http-500"},
		"500 of PlayReady with a fault":  {bad: body(500, "text/xml", soapFault), system: drm.PlayReady},
		"500 of PlayReady without":       {bad: body(500, "text/xml", "<a/>"), system: drm.PlayReady, failed: "http-500"},
		"HTML":                           {bad: body(403, "text/html", "<!DOCTYPE html><title>Login</title>"), failed: loadtest.ClassEdgeHTML},
		"empty":                          {bad: body(200, binaryType, ""), failed: loadtest.ClassEmpty},
		"in band":                        {bad: body(200, binaryType, "error in band")},
		"license":                        {bad: answer, wrong: loadtest.ReasonBadGranted},
		"neither":                        {bad: body(200, binaryType, "neither"), wrong: "wrong-request"},
		"known refusal":                  {bad: body(400, "text/plain", "code -4001"), errors: `{when: {body: "-4001"}, class: device_rejected}`},
		"known refusal of a server":      {bad: body(500, "text/plain", "code -4001"), errors: `{when: {body: "-4001"}, class: device_rejected}`},
		"unknown to the profile":         {bad: body(400, "text/plain", "code -1"), errors: `{when: {body: "-4001"}, class: device_rejected}`, failed: "http-400"},
		"too busy, as the profile knows": {bad: body(403, "text/plain", "code -7"), errors: `{when: {body: "-7"}, class: rate_limited}`, failed: "http-403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answerBad(c.bad))
			config := badConfig(t, s.URL)
			if c.errors != "" {
				p, err := provider.Parse("test", []byte("profile: 1\nid: test\ndrm: widevine\nrequest: {url: \""+s.URL+"\", content_type: application/octet-stream}\nerrors: ["+c.errors+"]\n"))
				if err != nil {
					t.Fatal(err)
				}
				config.Shares[0].Profile, config.Shares[1].Profile = p, p
			}
			if c.system != "" {
				config.Shares[1].Profile = profile(s.URL)
				config.Shares[1].Profile.DRM = c.system
			}
			config.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
				if strings.HasPrefix(string(answer), "error") {
					return drm.Verdict{Findings: []drm.Finding{{Reason: widevine.ReasonLicenseError, Fatal: true}}}
				}
				return judge(m, answer, d)
			}
			load, err := loadtest.Run(bounded(t), config)
			if err != nil {
				t.Fatal(err)
			}
			checkBalance(t, load)
			if !load.Balanced() || load.Shares[0].Accounting.Verified != 30 {
				t.Errorf("the good share is %+v", load.Shares[0].Accounting)
			}
			got := load.Shares[1].Accounting
			want := reports.Accounting{Answered: 10, Verified: 10}
			switch {
			case c.failed != "":
				want = reports.Accounting{Failed: map[string]int64{c.failed: 10}}
			case c.wrong != "":
				want = reports.Accounting{Answered: 10, Wrong: 10, WrongBy: map[string]int64{string(c.wrong): 10}}
			}
			if got.Answered != want.Answered || got.Verified != want.Verified || got.Wrong != want.Wrong || sum(got.Failed) != sum(want.Failed) ||
				got.Failed[c.failed] != want.Failed[c.failed] || got.WrongBy[string(c.wrong)] != want.WrongBy[string(c.wrong)] {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestRunBadLatency refuses at once and grants slowly: no percentile of licenses, no second and no objective counts the refusals.
func TestRunBadLatency(t *testing.T) {
	t.Parallel()
	const slow = 40 * time.Millisecond
	s := serve(t, answerBad(body(403, "text/plain", "no"), func() { <-time.After(slow) }))
	c := badConfig(t, s.URL)
	c.Shares[0].Weight, c.Shares[1].Weight = 1, 9
	for _, text := range []string{"p50<40ms", "p50<40ms each 1s", "license.p50<40ms", "license-bad.p50<40ms", "license-bad.errors==0"} {
		slo, err := loadtest.ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		c.SLOs = append(c.SLOs, slo)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	names := make([]string, len(load.Operations))
	for i, op := range load.Operations {
		names[i] = op.Name
		if op.Bad != (op.Name == "license-bad") {
			t.Errorf("%s: bad is %v", op.Name, op.Bad)
		}
	}
	if !slices.Equal(names, []string{"license", "license-bad"}) {
		t.Fatalf("got operations %v", names)
	}
	if good := load.Operations[0].Latency; good.Count != 4 || good.Min < slow.Microseconds() {
		t.Errorf("licenses have latencies %+v", good)
	}
	for i, slo := range load.SLOs {
		if kept := i > 2; slo.Kept != kept {
			t.Errorf("kept, which should be %v: %+v", kept, slo)
		}
	}
	if second := load.Seconds[0]; second.P50 < slow.Microseconds() {
		t.Errorf("the second has a median of %d µs", second.P50)
	}
}

// TestRunBadSample judges bad answers whatever the sample is, and refuses a run that judges none.
func TestRunBadSample(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := badConfig(t, s.URL)
	c.Verify = loadtest.VerifyNone - 1
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := load.Shares[1].Accounting; got.Wrong != 10 || !load.Balanced() {
		t.Errorf("got %+v, want all wrong", got)
	}
	c.Verify = loadtest.VerifyNone
	if _, err := loadtest.Run(bounded(t), c); err == nil || !strings.Contains(err.Error(), "nobody would notice") {
		t.Errorf("bad requests without verification: %v", err)
	}
}
