package ecc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/onsi/gomega/format"

	"keyflow/drm/secret"
)

// signedInfo is built by sheet playready.md §7.5.
func signedInfo(digest string) string {
	const (
		d = "http://www.w3.org/2000/09/xmldsig#"
		p = "http://schemas.microsoft.com/DRM/2007/03/protocols"
	)
	return `<SignedInfo xmlns="` + d + `"><CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="` + p + `#ecdsa-sha256"></SignatureMethod><Reference URI="#SignedData"><DigestMethod Algorithm="` + p + `#sha256"></DigestMethod>` +
		`<DigestValue>` + digest + `</DigestValue></Reference></SignedInfo>`
}

// TestSignatureVectors are the signatures of sheet playready.md §13.4 (the official sample), §13.11 and §13.12.
func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	unbase64 := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	public := func(raw []byte) PublicKey {
		p, err := ParsePublicKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, v := range map[string]struct {
		by                        PublicKey
		digest, sum, signatureB64 string
	}{
		"§13.4": {public(unbase64("nrZWFO4ExmBomY+Xu5sATbSRi+tjRqMC+bVaKwn5ZAkdoER3nn8eE+yxXA0CkuhhmAmAqYDX7RY2q+MbAvoZuA==")),
			"NnkxTbC9yLGwYWSRfOz3VqKRYd62AGqTnwpSHsCklhI=", "508c6e56c375d5cbd8b47e9c2da9ed496dc971b91fb93ff7b98b4acc5e7686c7",
			"Av2+yCEBdJD9+euMzGzuPb5rYgPlXNszEEr+cF7LwbE/Kln1e8JyhAEdIy14z4U43/oQMvMg40QaOAqv3ElM2g=="},
		"§13.11": {key(t, "557f70e0af51b0c30b3f17f8babe19d935bb362b9d6bff1809a4ca97e026596c").Public(),
			"BNHJ7G4ZXfK3uxrgG8B9cZQzoixBKQvgisslekCIMs0=", "8591e4853fde8a7a9119700ea6cabaa821943c1bba23cdb0be305f66418cfe9f",
			"Fq1Dis8rW9sfwMZESB6tJLRnAUGaKwxowPQKUx1CvDuMjO1Rxhose7wYm0f34vWTVgm/rK9U2GOA8FXl/RMKrw=="},
		"§13.12": {key(t, "ce273d20abd583d518ee74fa015aa34f367aa77369715f8e9c0cc589495f7ed8").Public(),
			"zFEar7m3ZzcQXnIdephgA/Ms6DtH3La3JNcPexB8eYw=", "1f2476720c4b1d5856ac1701d4f07b81d03441f78f0ab4258d86a243544d6f24",
			"QFe6a/ivA/yVSHboHq7F0kGZ/jLTDPYj5zZjOGeoN9MHL+4n6Fg2LeDlbzVzFZVCvgGjJH1BRRyONgF+crSW5A=="},
	} {
		text, signature := signedInfo(v.digest), unbase64(v.signatureB64)
		if sum := sha256.Sum256([]byte(text)); len(text) != 499 || hex.EncodeToString(sum[:]) != v.sum {
			t.Errorf("%s: SignedInfo has %d bytes, SHA-256 %x", name, len(text), sum)
		}
		if !v.by.Verify([]byte(text), signature) {
			t.Errorf("%s: the signature does not verify", name)
		}
		for _, altered := range []string{
			strings.Replace(text, ` xmlns="http://www.w3.org/2000/09/xmldsig#"`, "", 1), strings.Replace(text, "></DigestMethod>", "/>", 1), "",
		} {
			if v.by.Verify([]byte(altered), signature) {
				t.Errorf("%s: verifies over another form, %d bytes", name, len(altered))
			}
		}
		for at := range signature {
			flipped := bytes.Clone(signature)
			flipped[at] ^= 0x10
			if v.by.Verify([]byte(text), flipped) {
				t.Errorf("%s: verifies with byte %d altered", name, at)
			}
		}
	}
}

// TestDegenerateSignatures are those of PR-SEC-05: none verifies, none panics.
func TestDegenerateSignatures(t *testing.T) {
	t.Parallel()
	k, text := fresh(t), []byte("text")
	good, err := k.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.Scalar().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(text)
	der, err := ecdsa.SignASN1(rand.Reader, signer, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	r, s := good[:CoordinateLen], good[CoordinateLen:]
	zero, order := make([]byte, CoordinateLen), unhex(t, groupOrder)
	join := func(r, s []byte) []byte { return append(bytes.Clone(r), s...) }
	for name, bad := range map[string][]byte{
		"none": nil, "zero": make([]byte, SignatureLen), "r is 0": join(zero, s), "s is 0": join(r, zero),
		"r is n": join(order, s), "s is n": join(r, order), "r is n+1": join(plus(t, groupOrder, 1), s), "both are n": join(order, order),
		"all ones": bytes.Repeat([]byte{0xff}, SignatureLen), "r and s change places": join(s, r),
		"short": good[:SignatureLen-1], "long": append(bytes.Clone(good), 0),
		"a zero before s": join(r, append([]byte{0}, s...)), "a zero before r": append([]byte{0}, good...), "DER": der, "DER, cut": der[:min(len(der), SignatureLen)],
	} {
		if k.Public().Verify(text, bad) {
			t.Errorf("%s: verifies", name)
		}
	}
	if !k.Public().Verify(text, good) || fresh(t).Public().Verify(text, good) || k.Public().Verify([]byte("text2"), good) {
		t.Error("the good signature does not verify, or verifies for another key or text")
	}
	if (PublicKey{}).Verify(text, good) {
		t.Error("verifies under no key")
	}
}

// TestSignatureLength signs often enough that r or s with a leading zero occurs.
func TestSignatureLength(t *testing.T) {
	t.Parallel()
	k, short := fresh(t), 0
	for i := range 2000 {
		text := []byte{byte(i), byte(i >> 8)}
		signature, err := k.Sign(text)
		if err != nil || len(signature) != SignatureLen {
			t.Fatalf("%d bytes, %v", len(signature), err)
		}
		if signature[0] != 0 && signature[CoordinateLen] != 0 {
			continue
		}
		if short++; !k.Public().Verify(text, signature) {
			t.Fatalf("%x does not verify", signature)
		}
	}
	if short == 0 {
		t.Error("no signature with a leading zero among 2000")
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for name, scalar := range map[string][]byte{
		"none": nil, "zero": make([]byte, CoordinateLen), "n": plus(t, groupOrder, 0), "n+1": plus(t, groupOrder, 1),
		"all ones": bytes.Repeat([]byte{0xff}, CoordinateLen), "short": make([]byte, CoordinateLen-1), "long": append(make([]byte, CoordinateLen), 1),
	} {
		if k, err := NewPrivateKey(scalar); err == nil || !k.IsZero() {
			t.Errorf("%s: a key", name)
		}
	}
	generator, err := ParsePublicKey(unhex(t, "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"+"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))
	if err != nil {
		t.Fatal(err)
	}
	one, last := key(t, strings.Repeat("0", 63)+"1"), key(t, hex.EncodeToString(plus(t, groupOrder, -1)))
	if one.Public() != generator || !bytes.Equal(last.public[:CoordinateLen], generator[:CoordinateLen]) || last.Public() == generator {
		t.Errorf("the points of 1 and n-1 are %x and %x", one.Public(), last.Public())
	}
	k := fresh(t)
	if again := key(t, hex.EncodeToString(k.Scalar().Reveal())); again.Public() != k.Public() || k.IsZero() {
		t.Error("the scalar of a key gives another key")
	}
	if _, err := (PrivateKey{}).Sign(nil); err == nil || !(PrivateKey{}).Scalar().IsZero() || (PrivateKey{}).Public() != (PublicKey{}) {
		t.Errorf("no key signs: %v", err)
	}
}

// TestConcurrentUse shares a key that was not used before; it has a meaning under the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if signature, err := k.Sign([]byte("text")); err != nil || !k.Public().Verify([]byte("text"), signature) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
}

type keyHolder struct {
	Key    PrivateKey
	Ptr    *PrivateKey
	List   []PrivateKey
	hidden PrivateKey // reflection reaches unexported fields without asking their methods
	ptr    *PrivateKey
}

// TestKeysDoNotPrint prints a key in every way that output is made and looks for it by value.
func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k := key(t, "7ab98ff00e29d7df8c5ac7073353fb39498ff4b3cdd05a75a2a3d708223e9748")
	if _, err := k.Sign(nil); err != nil { // from now on it holds the signer, too
		t.Fatal(err)
	}
	vault := secret.NewVault()
	if !vault.Add("scalar", k.Scalar()) {
		t.Fatal("the vault cannot look for a scalar")
	}
	held := keyHolder{Key: k, Ptr: &k, List: []PrivateKey{k}, hidden: k, ptr: &k}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%08b"} {
		if text := fmt.Sprintf(verb, k); text != secret.Placeholder {
			t.Errorf("%s prints %s", verb, text)
		}
		fmt.Fprintf(&out, verb+"\n", &k)
		fmt.Fprintf(&out, verb+"\n", held)
	}
	out.WriteString(k.String() + k.GoString() + format.Object(k, 1) + format.Object(held, 1))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "key", k, "held", held)
	}
	j, err := json.Marshal(held)
	if err != nil || !strings.Contains(string(j), `"Key":"`+secret.Placeholder+`"`) {
		t.Errorf("JSON %s, %v", j, err)
	}
	x, err := xml.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(append(j, x...))
	if names := vault.Names(out.Bytes()); names != nil {
		t.Errorf("the scalar is in the output:\n%s", out.String())
	}
	number := new(big.Int).SetBytes(k.Scalar().Reveal()).String()
	if strings.Contains(out.String(), number) || strings.Contains(out.String(), "122 185 143") {
		t.Error("the scalar is in the output as a number")
	}
}
