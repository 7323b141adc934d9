package loadtest

import (
	"time"

	"keyflow/reports"
)

// second returns the second of the whole plan in which the slice's request seq is due.
func second(p Plan, seq int64) int { return int(p.Due(seq) / time.Second) }

// timeline keeps what happened per second, by due time. A second's histogram is encoded and dropped as soon as all its
// requests have ended, so that only a few are held at a time.
type timeline struct {
	plan    Plan
	seconds []*secondBook
}

type secondBook struct {
	reports.Second
	latency *histogram // nil once encoded
}

func (t *timeline) at(s int) *secondBook {
	for len(t.seconds) <= s {
		n := len(t.seconds)
		begin := time.Duration(n) * time.Second
		end := min(begin+time.Second, t.plan.Duration)
		t.seconds = append(t.seconds, &secondBook{
			Second:  reports.Second{At: n, Due: t.plan.Before(end) - t.plan.Before(begin)},
			latency: nil,
		})
	}
	return t.seconds[s]
}

// record enters a flight that was sent.
func (t *timeline) record(f *flight) error {
	b := t.at(second(t.plan, f.seq))
	if b.latency == nil {
		b.latency = newHistogram()
	}
	b.Sent++
	if f.failure.class == "" {
		b.Answered++
	} else {
		b.Failed++
	}
	if f.timed() {
		if err := b.latency.record(f.done - t.plan.Due(f.seq)); err != nil {
			return err
		}
	}
	if b.Sent == b.Due {
		return b.close()
	}
	return nil
}

// close encodes the second's latencies and drops them.
func (b *secondBook) close() error {
	if b.latency == nil {
		return nil
	}
	p, err := b.latency.percentiles()
	if err != nil {
		return err
	}
	b.P50, b.P99, b.Max, b.Histogram = p.P50, p.P99, p.Max, p.Histogram
	b.latency = nil
	return nil
}

// list closes all seconds and returns them with the wrong answers of each.
func (t *timeline) list(wrong map[int]int64) ([]reports.Second, error) {
	list := make([]reports.Second, 0, len(t.seconds))
	for _, b := range t.seconds {
		if err := b.close(); err != nil {
			return nil, err
		}
		b.Wrong = wrong[b.At]
		list = append(list, b.Second)
	}
	return list, nil
}
