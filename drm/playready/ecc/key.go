// Package ecc holds PlayReady's elliptic curve cryptography: P-256 keys as raw points, ECDSA signatures as r||s, and
// ElGamal encryption of points (sheet playready.md §7.3, §7.5, §9.4). All integers are big-endian and padded to 32 bytes.
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
	"math/big"

	"keyflow/drm/secret"
)

// Lengths in bytes.
const (
	CoordinateLen = 32
	PublicLen     = 2 * CoordinateLen // X || Y, without a tag
	SignatureLen  = 2 * CoordinateLen // r || s
)

// PublicKey is a point of P-256, X || Y.
type PublicKey [PublicLen]byte

// ParsePublicKey reads a raw point, which must be on the curve.
func ParsePublicKey(raw []byte) (PublicKey, error) {
	if len(raw) != PublicLen {
		return PublicKey{}, fmt.Errorf("public key has %d bytes, want %d", len(raw), PublicLen)
	}
	p := PublicKey(raw)
	_, err := p.point()
	return p, err
}

// String returns the first bytes in hexadecimal.
func (p PublicKey) String() string { return hex.EncodeToString(p[:8]) + "…" }

// Verify reports whether the signature, r || s, is the key's ECDSA signature over the SHA-256 of the message.
func (p PublicKey) Verify(message, signature []byte) bool {
	if len(signature) != SignatureLen {
		return false
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, p[:]...))
	if err != nil {
		return false
	}
	digest := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:CoordinateLen]), new(big.Int).SetBytes(signature[CoordinateLen:])
	return ecdsa.Verify(key, digest[:], r, s)
}

// PrivateKey is a scalar and its point. It prints as a placeholder.
type PrivateKey struct {
	scalar secret.Bytes
	public PublicKey
}

// GenerateKey returns a fresh key.
func GenerateKey() (PrivateKey, error) {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate P-256 key: %w", err)
	}
	return NewPrivateKey(k.Bytes())
}

// NewPrivateKey returns the key of a scalar of 32 bytes between 1 and the group's order, exclusive.
func NewPrivateKey(scalar []byte) (PrivateKey, error) {
	k, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return PrivateKey{}, errors.New("private key: want a scalar of 32 bytes below the order of P-256")
	}
	return PrivateKey{scalar: secret.New(scalar), public: PublicKey(k.PublicKey().Bytes()[1:])}, nil
}

// Public returns the key's point.
func (k PrivateKey) Public() PublicKey { return k.public }

// Scalar returns the secret, for files and for the vault.
func (k PrivateKey) Scalar() secret.Bytes { return k.scalar }

// IsZero reports whether there is no key.
func (k PrivateKey) IsZero() bool { return k.scalar.IsZero() }

// Sign returns the ECDSA signature r || s over the SHA-256 of the message.
func (k PrivateKey) Sign(message []byte) ([]byte, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.scalar.Reveal())
	if err != nil {
		return nil, errors.New("sign: the key is not of P-256")
	}
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	signature := make([]byte, SignatureLen)
	r.FillBytes(signature[:CoordinateLen])
	s.FillBytes(signature[CoordinateLen:])
	return signature, nil
}
