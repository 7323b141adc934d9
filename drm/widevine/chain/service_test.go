package chain_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// serviceFields are those of a right service certificate.
func serviceFields() *wire.DrmCertificate {
	return &wire.DrmCertificate{
		Type: wire.DrmCertificate_SERVICE.Enum(), SerialNumber: []byte("service"), ProviderId: proto.String("harness.test"),
		CreationTimeSeconds: proto.Uint32(1600000000),
	}
}

// service issues a service certificate under the root; change spoils its fields before it is signed. The key is the
// device's, unless the fields have one.
func service(t testing.TB, change func(f *wire.DrmCertificate)) *wire.SignedDrmCertificate {
	t.Helper()
	f := serviceFields()
	f.PublicKey = x509.MarshalPKCS1PublicKey(keys(t).device.Public())
	if change != nil {
		change(f)
	}
	raw := serialize(t, f)
	return &wire.SignedDrmCertificate{DrmCertificate: raw, Signature: pssOf(t, keys(t).root, raw)}
}

func pssOf(t testing.TB, key secret.RSAKey, raw []byte) []byte {
	t.Helper()
	signature, err := ladder.Sign(key.Reveal(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// enveloped is form 1: the answer of a server.
func enveloped(t testing.TB, s *wire.SignedDrmCertificate) []byte {
	t.Helper()
	return serialize(t, &wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE.Enum(), Msg: serialize(t, s)})
}

// TestForms takes each accepted form apart, and verifies it.
func TestForms(t *testing.T) {
	t.Parallel()
	right := service(t, nil)
	bare, message := serialize(t, right), enveloped(t, right)
	versioned := append(slices.Clone(message), 0x3a, 0x08, 0x0a, 0x06, '1', '7', '.', '0', '.', '1')
	for _, c := range []struct {
		name string
		b    []byte
		form chain.Form
	}{
		{"message", message, chain.FormMessage},
		{"message with an unknown field and a version", append(slices.Clone(versioned), 0x58, 0), chain.FormMessage},
		{"message, type last", append(slices.Clone(message[2:]), message[:2]...), chain.FormMessage},
		{"bare", bare, chain.FormBare},
		{"two copies", slices.Repeat(message, 2), chain.FormCopies},
		{"five copies with a version", slices.Repeat(versioned, 5), chain.FormCopies},
	} {
		s, err := chain.ParseServiceCertificate(c.b)
		if err != nil || s.Form != c.form || !bytes.Equal(s.Token, bare) || (s.Envelope == nil) != (c.form == chain.FormBare) {
			t.Errorf("%s: %+v, %v", c.name, s, err)
			continue
		}
		got, err := chain.VerifyService(c.b, keys(t).root.Public(), now)
		if err != nil || got.Fields.GetProviderId() != "harness.test" || !got.Key.Equal(keys(t).device.Public()) {
			t.Errorf("%s: %v", c.name, err)
		}
		for name, text := range map[string]string{
			"padded": base64.StdEncoding.EncodeToString(c.b), "unpadded": base64.RawStdEncoding.EncodeToString(c.b),
			"URL": base64.URLEncoding.EncodeToString(c.b), "lines": " " + strings.ReplaceAll(base64.StdEncoding.EncodeToString(c.b), "A", "A\r\n\t") + "\n",
		} {
			if got, err := chain.DecodeServiceCertificate(text); err != nil || !bytes.Equal(got, c.b) {
				t.Errorf("%s in base64, %s: %v", c.name, name, err)
			}
		}
	}
}

// TestFormsRefused: what is no service certificate, or might be one of two.
func TestFormsRefused(t *testing.T) {
	t.Parallel()
	right := service(t, nil)
	other := service(t, func(f *wire.DrmCertificate) { f.SerialNumber = []byte("another") })
	message, bare := enveloped(t, right), serialize(t, right)
	typed := func(n wire.SignedMessage_Type) []byte {
		return serialize(t, &wire.SignedMessage{Type: n.Enum(), Msg: bare})
	}
	untimed := service(t, func(f *wire.DrmCertificate) { f.CreationTimeSeconds = nil })
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, chain.ErrForm},
		{"too long", append(slices.Clone(message), slices.Repeat([]byte{0x58, 0}, 40_000)...), chain.ErrForm},
		{"bare DrmCertificate", right.DrmCertificate, chain.ErrForm},
		{"bare DrmCertificate without a time", untimed.DrmCertificate, chain.ErrForm},
		{"copies that differ", slices.Concat(message, enveloped(t, other)), chain.ErrForm},
		{"same length, other bytes", slices.Concat(message, message[:len(message)-1], []byte{message[len(message)-1] ^ 1}), chain.ErrForm},
		{"second copy is another type", slices.Concat(message, typed(wire.SignedMessage_LICENSE)), chain.ErrForm},
		{"second type", slices.Concat(message, []byte{0x08, 0x05}), chain.ErrForm},
		{"second msg", slices.Concat(message, message[2:]), chain.ErrForm},
		{"copy with a tail", slices.Concat(message, message, []byte{0x58, 0}), chain.ErrForm},
		{"message and bare", slices.Concat(message, bare), chain.ErrForm},
		{"HTML", []byte("<html>"), chain.ErrMalformed},
		{"base64", []byte(base64.StdEncoding.EncodeToString(message)), chain.ErrMalformed},
		{"cut", message[:len(message)-1], chain.ErrMalformed},
		{"version is text", slices.Concat(message, []byte{0x3a, 2, 0xff, 0xff}), chain.ErrMalformed},
		{"license", typed(wire.SignedMessage_LICENSE), chain.ErrMessageType},
		{"refusal", []byte{0x08, 0x03, 0x12, 0x02, 0x08, 0x01}, chain.ErrMessageType},
		{"the request itself", []byte{0x08, 0x04}, chain.ErrMessageType},
		{"no type", message[2:], chain.ErrMessageType},
	} {
		if s, err := chain.ParseServiceCertificate(c.b); !errors.Is(err, c.want) || s != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if s, err := chain.VerifyService(c.b, keys(t).root.Public(), now); !errors.Is(err, c.want) || s != nil {
			t.Errorf("%s, verified: %v, want %v", c.name, err, c.want)
		}
		if len(c.b) < 64<<10 {
			if _, err := chain.DecodeServiceCertificate(base64.StdEncoding.EncodeToString(c.b)); !errors.Is(err, c.want) {
				t.Errorf("%s, in base64: %v, want %v", c.name, err, c.want)
			}
		}
	}
	for name, text := range map[string]string{"no base64": "<html>", "cut": "A", "too long": strings.Repeat("A", 200_000)} {
		if _, err := chain.DecodeServiceCertificate(text); !errors.Is(err, chain.ErrForm) {
			t.Errorf("text, %s: %v", name, err)
		}
	}
}

// TestVerifyServiceContent spoils what is signed, up to both sides of each limit.
func TestVerifyServiceContent(t *testing.T) {
	t.Parallel()
	spki, err := x509.MarshalPKIXPublicKey(keys(t).device.Public())
	if err != nil {
		t.Fatal(err)
	}
	seconds := uint32(now.Unix())
	type fields = *wire.DrmCertificate
	for _, c := range []struct {
		name   string
		change func(f fields)
		want   []error
	}{
		{"plain", func(fields) {}, nil},
		{"no creation time", func(f fields) { f.CreationTimeSeconds = nil }, nil},
		{"created 5 minutes on", func(f fields) { f.CreationTimeSeconds = proto.Uint32(seconds + 300) }, nil},
		{"created later", func(f fields) { f.CreationTimeSeconds = proto.Uint32(seconds + 301) }, []error{chain.ErrNotYetValid}},
		{"expiry 0 is never", func(f fields) { f.ExpirationTimeSeconds = proto.Uint32(0) }, nil},
		{"expires one second on", func(f fields) { f.ExpirationTimeSeconds = proto.Uint32(seconds + 1) }, nil},
		{"expires now", func(f fields) { f.ExpirationTimeSeconds = proto.Uint32(seconds) }, []error{chain.ErrExpired}},
		{"no type", func(f fields) { f.Type = nil }, []error{chain.ErrType}},
		{"root", func(f fields) { f.Type = wire.DrmCertificate_ROOT.Enum() }, []error{chain.ErrType}},
		{"device", func(f fields) { f.Type = wire.DrmCertificate_DEVICE.Enum() }, []error{chain.ErrType}},
		{"provisioner", func(f fields) { f.Type = wire.DrmCertificate_PROVISIONER.Enum() }, []error{chain.ErrType}},
		{"unknown type", func(f fields) { f.Type = wire.DrmCertificate_Type(99).Enum() }, []error{chain.ErrType}},
		{"no provider", func(f fields) { f.ProviderId = nil }, []error{chain.ErrProvider}},
		{"empty provider", func(f fields) { f.ProviderId = proto.String("") }, []error{chain.ErrProvider}},
		{"no serial", func(f fields) { f.SerialNumber = nil }, []error{chain.ErrProvider}},
		{"no key", func(f fields) { f.PublicKey = nil }, []error{chain.ErrKey}},
		{"SPKI", func(f fields) { f.PublicKey = spki }, []error{chain.ErrKey}},
		{"2047 bits", func(f fields) { f.PublicKey = x509.MarshalPKCS1PublicKey(publicKey(2047)) }, []error{chain.ErrKey}},
		{"ECC", func(f fields) { f.Algorithm = wire.DrmCertificate_ALGORITHM_ECC_SECP256R1.Enum() }, []error{chain.ErrKey}},
		{"second key", func(f fields) { f.EncryptionKey = &wire.DrmCertificate_EncryptionKey{} }, []error{chain.ErrKey}},
		{"all at once", func(f fields) {
			proto.Reset(f)
			f.CreationTimeSeconds, f.ExpirationTimeSeconds = proto.Uint32(seconds+301), proto.Uint32(1)
		}, []error{chain.ErrType, chain.ErrProvider, chain.ErrKey, chain.ErrNotYetValid, chain.ErrExpired}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := enveloped(t, service(t, c.change))
			verifyBoth(t, b, c.want)
		})
	}
}

// verifyBoth checks all errors of a certificate in their order, and that VerifyService returns the first.
func verifyBoth(t *testing.T, b []byte, want []error) {
	t.Helper()
	s, err := chain.ParseServiceCertificate(b)
	if err != nil {
		t.Fatal(err)
	}
	c, errs := s.Verify(keys(t).root.Public(), now)
	if !slices.EqualFunc(errs, want, errors.Is) {
		t.Errorf("errors %v, want %v", errs, want)
	}
	bad := func(sentinel error) bool {
		return slices.ContainsFunc(want, func(err error) bool { return errors.Is(err, sentinel) })
	}
	if (c == nil) != (bad(chain.ErrMalformed) && !bad(chain.ErrKey)) {
		t.Errorf("certificate %v with errors %v", c, errs)
	}
	if c != nil && (c.Key == nil) != bad(chain.ErrKey) {
		t.Errorf("key %v with errors %v", c.Key, errs)
	}
	verified, err := chain.VerifyService(b, keys(t).root.Public(), now)
	if len(want) == 0 {
		if err != nil || verified == nil {
			t.Errorf("refused: %v", err)
		}
	} else if !errors.Is(err, want[0]) || verified != nil {
		t.Errorf("error %v, want %v", err, want[0])
	}
}

// TestVerifyServiceSignature spoils the signature and what is around it.
func TestVerifyServiceSignature(t *testing.T) {
	t.Parallel()
	k := keys(t)
	right := service(t, nil)
	digest := sha1.Sum(right.DrmCertificate)
	v15, err := rsa.SignPKCS1v15(nil, k.root.Reveal(), crypto.SHA1, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	longSalt, err := rsa.SignPSS(rand.Reader, k.root.Reveal(), crypto.SHA1, digest[:], &rsa.PSSOptions{SaltLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	model := newRecipe(t).issue(t).Signer
	type signed = *wire.SignedDrmCertificate
	refused := []error{chain.ErrSignature}
	for _, c := range []struct {
		name   string
		change func(s signed)
		want   []error
		text   string
	}{
		{name: "a stranger's signer is ignored", change: func(s signed) { s.Signer = &wire.SignedDrmCertificate{Signature: []byte("x")} }},
		{name: "stated hash", change: func(s signed) { s.HashAlgorithm = wire.HashAlgorithm(1).Enum() }},
		{name: "foreign root", change: func(s signed) { s.Signature = pssOf(t, k.stranger, s.DrmCertificate) }, want: refused},
		{name: "by a model under the root", change: func(s signed) { s.Signature, s.Signer = pssOf(t, k.model, s.DrmCertificate), model }, want: refused},
		{name: "by itself", change: func(s signed) { s.Signature = pssOf(t, k.device, s.DrmCertificate) }, want: refused},
		{name: "PKCS#1 v1.5", change: func(s signed) { s.Signature = v15 }, want: refused, text: "PKCS#1 v1.5"},
		{name: "another salt", change: func(s signed) { s.Signature = longSalt }, want: refused},
		{name: "absent", change: func(s signed) { s.Signature = nil }, want: refused, text: "none"},
		{name: "bit flip", change: func(s signed) { s.Signature[0] ^= 1 }, want: refused},
		{name: "text", change: func(s signed) { s.DrmCertificate = []byte("<html>") }, want: []error{chain.ErrSignature, chain.ErrMalformed}},
		{name: "signed text", change: func(s signed) {
			s.DrmCertificate = []byte("<html>")
			s.Signature = pssOf(t, k.root, s.DrmCertificate)
		}, want: []error{chain.ErrMalformed}},
		{name: "empty", change: func(s signed) { s.DrmCertificate = nil }, want: []error{chain.ErrMalformed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := proto.CloneOf(right)
			c.change(s)
			b := enveloped(t, s)
			verifyBoth(t, b, c.want)
			if _, err := chain.VerifyService(b, k.root.Public(), now); err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %q, want %q in it", err, c.text)
			}
		})
	}
	token := serialize(t, &wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE.Enum(), Msg: []byte("<html>")})
	verifyBoth(t, token, []error{chain.ErrMalformed})
	verifyBoth(t, []byte{0x08, 0x05}, []error{chain.ErrMalformed})
	if _, err := chain.VerifyService(enveloped(t, right), chain.VendorRoot(), now); !errors.Is(err, chain.ErrSignature) {
		t.Errorf("under the vendor's root: %v", err)
	}
}

// TestEveryByteOfAServiceCertificate flips a bit in every byte of certificate and signature, and cuts all forms everywhere.
func TestEveryByteOfAServiceCertificate(t *testing.T) {
	t.Parallel()
	right := service(t, nil)
	for name, part := range map[string]func(s *wire.SignedDrmCertificate) []byte{
		"certificate": (*wire.SignedDrmCertificate).GetDrmCertificate, "signature": (*wire.SignedDrmCertificate).GetSignature,
	} {
		for i := range part(right) {
			s := proto.CloneOf(right)
			part(s)[i] ^= 0x01
			if _, err := chain.VerifyService(serialize(t, s), keys(t).root.Public(), now); !errors.Is(err, chain.ErrSignature) {
				t.Errorf("%s, byte %d flipped: %v", name, i, err)
			}
		}
	}
	message := enveloped(t, right)
	for form, b := range map[string][]byte{"bare": serialize(t, right), "message": message, "copies": slices.Repeat(message, 2)} {
		for n := range b {
			if _, err := chain.VerifyService(b[:n], keys(t).root.Public(), now); err == nil && n != len(message) {
				t.Errorf("%s cut to %d of %d bytes: accepted", form, n, len(b))
			}
		}
	}
}

// FuzzServiceCertificate: no bytes make the parser fail otherwise than by an error, and none but the certificate that was
// issued is accepted; base64 of the bytes gives the same verdict.
func FuzzServiceCertificate(f *testing.F) {
	right := service(f, nil)
	message := enveloped(f, right)
	f.Add(message)
	f.Add(serialize(f, right))
	f.Add(slices.Repeat(message, 3))
	f.Add(right.DrmCertificate)
	f.Add(slices.Concat(message, enveloped(f, service(f, func(c *wire.DrmCertificate) { c.ProviderId = nil }))))
	f.Add(enveloped(f, service(f, func(c *wire.DrmCertificate) { c.ExpirationTimeSeconds = proto.Uint32(1) })))
	f.Add([]byte{0x08, 0x03, 0x12, 0x02, 0x08, 0x01})
	f.Add([]byte("<html>"))
	f.Add([]byte{})
	root := keys(f).root.Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		began := time.Now()
		s, err := chain.ParseServiceCertificate(b)
		if (s == nil) == (err == nil) {
			t.Fatalf("certificate %v, error %v", s, err)
		}
		if s != nil {
			c, errs := s.Verify(root, now)
			if c == nil && len(errs) == 0 || len(errs) > 6 {
				t.Errorf("certificate %v, errors %v", c, errs)
			}
		}
		verified, verifyErr := chain.VerifyService(b, root, now)
		if (verified == nil) == (verifyErr == nil) {
			t.Fatalf("certificate %v, error %v", verified, verifyErr)
		}
		if verified != nil && !bytes.Equal(verified.Signed.GetDrmCertificate(), right.GetDrmCertificate()) {
			t.Errorf("a certificate was accepted that was never issued: %v", verified.Fields)
		}
		if _, textErr := chain.DecodeServiceCertificate(base64.StdEncoding.EncodeToString(b)); (textErr == nil) != (err == nil) {
			t.Errorf("bytes: %v, text: %v", err, textErr)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%d bytes took %v", len(b), took)
		}
	})
}
