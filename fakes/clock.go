package fakes

import (
	"sync/atomic"
	"time"

	"keyflow/drm"
)

// MaxClockOffset is how far, in either direction, a [Clock] can be moved away from its base.
const MaxClockOffset = 100 * 365 * 24 * time.Hour

// Clock is a server's clock: a base clock and an offset that tests move. It is safe for concurrent use.
type Clock struct {
	base   drm.Clock
	offset atomic.Int64 // nanoseconds
}

// NewClock returns a clock that agrees with base until it is moved. A nil base is the machine's clock.
func NewClock(base drm.Clock) *Clock {
	if base == nil {
		base = drm.SystemClock
	}
	return &Clock{base: base}
}

// Now returns the time of the base clock, moved by the offset.
func (c *Clock) Now() time.Time { return c.base.Now().Add(c.Offset()) }

// Offset returns how far the clock has been moved.
func (c *Clock) Offset() time.Duration { return time.Duration(c.offset.Load()) }

// Advance moves the clock forward by d, or back if d is negative. The offset stops at [MaxClockOffset].
func (c *Clock) Advance(d time.Duration) {
	d = clampOffset(d)
	for {
		old := c.offset.Load()
		if c.offset.CompareAndSwap(old, int64(clampOffset(time.Duration(old)+d))) {
			return
		}
	}
}

func clampOffset(d time.Duration) time.Duration {
	return min(max(d, -MaxClockOffset), MaxClockOffset)
}
