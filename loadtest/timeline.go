package loadtest

import (
	"maps"
	"slices"
	"time"

	"keyflow/reports"
)

// second returns the second of the whole plan in which the slice's request seq is due.
func second(p Plan, seq int64) int { return int(p.Due(seq) / time.Second) }

// timeline keeps what happened per second and operation, by due time. A second's histograms are encoded and dropped as soon
// as all its requests have ended, so that only a few are held at a time.
type timeline struct {
	plan    Plan
	seconds []*secondBook
}

type secondBook struct {
	reports.Second
	operations map[string]*secondOperation // nil once encoded
}

// secondOperation is one operation's part of a second that is still open.
type secondOperation struct {
	sent, answered, failed int64

	bad     bool // of bad requests
	latency *histogram
}

// wrongs counts wrong answers by the second in which their requests were due, and by operation.
type wrongs map[int]map[string]int64

func (w wrongs) add(second int, operation string) { w.addN(second, operation, 1) }

func (w wrongs) addN(second int, operation string, n int64) {
	if w[second] == nil {
		w[second] = map[string]int64{}
	}
	w[second][operation] += n
}

func (t *timeline) at(s int) *secondBook {
	for len(t.seconds) <= s {
		n := len(t.seconds)
		begin := time.Duration(n) * time.Second
		end := min(begin+time.Second, t.plan.Duration)
		t.seconds = append(t.seconds, &secondBook{
			Second: reports.Second{At: n, Due: t.plan.Before(end) - t.plan.Before(begin)},
		})
	}
	return t.seconds[s]
}

// record enters a flight that was sent, and was due at that time.
func (t *timeline) record(f *flight, due time.Duration) error {
	b := t.at(int(due / time.Second))
	op := b.operation(f)
	b.Sent++
	b.BytesSent += f.out
	b.BytesReceived += f.in
	op.sent++
	if f.failure.class == "" {
		b.Answered++
		op.answered++
	} else {
		b.Failed++
		op.failed++
		count(&b.FailedBy, f.failure.class)
	}
	if f.timed() {
		if err := op.latency.record(f.done - due); err != nil {
			return err
		}
	}
	if b.Sent == b.Due {
		return b.close()
	}
	return nil
}

func (b *secondBook) operation(f *flight) *secondOperation {
	name := f.operation()
	if b.operations == nil {
		b.operations = map[string]*secondOperation{}
	}
	op := b.operations[name]
	if op == nil {
		op = &secondOperation{bad: f.bad, latency: newHistogram()}
		b.operations[name] = op
	}
	return op
}

// close encodes the second's latencies and drops them. A second of one operation has one histogram: its own. The latencies of bad
// requests are not the second's: their refusals may be quick.
func (b *secondBook) close() error {
	var all *histogram
	for _, name := range slices.Sorted(maps.Keys(b.operations)) {
		op := b.operations[name]
		part := reports.SecondOperation{Name: name, Bad: op.bad, Sent: op.sent, Answered: op.answered, Failed: op.failed}
		if len(b.operations) == 1 && !op.bad {
			all = op.latency
		} else {
			var err error
			if part.Histogram, err = op.latency.encode(); err != nil {
				return err
			}
			if all == nil {
				all = newHistogram()
			}
			if !op.bad {
				all.h.Merge(op.latency.h) // of the same geometry: nothing is dropped
			}
		}
		b.Operations = append(b.Operations, part)
	}
	b.operations = nil
	if all == nil {
		return nil
	}
	p, err := all.percentiles()
	if err != nil {
		return err
	}
	b.P50, b.P99, b.Max, b.Histogram = p.P50, p.P99, p.Max, p.Histogram
	return nil
}

// list closes all seconds and returns them with the wrong answers of each.
func (t *timeline) list(wrong wrongs) ([]reports.Second, error) {
	list := make([]reports.Second, 0, len(t.seconds))
	for _, b := range t.seconds {
		if err := b.close(); err != nil {
			return nil, err
		}
		b.Wrong = 0
		for i, op := range b.Operations {
			b.Operations[i].Wrong = wrong[b.At][op.Name]
			b.Wrong += b.Operations[i].Wrong
		}
		list = append(list, b.Second)
	}
	return list, nil
}
