package playready

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

// The files of an identity, see [LoadIdentity].
const (
	FileChain         = "certificate_chain.bin"
	FileSigningKey    = "signing_key.pem"
	FileEncryptionKey = "encryption_key.pem"
)

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 64 << 10

// ErrContainer is wrapped by the refusal of a container of a dumped device.
var ErrContainer = errors.New("a device container (.prd) is not read: give the certificate chain and the keys that were issued to you")

// LoadIdentity reads the identity that was issued to the owner of a license service from a folder: certificate_chain.bin is the
// binary certificate chain (sheet playready.md §10), signing_key.pem and encryption_key.pem are the private P-256 keys of its
// leaf, in PEM (PKCS#8 or SEC 1, not encrypted) or as the 32 bytes of the scalar. Errors name the file and tell nothing of
// what is in it; those about device containers wrap [ErrContainer].
func LoadIdentity(dir string) (Identity, error) {
	chain, err := readIdentityFile(filepath.Join(dir, FileChain), bcert.MaxChainLen)
	if err != nil {
		return Identity{}, fmt.Errorf("certificate chain: %w", err)
	}
	sign, err := loadKey(filepath.Join(dir, FileSigningKey))
	if err != nil {
		return Identity{}, fmt.Errorf("signing key: %w", err)
	}
	encrypt, err := loadKey(filepath.Join(dir, FileEncryptionKey))
	if err != nil {
		return Identity{}, fmt.Errorf("encryption key: %w", err)
	}
	identity, err := NewIdentity(chain, sign, encrypt)
	if err != nil {
		return Identity{}, fmt.Errorf("identity in %s: %w", dir, err)
	}
	return identity, nil
}

// HasIdentity reports whether the folder has a file of a PlayReady identity, or one that cannot be looked at: [LoadIdentity] says why.
func HasIdentity(dir string) bool {
	for _, name := range []string{FileChain, FileSigningKey, FileEncryptionKey} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}

func readIdentityFile(name string, most int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0:
		return nil, fmt.Errorf("%s: the file is empty", name)
	case len(b) > most:
		return nil, fmt.Errorf("%s: more than %d bytes", name, most)
	case bytes.HasPrefix(b, []byte("PRD")):
		return nil, fmt.Errorf("%s: %w", name, ErrContainer)
	}
	return b, nil
}

func loadKey(name string) (ecc.PrivateKey, error) {
	b, err := readIdentityFile(name, maxKeyFile)
	if err != nil {
		return ecc.PrivateKey{}, err
	}
	key, err := ParseKey(b)
	if err != nil {
		return ecc.PrivateKey{}, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// ParseKey reads a private P-256 key: 32 bytes are the scalar, anything else is PEM of which the first private key counts,
// PKCS#8 or SEC 1. Errors of the parsers are left out: they may quote what they read.
func ParseKey(b []byte) (ecc.PrivateKey, error) {
	if len(b) == ecc.CoordinateLen {
		return ecc.NewPrivateKey(b)
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return ecc.PrivateKey{}, errors.New("the key is encrypted; decrypt it first")
		case block.Type == "EC PRIVATE KEY":
			key, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				return ecc.PrivateKey{}, errors.New("no EC private key in SEC 1")
			}
			return fromECDSA(key)
		case block.Type == "PRIVATE KEY":
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return ecc.PrivateKey{}, errors.New("no private key in PKCS#8")
			}
			key, ok := parsed.(*ecdsa.PrivateKey) // *ecdh.PrivateKey is X25519, whose keys have 32 bytes too
			if !ok {
				return ecc.PrivateKey{}, errNotP256
			}
			return fromECDSA(key)
		}
	}
	return ecc.PrivateKey{}, errors.New("neither a private key in PEM nor the 32 bytes of a scalar")
}

var errNotP256 = errors.New("the key is not of P-256")

func fromECDSA(key *ecdsa.PrivateKey) (ecc.PrivateKey, error) {
	k, err := key.ECDH()
	if err != nil || k.Curve() != ecdh.P256() {
		return ecc.PrivateKey{}, errNotP256
	}
	return ecc.NewPrivateKey(k.Bytes())
}

// MarshalKey returns a private key in PEM, PKCS#8.
func MarshalKey(k ecc.PrivateKey) ([]byte, error) {
	key, err := ecdh.P256().NewPrivateKey(k.Scalar().Reveal())
	if err != nil {
		return nil, errors.New("marshal private key: it is not of P-256")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("marshal private key: it has no PKCS#8 form")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
