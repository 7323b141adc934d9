package widevine

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"keyflow/drm/secret"
)

// maxIdentityFile bounds each file of an identity, in bytes.
const maxIdentityFile = 1 << 20

// ErrContainer is wrapped by the refusal of a container of a dumped device.
var ErrContainer = errors.New("a device container (.wvd) is not read: give the client id blob and the PEM key that were issued to you")

// LoadIdentity reads the identity that was issued to the owner of a license service: clientIDFile holds a serialized
// ClientIdentification (sheet widevine.md §4.6), keyFile the private RSA key of its device certificate in PEM, PKCS#1 or
// PKCS#8, not encrypted. A file has at most 1 MiB. Errors name the file and tell nothing of what is in it; those about
// device containers wrap [ErrContainer].
func LoadIdentity(clientIDFile, keyFile string) (Identity, error) {
	clientID, err := readIdentityFile(clientIDFile)
	if err != nil {
		return Identity{}, fmt.Errorf("client identification: %w", err)
	}
	if bytes.HasPrefix(clientID, []byte("-----BEGIN ")) {
		return Identity{}, fmt.Errorf("client identification: %s: a PEM file, want the client id blob", clientIDFile)
	}
	text, err := readIdentityFile(keyFile)
	if err != nil {
		return Identity{}, fmt.Errorf("device key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return Identity{}, fmt.Errorf("device key: %s: %w", keyFile, err)
	}
	identity, err := NewIdentity(clientID, key)
	if err != nil {
		return Identity{}, fmt.Errorf("identity of %s and %s: %w", clientIDFile, keyFile, err)
	}
	return identity, nil
}

func readIdentityFile(name string) ([]byte, error) {
	if strings.EqualFold(filepath.Ext(name), ".wvd") {
		return nil, fmt.Errorf("%s: %w", name, ErrContainer)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIdentityFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0:
		return nil, fmt.Errorf("%s: the file is empty", name)
	case len(b) > maxIdentityFile:
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxIdentityFile)
	case bytes.HasPrefix(b, []byte("WVD")):
		return nil, fmt.Errorf("%s: %w", name, ErrContainer)
	}
	return b, nil
}

// parseKey reads the first private key of a PEM text. Errors of the parsers are left out: they may quote what they read.
func parseKey(text []byte) (secret.RSAKey, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return secret.RSAKey{}, errors.New("the key is encrypted; decrypt it first")
		case block.Type == "RSA PRIVATE KEY":
			key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				return secret.RSAKey{}, errors.New("no RSA private key in PKCS#1")
			}
			return secret.NewRSAKey(key), nil
		case block.Type == "PRIVATE KEY":
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			key, ok := parsed.(*rsa.PrivateKey)
			if err != nil || !ok {
				return secret.RSAKey{}, errors.New("no RSA private key in PKCS#8")
			}
			return secret.NewRSAKey(key), nil
		}
	}
	return secret.RSAKey{}, errors.New("no private key in PEM")
}
