package loadtest

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEndpointOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]endpoint{
		"http://license.example/x":  {false, "license.example:80"},
		"https://license.example":   {true, "license.example:443"},
		"https://127.0.0.1:8443/x":  {true, "127.0.0.1:8443"},
		"http://[::1]/x":            {false, "[::1]:80"},
		"https://[::1]:9/license?a": {true, "[::1]:9"},
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := endpointOf(u); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	trips := 0
	client := newClient(transportFunc(func(*http.Request) (*http.Response, error) {
		trips++
		return &http.Response{StatusCode: 307, Header: http.Header{"Location": {"/elsewhere"}}, Body: http.NoBody}, nil
	}))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1/", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || trips != 1 || response.StatusCode != 307 {
		t.Errorf("%d round trips, status %d, %v; want the redirect itself after one", trips, response.StatusCode, err)
	}
}

// TestPoolHandsOutLiveConnections has the server close some of the waiting connections: none of them is handed out.
func TestPoolHandsOutLiveConnections(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	accepted := make(chan net.Conn, 16)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	var dials atomic.Int64
	dialer := &net.Dialer{}
	pool := newConnPool(func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dialer.DialContext(ctx, network, address)
	}, nil)
	t.Cleanup(pool.close)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	e := endpoint{false, listener.Addr().String()}
	if n, err := pool.warm(ctx, e, 4); n != 4 || err != nil {
		t.Fatalf("%d connections, %v", n, err)
	}
	peers := map[string]net.Conn{}
	for range 4 {
		conn := <-accepted
		peers[conn.RemoteAddr().String()] = conn
	}
	waiting := pool.idle[e]
	for _, idle := range waiting[2:] { // the next two
		if err := peers[idle.conn.LocalAddr().String()].Close(); err != nil {
			t.Fatal(err)
		}
		<-idle.ended
	}
	for i := range 3 {
		conn, err := pool.get(ctx, "tcp", e)
		if err != nil {
			t.Fatal(err)
		}
		peer := peers[conn.LocalAddr().String()]
		if i == 2 { // the pool is empty
			peer = <-accepted
		}
		checkTalk(t, conn, peer)
	}
	if dials.Load() != 5 {
		t.Errorf("%d dials, want 4 ahead and one more", dials.Load())
	}
}

// checkTalk sends a byte in each direction.
func checkTalk(t *testing.T, a, b net.Conn) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		if err := pair[1].SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := pair[0].Write([]byte{7}); err != nil {
			t.Fatal(err)
		}
		var got [1]byte
		if _, err := pair[1].Read(got[:]); err != nil || got[0] != 7 {
			t.Fatalf("read %v, %v", got, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
