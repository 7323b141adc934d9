package widevine

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

var generatedServiceKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func serviceKey(t testing.TB) secret.RSAKey {
	t.Helper()
	key, err := generatedServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewRSAKey(key)
}

// serviceCertificate is a service certificate under the test's root; change spoils its fields before it is signed.
func serviceCertificate(t testing.TB, change func(f *wire.DrmCertificate)) *wire.SignedDrmCertificate {
	t.Helper()
	f := &wire.DrmCertificate{
		Type: wire.DrmCertificate_SERVICE.Enum(), SerialNumber: []byte("service serial"), ProviderId: proto.String("harness.test"),
		CreationTimeSeconds: proto.Uint32(1600000000), PublicKey: x509.MarshalPKCS1PublicKey(serviceKey(t).Public()),
	}
	if change != nil {
		change(f)
	}
	raw := serialize(t, f)
	signature, err := ladder.Sign(testKey(t).Reveal(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return &wire.SignedDrmCertificate{DrmCertificate: raw, Signature: signature}
}

func certificateAnswer(t testing.TB, s *wire.SignedDrmCertificate) []byte {
	t.Helper()
	return serialize(t, &wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE.Enum(), Msg: serialize(t, s)})
}

// rootedPlatform verifies service certificates under the test's one root key.
func rootedPlatform(t testing.TB) *Platform {
	t.Helper()
	return testPlatform(t).WithRoot(testKey(t).Public())
}

func requestCertificate(t testing.TB, s drm.Session) drm.Message {
	t.Helper()
	m, err := s.Request(context.Background(), drm.KindCertificate)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCertificateRequest: two bytes in the clear and in privacy mode, the ticket of a certificate, and a forged encoding.
func TestCertificateRequest(t *testing.T) {
	t.Parallel()
	p := rootedPlatform(t)
	empty := p.WithForge(Forge{Envelope: func(e *wire.SignedMessage) { e.Msg = []byte{} }})
	for name, c := range map[string]struct {
		platform *Platform
		want     []byte
	}{
		"clear":     {p, []byte{0x08, 0x04}},
		"private":   {private(t, p), []byte{0x08, 0x04}},
		"empty msg": {empty, []byte{0x08, 0x04, 0x12, 0x00}},
	} {
		s := openSession(t, c.platform)
		m, again := requestCertificate(t, s), requestCertificate(t, s)
		want := drm.Ticket{System: drm.Widevine, Kind: drm.KindCertificate, Device: p.Identity().Device(), Minted: testNow}
		if !bytes.Equal(m.Body, c.want) || m.Kind != drm.KindCertificate || m.KIDs != nil || fmt.Sprint(m.Ticket) != fmt.Sprint(want) {
			t.Errorf("%s: message %+v", name, m)
		}
		if m.ID == "" || m.ID == again.ID {
			t.Errorf("%s: ids %q and %q", name, m.ID, again.ID)
		}
	}
}

// certificateRow is one answer to a certificate request and all that may be said of it.
type certificateRow struct {
	name string
	body []byte
	want []drm.Reason // all findings, in order
	seen string       // in the first finding's Seen
	form chain.Form
}

// run processes the answer and judges it: both say the same, and a platform takes the answer unless a finding is fatal.
func (c certificateRow) run(t *testing.T) *CertificateAnswer {
	t.Helper()
	p := rootedPlatform(t)
	s := openSession(t, p)
	m := requestCertificate(t, s)
	o, err := s.Process(context.Background(), m.ID, c.body)
	if err != nil {
		t.Fatal(err)
	}
	if got := reasons(o.Findings); !slices.Equal(got, c.want) {
		t.Fatalf("findings %v, want %v: %v", got, c.want, o.Findings)
	}
	for _, f := range o.Findings {
		bare := f.Reason == ReasonCertificateForm && c.form == chain.FormBare
		if f.Step == "" || f.Expected == "" || f.Seen == "" || f.Fatal == bare {
			t.Errorf("finding %+v", f)
		}
	}
	if len(o.Findings) > 0 && !strings.Contains(o.Findings[0].Seen, c.seen) {
		t.Errorf("seen %q, want %q in it", o.Findings[0].Seen, c.seen)
	}
	a, ok := o.Detail.(*CertificateAnswer)
	if !ok || !bytes.Equal(a.Raw, c.body) || a.Form != c.form || o.Kind != drm.KindCertificate || o.Message != m.ID || o.System != drm.Widevine {
		t.Fatalf("observation %+v, detail %+v", o, o.Detail)
	}
	if _, err := p.WithServerCertificate(context.Background(), a.Raw); (err == nil) != (o.Fatal() == nil) {
		t.Errorf("platform: %v, findings %v", err, o.Findings)
	}
	for _, depth := range []drm.Depth{drm.DepthShape, drm.DepthFull} {
		v := p.Judge(m.Ticket, m.Body, c.body, depth)
		if fmt.Sprint(v.Findings) != fmt.Sprint(o.Findings) || v.Depth != depth || v.Keys != nil {
			t.Errorf("judged %+v", v)
		}
	}
	if _, err := s.Process(context.Background(), m.ID, c.body); !errors.Is(err, errUnknownMessage) || len(s.Licenses()) != 0 {
		t.Errorf("processed twice: %v", err)
	}
	return a
}

// TestCertificateForms: each form of an answer (sheet §5.2), and each thing that is none.
func TestCertificateForms(t *testing.T) {
	t.Parallel()
	right := serviceCertificate(t, nil)
	other := serviceCertificate(t, func(f *wire.DrmCertificate) { f.SerialNumber = []byte("another") })
	message := certificateAnswer(t, right)
	typed := func(n wire.SignedMessage_Type, msg []byte) []byte {
		return serialize(t, &wire.SignedMessage{Type: n.Enum(), Msg: msg})
	}
	form, kind := []drm.Reason{ReasonCertificateForm}, []drm.Reason{ReasonMessageType}
	refused, foreign := []drm.Reason{ReasonLicenseError}, []drm.Reason{ReasonNotProtobuf}
	for _, c := range []certificateRow{
		{name: "message", body: message, form: chain.FormMessage},
		{name: "copies", body: slices.Repeat(message, 2), form: chain.FormCopies},
		{name: "bare", body: serialize(t, right), want: form, seen: "without an envelope", form: chain.FormBare},
		{name: "copies that differ", body: slices.Concat(message, certificateAnswer(t, other)), want: form, seen: "differ"},
		{name: "without a signature", body: right.DrmCertificate, want: form, seen: "without a signature"},
		{name: "too long", body: append(bytes.Clone(message), slices.Repeat([]byte{0x58, 0}, 40_000)...), want: form, seen: "bytes"},
		{name: "empty", want: []drm.Reason{ReasonEmptyAnswer}, seen: "empty body"},
		{name: "HTML", body: []byte("<html>"), want: foreign, seen: "HTML"},
		{name: "JSON", body: []byte(`{"error":1}`), want: foreign, seen: "JSON"},
		{name: "base64", body: []byte(base64.StdEncoding.EncodeToString(message)), want: foreign, seen: "service certificate in base64"},
		{name: "license", body: typed(wire.SignedMessage_LICENSE, []byte{}), want: kind, seen: "type 2 (LICENSE)"},
		{name: "request", body: []byte{0x08, 0x04}, want: kind, seen: "type 4"},
		{name: "no type", body: message[2:], want: kind, seen: "no type"},
		{name: "refusal", body: typed(wire.SignedMessage_ERROR_RESPONSE, []byte{0x08, 0x03}), want: refused, seen: "SERVICE_UNAVAILABLE"},
		{name: "refusal that does not parse", body: typed(wire.SignedMessage_ERROR_RESPONSE, []byte("sorry")), want: refused, seen: "does not parse"},
		{name: "no msg", body: []byte{0x08, 0x05}, want: []drm.Reason{ReasonCertificateParse}, seen: "no drm_certificate", form: chain.FormMessage},
		{name: "msg is text", body: typed(wire.SignedMessage_SERVICE_CERTIFICATE, []byte("<html>")), want: []drm.Reason{ReasonCertificateParse}, form: chain.FormMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := c.run(t)
			if (a.Certificate == nil) != (c.form == "" || slices.Contains(c.want, ReasonCertificateParse)) {
				t.Errorf("certificate %v", a.Certificate)
			}
			if enveloped := c.form == chain.FormMessage || c.form == chain.FormCopies || slices.Contains(c.want, ReasonMessageType) ||
				slices.Contains(c.want, ReasonLicenseError); (a.Envelope != nil) != enveloped {
				t.Errorf("envelope %v", a.Envelope)
			}
			if (a.Error != nil) != (c.name == "refusal") {
				t.Errorf("error %v", a.Error)
			}
		})
	}
}

// TestCertificateContent has one row for each reason.
func TestCertificateContent(t *testing.T) {
	t.Parallel()
	seconds := uint32(testNow.Unix())
	spki, err := x509.MarshalPKIXPublicKey(serviceKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	type signed = *wire.SignedDrmCertificate
	type fields = *wire.DrmCertificate
	v15 := func(s signed) {
		digest := sha1.Sum(s.DrmCertificate)
		if s.Signature, err = rsa.SignPKCS1v15(nil, testKey(t).Reveal(), crypto.SHA1, digest[:]); err != nil {
			t.Fatal(err)
		}
	}
	foreign := func(s signed) {
		if s.Signature, err = ladder.Sign(serviceKey(t).Reveal(), s.DrmCertificate); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		fields func(f fields)
		signed func(s signed)
		want   []drm.Reason
		seen   string
	}{
		{name: "right"},
		{name: "bit flip", signed: func(s signed) { s.DrmCertificate[len(s.DrmCertificate)-1] ^= 1 }, want: []drm.Reason{ReasonCertificateSignature}},
		{name: "PKCS#1 v1.5", signed: v15, want: []drm.Reason{ReasonCertificateSignature}, seen: "PKCS#1 v1.5"},
		{name: "foreign root", signed: foreign, want: []drm.Reason{ReasonCertificateSignature}},
		{name: "text", signed: func(s signed) { s.DrmCertificate = []byte("<html>") }, want: []drm.Reason{ReasonCertificateSignature, ReasonCertificateParse}},
		{name: "device", fields: func(f fields) { f.Type = wire.DrmCertificate_DEVICE.Enum() }, want: []drm.Reason{ReasonCertificateType}, seen: "DEVICE"},
		{name: "no type", fields: func(f fields) { f.Type = nil }, want: []drm.Reason{ReasonCertificateType}, seen: "no type"},
		{name: "no provider", fields: func(f fields) { f.ProviderId = nil }, want: []drm.Reason{ReasonCertificateProvider}, seen: "0 characters"},
		{name: "no serial", fields: func(f fields) { f.SerialNumber = nil }, want: []drm.Reason{ReasonCertificateProvider}, seen: "0 bytes"},
		{name: "SPKI", fields: func(f fields) { f.PublicKey = spki }, want: []drm.Reason{ReasonCertificateKey}},
		{name: "1024 bits", fields: func(f fields) { f.PublicKey = x509.MarshalPKCS1PublicKey(fuzzKey(t).Public()) }, want: []drm.Reason{ReasonCertificateKey}, seen: "1024"},
		{name: "ECC", fields: func(f fields) { f.Algorithm = wire.DrmCertificate_ALGORITHM_ECC_SECP256R1.Enum() }, want: []drm.Reason{ReasonCertificateKey}},
		{name: "expired", fields: func(f fields) { f.ExpirationTimeSeconds = &seconds }, want: []drm.Reason{ReasonCertificateExpired}, seen: "2023-11-14"},
		{name: "created in the future", fields: func(f fields) { f.CreationTimeSeconds = proto.Uint32(seconds + 301) }, want: []drm.Reason{ReasonCertificateNotYetValid}, seen: "2023-11-14"},
		{name: "all", fields: func(f fields) { proto.Reset(f); f.CreationTimeSeconds = proto.Uint32(1) }, want: []drm.Reason{ReasonCertificateType, ReasonCertificateProvider, ReasonCertificateKey}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serviceCertificate(t, c.fields)
			if c.signed != nil {
				c.signed(s)
			}
			a := certificateRow{body: certificateAnswer(t, s), want: c.want, seen: c.seen, form: chain.FormMessage}.run(t)
			if a.Certificate == nil != slices.Contains(c.want, ReasonCertificateParse) {
				t.Fatalf("certificate %v", a.Certificate)
			}
			if a.Certificate != nil && (a.Certificate.Key == nil) != slices.Contains(c.want, ReasonCertificateKey) {
				t.Errorf("key %v", a.Certificate.Key)
			}
		})
	}
}

// TestWithServerCertificate: the errors of package chain come through, and the platform it was asked of stays in the clear.
func TestWithServerCertificate(t *testing.T) {
	t.Parallel()
	p := rootedPlatform(t)
	right := certificateAnswer(t, serviceCertificate(t, nil))
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired := serviceCertificate(t, func(f *wire.DrmCertificate) { f.ExpirationTimeSeconds = proto.Uint32(1) })
	late := NewPlatform(p.Identity(), drm.ClockFunc(func() time.Time { return time.Unix(1500000000, 0) })).WithRoot(testKey(t).Public())
	for _, c := range []struct {
		name     string
		platform *Platform
		ctx      context.Context
		cert     []byte
		want     error
	}{
		{"nothing", p, context.Background(), nil, chain.ErrForm},
		{"vendor's root by default", testPlatform(t), context.Background(), right, chain.ErrSignature},
		{"vendor's root again", p.WithRoot(nil), context.Background(), right, chain.ErrSignature},
		{"expired", p, context.Background(), certificateAnswer(t, expired), chain.ErrExpired},
		{"a clock that is behind", late, context.Background(), right, chain.ErrNotYetValid},
		{"cancelled", p, cancelled, right, context.Canceled},
	} {
		if got, err := c.platform.WithServerCertificate(c.ctx, c.cert); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	secretive := private(t, p)
	if p.PrivacyMode() || p.ServiceCertificate() != nil || !secretive.PrivacyMode() {
		t.Error("privacy mode is where it should not be")
	}
	if got := secretive.ServiceCertificate().Fields.GetProviderId(); got != "harness.test" {
		t.Errorf("provider %q", got)
	}
	if !secretive.WithRoot(nil).PrivacyMode() || !secretive.WithForge(Forge{}).PrivacyMode() {
		t.Error("a derived platform left privacy mode")
	}
}

// FuzzCertificateAnswer: no answer is accepted but the one certificate of the root.
func FuzzCertificateAnswer(f *testing.F) {
	right := serviceCertificate(f, nil)
	f.Add(certificateAnswer(f, right))
	f.Add(slices.Repeat(certificateAnswer(f, right), 2))
	f.Add(serialize(f, right))
	f.Add(right.DrmCertificate)
	f.Add([]byte{0x08, 0x03, 0x12, 0x02, 0x08, 0x01})
	f.Add([]byte{0x08, 0x05, 0x12, 0x02, 0x0a, 0x00})
	f.Add([]byte("<html>"))
	f.Add([]byte{})
	root := testKey(f).Public()
	f.Fuzz(func(t *testing.T, body []byte) {
		x := examineCertificate(root, testNow, body)
		fatal := false
		for _, finding := range x.findings {
			if finding.Reason == "" || finding.Step == "" || finding.Expected == "" || finding.Seen == "" {
				t.Errorf("finding is not complete: %+v", finding)
			}
			fatal = fatal || finding.Fatal
		}
		if !fatal && !bytes.Equal(x.answer.Certificate.Signed.GetDrmCertificate(), right.DrmCertificate) {
			t.Errorf("accepted: %+v", x.answer)
		}
	})
}
