package loadtest

import (
	"sync/atomic"
	"time"
)

// books is the consumer of an attack: it takes a flight for each of vegeta's results and enters it. It counts apart from
// pacer, sender and verifier, so that their numbers can be held against each other. One goroutine writes; the atomic
// counters may be read by others.
type books struct {
	plan     Plan
	verify   Verify
	evidence bool // an answer may turn out to be wrong, and is to be shown then
	verifier *verifier
	warming  int64 // requests of the warm-up

	excused  int64        // refused and measured, for reasons that are not the generator's
	results  atomic.Int64 // of vegeta
	answered atomic.Int64
	failed   atomic.Int64
	refused  tally // by reason: released, but not sent
	lost     int64 // results without a flight: vegeta refused a request, which is a bug
	queued   int64
	skipped  int64 // answers that nobody is to judge
	overflow int64 // answers that found the verification queue full

	last       time.Duration // when the last request was sent
	classes    tally
	samples    samples
	operations operations
	warm       warmBook
	timeline   timeline
	shares     []shareBook
	ledger     *ledger   // for the journal; nil: none
	export     *exporter // of vegeta's results; nil: none
	err        error     // of a histogram; the first one
}

// shareBook counts the flights of one share, beside the totals: the one can be held against the other.
type shareBook struct {
	answered, queued, skipped, overflow int64

	classes    tally
	refused    tally // by reason
	operations operations
	warm       warmBook
}

func newBooks(c Config, v *verifier) *books {
	b := &books{
		plan: c.Plan, verify: c.Verify, evidence: c.Evidence != nil, verifier: v, warming: c.warming(),
		classes: tally{}, refused: tally{}, samples: newSamples(c.Shares), operations: operations{}, warm: newWarmBook(), timeline: timeline{plan: c.Plan},
	}
	for range c.Shares {
		b.shares = append(b.shares, shareBook{classes: tally{}, refused: tally{}, operations: operations{}, warm: newWarmBook()})
	}
	return b
}

// enter takes the flight that belongs to the result that vegeta has just delivered. The sender put it into finished
// before vegeta could know of the result, so that it never waits; whose flight it is does not matter.
func (b *books) enter(finished <-chan *flight) {
	select {
	case f := <-finished:
		b.record(f)
	default:
		b.lost++
	}
	b.results.Add(1)
}

func (b *books) record(f *flight) {
	share := &b.shares[f.share]
	warm := f.seq < b.warming
	if f.failure.class != "" {
		f.failure.class = b.classes.add(f.failure.class) // from here on one of a bounded number
	}
	if warm {
		b.warm.record(f)
		share.warm.record(f)
	}
	if f.refused != "" {
		f.land(false, nil)
		b.ledger.skip(f, warm)
		b.refused.add(f.refused)
		share.refused.add(f.refused)
		if !warm && (f.refused == NotSentPolite || f.refused == NotSentToken) {
			b.excused++
		}
		return
	}
	b.last = max(b.last, f.sent)
	due := b.plan.Due(f.seq)
	if !warm {
		b.note(b.operations.record(f, due))
		b.note(share.operations.record(f, due))
	}
	b.note(b.timeline.record(f, due))
	b.note(b.ledger.enter(f, due))
	b.export.offer(f, due)
	if class := f.failure.class; class != "" {
		f.land(true, nil)
		b.failed.Add(1)
		b.samples.add(class, f.share, b.plan.Number(f.seq), f.failure.expected, f.failure.seen, f)
		f.release()
		share.classes.add(class)
		return
	}
	b.answered.Add(1)
	share.answered++
	if !b.evidence {
		f.release()
	}
	switch {
	case b.verify == VerifyNone:
		b.skipped++
		share.skipped++
		b.ledger.unverified(f)
		if f.unasked = true; f.settle != nil && !b.verifier.offer(f) {
			f.land(true, nil)
		}
	case b.verifier.offer(f):
		b.queued++
		share.queued++
	default:
		f.land(true, nil)
		b.overflow++
		share.overflow++
		b.ledger.overflow(f)
	}
}

func (b *books) note(err error) {
	if b.err == nil {
		b.err = err
	}
}
