package ladder_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
)

// Vectors of sheet widevine.md §16.
const (
	vectorR = "122a0a280a121210000102030405060708090a0b0c0d0e0f10011a103031323334353637383941424344454618012080e2" +
		"cfaa06301538f8acd19101"
	vectorS          = "000102030405060708090a0b0c0d0e0f"
	vectorEncKey     = "60791478fab7742f8d5d51e5698ec61c"
	vectorMACServer  = "af5dd6e54cc4b01c0684625e6fa3e626137391587e7716f543dd031363897d65"
	vectorMACClient  = "1d94772afa8b21110cc37fcecb42c12505d9d9e03d14c0da9f68256bcec834b7"
	vectorLicense    = "0a200a1030313233343536373839414243444546120853455353494f4e3120012800120908011000180030901c1a4a0a10" + "000102030405060708090a0b0c0d0e0f1210222222222222222222222222222222221a209695a7457ab42bd5a308377787" + "de50675c65129f175c957ea75ec6ddc9d9f92f200228012080e2cfaa0638e3dc959b06"
	vectorLicenseMAC = "fd7b76a02e8c4c734d46bcf996de84668fc867436fe6bee4c2768a3c86168a90"
	vectorCoreMAC    = "02a257f7c0a58d8faf082e6017b47c009ae35d4e87ede0e924e8d1f18f4e3b42"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func span(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func derived(t testing.TB) ladder.Keys {
	t.Helper()
	k, err := ladder.Derive(secret.New(unhex(t, vectorS)), unhex(t, vectorR))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestDerive is vector T1.
func TestDerive(t *testing.T) {
	k := derived(t)
	for _, c := range []struct {
		name string
		got  secret.Bytes
		want string
	}{
		{"encKey", k.Encryption, vectorEncKey},
		{"macServer", k.Server, vectorMACServer},
		{"macClient", k.Client, vectorMACClient},
	} {
		if !c.got.Equal(secret.New(unhex(t, c.want))) {
			t.Errorf("%s differs from the vector", c.name)
		}
	}
	if _, err := ladder.Derive(secret.New(span(0, 32)), nil); err == nil {
		t.Error("a session key of 32 bytes was accepted")
	}
}

// TestWrapKey is vector T2: a content key, a signing key and an entitlement key.
func TestWrapKey(t *testing.T) {
	iv := bytes.Repeat([]byte{0x22}, 16)
	for _, c := range []struct {
		name    string
		key     []byte
		wrapped string
	}{
		{"content key", bytes.Repeat([]byte{0x11}, 16), "9695a7457ab42bd5a308377787de50675c65129f175c957ea75ec6ddc9d9f92f"},
		{"signing key", span(0x40, 64), "2e2b4add10b0f72c750e3e3e4846289f43208e893925041e2811db155703ba5f979971210e04e977bc67236ee2d3bce9d48ffb2ee61c72603d79a65609c640b74f2c8233c4a421ba86849f4cfa145cfa"},
		{"entitlement key", span(0, 32), "90dec54f9fd25c1533474310313e5458c37a12f1bff9339fa7ad36ced8ee7b16efdb4562bc935e1d3686b29b86d41dd0"},
	} {
		enc := derived(t).Encryption
		wrapped, err := ladder.WrapKey(enc, iv, secret.New(c.key))
		if err != nil || hex.EncodeToString(wrapped) != c.wrapped {
			t.Errorf("%s: wrapped to %x, %v", c.name, wrapped, err)
		}
		plain, err := ladder.UnwrapKey(enc, iv, unhex(t, c.wrapped))
		if err != nil || !plain.Equal(secret.New(c.key)) {
			t.Errorf("%s: unwrapping failed: %v", c.name, err)
		}
	}
}

// TestEntitledKey is vector T6: a content key wrapped with an AES-256 entitlement key, padded and unpadded.
func TestEntitledKey(t *testing.T) {
	entitlement, iv := secret.New(span(0, 32)), bytes.Repeat([]byte{0x22}, 16)
	want := secret.New(bytes.Repeat([]byte{0x11}, 16))
	padded, err := ladder.UnwrapKey(entitlement, iv, unhex(t, "e802d6aec868cbcebd966bfe12ce69f8ffbdf3651031670407429a89836003b3"))
	if err != nil || !padded.Equal(want) {
		t.Errorf("padded: %v", err)
	}
	bare, err := ladder.UnwrapKey(entitlement, iv, unhex(t, "e802d6aec868cbcebd966bfe12ce69f8"))
	if !errors.Is(err, ladder.ErrPadding) || !bare.Equal(want) {
		t.Errorf("unpadded: error %v, want ErrPadding and the key", err)
	}
}

// TestMAC is the signature part of vector T3, with and without a core message.
func TestMAC(t *testing.T) {
	k := derived(t)
	if got := hex.EncodeToString(ladder.MAC(k.Server, nil, unhex(t, vectorLicense))); got != vectorLicenseMAC {
		t.Errorf("MAC over msg = %s", got)
	}
	if got := hex.EncodeToString(ladder.MAC(k.Server, unhex(t, "c0c1c2c3"), unhex(t, vectorLicense))); got != vectorCoreMAC {
		t.Errorf("MAC over core and msg = %s", got)
	}
}

// TestRSA is vector T8: a signature and a wrapped key that other code made with a throw-away key of 1024 bits.
func TestRSA(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	p, _ := new(big.Int).SetString("fc37f9ac1174824914afa4d3faab2ccaaba78c5ba6e9304115a7b311f51e979661fbb0ff3ab3b7f93c76822fe03bd92d0f47d1351d96f9593191cf271d401f2d", 16)
	q, _ := new(big.Int).SetString("c075814942202d90d9f67e585cc497353cc07b9469159f55eecadd48cc618f5d32a45d3d8e69466eacf57b58b42fe2a7b949058bd0a00631eb85984cec0c1289", 16)
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	signature := unhex(t, "82f8bbbf070f9d5ce6b74b58f2ec9be3c1fde65e0c5b2dc11d281d59da6c054753b352a138692c749e5368c27d447b53"+
		"8e2d88e01055ee818ab610459c6dafb9dbefbcc85bbb209826ef5afcd66bc251a1656f4bb00d75b35c941dc842c64e2f"+
		"ddd043c1d6a87c19e3d5fc857ff84773f3153cda6d5288243966181973c5202a")
	if err := ladder.Verify(&key.PublicKey, unhex(t, vectorR), signature); err != nil {
		t.Errorf("verify: %v", err)
	}
	signature[5] ^= 1
	if ladder.Verify(&key.PublicKey, unhex(t, vectorR), signature) == nil {
		t.Error("a flipped signature verifies")
	}
	wrapped := unhex(t, "03398013686a613d1ffeaabc290bdd338441920258d6286ede52abd0dd070629fc54e05ee207f47aed16d5d5e6dfa92c"+
		"f2731a42a7cf2cdd9a9ce4bcbf27c393c4395c83b12272adfca8c5f052c4fa280d07e8171fbfcdf6b494060040660139"+
		"bd07925fb944e5b4c60b74108479406dc970ad7ebf150f63f961a4c175642095")
	session, err := ladder.UnwrapSessionKey(key, wrapped)
	if err != nil || !session.Equal(secret.New(unhex(t, vectorS))) {
		t.Errorf("unwrap: %v", err)
	}
}

func TestUnwrapKeyRefuses(t *testing.T) {
	enc := derived(t).Encryption
	for _, c := range []struct {
		name        string
		iv, wrapped []byte
		want        string
	}{
		{"short IV", span(0, 8), span(0, 32), "IV has 8 bytes"},
		{"no bytes", span(0, 16), nil, "0 wrapped bytes"},
		{"part of a block", span(0, 16), span(0, 17), "17 wrapped bytes"},
	} {
		if _, err := ladder.UnwrapKey(enc, c.iv, c.wrapped); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
