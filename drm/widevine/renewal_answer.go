package widevine

import (
	"bytes"
	"crypto/hmac"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// stepRenewal is the step that compares an answer with the license that it goes on with.
const stepRenewal = "go on with the license"

// examineExisting decodes and judges the answer to a renewal or a release (sheet widevine.md §10). A full license in answer to a
// renewal is taken, with a finding that is not fatal, as such servers exist.
func examineExisting(key secret.RSAKey, p pending, body []byte) *examination {
	x := &examination{key: key, pending: p, depth: drm.DepthFull, body: body}
	if !x.envelope() {
		return x
	}
	x.keys = p.existing.keys.derived
	fresh := x.freshKeys()
	if x.signatureForm() {
		x.existingSignature(fresh)
	}
	if !fresh.Encryption.IsZero() {
		x.keys = fresh
	}
	if !x.parseLicense() {
		return x
	}
	x.identification()
	x.continuity()
	x.containers()
	x.existingContainers()
	if p.kind == drm.KindRenewal { // a release needs no policy
		x.policy()
	}
	return x
}

// freshKeys notes a session key, which an answer that goes on with a license does not need, and returns what is derived from it
// where it can be unwrapped.
func (x *examination) freshKeys() ladder.Keys {
	wrapped := x.answer.Envelope.GetSessionKey()
	if len(wrapped) == 0 {
		return ladder.Keys{}
	}
	x.odd(ReasonRenewalSession, stepSessionKey, "no session key: the license's own keys stay in force", fmt.Sprintf("a session key of %d wrapped bytes", len(wrapped)))
	key, err := ladder.UnwrapSessionKey(x.key.Reveal(), wrapped)
	if err != nil {
		return ladder.Keys{}
	}
	x.answer.SessionKey = key.Fingerprint()
	fresh, err := ladder.Derive(key, x.pending.msg)
	if err != nil { // a key of another length
		return ladder.Keys{}
	}
	return fresh
}

// odd notes a finding that leaves the answer usable.
func (r *record) odd(reason drm.Reason, step, expected, seen string) {
	r.findings = append(r.findings, drm.Finding{Reason: reason, Step: step, Expected: expected, Seen: seen})
}

// existingSignature verifies the HMAC over core ‖ msg with the server's key that is in force, or with that of the answer's own
// session key. That a SIGNING container replaces the derived keys is uncertain, so that a signature with the derived one is
// not fatal.
func (x *examination) existingSignature(fresh ladder.Keys) {
	e, keys := x.answer.Envelope, x.pending.existing.keys
	core, msg, got := e.GetOemcryptoCoreMessage(), e.GetMsg(), e.GetSignature()
	by := func(key secret.Bytes, core []byte) bool {
		return !key.IsZero() && hmac.Equal(ladder.MAC(key, core, msg), got)
	}
	const expected = "HMAC-SHA256 over the core message and msg with the server's key that is in force"
	switch {
	case by(keys.server, core):
	case by(fresh.Server, core):
		x.full = true
	case keys.replaced && by(keys.derived.Server, core):
		x.odd(ReasonRenewalMAC, stepSignature, expected, "made with the derived key, which the license's SIGNING container replaced")
	case by(keys.server, nil):
		x.fatal(ReasonSignatureCore, stepSignature, expected, "valid over msg only")
	case by(keys.client, core):
		x.fatal(ReasonSignature, stepSignature, expected, "made with the client's key")
	default:
		x.fatal(ReasonSignature, stepSignature, expected, "does not verify for this license")
	}
}

// continuity compares the answer's id with the request's: the session, and one version more. A full license starts a session of its
// own. The version after a release is uncertain and not looked at.
func (x *examination) continuity() {
	got, sent := x.answer.License.GetId(), x.pending.existing.id
	note := x.fatal
	if x.full {
		note = x.odd
	}
	if !bytes.Equal(got.GetSessionId(), sent.GetSessionId()) {
		seen := fmt.Sprintf("another id of %d bytes", len(got.GetSessionId()))
		if len(got.GetSessionId()) == 0 {
			seen = "no session_id"
		}
		note(ReasonSessionID, stepRenewal, "the session_id of the license", seen)
	}
	if want := int64(sent.GetVersion()) + 1; x.pending.kind == drm.KindRenewal && int64(got.GetVersion()) != want {
		x.odd(ReasonVersion, stepRenewal, fmt.Sprintf("version %d: one more than in the request", want), fmt.Sprintf("version %d", got.GetVersion()))
	}
}

// existingContainers compares the keys in the answer with those of the license: a renewal may repeat content keys but not change
// them. What a SIGNING container in it means is not known, and it is left alone.
func (x *examination) existingContainers() {
	for _, c := range x.answer.Containers {
		if c.signing() && !x.full {
			x.keyFinding(&c, ReasonRenewalSigning, "no SIGNING container", "one, which is not used")
		}
		if x.pending.kind == drm.KindRelease {
			if t, present := c.Type(); present && t == wire.License_KeyContainer_CONTENT {
				x.keyFinding(&c, ReasonReleaseKeys, "no content key in the answer to a release", "one")
			}
			continue
		}
		if key, ok := c.contentKey(); ok && x.changes(key) {
			x.findings = append(x.findings, drm.Finding{
				Reason: ReasonRenewalKey, Step: stepRenewal, KID: c.KID, Fatal: true,
				Expected: "no content key, or the license's own", Seen: fmt.Sprintf("container %d: another key", c.Index),
			})
		}
	}
}

// changes reports whether the license has another key for the KID.
func (x *examination) changes(key drm.ContentKey) bool {
	for _, had := range x.pending.existing.holding.content {
		if had.KID == key.KID && !had.Key.Equal(key.Key) {
			return true
		}
	}
	return false
}
