package secret

import "crypto/rsa"

// RSAKey is a private RSA key that prints as a placeholder. The zero value holds no key.
type RSAKey struct {
	hidden
	reveal func() *rsa.PrivateKey
}

// NewRSAKey returns a secret that holds key.
func NewRSAKey(key *rsa.PrivateKey) RSAKey {
	return RSAKey{reveal: func() *rsa.PrivateKey { return key }}
}

// Reveal returns the private key itself, nil for the zero value; the caller must neither keep nor print it.
func (k RSAKey) Reveal() *rsa.PrivateKey {
	if k.reveal == nil {
		return nil
	}
	return k.reveal()
}

// Public returns the public key, nil for the zero value.
func (k RSAKey) Public() *rsa.PublicKey {
	if key := k.Reveal(); key != nil {
		return &key.PublicKey
	}
	return nil
}

// Parts returns the numbers of the private key, each of which gives it away, for a [Vault] to search for.
func (k RSAKey) Parts() []Bytes {
	key := k.Reveal()
	if key == nil {
		return nil
	}
	parts := []Bytes{New(key.D.Bytes())}
	for _, p := range key.Primes {
		parts = append(parts, New(p.Bytes()))
	}
	return parts
}
