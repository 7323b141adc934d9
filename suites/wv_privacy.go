package suites

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

const (
	reasonNotUniform drm.Reason = "refusals-differ"
	reasonBothIDs    drm.Reason = "both-ids-mixed"
)

// widevinePrivacy are the checks of privacy mode (sheet widevine.md §18, "Privacy mode").
func widevinePrivacy() []Check {
	return []Check{
		{
			ID: "WV-PRV-01", Title: "A request with an encrypted client id works like the same request in the clear",
			Level: reports.Must, Source: "vendor notice; sheet widevine.md §18, §7",
			Why:  "Desktop browsers send nothing else.",
			Hint: "Does the server derive the keys from the request as received, not from one that it decrypted or rebuilt?",
			Kills: []Kill{
				{"wv-privacy-decrypted-context", reports.Fail, widevine.ReasonSignature},
				{"wv-privacy-ignored", reports.Fail, provider.ReasonStatus},
			},
			Run: privacyWorks,
		},
		{
			ID: "WV-PRV-02", Title: "An encrypted client id for an unknown service certificate is refused",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §7",
			Why:   "Provider and serial say whose key was used; a server that tries its own blindly hides a configuration that will break.",
			Hint:  "Does the server look its key up by provider and serial?",
			Kills: []Kill{{"wv-privacy-serial-ignored", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				e.mustRefusePrivately(
					widevine.Forge{Encrypted: func(id *wire.EncryptedClientIdentification) {
						id.ServiceCertificateSerialNumber = flip(id.GetServiceCertificateSerialNumber())
					}},
					widevine.Forge{Encrypted: func(id *wire.EncryptedClientIdentification) { id.ProviderId = proto.String("unknown.keyflow.invalid") }},
				)
			},
		},
		{
			ID: "WV-PRV-03", Title: "A corrupt encrypted client id, IV or privacy key is refused, always in the same way",
			Level: reports.Must, Source: "protocol necessity (refused), practice (the same way: SHOULD); sheet widevine.md §18",
			Why:   "Answers that tell bad padding from bad content give the encrypted identity away, byte by byte.",
			Hint:  "Give every failure of decryption and of parsing behind it one status and one body.",
			Kills: []Kill{{"wv-privacy-padding-500", reports.Warn, reasonNotUniform}},
			Run:   corruptIdentities,
		},
		{
			ID: "WV-PRV-04", Title: "A request with both a clear and an encrypted client id is refused, or judged by one of them alone",
			Level: reports.Should, Source: "schema: never both; sheet widevine.md §18, §4.4",
			Why:   "A server that verifies one identity and serves the other hands licenses to devices that it never saw.",
			Hint:  "Which of the two ids does each step of the server take?",
			Needs: []Need{NeedSecondDevice},
			Kills: []Kill{{"wv-privacy-both-ids", reports.Warn, reasonBothIDs}},
			Run:   bothIdentities,
		},
		{
			ID: "WV-PRV-05", Title: "A request without any client id is refused", Level: reports.Must, Source: "schema; sheet widevine.md §18, §4.4",
			Why: "There is nobody to give the license to.", Hint: "Does a missing identity fall back to a default device?",
			Kills: []Kill{{"wv-anonymous-license", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				e.mustRefuse(widevine.Forge{Request: func(r *wire.LicenseRequest) { r.ClientId = nil }})
			},
		},
	}
}

func privacyWorks(e *Env) {
	x := Require(e, havePrivateAnswer)
	e.failOnProblem(x)
	if f := x.Observation.Fatal(); f != nil {
		e.failFor(*f)
	}
	e.Note("%d key containers, as in the clear", len(x.Answer().Containers))
}

// mustRefusePrivately is mustRefuse in privacy mode: the untampered private request must be granted first.
func (e *Env) mustRefusePrivately(forges ...widevine.Forge) []string {
	p, box := Require(e, havePrivacy), Require(e, HaveBox)
	Require(e, Step[*Exchange]{"obtain a license in privacy mode", func(e *Env) (*Exchange, error) {
		x, err := e.Exchange(p, box, drm.KindLicense)
		if err != nil {
			return nil, err
		}
		return x, x.Usable()
	}})
	refusals := make([]string, 0, len(forges))
	for _, f := range forges {
		refusals = append(refusals, e.refused(p.WithForge(f), box))
	}
	e.Note("untampered twin granted; refused with %s", refusals[0])
	return refusals
}

func corruptIdentities(e *Env) {
	parts := []struct {
		name  string
		forge widevine.Forge
	}{
		{"the last block of the encrypted client id", widevine.Forge{EncryptedClientID: flipLast}},
		{"the first block of the encrypted client id", widevine.Forge{EncryptedClientID: flipFirst}},
		{"the IV", widevine.Forge{ClientIDIV: flipFirst}},
		{"the privacy key", widevine.Forge{PrivacyKey: flip}},
		{"the length of the encrypted client id", widevine.Forge{EncryptedClientID: func(b []byte) []byte { return b[:len(b)-1] }}},
	}
	forges := make([]widevine.Forge, len(parts))
	for i, p := range parts {
		forges[i] = p.forge
	}
	refusals := e.mustRefusePrivately(forges...)
	for i, r := range refusals {
		if r != refusals[0] {
			e.Miss(Failure{Reason: reasonNotUniform, Level: reports.Should, Step: stepTampered, Expected: "one answer for every corruption: " + refusals[0],
				Seen: fmt.Sprintf("%s for a change of %s", r, parts[i].name)})
		}
	}
}

// flipFirst changes the first byte, and with it what a parser meets first: the padding stays valid. A byte further on
// would only make another identity of it, which is refused for what it is.
func flipFirst(b []byte) []byte {
	b = bytes.Clone(b)
	b[0] ^= 0xff
	return b
}

// flipLast changes a byte of the last block but one, and with it the padding.
func flipLast(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-17] ^= 0xff
	return b
}

// bothIdentities sends the second device's id in the clear beside the first one's encrypted: signed by the second, a license
// that the first can open was verified with one identity and served to the other.
func bothIdentities(e *Env) {
	p, box := Require(e, havePrivacy), Require(e, HaveBox)
	second, ok := e.Second.(*widevine.Platform)
	if !ok {
		e.NotApplicable("the second device's key is not at hand")
	}
	other := new(wire.ClientIdentification)
	if err := proto.Unmarshal(second.Identity().ClientID(), other); err != nil {
		e.block("read the second device's id", &HarnessError{err})
	}
	Require(e, HaveLicense)
	forge := widevine.Forge{Key: second.Identity().Key(), Request: func(r *wire.LicenseRequest) { r.ClientId = other }}
	x, err := e.Exchange(p.WithForge(forge), box, drm.KindLicense)
	if err != nil {
		e.block("get an answer to a request with both ids", err)
	}
	if !x.Granted() {
		e.Note("refused with %s", e.refusal(x, "send both ids"))
		return
	}
	if x.Observation.Find(widevine.ReasonSessionKey, widevine.ReasonSessionKeyLen) == nil {
		e.Fail(Failure{Reason: reasonBothIDs, Step: "send both ids", Expected: wantRefusal + ", or a license for the device that signed",
			Seen: fmt.Sprintf("HTTP %d with a license for the encrypted device, signed for by the clear one", x.Status)})
	}
	e.Note("judged by the clear id alone")
}
