package loadtest

import (
	"net/http"
	"sync"
	"time"

	"keyflow/drm/provider"
	"keyflow/reports"
)

// maxPause bounds a pause that a server asks for: it must not end the run in effect.
const maxPause = time.Minute

// throttle keeps what the server of one profile said about being asked too much, and until when it wants to be left alone.
type throttle struct {
	mu          sync.Mutex
	answers     int64 // 429 and 503
	told        int64 // of those, with Retry-After
	longest     time.Duration
	pauses      int
	paused      time.Duration // sum of the pauses that are over
	from, until time.Duration // of the last pause, since the run began
}

// newThrottles returns the throttle of each share; shares of a profile have one.
func newThrottles(shares []Share) []*throttle {
	return inCommon(shares, profileOf, func(Share) *throttle { return &throttle{} })
}

// note records an answer. polite begins a pause, or prolongs the one that goes on.
func (t *throttle) note(status int, h http.Header, now time.Duration, polite bool) {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers++
	if h.Get("Retry-After") == "" {
		return
	}
	wait := provider.RetryAfter(h)
	t.told++
	t.longest = max(t.longest, wait)
	if !polite || wait == 0 {
		return
	}
	if now >= t.until {
		t.paused += t.until - t.from
		t.from, t.until = now, now
		t.pauses++
	}
	t.until = max(t.until, now+min(wait, maxPause))
}

// rests reports whether a request falls into a pause: it would be sent in it, or was due in it and must not be made up for.
func (t *throttle) rests(due, now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return now < t.until || due >= t.from && due < t.until
}

// rests notes that a flight is not sent because the server wants a pause, and reports that.
func (s *sender) rests(f *flight) bool {
	if !s.polite || !s.throttles[f.share].rests(s.pacer.plan.Due(f.seq), time.Since(s.pacer.began)) {
		return false
	}
	f.refused = NotSentPolite
	return true
}

// throttled tells what servers said about being asked too much, nil if none did.
func (r *run) throttled() *reports.Throttled {
	out := &reports.Throttled{Polite: r.config.Polite}
	for _, t := range distinct(r.sender.throttles) {
		t.mu.Lock()
		out.Answers += t.answers
		out.RetryAfter += t.told
		out.LongestMS = max(out.LongestMS, t.longest.Milliseconds())
		out.Pauses += t.pauses
		// The last pause may go on beyond the plan.
		out.PausedMS += (t.paused + min(t.until, max(t.from, r.span())) - t.from).Milliseconds()
		t.mu.Unlock()
	}
	if out.Answers == 0 {
		return nil
	}
	return out
}
