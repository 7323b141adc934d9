package loadtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Results writes a record of each request that was sent in the encoding of vegeta's own result files, so that vegeta
// report, plot and encode can be used on a run. What vegeta itself would have recorded is corrected: Timestamp is when a
// request was due and Latency counts from there, Error is its class of failure.
//
// A failed request whose status vegeta would take for a success has Code 0: vegeta knows no answer of status 200 without
// a license in it. That a license was wrong is known only after its record was written, and not told. Bodies and headers
// are left out, URLs have their secrets replaced. The order is that in which requests ended.
//
// The records are written by a goroutine of their own, behind a queue of bounded length: what does not fit is lost and
// counted, the attack never waits.
type Results struct {
	// Write takes the file, in pieces of any length.
	Write io.Writer
	// Redact is asked about each URL; nil: they are written as the profile shows them.
	Redact func(string) string

	written, lost int64
	err           error
}

// resultsQueue is how many records may wait to be written.
const resultsQueue = 4096

// Written returns how many records were written. It and [Results.Err] are for after [Run].
func (r *Results) Written() int64 { return r.written }

// Err says why the file does not hold every request that was sent; nil if it does.
func (r *Results) Err() error {
	var slow error
	if r.lost > 0 && r.err == nil {
		slow = errors.New("the disk did not keep up")
	}
	if err := errors.Join(r.err, slow); err != nil {
		return fmt.Errorf("at least %d of %d requests are missing: %w", r.lost, r.lost+r.written, err)
	}
	return nil
}

// exporter feeds [Results]. The methods of a nil one do nothing.
type exporter struct {
	results *Results
	plan    Plan
	pacer   *pacer
	queue   chan vegeta.Result
	lost    atomic.Int64
	done    sync.WaitGroup
}

func newExporter(r *Results, plan Plan, p *pacer) *exporter {
	if r == nil {
		return nil
	}
	e := &exporter{results: r, plan: plan, pacer: p, queue: make(chan vegeta.Result, resultsQueue)}
	e.done.Go(e.write)
	return e
}

// offer records a flight that was sent and has ended, if there is room.
func (e *exporter) offer(f *flight, due time.Duration) {
	if e == nil {
		return
	}
	record := vegeta.Result{
		Seq: uint64(e.plan.Number(f.seq)), Code: uint16(f.status), Timestamp: e.pacer.began.Add(due), Latency: f.done - due,
		BytesOut: uint64(f.out), BytesIn: uint64(f.in), Error: f.failure.class, Method: f.request.Method, URL: f.request.ShownURL(),
	}
	if record.Error != "" && record.Code >= http.StatusOK && record.Code < http.StatusBadRequest {
		record.Code = 0
	}
	select {
	case e.queue <- record:
	default:
		e.lost.Add(1)
	}
}

// write runs until the queue is closed.
func (e *exporter) write() {
	r := e.results
	out := bufio.NewWriterSize(r.Write, 64<<10)
	encoder := vegeta.NewEncoder(out)
	for record := range e.queue {
		if r.err != nil {
			e.lost.Add(1)
			continue
		}
		if r.Redact != nil {
			record.URL = r.Redact(record.URL)
		}
		if r.err = encoder.Encode(&record); r.err != nil {
			e.lost.Add(1)
			continue
		}
		r.written++
	}
	if err := out.Flush(); r.err == nil {
		r.err = err
	}
}

// stop waits until everything is written. Nothing may be offered any more.
func (e *exporter) stop() {
	if e == nil {
		return
	}
	close(e.queue)
	e.done.Wait()
	e.results.lost = e.lost.Load()
}
