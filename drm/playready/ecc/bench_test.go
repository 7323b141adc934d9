package ecc_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

// benchKey returns a key and has allocations reported.
func benchKey(b *testing.B) ecc.PrivateKey {
	b.Helper()
	k, err := ecc.NewPrivateKey(bytes.Repeat([]byte{0x5a}, ecc.CoordinateLen))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return k
}

// message has the length of the SignedInfo of a license challenge.
var message = bytes.Repeat([]byte("m"), 499)

func BenchmarkGenerateKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecc.GenerateKey(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	k := benchKey(b)
	for b.Loop() {
		if _, err := k.Sign(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k := benchKey(b)
	signature, err := k.Sign(message)
	if err != nil {
		b.Fatal(err)
	}
	public := k.Public()
	for b.Loop() {
		if !public.Verify(message, signature) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkEncryptX(b *testing.B) {
	public, x := benchKey(b).Public(), pointX(b)
	for b.Loop() {
		if _, err := public.EncryptX(x); err != nil {
			b.Fatal(err)
		}
	}
}

// pointX returns the X coordinate of a point.
func pointX(b *testing.B) secret.Bytes {
	b.Helper()
	k := benchKey(b)
	for i := range byte(255) {
		digest := sha256.Sum256([]byte{i})
		x := secret.New(digest[:])
		if _, err := k.Public().EncryptX(x); !errors.Is(err, ecc.ErrNoPoint) {
			return x
		}
	}
	b.Fatal("no point in 255 draws")
	return secret.Bytes{}
}

func BenchmarkEncryptKey(b *testing.B) {
	k := benchKey(b)
	public := k.Public()
	for b.Loop() {
		if _, _, err := public.EncryptKey(k); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	k := benchKey(b)
	ciphertext, _, err := k.Public().EncryptKey(k)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Decrypt(ciphertext); err != nil {
			b.Fatal(err)
		}
	}
}
