package triage

import (
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// walk is an exchange on its way through the steps.
type walk struct {
	*exchange
	system  drm.System
	profile *provider.Profile // nil: none
	judge   drm.Judge         // nil: none
	reply   provider.Reply    // of the profile
	message found             // the message of the answer
	lives   bool              // the player went on with the license: it asked to renew it
	steps   []reports.TriageStep
	failed  bool
}

// outcome is what a step came to.
type outcome struct {
	outcome              reports.TriageOutcome
	reason               drm.Reason
	expected, seen, hint string
}

func ok(format string, args ...any) outcome {
	return outcome{outcome: reports.TriageOK, seen: fmt.Sprintf(format, args...)}
}

func failed(reason drm.Reason, expected, seen, hint string) outcome {
	return outcome{reports.TriageFailed, reason, expected, seen, hint}
}

func notShown(format string, args ...any) outcome {
	return outcome{outcome: reports.TriageNotShown, seen: fmt.Sprintf(format, args...)}
}

// step does one step, unless an earlier one failed.
func (w *walk) step(id string, do func() outcome) {
	if w.failed {
		w.steps = append(w.steps, reports.TriageStep{ID: id, Outcome: reports.TriageNotReached})
		return
	}
	o := do()
	w.failed = o.outcome == reports.TriageFailed
	w.steps = append(w.steps, reports.TriageStep{ID: id, Outcome: o.outcome, Reason: string(o.reason), Expected: o.expected, Seen: o.seen, Hint: o.hint})
}

// go through the steps up to the policy; the renewal is the session's.
func (w *walk) through() {
	w.step(StepNetwork, w.network)
	w.step(StepPreflight, w.leave)
	w.step(StepRedirect, w.redirect)
	w.answer()
}

// answer goes through the steps that are about the answer alone.
func (w *walk) answer() {
	w.read()
	w.step(StepStatus, w.status)
	w.step(StepEdge, w.edge)
	w.step(StepCode, w.code)
	w.step(StepInside, w.inside)
	w.step(StepForm, w.form)
	if w.kind() == string(drm.KindCertificate) || w.kind() == string(drm.KindAcknowledgement) || w.kind() == string(drm.KindRelease) {
		return
	}
	if w.kind() != string(drm.KindRenewal) {
		w.step(StepKeys, w.keys)
	}
	w.step(StepPolicy, w.policy)
}

func (o Options) walk(x *exchange, system drm.System) *walk {
	return &walk{exchange: x, system: system, profile: o.Profiles[system], judge: o.Judges[system]}
}

// walk goes through the exchanges of the acquisition.
func (s *session) walk(number int, o Options, last time.Time) reports.TriageSession {
	out := reports.TriageSession{Name: fmt.Sprintf("acquisition %d", number), System: string(s.system)}
	if p := o.Profiles[s.system]; p != nil {
		out.Profile = p.ID
	}
	renewed := slices.ContainsFunc(s.exchanges, func(x *exchange) bool { return x.kind() == string(drm.KindRenewal) })
	var walks []*walk
	for _, x := range s.exchanges {
		w := o.walk(x, s.system)
		w.lives = renewed
		w.through()
		walks = append(walks, w)
	}
	for _, w := range walks {
		if k := w.kind(); k == string(drm.KindLicense) || k == kindUnknown {
			w.step(StepRenewal, func() outcome { return w.renewal(walks, last) })
			out.URL, out.Page = har.ShownURL(w.first.URL), w.origin()
			for _, kid := range w.asked() {
				out.KIDs = append(out.KIDs, kid.String())
			}
		}
	}
	if last := walks[len(walks)-1]; last.kind() == string(drm.KindCertificate) {
		last.step(StepKeys, func() outcome { return notShown("the archive has no license request after it") })
	}
	if out.URL == "" {
		out.URL, out.Page = har.ShownURL(walks[0].first.URL), walks[0].origin()
	}
	for _, w := range walks {
		out.Exchanges = append(out.Exchanges, w.told())
	}
	conclude(&out)
	return out
}

func (w *walk) told() reports.TriageExchange {
	entry := w.first.Index
	x := reports.TriageExchange{
		Kind: w.kind(), Entry: &entry, Method: shortWord(w.first.Method), URL: har.ShownURL(w.first.URL), Status: w.final().Status, Steps: w.steps,
	}
	if p := w.first.preflight; p != nil {
		at := p.Index
		x.Preflight = &at
	}
	return x
}

// conclude finds the cause of a session, the first step that fails, and its consequences. Where a renewal fails the license's step names
// it already.
func conclude(s *reports.TriageSession) {
	for _, x := range s.Exchanges {
		for _, step := range x.Steps {
			if step.Outcome != reports.TriageFailed {
				continue
			}
			if s.Cause != nil {
				if x.Kind != string(drm.KindRenewal) || s.Cause.Step != StepRenewal {
					s.Consequences = append(s.Consequences, fmt.Sprintf("%s: failed at %s: %s", x.Heading(), step.ID, step.Seen))
				}
				continue
			}
			s.Cause = &reports.TriageCause{Step: step.ID, Kind: x.Kind, Entry: x.Entry, Reason: step.Reason, Expected: step.Expected, Seen: step.Seen, Hint: step.Hint}
		}
	}
}
