package suites

import (
	"bytes"
	"fmt"
	"net/http"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/reports"
)

const (
	reasonKeyNotHeld         drm.Reason = "certificate-key-not-held"
	reasonCertificateChanges drm.Reason = "certificate-changes"
	reasonEncodingRefused    drm.Reason = "encoding-refused"
)

// widevineCertificate are the checks of the service certificate (sheet widevine.md §18, "Service certificate"). A server
// that offers none is judged by WV-CRT-01 alone; the others are not applicable then.
func widevineCertificate() []Check {
	return []Check{
		{
			ID: "WV-CRT-01", Title: "A service certificate request (08 04) is answered with a SignedDrmCertificate",
			Level: reports.Should, Source: "practice; a MUST by vendor notice where browsers are served; sheet widevine.md §18, §5.1",
			Why:  "Desktop browsers ask for it before each license request; without an answer they play nothing.",
			Hint: "Does a proxy in front drop, parse or charge for bodies of 2 bytes?",
			Kills: []Kill{
				{"wv-cert-refused", reports.Warn, provider.ReasonStatus},
				{"wv-cert-wrong-type", reports.Warn, widevine.ReasonMessageType},
				{"html-200", reports.Warn, provider.ReasonHTML},
				{"refuse-with-503", reports.Warn, provider.ReasonStatus},
			},
			Needs: []Need{NeedDevice},
			Run:   certificateIsServed,
		},
		{
			ID: "WV-CRT-02", Title: "The certificate's signature verifies under the configured root", Level: reports.Must,
			Source: "protocol necessity; sheet widevine.md §18, §5.3",
			Why:    "Clients refuse a certificate that their root did not sign, and with it the whole session.",
			Hint:   "Is it the certificate that the vendor issued, unchanged, and signed with RSASSA-PSS (SHA-1, salt 20)? A keyflow fake has a root of its own: --authority DIR.",
			Kills: []Kill{
				{"wv-cert-bit-flipped", reports.Fail, widevine.ReasonCertificateSignature},
				{"wv-cert-foreign-root", reports.Fail, widevine.ReasonCertificateSignature},
				{"wv-cert-pkcs1v15", reports.Fail, widevine.ReasonCertificateSignature},
			},
			Needs: []Need{NeedDevice},
			Run:   judgedBy(widevine.ReasonCertificateSignature),
		},
		{
			ID: "WV-CRT-03", Title: "The certificate is of type SERVICE and has provider, serial and an RSA key of 2048 bits or more", Level: reports.Must,
			Source: "schema, protocol necessity; sheet widevine.md §18, §5.3",
			Why:    "The client copies provider and serial, and encrypts its identity with the key.",
			Hint:   "Is it a service certificate, with its public key as PKCS#1 and not as SubjectPublicKeyInfo?",
			Kills: []Kill{
				{"wv-cert-type-device", reports.Fail, widevine.ReasonCertificateType},
				{"wv-cert-spki-key", reports.Fail, widevine.ReasonCertificateKey},
				{"wv-cert-no-provider", reports.Fail, widevine.ReasonCertificateProvider},
			},
			Needs: []Need{NeedDevice},
			Run:   judgedBy(widevine.ReasonCertificateType, widevine.ReasonCertificateKey, widevine.ReasonCertificateProvider),
		},
		{
			ID: "WV-CRT-04", Title: "The certificate has not expired and was not made in the future", Level: reports.Must,
			Source: "schema; sheet widevine.md §18, §5.3",
			Why:    "A client that looks at the dates stops playing on the day of expiry.",
			Hint:   "Is a renewed certificate waiting to be installed?",
			Kills:  []Kill{{"wv-cert-expired", reports.Fail, widevine.ReasonCertificateExpired}},
			Needs:  []Need{NeedDevice},
			Run:    judgedBy(widevine.ReasonCertificateExpired, widevine.ReasonCertificateNotYetValid),
		},
		{
			ID: "WV-CRT-05", Title: "The server holds the private key of the certificate that it hands out", Level: reports.Must,
			Source: "protocol necessity; sheet widevine.md §18",
			Why:    "Identities encrypted for another key cannot be read: every browser is refused.",
			Hint:   "Does one node hand out a certificate whose key another node, or nobody, holds?",
			Kills:  []Kill{{"wv-cert-other-key", reports.Fail, reasonKeyNotHeld}},
			Run:    keyIsHeld,
		},
		{
			ID: "WV-CRT-06", Title: "The certificate is the same within a run and across connections", Level: reports.Should,
			Source: "practice; sheet widevine.md §18",
			Why:    "Players cache it: when nodes disagree, privacy mode works on some requests only.",
			Hint:   "Do all nodes behind the load balancer have the same certificate?",
			Kills:  []Kill{{"wv-cert-alternates", reports.Warn, reasonCertificateChanges}},
			Needs:  []Need{NeedDevice},
			Run:    certificateIsStable,
		},
		{
			ID: "WV-CRT-07", Title: "Equivalent encodings of the certificate request are accepted", Level: reports.Should,
			Source: "vendor notice: requests have 2 to 4 bytes; sheet widevine.md §18, §5.1",
			Why:    "A server that compares the length with 2 refuses clients that send an empty msg.",
			Hint:   "Is the request told by parsing it, or by its length?",
			Kills:  []Kill{{"wv-cert-length-exact", reports.Warn, reasonEncodingRefused}},
			Needs:  []Need{NeedDevice},
			Run:    encodingsAreAccepted,
		},
	}
}

// Certificate returns what the Widevine platform decoded of an answer to a certificate request.
func (x *Exchange) Certificate() *widevine.CertificateAnswer {
	a, ok := x.Observation.Detail.(*widevine.CertificateAnswer)
	if !ok {
		return &widevine.CertificateAnswer{}
	}
	return a
}

// certificateForms are the findings that say that an answer is no service certificate at all.
var certificateForms = []drm.Reason{
	widevine.ReasonEmptyAnswer, widevine.ReasonNotProtobuf, widevine.ReasonMessageType, widevine.ReasonLicenseError,
	widevine.ReasonCertificateForm, widevine.ReasonCertificateParse,
}

// haveCertificateAnswer gets an answer, whatever it is, to a certificate request.
// A profile may say that there is none to be had.
var haveCertificateAnswer = Step[*Exchange]{"get an answer to a certificate request", func(e *Env) (*Exchange, error) {
	if mode := e.Profile.Certificate.Mode; mode == "none" || mode == "unsupported" {
		e.NotApplicable("the profile has certificate.mode " + mode)
	}
	return e.Exchange(e.Platform, Require(e, HaveBox), drm.KindCertificate)
}}

// requireServed ends a check of how the certificate is served where the profile has it in a file.
func (e *Env) requireServed() {
	if e.Profile.Certificate.Mode == provider.CertificateEmbedded {
		e.NotApplicable("the certificate is a file of the profile: it is not asked for")
	}
}

func certificateIsServed(e *Env) {
	e.requireServed()
	x := Require(e, haveCertificateAnswer)
	e.failOnProblem(x, certificateForms...)
	e.Note("HTTP %d, %d bytes, provider %q", x.Status, len(x.Reply.Body), x.Certificate().Certificate.Fields.GetProviderId())
}

// haveCertificate gets a service certificate, good or not. A server that refuses to give one makes the check not
// applicable: the request is the probe, and WV-CRT-01 judges it. An answer that is none blocks it.
var haveCertificate = Step[*Exchange]{"get a service certificate", func(e *Env) (*Exchange, error) {
	x := Require(e, haveCertificateAnswer)
	problem := x.problem(certificateForms...)
	if x.Reply.Class == provider.ClassRefused || x.Certificate().Error != nil {
		e.NotApplicable("the server offers no service certificate: " + problem.Error())
	}
	return x, problem
}}

func judgedBy(reasons ...drm.Reason) func(*Env) {
	return func(e *Env) {
		x := Require(e, haveCertificate)
		e.FailOn(x.Observation, reasons...)
		e.Note("certificate fingerprint %s", secret.FingerprintOf(x.Certificate().Raw))
	}
}

// havePrivacy gets a platform in privacy mode for the server's certificate.
var havePrivacy = Step[*widevine.Platform]{"verify the service certificate", func(e *Env) (*widevine.Platform, error) {
	x := Require(e, haveCertificate)
	if f := x.Observation.Fatal(); f != nil {
		return nil, *f
	}
	p, err := e.device().WithServerCertificate(e.Context, x.Certificate().Raw)
	if err != nil {
		return nil, err
	}
	private, ok := p.(*widevine.Platform)
	if !ok {
		return nil, &HarnessError{fmt.Errorf("a %T came out of privacy mode", p)}
	}
	return private, nil
}}

// havePrivateAnswer gets an answer, whatever it is, in privacy mode, after a license for the same request in the clear.
var havePrivateAnswer = Step[*Exchange]{"get an answer in privacy mode", func(e *Env) (*Exchange, error) {
	p := Require(e, havePrivacy)
	Require(e, HaveLicense)
	return e.Exchange(p, Require(e, HaveBox), drm.KindLicense)
}}

func keyIsHeld(e *Env) {
	x := Require(e, havePrivateAnswer)
	if !x.Granted() {
		e.Fail(Failure{Reason: reasonKeyNotHeld, Step: "ask in privacy mode", Expected: "a license, as for the same request in the clear",
			Seen: fmt.Sprintf("HTTP %d without a license", x.Status)})
	}
	e.Note("identity encrypted for the certificate; license granted")
}

// certificateFetches is how often the certificate is fetched (sheet §18: 20), every time on a new connection.
const certificateFetches = 20

func certificateIsStable(e *Env) {
	e.requireServed()
	first := Require(e, haveCertificate).Certificate().Raw
	for i := range certificateFetches - 1 {
		e.Client.CloseIdleConnections()
		if raw := Require(e, haveCertificate).Certificate().Raw; !bytes.Equal(raw, first) {
			e.Fail(Failure{Reason: reasonCertificateChanges, Step: "compare certificates", Expected: "the first certificate, fingerprint " + string(secret.FingerprintOf(first)),
				Seen: fmt.Sprintf("another at fetch %d, fingerprint %s", i+2, secret.FingerprintOf(raw))})
		}
	}
	e.Note("%d fetches on connections of their own", certificateFetches)
}

func encodingsAreAccepted(e *Env) {
	e.requireServed()
	if e.Profile.Certificate.Mode == provider.CertificateURL && e.Profile.Certificate.Method == http.MethodGet {
		e.NotApplicable("the certificate is asked for with GET: there is no request to encode")
	}
	Require(e, haveCertificate)
	encodings := [][]byte{
		{0x08, 0x04, 0x12, 0x00}, // an empty msg
		{0x12, 0x00, 0x08, 0x04}, // the same, in another order
		{0x08, 0x84, 0x00},       // 4 as a varint of two bytes
	}
	for _, body := range encodings {
		x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindCertificate, body: instead(body)})
		if err != nil {
			e.block("get an answer to a certificate request", err)
		}
		if problem := x.problem(certificateForms...); problem != nil {
			e.Fail(Failure{Reason: reasonEncodingRefused, Step: fmt.Sprintf("send % x", body), Expected: "a service certificate, as for 08 04", Seen: problem.Error()})
		}
	}
	e.Note("%d encodings", len(encodings))
}
