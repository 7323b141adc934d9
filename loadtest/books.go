package loadtest

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// books is the consumer of an attack: it takes a flight for each of vegeta's results and enters it. It counts apart from
// pacer, sender and verifier, so that their numbers can be held against each other. One goroutine writes; the atomic
// counters may be read by others.
type books struct {
	plan     Plan
	verify   Verify
	verifier *verifier

	results  atomic.Int64 // of vegeta
	answered atomic.Int64
	failed   atomic.Int64
	refused  int64 // released, but the run was halted before they were sent
	lost     int64 // results without a flight: vegeta refused a request, which is a bug
	queued   int64
	skipped  int64 // answers that nobody is to judge
	overflow int64 // answers that found the verification queue full

	last       time.Duration // when the last request was sent
	classes    tally
	samples    samples
	operations map[drm.Kind]*operation
	timeline   timeline
	err        error // of a histogram; the first one
}

// operation holds the times of one kind of message.
type operation struct{ latency, service, lag *histogram }

func newBooks(c Config, v *verifier) *books {
	return &books{
		plan: c.Plan, verify: c.Verify, verifier: v,
		classes: tally{}, samples: samples{}, operations: map[drm.Kind]*operation{}, timeline: timeline{plan: c.Plan},
	}
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
	f.request = nil
	if f.refused {
		b.refused++
		return
	}
	b.last = max(b.last, f.sent)
	b.time(f)
	if class := f.failure.class; class != "" {
		b.failed.Add(1)
		class = b.classes.add(class)
		b.samples.add(class, b.plan.Number(f.seq), f.failure.expected, f.failure.seen)
		return
	}
	b.answered.Add(1)
	switch {
	case b.verify == VerifyNone:
		b.skipped++
	case b.verifier.offer(f):
		b.queued++
	default:
		b.overflow++
	}
}

func (b *books) time(f *flight) {
	op := b.operations[f.message.Kind]
	if op == nil {
		op = &operation{newHistogram(), newHistogram(), newHistogram()}
		b.operations[f.message.Kind] = op
	}
	due := b.plan.Due(f.seq)
	b.note(op.lag.record(f.sent - due))
	if f.timed() {
		b.note(op.latency.record(f.done - due))
		b.note(op.service.record(f.done - f.sent))
	}
	b.note(b.timeline.record(f))
}

func (b *books) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

// report returns the operations in the order of their names.
func (b *books) report() ([]reports.Operation, error) {
	var list []reports.Operation
	for _, kind := range slices.Sorted(maps.Keys(b.operations)) {
		op := b.operations[kind]
		r := reports.Operation{Name: string(kind)}
		for _, part := range []struct {
			to   *reports.Percentiles
			from *histogram
		}{{&r.Latency, op.latency}, {&r.Service, op.service}, {&r.Lag, op.lag}} {
			p, err := part.from.percentiles()
			if err != nil {
				return nil, err
			}
			*part.to = p
		}
		list = append(list, r)
	}
	return list, nil
}

// beyond returns the number of times that were too long for a histogram.
func (b *books) beyond() int64 {
	var n int64
	for _, op := range b.operations {
		n += op.latency.beyond + op.service.beyond + op.lag.beyond
	}
	return n
}

// timedCounts returns how many latencies and how many lags were recorded.
func (b *books) timedCounts() (latencies, lags int64) {
	for _, op := range b.operations {
		latencies += op.latency.h.TotalCount()
		lags += op.lag.h.TotalCount()
	}
	return latencies, lags
}
