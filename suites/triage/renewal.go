package triage

import (
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

const reasonNeverRenewed drm.Reason = "renewal-never-sent"

// renewalGrace is how late a player may ask for a renewal, beside the time between two attempts.
const renewalGrace = 10 * time.Second

// renewal is the step after the license: the renewals that the player asked for, and whether it had to.
func (w *walk) renewal(all []*walk, last time.Time) outcome {
	n := 0
	for _, r := range all {
		if r.kind() != string(drm.KindRenewal) {
			continue
		}
		n++
		i := slices.IndexFunc(r.steps, func(s reports.TriageStep) bool { return s.Outcome == reports.TriageFailed })
		if i < 0 {
			continue
		}
		s := r.steps[i]
		return failed(drm.Reason(s.Reason), s.Expected, fmt.Sprintf("the renewal [%d] failed at %s: %s", r.first.Index, s.ID, s.Seen),
			"a renewal goes to the license URL, or to the policy's renewal URL, with a token that is good at that time and is not used up (RW-20): "+s.Hint)
	}
	switch l := w.licenses(); {
	case n > 0:
		return ok("%d answered", n)
	case len(l) == 0:
		return ok("no license that can be renewed is shown")
	default:
		return w.due(l[0], last)
	}
}

// due judges a license that nobody asked to renew.
func (w *walk) due(l license, last time.Time) outcome {
	arrived := w.final().ended()
	switch {
	case !l.renew:
		return ok("the license is not to be renewed")
	case arrived.IsZero() || last.IsZero():
		return notShown("the license may be renewed; the archive has no times")
	}
	at := arrived.Add(l.renewAfter)
	if late := at.Add(l.retryEvery + renewalGrace); last.After(late) {
		return failed(reasonNeverRenewed, fmt.Sprintf("a renewal request %v after the license", l.renewAfter),
			fmt.Sprintf("none, and the archive goes on for %v after the license", last.Sub(arrived).Round(time.Second)),
			"does the player pass on all messages of the CDM, those of type license-renewal too? If playback was stopped or paused before, none was due")
	}
	return ok("the license may be renewed after %v; the archive ends before that", l.renewAfter)
}
