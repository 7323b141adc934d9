package provider_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
)

// refreshed is a profile whose shared token lives for 300 s and is to outlive a lease by margin.
func refreshed(t *testing.T, server *tokenServer, now *clock, env provider.Environment) *provider.Profile {
	t.Helper()
	env.HTTP, env.Clock = server.client(), now
	return bind(t, tokenProfile(t, "scope: run\n    ttl: 5m"), env)
}

// TestMargin: a shared token is replaced while it still has the margin to live, and never shared with less.
func TestMargin(t *testing.T) {
	t.Parallel()
	server, now := newTokenServer(t, sayJSON), &clock{}
	p := refreshed(t, server, now, provider.Environment{Margin: 20 * time.Second})
	for at := int64(0); at < 3000; at++ {
		now.seconds.Store(at)
		if left := mustLease(t, p).Expires.Unix() - at; left < 20 {
			t.Fatalf("after %d s a lease has %d s left", at, left)
		}
	}
	// A token is replaced with between 10 % and 30 % of what is above the margin left: after 196 s to 252 s.
	got := p.TokenCounts()
	if n := server.asked.Load(); n < 3000/252 || n > 3000/196+1 || got != (provider.TokenCounts{Taken: n, Renewed: n - 1}) {
		t.Errorf("%d tokens, counted %+v", n, got)
	}
}

// TestMarginIsHalfOfALifeAtMost: a token that lives shorter than the margin is no reason to ask for one each time.
func TestMarginIsHalfOfALifeAtMost(t *testing.T) {
	t.Parallel()
	server, now := newTokenServer(t, sayJSON), &clock{}
	p := refreshed(t, server, now, provider.Environment{Margin: time.Hour})
	for at := int64(0); at < 600; at++ {
		now.seconds.Store(at)
		if left := mustLease(t, p).Expires.Unix() - at; left < 150 {
			t.Fatalf("after %d s a lease has %d s left", at, left)
		}
	}
	if n := server.asked.Load(); n < 4 || n > 6 {
		t.Errorf("%d tokens in 600 s, want one every 105 s to 135 s", n)
	}
}

// TestTokenServiceFailsMeanwhile: as long as the old token can be used that is no error, and the service is not asked again and
// again; when it is back there is a new token.
func TestTokenServiceFailsMeanwhile(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	server, now := newTokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		sayJSON(w, r)
	}), &clock{}
	p := refreshed(t, server, now, provider.Environment{Margin: 20 * time.Second})
	mustLease(t, p)
	down.Store(true)
	for at := int64(290); at < 300; at++ {
		now.seconds.Store(at)
		for range 5 {
			if lease := mustLease(t, p); lease.Expires.Unix() != 300 {
				t.Fatalf("after %d s: expires at %d s", at, lease.Expires.Unix())
			}
		}
	}
	if n := server.asked.Load(); n != 1+10 || p.TokenCounts() != (provider.TokenCounts{Taken: 1, Failed: 10}) {
		t.Errorf("%d requests, counted %+v; want one a second", n, p.TokenCounts())
	}
	now.seconds.Store(300)
	if _, err := p.Lease(t.Context(), testNeed()); err == nil {
		t.Error("an expired token was shared")
	}
	down.Store(false)
	if lease := mustLease(t, p); lease.Expires.Unix() != 600 {
		t.Errorf("expires at %d s, want 600", lease.Expires.Unix())
	}
}

// TestRefreshHoldsNobodyUp: while one caller waits for the new token, the others go on with the old one; when there is none, they
// wait for the one that is asked for.
func TestRefreshHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	server, now := newTokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		sayJSON(w, r)
	}), &clock{}
	p := refreshed(t, server, now, provider.Environment{Margin: 20 * time.Second})
	var first sync.WaitGroup
	for range 4 {
		first.Go(func() { mustLease(t, p) })
	}
	gate <- struct{}{} // one token is asked for
	first.Wait()
	now.seconds.Store(275) // early: at the latest with 104 s left
	var second sync.WaitGroup
	var old, fresh atomic.Int64
	for range 4 {
		second.Go(func() {
			if mustLease(t, p).Expires.Unix() == 300 {
				old.Add(1)
			} else {
				fresh.Add(1)
			}
		})
	}
	for old.Load() < 3 {
		if t.Context().Err() != nil {
			t.Fatal("the others wait")
		}
		<-time.After(time.Millisecond)
	}
	gate <- struct{}{}
	second.Wait()
	if old.Load() != 3 || fresh.Load() != 1 || server.asked.Load() != 2 {
		t.Errorf("%d had the old token, %d the new one, %d requests; want 3, 1, 2", old.Load(), fresh.Load(), server.asked.Load())
	}
}

// TestPassing: which failures of a token service may pass.
func TestPassing(t *testing.T) {
	t.Parallel()
	unreachable := &provider.TransportError{Reason: provider.ReasonRefused}
	for _, c := range []struct {
		err  provider.TokenError
		want bool
	}{
		{provider.TokenError{Status: 503}, true},
		{provider.TokenError{Status: 429}, true},
		{provider.TokenError{Status: 403}, false},
		{provider.TokenError{Status: 403, Matched: provider.Matched{Retry: "backoff"}}, true},
		{provider.TokenError{Status: 503, Matched: provider.Matched{Retry: "never"}}, false},
		{provider.TokenError{Err: unreachable}, true},
		{provider.TokenError{Err: &provider.TransportError{Reason: provider.ReasonTooLarge}}, false},
		{provider.TokenError{}, false},
	} {
		if got := c.err.Passing(); got != c.want {
			t.Errorf("%v: %v", &c.err, got)
		}
	}
}
