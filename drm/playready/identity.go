package playready

import (
	"errors"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

// Identity is what a device shows, signs and decrypts with: its certificate chain and the private keys of its leaf.
type Identity struct {
	chain         *bcert.Chain
	sign, encrypt ecc.PrivateKey
}

// NewIdentity returns the identity of a binary certificate chain (sheet playready.md §10) and of the private keys that its leaf
// names for signing and for encryption; one key may be both. The chain is not verified: that's the server's business.
func NewIdentity(chain []byte, sign, encrypt ecc.PrivateKey) (Identity, error) {
	c, err := bcert.Parse(chain)
	if err != nil {
		return Identity{}, fmt.Errorf("device identity: %w", err)
	}
	signing, signs := c.Leaf().Key(bcert.UsageSign)
	encryption, encrypts := c.Leaf().Key(bcert.UsageEncrypt)
	switch {
	case !signs || !encrypts:
		return Identity{}, errors.New("device identity: the leaf certificate lacks a key for signing or one for encryption")
	case sign.IsZero() || sign.Public() != signing:
		return Identity{}, errors.New("device identity: the signing key does not belong to the leaf certificate")
	case encrypt.IsZero() || encrypt.Public() != encryption:
		return Identity{}, errors.New("device identity: the encryption key does not belong to the leaf certificate")
	}
	return Identity{chain: c, sign: sign, encrypt: encrypt}, nil
}

// Chain returns the device's certificate chain. The caller must not change it.
func (i Identity) Chain() *bcert.Chain { return i.chain }

// SigningKey returns the private key that requests are signed with.
func (i Identity) SigningKey() ecc.PrivateKey { return i.sign }

// EncryptionKey returns the private key that licenses are decrypted with.
func (i Identity) EncryptionKey() ecc.PrivateKey { return i.encrypt }

// SecurityLevel returns the level that the leaf certificate states: 150, 2000 or 3000.
func (i Identity) SecurityLevel() int { return int(i.chain.Leaf().SecurityLevel) }

// Device returns the fingerprint of the leaf certificate.
func (i Identity) Device() drm.Fingerprint { return secret.FingerprintOf(i.chain.Leaf().Raw) }
