package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/loadtest"
)

// TestRunEndsAtALimit allows 20 requests of 100.
func TestRunEndsAtALimit(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "200/s", 500*time.Millisecond)
	var n atomic.Int64
	c.Shares[0].Limit.Count = func() error {
		if n.Add(1) > 20 {
			return &provider.LimitError{Max: 20}
		}
		return nil
	}
	load, err := loadtest.Run(bounded(t), c)
	var stopped *loadtest.StopError
	var limit *provider.LimitError
	if !errors.As(err, &stopped) || stopped.Reason != loadtest.NotSentLimit || !errors.As(err, &limit) {
		t.Fatalf("got %v, want a *StopError for a *LimitError", err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 20 || a.Verified != 20 || a.NotSent[loadtest.NotSentLimit] != 80 || s.seen.Load() != 20 {
		t.Errorf("got %+v, the server counted %d; want 20 sent and 80 not", a, s.seen.Load())
	}
}

// TestRunEndsWithTheBudget has tokens for 30 requests of 100: those that have one are sent, though they were minted long before
// the money was spent.
func TestRunEndsWithTheBudget(t *testing.T) {
	t.Parallel()
	for _, tokens := range []int64{0, 30} {
		s := serve(t, answer)
		c := config(t, s.URL, "200/s", 500*time.Millisecond)
		mint := c.Shares[0].Source
		var n atomic.Int64
		c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
			if n.Add(1) > tokens {
				return loadtest.Fresh{}, fmt.Errorf("take a lease: %w", &provider.BudgetError{Token: "t", Unit: "token", Spent: int(tokens)})
			}
			return mint(ctx)
		}
		load, err := loadtest.Run(bounded(t), c)
		var stopped *loadtest.StopError
		if !errors.As(err, &stopped) || stopped.Reason != loadtest.NotSentBudget {
			t.Fatalf("got %v, want a *StopError", err)
		}
		checkBalance(t, load)
		a := load.Accounting
		// A worker may have minted one that comes after the first for which there was no money.
		if a.Sent > tokens || a.Sent < tokens-4 || a.NotSent[loadtest.NotSentBudget] != 100-a.Sent || s.seen.Load() != a.Sent {
			t.Errorf("got %+v, the server counted %d; want %d sent", a, s.seen.Load(), tokens)
		}
	}
}

// TestRunKeepsTheRate stalls the server: what could not be sent meanwhile must not be made up for in a burst.
func TestRunKeepsTheRate(t *testing.T) {
	t.Parallel()
	const perSecond = 40
	var mu sync.Mutex
	var arrived []time.Time
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		arrived = append(arrived, time.Now())
		n := len(arrived)
		mu.Unlock()
		if n == 10 {
			<-time.After(400 * time.Millisecond)
		}
		answer(w, r)
	})
	c := config(t, s.URL, "40/s", 2*time.Second)
	c.Workers = 1
	c.Shares[0].Limit.PerSecond = perSecond
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 80 {
		t.Errorf("got %+v, want 80 sent", a)
	}
	// What is sent exactly a second after another may arrive a little less than a second after it.
	for i := perSecond; i < len(arrived); i++ {
		if d := arrived[i].Sub(arrived[i-perSecond]); d < 900*time.Millisecond {
			t.Errorf("request %d arrived %v after request %d", i, d, i-perSecond)
		}
	}
	if g := load.Generator; g.Held == 0 || !g.Limited {
		t.Errorf("got generator %+v, want requests held back", g)
	}
}

// TestRunSendsNothingElsewhere has a host that nobody has allowed.
func TestRunSendsNothingElsewhere(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "100/s", 100*time.Millisecond)
	no := errors.New("not there")
	c.Shares[0].Limit.Host = func(host string) error {
		if host != "127.0.0.1" {
			t.Errorf("asked for %q", host)
		}
		return no
	}
	load, err := loadtest.Run(bounded(t), c)
	if !errors.Is(err, no) || load.Accounting.Sent != 0 || s.seen.Load() != 0 {
		t.Errorf("got %v, %+v", err, load.Accounting)
	}
}
