package ecc

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/nistec"

	"keyflow/drm/secret"
)

// CiphertextLen is the length of an encrypted point in bytes: C1.x || C1.y || C2.x || C2.y.
const CiphertextLen = 2 * PublicLen

// ErrNoPoint says that no point of the curve has the X coordinate. Half of all values have none.
var ErrNoPoint = errors.New("no point of P-256 has this x")

var (
	errIdentity = errors.New("the point is the identity")
	errNoKey    = errors.New("there is no key")
)

// pointOf reads X || Y. Coordinates of p or more and points that are not on the curve are errors.
func pointOf(raw []byte) (*nistec.P256Point, error) {
	p, err := nistec.NewP256Point().SetBytes(append([]byte{tagUncompressed}, raw...)) // the tag makes it refuse other lengths
	if err != nil {
		return nil, errors.New("the point is not on P-256")
	}
	return p, nil
}

// raw returns X || Y of a point that is not the identity.
func raw(p *nistec.P256Point) ([]byte, error) {
	b := p.Bytes()
	if len(b) != 1+PublicLen { // the identity is one byte
		return nil, errIdentity
	}
	return b[1:], nil
}

// EncryptX encrypts the point whose X coordinate is x, 32 bytes, for the owner of the key. The error is [ErrNoPoint] if there
// is none.
func (p PublicKey) EncryptX(x secret.Bytes) ([]byte, error) {
	if x.Len() != CoordinateLen {
		return nil, fmt.Errorf("encrypt point: x has %d bytes, want %d", x.Len(), CoordinateLen)
	}
	compressed := append([]byte{2}, x.Reveal()...) // either Y will do (sheet playready.md §9.4): take the even one
	m, err := nistec.NewP256Point().SetBytes(compressed)
	if err != nil {
		return nil, ErrNoPoint
	}
	return p.encrypt(m)
}

// EncryptKey encrypts the public point of a key pair, a fresh one for every message, and returns the point's X coordinate,
// the secret that both sides share then.
func (p PublicKey) EncryptKey(m PrivateKey) (ciphertext []byte, x secret.Bytes, err error) {
	if m.IsZero() {
		return nil, secret.Bytes{}, fmt.Errorf("encrypt point: %w", errNoKey)
	}
	point, err := pointOf(m.public[:])
	if err != nil {
		return nil, secret.Bytes{}, fmt.Errorf("encrypt point: %w", err)
	}
	ciphertext, err = p.encrypt(point)
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	return ciphertext, secret.New(m.public[:CoordinateLen]), nil
}

// encrypt encrypts a point under a fresh ephemeral key.
func (p PublicKey) encrypt(m *nistec.P256Point) ([]byte, error) {
	ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("encrypt point: ephemeral key: %w", err)
	}
	return p.encryptWith(m, ephemeral)
}

// encryptWith returns C1 = k·G and C2 = M + k·P for the ephemeral key k (sheet playready.md §7.3).
func (p PublicKey) encryptWith(m *nistec.P256Point, ephemeral *ecdh.PrivateKey) ([]byte, error) {
	to, err := pointOf(p[:])
	if err != nil {
		return nil, fmt.Errorf("encrypt point: public key: %w", err)
	}
	shared, err := nistec.NewP256Point().ScalarMult(to, ephemeral.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encrypt point: %w", err)
	}
	c2, err := raw(shared.Add(m, shared))
	if err != nil {
		return nil, fmt.Errorf("encrypt point: second half: %w", err)
	}
	ciphertext := append(make([]byte, 0, CiphertextLen), ephemeral.PublicKey().Bytes()[1:]...)
	return append(ciphertext, c2...), nil
}

// Decrypt returns the X coordinate, 32 bytes, of the point that was encrypted for the key. A ciphertext that is not 128 bytes,
// points that are not on the curve, coordinates of p or more, and the identity as the result are errors. The errors tell more
// than a server may tell its clients (PR-SEC-13).
func (k PrivateKey) Decrypt(ciphertext []byte) (secret.Bytes, error) {
	x, err := k.decrypt(ciphertext)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decrypt point: %w", err)
	}
	return x, nil
}

// decrypt returns the X coordinate of M = C2 - s·C1 (sheet playready.md §7.3).
func (k PrivateKey) decrypt(ciphertext []byte) (secret.Bytes, error) {
	if k.IsZero() {
		return secret.Bytes{}, errNoKey
	}
	if len(ciphertext) != CiphertextLen {
		return secret.Bytes{}, fmt.Errorf("ciphertext has %d bytes, want %d", len(ciphertext), CiphertextLen)
	}
	c1, err := pointOf(ciphertext[:PublicLen])
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("first half: %w", err)
	}
	c2, err := pointOf(ciphertext[PublicLen:])
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("second half: %w", err)
	}
	shared, err := nistec.NewP256Point().ScalarMult(c1, k.held.scalar.Reveal())
	if err != nil {
		return secret.Bytes{}, err
	}
	m, err := raw(shared.Add(c2, shared.Negate(shared)))
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.New(m[:CoordinateLen]), nil
}
