package widevine

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// CertificateAnswer is everything that was decoded of the answer to a service certificate request, whatever is wrong with
// it.
type CertificateAnswer struct {
	Raw         []byte              // the answer as it came; [Platform.WithServerCertificate] takes it unless a finding is fatal
	Form        chain.Form          // "" if it has none of the accepted forms
	Envelope    *wire.SignedMessage // nil if the body is no SignedMessage
	Error       *wire.LicenseError  // of an in-band refusal
	Certificate *chain.Certificate  // nil if it does not parse; its keys are nil if they cannot be used
}

// certificateExamination is one such answer being judged.
type certificateExamination struct {
	record
	answer CertificateAnswer
}

const stepCertificate = "verify the service certificate"

// examineCertificate decodes and judges the answer to a service certificate request (sheet widevine.md §5).
func examineCertificate(root *rsa.PublicKey, now time.Time, body []byte) *certificateExamination {
	x := &certificateExamination{answer: CertificateAnswer{Raw: bytes.Clone(body)}}
	service := x.form(body)
	if service == nil {
		return x
	}
	x.answer.Form, x.answer.Envelope = service.Form, service.Envelope
	if service.Form == chain.FormBare {
		x.findings = append(x.findings, drm.Finding{ // clients take it, but not all that fetch one do (sheet §5.2)
			Reason: ReasonCertificateForm, Step: stepParse, Expected: expectedMessage, Seen: "a SignedDrmCertificate without an envelope",
		})
	}
	var errs []error
	x.answer.Certificate, errs = service.Verify(root, now)
	for _, err := range errs {
		x.refuse(err)
	}
	return x
}

const expectedMessage = "SignedMessage of type 5 (SERVICE_CERTIFICATE)"

// form parses the answer, nil if it holds no service certificate.
func (x *certificateExamination) form(body []byte) *chain.ServiceCertificate {
	if len(body) == 0 {
		x.fatal(ReasonEmptyAnswer, stepParse, "a service certificate", "an empty body")
		return nil
	}
	service, err := chain.ParseServiceCertificate(body)
	switch {
	case err == nil:
		return service
	case errors.Is(err, chain.ErrForm):
		x.fatal(ReasonCertificateForm, stepParse, expectedMessage, err.Error())
		return nil
	}
	e := new(wire.SignedMessage)
	if proto.Unmarshal(body, e) != nil {
		x.fatal(ReasonNotProtobuf, stepParse, "a SignedMessage (protobuf)", describe(body))
		return nil
	}
	x.answer.Envelope = e
	if e.GetType() == wire.SignedMessage_ERROR_RESPONSE {
		x.answer.Error = x.inBandError(e, "a service certificate")
		return nil
	}
	x.messageType(e, expectedMessage)
	return nil
}

// certificateRules say which error of package chain is which finding. Any other is
// about something that does not parse.
var certificateRules = []struct {
	err      error
	reason   drm.Reason
	expected string
}{
	{chain.ErrSignature, ReasonCertificateSignature, "a signature by the configured root: RSASSA-PSS, SHA-1, a salt of 20 bytes"},
	{chain.ErrType, ReasonCertificateType, "type 3 (SERVICE)"},
	{chain.ErrProvider, ReasonCertificateProvider, "a provider_id and a serial_number"},
	{chain.ErrKey, ReasonCertificateKey, "an RSA key of at least 2048 bits as PKCS#1"},
	{chain.ErrNotYetValid, ReasonCertificateNotYetValid, fmt.Sprintf("a creation time at most %v in the future", chain.ClockTolerance)},
	{chain.ErrExpired, ReasonCertificateExpired, "no expiration time, or one in the future"},
}

func (x *certificateExamination) refuse(err error) {
	for _, rule := range certificateRules {
		if errors.Is(err, rule.err) {
			x.fatal(rule.reason, stepCertificate, rule.expected, err.Error())
			return
		}
	}
	x.fatal(ReasonCertificateParse, stepCertificate, "a SignedDrmCertificate that holds a DrmCertificate", err.Error())
}
