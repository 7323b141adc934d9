package triage

import (
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
)

// The reasons of the form step, beside those of package provider and of the platforms.
const (
	reasonWrapped     drm.Reason = "license-wrapped"
	reasonCertificate drm.Reason = "certificate-instead-of-license"
	reasonNoMessage   drm.Reason = "no-license"
	reasonOtherSystem drm.Reason = "other-system"
	reasonEcho        drm.Reason = "request-came-back"
)

// form is the step of the first bytes: is this what was asked for, as a CDM takes it?
func (w *walk) form() outcome {
	r, m := w.final(), w.message
	switch {
	case r.Status == 0:
		return notShown("no answer")
	case r.Answer.Lost != "" && !m.has:
		return w.lost()
	}
	if w.profile != nil && len(w.reply.Problems) > 0 && w.reply.Class == provider.ClassUnexpected {
		p := w.reply.Problems[0]
		return failed(p.Reason, p.Expected, looks(r.Answer.Data)+unlike(w), "the answer has not the form that the profile's response.unwrap says: has the service, or a parameter of the URL, changed it (RW-02)?")
	}
	if len(r.Answer.Data) == 0 {
		return failed(provider.ReasonEmpty, "a "+string(w.asksFor()), "an empty body", "a good status without a body: did the service, or a proxy before it, see the request's body at all (RW-15)?")
	}
	if o := w.kindOf(); o != nil {
		return *o
	}
	if f := w.structure(); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, "the license cannot be the answer to this request as it stands: keyflow inspect shows both")
	}
	switch {
	case m.Wrapped == "" && m.profile, m.profile:
		return ok("%s %s, as the profile unwraps it", m.System, m.Kind)
	case m.Wrapped == "":
		return ok("%s", m.Message)
	case w.lives:
		return ok("%s, which the player unwrapped: it went on with the license", printableWord(m.String()))
	}
	return failed(reasonWrapped, "a bare "+string(m.Kind)+", or a player that unwraps it",
		fmt.Sprintf("a %s in %s", m.Kind, shownWrapping(m.Wrapped)),
		"a CDM takes the license bare: have the player take it out of "+shownWrapping(m.Wrapped)+" (RW-01). If it does already, a profile whose response.unwrap says so reads on: --profile")
}

// unlike tells the message that was found all the same.
func unlike(w *walk) string {
	if a := w.final().answer; a.System != "" {
		return ", which holds a " + printableWord(a.String())
	}
	return ""
}

// kindOf judges what kind of message the answer is, nil for what was due.
func (w *walk) kindOf() *outcome {
	m, want := w.message, w.asksFor()
	var o outcome
	switch {
	case !m.has:
		o = failed(reasonNoMessage, "a "+string(want), bodyText(w.final()), "the body is no message of a DRM system, in no wrapping that is known: was it decoded as text on the way (RW-04, TR-10)?")
	case !m.Answer:
		o = failed(reasonEcho, "a "+string(want), "the request itself came back", "something on the way sends the request back: a debug endpoint, or a proxy's echo")
	case w.system != "" && m.System != w.system:
		o = failed(reasonOtherSystem, "a "+string(w.system)+" message", "one of "+string(m.System), "the URL is that of another DRM system's service")
	case m.Kind == drm.KindCertificate && want != drm.KindCertificate:
		o = failed(reasonCertificate, "a license", "a service certificate", "the answer to the certificate request came for the license request: a cache that ignores the body, or a proxy that changes it (RW-03)")
	case m.Kind != drm.KindCertificate && want == drm.KindCertificate:
		o = failed(reasonNoMessage, "a service certificate", "a "+string(m.Kind), "the service does not answer certificate requests as such (RW-05)")
	default:
		return nil
	}
	return &o
}

// structure returns the first thing that a judge finds wrong with the license, but for its keys and policy.
func (w *walk) structure() *drm.Finding {
	for _, f := range w.findings() {
		if !slices.Contains(slices.Concat(keyReasons, policyReasons, bindingReasons), f.Reason) && f.Reason != playready.ReasonSigner {
			return &f
		}
	}
	return nil
}

// finding returns the first finding with one of the reasons.
func (w *walk) finding(reasons []drm.Reason) *drm.Finding {
	for _, f := range w.findings() {
		if slices.Contains(reasons, f.Reason) {
			return &f
		}
	}
	return nil
}

// findings judges the license by its shape, if there is a judge and the request is at hand.
func (w *walk) findings() []drm.Finding {
	if w.judge == nil || !w.message.has || w.kind() != string(drm.KindLicense) {
		return nil
	}
	c, err := captured(w.first.request)
	if err != nil || c.Kind != drm.KindLicense {
		return nil
	}
	t := drm.Ticket{System: c.System, Kind: c.Kind, KIDs: c.KIDs, Minted: w.first.Started}
	if t.Minted.IsZero() {
		t.Minted = c.Made
	}
	return w.judge.Judge(t, c.Body, w.message.Body, drm.DepthShape).Findings
}
