package suites_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// profile is a plain profile with more keys.
func profile(t *testing.T, tgt *suites.Target, address, more string) *provider.Profile {
	t.Helper()
	p, err := provider.Parse("test", []byte("profile: 1\nid: plain-widevine-test\ndrm: widevine\nrequest: {method: POST, url: \""+address+"\", content_type: application/octet-stream, headers: {X-Mode: a}}\nresponse: {ok_status: [200]}\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Bind(provider.Environment{Vault: tgt.Vault, HTTP: tgt.Client, Clock: tgt.Clock, Budget: provider.NewBudget(0)}); err != nil {
		t.Fatal(err)
	}
	return p
}

// behind puts something in front of a fake, and returns a target that reaches the fake through it.
func behind(t *testing.T, more string, front func(w http.ResponseWriter, r *http.Request, fake http.Handler)) *suites.Target {
	t.Helper()
	tgt, fake := target(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { front(w, r, fake.Handler()) }))
	t.Cleanup(server.Close)
	tgt.Profile = profile(t, tgt, server.URL+"/widevine/license", more)
	return tgt
}

func run(t *testing.T, id string, tgt *suites.Target) (reports.Result, string) {
	t.Helper()
	check, err := suites.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	r, log := suites.Run(t.Context(), check, tgt)
	return r, log.Text()
}

// TestCORS has what a service in front of the fake answers a browser, and what the checks make of it.
func TestCORS(t *testing.T) {
	t.Parallel()
	// answering replaces CORS headers of answers with others; preflights with status 200.
	answering := func(preflight, other map[string]string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
			set := other
			origin := r.Header.Get("Origin")
			r.Header.Del("Origin")
			if r.Method == http.MethodOptions {
				set = preflight
			}
			for name, value := range set {
				if value = strings.ReplaceAll(value, "ORIGIN", origin); value != "" {
					w.Header().Set(name, value)
				}
			}
			if r.Method != http.MethodOptions {
				fake.ServeHTTP(w, r)
			}
		}
	}
	const origin, headers = "Access-Control-Allow-Origin", "Access-Control-Allow-Headers"
	wild := map[string]string{origin: "*", headers: "*"}
	echo := map[string]string{origin: "ORIGIN", headers: "content-type, x-mode", "Vary": "Accept-Encoding, origin"}
	two := "cors: {origins: [\"https://a.example\", \"https://b.example\"]}\n"
	for _, c := range []struct {
		name, id         string
		more             string
		preflight, other map[string]string
		want             reports.Outcome
		reason           string
	}{
		{"wildcards", "TR-01", "", wild, wild, reports.Pass, ""},
		{"wildcards", "TR-02", "", wild, wild, reports.Pass, ""},
		{"wildcards", "TR-03", "", wild, wild, reports.Pass, ""},
		{"a wildcard with credentials", "TR-01", "cors: {credentials: true}\n", wild, wild, reports.Fail, "cors-origin"},
		{"no credentials", "TR-01", "cors: {credentials: true}\n", echo, echo, reports.Fail, "cors-credentials"},
		{"credentials", "TR-01", "cors: {credentials: true}\n", map[string]string{origin: "ORIGIN", headers: "*", "Access-Control-Allow-Credentials": "true"}, nil, reports.Pass, ""},
		{"a wildcard for headers with credentials", "TR-02", "cors: {credentials: true}\n", map[string]string{origin: "ORIGIN", headers: "*", "Access-Control-Allow-Credentials": "true"}, nil, reports.Fail, "cors-headers"},
		{"a wildcard for Authorization", "TR-02", "cors: {request_headers: [Authorization]}\n", wild, wild, reports.Fail, "cors-headers"},
		{"Authorization by name", "TR-02", "cors: {request_headers: [Authorization]}\n", map[string]string{origin: "*", headers: "*, Authorization"}, wild, reports.Pass, ""},
		{"no header at all", "TR-01", "", map[string]string{origin: "*"}, wild, reports.Fail, "cors-headers"},
		{"no header at all", "TR-02", "", map[string]string{origin: "*"}, wild, reports.Fail, "cors-headers"},
		{"one of two origins", "TR-01", two, map[string]string{origin: "https://a.example", headers: "*"}, wild, reports.Fail, "cors-origin"},
		{"no leave", "TR-02", "", nil, wild, reports.Blocked, "cors-origin"},
		{"an echo", "TR-03", two, echo, echo, reports.Pass, ""},
		{"an echo without Vary", "TR-03", "", echo, map[string]string{origin: "ORIGIN"}, reports.Warn, "cors-vary"},
		{"one fixed origin", "TR-03", "", echo, map[string]string{origin: "https://player.example"}, reports.Pass, ""},
		{"no sharing", "TR-03", "", echo, nil, reports.Warn, "cors-origin"},
		{"a hidden header", "TR-03", "cors: {expose_headers: [Cache-Control, X-Not-There]}\n", wild, wild, reports.Warn, "cors-expose-headers"},
		{"an exposed header", "TR-03", "cors: {expose_headers: [Cache-Control]}\n", wild, map[string]string{origin: "*", "Access-Control-Expose-Headers": "cache-control"}, reports.Pass, ""},
		{"no browser", "TR-01", "cors: {skip: true}\n", nil, nil, reports.NotApplicable, ""},
		{"no browser", "TR-02", "cors: {skip: true}\n", nil, nil, reports.NotApplicable, ""},
		{"no browser", "TR-03", "cors: {skip: true}\n", nil, nil, reports.NotApplicable, ""},
	} {
		t.Run(c.id+" "+c.name, func(t *testing.T) {
			t.Parallel()
			r, _ := run(t, c.id, behind(t, c.more, answering(c.preflight, c.other)))
			if r.Outcome != c.want || r.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s): %s", r.Outcome, r.Reason, c.want, c.reason, suites.Message(r))
			}
			if r.Outcome == reports.NotApplicable && r.Note == "" {
				t.Error("not applicable without a reason")
			}
		})
	}
}

// TestPreflightAsABrowserSendsIt looks at the request itself.
func TestPreflightAsABrowserSendsIt(t *testing.T) {
	t.Parallel()
	var seen []*http.Request
	tgt := behind(t, "", func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		seen = append(seen, r)
		fake.ServeHTTP(w, r)
	})
	tgt.Platform, tgt.Second = nil, nil
	r, log := run(t, "TR-01", tgt)
	if r.Outcome != reports.Pass || !strings.Contains(r.Note, "https://player.example, as the profile names none") {
		t.Errorf("%s: %s", r.Outcome, suites.Message(r))
	}
	if len(seen) != 1 || seen[0].Method != http.MethodOptions || seen[0].ContentLength > 0 || seen[0].Header.Get("Content-Type") != "" || seen[0].Header.Get("X-Mode") != "" ||
		seen[0].Header.Get("Access-Control-Request-Headers") != "content-type,x-mode" || seen[0].Header.Get("Access-Control-Request-Method") != "POST" {
		t.Errorf("%+v", seen)
	}
	if !strings.Contains(log, "> OPTIONS http://") || !strings.Contains(log, "Access-Control-Allow-Origin: https://player.example") {
		t.Errorf("transcript:\n%s", log)
	}
	if r, _ := run(t, "TR-04", tgt); r.Outcome != reports.Unverifiable {
		t.Errorf("TR-04 without a device: %s", r.Outcome)
	}
}

// TestHeaderTokenStaysSecret: a token in a header is in no preflight, and in no transcript, however its name is spelt.
func TestHeaderTokenStaysSecret(t *testing.T) {
	t.Parallel()
	standIn, tgt := matrix.StandIn(t, "cenc-1key", "expressplay-widevine-test", "token-in-header")
	for _, id := range []string{"TR-02", "TR-09"} {
		r, log := run(t, id, tgt)
		if r.Outcome != reports.Pass {
			t.Errorf("%s: %s", id, suites.Message(r))
		}
		for line := range strings.SplitSeq(log, "\n") {
			if name, value, _ := strings.Cut(strings.TrimPrefix(line, "> "), ": "); strings.EqualFold(name, "ExpressPlayToken") && len(value) > 40 {
				t.Errorf("%s: %.60s", id, line)
			}
		}
		if id == "TR-02" && (!strings.Contains(log, "Access-Control-Request-Headers: content-type,expressplaytoken") || strings.Contains(log, "> ExpressPlayToken")) {
			t.Errorf("%s", log)
		}
		if id == "TR-09" && (!strings.Contains(log, "> EXPRESSPLAYTOKEN: ") || !strings.Contains(r.Note, "HTTP/2 was not offered")) {
			t.Errorf("%s: %s\n%s", id, r.Note, log)
		}
		if names := tgt.Vault.Names([]byte(suites.Message(r))); names != nil {
			t.Errorf("%s gives away %v", id, names)
		}
	}
	if _, byOperation := standIn.Server().Count(); byOperation[fakes.OperationToken].Received != 2 {
		t.Errorf("%d tokens were taken, want one a check", byOperation[fakes.OperationToken].Received)
	}
}

// TestContentTypes has services that treat other types, and other answers, in ways of their own.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	const matchers = "errors:\n  - {when: {status: [400]}, class: request_malformed}\n"
	for _, c := range []struct {
		name, id, more string
		of             string                    // the type that is answered otherwise; "malformed" for malformed bodies
		with           func(http.ResponseWriter) // nil: never
		want           reports.Outcome
		reason         string
	}{
		{"a refusal that is known", "TR-04", matchers, "text/plain", answer(400, "text/plain", "no"), reports.Pass, ""},
		{"status 415 is known to all", "TR-04", matchers, "text/plain", answer(415, "text/plain", "no"), reports.Pass, ""},
		{"a refusal that no matcher knows", "TR-04", matchers, "text/plain", answer(422, "text/plain", "no"), reports.Fail, "refusal-unclear"},
		{"a page with status 415", "TR-04", matchers, "text/plain", answer(415, "text/html", "<html>no</html>"), reports.Fail, "refusal-unclear"},
		{"a page with status 200", "TR-04", "", "text/plain", answer(200, "text/html", "<html>no</html>"), reports.Fail, "refusal-unclear"},
		{"a server error", "TR-04", "", "text/plain", answer(502, "text/plain", "no"), reports.Fail, "server-error"},
		{"a type that hangs", "TR-04", "", "text/plain", nil, reports.Fail, "timeout"},
		{"a server error", "TR-05", "", "application/json", answer(500, "text/plain", "no"), reports.Pass, ""},
		{"status 403 for the right type", "TR-05", "", "application/octet-stream", answer(403, "text/plain", "no"), reports.Blocked, "http-status"},
		{"a server error", "TR-06", "", "text/xml", answer(500, "text/plain", "no"), reports.Warn, "server-error"},
		{"text that is called JSON", "TR-06", "", "malformed", answer(400, "application/json", "oops"), reports.Warn, "content-type-disagrees"},
		{"JSON that is called text", "TR-06", "", "malformed", answer(400, "text/plain", `{"error":1}`), reports.Pass, ""},
		{"binary that is called text", "TR-06", "", "malformed", answer(400, "text/plain", "\x08\x03\x12\x00"), reports.Warn, "content-type-disagrees"},
		{"no body", "TR-06", "", "malformed", answer(400, "application/json", ""), reports.Pass, ""},
	} {
		t.Run(c.id+" "+c.name, func(t *testing.T) {
			t.Parallel()
			tgt := behind(t, c.more, func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
				if r.Header.Get("Content-Type") == c.of || c.of == "malformed" && r.ContentLength < 100 {
					if c.with == nil {
						_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices that the client leaves
						<-r.Context().Done()
						return
					}
					c.with(w)
					return
				}
				fake.ServeHTTP(w, r)
			})
			if c.with == nil {
				tgt.Client = suites.NewClient(time.Second)
			}
			if r, _ := run(t, c.id, tgt); r.Outcome != c.want || r.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s): %s", r.Outcome, r.Reason, c.want, c.reason, suites.Message(r))
			}
		})
	}
}

// TestRedirects: neither key request nor token follows a redirect to another origin, and no redirect is followed for ever.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(other.Close)
	for _, c := range []struct {
		name   string
		status int
		to     string
		times  int
		want   reports.Outcome
		reason string
	}{
		{"another origin", 307, other.URL + "/?token=secret", 1, reports.Fail, "redirect-cross-origin"},
		{"another scheme", 308, "https://127.0.0.1/", 1, reports.Fail, "redirect-cross-origin"},
		{"without scheme", 308, "//" + strings.TrimPrefix(other.URL, "http://"), 1, reports.Fail, "redirect-cross-origin"},
		{"by 301", 301, "?1", 1, reports.Fail, "redirect-drops-body"},
		{"by 303", 303, "?1", 1, reports.Fail, "redirect-drops-body"},
		{"by 308", 308, "?1", 1, reports.Warn, "redirected"},
		{"three times", 307, "?1", 3, reports.Warn, "redirected"},
		{"for ever", 307, "?1", 100, reports.Fail, "redirected"},
		{"to nothing", 307, "/nothing", 1, reports.Fail, "redirect-refused"},
		{"not modified", 304, "", 1, reports.Blocked, "http-status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			tgt := behind(t, "", func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
				if n++; n > c.times {
					fake.ServeHTTP(w, r)
					return
				}
				if c.to != "" {
					w.Header().Set("Location", c.to)
				}
				w.WriteHeader(c.status)
			})
			r, _ := run(t, "TR-07", tgt)
			if r.Outcome != c.want || r.Reason != c.reason || strings.Contains(r.Seen, "secret") {
				t.Errorf("%s (%s), want %s (%s): %s", r.Outcome, r.Reason, c.want, c.reason, suites.Message(r))
			}
		})
	}
	t.Cleanup(func() {
		if stolen.Load() > 0 {
			t.Error("something was sent to another origin")
		}
	})
}

// TestHTTP2 has a service that offers HTTP/2, and one that serves it wrongly.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	for _, broken := range []bool{false, true} {
		for _, limits := range []provider.Limits{{}, {MaxRPS: 100}, {MaxRequests: 4}} {
			tgt, fake := target(t)
			var second atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor == 2 {
					if second.Add(1); broken {
						w.WriteHeader(http.StatusBadRequest)
						return
					}
				}
				fake.Handler().ServeHTTP(w, r)
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			client := suites.NewClientVia(suites.RequestTimeout, nil, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
			tgt.Client, tgt.Profile = suites.Polite(client, limits), profile(t, tgt, server.URL+"/widevine/license", "")
			r, _ := run(t, "TR-09", tgt)
			want, requests := reports.Pass, int64(1)
			switch {
			case limits.MaxRequests > 0:
				want, requests = reports.Excluded, 0
			case broken:
				want = reports.Fail
			}
			if r.Outcome != want || second.Load() != requests || want == reports.Pass && !strings.HasSuffix(r.Note, "and over HTTP/2") {
				t.Errorf("limits %+v, broken %v: %s, %d requests over HTTP/2: %s", limits, broken, r.Outcome, second.Load(), suites.Message(r))
			}
		}
	}
}

// TestLabelsOfTargets: a check of every system has the label of the target's system.
func TestLabelsOfTargets(t *testing.T) {
	_, pr := matrix.StartPlayReady(t, "cenc-1key")
	both := []*suites.Target{pr, pr.Twin}
	p, err := suites.NewPlan(both, nil, "playready && TR", 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Of(pr)) == 0 || len(p.Of(pr.Twin)) != 0 || p.Total() != len(p.Of(pr)) {
		t.Errorf("%d checks on PlayReady, %d on Widevine", len(p.Of(pr)), len(p.Of(pr.Twin)))
	}
	for _, r := range suites.NewRecorder(nil).Results(p) {
		want := reports.Excluded
		if r.System == string(drm.PlayReady) && r.Area == "TR" {
			want = reports.NotRun
		}
		if r.Outcome != want || r.System == "" {
			t.Errorf("%s on %s: %s, want %s", r.ID, r.Profile, r.Outcome, want)
		}
	}
	if !slices.ContainsFunc(p.Of(pr), func(c suites.Check) bool { return c.ID == "TR-01" }) {
		t.Error("TR-01 is not selected")
	}
}
