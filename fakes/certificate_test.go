package fakes_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"math/bits"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

func sign(t testing.TB, device widevine.Identity, msg []byte) []byte {
	t.Helper()
	signature, err := ladder.Sign(device.Key().Reveal(), msg)
	must(t, err)
	return signature
}

// certificateOf returns the SignedDrmCertificate of an answer to a certificate request.
func certificateOf(t testing.TB, body []byte) []byte {
	t.Helper()
	m := new(wire.SignedMessage)
	must(t, proto.Unmarshal(body, m))
	return m.GetMsg()
}

// TestServiceCertificate is rows WV-CRT-01 to 04, 06 and 07.
func TestServiceCertificate(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	var first reply
	forms := map[string][]byte{
		"2 bytes": {8, 4}, "empty msg": {8, 4, 0x12, 0}, "a longer varint": {8, 0x84, 0}, "type twice": {8, 1, 8, 4},
		"unknown field": appendVarint([]byte{8, 4}, 200, 7), "msg": {8, 4, 0x12, 1, 0xff},
	}
	for name, body := range forms {
		answer := post(t, s, body)
		if first.body == nil {
			first = answer
		}
		if answer.status != 200 || answer.header.Get("Content-Type") != "application/octet-stream" || answer.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %v", name, answer.status, answer.header)
		}
		if !bytes.Equal(answer.body, first.body) {
			t.Errorf("%s: another certificate", name)
		}
	}
	if got := fieldNumbers(t, first.body); !equal(got, 1, 2) {
		t.Errorf("outer fields %v, want type and msg", got)
	}
	isTrue(t, bytes.HasPrefix(first.body, []byte{8, 5, 0x12})) // form 1 of sheet §5.2
	certificate := certificateOf(t, first.body)
	isTrue(t, bytes.Equal(certificate, s.Authority().ServiceCertificate()))
	signed, c := fields(t, certificate)
	must(t, ladder.Verify(s.Authority().RootKey(), signed.GetDrmCertificate(), signed.GetSignature()))
	isTrue(t, signed.GetSigner() == nil && signed.HashAlgorithm == nil)
	isTrue(t, c.GetType() == wire.DrmCertificate_SERVICE && c.GetProviderId() == "fake.harness.test" && len(c.GetSerialNumber()) == 16)
	isTrue(t, len(c.GetServiceTypes()) == 1 && c.GetServiceTypes()[0] == wire.DrmCertificate_LICENSE_SERVER_SDK)
	isTrue(t, c.SystemId == nil && c.ExpirationTimeSeconds == nil && c.GetCreationTimeSeconds() > 1_700_000_000)
	key, err := x509.ParsePKCS1PublicKey(c.GetPublicKey())
	isTrue(t, err == nil && key.N.BitLen() == 2048)

	n := uint64(len(forms))
	if total, byOperation := s.Count(); total != (fakes.Count{Received: n, Answered: n}) || byOperation[drm.KindCertificate] != total {
		t.Errorf("counts %+v, %+v", total, byOperation)
	}
	for _, r := range s.Requests() {
		isTrue(t, r.Operation == drm.KindCertificate && r.Outcome == fakes.Answered && r.AnswerBytes == len(first.body) && r.Device == "")
	}
}

// served is a certificate that a fault made.
type served struct {
	server *fakes.Server
	reply
	kind   wire.SignedMessage_Type
	signed *wire.SignedDrmCertificate
	fields *wire.DrmCertificate
	right  *wire.DrmCertificate
}

// verifies reports whether the signature is the root's.
func (s served) verifies() bool {
	return ladder.Verify(s.server.Authority().RootKey(), s.signed.GetDrmCertificate(), s.signed.GetSignature()) == nil
}

// differs reports whether the certificate's fields are the right ones but for those that restore sets.
func (s served) differs(restore func(*wire.DrmCertificate)) bool {
	restored := proto.CloneOf(s.fields)
	restore(restored)
	return !proto.Equal(s.fields, s.right) && proto.Equal(restored, s.right)
}

// certificateFaults has for every fault of the service certificate what is seen.
var certificateFaults = map[string]func(*testing.T, served){
	"wv-cert-refused": func(t *testing.T, s served) {
		isTrue(t, s.status == 400)
		checkRefusal(t, s.reply, 0)
	},
	"wv-cert-wrong-type": func(t *testing.T, s served) {
		isTrue(t, s.kind == wire.SignedMessage_LICENSE && s.verifies() && proto.Equal(s.fields, s.right))
	},
	"wv-cert-bit-flipped": func(t *testing.T, s served) {
		isTrue(t, !s.verifies() && s.differs(func(c *wire.DrmCertificate) { c.CreationTimeSeconds = s.right.CreationTimeSeconds }))
		right, _ := fields(t, s.server.Authority().ServiceCertificate())
		isTrue(t, bytes.Equal(right.GetSignature(), s.signed.GetSignature()) && flippedBits(right.GetDrmCertificate(), s.signed.GetDrmCertificate()) == 1)
	},
	"wv-cert-foreign-root": func(t *testing.T, s served) {
		isTrue(t, !s.verifies() && proto.Equal(s.fields, s.right) && len(s.signed.GetSignature()) == 256)
	},
	"wv-cert-pkcs1v15": func(t *testing.T, s served) {
		digest := sha1.Sum(s.signed.GetDrmCertificate())
		must(t, rsa.VerifyPKCS1v15(s.server.Authority().RootKey(), crypto.SHA1, digest[:], s.signed.GetSignature()))
		isTrue(t, !s.verifies() && proto.Equal(s.fields, s.right))
	},
	"wv-cert-type-device": func(t *testing.T, s served) {
		isTrue(t, s.verifies() && s.fields.GetType() == wire.DrmCertificate_DEVICE)
		isTrue(t, s.differs(func(c *wire.DrmCertificate) { c.Type = s.right.Type }))
	},
	"wv-cert-spki-key": func(t *testing.T, s served) {
		key, err := x509.ParsePKIXPublicKey(s.fields.GetPublicKey())
		must(t, err)
		right, err := x509.ParsePKCS1PublicKey(s.right.GetPublicKey())
		isTrue(t, err == nil && right.Equal(key) && s.verifies())
		isTrue(t, s.differs(func(c *wire.DrmCertificate) { c.PublicKey = s.right.PublicKey }))
	},
	"wv-cert-no-provider": func(t *testing.T, s served) {
		isTrue(t, s.verifies() && s.fields.ProviderId == nil)
		isTrue(t, s.differs(func(c *wire.DrmCertificate) { c.ProviderId = s.right.ProviderId }))
	},
	"wv-cert-expired": func(t *testing.T, s served) {
		now := uint32(time.Now().Unix())
		isTrue(t, s.verifies() && s.fields.GetExpirationTimeSeconds() < now && s.fields.GetCreationTimeSeconds() < s.fields.GetExpirationTimeSeconds())
		isTrue(t, s.differs(func(c *wire.DrmCertificate) {
			c.CreationTimeSeconds, c.ExpirationTimeSeconds = s.right.CreationTimeSeconds, nil
		}))
	},
	"wv-cert-other-key": func(t *testing.T, s served) {
		isTrue(t, s.verifies() && s.differs(func(c *wire.DrmCertificate) { c.PublicKey = s.right.PublicKey }))
		encryptedFor(t, s, 400)
	},
	"wv-cert-alternates": func(t *testing.T, s served) { // the first one
		isTrue(t, s.verifies() && proto.Equal(s.fields, s.right))
		encryptedFor(t, s, 200)
		second := post(t, s.server, []byte{8, 4})
		isTrue(t, !bytes.Equal(second.body, s.body))
		next := serve(t, s.server, second)
		isTrue(t, next.verifies() && next.differs(func(c *wire.DrmCertificate) { c.PublicKey = s.right.PublicKey }))
		encryptedFor(t, next, 400)
		isTrue(t, bytes.Equal(post(t, s.server, []byte{8, 4}).body, s.body) && bytes.Equal(post(t, s.server, []byte{8, 4}).body, second.body))
	},
	"wv-cert-length-exact": func(t *testing.T, s served) { // the answer to 2 bytes
		isTrue(t, s.status == 200 && s.verifies() && proto.Equal(s.fields, s.right))
		for _, body := range [][]byte{{8, 4, 0x12, 0}, {8, 0x84, 0}} {
			answer := post(t, s.server, body)
			isTrue(t, answer.status == 400)
			checkRefusal(t, answer, 0)
		}
	},
}

// encryptedFor asks for a license in privacy mode with the certificate.
func encryptedFor(t *testing.T, s served, status int) {
	t.Helper()
	answer := post(t, s.server, ask{edit: private(t, privacy{certificate: certificateOf(t, s.body)})}.make(t).body)
	if answer.status != status {
		t.Errorf("privacy mode with the certificate: status %d, want %d", answer.status, status)
	}
}

func flippedBits(a, b []byte) int {
	if len(a) != len(b) {
		return -1
	}
	n := 0
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

// serve reads an answer to a certificate request.
func serve(t *testing.T, s *fakes.Server, answer reply) served {
	t.Helper()
	seen := served{server: s, reply: answer}
	_, seen.right = fields(t, s.Authority().ServiceCertificate())
	if answer.status == 200 {
		m := new(wire.SignedMessage)
		must(t, proto.Unmarshal(answer.body, m))
		seen.kind = m.GetType()
		seen.signed, seen.fields = fields(t, m.GetMsg())
	}
	return seen
}

// TestCertificateFaults sees every fault of the service certificate on the wire. Licenses are none of its business, and
// what is handed out stays the same.
func TestCertificateFaults(t *testing.T) {
	t.Parallel()
	exercised := map[string]uint64{"wv-cert-alternates": 2, "wv-cert-length-exact": 2} // others: always
	for name, check := range certificateFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Faults: fakes.Named(name)})
			seen := serve(t, s, post(t, s, []byte{8, 4}))
			isTrue(t, seen.status == 400 || name == "wv-cert-wrong-type" || seen.kind == wire.SignedMessage_SERVICE_CERTIFICATE)
			check(t, seen)
			want, counted := exercised[name]
			if !counted {
				again := post(t, s, []byte{8, 4})
				isTrue(t, bytes.Equal(again.body, seen.body) && again.status == seen.status)
				want = 2
			}
			getLicense(t, s, ask{})
			getLicense(t, s, ask{edit: private(t, privacy{})})
			if got := s.Exercised(name); got != want {
				t.Errorf("exercised %d times, want %d", got, want)
			}
			for _, r := range s.Requests() {
				isTrue(t, r.Operation == drm.KindCertificate || len(r.Faults) == 0)
				isTrue(t, len(r.Faults) == 0 || slices.Equal(r.Faults, []string{name}))
			}
			s.ClearFaults()
			isTrue(t, bytes.Equal(certificateOf(t, post(t, s, []byte{8, 4}).body), s.Authority().ServiceCertificate()))
		})
	}
}

// TestCertificateFaultsTogether has two faults of which one can act, and one in the scope of a request.
func TestCertificateFaultsTogether(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("wv-cert-expired", "wv-cert-type-device")})
	seen := serve(t, s, post(t, s, []byte{8, 4}))
	isTrue(t, seen.fields.GetType() == wire.DrmCertificate_DEVICE && seen.fields.ExpirationTimeSeconds == nil)
	isTrue(t, s.Exercised("wv-cert-type-device") == 1 && s.Exercised("wv-cert-expired") == 0)
	must(t, s.SetFaults(fakes.Setting{Name: "wv-cert-refused", Nth: 2}))
	for i, want := range []int{200, 400, 200} {
		if got := post(t, s, []byte{8, 4}).status; got != want {
			t.Errorf("request %d: status %d, want %d", i+1, got, want)
		}
	}
}
