package loadtest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/loadtest"
	"keyflow/reports"
)

func drain(r *http.Request) { _, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<10)) }

func newUnstarted(h http.HandlerFunc, opened func()) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened()
		}
	}
	return s
}

func trust(s *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{RootCAs: roots}
}

// body answers with a status, a content type and a body.
func body(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func TestClassesOfAnswers(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 5<<10)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		class   string
	}{
		"500":       {body(500, "text/plain", "oops"), "http-500"},
		"404":       {body(404, "text/plain", "who?"), "http-404"},
		"204":       {body(204, "text/plain", ""), "http-204"},
		"redirect":  {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, "http-307"},
		"html":      {body(200, "text/html", "<!DOCTYPE html><title>Login</title>"), loadtest.ClassEdgeHTML},
		"empty":     {body(200, "application/octet-stream", ""), loadtest.ClassEmpty},
		"too large": {body(200, "application/octet-stream", big), "too-large"},
		"too large, chunked": {func(w http.ResponseWriter, r *http.Request) {
			drain(r)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, big)
		}, "too-large"},
		"timeout": {func(_ http.ResponseWriter, r *http.Request) {
			drain(r)
			<-r.Context().Done()
		}, "timeout"},
		"truncated": {raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nlicense", false), "truncated"},
		"closed":    {raw("", false), "connection-closed"},
		"reset":     {raw("", true), "connection-reset"},
		"garbage":   {raw("220 smtp ready\r\n\r\n", false), "other-transport"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.handler)
			cfg := config(t, s.URL, "100/s", 100*time.Millisecond)
			cfg.Workers = 10
			if c.class == "timeout" {
				cfg.Timeout = 50 * time.Millisecond
			}
			load, err := loadtest.Run(bounded(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkClass(t, load, c.class)
			if s.seen.Load() != 10 {
				t.Errorf("the server counted %d requests, want 10", s.seen.Load())
			}
		})
	}
}

// raw takes the connection over after it has read the request, writes text and closes or resets.
func raw(text string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// checkClass fails the test unless the run's ten requests all failed in the class.
func checkClass(t *testing.T, load *reports.Load, class string) {
	t.Helper()
	const n = 10
	checkBalance(t, load)
	a := load.Accounting
	if a.Sent != n || a.Answered != 0 || len(a.Failed) != 1 || a.Failed[class] != n {
		t.Errorf("got %+v, want %d of class %s", a, n, class)
	}
	if len(load.Samples) != 3 {
		t.Errorf("got %d samples, want 3", len(load.Samples))
	}
	for _, s := range load.Samples {
		if s.Class != class || s.Seen == "" || s.Expected == "" {
			t.Errorf("got sample %+v", s)
		}
	}
	var timed int64
	if class == "timeout" {
		timed = n
	}
	if got := load.Operations[0].Latency.Count; got != timed {
		t.Errorf("%d latencies were recorded, want %d", got, timed)
	}
	if kept := load.SLOs[1]; kept.Expression != "errors==0" || kept.Kept {
		t.Errorf("got SLO %+v, want errors==0 missed", kept)
	}
}

// TestClassRefused has a server that dies between the first connection and the first request.
func TestClassRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		if conn, err := listener.Accept(); err == nil {
			_ = listener.Close()
			_ = conn.Close()
		}
	}()
	c := config(t, "http://"+listener.Addr().String(), "100/s", 100*time.Millisecond)
	c.Workers = 1
	mint := c.Shares[0].Source
	var first sync.Once
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		isFirst := false
		first.Do(func() { isFirst = true })
		if !isFirst { // the attack does not begin before all are minted
			select {
			case <-dead:
			case <-ctx.Done():
			}
		}
		return mint(ctx)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	a := load.Accounting
	checkBalance(t, load)
	// The first request may meet the connection in the moment in which it dies.
	if a.Sent != 10 || a.Failed["connection-refused"] < 9 {
		t.Errorf("got %+v, want connection-refused", a)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewTLSServer(http.HandlerFunc(answer))
	untrusted.Config.ErrorLog = nil
	t.Cleanup(untrusted.Close)
	for name, c := range map[string]struct {
		url   string
		dial  loadtest.Dial
		class string
	}{
		"refused":   {url: "http://" + listener.Addr().String(), class: "connection-refused"},
		"untrusted": {url: untrusted.URL, class: "tls"},
		"dns": {url: "http://license.invalid", class: "dns", dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "license.invalid", IsNotFound: true}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, c.url, "100/s", time.Second)
			cfg.Shares[0].Network = &loadtest.Network{Dial: c.dial}
			load, err := loadtest.Run(bounded(t), cfg)
			var typed *loadtest.UnreachableError
			if !errors.As(err, &typed) || typed.Class != c.class || typed.Address == "" {
				t.Fatalf("got %v, want an *UnreachableError of class %s", err, c.class)
			}
			checkBalance(t, load)
			if a := load.Accounting; a.Sent != 0 || a.NotSent[loadtest.NotSentUnreachable] != 100 {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*loadtest.Config)
		reason  string
	}{
		"another request's": {handler: body(200, "application/octet-stream", "license of somebody else"), reason: "wrong-request"},
		"another key": {handler: answer, reason: string(loadtest.ReasonKeyFingerprint), change: func(c *loadtest.Config) {
			c.Expect = map[drm.KID]drm.Fingerprint{kidA: "a", kidB: "c"}
		}},
		"no key": {handler: answer, reason: string(loadtest.ReasonKeyMissing), change: func(c *loadtest.Config) {
			c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
				v := judge(m, answer, d)
				delete(v.Keys, kidA)
				return v
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.handler)
			cfg := config(t, s.URL, "100/s", 100*time.Millisecond)
			if c.change != nil {
				c.change(&cfg)
			}
			load, err := loadtest.Run(bounded(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkBalance(t, load)
			a := load.Accounting
			if a.Answered != 10 || a.Wrong != 10 || a.WrongBy[c.reason] != 10 || a.Verified != 0 {
				t.Errorf("got %+v, want 10 wrong by %s", a, c.reason)
			}
			if load.SLOs[0].Kept || load.SLOs[1].Kept || len(load.Samples) != 3 || load.Samples[0].Class != c.reason {
				t.Errorf("got SLOs %+v, samples %+v", load.SLOs, load.Samples)
			}
		})
	}
}

// TestSpeakingServer has a server that talks before it is asked, as one of another protocol does.
func TestSpeakingServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = fmt.Fprint(conn, "220 ready\r\n")
				_, _ = http.ReadRequest(bufio.NewReader(conn))
			}()
		}
	}()
	load, err := loadtest.Run(bounded(t), config(t, "http://"+listener.Addr().String(), "100/s", 100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 10 || a.Answered != 0 {
		t.Errorf("got %+v", a)
	}
}
