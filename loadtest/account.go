package loadtest

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"keyflow/drm/provider"
	"keyflow/reports"
)

// limitPercent is the share of the asked rate below which the generator counts as the limit (sheet load.md §4.10).
const limitPercent = 99.5

// hiccup is by how much time's worth of requests a generator may be behind whatever percentage that is: the last request of a
// run of a second is soon half a percent late.
const hiccup = 250 * time.Millisecond

// report makes the result out of what pacer, sender, books and verifier counted. Nobody else runs any more.
func (r *run) report() (*reports.Load, error) {
	c := r.config
	load := &reports.Load{
		Plan:       c.planned(),
		WarmUp:     r.warmUp(),
		Accounting: r.accounting(),
		Rate:       r.rate(),
		Samples:    append(r.books.samples.list(), r.verifier.samples.list()...),
	}
	load.Prepared = told(r.pools)
	if r.replayed == nil { // a journal does not tell
		load.Throttled, load.Tokens, load.Verification = r.throttled(), r.tokens(), r.verification()
	}
	load.Generator = r.generator(load)
	load.Traffic, load.Usage, load.JournalLost = r.traffic.report(), r.recorder.usage, r.recorder.lost
	if r.replayed != nil {
		r.replayed.measured(load)
	}
	if r.books.err != nil {
		return load, fmt.Errorf("record times: %w", r.books.err)
	}
	var err error
	if load.Operations, err = r.books.operations.report(r.verifier.byKind); err != nil {
		return load, err
	}
	if load.Shares, err = r.shares(); err != nil {
		return load, err
	}
	if load.Seconds, err = r.books.timeline.list(r.verifier.bySecond); err != nil {
		return load, err
	}
	for i := range load.Seconds {
		s := &load.Seconds[i]
		s.WrongBy = r.verifier.classes[s.At]
		load.Traffic.BytesSent += s.BytesSent
		load.Traffic.BytesReceived += s.BytesReceived
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
		InFlight: r.inFlight(),
		Verified: v.verified.Load(),
		Wrong:    v.wrong.Load(),
		WrongBy:  v.reasons,
		// Those in the sample that were not judged count like those outside it.
		Unverified: b.skipped + b.overflow + v.passed.Load() + v.unjudged.Load(),
		Balanced:   r.balanced(),
	}
	a.NotSent = r.notSent(b.refused, r.pacer.withheld)
	return a
}

// inFlight returns how many requests were in flight when the journal ended that is replayed.
func (r *run) inFlight() int64 {
	if r.replayed == nil {
		return 0
	}
	return r.sender.sent.Load() - r.books.answered.Load() - r.books.failed.Load()
}

// slack is by how many requests the end of the warm-up is uncertain, where a journal ends in the middle of a run: those of
// which it is not known yet how they ended, and those that a worker may have sent out of turn. A run that has come to its end
// has none.
func (r *run) slack() int64 {
	if r.replayed == nil || r.replayed.last != nil && r.replayed.last.End != nil {
		return 0
	}
	return int64(r.config.Workers) + r.inFlight()
}

// notSent adds to the refused requests those that the halted run did not release; nil if there are none of either.
func (r *run) notSent(refused tally, withheld int64) map[string]int64 {
	if withheld == 0 && len(refused) == 0 {
		return nil
	}
	by := maps.Clone(refused)
	if withheld > 0 {
		by[r.halt.reason] += withheld
	}
	return by
}

// balanced holds the counters against each other that were kept at different places: no equation follows from how its
// terms were computed.
func (r *run) balanced() bool {
	b, v := r.books, r.verifier
	released, sent := r.pacer.released.Load(), r.sender.sent.Load()
	answered, failed := b.answered.Load(), b.failed.Load()
	inFlight := r.inFlight()
	counts := b.operations.counts().with(b.warm)
	return released+r.pacer.withheld == r.total &&
		b.results.Load() == released-inFlight &&
		b.lost == 0 &&
		sent+b.refused.sum() == released &&
		answered+failed == sent-inFlight && inFlight >= 0 &&
		b.classes.sum() == failed &&
		b.queued+b.skipped+b.overflow == answered &&
		v.judged.Load()+v.unjudged.Load() == b.queued &&
		v.verified.Load()+v.passed.Load()+v.wrong.Load() == v.judged.Load() &&
		v.reasons.sum() == v.wrong.Load() &&
		v.byKind.sum() == v.wrong.Load() &&
		counts == measuredCounts{sent - inFlight, answered, failed, answered + b.classes[classTimeout], sent - inFlight} &&
		min(released, b.warming)-b.warm.sent-b.warm.refused <= r.slack() && b.warm.sent+b.warm.refused <= min(released, b.warming) &&
		preparedBalances(told(r.pools)) &&
		r.sharesBalance()
}

func (r *run) generator(load *reports.Load) reports.Generator {
	why := r.limits(load)
	g := reports.Generator{
		Limited: len(why) > 0, Why: strings.Join(why, "; "),
		WorkerBound: r.pacer.bound.Load(), Starved: r.minter.starved.Load(), Held: r.sender.held.Load(), MintedAhead: r.mintedAhead,
		VerifySeconds: r.verifying.Seconds(),
	}
	r.meter.used(&g)
	return g
}

// limits returns why the figures say more about the generator than about the server.
func (r *run) limits(load *reports.Load) []string {
	var why []string
	add := func(n int64, format string) {
		if n > 0 {
			why = append(why, fmt.Sprintf(format, n))
		}
	}
	// What was left out for a reason that is not the generator's is as good as sent.
	percent := load.Rate.Percent
	if sent := load.Accounting.Sent - r.books.warm.sent; sent > 0 {
		percent *= 1 + float64(r.books.excused)/float64(sent)
	}
	behind := time.Duration((1 - percent/100) * float64(r.span()-r.config.WarmUp))
	if load.Accounting.Sent > 0 && percent < limitPercent && behind > hiccup {
		why = append(why, fmt.Sprintf("%.1f %% of the asked rate was achieved", percent))
	}
	add(r.pacer.bound.Load(), fmt.Sprintf("%%d requests were due while all %d workers were busy", r.config.Workers))
	add(r.minter.starved.Load(), "%d requests had to wait for a minted key request")
	add(r.sender.held.Load(), "%d requests had to wait because limits.max_rps of their profile allows no more")
	add(r.books.overflow, fmt.Sprintf("%%d answers found the verification queue (%d MiB) full and are unverified", r.config.VerifyBytes>>20))
	add(r.verifier.unjudged.Load(), "%d answers are unverified because the run was cut short")
	add(r.books.classes[string(provider.ReasonExhausted)], "%d requests found no free port, file or buffer on this machine")
	add(r.books.operations.beyond(), "%d times were longer than "+HistogramMax.String()+" and are recorded as that")
	return why
}
