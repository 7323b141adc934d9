package loadtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// NotSentJournal is why requests are not sent of which the journal of a run that was killed does not say that they were.
const NotSentJournal = "not-in-the-journal"

// JournalHead returns the head of the journal of a run, for a report that names tool, run and target. asked says that the
// user named objectives, as for [Verdict].
func JournalHead(r *reports.Report, c Config, asked bool) (reports.JournalHead, error) {
	c, _, err := c.prepare()
	if err != nil {
		return reports.JournalHead{}, err
	}
	h := reports.JournalHead{Schema: reports.JournalSchema, Tool: r.Tool, Run: r.Run, Target: r.Target, Plan: c.planned(), WarmUpMS: c.WarmUp.Milliseconds(), Asked: asked}
	if h.Due, err = json.Marshal(c.Plan); err != nil {
		return h, fmt.Errorf("encode plan: %w", err)
	}
	for _, s := range c.Shares {
		h.Shares = append(h.Shares, s.told())
	}
	for _, s := range c.SLOs {
		h.SLOs = append(h.SLOs, s.String())
	}
	return h, nil
}

// replay makes the result of a run out of its journal: it fills the books of a run with what the entries say, and lets
// that run report.
type replay struct {
	run  *run
	last *reports.JournalEntry // nil: the process ended in the first second
}

// Replay makes a report out of a journal, whatever ended the process that wrote it. A run that was cut is incomplete:
// what the journal does not have is counted as not sent for [NotSentJournal], what was sent and had not ended as in
// flight. Errors are about the journal.
func Replay(j *reports.JournalReader) (*reports.Report, error) {
	p, err := newReplay(&j.Head)
	if err != nil {
		return nil, &reports.JournalError{Line: 1, Err: err}
	}
	r := &reports.Report{Schema: reports.Schema, Tool: j.Head.Tool, Run: j.Head.Run, Target: j.Head.Target}
	for {
		e, err := j.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.add(e); err != nil {
			return nil, &reports.JournalError{Line: j.Line(), Err: err}
		}
		if e.RedactionFailed {
			r.RedactionFailed = append(r.RedactionFailed, fmt.Sprintf("line %d of the journal", j.Line()))
		}
	}
	return r, p.report(r, j)
}

func newReplay(h *reports.JournalHead) (*replay, error) {
	var c Config
	var err error
	if err := json.Unmarshal(h.Due, &c.Plan); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if c.Verify, err = ParseVerify(h.Plan.Verify); err != nil {
		return nil, err
	}
	for _, text := range h.SLOs {
		slo, err := ParseSLO(text)
		if err != nil {
			return nil, err
		}
		c.SLOs = append(c.SLOs, slo)
	}
	nothing := func(drm.Message, []byte, drm.Depth) drm.Verdict { return drm.Verdict{} }
	c.Judge, c.Workers, c.VerifyBytes, c.KeyRequests = nothing, h.Plan.Workers, 1, h.Plan.KeyRequests
	c.NewConnections = h.Plan.NewConnections
	for _, s := range h.Shares {
		if s.Weight < 1 {
			return nil, fmt.Errorf("weight %d of %s is not positive", s.Weight, s.Profile)
		}
		c.Shares = append(c.Shares, shareOf(s))
	}
	c.WarmUp = time.Duration(h.WarmUpMS) * time.Millisecond
	if err := c.Plan.Validate(); err != nil {
		return nil, err
	}
	if err := errors.Join(c.CheckWarmUp(), c.CheckObjectives()); err != nil {
		return nil, err
	}
	mix, err := mixOf(c.Shares)
	if err != nil {
		return nil, err
	}
	r := &run{config: c, mix: mix, total: c.Plan.Total(), meter: &meter{}, traffic: &traffic{}, halt: &halt{}}
	r.minter = &minter{planned: mix.Counts(c.Plan, r.total)}
	r.verifier = newVerifier(c, nil)
	r.books = newBooks(c, r.verifier)
	r.pacer = &pacer{plan: c.Plan, total: r.total}
	r.sender = &sender{sentBy: make([]atomic.Int64, len(c.Shares))}
	r.recorder = newRecorder(r)
	r.replayed = &replay{run: r}
	return r.replayed, nil
}

// add enters what an entry tells.
func (p *replay) add(e *reports.JournalEntry) error {
	r := p.run
	p.last = e
	for _, s := range e.Shares {
		r.sender.sent.Add(s.Sent)
		r.sender.sentBy[s.Share].Add(s.Sent)
		for reason, n := range s.NotSent {
			r.books.shares[s.Share].refused.addN(r.books.refused.addN(reason, n), n)
		}
		r.books.warm.refused += s.WarmNotSent
		r.books.shares[s.Share].warm.refused += s.WarmNotSent
		r.books.overflow += s.Overflow
		r.books.shares[s.Share].overflow += s.Overflow
		for _, op := range s.Operations {
			if err := p.operation(s.Share, op); err != nil {
				return fmt.Errorf("operation %s: %w", op.Name, err)
			}
		}
	}
	if e.Usage != nil {
		r.recorder.usage = append(r.recorder.usage, *e.Usage)
	}
	for _, s := range e.Samples {
		share := max(slices.IndexFunc(r.config.Shares, func(x Share) bool { return x.Profile.ID == s.Profile && x.label() == s.Operation && x.Asset == s.Asset }), 0)
		r.books.samples.add(s.Class, share, s.Seq, s.Expected, s.Seen, nil)
	}
	return nil
}

// operation enters the requests of one kind and share.
func (p *replay) operation(share int, op reports.JournalOperation) error {
	bad := p.run.config.Shares[share].Bad
	all, err := p.run.books.operations.named(op.Name, bad)
	if err != nil {
		return err
	}
	own, err := p.run.books.shares[share].operations.named(op.Name, bad)
	if err != nil {
		return err
	}
	for _, o := range []*operation{all, own} {
		if err := errors.Join(o.service.merge(op.Service), o.lag.merge(op.Lag)); err != nil {
			return err
		}
	}
	for _, s := range op.Seconds {
		if time.Duration(s.At)*time.Second >= p.run.config.Plan.Duration {
			return fmt.Errorf("second %d: the plan ends after %s", s.At, p.run.config.Plan.Duration)
		}
		p.ended(share, s)
		p.judged(share, op.Name, s)
		if s.WarmUp {
			err = p.warm(share, s)
		} else {
			err = errors.Join(all.add(s), own.add(s))
		}
		if err = errors.Join(err, p.run.books.timeline.at(s.At).addJournal(op.Name, bad, s)); err != nil {
			return fmt.Errorf("second %d: %w", s.At, err)
		}
	}
	return nil
}

// add enters requests that are measured.
func (o *operation) add(s reports.JournalSecond) error {
	o.sent += s.Answered + tally(s.FailedBy).sum()
	o.answered += s.Answered
	for class, n := range s.FailedBy {
		o.classes.addN(class, n)
	}
	return o.latency.merge(s.Latency)
}

// warm enters requests of the warm-up.
func (p *replay) warm(share int, s reports.JournalSecond) error {
	times, err := decodePacked(s.Latency)
	if err != nil {
		return err
	}
	for _, w := range []*warmBook{&p.run.books.warm, &p.run.books.shares[share].warm} {
		w.sent += s.Answered + tally(s.FailedBy).sum()
		w.answered += s.Answered
		w.latencies += times.TotalCount()
		for class, n := range s.FailedBy {
			w.classes.addN(class, n)
		}
	}
	p.run.verifier.warmWrong.Add(tally(s.WrongBy).sum())
	return nil
}

// ended enters requests in the totals.
func (p *replay) ended(share int, s reports.JournalSecond) {
	b := p.run.books
	own := &b.shares[share]
	b.answered.Add(s.Answered)
	own.answered += s.Answered
	for class, n := range s.FailedBy {
		b.failed.Add(n)
		own.classes.addN(b.classes.addN(class, n), n)
	}
}

// judged enters verdicts.
func (p *replay) judged(share int, operation string, s reports.JournalSecond) {
	v := p.run.verifier
	own := &v.shares[share]
	v.verified.Add(s.Verified)
	own.verified.Add(s.Verified)
	v.passed.Add(s.Unverified)
	own.passed.Add(s.Unverified)
	for class, n := range s.WrongBy {
		class = v.reasons.addN(class, n)
		own.reasons.addN(class, n)
		v.wrong.Add(n)
		own.wrong.Add(n)
		v.byKind.addN(operation, n)
		own.byKind.addN(operation, n)
		v.bySecond.addN(s.At, operation, n)
		v.countClass(s.At, class, n)
	}
}

// maxOperations bounds the operations that a journal may name.
const maxOperations = 32

// named returns the operation of a name, and makes it if there is none.
func (o operations) named(name string, bad bool) (*operation, error) {
	op := o[name]
	if op == nil {
		if len(o) >= maxOperations {
			return nil, errors.New("too many operations")
		}
		op = newOperation()
		op.bad = bad
		o[name] = op
	}
	return op, nil
}

// settle closes the books as the run itself did at its end, or would have done.
func (p *replay) settle() error {
	r := p.run
	b, v := r.books, r.verifier
	sent := r.sender.sent.Load()
	released := sent + b.refused.sum()
	r.pacer.released.Store(released)
	r.pacer.withheld = r.total - released
	b.results.Store(released - r.inFlight())
	b.queued = b.answered.Load() - b.overflow
	v.passed.Add(-b.overflow)
	for i := range b.shares {
		own, verdicts := &b.shares[i], &v.shares[i]
		own.queued = own.answered - own.overflow
		verdicts.passed.Add(-own.overflow)
		judged := verdicts.verified.Load() + verdicts.passed.Load() + verdicts.wrong.Load()
		if judged > own.queued || verdicts.passed.Load() < 0 {
			return errors.New("the journal tells of more verdicts than answers")
		}
		verdicts.unjudged.Store(own.queued - judged)
		v.judged.Add(judged)
		v.unjudged.Add(own.queued - judged)
	}
	p.end()
	return nil
}

// end enters how far the run came.
func (p *replay) end() {
	r, b := p.run, p.run.books
	if p.last == nil {
		r.halt.reason, r.pacer.stopped = NotSentJournal, 1
		return
	}
	b.last = time.Duration(p.last.Last)
	r.halt.reason, r.pacer.stopped = NotSentJournal, time.Duration(p.last.At)*time.Microsecond
	if end := p.last.End; end != nil {
		r.halt.reason, r.pacer.stopped = cmp.Or(end.Reason, NotSentJournal), time.Duration(end.Stopped)
	}
	r.pacer.bound.Store(p.last.Generator.WorkerBound)
	r.minter.starved.Store(p.last.Generator.Starved)
	r.sender.held.Store(p.last.Generator.Held)
	r.mintedAhead = p.last.Generator.MintedAhead
	r.verifying = time.Duration(p.last.Generator.VerifySeconds * float64(time.Second))
}

// measured enters what a report tells of the process.
func (p *replay) measured(load *reports.Load) {
	for _, u := range load.Usage {
		load.Traffic.WireSent += u.WireSent
		load.Traffic.WireReceived += u.WireReceived
	}
	if p.last == nil {
		return
	}
	load.Prepared = p.last.Prepared
	load.Traffic.Connections, load.Traffic.ConnectionsOpen = p.last.Opened, p.last.Open
	g, from := &load.Generator, p.last.Generator
	g.CPUSeconds, g.GCPauses, g.GCPauseMicros, g.MaxHeapBytes = from.CPUSeconds, from.GCPauses, from.GCPauseMicros, from.MaxHeapBytes
}

// report completes the report of the journal.
func (p *replay) report(r *reports.Report, j *reports.JournalReader) error {
	if err := p.settle(); err != nil {
		return err
	}
	if err := summarize(p.run.books.timeline.seconds); err != nil {
		return err
	}
	load, err := p.run.report()
	if err != nil {
		return err
	}
	r.Load = load
	r.Run.Interrupted, r.Run.Finished = p.ending(j), r.Run.Started
	if p.last != nil {
		r.Run.Finished = r.Run.Started.Add(time.Duration(p.last.At) * time.Microsecond)
	}
	r.Verdict = Verdict(load, j.Head.Asked, r.Run.Interrupted)
	if len(r.RedactionFailed) > 0 {
		r.Verdict.Exit, r.Verdict.State = reports.WorstExit(r.Verdict.Exit, reports.ExitHarness), reports.Broken
	}
	return nil
}

// ending says why the run ended early, "" if it did not.
func (p *replay) ending(j *reports.JournalReader) string {
	if p.last != nil && p.last.End != nil {
		return p.last.End.Reason
	}
	at := time.Duration(0)
	if p.last != nil {
		at = time.Duration(p.last.At) * time.Microsecond
	}
	text := fmt.Sprintf("the process ended without a report, or still runs; its journal ends after %.1f s of the attack, and what followed is missing", at.Seconds())
	if n := j.Partial(); n > 0 {
		text += fmt.Sprintf("; %d bytes of an unfinished last line were ignored", n)
	}
	return text
}
