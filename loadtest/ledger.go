package loadtest

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/reports"
)

// ledger holds what happened since the last entry of the journal: the books of one second, told by share, operation
// and second in which a request was due. Books and verifier enter each event at once and whole, so that an entry never has
// a verdict on an answer that it or an earlier one does not have. Its memory is that of what happens in a second.
//
// The methods of a nil ledger do nothing.
type ledger struct {
	plan    Plan
	warming int64 // requests of the warm-up
	shares  int

	mu         sync.Mutex
	last       time.Duration // when the last request that has ended was sent
	operations map[ledgerOperation]*ledgerTimes
	seconds    map[ledgerSecond]*ledgerBook
	over       []int64         // answers that found the verification queue full, by share
	skipped    []ledgerSkipped // requests that were not sent, by share
	dropped    bool            // nobody will take anything any more
	samples    []reports.Sample
}

type ledgerOperation struct {
	share     int
	operation string
}

type ledgerSecond struct {
	ledgerOperation
	second int
	warm   bool
}

// ledgerTimes are sparse histograms: a second holds few of the values that a run can have.
type ledgerTimes struct{ service, lag *hdr.PackedHistogram }

type ledgerBook struct {
	reports.JournalSecond
	latency *hdr.PackedHistogram
}

type ledgerSkipped struct {
	reasons map[string]int64
	warm    int64
}

func newLedger(c Config) *ledger {
	l := &ledger{plan: c.Plan, warming: c.warming(), shares: len(c.Shares)}
	l.clear()
	return l
}

func (l *ledger) clear() {
	l.operations, l.seconds = map[ledgerOperation]*ledgerTimes{}, map[ledgerSecond]*ledgerBook{}
	l.over, l.skipped, l.samples = make([]int64, l.shares), make([]ledgerSkipped, l.shares), nil
}

// book returns the book of a flight's second. The caller holds the lock.
func (l *ledger) book(f *flight) *ledgerBook {
	key := ledgerSecond{ledgerOperation{f.share, f.operation()}, second(l.plan, f.seq), f.seq < l.warming}
	b := l.seconds[key]
	if b == nil {
		b = &ledgerBook{JournalSecond: reports.JournalSecond{At: key.second, WarmUp: key.warm}, latency: newPacked()}
		l.seconds[key] = b
	}
	return b
}

// enter takes a flight that was sent and has ended.
func (l *ledger) enter(f *flight, due time.Duration) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped {
		return nil
	}
	l.last = max(l.last, f.sent)
	b := l.book(f)
	b.BytesSent += f.out
	b.BytesReceived += f.in
	if f.failure.class == "" {
		b.Answered++
	} else {
		count(&b.FailedBy, f.failure.class)
	}
	var err error
	if f.timed() {
		err = b.latency.RecordValue(micros(f.done - due))
	}
	if b.WarmUp {
		return err
	}
	times := l.times(f)
	if f.timed() {
		err = errors.Join(err, times.service.RecordValue(micros(f.done-f.sent)))
	}
	return errors.Join(err, times.lag.RecordValue(micros(f.sent-due)))
}

// skip takes a flight that was due and is not sent.
func (l *ledger) skip(f *flight, warm bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped {
		return
	}
	s := &l.skipped[f.share]
	count(&s.reasons, f.refused)
	if warm {
		s.warm++
	}
}

// times returns the times of a flight's operation. The caller holds the lock.
func (l *ledger) times(f *flight) *ledgerTimes {
	key := ledgerOperation{f.share, f.operation()}
	times := l.operations[key]
	if times == nil {
		times = &ledgerTimes{newPacked(), newPacked()}
		l.operations[key] = times
	}
	return times
}

// update changes the book of a flight's second.
func (l *ledger) update(f *flight, change func(*ledgerBook)) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dropped {
		change(l.book(f))
	}
}

func (l *ledger) verified(f *flight)   { l.update(f, func(b *ledgerBook) { b.Verified++ }) }
func (l *ledger) unverified(f *flight) { l.update(f, func(b *ledgerBook) { b.Unverified++ }) }

func (l *ledger) wrong(f *flight, class string) {
	l.update(f, func(b *ledgerBook) { count(&b.WrongBy, class) })
}

// overflow takes an answer that nobody will verify because the queue was full.
func (l *ledger) overflow(f *flight) {
	l.update(f, func(b *ledgerBook) {
		b.Unverified++
		l.over[f.share]++
	})
}

func (l *ledger) sample(s reports.Sample) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dropped {
		l.samples = append(l.samples, s)
	}
}

// drop makes the ledger forget what it holds, and take nothing any more.
func (l *ledger) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = true
	l.clear()
}

// take returns what happened since it was called last, in a fixed order.
func (l *ledger) take() (*reports.JournalEntry, error) {
	l.mu.Lock()
	full := ledger{last: l.last, operations: l.operations, seconds: l.seconds, over: l.over, skipped: l.skipped, samples: l.samples}
	l.clear()
	l.mu.Unlock()
	return full.entry()
}

func (l *ledger) entry() (*reports.JournalEntry, error) {
	e := &reports.JournalEntry{Last: int64(l.last), Samples: l.samples}
	for share, over := range l.over {
		skipped := l.skipped[share]
		s := reports.JournalShare{Share: share, Overflow: over, NotSent: skipped.reasons, WarmNotSent: skipped.warm}
		for _, key := range l.keys(share) {
			op, err := l.operation(key)
			if err != nil {
				return nil, err
			}
			s.Operations = append(s.Operations, op)
		}
		e.Shares = append(e.Shares, s)
	}
	return e, nil
}

// keys returns the operations of a share to which something happened.
func (l *ledger) keys(share int) []ledgerOperation {
	var keys []ledgerOperation
	for key := range l.seconds {
		if key.share == share && !slices.Contains(keys, key.ledgerOperation) {
			keys = append(keys, key.ledgerOperation)
		}
	}
	slices.SortFunc(keys, func(a, b ledgerOperation) int { return cmp.Compare(a.operation, b.operation) })
	return keys
}

func (l *ledger) operation(key ledgerOperation) (op reports.JournalOperation, err error) {
	op.Name = key.operation
	if times := l.operations[key]; times != nil { // none: there were only verdicts, or the warm-up
		var serviceErr, lagErr error
		op.Service, serviceErr = encodePacked(times.service)
		op.Lag, lagErr = encodePacked(times.lag)
		err = errors.Join(serviceErr, lagErr)
	}
	for at, b := range l.seconds {
		if at.ledgerOperation != key {
			continue
		}
		latency, encodeErr := encodePacked(b.latency)
		err = errors.Join(err, encodeErr)
		b.Latency = latency
		op.Seconds = append(op.Seconds, b.JournalSecond)
	}
	slices.SortFunc(op.Seconds, func(a, b reports.JournalSecond) int {
		if a.At == b.At && a.WarmUp {
			return -1 // at most two have the same time
		}
		return cmp.Compare(a.At, b.At)
	})
	return op, err
}
