package ecc

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"filippo.io/nistec"

	"keyflow/drm/secret"
)

// The prime of the field and the order of the group, P-256 (SEC 2).
const (
	fieldPrime = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
	groupOrder = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, scalar string) PrivateKey {
	t.Helper()
	k, err := NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fresh returns a new key.
func fresh(t testing.TB) PrivateKey {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ephemeral(t testing.TB, scalar string) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.P256().NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// plus returns the number of 32 bytes that is d more.
func plus(t testing.TB, number string, d int64) []byte {
	t.Helper()
	n := new(big.Int).SetBytes(unhex(t, number))
	return n.Add(n, big.NewInt(d)).FillBytes(make([]byte, CoordinateLen))
}

// TestChallengeVector is the encrypted session point of sheet playready.md §13.5.
func TestChallengeVector(t *testing.T) {
	t.Parallel()
	server := key(t, "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748")
	session := key(t, "9124155b842f9f460a92012ad071c03b1790cd026205b4ca7a0fa8421f21d88f").Public()
	const public = "25c07e56cd0e79a94041550957a0d7c9500984845e04ce5ed0c17ee1130811903b8f68ce450670ce75e2de4c316d3f7d128ae8c440874da77f76fb698bade53c"
	if p := server.Public(); hex.EncodeToString(p[:]) != public {
		t.Errorf("public point %x", p)
	}
	m, err := pointOf(session[:])
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := server.Public().encryptWith(m, ephemeral(t, "ae334c3ee868ad0a2a3bed0248443b9c26480607b0df7529d767cc29040d2fef"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "XHpnhl5i7KhzN96GTyMLISyLzpktvu/EX3W02XNiJJ38YH2Qlql46yVXI6Bd5d0o3VQBkhunGJv5g9zO0dhDVhP+h2HhAmgR5OluSMElFBLQgL468dU3/gKIOSAwXYZOHyf9fh14LiT4OU5cR8Likv8ITnEfcizRd00hEUouaxI="
	if got := base64.StdEncoding.EncodeToString(ciphertext); got != want {
		t.Errorf("ciphertext %s", got)
	}
	x, err := server.Decrypt(ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(x.Reveal()); got != "1905e0a21a3fe444360457fe8d4cc081"+"b50b8a8bba671607c4f21035ed6f2db2" {
		t.Errorf("IV and key %s", got)
	}
}

// TestLicenseVector is the encrypted content key of sheet playready.md §13.6.
func TestLicenseVector(t *testing.T) {
	t.Parallel()
	device := key(t, "ad3fcfc71cee9c24b26acb6731869e26ea953a4fc3ce32775d5da25b11fb3621")
	const public = "12b8e5fafa3b7ed8271584807406e617b7d138c117e90c882d78ca50abe7bff3a8adb1d3c9295d7672d061c10032852b9a54822376824107da0f3e496dd4e62b"
	if p := device.Public(); hex.EncodeToString(p[:]) != public {
		t.Errorf("public point %x", p)
	}
	const x = "212ff4de210070a8b23cb30933f832a7" + "9cb061164b7013eaefcc7d6d18424c2c" // CI and CK
	m, err := pointOf(unhex(t, x+"c3df6f1bc5b56efef9d33a0b94f0c32f17f77e4bbb14b86f09d9f0c0b91599fc"))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := device.Public().encryptWith(m, ephemeral(t, "705868b7a6c2157cf60f86dae18bc653be55b7539375af272c6b58ff4be582cc"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "qUogRARtzcfjQQa72dWSznugLLmyQuuJeUTIhOIIWqYWaoqBrRNXlzL52nwUKRdAMXZT47SFRQhrcIDgjGsXQ7JJfCsktsdLkbUQ30B+blX5TWhqkYxR/hpEBwtAuFB1gPyZ+up++sskt2ySIU4eqwoI5av9okpB/T5NRbscV5Q="
	if got := base64.StdEncoding.EncodeToString(ciphertext); got != want {
		t.Errorf("ciphertext %s", got)
	}
	if back, err := device.Decrypt(ciphertext); err != nil || hex.EncodeToString(back.Reveal()) != x {
		t.Errorf("decrypted to something else: %v", err)
	}
}

// TestPadding encrypts often enough that coordinates with leading zeros occur, which must keep their length (PR-LIC-07).
func TestPadding(t *testing.T) {
	t.Parallel()
	device := fresh(t)
	short, tried := 0, 0
	for draw := range 1500 {
		x := make([]byte, CoordinateLen)
		_, _ = rand.Read(x)
		if draw%3 == 0 {
			x[0] = 0
		}
		ciphertext, err := device.Public().EncryptX(secret.New(x))
		if errors.Is(err, ErrNoPoint) {
			continue
		}
		if err != nil || len(ciphertext) != CiphertextLen {
			t.Fatalf("%d bytes, %v", len(ciphertext), err)
		}
		tried++
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

// TestFreshness encrypts one point a hundred times: no half of a ciphertext occurs twice (PR-LIC-06).
func TestFreshness(t *testing.T) {
	t.Parallel()
	device, session := fresh(t), fresh(t)
	seen := map[PublicKey]bool{}
	for range 100 {
		ciphertext, x, err := device.Public().EncryptKey(session)
		public := session.Public()
		if err != nil || !bytes.Equal(x.Reveal(), public[:CoordinateLen]) {
			t.Fatalf("%v", err)
		}
		for _, half := range []PublicKey{PublicKey(ciphertext[:PublicLen]), PublicKey(ciphertext[PublicLen:])} {
			if seen[half] {
				t.Fatal("half of a ciphertext occurs again")
			}
			seen[half] = true
		}
	}
}

// badPoints are 64 bytes that are no point, by what is wrong with them.
func badPoints(t testing.TB) map[string][]byte {
	t.Helper()
	good := fresh(t).Public()
	edit := func(at int, with []byte) []byte {
		b := bytes.Clone(good[:])
		copy(b[at:], with)
		return b
	}
	// y² = b has a root: (0, y) is on the curve, so that (p, y) differs from a point only in being reduced.
	zero, err := nistec.NewP256Point().SetBytes(append([]byte{2}, make([]byte, CoordinateLen)...))
	if err != nil {
		t.Fatal(err)
	}
	onZero := zero.Bytes()[1:]
	if _, err := pointOf(onZero); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"zeros":                 make([]byte, PublicLen),
		"x altered":             edit(5, []byte{good[5] ^ 1}),
		"y altered":             edit(40, []byte{good[40] ^ 1}),
		"x of p":                append(plus(t, fieldPrime, 0), onZero[CoordinateLen:]...),
		"x beyond p":            edit(0, plus(t, fieldPrime, 1)),
		"y beyond p":            edit(CoordinateLen, bytes.Repeat([]byte{0xff}, CoordinateLen)),
		"x and y change places": append(bytes.Clone(good[CoordinateLen:]), good[:CoordinateLen]...),
	}
}

func TestBadPoints(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	good, _, err := k.Public().EncryptKey(fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	signature, err := k.Sign([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range badPoints(t) {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%s: a public key", name)
		}
		if _, err := k.Decrypt(append(bytes.Clone(bad), good[PublicLen:]...)); err == nil {
			t.Errorf("%s: decrypted as first half", name)
		}
		if _, err := k.Decrypt(append(bytes.Clone(good[:PublicLen]), bad...)); err == nil {
			t.Errorf("%s: decrypted as second half", name)
		}
		public := PublicKey(bad)
		if public.Verify([]byte("text"), signature) {
			t.Errorf("%s: a signature verifies under it", name)
		}
		if _, _, err := public.EncryptKey(k); err == nil {
			t.Errorf("%s: encrypted for it", name)
		}
	}
	for n := range PublicLen + 2 {
		if _, err := ParsePublicKey(append(bytes.Clone(good[:PublicLen]), 0)[:min(n, PublicLen+1)]); (err == nil) != (n == PublicLen) {
			t.Errorf("a public key of %d bytes: %v", n, err)
		}
	}
	if _, err := ParsePublicKey(append([]byte{tagUncompressed}, good[:PublicLen]...)); err == nil {
		t.Error("a public key with a tag: accepted")
	}
}

func TestBadCiphertexts(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	good, _, err := k.Public().EncryptKey(fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := k.Decrypt(good[:n]); err == nil {
			t.Errorf("%d bytes: decrypted", n)
		}
	}
	if _, err := k.Decrypt(append(bytes.Clone(good), 0)); err == nil {
		t.Error("129 bytes: decrypted")
	}
	c1, err := pointOf(good[:PublicLen])
	if err != nil {
		t.Fatal(err)
	}
	shared, err := nistec.NewP256Point().ScalarMult(c1, k.Scalar().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	c2, err := raw(shared)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Decrypt(append(bytes.Clone(good[:PublicLen]), c2...)); !errors.Is(err, errIdentity) {
		t.Errorf("M is the identity: %v", err)
	}
	// C2 = -s·C1 makes the subtraction a doubling, which addition formulas get wrong when they forget it.
	negated, err := raw(nistec.NewP256Point().Negate(shared))
	if err != nil {
		t.Fatal(err)
	}
	double, err := raw(nistec.NewP256Point().Double(nistec.NewP256Point().Negate(shared)))
	if err != nil {
		t.Fatal(err)
	}
	if x, err := k.Decrypt(append(bytes.Clone(good[:PublicLen]), negated...)); err != nil || !bytes.Equal(x.Reveal(), double[:CoordinateLen]) {
		t.Errorf("M is a doubled point: %v", err)
	}
	if _, err := (PrivateKey{}).Decrypt(good); err == nil {
		t.Error("decrypted without a key")
	}
}

func TestBadX(t *testing.T) {
	t.Parallel()
	public := fresh(t).Public()
	for name, x := range map[string][]byte{"p": plus(t, fieldPrime, 0), "more than p": bytes.Repeat([]byte{0xff}, CoordinateLen)} {
		if _, err := public.EncryptX(secret.New(x)); !errors.Is(err, ErrNoPoint) {
			t.Errorf("x is %s: %v", name, err)
		}
	}
	for _, n := range []int{0, CoordinateLen - 1, CoordinateLen + 1} {
		if _, err := public.EncryptX(secret.New(make([]byte, n))); err == nil || errors.Is(err, ErrNoPoint) {
			t.Errorf("x of %d bytes: %v", n, err)
		}
	}
	if _, _, err := public.EncryptKey(PrivateKey{}); err == nil {
		t.Error("the point of no key: encrypted")
	}
	// x = 0 is the coordinate of a point, and must not be taken for the identity.
	if _, err := public.EncryptX(secret.New(make([]byte, CoordinateLen))); err != nil {
		t.Errorf("x is 0: %v", err)
	}
}

func FuzzPoint(f *testing.F) {
	for _, bad := range badPoints(f) {
		f.Add(bad)
	}
	good := fresh(f).Public()
	f.Add(good[:])
	f.Add(good[:PublicLen-1])
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePublicKey(b)
		reference, wrong := ecdh.P256().NewPublicKey(append([]byte{tagUncompressed}, b...))
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%v, the standard library says %v", err, wrong)
		}
		if err == nil && !bytes.Equal(p[:], reference.Bytes()[1:]) {
			t.Errorf("another point")
		}
		_ = fmt.Sprint(p)
		_ = p.Verify(b, b)
		if p.Verify(nil, make([]byte, SignatureLen)) {
			t.Error("a signature of zeros verifies")
		}
	})
}

func FuzzDecrypt(f *testing.F) {
	k := key(f, "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748")
	good, _, err := k.Public().EncryptKey(fresh(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:CiphertextLen-1])
	f.Add(append(bytes.Clone(good[PublicLen:]), good[:PublicLen]...))
	f.Add(append(bytes.Clone(good[:PublicLen]), good[:PublicLen]...))
	for _, bad := range badPoints(f) {
		f.Add(append(bytes.Clone(good[:PublicLen]), bad...))
		f.Add(append(bytes.Clone(bad), good[PublicLen:]...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := k.Decrypt(b)
		if (err == nil) != (x.Len() == CoordinateLen) || err == nil && len(b) != CiphertextLen {
			t.Fatalf("%d bytes from %d, %v", x.Len(), len(b), err)
		}
		if err != nil {
			return
		}
		// What comes out is the coordinate of a point: it can go in again.
		again, err := k.Public().EncryptX(x)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := k.Decrypt(again); err != nil || !back.Equal(x) {
			t.Errorf("round trip: %v", err)
		}
	})
}
