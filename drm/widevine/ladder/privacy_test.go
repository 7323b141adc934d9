package ladder_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
)

// TestEncryptClientID is vector T4.
func TestEncryptClientID(t *testing.T) {
	t.Parallel()
	id := unhex(t, "08011205544f4b454e1a170a0c636f6d70616e795f6e616d6512074861726e657373")
	key, iv := secret.New(span(0xa0, 16)), span(0xb0, 16)
	encrypted, err := ladder.EncryptClientID(key, iv, id)
	if err != nil || hex.EncodeToString(encrypted) != "7089904d8fbb39d07418e252135466235be6ba2c71b7b8bc0bf770a3bbcbcf199e55f87f68cd26b22deaebfbbb528b38" {
		t.Errorf("encrypted to %x, %v", encrypted, err)
	}
	for name, c := range map[string]struct {
		key secret.Bytes
		iv  []byte
	}{
		"AES-256":        {secret.New(span(0, 32)), iv},
		"no key":         {secret.Bytes{}, iv},
		"IV of 12 bytes": {key, iv[:12]},
		"no IV":          {key, nil},
	} {
		if _, err := ladder.EncryptClientID(c.key, c.iv, id); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for n := range 33 { // padding is always added
		if encrypted, err := ladder.EncryptClientID(key, iv, make([]byte, n)); err != nil || len(encrypted) != n/16*16+16 {
			t.Errorf("%d bytes: %d bytes, %v", n, len(encrypted), err)
		}
	}
}

func TestSignedPKCS1v15(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	msg := []byte("message")
	one, two := sha1.Sum(msg), sha256.Sum256(msg)
	for name, c := range map[string]struct {
		make func() ([]byte, error)
		want bool
	}{
		"SHA-1":   {func() ([]byte, error) { return rsa.SignPKCS1v15(nil, key, crypto.SHA1, one[:]) }, true},
		"SHA-256": {func() ([]byte, error) { return rsa.SignPKCS1v15(nil, key, crypto.SHA256, two[:]) }, true},
		"PSS":     {func() ([]byte, error) { return ladder.Sign(key, msg) }, false},
		"none":    {func() ([]byte, error) { return nil, nil }, false},
	} {
		signature, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		if got := ladder.SignedPKCS1v15(&key.PublicKey, msg, signature); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if c.want && ladder.Verify(&key.PublicKey, msg, signature) == nil {
			t.Errorf("%s: verifies as PSS", name)
		}
	}
}
