package loadtest

import (
	"fmt"
	"strings"
	"time"

	"keyflow/drm/provider"
	"keyflow/reports"
)

// limitPercent is the share of the asked rate below which the generator counts as the limit (sheet load.md §4.10).
const limitPercent = 99.5

// report makes the result out of what pacer, sender, books and verifier counted. Nobody else runs any more.
func (r *run) report() (*reports.Load, error) {
	c := r.config
	load := &reports.Load{
		Plan: reports.Plan{
			Shape: ShapeConstant, RatePerSec: c.Plan.PerSecond(), DurationMS: c.Plan.Duration.Milliseconds(),
			Requests: r.total, Verify: c.Verify.String(), Workers: c.Workers,
		},
		Accounting: r.accounting(),
		Rate:       r.rate(),
		Samples:    append(r.books.samples.list(), r.verifier.samples.list()...),
	}
	load.Generator = r.generator(load)
	if r.books.err != nil {
		return load, fmt.Errorf("record times: %w", r.books.err)
	}
	var err error
	if load.Operations, err = r.books.operations.report(); err != nil {
		return load, err
	}
	if load.Shares, err = r.shares(); err != nil {
		return load, err
	}
	if load.Seconds, err = r.books.timeline.list(r.verifier.bySecond); err != nil {
		return load, err
	}
	load.SLOs, err = Evaluate(c.SLOs, load)
	return load, err
}

func (r *run) accounting() reports.Accounting {
	b, v := r.books, r.verifier
	a := reports.Accounting{
		Planned:  r.total,
		Sent:     r.sender.sent.Load(),
		Answered: b.answered.Load(),
		Failed:   b.classes,
		Verified: v.verified.Load(),
		Wrong:    v.wrong.Load(),
		WrongBy:  v.reasons,
		// Those in the sample that were not judged count like those outside it.
		Unverified: b.skipped + b.overflow + v.passed.Load() + v.unjudged.Load(),
		Balanced:   r.balanced(),
	}
	if n := r.pacer.withheld + b.refused; n > 0 {
		a.NotSent = map[string]int64{r.halt.reason: n}
	}
	return a
}

// balanced holds the counters against each other that were kept at different places: no equation follows from how its
// terms were computed.
func (r *run) balanced() bool {
	b, v := r.books, r.verifier
	released, sent := r.pacer.released.Load(), r.sender.sent.Load()
	answered, failed := b.answered.Load(), b.failed.Load()
	latencies, lags := b.operations.counts()
	return released+r.pacer.withheld == r.total &&
		b.results.Load() == released &&
		b.lost == 0 &&
		sent+b.refused == released &&
		answered+failed == sent &&
		b.classes.sum() == failed &&
		b.queued+b.skipped+b.overflow == answered &&
		v.judged.Load()+v.unjudged.Load() == b.queued &&
		v.verified.Load()+v.passed.Load()+v.wrong.Load() == v.judged.Load() &&
		v.reasons.sum() == v.wrong.Load() &&
		lags == sent &&
		latencies == answered+b.classes[classTimeout] &&
		r.sharesBalance()
}

// span returns the time in which the rate was achieved: the plan's duration, or up to the last request if that was sent
// later, or up to the moment at which the run was halted.
func (r *run) span() time.Duration {
	if r.pacer.stopped > 0 {
		return max(r.pacer.stopped, r.books.last)
	}
	return max(r.config.Plan.Duration, r.books.last)
}

func (r *run) rate() reports.Rate {
	span := r.span()
	sent := r.sender.sent.Load()
	rate := reports.Rate{
		AskedPerSec:    r.config.Plan.PerSecond(),
		AchievedPerSec: float64(sent) / span.Seconds(),
		AnsweredPerSec: float64(r.books.answered.Load()) / span.Seconds(),
		Percent:        100,
	}
	if due := r.config.Plan.Before(span); due > 0 {
		rate.Percent = 100 * float64(sent) / float64(due)
	}
	return rate
}

func (r *run) generator(load *reports.Load) reports.Generator {
	cpu, pauses := r.meter.used()
	why := r.limits(load)
	return reports.Generator{
		Limited: len(why) > 0, Why: strings.Join(why, "; "),
		WorkerBound: r.pacer.bound, Starved: r.minter.starved.Load(), MintedAhead: r.mintedAhead,
		CPUSeconds: cpu, GCPauses: pauses, MaxHeapBytes: r.meter.maxHeap, VerifySeconds: r.verifying.Seconds(),
	}
}

// limits returns why the figures say more about the generator than about the server.
func (r *run) limits(load *reports.Load) []string {
	var why []string
	add := func(n int64, format string) {
		if n > 0 {
			why = append(why, fmt.Sprintf(format, n))
		}
	}
	if load.Accounting.Sent > 0 && load.Rate.Percent < limitPercent {
		why = append(why, fmt.Sprintf("%.1f %% of the asked rate was achieved", load.Rate.Percent))
	}
	add(r.pacer.bound, fmt.Sprintf("%%d requests were due while all %d workers were busy", r.config.Workers))
	add(r.minter.starved.Load(), "%d requests had to wait for a minted key request")
	add(r.books.overflow, fmt.Sprintf("%%d answers found the verification queue (%d MiB) full and are unverified", r.config.VerifyBytes>>20))
	add(r.verifier.unjudged.Load(), "%d answers are unverified because the run was cut short")
	add(r.books.classes[string(provider.ReasonExhausted)], "%d requests found no free port, file or buffer on this machine")
	add(r.books.operations.beyond(), "%d times were longer than "+HistogramMax.String()+" and are recorded as that")
	return why
}
