package suites

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/onsi/gomega"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// Failure is a missed requirement.
type Failure struct {
	Reason   drm.Reason
	Step     string
	Expected string
	Seen     string
	Hint     string        // "" is the check's own hint
	Level    reports.Level // "" is the check's own level; a part of a MUST check may be a SHOULD
}

// Env is what a check sees of the run: its target, its context, and the ways to tell an outcome. A check runs in a
// goroutine of its own, and Fail, Require and a failed assertion end it there, as testing.T.FailNow does.
type Env struct {
	*Target
	Context context.Context
	run     context.Context // of the whole run: it ends when the user interrupts
	check   Check
	strange bool                // the device is a stranger's, which no server trusts
	rightly provider.ErrorClass // of the refusal of a stranger that has a right token
	result  *reports.Result
	log     *Transcript

	certificates *provider.Lease // shared by the certificate requests of the check
}

// Fail ends the check: its requirement is missed.
func (e *Env) Fail(f Failure) {
	e.Miss(f)
	runtime.Goexit()
}

// Miss notes a missed requirement and goes on. The worst one makes the result; of equals, the first.
func (e *Env) Miss(f Failure) {
	level := f.Level
	if level == "" {
		level = e.check.Level
	}
	outcome := missed(level)
	if severity(outcome) >= severity(e.result.Outcome) {
		return
	}
	r := e.result
	r.Outcome, r.Reason, r.Step, r.Expected, r.Seen = outcome, string(f.Reason), f.Step, f.Expected, f.Seen
	r.Hint = f.Hint
	if r.Hint == "" {
		r.Hint = e.check.Hint
	}
}

// severity orders outcomes, worst first.
func severity(o reports.Outcome) int {
	for i, known := range reports.Outcomes() {
		if o == known {
			return i
		}
	}
	return len(reports.Outcomes())
}

// FailOn ends the check if the observation has a finding with one of the reasons.
func (e *Env) FailOn(o *drm.Observation, reasons ...drm.Reason) {
	if f := o.Find(reasons...); f != nil {
		e.failFor(*f)
	}
}

// failFor ends the check for a finding of the platform.
func (e *Env) failFor(f drm.Finding) {
	e.Fail(Failure{Reason: f.Reason, Step: f.Step, Expected: f.Expected, Seen: f.Seen})
}

// Because returns a Gomega whose failed assertion ends the check for the reason; expected says what was wanted in the
// words of the requirement.
func (e *Env) Because(reason drm.Reason, step, expected string) gomega.Gomega {
	return gomega.NewGomega(func(message string, _ ...int) {
		e.Fail(Failure{Reason: reason, Step: step, Expected: expected, Seen: strings.Join(strings.Fields(message), " ")})
	})
}

// Note tells what a passing check verified.
func (e *Env) Note(format string, args ...any) { e.result.Note = fmt.Sprintf(format, args...) }

// NotApplicable ends the check for a reason that the result states.
func (e *Env) NotApplicable(why string) { e.end(reports.NotApplicable, "", why) }

// Unverifiable ends the check: a prerequisite is missing on this machine or for this target.
func (e *Env) Unverifiable(reason drm.Reason, why, hint string) {
	e.result.Hint = hint
	e.end(reports.Unverifiable, reason, why)
}

func (e *Env) end(o reports.Outcome, reason drm.Reason, why string) {
	e.keepMiss()
	e.result.Outcome, e.result.Reason, e.result.Note = o, string(reason), why
	runtime.Goexit()
}

// keepMiss ends the check if it has missed a requirement already: nothing that comes later takes that back.
func (e *Env) keepMiss() {
	if e.result.Outcome != reports.Pass {
		runtime.Goexit()
	}
}

// A Step is something that must work before a check can judge what it is about.
type Step[T any] struct {
	Name string
	Do   func(e *Env) (T, error)
}

// Require does a step. If it does not work the check is blocked by it, not failed: another check judges the step itself.
func Require[T any](e *Env, s Step[T]) T {
	v, err := s.Do(e)
	if err != nil {
		e.block(s.Name, err)
	}
	return v
}

// block ends the check. A harness's own fault is an error, not a blocked check; an unreachable target is its own reason.
func (e *Env) block(step string, err error) {
	e.keepMiss()
	r := e.result
	r.BlockedBy, r.Seen = step, err.Error()
	var harness *HarnessError
	var finding drm.Finding
	var transport *provider.TransportError
	var token *provider.TokenError
	var limit *provider.LimitError
	switch {
	case e.run.Err() != nil:
		r.Outcome, r.Reason = reports.NotRun, "interrupted"
	case errors.As(err, &harness):
		r.Outcome, r.Reason = reports.Error, "harness"
	case errors.As(err, &limit):
		r.Outcome, r.Reason, r.Note = reports.Excluded, "politeness", limit.Error()
	case errors.As(err, &transport):
		r.Outcome, r.Reason = reports.Blocked, string(transport.Reason)
	case errors.As(err, &token):
		r.Outcome, r.Reason = reports.Blocked, string(token.Class)
	case errors.As(err, &finding):
		r.Outcome, r.Reason, r.Step, r.Expected, r.Seen = reports.Blocked, string(finding.Reason), finding.Step, finding.Expected, finding.Seen
	default:
		r.Outcome = reports.Blocked
	}
	runtime.Goexit()
}

// HarnessError is a fault of keyflow itself: the target must not be judged by it.
type HarnessError struct{ Err error }

func (e *HarnessError) Error() string { return e.Err.Error() }
func (e *HarnessError) Unwrap() error { return e.Err }

// Run runs one check on a target and returns its result. It returns when the check ends, when its timeout is over or when
// ctx ends; a check that does not obey its context is left behind after the grace period.
func Run(ctx context.Context, c Check, t *Target) (reports.Result, *Transcript) {
	started := t.clock().Now()
	result := blank(c, t)
	result.Outcome, result.Started = reports.Pass, started.UTC()
	log := &Transcript{}
	if why := t.missing(c); why != nil {
		result.Outcome, result.Note, result.Reason = why.outcome, why.text, why.reason
		return result, log
	}
	e := &Env{Target: t.equipped(), strange: t.Platform == nil, run: ctx, check: c, result: &result, log: log}
	final := e.execute()
	if final.Outcome == reports.Pass && e.strange && c.Partly() {
		final.Partial = c.Leaves
	}
	final.DurationMS = float64(t.clock().Now().Sub(started).Microseconds()) / 1000
	return final, log
}

// gracePeriod is how long a check may go on after its context has ended.
const gracePeriod = 2 * time.Second

// execute runs the body in a goroutine of its own, so that ending it early unwinds its deferred calls.
func (e *Env) execute() reports.Result {
	ctx, cancel := context.WithTimeout(e.run, e.check.timeout())
	defer cancel()
	e.Context = ctx
	overdue := *e.result
	done := make(chan reports.Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				e.result.Outcome, e.result.Reason, e.result.Seen = reports.Error, "harness", fmt.Sprintf("the check panicked: %v", p)
			}
			if e.result.Outcome == reports.Error {
				e.result.Hint = "this is a fault of keyflow, not of the target: please report it"
			}
			done <- *e.result
		}()
		e.check.Run(e)
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r
	case <-time.After(gracePeriod):
		overdue.Outcome, overdue.Reason = reports.Error, "harness"
		overdue.Seen = fmt.Sprintf("the check did not end %v after its context", gracePeriod)
		return overdue
	}
}
