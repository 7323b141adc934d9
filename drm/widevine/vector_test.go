package widevine

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Vectors T1 to T3 of sheet widevine.md §16: a license request, its session key, and the license that answers it.
const (
	vectorRequest = "122a0a280a121210000102030405060708090a0b0c0d0e0f10011a103031323334353637383941424344454618012080e2" +
		"cfaa06301538f8acd19101"
	vectorSession = "000102030405060708090a0b0c0d0e0f"
	vectorLicense = "0a200a1030313233343536373839414243444546120853455353494f4e3120012800120908011000180030901c1a4a0a10" +
		"000102030405060708090a0b0c0d0e0f1210222222222222222222222222222222221a209695a7457ab42bd5a308377787" +
		"de50675c65129f175c957ea75ec6ddc9d9f92f200228012080e2cfaa0638e3dc959b06"
	vectorMAC     = "fd7b76a02e8c4c734d46bcf996de84668fc867436fe6bee4c2768a3c86168a90"
	vectorCoreMAC = "02a257f7c0a58d8faf082e6017b47c009ae35d4e87ede0e924e8d1f18f4e3b42"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var deviceKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func testKey(t testing.TB) secret.RSAKey {
	t.Helper()
	key, err := deviceKey()
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewRSAKey(key)
}

// vectorAnswer is the license of the vectors, its session key wrapped for the test's device.
func vectorAnswer(t testing.TB) *wire.SignedMessage {
	t.Helper()
	wrapped, err := ladder.WrapSessionKey(testKey(t).Public(), secret.New(unhex(t, vectorSession)))
	if err != nil {
		t.Fatal(err)
	}
	return &wire.SignedMessage{
		Type: wire.SignedMessage_LICENSE.Enum(), Msg: unhex(t, vectorLicense), Signature: unhex(t, vectorMAC), SessionKey: wrapped,
	}
}

func vectorPending(t testing.TB) pending {
	t.Helper()
	p, err := pendingOf(unhex(t, vectorRequest))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func serialize(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorLicense(t *testing.T) {
	x := examine(testKey(t), vectorPending(t), serialize(t, vectorAnswer(t)), drm.DepthFull)
	if len(x.findings) > 0 {
		t.Fatalf("findings: %v", x.findings)
	}
	l, ok := x.license()
	if !ok || len(l.Keys) != 1 {
		t.Fatalf("license %+v, %v", l, ok)
	}
	kid, _ := drm.ParseKID("000102030405060708090a0b0c0d0e0f")
	key, ok := l.Key(kid)
	if !ok || !key.Key.Equal(secret.New(bytes.Repeat([]byte{0x11}, 16))) {
		t.Error("the content key differs from the vector")
	}
	if l.Type != drm.Streaming || !l.Policy.CanPlay || l.Policy.CanPersist || l.Policy.License != time.Hour || l.Start.Unix() != 1700000000 || key.SecurityLevel != 1 {
		t.Errorf("license %+v", l)
	}
}

// TestVectorCore: with a core message the signature covers core ‖ msg; valid over msg only is a finding of its own.
func TestVectorCore(t *testing.T) {
	answer := vectorAnswer(t)
	answer.OemcryptoCoreMessage = unhex(t, "c0c1c2c3")
	if x := examine(testKey(t), vectorPending(t), serialize(t, answer), drm.DepthFull); len(x.findings) != 1 || x.findings[0].Reason != ReasonSignatureCore {
		t.Errorf("core left out of the signature: %v", x.findings)
	}
	answer.Signature = unhex(t, vectorCoreMAC)
	if x := examine(testKey(t), vectorPending(t), serialize(t, answer), drm.DepthFull); len(x.findings) != 0 {
		t.Errorf("core in the signature: %v", x.findings)
	}
}

// TestEveryByteIsProtected is check WV-CLI-01: with a body of type, msg, signature and session_key only, a change of any
// byte, tags and lengths included, must leave no license.
func TestEveryByteIsProtected(t *testing.T) {
	body := serialize(t, vectorAnswer(t))
	p := vectorPending(t)
	for i := range body {
		for _, bit := range []byte{0x01, 0x80} {
			changed := bytes.Clone(body)
			changed[i] ^= bit
			if _, ok := examine(testKey(t), p, changed, drm.DepthFull).license(); ok {
				t.Errorf("byte %d of %d ^ %#x: still a license", i, len(body), bit)
			}
		}
	}
	for n := range body {
		if _, ok := examine(testKey(t), p, body[:n], drm.DepthFull).license(); ok {
			t.Errorf("cut to %d of %d bytes: still a license", n, len(body))
		}
	}
}
