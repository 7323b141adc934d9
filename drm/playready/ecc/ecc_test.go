package ecc

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyflow/drm/secret"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t *testing.T, scalar string) PrivateKey {
	t.Helper()
	k, err := NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestChallengeVector is the encrypted session point of sheet playready.md §13.5.
func TestChallengeVector(t *testing.T) {
	t.Parallel()
	server := key(t, "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748")
	session := key(t, "9124155b842f9f460a92012ad071c03b1790cd026205b4ca7a0fa8421f21d88f")
	ephemeral := key(t, "ae334c3ee868ad0a2a3bed0248443b9c26480607b0df7529d767cc29040d2fef")
	const public = "25c07e56cd0e79a94041550957a0d7c9500984845e04ce5ed0c17ee1130811903b8f68ce450670ce75e2de4c316d3f7d128ae8c440874da77f76fb698bade53c"
	if p := server.Public(); hex.EncodeToString(p[:]) != public {
		t.Errorf("public point %x", p)
	}
	ciphertext, x, err := server.Public().encryptKey(session, ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	const want = "XHpnhl5i7KhzN96GTyMLISyLzpktvu/EX3W02XNiJJ38YH2Qlql46yVXI6Bd5d0o3VQBkhunGJv5g9zO0dhDVhP+h2HhAmgR5OluSMElFBLQgL468dU3/gKIOSAwXYZOHyf9fh14LiT4OU5cR8Likv8ITnEfcizRd00hEUouaxI="
	if got := base64.StdEncoding.EncodeToString(ciphertext); got != want {
		t.Errorf("ciphertext %s", got)
	}
	if got := hex.EncodeToString(x.Reveal()); got != "1905e0a21a3fe444360457fe8d4cc081b50b8a8bba671607c4f21035ed6f2db2" {
		t.Errorf("x %s", got)
	}
	back, err := server.Decrypt(ciphertext)
	if err != nil || !back.Equal(x) {
		t.Errorf("decrypted to something else: %v", err)
	}
}

// TestSignatureVector is the signature of the official sample, sheet playready.md §13.4.
func TestSignatureVector(t *testing.T) {
	t.Parallel()
	const d = "http://www.w3.org/2000/09/xmldsig#"
	const p = "http://schemas.microsoft.com/DRM/2007/03/protocols"
	signedInfo := `<SignedInfo xmlns="` + d + `"><CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="` + p + `#ecdsa-sha256"></SignatureMethod><Reference URI="#SignedData"><DigestMethod Algorithm="` + p + `#sha256"></DigestMethod>` +
		`<DigestValue>NnkxTbC9yLGwYWSRfOz3VqKRYd62AGqTnwpSHsCklhI=</DigestValue></Reference></SignedInfo>`
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public, err := ParsePublicKey(decode("nrZWFO4ExmBomY+Xu5sATbSRi+tjRqMC+bVaKwn5ZAkdoER3nn8eE+yxXA0CkuhhmAmAqYDX7RY2q+MbAvoZuA=="))
	if err != nil {
		t.Fatal(err)
	}
	signature := decode("Av2+yCEBdJD9+euMzGzuPb5rYgPlXNszEEr+cF7LwbE/Kln1e8JyhAEdIy14z4U43/oQMvMg40QaOAqv3ElM2g==")
	if len(signedInfo) != 499 || !public.Verify([]byte(signedInfo), signature) {
		t.Errorf("the sample's signature does not verify over %d bytes", len(signedInfo))
	}
	for _, altered := range []string{strings.Replace(signedInfo, ` xmlns="`+d+`"`, "", 1), strings.Replace(signedInfo, "></DigestMethod>", "/>", 1)} {
		if public.Verify([]byte(altered), signature) {
			t.Errorf("verifies over another form, %d bytes", len(altered))
		}
	}
	for name, bad := range map[string][]byte{"short": signature[:63], "zero": make([]byte, 64), "flipped": append([]byte{3}, signature[1:]...), "none": nil} {
		if public.Verify([]byte(signedInfo), bad) {
			t.Errorf("a %s signature verifies", name)
		}
	}
}

// TestPadding encrypts often enough that coordinates with leading zeros occur, which must keep their length (PR-LIC-07).
func TestPadding(t *testing.T) {
	t.Parallel()
	device, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	short, tried := 0, 0
	for range 1500 {
		x := make([]byte, CoordinateLen)
		_, _ = rand.Read(x)
		if tried%3 == 0 {
			x[0] = 0
		}
		ciphertext, err := device.Public().EncryptX(secret.New(x))
		if errors.Is(err, ErrNoPoint) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		tried++
		if len(ciphertext) != CiphertextLen {
			t.Fatalf("%d bytes", len(ciphertext))
		}
		for at := 0; at < CiphertextLen; at += CoordinateLen {
			if ciphertext[at] == 0 {
				short++
			}
		}
		if back, err := device.Decrypt(ciphertext); err != nil || !bytes.Equal(back.Reveal(), x) {
			t.Fatalf("round trip: %v", err)
		}
	}
	if tried < 600 || short == 0 {
		t.Errorf("%d points tried, %d coordinates with a leading zero", tried, short)
	}
}

func TestBadCiphertexts(t *testing.T) {
	t.Parallel()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	good, _, err := k.Public().EncryptKey(k)
	if err != nil {
		t.Fatal(err)
	}
	offCurve := bytes.Clone(good)
	offCurve[70] ^= 1
	tooLarge := bytes.Clone(good)
	copy(tooLarge, bytes.Repeat([]byte{0xff}, 32))
	identity := append(bytes.Clone(good[:64]), good[64:]...)
	shared, err := pointOf(good[:64])
	if err != nil {
		t.Fatal(err)
	}
	product, err := shared.ScalarMult(shared, k.scalar.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	same, err := raw(product)
	if err != nil {
		t.Fatal(err)
	}
	copy(identity[64:], same) // M is the identity
	for name, bad := range map[string][]byte{
		"short": good[:127], "long": append(bytes.Clone(good), 0), "empty": nil, "zero": make([]byte, 128),
		"off the curve": offCurve, "too large": tooLarge, "identity": identity,
	} {
		if _, err := k.Decrypt(bad); err == nil {
			t.Errorf("%s: decrypted", name)
		}
	}
	if _, err := NewPrivateKey(make([]byte, 32)); err == nil {
		t.Error("a zero scalar is a key")
	}
	if _, err := ParsePublicKey(make([]byte, 64)); err == nil {
		t.Error("zeros are a public key")
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k := key(t, "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, k); strings.Contains(text, "7ab98ff0") || strings.Contains(text, "122 185 143") || strings.Contains(text, "0x7a, 0xb9") {
			t.Errorf("%s prints the scalar", verb)
		}
	}
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	signature, err := k.Sign([]byte("text"))
	if err != nil || len(signature) != SignatureLen || !k.Public().Verify([]byte("text"), signature) || k.Public().Verify([]byte("text2"), signature) {
		t.Errorf("%d bytes, %v", len(signature), err)
	}
}
