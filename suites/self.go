package suites

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

const (
	reasonTamperedAccepted    drm.Reason = "tampered-license-accepted"
	reasonForeignCertificate  drm.Reason = "foreign-certificate-accepted"
	reasonLicenseTakenTwice   drm.Reason = "license-taken-twice"
	reasonOtherRequestsAnswer drm.Reason = "answer-to-another-request-accepted"
)

// SelfChecks returns the checks of the harness's own client, sorted by id (sheet widevine.md §18, WV-CLI). They run against a
// server that is known to be right, and are never counted for a target. Their faults are clients that are wrong.
func SelfChecks() []Check {
	checks := []Check{
		{
			ID: "WV-CLI-01", Title: "The client takes no key from a license with a changed byte in message, signature or session key",
			Source: "protocol necessity; sheet widevine.md §18",
			Why:    "A client that does not verify passes every server that does not sign.",
			Hint:   "this is a fault of keyflow: please report it",
			Run:    everyByteCounts,
		},
		{
			ID: "WV-CLI-03", Title: "The client refuses a service certificate that its root did not sign",
			Source: "protocol necessity; sheet widevine.md §18",
			Why:    "A client that takes any certificate gives its identity to whoever asks.",
			Hint:   "this is a fault of keyflow: please report it",
			Run:    foreignCertificateIsRefused,
		},
		{
			ID: "WV-CLI-04", Title: "The client takes each license once, and for its own request only",
			Source: "protocol necessity; sheet widevine.md §18",
			Why:    "A client that takes any license cannot see answers that are mixed up.",
			Hint:   "this is a fault of keyflow: please report it",
			Run:    licenseIsTakenOnce,
		},
	}
	for i := range checks {
		checks[i].Scope, checks[i].System, checks[i].Level = ScopeSelf, drm.Widevine, reports.Must
		checks[i].Needs, checks[i].Timeout = []Need{NeedTrusted}, time.Minute
	}
	return checks
}

// everyByteCounts changes each byte of what a license's signature protects, one by one.
func everyByteCounts(e *Env) {
	judge, ok := e.Platform.(drm.Judge)
	if !ok {
		e.NotApplicable("the platform does not judge stored answers")
	}
	x := Require(e, HaveLicense)
	whole := new(wire.SignedMessage)
	if err := proto.Unmarshal(x.Reply.Body, whole); err != nil {
		e.block("read the license message", err)
	}
	if v := judge.Judge(x.Message.Ticket, x.Message.Body, x.Reply.Body, drm.DepthFull); len(v.Keys) == 0 {
		e.Fail(Failure{Reason: reasonKIDMissing, Step: "judge the license as it came", Expected: "its keys", Seen: "none"})
	}
	changed := 0
	for _, field := range []struct {
		name  string
		bytes func(*wire.SignedMessage) []byte
	}{
		{"msg", (*wire.SignedMessage).GetMsg}, {"signature", (*wire.SignedMessage).GetSignature}, {"session_key", (*wire.SignedMessage).GetSessionKey},
	} {
		for i := range field.bytes(whole) {
			if err := e.Context.Err(); err != nil {
				e.block("judge changed licenses", err)
			}
			other, _ := proto.Clone(whole).(*wire.SignedMessage)
			field.bytes(other)[i] ^= 0x01
			body, err := proto.Marshal(other)
			if err != nil {
				e.block("change the license message", &HarnessError{err})
			}
			changed++
			if v := judge.Judge(x.Message.Ticket, x.Message.Body, body, drm.DepthFull); len(v.Keys) > 0 {
				e.Fail(Failure{Reason: reasonTamperedAccepted, Step: fmt.Sprintf("change byte %d of %s", i, field.name), Expected: "no key", Seen: fmt.Sprintf("%d keys", len(v.Keys))})
			}
		}
	}
	e.Note("%d licenses with one changed byte", changed)
}

func foreignCertificateIsRefused(e *Env) {
	raw := Require(e, haveCertificate).Certificate().Raw
	if _, err := e.Platform.WithServerCertificate(e.Context, raw); err != nil {
		e.Fail(Failure{Reason: reasonForeignCertificate, Step: "take the certificate as it came", Expected: "privacy mode", Seen: err.Error()})
	}
	signed := new(wire.SignedMessage)
	certificate := new(wire.SignedDrmCertificate)
	if err := proto.Unmarshal(raw, signed); err != nil || proto.Unmarshal(signed.GetMsg(), certificate) != nil {
		e.Unverifiable("certificate-form", "the certificate has not the form of a SignedMessage", "")
	}
	certificate.Signature = bytes.Clone(certificate.GetSignature())
	slices.Reverse(certificate.Signature)
	var err error
	if signed.Msg, err = proto.Marshal(certificate); err == nil {
		raw, err = proto.Marshal(signed)
	}
	if err != nil {
		e.block("change the certificate", &HarnessError{err})
	}
	if _, err := e.Platform.WithServerCertificate(e.Context, raw); err == nil {
		e.Fail(Failure{Reason: reasonForeignCertificate, Step: "take a certificate with another signature", Expected: "a refusal", Seen: "privacy mode"})
	}
	e.Note("the server's certificate is taken, and refused with another signature")
}

func licenseIsTakenOnce(e *Env) {
	first, second := Require(e, HaveLicense), Require(e, HaveLicense)
	taken := len(first.Session.Licenses())
	if _, err := first.Session.Process(e.Context, first.Message.ID, first.Reply.Body); err == nil && len(first.Session.Licenses()) > taken {
		e.Fail(Failure{Reason: reasonLicenseTakenTwice, Step: "process the same answer again", Expected: "a refusal", Seen: "another license"})
	}
	session, err := e.Platform.Open(e.Context, Require(e, HaveBox), drm.Options{CustomData: first.Lease.CustomData})
	if err != nil {
		e.block("open a session", &HarnessError{err})
	}
	m, err := session.Request(e.Context, drm.KindLicense)
	if err != nil {
		e.block("make a key request", &HarnessError{err})
	}
	if _, err := session.Process(e.Context, m.ID, second.Reply.Body); err == nil && len(session.Licenses()) > 0 {
		e.Fail(Failure{Reason: reasonOtherRequestsAnswer, Step: "process the answer to another request", Expected: "no license", Seen: "a license"})
	}
	e.Note("not twice, and not for another request")
}
