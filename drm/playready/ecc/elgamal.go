package ecc

import (
	"errors"
	"fmt"

	"filippo.io/nistec"

	"keyflow/drm/secret"
)

// CiphertextLen is the length of an encrypted point in bytes: C1.x || C1.y || C2.x || C2.y.
const CiphertextLen = 4 * CoordinateLen

// ErrNoPoint says that no point of the curve has the X coordinate. Half of all values have none.
var ErrNoPoint = errors.New("no point of P-256 has this x")

var errIdentity = errors.New("the point is the identity")

// point returns the key as a point; one that is not on the curve is an error.
func (p PublicKey) point() (*nistec.P256Point, error) { return pointOf(p[:]) }

func pointOf(raw []byte) (*nistec.P256Point, error) {
	p, err := nistec.NewP256Point().SetBytes(append([]byte{4}, raw...))
	if err != nil {
		return nil, errors.New("the point is not on P-256")
	}
	return p, nil
}

// raw returns X || Y of a point that is not the identity.
func raw(p *nistec.P256Point) ([]byte, error) {
	b := p.Bytes()
	if len(b) != 1+PublicLen {
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
	m, err := nistec.NewP256Point().SetBytes(append([]byte{2}, x.Reveal()...)) // either y will do
	if err != nil {
		return nil, ErrNoPoint
	}
	ephemeral, err := GenerateKey()
	if err != nil {
		return nil, err
	}
	return p.encrypt(m, ephemeral)
}

// EncryptKey encrypts the public point of a key pair, a fresh one for every message, and returns the point's X coordinate,
// the secret that both sides share then.
func (p PublicKey) EncryptKey(m PrivateKey) (ciphertext []byte, x secret.Bytes, err error) {
	ephemeral, err := GenerateKey()
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	return p.encryptKey(m, ephemeral)
}

func (p PublicKey) encryptKey(m, ephemeral PrivateKey) ([]byte, secret.Bytes, error) {
	point, err := m.public.point()
	if err != nil {
		return nil, secret.Bytes{}, err
	}
	ciphertext, err := p.encrypt(point, ephemeral)
	return ciphertext, secret.New(m.public[:CoordinateLen]), err
}

// encrypt returns C1 = k·G and C2 = M + k·P (sheet playready.md §7.3).
func (p PublicKey) encrypt(m *nistec.P256Point, ephemeral PrivateKey) ([]byte, error) {
	to, err := p.point()
	if err != nil {
		return nil, fmt.Errorf("encrypt point: %w", err)
	}
	shared, err := nistec.NewP256Point().ScalarMult(to, ephemeral.scalar.Reveal())
	if err != nil {
		return nil, fmt.Errorf("encrypt point: %w", err)
	}
	c2, err := raw(nistec.NewP256Point().Add(m, shared))
	if err != nil {
		return nil, fmt.Errorf("encrypt point: %w", err)
	}
	return append(append([]byte(nil), ephemeral.public[:]...), c2...), nil
}

// Decrypt returns the X coordinate of the point that was encrypted for the key. Points that are not on the curve, coordinates
// that are too large and the identity are errors.
func (k PrivateKey) Decrypt(ciphertext []byte) (secret.Bytes, error) {
	x, err := k.decrypt(ciphertext)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decrypt point: %w", err)
	}
	return x, nil
}

func (k PrivateKey) decrypt(ciphertext []byte) (secret.Bytes, error) {
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
	shared, err := nistec.NewP256Point().ScalarMult(c1, k.scalar.Reveal())
	if err != nil {
		return secret.Bytes{}, err
	}
	m, err := raw(nistec.NewP256Point().Add(c2, shared.Negate(shared)))
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.New(m[:CoordinateLen]), nil
}
