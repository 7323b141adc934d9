package loadtest_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/loadtest"
)

// settlements counts how each minted request was settled.
type settlements struct {
	mu      sync.Mutex
	minted  int64
	unsent  int64
	lost    int64 // sent, without an answer
	answers int64
	twice   bool
}

// wrap makes a source whose requests have to be settled, once each. verdict is the one on every answer.
func (s *settlements) wrap(mint loadtest.Source, verdict drm.Verdict) loadtest.Source {
	return func(ctx context.Context) (loadtest.Fresh, error) {
		fresh, err := mint(ctx)
		if err != nil {
			return fresh, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.minted++
		settled := false
		fresh.Settle = func(e loadtest.Ended) drm.Verdict {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.twice = s.twice || settled
			settled = true
			switch {
			case e.Answer != nil:
				s.answers++
			case e.Sent:
				s.lost++
			default:
				s.unsent++
			}
			return verdict
		}
		return fresh, nil
	}
}

// TestSettleOnce runs into every end that a request can have: each that was minted is settled once, and the answers are those that
// were judged.
func TestSettleOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server http.HandlerFunc
		change func(c *loadtest.Config, cancel func())
		fails  bool
		// answers are settled as such: all that were answered unless lost, when there may be fewer.
		lost bool
	}{
		"answered": {server: answer, change: func(*loadtest.Config, func()) {}},
		"failed":   {server: body(503, "text/plain", "no"), change: func(*loadtest.Config, func()) {}},
		"not verified": {server: answer, change: func(c *loadtest.Config, _ func()) {
			c.Verify, c.Judge = loadtest.VerifyNone, nil
		}},
		"outside the sample": {server: answer, change: func(c *loadtest.Config, _ func()) { c.Verify = loadtest.VerifyNone - 1 }},
		"queue full":         {server: answer, change: func(c *loadtest.Config, _ func()) { c.VerifyBytes = 1 }, lost: true},
		"queue full, not verified": {server: answer, change: func(c *loadtest.Config, _ func()) {
			c.VerifyBytes, c.Verify = 1, loadtest.VerifyNone
		}, lost: true},
		"interrupted": {server: answer, change: func(c *loadtest.Config, cancel func()) {
			c.Plan.Duration = time.Minute
			c.MintAhead = 200
			n, mint := 0, c.Shares[0].Source
			var mu sync.Mutex
			c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n == 250 {
					cancel()
				}
				return mint(ctx)
			}
		}, lost: true},
		"no more requests": {server: answer, fails: true, change: func(c *loadtest.Config, _ func()) {
			n, mint := 0, c.Shares[0].Source
			var mu sync.Mutex
			c.MintAhead = 8
			c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n > 20 {
					return loadtest.Fresh{}, io.ErrUnexpectedEOF
				}
				return mint(ctx)
			}
		}, lost: true},
		"unreachable": {server: answer, fails: true, change: func(c *loadtest.Config, _ func()) { c.Shares[0].Profile.Request.URL = "http://127.0.0.1:1" }},
		"no URL":      {server: answer, fails: true, change: func(c *loadtest.Config, _ func()) { c.Shares[0].Profile.Request.URL = "license" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.server)
			config := config(t, s.URL, "200/s", 300*time.Millisecond)
			var got settlements
			config.Shares[0].Source = got.wrap(config.Shares[0].Source, drm.Verdict{Depth: drm.DepthFull})
			ctx, cancel := context.WithCancel(bounded(t))
			defer cancel()
			c.change(&config, cancel)
			load, err := loadtest.Run(ctx, config)
			if (err != nil) != c.fails {
				t.Fatalf("got error %v", err)
			}
			checkBalance(t, load)
			a := load.Accounting
			if got.twice || got.minted == 0 || got.unsent+got.lost+got.answers != got.minted {
				t.Errorf("%d minted, %d never sent, %d lost, %d with an answer; one twice: %v", got.minted, got.unsent, got.lost, got.answers, got.twice)
			}
			if got.lost+got.answers != a.Sent || got.answers > a.Answered || !c.lost && got.answers != a.Answered {
				t.Errorf("%d lost, %d with an answer; the accounting is %+v", got.lost, got.answers, a)
			}
			if config.Verify == loadtest.VerifyNone && a.Unverified != a.Answered {
				t.Errorf("something was verified: %+v", a)
			}
			if name == "outside the sample" && a.Verified != a.Answered {
				t.Errorf("an answer that is processed is not verified: %+v", a)
			}
		})
	}
}

// TestSettleVerdict takes the verdict on an answer from where it is processed, not from the judge.
func TestSettleVerdict(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "200/s", 100*time.Millisecond)
	var got settlements
	c.Shares[0].Source = got.wrap(c.Shares[0].Source, drm.Verdict{Findings: []drm.Finding{{Reason: "license-version", Expected: "2", Seen: "1"}}})
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Wrong != 20 || a.WrongBy["license-version"] != 20 {
		t.Errorf("got %+v", a)
	}
}
