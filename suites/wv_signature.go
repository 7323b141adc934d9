package suites

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

const (
	reasonAccepted drm.Reason = "accepted"        // what had to be refused was granted
	reasonUnclear  drm.Reason = "refusal-unclear" // no license, but no refusal by the license service either
)

// widevineSignature are the checks of how requests are authenticated (sheet widevine.md §18, "Authentication of the
// request"). Each asks for the untampered twin of its request first: it must be granted.
func widevineSignature() []Check {
	const hint = "A request that must be refused was granted: anybody can get keys. Is verification switched off, or does its result go unused?"
	return []Check{
		{
			ID: "WV-SIG-01", Title: "A request with a flipped signature bit is refused", Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why: "Without it, any request with a known device certificate is granted.", Hint: hint,
			Kills: []Kill{{"wv-signature-not-verified", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				e.mustRefuse(widevine.Forge{Sign: flip})
			},
		},
		{
			ID: "WV-SIG-02", Title: "A request without a signature is refused", Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why: "A server that reads a missing signature as nothing to verify grants everything.", Hint: hint,
			Kills: []Kill{
				{"wv-empty-signature-accepted", reports.Fail, reasonAccepted},
				{"wv-signature-not-verified", reports.Fail, reasonAccepted},
			},
			Run: func(e *Env) {
				e.mustRefuse(
					widevine.Forge{Envelope: func(m *wire.SignedMessage) { m.Signature = nil }},
					widevine.Forge{Envelope: func(m *wire.SignedMessage) { m.Signature = []byte{} }},
				)
			},
		},
		{
			ID: "WV-SIG-03", Title: "A valid signature by another device's key is refused", Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why: "The signature must prove possession of the key in the certificate that is shown.", Hint: hint,
			Needs: []Need{NeedSecondDevice},
			Kills: []Kill{
				{"wv-any-known-key-accepted", reports.Fail, reasonAccepted},
				{"wv-signature-not-verified", reports.Fail, reasonAccepted},
			},
			Run: signedByAnotherDevice,
		},
		{
			ID: "WV-SIG-04", Title: "A request that was changed after it was signed is refused", Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why: "Content, time, nonce and request id must all be covered, or a recorded request buys other content.", Hint: hint,
			Kills: []Kill{{"wv-signature-not-verified", reports.Fail, reasonAccepted}},
			Run:   changedAfterSigning,
		},
		{
			ID: "WV-SIG-07", Title: "A device certificate under a foreign root is refused", Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §5.3",
			Why: "Everybody can make a certificate chain; only the root tells a device.", Hint: hint,
			Leaves: leavesRoot,
			Kills:  []Kill{{"wv-chain-not-verified", reports.Fail, reasonAccepted}},
			Run:    foreignDevice,
		},
	}
}

func flip(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 1
	return b
}

// device returns the platform as a Widevine device whose requests can be forged.
func (e *Env) device() *widevine.Platform {
	p, ok := e.Platform.(*widevine.Platform)
	if !ok {
		e.NotApplicable("requests of this platform cannot be forged")
	}
	return p
}

// mustRefuse sends the untampered twin, which must be granted, and then each forged request, which must be refused.
func (e *Env) mustRefuse(forges ...widevine.Forge) {
	Require(e, HaveLicense)
	box := Require(e, HaveBox)
	refusals := make([]string, 0, len(forges))
	for _, f := range forges {
		refusals = append(refusals, e.refused(e.device().WithForge(f), box))
	}
	e.Note("untampered twin granted; refused with %s", refusals[0])
}

// stepTampered is the step that must end in a refusal.
const stepTampered = "send a tampered key request"

// refused acquires a license that must not be granted and returns how it was refused.
func (e *Env) refused(p drm.Platform, box drm.Box) string {
	return e.refusal(e.refusedExchange(p, box), stepTampered)
}

// refusedExchange acquires a license that must not be granted.
func (e *Env) refusedExchange(p drm.Platform, box drm.Box) *Exchange {
	x, err := e.Exchange(p, box, drm.KindLicense)
	if err != nil {
		e.block("get an answer to a tampered key request", err)
	}
	if x.Granted() {
		e.Fail(Failure{Reason: reasonAccepted, Step: stepTampered, Expected: wantRefusal,
			Seen: x.granted()})
	}
	e.refusal(x, stepTampered)
	return x
}

const wantRefusal = "a refusal: HTTP 4xx or 5xx, or an error response"

// refusal returns how a request was refused: by HTTP 4xx or 5xx, by an in-band error or by a SOAP fault (sheets widevine.md §18,
// playready.md §14). A page of some proxy or
// an empty answer is no refusal by the license service, and fails the check.
func (e *Env) refusal(x *Exchange, step string) string {
	switch {
	case x.PlayReady().Fault != nil:
		return fmt.Sprintf("HTTP %d and SOAP fault %s", x.Status, x.PlayReady().Fault.Code)
	case x.Answer().Error != nil:
		return fmt.Sprintf("HTTP %d and error response %v", x.Status, x.Answer().Error.GetErrorCode())
	case e.unknownRefusal(x):
		e.Fail(Failure{Reason: reasonUnclear, Step: step, Expected: wantRefusal + " that the profile's errors know",
			Seen: fmt.Sprintf("HTTP %d of class %s", x.Status, x.Reply.Error.Class)})
	case x.Reply.Class == provider.ClassUnexpected && x.Reply.Error != nil:
		return fmt.Sprintf("HTTP %d and %s", x.Status, x.Reply.Error)
	case x.Reply.Class == provider.ClassRefused || x.Reply.Class == provider.ClassServerFault:
		return fmt.Sprintf("HTTP %d", x.Status)
	}
	e.Fail(Failure{Reason: reasonUnclear, Step: step, Expected: wantRefusal,
		Seen: fmt.Sprintf("HTTP %d with neither license nor error (%s)", x.Status, x.Reply.Class)})
	return ""
}

// unknownRefusal reports whether a refusal is one that the profile's errors do not know, or a page of somebody else's.
func (e *Env) unknownRefusal(x *Exchange) bool {
	c := errorClass(x)
	return c == provider.ErrorEdgeHTML || c == provider.ErrorUnclassified
}

func signedByAnotherDevice(e *Env) {
	second, ok := e.Second.(*widevine.Platform)
	if !ok {
		e.NotApplicable("the second device's key is not at hand")
	}
	e.mustRefuse(widevine.Forge{Key: second.Identity().Key()})
}

func changedAfterSigning(e *Env) {
	pssh := func(r *wire.LicenseRequest) *wire.LicenseRequest_ContentIdentification_WidevinePsshData {
		return r.GetContentId().GetWidevinePsshData()
	}
	e.mustRefuse(
		widevine.Forge{Tampered: func(r *wire.LicenseRequest) { r.RequestTime = proto.Int64(r.GetRequestTime() + 1) }},
		widevine.Forge{Tampered: func(r *wire.LicenseRequest) { r.KeyControlNonce = proto.Uint32(r.GetKeyControlNonce() ^ 2) }},
		widevine.Forge{Tampered: func(r *wire.LicenseRequest) { pssh(r).RequestId = flip(pssh(r).GetRequestId()) }},
		widevine.Forge{Tampered: func(r *wire.LicenseRequest) { pssh(r).PsshData = append(pssh(r).PsshData, pssh(r).PsshData...) }},
	)
}

// foreignDevice makes a device of a root that no server knows and asks with it.
func foreignDevice(e *Env) {
	e.requireLicense()
	identity, err := foreignIdentity(e.device().Identity())
	if err != nil {
		e.block("make a foreign device", &HarnessError{err})
	}
	for _, part := range identity.Key().Parts() {
		e.Vault.Add("foreign-device-key", part)
	}
	how := e.refused(widevine.NewPlatform(identity, e.clock()), Require(e, HaveBox))
	e.Note("%sforeign device refused with %s", e.beside("device of the known root granted; "), how)
}

// leavesRoot is what the refusal of a foreign device alone does not show.
const leavesRoot = "whether it is refused for its root: no device that is trusted was granted beside it"

// beside returns what a note says of the control, "" if there was none.
func (e *Env) beside(control string) string {
	if e.trusted() {
		return control
	}
	return ""
}

// foreignIdentity copies a device's shape under a root and a model of its own. One key serves all three: what the server
// must notice is that it does not know the root.
func foreignIdentity(like widevine.Identity) (widevine.Identity, error) {
	raw, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	key := secret.NewRSAKey(raw)
	id := new(wire.ClientIdentification)
	if err := proto.Unmarshal(like.ClientID(), id); err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	device, err := chain.Parse(id.GetToken())
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	model := proto.CloneOf(device.Fields)
	model.Type = wire.DrmCertificate_DEVICE_MODEL.Enum()
	signer, err := chain.Issue(model, key.Public(), key, nil)
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	token, err := chain.Issue(device.Fields, key.Public(), key, signer)
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	if id.Token, err = proto.Marshal(token); err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	clientID, err := proto.Marshal(id)
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("make foreign device: %w", err)
	}
	return widevine.NewIdentity(clientID, key)
}
