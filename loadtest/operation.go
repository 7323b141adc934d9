package loadtest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// operations holds times by kind of message.
type operations map[drm.Kind]*operation

// operation holds the times of one kind of message.
type operation struct{ latency, service, lag *histogram }

// record enters the times of a flight that was sent.
func (o operations) record(f *flight, due time.Duration) error {
	op := o[f.message.Kind]
	if op == nil {
		op = &operation{newHistogram(), newHistogram(), newHistogram()}
		o[f.message.Kind] = op
	}
	err := op.lag.record(f.sent - due)
	if f.timed() {
		err = errors.Join(err, op.latency.record(f.done-due), op.service.record(f.done-f.sent))
	}
	return err
}

// report returns the operations in the order of their names.
func (o operations) report() ([]reports.Operation, error) {
	var list []reports.Operation
	for _, kind := range slices.Sorted(maps.Keys(o)) {
		op := o[kind]
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
func (o operations) beyond() int64 {
	var n int64
	for _, op := range o {
		n += op.latency.beyond + op.service.beyond + op.lag.beyond
	}
	return n
}

// counts returns how many latencies and how many lags were recorded.
func (o operations) counts() (latencies, lags int64) {
	for _, op := range o {
		latencies += op.latency.h.TotalCount()
		lags += op.lag.h.TotalCount()
	}
	return latencies, lags
}
