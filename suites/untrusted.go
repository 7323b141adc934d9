package suites

import (
	"fmt"
	"slices"

	"keyflow/reports"
)

// The reasons of results that a device would have to be given for.
const (
	reasonNoDevice       = "no-device"
	reasonNoTrusted      = "no-trusted-device"
	reasonNoSecondDevice = "no-second-device"
	reasonNoIssuer       = "no-issuer"
	reasonNoRevoked      = "no-revoked-device"
)

// lacks returns the reason why a need for a device, or for somebody who makes one, is not met for a check, "" if it is.
func (t *Target) lacks(n Need, c Check) string {
	stranger := t.Stranger != nil
	switch {
	case n == NeedDevice && t.Platform == nil && !stranger:
		return reasonNoDevice
	case n == NeedTrusted && t.Platform == nil && (!stranger || c.Leaves == ""):
		return reasonNoTrusted
	case n == NeedSecondDevice && t.Second == nil:
		return reasonNoSecondDevice
	case n == NeedIssuer && t.Issue == nil:
		return reasonNoIssuer
	case n == NeedRevoked && t.Revoked == nil:
		return reasonNoRevoked
	}
	return ""
}

// unjudged is the outcome of what cannot be judged without a device: the user has left it out, or did not know that it would be.
func (t *Target) unjudged() reports.Outcome {
	if t.Bare {
		return reports.Excluded
	}
	return reports.Unverifiable
}

// equipped returns the target with a stranger's device where there is no other.
func (t *Target) equipped() *Target {
	if t.Platform != nil || t.Stranger == nil {
		return t
	}
	own := *t
	own.Platform = t.Stranger
	return &own
}

// Partly reports whether the check judges less of a target that trusts no device of the run.
func (c Check) Partly() bool { return c.Leaves != "" && slices.Contains(c.Needs, NeedTrusted) }

// trusted reports whether the server is to trust the device of the check. If not, no license is to be had, and refusals are all that
// can be judged.
func (e *Env) trusted() bool { return !e.strange }

// requireLicense obtains a license, as the control that a right request is granted. Without a trusted device there is none.
func (e *Env) requireLicense() {
	if e.trusted() {
		Require(e, HaveLicense)
	}
}

// open ends the check because a refusal of a stranger's device does not tell what the check is about.
func (e *Env) open(why string) { e.end(e.unjudged(), reasonNoTrusted, why) }

// wanted gets an answer to a right key request: a license where the server trusts the device, else whatever it says to a stranger.
func (p *posts) wanted(step string, c call) *Exchange {
	if p.e.trusted() {
		return p.granted(step, c)
	}
	return p.send("get the refusal of an unknown device", c)
}

// answerIs tells what [posts.wanted] gets.
func (e *Env) answerIs(license string) string {
	if e.trusted() {
		return license
	}
	return "the refusal of an unknown device"
}

// leavesToken is what a refusal for a token does not show.
const leavesToken = "whether the same request is granted with a right token"

// rightToken sends a request with a right token, which must be granted. A stranger must be refused, and for something else than the
// token: else no refusal that comes after it says anything of tokens.
func (e *Env) rightToken() {
	if e.trusted() {
		Require(e, HaveLicense)
		return
	}
	x := Require(e, HaveAnswer)
	switch e.rightly = errorClass(x); {
	case e.rightly == "":
		e.open("whether a refusal is for the token or for the device cannot be told: the profile knows no errors of the service")
	case isAuthorization(e.rightly):
		e.open(fmt.Sprintf("a request with a right token is refused as %s too: a device that is trusted would show whether that is right", x.Reply.Error))
	}
}

// forItsToken ends the check unless a stranger was refused for the token of the request: as an error of authorization, or as the
// profile says of the scenario and not as with a right token.
func (e *Env) forItsToken(scenario string, x *Exchange) {
	c := errorClass(x)
	if e.trusted() || isAuthorization(c) || c != e.rightly && slices.Contains(e.Profile.Expect[scenario].Class, c) {
		return
	}
	e.open(fmt.Sprintf("refused as %s: that may be for the device as well as for the token", x.Reply.Error))
}

// Judges is a platform that a check can be judged with, and what it leaves open there, "" for nothing.
type Judges struct {
	Platform PlatformKind `json:"platform"`
	Leaves   string       `json:"leaves,omitempty"`
}

// Platforms returns what a check can be judged with, that which takes least first.
func (c Check) Platforms() []Judges {
	has := func(needs ...Need) bool {
		return slices.ContainsFunc(needs, func(n Need) bool { return slices.Contains(c.Needs, n) })
	}
	var all []Judges
	if c.Partly() || !has(NeedTrusted, NeedSecondDevice, NeedIssuer, NeedRevoked, NeedTwin) {
		all = append(all, Judges{PlatformNone, c.Leaves})
	}
	if !has(NeedSecondDevice, NeedIssuer, NeedRevoked) {
		all = append(all, Judges{Platform: PlatformIdentity})
	}
	return append(all, Judges{Platform: PlatformHarness})
}
