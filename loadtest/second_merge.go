package loadtest

import (
	"cmp"
	"maps"
	"slices"

	"keyflow/reports"
)

// Seconds that are put together from parts, of a journal or of several reports, keep their histograms encoded: they hold what
// they hold in a report. Until they are summarized each operation has its own, even if it is the only one.

// addJournal enters what a line of a journal tells of an operation.
func (b *secondBook) addJournal(name string, bad bool, s reports.JournalSecond) error {
	failed := tally(s.FailedBy).sum()
	b.Answered += s.Answered
	b.Failed += failed
	b.Sent += s.Answered + failed
	b.BytesSent += s.BytesSent
	b.BytesReceived += s.BytesReceived
	addCounts(&b.FailedBy, s.FailedBy)
	return b.addOperation(reports.SecondOperation{Name: name, Bad: bad, Sent: s.Answered + failed, Answered: s.Answered, Failed: failed, Histogram: s.Latency})
}

// addReport enters the same second of a report.
func (b *secondBook) addReport(s reports.Second) error {
	b.Due += s.Due
	b.Sent += s.Sent
	b.Answered += s.Answered
	b.Failed += s.Failed
	b.Wrong += s.Wrong
	b.BytesSent += s.BytesSent
	b.BytesReceived += s.BytesReceived
	addCounts(&b.FailedBy, s.FailedBy)
	addCounts(&b.WrongBy, s.WrongBy)
	for _, op := range s.Operations {
		if len(s.Operations) == 1 && !op.Bad {
			op.Histogram = s.Histogram
		}
		if err := b.addOperation(op); err != nil {
			return err
		}
	}
	return nil
}

// addOperation adds a part of a second.
func (b *secondBook) addOperation(part reports.SecondOperation) error {
	i, there := slices.BinarySearchFunc(b.Operations, part.Name, func(op reports.SecondOperation, name string) int { return cmp.Compare(op.Name, name) })
	if !there {
		b.Operations = slices.Insert(b.Operations, i, reports.SecondOperation{Name: part.Name, Bad: part.Bad})
	}
	op := &b.Operations[i]
	op.Sent += part.Sent
	op.Answered += part.Answered
	op.Failed += part.Failed
	op.Wrong += part.Wrong
	var err error
	op.Histogram, err = mergeEncoded(op.Histogram, part.Histogram)
	return err
}

// summarize computes the percentiles of seconds that were put together.
func summarize(seconds []*secondBook) error {
	all := newHistogram()
	for _, b := range seconds {
		all.h.Reset()
		for i := range b.Operations {
			op := &b.Operations[i]
			if op.Bad {
				continue
			}
			if err := all.merge(op.Histogram); err != nil {
				return err
			}
			if len(b.Operations) == 1 {
				op.Histogram = ""
			}
		}
		p, err := all.percentiles()
		if err != nil {
			return err
		}
		b.P50, b.P99, b.Max, b.Histogram = p.P50, p.P99, p.Max, p.Histogram
	}
	return nil
}

// addCounts adds classes, of which there stays a bounded number.
func addCounts(to *map[string]int64, from map[string]int64) {
	if *to == nil && len(from) > 0 {
		*to = map[string]int64{}
	}
	for _, class := range slices.Sorted(maps.Keys(from)) {
		tally(*to).addN(class, from[class])
	}
}
