package loadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

const (
	// DefaultTokenPatience is how long a token service may fail without a break before the run ends.
	DefaultTokenPatience = 30 * time.Second

	// tokenGrace is how long a request waits for its lease beyond the time at which it is due. Longer is an outage: the wait would
	// be taken for the license server's.
	tokenGrace = time.Second

	firstTokenPause, longestTokenPause = 100 * time.Millisecond, time.Second // between attempts in an outage

	maxOutages = 16 // that are told one by one
)

// supply is how the leases of one profile come. When the token service fails, requests wait for it as long as they are not due;
// from then on they are not sent, for [NotSentToken].
type supply struct {
	profile *provider.Profile
	before  provider.TokenCounts // of the profile, before the run

	mu     sync.Mutex
	had    bool          // a lease, ever
	left   time.Duration // that the last lease had to live when it was taken; 0: it does not expire
	change chan struct{} // closed and renewed when one of these changes

	since    time.Time // of the outage; zero: there is none
	attempt  time.Time // of the outage: not before
	pause    time.Duration
	trying   bool // somebody asks the failing service
	class    string
	failures tally
	waited   atomic.Int64 // requests that came late because the token service had just come back
	outages  []outage
	lost     int       // outages that are not told one by one
	over     time.Time // when the last outage ended
}

// outage is a time in which a token service gave no token.
type outage struct {
	from, to time.Time
	class    string
}

// newSupplies returns the supply of each share; shares of a profile have one.
func newSupplies(shares []Share) []*supply {
	return inCommon(shares, profileOf, func(s Share) *supply {
		return &supply{profile: s.Profile, before: s.Profile.TokenCounts(), change: make(chan struct{}), failures: tally{}}
	})
}

func (s *supply) changed() {
	close(s.change)
	s.change = make(chan struct{})
}

// came notes a lease that was taken with so much to live.
func (s *supply) came(left time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.had, s.left, s.trying = true, left, false
	s.end(now)
	s.changed()
}

// end closes the outage, if there is one.
func (s *supply) end(now time.Time) {
	if s.since.IsZero() {
		return
	}
	if len(s.outages) < maxOutages {
		s.outages = append(s.outages, outage{s.since, now, s.class})
	} else {
		s.lost++
	}
	s.since, s.over = time.Time{}, now
}

// failed notes that no lease came, and returns since when that has been so.
func (s *supply) failed(class string, began, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trying = false
	class = s.failures.add(class)
	if s.since.IsZero() {
		s.since, s.class, s.pause = began, class, firstTokenPause
	} else {
		s.pause = min(2*s.pause, longestTokenPause)
	}
	s.attempt = now.Add(s.pause)
	s.changed()
	return s.since
}

// withdraw ends an attempt that says nothing about the token service.
func (s *supply) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trying = false
	s.changed()
}

// lead returns how long before it is due a request may be minted, so that its lease lives until its answer has come or has been
// given up, or for half of its life if that is too short; 0 for any time.
func (s *supply) lead(timeout time.Duration) time.Duration {
	if s.left == 0 {
		return 0
	}
	return max(s.left/2, s.left-timeout, time.Millisecond)
}

// turn is what a worker is to do for a request.
type turn int

const (
	turnMint   turn = iota
	turnRefuse      // the token service fails, and the request is due
	turnRetry       // the token service fails: wait until it may be asked again
	turnWait        // a lease of now would expire: wait
)

// turn says what a worker is to do for a request that is due at a time. If it is to wait, that is until a time or a change.
func (s *supply) turn(due time.Time, begun bool, timeout time.Duration, now time.Time) (t turn, at time.Time, change <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lead := s.lead(timeout)
	switch {
	case s.since.IsZero() && (lead == 0 || due.Sub(now) <= lead):
		return turnMint, at, nil
	case s.since.IsZero():
		return turnWait, due.Add(-lead), s.change
	case begun && !now.Before(due):
		return turnRefuse, at, nil
	case !s.trying && !now.Before(s.attempt):
		s.trying = true // one asks for all
		return turnMint, at, nil
	}
	if at = s.attempt; s.trying {
		at = now.Add(longestTokenPause)
	}
	if begun && due.Before(at) {
		at = due
	}
	return turnRetry, at, s.change
}

// begin tells the minter when the plan began.
func (m *minter) begin(now time.Time) {
	m.began = now
	close(m.begun)
}

// due returns when a request is due, and whether that is known: before the run has begun, it is as if it began now.
func (m *minter) due(n int64) (time.Time, bool) {
	select {
	case <-m.begun:
		return m.began.Add(m.plan.Due(n)), true
	default:
		return time.Now().Add(m.plan.Due(n)), false
	}
}

// supplied mints request n when its share has a lease to give: not so early that it would expire, again while the token service
// fails, and not at all when the request is due before it is back.
func (m *minter) supplied(ctx context.Context, n int64) (*flight, error) {
	s := m.supplies[m.mix.Share(m.plan, n)]
	for {
		due, begun := m.due(n)
		turn, at, change := s.turn(due, begun, m.timeout, time.Now())
		switch turn {
		case turnRefuse:
			return m.refuse(n, NotSentToken), nil
		case turnRetry, turnWait:
			if !begun && turn == turnWait { // the run need not wait for more than can be minted now
				m.finishAhead()
				at = time.Now().Add(longestTokenPause)
			}
			if err := m.linger(ctx, at, begun, change); err != nil {
				return nil, err
			}
			continue
		}
		f, err := m.try(ctx, s, n, due, begun)
		if f != nil || err != nil {
			return f, err
		}
	}
}

// linger waits until a time, the beginning of the run, or a change of the supply.
func (m *minter) linger(ctx context.Context, at time.Time, begun bool, change <-chan struct{}) error {
	begins := m.begun
	if begun {
		begins = nil
	}
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-begins:
	case <-change:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// try mints request n. It returns neither flight nor error if that is to be done once more: the token service failed, or the lease
// would have expired by the time the request is sent.
func (m *minter) try(ctx context.Context, s *supply, n int64, due time.Time, known bool) (*flight, error) {
	began := time.Now()
	attempt, cancel := ctx, context.CancelFunc(func() {})
	if known && m.shares[m.mix.Share(m.plan, n)].Profile.TakesToken() {
		latest := began
		if due.After(latest) {
			latest = due
		}
		attempt, cancel = context.WithDeadline(ctx, latest.Add(tokenGrace))
	}
	defer cancel()
	f, err := m.mint(attempt, n, nil)
	if err != nil {
		class, passing := passingToken(ctx, err)
		if !passing || !s.known() {
			s.withdraw()
			return nil, err
		}
		if since := s.failed(class, began, time.Now()); time.Since(since) > m.patience {
			return nil, &StopError{NotSentToken, fmt.Errorf("the token service failed for more than %v: %w", m.patience, err)}
		}
		return nil, nil
	}
	if m.shares[f.share].Renewing != nil { // its sessions take another lease themselves
		s.withdraw()
		return f, nil
	}
	left := f.left(m.shares[f.share].Clock)
	s.came(left, time.Now())
	// A shared lease may be nearer to its end than the one before it.
	if left > 0 && time.Until(due) > (&supply{left: left}).lead(m.timeout) {
		f.land(false, nil)
		return nil, nil
	}
	return f, nil
}

// starve counts a flight that was not there when it was due: to its token service if that has just come back, else to the
// generator.
func (m *minter) starve(f *flight) {
	due, _ := m.due(f.seq)
	s := m.supplies[f.share]
	s.mu.Lock()
	late := due.Before(s.over.Add(tokenGrace))
	s.mu.Unlock()
	switch {
	case f.refused != "":
	case late:
		s.waited.Add(1)
	default:
		m.starved.Add(1)
	}
}

func (s *supply) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.had
}

// left returns how long the flight's lease lives, 0 if it does not expire.
func (f *flight) left(clock drm.Clock) time.Duration {
	if f.lease == nil || f.lease.Expires.IsZero() {
		return 0
	}
	return max(f.lease.Expires.Sub(clock.Now()), 1)
}

// passingToken reports whether an error is that of a token service that may be back later, and its class.
func passingToken(whole context.Context, err error) (class string, passing bool) {
	var token *provider.TokenError
	var transport *provider.TransportError
	switch {
	case whole.Err() != nil, stopFor(err) != nil:
		return "", false
	case errors.Is(err, context.DeadlineExceeded): // the attempt's
		return classTimeout, true
	case !errors.As(err, &token) || !token.Passing():
		return "", false
	case errors.As(token.Err, &transport):
		return string(transport.Reason), true
	case token.Status != 0:
		return fmt.Sprintf("http-%03d", token.Status), true
	}
	return string(token.Class), true
}

// renew mints a flight anew whose lease has expired while it waited. It returns a flight that is not to be sent if the token service
// gives none.
func (m *minter) renew(n int64, again Source) (*flight, error) {
	ctx, cancel := context.WithTimeout(m.halt.soft, tokenGrace)
	defer cancel()
	f, err := m.mint(ctx, n, again)
	if class, passing := passingToken(m.halt.soft, err); err != nil && passing {
		m.supplies[m.mix.Share(m.plan, n)].failed(class, time.Now(), time.Now())
		return m.refuse(n, NotSentToken), nil
	}
	return f, err
}

// tokens tells how the tokens of the run came, nil if it needs none of a service and renews none.
func (r *run) tokens() *reports.Tokens {
	out := &reports.Tokens{}
	supplies := distinct(r.minter.supplies)
	for _, s := range supplies {
		s.tell(out, r, len(supplies) > 1)
	}
	if out.Taken+out.Renewed+out.Failed == 0 && len(out.Outages) == 0 {
		return nil
	}
	return out
}

// tell adds what the supply counted and its outages; named tells whose they are.
func (s *supply) tell(out *reports.Tokens, r *run, named bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.profile.TokenCounts()
	out.Taken += now.Taken - s.before.Taken
	out.Renewed += now.Renewed - s.before.Renewed
	out.Failed += now.Failed - s.before.Failed
	s.end(r.minter.began.Add(r.span()))
	for _, o := range s.outages {
		told := reports.Outage{MS: o.to.Sub(o.from).Milliseconds(), Class: o.class}
		if !r.minter.began.IsZero() {
			told.AtMS = max(0, o.from.Sub(r.minter.began).Milliseconds())
		}
		if named {
			told.Profile = s.profile.ID
		}
		out.Outages = append(out.Outages, told)
	}
	out.More += s.lost
	out.Waited += s.waited.Load()
}
