// Package ecc holds PlayReady's elliptic curve cryptography: P-256 keys as raw points, ECDSA signatures as r || s, and
// ElGamal encryption of points (sheet playready.md §7.3, §7.5, §9.4). All integers are big-endian and padded to 32 bytes.
//
// What touches a private scalar or an encrypted point runs in constant time, as far as crypto/ecdsa, crypto/ecdh and nistec
// promise it; what handles public keys and signatures need not and does not.
package ecc

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"

	"keyflow/drm/secret"
)

// Lengths in bytes.
const (
	CoordinateLen = 32
	PublicLen     = 2 * CoordinateLen // X || Y, without a tag
	SignatureLen  = 2 * CoordinateLen // r || s
)

// tagUncompressed stands before X || Y in the encoding of SEC 1, which the libraries speak.
const tagUncompressed = 4

// PublicKey is a point of P-256, X || Y. A value that is not the result of a function of this package may hold anything: no
// signature verifies under one that is no point, and nothing can be encrypted for it.
type PublicKey [PublicLen]byte

// ParsePublicKey reads a raw point of 64 bytes. Coordinates of p or more and points that are not on the curve are errors; the
// identity has no such form.
func ParsePublicKey(raw []byte) (PublicKey, error) {
	if len(raw) != PublicLen {
		return PublicKey{}, fmt.Errorf("public key has %d bytes, want %d", len(raw), PublicLen)
	}
	if _, err := pointOf(raw); err != nil {
		return PublicKey{}, err
	}
	return PublicKey(raw), nil
}

// String returns the first 8 bytes in hexadecimal.
func (p PublicKey) String() string { return hex.EncodeToString(p[:8]) + "…" }

// Verify reports whether the signature, r || s in 64 bytes, is the key's ECDSA signature over the SHA-256 of the message. It is
// false for any other form or length, for r or s that is zero or not below the group's order, and for a key that is no point.
func (p PublicKey) Verify(message, signature []byte) bool {
	if len(signature) != SignatureLen {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p.tagged())
	if err != nil {
		return false
	}
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:CoordinateLen]), new(big.Int).SetBytes(signature[CoordinateLen:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// tagged returns the point as SEC 1 writes it.
func (p PublicKey) tagged() []byte {
	return append([]byte{tagUncompressed}, p[:]...)
}

// PrivateKey is a scalar and its point. It prints as [secret.Placeholder], also as a field of something else. The zero value
// holds no key. It is immutable and safe for concurrent use; copies share what they hold.
type PrivateKey struct {
	_      [0]func() // not comparable: == would compare the pointers; compare the public keys
	public PublicKey
	held   *held
}

// held is what a private key keeps to itself: behind functions, because reflection follows every other kind of value.
type held struct {
	scalar secret.Bytes
	signer func() (*ecdsa.PrivateKey, error) // made once, at the first signature: it costs as much as the signature
}

// GenerateKey returns a fresh key.
func GenerateKey() (PrivateKey, error) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate P-256 key: %w", err)
	}
	return hold(k), nil
}

// NewPrivateKey returns the key of a scalar of 32 bytes between 1 and the group's order, exclusive. The error does not tell
// what the scalar is.
func NewPrivateKey(scalar []byte) (PrivateKey, error) {
	k, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return PrivateKey{}, errors.New("private key: want a scalar of 32 bytes, above 0 and below the order of P-256")
	}
	return hold(k), nil
}

func hold(k *ecdh.PrivateKey) PrivateKey {
	scalar := secret.New(k.Bytes())
	signer := sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
		return ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar.Reveal())
	})
	return PrivateKey{public: PublicKey(k.PublicKey().Bytes()[1:]), held: &held{scalar: scalar, signer: signer}}
}

// Public returns the key's point, zeros if there is no key.
func (k PrivateKey) Public() PublicKey { return k.public }

// Scalar returns the secret, 32 bytes, for files and for the vault; it is empty if there is no key.
func (k PrivateKey) Scalar() secret.Bytes {
	if k.held == nil {
		return secret.Bytes{}
	}
	return k.held.scalar
}

// IsZero reports whether there is no key.
func (k PrivateKey) IsZero() bool { return k.held == nil }

// Sign returns the ECDSA signature r || s, 64 bytes, over the SHA-256 of the message. Signatures are randomised.
func (k PrivateKey) Sign(message []byte) ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("sign: there is no key")
	}
	signer, err := k.held.signer()
	if err != nil {
		return nil, errors.New("sign: the key is not of P-256") // the library's error might quote the key
	}
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, signer, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	signature := make([]byte, SignatureLen)
	r.FillBytes(signature[:CoordinateLen])
	s.FillBytes(signature[CoordinateLen:])
	return signature, nil
}

// String returns [secret.Placeholder].
func (PrivateKey) String() string { return secret.Placeholder }

// GoString returns [secret.Placeholder].
func (PrivateKey) GoString() string { return secret.Placeholder }

// Format writes [secret.Placeholder] whatever the verb.
func (PrivateKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Placeholder)) }

// MarshalText returns [secret.Placeholder]; encoding/json and encoding/xml use it.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(secret.Placeholder), nil }

// LogValue returns [secret.Placeholder].
func (PrivateKey) LogValue() slog.Value { return slog.StringValue(secret.Placeholder) }
