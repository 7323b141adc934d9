package loadtest

import (
	"fmt"
	"time"

	"keyflow/reports"
)

// warming returns how many of the plan's, or slice's, requests belong to the warm-up: those that are due within it.
func (c Config) warming() int64 { return c.Plan.Before(c.WarmUp) }

// warmBook counts the requests of the warm-up. They are in the totals like all others, but not among those that are measured:
// the two are counted apart and must add up.
type warmBook struct {
	sent, refused, answered int64
	latencies               int64 // that would have been recorded

	classes tally
}

func newWarmBook() warmBook { return warmBook{classes: tally{}} }

// record enters a flight of the warm-up.
func (w *warmBook) record(f *flight) {
	if f.refused != "" {
		w.refused++
		return
	}
	w.sent++
	if f.failure.class == "" {
		w.answered++
	} else {
		w.classes.add(f.failure.class)
	}
	if f.timed() {
		w.latencies++
	}
}

// measuredCounts are sums over the operations that are measured.
type measuredCounts struct{ sent, answered, failed, latencies, lags int64 }

// with adds the warm-up: what results must be the counts of the whole run.
func (c measuredCounts) with(w warmBook) measuredCounts {
	c.sent += w.sent
	c.answered += w.answered
	c.failed += w.classes.sum()
	c.latencies += w.latencies
	c.lags += w.sent
	return c
}

// warmUp tells what the warm-up had, nil if there was none.
func (r *run) warmUp() *reports.WarmUp {
	if r.config.WarmUp == 0 {
		return nil
	}
	w := r.books.warm
	return &reports.WarmUp{
		DurationMS: r.config.WarmUp.Milliseconds(), Planned: r.books.warming,
		Sent: w.sent, Answered: w.answered, Failed: w.classes, Wrong: r.verifier.warmWrong.Load(),
	}
}

// span returns the time in which the rate was achieved, counted from the beginning of the run: the plan's duration, or up to
// the last request if that was sent later, or up to the moment at which the run was halted.
func (r *run) span() time.Duration {
	if r.pacer.stopped > 0 {
		return max(r.pacer.stopped, r.books.last)
	}
	return max(r.config.Plan.Duration, r.books.last)
}

// rate compares what was asked behind the warm-up with what was done.
func (r *run) rate() reports.Rate {
	plan, warmUp := r.config.Plan, r.config.WarmUp
	rate := reports.Rate{AskedPerSec: plan.PerSecond(), Percent: 100}
	due := float64(r.total - r.books.warming)
	if len(plan.Stages) > 0 {
		rate.AskedPerSec = due / (plan.Duration - warmUp).Seconds()
	}
	span := r.span()
	measured := (span - warmUp).Seconds()
	if measured <= 0 {
		return rate
	}
	sent := float64(r.sender.sent.Load() - r.books.warm.sent)
	rate.AchievedPerSec = sent / measured
	rate.AnsweredPerSec = float64(r.books.answered.Load()-r.books.warm.answered) / measured
	if span <= plan.Duration {
		due = float64(plan.Before(span) - r.books.warming)
	} else { // late: more would have been due by then
		due *= measured / (plan.Duration - warmUp).Seconds()
	}
	if due > 0 {
		rate.Percent = 100 * sent / due
	}
	return rate
}

// CheckWarmUp reports a warm-up that a report could not tell, or that leaves nothing to be measured. The plan must be valid.
func (c Config) CheckWarmUp() error {
	switch {
	case c.WarmUp < 0 || c.WarmUp%time.Millisecond != 0:
		return fmt.Errorf("a warm-up of %s is no number of whole milliseconds", c.WarmUp)
	case c.WarmUp >= c.Plan.Duration:
		return fmt.Errorf("a warm-up of %s leaves nothing of a plan of %s to be measured", c.WarmUp, c.Plan.Duration)
	case c.WarmUp > 0 && c.Plan.wholeBefore(c.WarmUp) >= c.Plan.wholeBefore(c.Plan.Duration):
		return fmt.Errorf("all requests of the plan are due within the warm-up of %s", c.WarmUp)
	}
	return nil
}
