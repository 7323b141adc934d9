package suites_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// front is what stands before a fake.
type front = func(w http.ResponseWriter, r *http.Request, fake http.Handler)

// textFor answers requests that a condition holds for with text, and leaves the others to the fake.
func textFor(status int, holds func(r *http.Request, body []byte) bool) front {
	return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if holds(r, body) {
			http.Error(w, "something else", status)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		fake.ServeHTTP(w, r)
	}
}

func small(_ *http.Request, body []byte) bool { return len(body) > 0 && len(body) < 600 }

func empty(r *http.Request, body []byte) bool { return r.Method == http.MethodPost && len(body) == 0 }

func method(m string) func(*http.Request, []byte) bool {
	return func(r *http.Request, _ []byte) bool { return r.Method == m }
}

// TestMalformed has what services in front of the fake answer to requests that are none, and what the checks make of it.
func TestMalformed(t *testing.T) {
	t.Parallel()
	knows := "errors:\n  - {when: {status: [200]}, class: request_malformed, retry: never}\n  - {when: {status: [500]}, class: server_fault, retry: never}\n"
	for _, c := range []struct {
		name, id, more string
		front          front
		want           reports.Outcome
		reason         string
	}{
		{"a firewall's 403", "WV-ROB-01", "", textFor(403, small), reports.Pass, ""},
		{"200 with text", "WV-ROB-01", "", textFor(200, small), reports.Fail, "refusal-unclear"},
		{"500", "WV-ROB-01", "", textFor(500, small), reports.Fail, "server-error"},
		{"500 that the profile knows as the service's fault", "WV-ROB-01", knows, textFor(500, small), reports.Fail, "server-error"},
		{"502", "WV-ROB-02", "", textFor(502, small), reports.Fail, "server-error"},
		{"204", "WV-ROB-03", "", textFor(204, empty), reports.Fail, "refusal-unclear"},
		{"411", "WV-ROB-03", "", textFor(411, empty), reports.Pass, ""},
		{"a page for GET", "WV-ROB-09", "", textFor(200, method(http.MethodGet)), reports.Warn, "method-taken"},
		{"501 for PUT", "WV-ROB-09", "", textFor(501, method(http.MethodPut)), reports.Pass, ""},
		{"500 for HEAD", "WV-ROB-09", "", textFor(500, method(http.MethodHead)), reports.Warn, "server-error"},
		{"HEAD as GET", "WV-ROB-09", "", textFor(302, func(r *http.Request, _ []byte) bool { return r.Method != http.MethodPost && r.Method != http.MethodPut }), reports.Warn, "method-taken"},
		{"no chunks", "WV-ROB-09", "", textFor(400, func(r *http.Request, _ []byte) bool { return r.ContentLength < 0 }), reports.Warn, "chunked-refused"},
	} {
		t.Run(c.id+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			r, log := run(t, c.id, behind(t, c.more, c.front))
			if r.Outcome != c.want || r.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s): step %q, expected %q, seen %q\n%s", r.Outcome, r.Reason, c.want, c.reason, r.Step, r.Expected, r.Seen, log)
			}
		})
	}
}

// large reports whether a request has a body that is far too long, as far as that is known before it is read.
func large(r *http.Request) bool { return r.ContentLength > 1<<20 || r.ContentLength < 0 }

// TestOversized has how services deal with a body of 16 MiB, with its length announced and without.
func TestOversized(t *testing.T) {
	t.Parallel()
	to := func(deal http.HandlerFunc) front {
		return func(w http.ResponseWriter, r *http.Request, fake http.Handler) {
			if !large(r) {
				fake.ServeHTTP(w, r)
				return
			}
			deal(w, r)
		}
	}
	read := func(r *http.Request, n int64) { _, _ = io.CopyN(io.Discard, r.Body, n) }
	for name, c := range map[string]struct {
		deal         http.HandlerFunc
		want         reports.Outcome
		reason, note string
	}{
		"413 at once": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusRequestEntityTooLarge) }, reports.Pass, "", "16 MiB: HTTP 413; in chunks: HTTP 413"},
		"413 after all of it": {func(w http.ResponseWriter, r *http.Request) {
			read(r, 64<<20)
			http.Error(w, "no", http.StatusRequestEntityTooLarge)
		}, reports.Pass, "", "HTTP 413"},
		"400 after a part": {func(w http.ResponseWriter, r *http.Request) {
			read(r, 1<<20)
			w.Header().Set("Connection", "close")
			http.Error(w, "no", http.StatusBadRequest)
		}, reports.Pass, "", "HTTP 400 after "},
		"400 after all of it": {func(w http.ResponseWriter, r *http.Request) {
			read(r, 64<<20)
			http.Error(w, "no", http.StatusBadRequest)
		}, reports.Warn, "body-unbounded", ""},
		"200 after all of it": {func(_ http.ResponseWriter, r *http.Request) { read(r, 64<<20) }, reports.Warn, "body-unbounded", ""},
		"502": {func(w http.ResponseWriter, r *http.Request) {
			read(r, 1<<20)
			http.Error(w, "no", http.StatusBadGateway)
		}, reports.Warn, "server-error", ""},
		"the connection is closed": {func(w http.ResponseWriter, r *http.Request) {
			read(r, 1<<20)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}, reports.Pass, "", "connection closed after "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, log := run(t, "WV-ROB-05", behind(t, "", to(c.deal)))
			if r.Outcome != c.want || r.Reason != c.reason || !strings.Contains(r.Note, c.note) {
				t.Errorf("%s (%s), want %s (%s): step %q, expected %q, seen %q, note %q\n%s", r.Outcome, r.Reason, c.want, c.reason, r.Step, r.Expected, r.Seen, r.Note, log)
			}
		})
	}
}

// TestOversizedSilence: a service that takes a part and then says nothing is red, and one that still takes is not judged: the
// connection may be slow.
func TestOversizedSilence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause  time.Duration // between reads; 0: it stops reading
		want   reports.Outcome
		reason string
	}{
		"silent": {0, reports.Warn, "timeout"},
		"slow":   {20 * time.Millisecond, reports.Unverifiable, "slow-connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tgt, fake := target(t)
			tgt.Client.Timeout = 2 * time.Second
			done := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !large(r) {
					fake.Handler().ServeHTTP(w, r)
					return
				}
				some := make([]byte, 16<<10)
				if c.pause == 0 {
					<-done // the context of a request does not end while its body is not read
					return
				}
				for {
					time.Sleep(c.pause)
					if _, err := io.ReadFull(r.Body, some); err != nil {
						return
					}
				}
			}))
			server.Listener = narrow{server.Listener}
			server.Start()
			t.Cleanup(func() { close(done); server.CloseClientConnections(); server.Close() })
			tgt.Profile = profile(t, tgt, server.URL+"/widevine/license", "")
			r, log := run(t, "WV-ROB-05", tgt)
			if r.Outcome != c.want || r.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s): seen %q\n%s", r.Outcome, r.Reason, c.want, c.reason, r.Seen, log)
			}
		})
	}
}

// narrow is a listener whose connections buffer little, so that a client feels how fast a server reads.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(16 << 10)
	}
	return conn, err
}

// TestMalformedOfPlayReady: a service of that system may refuse with HTTP 500 what it cannot read, but not another method.
func TestMalformedOfPlayReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, id string
		front    front
		want     reports.Outcome
		reason   string
	}{
		{"500 for text", "PR-XML-01", textFor(500, small), reports.Pass, ""},
		{"503 for text", "PR-XML-01", textFor(503, small), reports.Fail, "server-error"},
		{"200 for text", "PR-XML-01", textFor(200, small), reports.Fail, "refusal-unclear"},
		{"a page for GET", "PR-SOAP-06", textFor(200, method(http.MethodGet)), reports.Pass, ""},
		{"500 for PUT", "PR-SOAP-06", textFor(500, method(http.MethodPut)), reports.Warn, "server-error"},
	} {
		t.Run(c.id+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			r, log := run(t, c.id, behindPlayReady(t, c.front))
			if r.Outcome != c.want || r.Reason != c.reason {
				t.Errorf("%s (%s), want %s (%s): step %q, seen %q\n%s", r.Outcome, r.Reason, c.want, c.reason, r.Step, r.Seen, log)
			}
		})
	}
}

// behindPlayReady puts something in front of a fake's PlayReady license service.
func behindPlayReady(t *testing.T, f front) *suites.Target {
	t.Helper()
	fake, tgt := matrix.StartPlayReady(t, "cenc-3key")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(w, r, fake.Handler()) }))
	t.Cleanup(server.Close)
	p, err := provider.Parse("behind", []byte(strings.ReplaceAll(fake.PlayReadyProfile(), fake.URL(), server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	if tgt.Profile, err = p.Bind(provider.Environment{Vault: tgt.Vault, HTTP: tgt.Client, Clock: tgt.Clock, Budget: provider.NewBudget(0)}); err != nil {
		t.Fatal(err)
	}
	return tgt
}
