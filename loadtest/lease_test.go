package loadtest_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/loadtest"
)

// movable is a clock that a test moves.
type movable struct{ offset atomic.Int64 }

func (c *movable) Now() time.Time { return time.Unix(1_700_000_000, c.offset.Load()) }

const tokenProfile = `profile: 1
id: token
drm: widevine
tokens: [{id: t, source: env, env: TOKEN, scope: session, ttl: 1m, single_use: true}]
request: {url: "URL", headers: {X-Token: "${token.t.value}"}}
`

// TestRunRenewsLeases lets the leases of requests that wait to be sent expire: they must be minted anew, each request with a
// token of its own.
func TestRunRenewsLeases(t *testing.T) {
	t.Parallel()
	clock := &movable{}
	var tokens atomic.Int64
	var first atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			clock.offset.Store(int64(2 * time.Minute)) // all that is minted by now has expired
		}
		if r.Header.Get("X-Token") == "" {
			t.Error("a request without a token")
		}
		answer(w, r)
	})
	c := config(t, s.URL, "50/s", 400*time.Millisecond)
	p, err := provider.Parse("token.yaml", []byte(strings.Replace(tokenProfile, "URL", s.URL, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Bind(provider.Environment{Clock: clock, Getenv: func(string) string { return "FAKE-token-" + time.Duration(tokens.Add(1)).String() }}); err != nil {
		t.Fatal(err)
	}
	c.Shares[0].Profile, c.Shares[0].Clock, c.Workers = p, clock, 1
	mint := c.Shares[0].Source
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		fresh, err := mint(ctx)
		if err == nil {
			fresh.Lease, err = p.Lease(ctx, provider.Need{})
		}
		return fresh, err
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Planned != 20 || a.Answered != 20 {
		t.Errorf("got %+v, want 20 answers", a)
	}
	if n := tokens.Load(); n < 35 || n > 40 { // 20 ahead, and again all that were not on their way at the first answer
		t.Errorf("%d tokens for 20 requests", n)
	}
}

// TestRunRefusesSpentLeases gives two requests a lease for one.
func TestRunRefusesSpentLeases(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "50/s", 100*time.Millisecond)
	p, err := provider.Parse("token.yaml", []byte(strings.Replace(tokenProfile, "URL", s.URL, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Bind(provider.Environment{Getenv: func(string) string { return "FAKE-token" }}); err != nil {
		t.Fatal(err)
	}
	lease, err := p.Lease(t.Context(), provider.Need{})
	if err != nil {
		t.Fatal(err)
	}
	c.Shares[0].Profile = p
	mint := c.Shares[0].Source
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		fresh, err := mint(ctx)
		fresh.Lease = lease
		return fresh, err
	}
	load, err := loadtest.Run(bounded(t), c)
	if err == nil || !strings.Contains(err.Error(), "the lease is spent") {
		t.Errorf("got %v", err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 1 || a.NotSent[loadtest.NotSentMint] != 4 {
		t.Errorf("got %+v, want 1 sent and 4 not", a)
	}
}
