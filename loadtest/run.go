package loadtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"keyflow/reports"
)

// UnreachableError says that no connection to the target could be made before the first request: nothing was sent.
type UnreachableError struct {
	Address string // host:port
	Class   string // of the failure, as in the report
	Err     error
}

// Error names the address and the class.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("connect to %s: %s: %v", e.Address, e.Class, e.Err)
}

// Unwrap returns the transport's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// The phases of a run.
const (
	PhasePreparing = "preparing" // live sessions for renewals
	PhaseMinting   = "minting"
	PhaseRunning   = "running"
	PhaseVerifying = "verifying"
	PhaseDone      = "done"
)

// Progress is what is known while a run goes on.
type Progress struct {
	Phase    string
	Elapsed  time.Duration // since the run was started, minting included
	Planned  int64
	Minted   int64
	Sent     int64
	Answered int64
	Failed   int64
	Judged   int64
	Wrong    int64
}

// run is one load run in progress.
type run struct {
	config   Config
	mix      Mix
	total    int64
	halt     *halt
	pools    []*pool // of each share, nil for those that renew nothing
	minter   *minter
	lanes    []*lane // of each share
	slots    *slots
	pacer    *pacer
	sender   *sender
	finished chan *flight
	verifier *verifier
	books    *books
	meter    *meter
	traffic  *traffic
	ledger   *ledger // nil: no journal
	recorder *recorder
	replayed *replay // nil: the run itself

	started     time.Time
	phase       atomic.Value // string
	mintedAhead int
	verifying   time.Duration
}

// Run sends the plan's requests and returns the result of the run.
//
// When ctx ends, nothing more is sent, requests in flight are given a grace to be answered, and the result is complete:
// NotSent counts the rest as [NotSentInterrupted], and the error is nil. An error comes with a result wherever the run
// could begin: *[UnreachableError] if no connection could be made, *[MintError] if the source failed, *[NotRenewableError] or
// *[PrepareError] if there were no licenses to renew, *[StopError] if the run was not to go on. Any other error is of the
// configuration, or the harness's own.
func Run(ctx context.Context, c Config) (*reports.Load, error) {
	c, mix, err := c.prepare()
	if err != nil {
		return nil, err
	}
	r := newRun(ctx, c, mix)
	stopWatch := r.watch()
	err = r.do()
	r.verify()
	r.close()
	stopWatch()
	r.recorder.stop()
	r.books.export.stop()
	load, reportErr := r.report()
	return load, errors.Join(err, reportErr)
}

func newRun(ctx context.Context, c Config, mix Mix) *run {
	r := &run{config: c, mix: mix, total: c.Plan.Total(), meter: startMeter(), started: time.Now()}
	r.phase.Store(PhaseMinting)
	r.halt = newHalt(ctx, c.Grace)
	r.pools = newPools(c, mix, r.halt)
	r.minter = newMinter(c, mix, r.total, r.halt)
	r.traffic = &traffic{}
	r.lanes = newLanes(c, r.traffic)
	r.slots = newSlots(c.Workers)
	r.finished = make(chan *flight, c.Workers)
	r.verifier = newVerifier(c, r.halt.hard.Done())
	r.books = newBooks(c, r.verifier)
	if c.Journal != nil {
		r.keepLedger(newLedger(c))
	}
	r.books.samples.witness = newWitness(c.Evidence)
	r.verifier.samples.witness = r.books.samples.witness
	r.recorder = newRecorder(r)
	r.pacer = &pacer{plan: c.Plan, total: r.total, workers: int64(c.Workers), warming: c.warming(), halt: r.halt, settled: &r.books.results, waiting: &r.minter.waiting}
	r.books.export = newExporter(c.Results, c.Plan, r.pacer)
	r.sender = &sender{
		shares: c.Shares, slots: r.slots, pacer: r.pacer, timeout: c.Timeout, halt: r.halt, finished: r.finished,
		sentBy: make([]atomic.Int64, len(c.Shares)), polite: c.Polite, evidence: c.Evidence != nil,
	}
	for _, l := range r.lanes {
		r.sender.bases = append(r.sender.bases, l.transport)
	}
	r.sender.paces, r.sender.throttles = newPaces(c.Shares, r.minter.planned), newThrottles(c.Shares)
	return r
}

// keepLedger lets books and verifier enter what happens.
func (r *run) keepLedger(l *ledger) {
	r.ledger, r.books.ledger, r.verifier.ledger = l, l, l
	r.books.samples.ledger, r.verifier.samples.ledger = l, l
}

// do mints ahead, opens the connections and attacks.
func (r *run) do() error {
	procs := runtime.GOMAXPROCS(0)
	unprepared := r.prepare()
	r.minter.start(max(minMinters, procs))
	unreachable := r.reach()
	select {
	case <-r.minter.ahead:
	case <-r.halt.soft.Done():
	}
	r.mintedAhead = int(r.minter.minted.Load())
	r.verifier.start(max(1, procs/2))
	r.phase.Store(PhaseRunning)
	r.recorder.start()
	r.attack() // sends nothing if the run is halted by now, and says so
	r.minter.workers.Wait()
	r.minter.clear()
	switch {
	case unprepared != nil:
		return unprepared
	case r.minter.err != nil:
		return r.minter.err
	case unreachable != nil:
		return unreachable
	case r.halt.cause != nil:
		return r.halt.cause
	}
	return nil
}

// attack lets vegeta send what the pacer releases, until each of its results has been entered.
func (r *run) attack() {
	r.minter.begin(time.Now())
	attacker := vegeta.NewAttacker(
		vegeta.Client(newClient(r.sender)),
		vegeta.Workers(uint64(r.config.Workers)),
		vegeta.MaxWorkers(uint64(r.config.Workers)),
		vegeta.MaxBody(0),
	)
	for range attacker.Attack(r.target, r.pacer, 0, "") {
		r.books.enter(r.finished)
	}
}

// target is the vegeta targeter. It takes a minted request from the ring and never returns an error: that would end the
// attack with ticks that are neither sent nor accounted for. What must not be sent any more is refused by the sender.
func (r *run) target(t *vegeta.Target) error {
	f := r.minter.take()
	t.Method, t.URL, t.Body = f.request.Method, f.request.URL, f.request.Body
	t.Header = r.slots.put(f)
	return nil
}

// verify judges what is still waiting, now with every processor.
func (r *run) verify() {
	r.phase.Store(PhaseVerifying)
	began := time.Now()
	r.verifier.start(runtime.GOMAXPROCS(0))
	r.verifier.drain()
	r.verifying = time.Since(began)
}

func (r *run) close() {
	r.phase.Store(PhaseDone)
	r.halt.release()
	for _, p := range r.pools {
		if p != nil {
			p.close()
		}
	}
	for _, l := range r.lanes { // closing one twice does nothing
		l.close()
	}
}

// watch samples the heap and reports progress until the function it returns has been called.
func (r *run) watch() (stop func()) {
	var (
		end    = make(chan struct{})
		wg     sync.WaitGroup
		ticker = time.NewTicker(250 * time.Millisecond)
	)
	tick := func() {
		r.meter.sample()
		if r.config.Progress != nil {
			r.config.Progress(r.progress())
		}
	}
	wg.Go(func() {
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				tick()
			case <-end:
				tick()
				return
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

func (r *run) progress() Progress {
	phase, _ := r.phase.Load().(string)
	return Progress{
		Phase: phase, Elapsed: time.Since(r.started), Planned: r.total, Minted: r.minter.minted.Load(),
		Sent: r.sender.sent.Load(), Answered: r.books.answered.Load(), Failed: r.books.failed.Load(),
		Judged: r.verifier.judged.Load(), Wrong: r.verifier.wrong.Load(),
	}
}
