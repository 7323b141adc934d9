package widevine

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// private is the platform in privacy mode for the test's service.
func private(t testing.TB, p *Platform) *Platform {
	t.Helper()
	got, err := p.WithServerCertificate(context.Background(), certificateAnswer(t, serviceCertificate(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return got.(*Platform)
}

var errDecrypt = errors.New("client identification cannot be decrypted")

// decryptID reads an encrypted client identification as a server does, with nothing of the client's code: the privacy key
// by OAEP, then CBC, then the padding (sheet §7).
func decryptID(t testing.TB, e *wire.EncryptedClientIdentification) (clientID, key []byte, err error) {
	t.Helper()
	key, err = rsa.DecryptOAEP(sha1.New(), rand.Reader, serviceKey(t).Reveal(), e.GetEncryptedPrivacyKey(), nil)
	if err != nil || len(key) != 16 || len(e.GetEncryptedClientIdIv()) != 16 {
		return nil, nil, errDecrypt
	}
	encrypted := e.GetEncryptedClientId()
	if len(encrypted) == 0 || len(encrypted)%16 != 0 {
		return nil, nil, errDecrypt
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, len(encrypted))
	cipher.NewCBCDecrypter(block, e.GetEncryptedClientIdIv()).CryptBlocks(plain, encrypted)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > 16 || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, nil, errDecrypt
	}
	return plain[:len(plain)-pad], key, nil
}

// TestPrivateRequestAsAServerSeesIt: field 8 in place of field 1, signed by the device that is encrypted in it, and the
// license is processed as in the clear.
func TestPrivateRequestAsAServerSeesIt(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	s := openSession(t, p)
	m := request(t, s)
	envelope, r := parseRequest(t, m.Body)
	if got := fieldNumbers(t, envelope.GetMsg()); !slices.Equal(got, []protowire.Number{2, 3, 4, 6, 7, 8}) {
		t.Errorf("request fields %v", got)
	}
	e := r.GetEncryptedClientId()
	if e.GetProviderId() != "harness.test" || string(e.GetServiceCertificateSerialNumber()) != "service serial" || len(e.GetEncryptedPrivacyKey()) != 256 {
		t.Errorf("for provider %q, serial %q, privacy key of %d bytes", e.GetProviderId(), e.GetServiceCertificateSerialNumber(), len(e.GetEncryptedPrivacyKey()))
	}
	plain, _, err := decryptID(t, e)
	if err != nil || !bytes.Equal(plain, p.Identity().ClientID()) {
		t.Fatalf("%v; %d bytes of client identification, want %d", err, len(plain), len(p.Identity().ClientID()))
	}
	if bytes.Contains(m.Body, plain[:64]) || bytes.Contains(m.Body, []byte("Harness")) {
		t.Error("the client identification stands in the request in clear")
	}
	id := new(wire.ClientIdentification)
	if err := proto.Unmarshal(plain, id); err != nil {
		t.Fatal(err)
	}
	device, err := chain.VerifyDevice(id.GetToken(), testKey(t).Public(), testNow)
	if err != nil || ladder.Verify(device.Key, envelope.GetMsg(), envelope.GetSignature()) != nil {
		t.Errorf("the request is not signed by the device: %v", err)
	}
	body := answerTo(t, m.Body, nil)
	if v := p.Judge(m.Ticket, m.Body, body, drm.DepthFull); len(v.Findings) > 0 || len(v.Keys) != 1 {
		t.Errorf("judged: %+v", v)
	}
	if o, err := s.Process(context.Background(), m.ID, body); err != nil || len(o.Findings) > 0 || len(s.Licenses()) != 1 {
		t.Errorf("%v, %+v", err, o)
	}
}

// TestPrivacyIsFresh: no two requests share a privacy key, an IV or a ciphertext.
func TestPrivacyIsFresh(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	seen := map[string]bool{}
	for range 16 {
		_, r := parseRequest(t, request(t, openSession(t, p)).Body)
		e := r.GetEncryptedClientId()
		_, key, err := decryptID(t, e)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string][]byte{
			"privacy key": key, "wrapped privacy key": e.GetEncryptedPrivacyKey(), "IV": e.GetEncryptedClientIdIv(), "ciphertext": e.GetEncryptedClientId(),
		} {
			if seen[string(v)] {
				t.Errorf("%s comes twice", name)
			}
			seen[string(v)] = true
		}
	}
}

// TestForgePrivacy: each field changes its part of the encrypted client identification, under the device's signature.
func TestForgePrivacy(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	clientID := p.Identity().ClientID()
	for _, c := range []struct {
		name     string
		forge    Forge
		readable bool   // the server can still decrypt it
		plain    []byte // what it reads then
		provider string
		serial   string
	}{
		{name: "zero", readable: true, plain: clientID},
		{name: "wrong serial", forge: Forge{Encrypted: func(e *wire.EncryptedClientIdentification) { invert(e.ServiceCertificateSerialNumber) }},
			readable: true, plain: clientID, serial: string(invert([]byte("service serial")))},
		{name: "wrong provider", forge: Forge{Encrypted: func(e *wire.EncryptedClientIdentification) { e.ProviderId = proto.String("stranger") }},
			readable: true, plain: clientID, provider: "stranger"},
		{name: "ciphertext", forge: Forge{EncryptedClientID: func(b []byte) []byte { return b[:len(b)-1] }}},
		{name: "no ciphertext", forge: Forge{EncryptedClientID: func([]byte) []byte { return nil }}},
		{name: "IV", forge: Forge{ClientIDIV: func(b []byte) []byte { b[0] ^= 0x01; return b }},
			readable: true, plain: append([]byte{clientID[0] ^ 0x01}, clientID[1:]...)},
		{name: "short IV", forge: Forge{ClientIDIV: func(b []byte) []byte { return b[:8] }}},
		{name: "privacy key", forge: Forge{PrivacyKey: invert}},
		{name: "client identification", forge: Forge{ClientID: func([]byte) []byte { return []byte("<html>") }}, readable: true, plain: []byte("<html>")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			envelope, r := parseRequest(t, request(t, openSession(t, p.WithForge(c.forge))).Body)
			if ladder.Verify(testKey(t).Public(), envelope.GetMsg(), envelope.GetSignature()) != nil {
				t.Error("the request is not signed by the device")
			}
			e := r.GetEncryptedClientId()
			plain, _, err := decryptID(t, e)
			if (err == nil) != c.readable || !bytes.Equal(plain, c.plain) {
				t.Errorf("%v, %d bytes, want %d", err, len(plain), len(c.plain))
			}
			provider, serial := "harness.test", "service serial"
			if c.provider != "" {
				provider = c.provider
			}
			if c.serial != "" {
				serial = c.serial
			}
			if e.GetProviderId() != provider || string(e.GetServiceCertificateSerialNumber()) != serial || r.GetClientId() != nil {
				t.Errorf("request %v", r)
			}
		})
	}
	if got := string(p.ServiceCertificate().Fields.GetSerialNumber()); got != "service serial" {
		t.Errorf("a forge changed the platform's own serial number to %q", got)
	}
}

// TestForgeBothAndNeither: WV-PRV-04 and WV-PRV-05 are made by the request hook, before signing.
func TestForgeBothAndNeither(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	for name, c := range map[string]struct {
		forge                 Forge
		clear, encryptedThere bool
	}{
		"both":    {Forge{Request: func(r *wire.LicenseRequest) { r.ClientId = &wire.ClientIdentification{Token: []byte("x")} }}, true, true},
		"neither": {Forge{Request: func(r *wire.LicenseRequest) { r.EncryptedClientId = nil }}, false, false},
	} {
		envelope, r := parseRequest(t, request(t, openSession(t, p.WithForge(c.forge))).Body)
		if (r.ClientId != nil) != c.clear || (r.EncryptedClientId != nil) != c.encryptedThere {
			t.Errorf("%s: %v", name, r)
		}
		if ladder.Verify(testKey(t).Public(), envelope.GetMsg(), envelope.GetSignature()) != nil {
			t.Errorf("%s: not signed", name)
		}
	}
	clear := rootedPlatform(t).WithForge(Forge{Encrypted: func(*wire.EncryptedClientIdentification) { t.Error("nothing is encrypted in the clear") }})
	request(t, openSession(t, clear))
}

// TestPrivacyKeyThatCannotEncrypt: a root may have signed a key that is none; the request is an error, not a panic.
func TestPrivacyKeyThatCannotEncrypt(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	broken := *p
	service := *p.service
	service.Key = &rsa.PublicKey{N: service.Key.N, E: 4}
	broken.service = &service
	if _, err := openSession(t, &broken).Request(context.Background(), drm.KindLicense); err == nil {
		t.Error("an even exponent has encrypted")
	}
}

// TestNothingPrintsAPrivacyKey looks for the privacy key in all that is held of a private request.
func TestNothingPrintsAPrivacyKey(t *testing.T) {
	t.Parallel()
	p := private(t, rootedPlatform(t))
	s := openSession(t, p)
	m, certificate := request(t, s), requestCertificate(t, s)
	envelope, r := parseRequest(t, m.Body)
	_, key, err := decryptID(t, r.GetEncryptedClientId())
	if err != nil {
		t.Fatal(err)
	}
	vault := secret.NewVault()
	if !vault.Add("privacy-key", secret.New(key)) {
		t.Fatal("the privacy key cannot be searched for")
	}
	for _, part := range append(testKey(t).Parts(), serviceKey(t).Parts()...) {
		vault.Add("private-key", part)
	}
	o, err := s.Process(context.Background(), certificate.ID, certificateAnswer(t, serviceCertificate(t, nil)))
	if err != nil || len(o.Findings) > 0 {
		t.Fatalf("%v, %+v", err, o)
	}
	for name, held := range map[string]any{
		"platform": p, "session": s, "message": m, "certificate message": certificate, "envelope": envelope, "request": r,
		"observation": o, "detail": o.Detail, "identity": p.Identity(), "service": p.ServiceCertificate(),
	} {
		if names := vault.Names(printed(t, held)); names != nil {
			t.Errorf("%s: the output holds %v", name, names)
		}
	}
	if names := vault.Names(printed(t, struct{ Key []byte }{key})); len(names) != 1 {
		t.Errorf("a plain key in the output: found %v", names)
	}
}
