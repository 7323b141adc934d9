package loadtest_test

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/loadtest"
)

// TestRunSendsNoHeaderOfItsOwn looks at every header of every request: what vegeta and keyflow tell themselves stays here.
func TestRunSendsNoHeaderOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		var mu sync.Mutex
		seen := map[string]bool{}
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			for name, values := range r.Header {
				seen[name] = true
				if text := strings.ToLower(name + strings.Join(values, "")); strings.Contains(text, "vegeta") || strings.Contains(text, "keyflow") {
					t.Errorf("the server got %s: %q", name, values)
				}
			}
			mu.Unlock()
			answer(w, r)
		})
		c := config(t, s.URL, "200/s", 250*time.Millisecond)
		c.NewConnections = fresh
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		checkBalance(t, load)
		want := []string{"Content-Length", "Content-Type", "User-Agent"}
		if fresh {
			want = append([]string{"Connection"}, want...)
		}
		if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, want) {
			t.Errorf("the server got the headers %v, want %v", got, want)
		}
	}
}

// TestRunOpensAConnectionForEachRequest counts connections, and lets each take 30 ms to open.
func TestRunOpensAConnectionForEachRequest(t *testing.T) {
	t.Parallel()
	const slow = 30 * time.Millisecond
	for _, fresh := range []bool{false, true} {
		var conns atomic.Int64
		s := &server{}
		s.Server = newUnstarted(func(w http.ResponseWriter, r *http.Request) {
			s.seen.Add(1)
			answer(w, r)
		}, func() { conns.Add(1) })
		s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			<-time.After(slow)
			return nil, nil
		}}
		s.StartTLS()
		t.Cleanup(s.Close)
		c := config(t, s.URL, "100/s", 200*time.Millisecond)
		c.Workers, c.NewConnections = 4, fresh
		c.Shares[0].Network = &loadtest.Network{TLS: trust(s.Server)}
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		checkBalance(t, load)
		want := int64(4)
		if fresh {
			want = 1 + 20 // that which shows that somebody is there, and one each
		}
		if load.Accounting.Verified != 20 || conns.Load() != want || load.Plan.NewConnections != fresh {
			t.Errorf("%d verified, %d connections, plan %+v; want 20, %d", load.Accounting.Verified, conns.Load(), load.Plan, want)
		}
		if service := load.Operations[0].Service; fresh && service.Min < slow.Microseconds() {
			t.Errorf("service times from %d µs: opening the connection is left out", service.Min)
		}
	}
}

// TestClassTLS has a server whose handshakes fail after the first.
func TestClassTLS(t *testing.T) {
	t.Parallel()
	secured := newUnstarted(answer, func() {})
	secured.StartTLS()
	t.Cleanup(secured.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for n := 0; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if n == 0 {
				go shake(conn, secured.TLS)
				continue
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = conn.Close()
		}
	}()
	c := config(t, "https://"+listener.Addr().String(), "100/s", 100*time.Millisecond)
	c.NewConnections = true
	c.Shares[0].Network = &loadtest.Network{TLS: trust(secured)}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkClass(t, load, string(provider.ReasonTLS))
}

// shake shakes hands and waits for the other side to hang up.
func shake(conn net.Conn, config *tls.Config) {
	secured := tls.Server(conn, config)
	_, _ = io.Copy(io.Discard, secured)
	_ = secured.Close()
}
