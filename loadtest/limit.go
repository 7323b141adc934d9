package loadtest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Limit is what the shares of a profile may send together, whatever the plan says: what the owner of the service allows. The zero
// value allows all.
type Limit struct {
	// PerSecond is how many requests may be sent in any second, 0 for any number. One that comes too early waits, and that
	// counts as lag: after a stall the rate is not made up for.
	PerSecond int
	// Count counts a request that is about to be sent. An error, such as a [*provider.LimitError], ends the run.
	Count func() error
	// Host returns why nothing may be sent to a host, nil if it may.
	Host func(host string) error
}

// StopError says that a run ended before its plan because it was not to go on: the requests that were due then and later
// are not sent for its reason, and the result is complete.
type StopError struct {
	Reason string // as in the accounting
	Err    error
}

// Error names reason and cause.
func (e *StopError) Error() string { return fmt.Sprintf("%s: %v", e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Err }

// stopFor returns the StopError that an error of minting comes down to, nil if it is none.
func stopFor(err error) *StopError {
	var stop *StopError
	var budget *provider.BudgetError
	var limit *provider.LimitError
	switch {
	case errors.As(err, &stop):
		return stop
	case errors.As(err, &budget):
		return &StopError{NotSentBudget, budget}
	case errors.As(err, &limit):
		return &StopError{NotSentLimit, limit}
	}
	return nil
}

// pace spreads the requests of one profile so that no second has more than n of them. A nil pace lets all pass.
type pace struct {
	mu   sync.Mutex
	sent []time.Duration // since the run began: when the last n requests were sent, the oldest at next
	next int
	n    int
}

// newPaces returns the pace of each share; shares of a profile have one, and those whose requests cannot be too many have none.
func newPaces(shares []Share, planned []int64) []*pace {
	sums := map[*provider.Profile]int64{}
	for i, share := range shares {
		sums[share.Profile] += planned[i]
	}
	return inCommon(shares, profileOf, func(s Share) *pace {
		n := s.Limit.PerSecond
		if n <= 0 || sums[s.Profile] <= int64(n) {
			return nil
		}
		return &pace{n: n}
	})
}

// reserve returns how long a request has to wait that could be sent now.
func (p *pace) reserve(now time.Duration) time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) < p.n {
		p.sent = append(p.sent, now)
		return 0
	}
	at := max(now, p.sent[p.next]+time.Second)
	p.sent[p.next] = at
	p.next = (p.next + 1) % p.n
	return at - now
}

// heldAfter is the wait from which a request counts as held back: less is the jitter of timers, and shows in the lag.
const heldAfter = 10 * time.Millisecond

// refuses reports whether a flight is not to be sent after all, and notes why. It waits for the owner's limits.
func (s *sender) refuses(f *flight) bool {
	if s.rests(f) {
		return true
	}
	if wait := s.paces[f.share].reserve(time.Since(s.pacer.began)); wait > 0 {
		if wait > heldAfter {
			s.held.Add(1)
		}
		if drm.Sleep(s.halt.soft, wait) != nil {
			f.refused = s.halt.reason
			return true
		}
	}
	if s.halt.halted() { // a limit that another request met is met for this one
		f.refused = s.halt.reason
		return true
	}
	if s.rests(f) { // an answer may have asked for it while this waited
		return true
	}
	count := s.shares[f.share].Limit.Count
	if count == nil {
		return false
	}
	if err := count(); err != nil {
		s.halt.end(&StopError{NotSentLimit, err})
		f.refused = s.halt.reason
		return true
	}
	return false
}
