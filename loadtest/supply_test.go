package loadtest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
)

// TestRunKeepsRequestsOfExpiredLeases draws requests from a supply that has no more than the plan: where a lease expired while a
// request waited, the request gets another one, and none is lost.
func TestRunKeepsRequestsOfExpiredLeases(t *testing.T) {
	t.Parallel()
	clock := &movable{}
	var first atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			clock.offset.Store(int64(2 * time.Minute)) // all that is drawn by now has expired
		}
		answer(w, r)
	})
	c := config(t, s.URL, "50/s", 400*time.Millisecond)
	p, err := provider.Parse("token.yaml", []byte(strings.Replace(tokenProfile, "URL", s.URL, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var tokens atomic.Int64
	if p, err = p.Bind(provider.Environment{Clock: clock, Getenv: func(string) string { return "FAKE-token-" + time.Duration(tokens.Add(1)).String() }}); err != nil {
		t.Fatal(err)
	}
	c.Shares[0].Profile, c.Shares[0].Clock, c.Workers = p, clock, 1
	mint := c.Shares[0].Source
	var drawn atomic.Int64
	var leased func(ctx context.Context, m drm.Message) (loadtest.Fresh, error)
	leased = func(ctx context.Context, m drm.Message) (loadtest.Fresh, error) {
		lease, err := p.Lease(ctx, provider.Need{})
		return loadtest.Fresh{Message: m, Lease: lease, Again: func(ctx context.Context) (loadtest.Fresh, error) { return leased(ctx, m) }}, err
	}
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		if drawn.Add(1) > 20 {
			return loadtest.Fresh{}, errors.New("there are no more")
		}
		fresh, err := mint(ctx)
		if err != nil {
			return fresh, err
		}
		return leased(ctx, fresh.Message)
	}
	var mu sync.Mutex
	judged := map[string]int{}
	c.Expect = nil
	c.Judge = func(m drm.Message, _ []byte, d drm.Depth) drm.Verdict {
		mu.Lock()
		defer mu.Unlock()
		judged[string(m.Body)]++
		return drm.Verdict{Depth: d}
	}
	c.KeyRequests = reports.KeyRequests{Source: reports.Corpus, Corpus: &reports.CorpusFile{Digest: "00", Entries: 20}}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Verified != 20 || drawn.Load() != 20 || tokens.Load() < 35 {
		t.Errorf("got %+v, %d drawn, %d tokens", a, drawn.Load(), tokens.Load())
	}
	for body, n := range judged {
		if n != 1 {
			t.Errorf("request %.20q was answered %d times", body, n)
		}
	}
	if k := load.Plan.KeyRequests; k.Source != reports.Corpus || k.Corpus.Entries != 20 {
		t.Errorf("the report has %+v", k)
	}
}

// TestRunCountsWhatCannotBeVerified: a judge that has not the device's keys says so, and its answers are not verified.
func TestRunCountsWhatCannotBeVerified(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "100/s", 300*time.Millisecond)
	var n atomic.Int64
	c.Expect = nil
	c.Judge = func(_ drm.Message, _ []byte, d drm.Depth) drm.Verdict {
		if n.Add(1)%3 == 0 {
			return drm.Verdict{Depth: d}
		}
		return drm.Verdict{Depth: drm.DepthShape}
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Verified != 10 || a.Unverified != 20 || a.Wrong != 0 {
		t.Errorf("got %+v, want 10 verified and 20 not", a)
	}
}
