package loadtest

import (
	"sync/atomic"
	"time"
)

// pacer releases the plan's requests to vegeta when they are due, and stops it by count: vegeta's own duration silently
// drops what is late (sheet load.md §3), so that the attack is called with duration 0.
//
// It waits inside Pace rather than letting vegeta sleep, because that sleep cannot be interrupted, and because only here
// it can be seen whether a worker is free at the moment at which a request is due.
type pacer struct {
	plan    Plan
	total   int64
	workers int64
	warming int64 // requests of the warm-up
	halt    *halt
	// settled counts the results that vegeta has delivered; released minus settled is the number of occupied workers.
	settled *atomic.Int64
	// waiting counts workers that wait for a key request: that all are busy then is told as that.
	waiting *atomic.Int64

	began    time.Time // of the plan; set at the first call, before the first worker gets its tick
	released atomic.Int64
	withheld int64         // planned but never released; set when the run is halted
	stopped  time.Duration // since began, when the run was halted; 0 if it was not
	bound    atomic.Int64  // requests behind the warm-up that were due while every worker was busy
}

// Pace implements vegeta.Pacer. It returns when request number hits is due, or at once with stop when the plan is done
// or the run is halted.
func (p *pacer) Pace(_ time.Duration, hits uint64) (time.Duration, bool) {
	i := int64(hits)
	if i == 0 {
		p.began = time.Now()
	}
	if i >= p.total {
		return 0, true
	}
	if !p.wait(p.plan.Due(i)) {
		p.withheld = p.total - i
		p.stopped = max(time.Since(p.began), 1)
		return 0, true
	}
	if i >= p.warming && p.released.Load()-p.settled.Load() >= p.workers && p.waiting.Load() == 0 {
		p.bound.Add(1)
	}
	p.released.Add(1)
	return 0, false
}

// wait sleeps until due and reports whether the run goes on.
func (p *pacer) wait(due time.Duration) bool {
	left := due - time.Since(p.began)
	if left <= 0 {
		return !p.halt.halted()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !p.halt.halted()
	case <-p.halt.soft.Done():
		return false
	}
}

// Rate implements vegeta.Pacer; it returns requests per second.
func (p *pacer) Rate(time.Duration) float64 { return p.plan.PerSecond() }
