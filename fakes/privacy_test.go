package fakes_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"hash"
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// privacy is how a client encrypts its identity (sheet widevine.md §7), written with the standard library alone. The zero
// value is right.
type privacy struct {
	certificate []byte                 // SignedDrmCertificate, nil: the trusted authority's
	plain       func(id []byte) []byte // what is encrypted instead of the padded client id
	key         []byte                 // K
	oaep        func() hash.Hash       // nil: SHA-1
	recipient   *rsa.PublicKey         // nil: the certificate's
	edit        func(*wire.EncryptedClientIdentification)
}

// fields reads a SignedDrmCertificate.
func fields(t testing.TB, certificate []byte) (*wire.SignedDrmCertificate, *wire.DrmCertificate) {
	t.Helper()
	signed, inner := new(wire.SignedDrmCertificate), new(wire.DrmCertificate)
	must(t, proto.Unmarshal(certificate, signed))
	must(t, proto.Unmarshal(signed.GetDrmCertificate(), inner))
	return signed, inner
}

func pad(b []byte) []byte {
	n := aes.BlockSize - len(b)%aes.BlockSize
	return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
}

func (p privacy) encrypt(t testing.TB, id []byte) *wire.EncryptedClientIdentification {
	t.Helper()
	if p.certificate == nil {
		p.certificate = authority(t, trusted).ServiceCertificate()
	}
	_, service := fields(t, p.certificate)
	if p.recipient == nil {
		var err error
		p.recipient, err = x509.ParsePKCS1PublicKey(service.GetPublicKey())
		must(t, err)
	}
	if p.key == nil {
		p.key = randomBytes(16)
	}
	if p.plain == nil {
		p.plain = pad
	}
	if p.oaep == nil {
		p.oaep = sha1.New
	}
	wrapped, err := rsa.EncryptOAEP(p.oaep(), rand.Reader, p.recipient, p.key, nil)
	must(t, err)
	block, err := aes.NewCipher(slices.Concat(p.key, make([]byte, 16))[:max(16, len(p.key))])
	must(t, err)
	iv, encrypted := randomBytes(16), p.plain(id)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(encrypted, encrypted)
	e := &wire.EncryptedClientIdentification{
		ProviderId: service.ProviderId, ServiceCertificateSerialNumber: service.GetSerialNumber(),
		EncryptedClientId: encrypted, EncryptedClientIdIv: iv, EncryptedPrivacyKey: wrapped,
	}
	if p.edit != nil {
		p.edit(e)
	}
	return e
}

// private puts the client id of a request behind privacy mode.
func private(t testing.TB, p privacy) func(*wire.LicenseRequest) {
	return func(m *wire.LicenseRequest) {
		id, err := proto.Marshal(m.GetClientId())
		must(t, err)
		m.ClientId, m.EncryptedClientId = nil, p.encrypt(t, id)
	}
}

// TestPrivacyMode has the same request in clear and in privacy mode: rows WV-PRV-01 and WV-CRT-05.
func TestPrivacyMode(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	served := certificateOf(t, post(t, s, []byte{8, 4}).body)
	private := getLicense(t, s, ask{edit: private(t, privacy{certificate: served})}).contentKeys(t)
	clear := getLicense(t, s, ask{}).contentKeys(t)
	isTrue(t, len(clear) == 2 && len(private) == 2 && private[kid0].Equal(clear[kid0]) && private[kid1].Equal(clear[kid1]))
	records := s.Requests()
	isTrue(t, records[1].Device == firstDevice(t).Device() && records[2].Device == records[1].Device)
	isTrue(t, records[1].Operation == drm.KindLicense)
}

// wrongPrivacy are requests whose encrypted client id is wrong in one way each. The signature is right every time.
func wrongPrivacy(t testing.TB) map[string]privacy {
	edit := func(edit func(*wire.EncryptedClientIdentification)) privacy { return privacy{edit: edit} }
	plain := func(plain func([]byte) []byte) privacy { return privacy{plain: plain} }
	fixed := func(b ...byte) privacy { return plain(func([]byte) []byte { return pad(b) }) }
	return map[string]privacy{
		"another provider": edit(func(e *wire.EncryptedClientIdentification) { e.ProviderId = proto.String("other.harness.test") }),
		"no provider":      edit(func(e *wire.EncryptedClientIdentification) { e.ProviderId = nil }),
		"another serial":   edit(func(e *wire.EncryptedClientIdentification) { e.ServiceCertificateSerialNumber[15] ^= 1 }),
		"a shorter serial": edit(func(e *wire.EncryptedClientIdentification) {
			e.ServiceCertificateSerialNumber = e.ServiceCertificateSerialNumber[:15]
		}),
		"no serial":   edit(func(e *wire.EncryptedClientIdentification) { e.ServiceCertificateSerialNumber = nil }),
		"first block": edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientId[0] ^= 1 }),
		"last block":  edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientId[len(e.EncryptedClientId)-1] ^= 1 }),
		"half a block": edit(func(e *wire.EncryptedClientIdentification) {
			e.EncryptedClientId = e.EncryptedClientId[:len(e.EncryptedClientId)-8]
		}),
		"nothing encrypted":  edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientId = nil }),
		"another IV":         edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientIdIv[0] ^= 0xff }),
		"IV of 15 bytes":     edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientIdIv = e.EncryptedClientIdIv[:15] }),
		"no IV":              edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedClientIdIv = nil }),
		"privacy key":        edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedPrivacyKey[100] ^= 1 }),
		"privacy key cut":    edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedPrivacyKey = e.EncryptedPrivacyKey[:255] }),
		"no privacy key":     edit(func(e *wire.EncryptedClientIdentification) { e.EncryptedPrivacyKey = nil }),
		"K of 15 bytes":      {key: randomBytes(15)},
		"K of 32 bytes":      {key: randomBytes(32)},
		"OAEP with SHA-256":  {oaep: sha256.New},
		"for another key":    {recipient: firstDevice(t).PublicKey()},
		"another authority":  {certificate: authority(t, foreign).ServiceCertificate()},
		"nothing at all":     edit(func(e *wire.EncryptedClientIdentification) { proto.Reset(e) }),
		"empty id":           fixed(),
		"id is no protobuf":  fixed(0xff, 0xff),
		"keybox":             fixed(8, 0),
		"no token type":      fixed(0x12, 1, 7),
		"padding of 0":       plain(func(id []byte) []byte { b := pad(id); b[len(b)-1] = 0; return b }),
		"padding of 17":      plain(func(id []byte) []byte { b := pad(id); b[len(b)-1] = 17; return b }),
		"padding not of one": plain(func([]byte) []byte { return append(make([]byte, 13), 1, 3, 3) }),
	}
}

// TestPrivacyRefusals is rows WV-PRV-02 and WV-PRV-03: whatever is wrong, the answer is the same to the byte.
func TestPrivacyRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	const want = "the encrypted client id can't be used\n"
	requests := uint64(0)
	for name, p := range wrongPrivacy(t) {
		answer := post(t, s, ask{edit: private(t, p)}.make(t).body)
		answer.header.Del("Date")
		requests++
		if answer.status != http.StatusBadRequest || string(answer.body) != want || len(answer.header) != 4 {
			t.Errorf("%s: status %d, %q, %v", name, answer.status, answer.body, answer.header)
		}
		checkRefusal(t, answer, 0)
	}
	for _, r := range s.Requests() {
		if r.Reason != "encrypted-client-id" || r.Device != "" || len(r.Granted) != 0 || r.Operation != drm.KindLicense {
			t.Errorf("history: %+v", r)
		}
	}
	if total, _ := s.Count(); total != (fakes.Count{Received: requests, Refused: requests}) {
		t.Errorf("%+v, want %d refused", total, requests)
	}
}

// TestPrivacyAsInClear has requests in privacy mode that are refused as in clear mode once the id is decrypted.
func TestPrivacyAsInClear(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	second := authority(t, trusted).Devices()[1]
	both := func(m *wire.LicenseRequest) {
		clear := m.GetClientId()
		private(t, privacy{})(m)
		m.ClientId = clear
	}
	for name, c := range map[string]struct {
		ask    ask
		status int
		reason drm.Reason
	}{
		"foreign root": {ask{device: authority(t, foreign).Devices()[0], edit: private(t, privacy{})}, 403, "certificate-chain"},
		"expired":      {ask{device: expiring(t, 1_600_000_000), edit: private(t, privacy{})}, 403, "certificate-expired"},
		"signed by another device": {ask{edit: private(t, privacy{}), sign: func(msg []byte) []byte {
			return sign(t, second, msg)
		}}, 403, "request-signature"},
		"no signature": {ask{edit: private(t, privacy{}), sign: func([]byte) []byte { return nil }}, 403, "request-signature"},
		"unknown KID":  {ask{edit: private(t, privacy{}), pssh: [][]byte{psshData(unknown)}}, 404, "unknown-content"},
		"both ids":     {ask{edit: both}, 400, "client-id"},
		"neither id":   {ask{edit: func(m *wire.LicenseRequest) { m.ClientId = nil }}, 400, "client-id"},
		"id of another device": {ask{device: second, edit: func(m *wire.LicenseRequest) {
			m.ClientId, m.EncryptedClientId = nil, privacy{}.encrypt(t, firstDevice(t).ClientID())
		}}, 403, "request-signature"},
	} {
		answer := post(t, s, c.ask.make(t).body)
		r := s.Requests()
		if got := r[len(r)-1].Reason; answer.status != c.status || got != c.reason {
			t.Errorf("%s: status %d, %q, want %d, %q", name, answer.status, got, c.status, c.reason)
		}
	}
}

// privacyFaults has for every fault of privacy mode a request that it acts on, what becomes of that without the fault, and
// what is seen with it.
var privacyFaults = map[string]struct {
	ask   func(*testing.T) ask
	clean int // status
	check func(t *testing.T, r request, answer reply)
}{
	"wv-privacy-ignored": {
		ask:   func(t *testing.T) ask { return ask{edit: private(t, privacy{})} },
		clean: 200,
		check: func(t *testing.T, _ request, answer reply) {
			isTrue(t, answer.status == 400 && string(answer.body) == "no client id\n")
		},
	},
	"wv-privacy-serial-ignored": {
		ask: func(t *testing.T) ask {
			return ask{edit: private(t, privacy{edit: func(e *wire.EncryptedClientIdentification) {
				e.ProviderId, e.ServiceCertificateSerialNumber = proto.String("x"), []byte("y")
			}})}
		},
		clean: 400, check: opens,
	},
	"wv-privacy-padding-500": {
		ask:   func(t *testing.T) ask { return ask{edit: private(t, wrongPrivacy(t)["padding of 17"])} },
		clean: 400,
		check: func(t *testing.T, _ request, answer reply) { isTrue(t, answer.status == 500) },
	},
	"wv-privacy-both-ids": {
		ask: func(t *testing.T) ask {
			return ask{edit: func(m *wire.LicenseRequest) {
				m.EncryptedClientId = privacy{}.encrypt(t, authority(t, trusted).Devices()[1].ClientID())
			}}
		},
		clean: 400,
		check: func(t *testing.T, r request, answer reply) {
			if _, err := openLicense(r, answer.body); err == nil {
				t.Error("the signer can open the license")
			}
			r.device = authority(t, trusted).Devices()[1]
			opens(t, r, answer)
		},
	},
	"wv-anonymous-license": {
		ask: func(*testing.T) ask {
			return ask{edit: func(m *wire.LicenseRequest) { m.ClientId = nil }, sign: func([]byte) []byte { return nil }}
		},
		clean: 400, check: opens, // by the first device
	},
	"wv-privacy-decrypted-context": {
		ask:   func(t *testing.T) ask { return ask{edit: private(t, privacy{})} },
		clean: 200,
		check: func(t *testing.T, r request, answer reply) {
			_, err := openLicense(r, answer.body)
			isTrue(t, err == errHMAC)
			m, id := new(wire.LicenseRequest), new(wire.ClientIdentification)
			must(t, proto.Unmarshal(r.context, m))
			must(t, proto.Unmarshal(r.device.ClientID(), id))
			m.ClientId, m.EncryptedClientId = id, nil
			r.context, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
			must(t, err)
			opens(t, r, answer)
		},
	},
}

// opens opens a license, which must be right.
func opens(t *testing.T, r request, answer reply) {
	t.Helper()
	o, err := openLicense(r, answer.body)
	if err != nil {
		t.Fatalf("status %d: %v", answer.status, err)
	}
	keys := o.contentKeys(t)
	isTrue(t, len(keys) == 2 && keys[kid0].Equal(authority(t, trusted).ContentKey(kid0)))
}

// TestPrivacyFaults sees every fault of privacy mode on the wire, and the same request without it.
func TestPrivacyFaults(t *testing.T) {
	t.Parallel()
	for name, c := range privacyFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Faults: fakes.Named(name)})
			r := c.ask(t).make(t)
			c.check(t, r, post(t, s, r.body))
			isTrue(t, s.Exercised(name) == 1 && slices.Equal(s.Requests()[0].Faults, []string{name}))
			if answer := post(t, s, ask{}.make(t).body); answer.status != 200 || s.Exercised(name) != 1 {
				t.Errorf("a request in the clear: status %d, exercised %d times", answer.status, s.Exercised(name))
			}
			s.ClearFaults()
			clean := post(t, s, r.body)
			isTrue(t, clean.status == c.clean && s.Exercised(name) == 1)
			if c.clean == 200 {
				opens(t, r, clean)
			}
		})
	}
}

// TestPaddingOracle has what the fault makes of the three kinds of errors: row WV-PRV-03's mutant.
func TestPaddingOracle(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("wv-privacy-padding-500")})
	for name, want := range map[string]int{
		"padding of 0": 500, "padding not of one": 500, "id is no protobuf": 403, "empty id": 403, "privacy key": 400, "another serial": 400,
	} {
		if got := post(t, s, ask{edit: private(t, wrongPrivacy(t)[name])}.make(t).body).status; got != want {
			t.Errorf("%s: status %d, want %d", name, got, want)
		}
	}
	isTrue(t, s.Exercised("wv-privacy-padding-500") == 4)
}

// TestPrivacyServiceKey shows that a certificate of another type is never taken for the service's.
func TestPrivacyServiceKey(t *testing.T) {
	t.Parallel()
	c, err := chain.Parse(authority(t, trusted).ServiceCertificate())
	must(t, err)
	for _, d := range authority(t, trusted).Devices() {
		isTrue(t, !c.Key.Equal(d.PublicKey()))
	}
	isTrue(t, !c.Key.Equal(authority(t, trusted).RootKey()) && c.Key.N.BitLen() == 2048)
}
