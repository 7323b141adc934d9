package widevine

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// testNow is the time on every test's clock.
var testNow = time.Unix(1700000123, 0).UTC()

func testClock() drm.Clock { return drm.ClockFunc(func() time.Time { return testNow }) }

// vectorKID and vectorKey are the KID and the content key of the vectors.
var (
	vectorKID = drm.KID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	vectorKey = bytes.Repeat([]byte{0x11}, 16)
)

// deviceToken is a device certificate under a model and a root; the test's one key serves all three.
func deviceToken(t testing.TB, change func(device *wire.DrmCertificate)) []byte {
	t.Helper()
	key := testKey(t)
	model, err := chain.Issue(&wire.DrmCertificate{
		Type: wire.DrmCertificate_DEVICE_MODEL.Enum(), SerialNumber: []byte("model"), SystemId: proto.Uint32(900001),
	}, key.Public(), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	fields := &wire.DrmCertificate{
		Type: wire.DrmCertificate_DEVICE.Enum(), SerialNumber: []byte("device"), SystemId: proto.Uint32(900001),
	}
	if change != nil {
		change(fields)
	}
	device, err := chain.Issue(fields, key.Public(), key, model)
	if err != nil {
		t.Fatal(err)
	}
	return serialize(t, device)
}

// clientID is a client identification with the token; its capabilities hold the empty packed field 9 that a published
// client sends (sheet widevine.md §4).
func clientID(t testing.TB, token []byte) []byte {
	t.Helper()
	id := &wire.ClientIdentification{
		Type: wire.ClientIdentification_DRM_DEVICE_CERTIFICATE.Enum(), Token: token,
		ClientInfo: []*wire.ClientIdentification_NameValue{{Name: proto.String("company_name"), Value: proto.String("Harness")}},
	}
	return append(serialize(t, id), 0x32, 0x02, 0x4a, 0x00)
}

func testIdentity(t testing.TB) Identity {
	t.Helper()
	identity, err := NewIdentity(clientID(t, deviceToken(t, nil)), testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func testPlatform(t testing.TB) *Platform {
	t.Helper()
	return NewPlatform(testIdentity(t), testClock())
}

func testBox() drm.Box {
	return drm.Box{SystemID: pssh.WidevineSystemID, Data: pssh.Synthesize([]drm.KID{vectorKID})}
}

func openSession(t testing.TB, p *Platform) *session {
	t.Helper()
	s, err := p.Open(context.Background(), testBox(), drm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*session)
}

func request(t testing.TB, s drm.Session) drm.Message {
	t.Helper()
	m, err := s.Request(context.Background(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parseRequest reads a key request as a server does.
func parseRequest(t testing.TB, body []byte) (*wire.SignedMessage, *wire.LicenseRequest) {
	t.Helper()
	envelope, r := new(wire.SignedMessage), new(wire.LicenseRequest)
	if err := proto.Unmarshal(body, envelope); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(envelope.GetMsg(), r); err != nil {
		t.Fatal(err)
	}
	return envelope, r
}

// vectorFields is the license of the vectors, decoded.
func vectorFields(t testing.TB) *wire.License {
	t.Helper()
	l := new(wire.License)
	if err := proto.Unmarshal(unhex(t, vectorLicense), l); err != nil {
		t.Fatal(err)
	}
	return l
}

func derive(t testing.TB, sessionKey, msg []byte) ladder.Keys {
	t.Helper()
	keys, err := ladder.Derive(secret.New(sessionKey), msg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func vectorKeys(t testing.TB) ladder.Keys {
	t.Helper()
	return derive(t, unhex(t, vectorSession), unhex(t, vectorRequest))
}

// answerTo plays the server for the test's device: a right license for one key, with what change does to it.
func answerTo(t testing.TB, body []byte, change func(l *wire.License)) []byte {
	t.Helper()
	return answerWith(t, body, random(ladder.SessionKeyLen), vectorKey, change)
}

func answerWith(t testing.TB, body, sessionKey, contentKey []byte, change func(l *wire.License)) []byte {
	t.Helper()
	envelope, r := parseRequest(t, body)
	keys := derive(t, sessionKey, envelope.GetMsg())
	l := vectorFields(t)
	l.Id.RequestId = r.GetContentId().GetWidevinePsshData().GetRequestId()
	l.Key = []*wire.License_KeyContainer{contentContainer(t, keys, vectorKID, contentKey)}
	if change != nil {
		change(l)
	}
	msg := serialize(t, l)
	wrapped, err := ladder.WrapSessionKey(testKey(t).Public(), secret.New(sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	return serialize(t, &wire.SignedMessage{
		Type: wire.SignedMessage_LICENSE.Enum(), Msg: msg, Signature: ladder.MAC(keys.Server, nil, msg), SessionKey: wrapped,
	})
}

func contentContainer(t testing.TB, keys ladder.Keys, kid drm.KID, key []byte) *wire.License_KeyContainer {
	t.Helper()
	c := &wire.License_KeyContainer{Id: kid[:], Iv: random(16), Type: wire.License_KeyContainer_CONTENT.Enum()}
	var err error
	if c.Key, err = ladder.WrapKey(keys.Encryption, c.Iv, secret.New(key)); err != nil {
		t.Fatal(err)
	}
	return c
}

// encryptBlocks is AES-CBC without any padding.
func encryptBlocks(t testing.TB, key secret.Bytes, iv, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
	return out
}

// Vector T8 of sheet widevine.md §16: a throw-away key of 1024 bits and the vectors' session key wrapped for it. It never
// changes and is quick, which fuzzing needs.
const (
	fuzzP = "fc37f9ac1174824914afa4d3faab2ccaaba78c5ba6e9304115a7b311f51e979661fbb0ff3ab3b7f93c76822fe03bd92d0f47d1351d96f9593191cf271d401f2d"
	fuzzQ = "c075814942202d90d9f67e585cc497353cc07b9469159f55eecadd48cc618f5d32a45d3d8e69466eacf57b58b42fe2a7b949058bd0a00631eb85984cec0c1289"

	fuzzWrapped = "03398013686a613d1ffeaabc290bdd338441920258d6286ede52abd0dd070629fc54e05ee207f47aed16d5d5e6dfa92c" +
		"f2731a42a7cf2cdd9a9ce4bcbf27c393c4395c83b12272adfca8c5f052c4fa280d07e8171fbfcdf6b494060040660139" +
		"bd07925fb944e5b4c60b74108479406dc970ad7ebf150f63f961a4c175642095"
)

func fuzzKey(t testing.TB) secret.RSAKey {
	t.Helper()
	p, q := new(big.Int).SetBytes(unhex(t, fuzzP)), new(big.Int).SetBytes(unhex(t, fuzzQ))
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	return secret.NewRSAKey(key)
}

// secondPublicKey is a public key of 2048 bits that is not the device's, in PKCS#1. Nobody needs its private half.
func secondPublicKey(t testing.TB) []byte {
	t.Helper()
	n := new(big.Int).Set(testKey(t).Public().N)
	return x509.MarshalPKCS1PublicKey(&rsa.PublicKey{N: n.Sub(n, big.NewInt(2)), E: 65537})
}
