package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// errKeyForm says that a signing key cannot be read. It holds nothing of it.
var errKeyForm = errors.New("its key has not the form that key_encoding names")

// decodeKey decodes a symmetric key or an initialization vector.
func decodeKey(encoding, text string) ([]byte, error) {
	var b []byte
	var err error
	switch encoding {
	case "utf8":
		b = []byte(text)
	case "hex":
		b, err = hex.DecodeString(text)
	case "b64":
		b, err = base64.StdEncoding.DecodeString(text)
	case "b64url":
		b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	default:
		err = errKeyForm
	}
	if err != nil || len(b) == 0 {
		return nil, errKeyForm
	}
	return b, nil
}

// privateKey reads a private key: PEM of PKCS #1, PKCS #8 or SEC 1, or a JWK (RFC 7517).
func privateKey(encoding, text string) (crypto.Signer, error) {
	if encoding == "jwk" {
		var k jose.JSONWebKey
		if k.UnmarshalJSON([]byte(text)) == nil {
			if signer, ok := k.Key.(crypto.Signer); ok {
				return signer, nil
			}
		}
		return nil, errKeyForm
	}
	if key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(text)); err == nil {
		return key, nil
	}
	if key, err := jwt.ParseECPrivateKeyFromPEM([]byte(text)); err == nil {
		return key, nil
	}
	return nil, errKeyForm
}

// otherPrivateKey returns a fresh key of the same kind.
func otherPrivateKey(k crypto.Signer) (crypto.Signer, error) {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return rsa.GenerateKey(rand.Reader, k.N.BitLen())
	case *ecdsa.PrivateKey:
		return ecdsa.GenerateKey(k.Curve, rand.Reader)
	}
	return nil, fmt.Errorf("no other key of type %T can be made", k)
}

// symmetricJWK reads the key of a JWK for HMAC.
func symmetricJWK(text string) ([]byte, error) {
	var k jose.JSONWebKey
	if k.UnmarshalJSON([]byte(text)) == nil {
		if b, ok := k.Key.([]byte); ok && len(b) > 0 {
			return b, nil
		}
	}
	return nil, errKeyForm
}
