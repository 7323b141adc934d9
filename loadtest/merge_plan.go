package loadtest

import (
	"fmt"
	"slices"

	"keyflow/reports"
)

// planText tells what slices of a plan have in common: they have its shape and durations, and each the same part of its
// rates. The mean rate of a plan with stages is counted in requests, of which a slice may have one more than another.
func planText(l *reports.Load) string {
	p := l.Plan
	text := fmt.Sprintf("%s for %d ms, verify %s, %s key requests", p.Shape, p.DurationMS, p.Verify, p.KeyRequests.Source)
	if len(p.Stages) == 0 {
		text += fmt.Sprintf(", %g/s", p.RatePerSec)
	}
	for _, s := range p.Stages {
		text += fmt.Sprintf(", %g/s to %g/s in %d ms", s.FromPerSec, s.ToPerSec, s.DurationMS)
	}
	if l.WarmUp != nil {
		text += fmt.Sprintf(", warm-up %d ms", l.WarmUp.DurationMS)
	}
	return text
}

// emptied is a plan without the parts that add up.
func emptied(p reports.Plan) reports.Plan {
	p.RatePerSec, p.PeakPerSec, p.Requests, p.Workers = 0, 0, 0, 0
	p.Stages = slices.Clone(p.Stages)
	for i, s := range p.Stages {
		p.Stages[i] = reports.Stage{DurationMS: s.DurationMS}
	}
	p.KeyRequests = reports.KeyRequests{Source: p.KeyRequests.Source}
	return p
}

// addPlan adds a slice.
func addPlan(to *reports.Plan, p reports.Plan) {
	to.RatePerSec += p.RatePerSec
	to.PeakPerSec += p.PeakPerSec
	to.Requests += p.Requests
	to.Workers += p.Workers
	to.KeyRequests.Add(p.KeyRequests)
	for i, s := range p.Stages {
		to.Stages[i].FromPerSec += s.FromPerSec
		to.Stages[i].ToPerSec += s.ToPerSec
		to.Stages[i].Requests += s.Requests
	}
}

func addWarmUp(to *reports.Load, w *reports.WarmUp) {
	if w == nil {
		return
	}
	if to.WarmUp == nil {
		to.WarmUp = &reports.WarmUp{DurationMS: w.DurationMS}
	}
	to.WarmUp.Planned += w.Planned
	to.WarmUp.Sent += w.Sent
	to.WarmUp.Answered += w.Answered
	to.WarmUp.Wrong += w.Wrong
	addCounts(&to.WarmUp.Failed, w.Failed)
}

// addWrong adds wrong answers by operation.
func addWrong(to tally, list []reports.Operation) {
	for _, op := range list {
		to.addN(op.Name, op.Wrong)
	}
}

// measuredBy returns how many requests were sent behind the warm-up.
func measuredBy(l *reports.Load) int64 {
	if l.WarmUp == nil {
		return l.Accounting.Sent
	}
	return l.Accounting.Sent - l.WarmUp.Sent
}
