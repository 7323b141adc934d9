package loadtest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// OperationName is what times are kept under: the kind of the message, and for bad requests a name of its own, so that the quick
// refusal of a bad request does not flatter the good ones.
func OperationName(k drm.Kind, bad bool) string {
	if bad {
		return string(k) + badSuffix
	}
	return string(k)
}

const badSuffix = "-bad"

// operation returns the name of the flight's operation.
func (f *flight) operation() string { return OperationName(f.message.Kind, f.bad) }

// operations holds times by the name of the operation.
type operations map[string]*operation

// operation counts the flights of one kind of message, good or bad ones, and holds their times.
type operation struct {
	sent, answered int64
	classes        tally
	bad            bool

	latency, service, lag *histogram
}

func newOperation() *operation {
	return &operation{classes: tally{}, latency: newHistogram(), service: newHistogram(), lag: newHistogram()}
}

// record enters a flight that was sent.
func (o operations) record(f *flight, due time.Duration) error {
	name := f.operation()
	op := o[name]
	if op == nil {
		op = newOperation()
		op.bad = f.bad
		o[name] = op
	}
	op.sent++
	if f.failure.class == "" {
		op.answered++
	} else {
		op.classes.add(f.failure.class)
	}
	err := op.lag.record(f.sent - due)
	if f.timed() {
		err = errors.Join(err, op.latency.record(f.done-due), op.service.record(f.done-f.sent))
	}
	return err
}

// report returns the operations in the order of their names. wrong are the wrong answers of each.
func (o operations) report(wrong tally) ([]reports.Operation, error) {
	var list []reports.Operation
	for _, name := range slices.Sorted(maps.Keys(o)) {
		op := o[name]
		r := reports.Operation{Name: name, Bad: op.bad, Sent: op.sent, Answered: op.answered, Failed: op.classes, Wrong: wrong[name]}
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
func (o operations) beyond() int64 {
	var n int64
	for _, op := range o {
		n += op.latency.beyond + op.service.beyond + op.lag.beyond
	}
	return n
}

// counts returns the sums over all operations.
func (o operations) counts() measuredCounts {
	var c measuredCounts
	for _, op := range o {
		c.sent += op.sent
		c.answered += op.answered
		c.failed += op.classes.sum()
		c.latencies += op.latency.h.TotalCount()
		c.lags += op.lag.h.TotalCount()
	}
	return c
}
