package loadtest_test

import (
	"bytes"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/loadtest"
)

// tired answers request number at with a status and Retry-After.
func tired(n *atomic.Int64, at int64, status int, after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) != at {
			answer(w, r)
			return
		}
		drain(r)
		w.Header().Set("Retry-After", after)
		w.WriteHeader(status)
	}
}

// TestRunObeysRetryAfter only if it is polite: what is due in the pause is not sent, and nothing piles up behind it.
func TestRunObeysRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		polite bool
		status int
		class  string
	}{{false, 429, "http-429"}, {true, 429, "http-429"}, {true, 503, "http-503"}} {
		t.Run(c.class, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			s := serve(t, tired(&n, 50, c.status, "1"))
			cfg := config(t, s.URL, "100/s", 2500*time.Millisecond)
			cfg.Polite = c.polite
			load, err := loadtest.Run(bounded(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkBalance(t, load)
			a, told := load.Accounting, load.Throttled
			if a.Failed[c.class] != 1 || told == nil || told.Answers != 1 || told.RetryAfter != 1 || told.LongestMS != 1000 || told.Polite != c.polite {
				t.Fatalf("got %+v, %+v", a, told)
			}
			if !c.polite {
				if a.Sent != 250 || told.Pauses != 0 {
					t.Errorf("got %+v, %+v: the pause was obeyed", a, told)
				}
				return
			}
			// The pause begins when the answer comes, and lasts for a second whatever the machine does.
			if paused := a.NotSent[loadtest.NotSentPolite]; paused < 60 || paused > 140 || a.Sent != 250-paused || s.seen.Load() != a.Sent {
				t.Errorf("got %+v, the server counted %d; want about 100 not sent", a, s.seen.Load())
			}
			if told.Pauses != 1 || told.PausedMS != 1000 {
				t.Errorf("got %+v, want one pause of a second", told)
			}
			if load.Rate.Percent > 80 {
				t.Errorf("%.1f %% of the rate: the pause is left out", load.Rate.Percent)
			}
		})
	}
}

// TestRunPausesOneShare has two servers, one of which asks for a pause longer than the plan.
func TestRunPausesOneShare(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	a, b := serve(t, answer), serve(t, tired(&n, 10, http.StatusTooManyRequests, "30"))
	c := mixConfig(t, a.URL, b.URL, "200/s", time.Second)
	c.Polite = true
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 150, 50)
	first, second := load.Shares[0].Accounting, load.Shares[1].Accounting
	if first.Sent != 150 || len(first.NotSent) != 0 {
		t.Errorf("got %+v for the server that did not ask", first)
	}
	if second.Sent > 30 || second.NotSent[loadtest.NotSentPolite] != 50-second.Sent {
		t.Errorf("got %+v for the server that asked for a pause", second)
	}
	if told := load.Throttled; told == nil || told.LongestMS != 30_000 || told.PausedMS > 20_000 { // the pause ends with the plan
		t.Errorf("got %+v", told)
	}
}

// TestReplayOfAPause tells what was not sent out of politeness from a journal too.
func TestReplayOfAPause(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	a, b := serve(t, answer), serve(t, tired(&n, 10, http.StatusTooManyRequests, "1"))
	c := mixConfig(t, a.URL, b.URL, "200/s", 2*time.Second)
	c.Polite, c.WarmUp = true, 500*time.Millisecond
	var out bytes.Buffer
	journalOf(t, &c, &out, nil)
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	again := replayed(t, out.Bytes())
	if load.Accounting.NotSent[loadtest.NotSentPolite] == 0 || !again.Load.Balanced() {
		t.Fatalf("got %+v, replayed %+v", load.Accounting, again.Load.Accounting)
	}
	for i := range load.Shares {
		if got, want := again.Load.Shares[i].Accounting.NotSent, load.Shares[i].Accounting.NotSent; !maps.Equal(got, want) {
			t.Errorf("share %d: replayed %v, want %v", i, got, want)
		}
	}
}
