package provider

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBackoff bounds a pause before a retry, whatever profile and service say.
const maxBackoff = time.Minute

// Backoff is the first and the longest pause before a retry; each is twice the one before.
type Backoff struct{ First, Longest time.Duration }

func (b *Backoff) decode(d *decoder, n *node, path string) {
	low, high, isRange := strings.Cut(n.text, "..")
	if !isRange {
		high = low
	}
	first, err := time.ParseDuration(low)
	longest, err2 := time.ParseDuration(high)
	if n.kind != nodeString || err != nil || err2 != nil || first <= 0 || longest < first || longest > maxBackoff {
		d.bad(n.line, path, "want the first and the longest pause, up to %v, e.g. 200ms..5s, seen %s", maxBackoff, n.told())
		return
	}
	*b = Backoff{first, longest}
}

// Pause says whether a refused request is to be sent once more after attempt requests, and after how long. after is the header
// of the refusal, which may hold Retry-After.
func (r Retry) Pause(attempt int, m *Matched, after http.Header) (time.Duration, bool) {
	if m == nil || m.Retry != "backoff" || attempt > r.Max || len(r.Classes) > 0 && !slices.Contains(r.Classes, m.Class) {
		return 0, false
	}
	pause := r.Backoff.First
	for range attempt - 1 {
		pause = min(2*pause, r.Backoff.Longest)
	}
	if r.HonourRetryAfter {
		pause = max(pause, min(RetryAfter(after), maxBackoff))
	}
	return pause, true
}

// maxRetryAfter bounds what [RetryAfter] returns.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long an answer's Retry-After says to wait: seconds, or a time, which counts from the answer's own Date
// (RFC 9110 §10.2.3). It is between 0 and a day; zero: it says nothing.
func RetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, int(maxRetryAfter/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(text)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// NewToken says whether a refused request is to be sent once more with a new token: its matcher says once_new_token, and its
// class is one of those that the profile retries by name.
func (r Retry) NewToken(m *Matched) bool {
	return m != nil && m.Retry == "once_new_token" && r.Max > 0 && slices.Contains(r.Classes, m.Class)
}

func (v *validator) retry() {
	r := &v.p.Retry
	if r.Max < 0 || r.Max > 10 {
		v.bad("retry.max", "want 0 to 10 retries, seen %d", r.Max)
	}
	for i, c := range r.Classes {
		oneOf(v, "retry.classes["+strconv.Itoa(i)+"]", c, errorClasses()...)
	}
	if r.Backoff.First == 0 {
		r.Backoff = Backoff{200 * time.Millisecond, 5 * time.Second}
	}
}
