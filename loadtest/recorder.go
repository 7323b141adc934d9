package loadtest

import (
	"sync"
	"time"

	"keyflow/reports"
)

// Journal takes what happened since it was called last, once for every finished second of the attack and of the
// verification after it, and a last time when the run has ended. One goroutine calls it; while it writes, the run goes
// on. After an error it is not called any more.
type Journal interface {
	Append(e *reports.JournalEntry) error
}

// recorder notes every second what the process used, and hands the run to the journal.
type recorder struct {
	run     *run
	began   time.Time // just before the attack
	gauge   *gauge
	usage   []reports.Usage
	sent    []int64 // told so far, by share
	lost    *reports.JournalLost
	quit    chan struct{}
	done    sync.WaitGroup
	started bool
}

func newRecorder(r *run) *recorder {
	return &recorder{run: r, quit: make(chan struct{}), sent: make([]int64, len(r.config.Shares))}
}

// start begins the first second.
func (c *recorder) start() {
	c.started, c.began, c.gauge = true, time.Now(), newGauge(c.run.traffic)
	c.done.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.tick(nil)
			case <-c.quit:
				return
			}
		}
	})
}

// stop ends the last second. Nothing happens any more in the run.
func (c *recorder) stop() {
	if !c.started {
		return
	}
	close(c.quit)
	c.done.Wait()
	c.tick(&reports.JournalEnd{Reason: c.run.halt.reason, Stopped: int64(c.run.pacer.stopped)})
}

// tick ends a second; end is set for the last one.
func (c *recorder) tick(end *reports.JournalEnd) {
	at := time.Since(c.began)
	second := int(at / time.Second)
	if end == nil {
		second-- // the one that has just ended
	}
	usage := c.gauge.take(max(second, 0))
	if n := len(c.usage); n > 0 && c.usage[n-1].At >= usage.At {
		usage.At = c.usage[n-1].At + 1 // the ticker was late before
	}
	c.usage = append(c.usage, *usage)
	if c.run.config.Journal == nil || c.lost != nil {
		return
	}
	err := c.write(usage, end)
	if err != nil {
		c.lost = &reports.JournalLost{At: usage.At, Why: err.Error()}
		c.run.ledger.drop()
	}
}

func (c *recorder) write(usage *reports.Usage, end *reports.JournalEnd) error {
	r := c.run
	e, err := r.ledger.take()
	if err != nil {
		return err
	}
	for i := range e.Shares {
		// After the ledger: what has ended by now was sent.
		sent := r.sender.sentBy[i].Load()
		e.Shares[i].Sent, c.sent[i] = sent-c.sent[i], sent
	}
	// After what was sent: by now it was due.
	e.At, e.Usage, e.End = time.Since(c.began).Microseconds(), usage, end
	e.Opened, e.Open = r.traffic.opened.Load(), r.traffic.most.Load()
	e.Generator = reports.Generator{WorkerBound: r.pacer.bound.Load(), Starved: r.minter.starved.Load(), Held: r.sender.held.Load(), MintedAhead: r.mintedAhead}
	e.Prepared = told(r.pools)
	if end != nil {
		e.Generator.VerifySeconds = r.verifying.Seconds()
	}
	r.meter.used(&e.Generator)
	return r.config.Journal.Append(e)
}
