package loadtest

import "keyflow/reports"

// shareCounts are the counters of one share, or their sum over all.
type shareCounts struct {
	planned, withheld, refused, sent    int64
	answered, failed                    int64
	queued, skipped, overflow           int64
	verified, passed, wrong, unjudged   int64
	timeouts, wrongBy, wrongByKind      int64
	warmReleased, warmRefused, warmSent int64

	inFlight int64          // when a journal ends; a run itself leaves nothing
	slack    int64          // see [run.slack]
	measured measuredCounts // with those of the warm-up
}

// share returns the counters of a share. What was planned and withheld follows from the mix alone, the rest was counted as
// it happened.
func (r *run) share(i int) shareCounts {
	b, v := &r.books.shares[i], &r.verifier.shares[i]
	c := shareCounts{
		planned: r.minter.planned[i],
		refused: b.refused.sum(), sent: r.sender.sentBy[i].Load(), answered: b.answered, failed: b.classes.sum(),
		queued: b.queued, skipped: b.skipped, overflow: b.overflow,
		verified: v.verified.Load(), passed: v.passed.Load(), wrong: v.wrong.Load(), unjudged: v.unjudged.Load(),
		timeouts: b.classes[classTimeout], wrongBy: v.reasons.sum(), wrongByKind: v.byKind.sum(),
		warmRefused: b.warm.refused, warmSent: b.warm.sent, measured: b.operations.counts().with(b.warm),
	}
	released := r.pacer.released.Load()
	c.withheld = c.planned - r.mix.Counts(r.config.Plan, released)[i]
	if r.replayed != nil {
		c.withheld = c.planned - c.sent - c.refused
		c.inFlight, c.slack = c.sent-c.answered-c.failed, r.slack()
	}
	c.warmReleased = r.mix.Counts(r.config.Plan, min(released, r.books.warming))[i]
	return c
}

// balanced holds the counters of one share against each other.
func (c shareCounts) balanced() bool {
	return c.planned == c.sent+c.refused+c.withheld &&
		c.sent == c.answered+c.failed+c.inFlight && c.inFlight >= 0 &&
		c.answered == c.queued+c.skipped+c.overflow &&
		c.queued == c.verified+c.passed+c.wrong+c.unjudged &&
		c.wrong == c.wrongBy &&
		c.wrong == c.wrongByKind &&
		c.measured == measuredCounts{c.sent - c.inFlight, c.answered, c.failed, c.answered + c.timeouts, c.sent - c.inFlight} &&
		max(c.warmReleased-c.warmSent-c.warmRefused, c.warmSent+c.warmRefused-c.warmReleased) <= c.slack
}

// sharesBalance holds the counters of each share against each other, and their sums against the totals.
func (r *run) sharesBalance() bool {
	b, v := r.books, r.verifier
	left := shareCounts{
		planned: r.total, withheld: r.pacer.withheld, refused: b.refused.sum(), sent: r.sender.sent.Load(),
		answered: b.answered.Load(), failed: b.failed.Load(), queued: b.queued, skipped: b.skipped, overflow: b.overflow,
		verified: v.verified.Load(), passed: v.passed.Load(), wrong: v.wrong.Load(), unjudged: v.unjudged.Load(),
		warmSent: b.warm.sent, warmRefused: b.warm.refused,
	}
	for i := range r.config.Shares {
		c := r.share(i)
		if !c.balanced() {
			return false
		}
		left.planned -= c.planned
		left.withheld -= c.withheld
		left.refused -= c.refused
		left.sent -= c.sent
		left.answered -= c.answered
		left.failed -= c.failed
		left.queued -= c.queued
		left.skipped -= c.skipped
		left.overflow -= c.overflow
		left.verified -= c.verified
		left.passed -= c.passed
		left.wrong -= c.wrong
		left.unjudged -= c.unjudged
		left.warmSent -= c.warmSent
		left.warmRefused -= c.warmRefused
	}
	return left == shareCounts{}
}

// shares tells what became of each share of a mix. A run of one has nothing to tell beside its totals.
func (r *run) shares() ([]reports.Share, error) {
	if len(r.config.Shares) < 2 {
		return nil, nil
	}
	var list []reports.Share
	for i, s := range r.config.Shares {
		c := r.share(i)
		share := s.told()
		share.Accounting = reports.Accounting{
			Planned: c.planned, Sent: c.sent, Answered: c.answered, Failed: r.books.shares[i].classes, InFlight: c.inFlight,
			Verified: c.verified, Wrong: c.wrong, WrongBy: r.verifier.shares[i].reasons,
			Unverified: c.skipped + c.overflow + c.passed + c.unjudged, Balanced: c.balanced(),
		}
		share.Accounting.NotSent = r.notSent(r.books.shares[i].refused, c.withheld)
		var err error
		if share.Operations, err = r.books.shares[i].operations.report(r.verifier.shares[i].byKind); err != nil {
			return nil, err
		}
		list = append(list, share)
	}
	return list, nil
}
