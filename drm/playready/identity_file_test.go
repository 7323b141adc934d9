package playready

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func sec1(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// ecdsaOf is the key in the form of the standard library.
func ecdsaOf(t testing.TB, k ecc.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.Scalar().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func onCurve(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// identityDir writes the files of an identity; nil is no file.
func identityDir(t *testing.T, chain, sign, encrypt []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"certificate_chain.bin": chain, "signing_key.pem": sign, "encryption_key.pem": encrypt} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadIdentity(t *testing.T) {
	t.Parallel()
	all := everybody(t)
	forms := map[string]func(k ecc.PrivateKey) []byte{
		"PKCS#8":   func(k ecc.PrivateKey) []byte { return pemOf("PRIVATE KEY", pkcs8(t, ecdsaOf(t, k))) },
		"SEC 1":    func(k ecc.PrivateKey) []byte { return pemOf("EC PRIVATE KEY", sec1(t, ecdsaOf(t, k))) },
		"32 bytes": func(k ecc.PrivateKey) []byte { return k.Scalar().Reveal() },
		"after others": func(k ecc.PrivateKey) []byte {
			return append(pemOf("EC PARAMETERS", []byte{6, 8}), pemOf("EC PRIVATE KEY", sec1(t, ecdsaOf(t, k)))...)
		},
		"after a text": func(k ecc.PrivateKey) []byte {
			return append([]byte("issued for tests\n"), pemOf("PRIVATE KEY", pkcs8(t, ecdsaOf(t, k)))...)
		},
		"as written": func(k ecc.PrivateKey) []byte {
			b, err := MarshalKey(k)
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
	}
	for name, form := range forms {
		dir := identityDir(t, all.deviceChain, form(all.sign), form(all.encrypt))
		identity, err := LoadIdentity(dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !HasIdentity(dir) || identity.Device() != testIdentity(t).Device() || identity.SecurityLevel() != 2000 ||
			!identity.SigningKey().Scalar().Equal(all.sign.Scalar()) || !identity.EncryptionKey().Scalar().Equal(all.encrypt.Scalar()) {
			t.Errorf("%s: another identity", name)
		}
		p := NewPlatform(identity, testClock()).WithRoot(all.root.Public()).WithServerKey(all.server.Public())
		s := openSession(t, p)
		m := request(t, s)
		if o := process(t, s, m.ID, answerTo(t, m.Body, nil)); len(o.Findings) > 0 || shapeOf(t, m.Body).signer != "device" {
			t.Errorf("%s: %v", name, o.Findings)
		}
	}
}

// TestLoadIdentityRefuses: every error names the file that it is about, or the folder, and tells nothing that is in it.
func TestLoadIdentityRefuses(t *testing.T) {
	t.Parallel()
	all := everybody(t)
	chain := all.deviceChain
	sign, encrypt := pemOf("PRIVATE KEY", pkcs8(t, ecdsaOf(t, all.sign))), pemOf("PRIVATE KEY", pkcs8(t, ecdsaOf(t, all.encrypt)))
	der := sec1(t, ecdsaOf(t, all.sign))
	lock := map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}
	locked := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: lock, Bytes: der})
	long := append(bytes.Clone(all.sign.Scalar().Reveal()), '\n')
	prd := append([]byte("PRD\x03"), der...)
	x25519, err := ecdh.X25519().NewPrivateKey(all.sign.Scalar().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	const byFolder = "" // the error is about the folder
	for _, c := range []struct {
		name                 string
		chain, sign, encrypt []byte
		file, want           string
	}{
		{"no chain", nil, sign, encrypt, FileChain, "no such file"},
		{"no signing key", chain, nil, encrypt, FileSigningKey, "no such file"},
		{"no encryption key", chain, sign, nil, FileEncryptionKey, "no such file"},
		{"chain is empty", []byte{}, sign, encrypt, FileChain, "empty"},
		{"chain is too large", make([]byte, bcert.MaxChainLen+1), sign, encrypt, FileChain, "more than 65536 bytes"},
		{"chain is a container", prd, sign, encrypt, FileChain, ".prd"},
		{"chain is text", []byte("<html>"), sign, encrypt, byFolder, "certificate chain"},
		{"chain is cut", chain[:len(chain)-1], sign, encrypt, byFolder, "certificate chain"},
		{"chain is a server's", all.signerChain, sign, encrypt, byFolder, "lacks a key"},
		{"keys swapped", chain, encrypt, sign, byFolder, "signing key does not belong"},
		{"one key twice", chain, sign, sign, byFolder, "encryption key does not belong"},
		{"key is empty", chain, []byte{}, encrypt, FileSigningKey, "empty"},
		{"key is too large", chain, make([]byte, maxKeyFile+1), encrypt, FileSigningKey, "more than 65536 bytes"},
		{"key is a container", chain, sign, prd, FileEncryptionKey, ".prd"},
		{"key is text", chain, []byte("not a key"), encrypt, FileSigningKey, "neither a private key in PEM"},
		{"key is DER", chain, der, encrypt, FileSigningKey, "neither a private key in PEM"},
		{"key is 31 bytes", chain, all.sign.Scalar().Reveal()[1:], encrypt, FileSigningKey, "neither a private key in PEM"},
		{"key is 32 bytes with a line feed", chain, long, encrypt, FileSigningKey, "neither a private key in PEM"},
		{"scalar is zero", chain, make([]byte, 32), encrypt, FileSigningKey, "below the order"},
		{"scalar is too large", chain, bytes.Repeat([]byte{0xff}, 32), encrypt, FileSigningKey, "below the order"},
		{"key is public", chain, pemOf("PUBLIC KEY", der), encrypt, FileSigningKey, "neither a private key in PEM"},
		{"key is encrypted, PKCS#8", chain, pemOf("ENCRYPTED PRIVATE KEY", der), encrypt, FileSigningKey, "encrypted"},
		{"key is encrypted, SEC 1", chain, sign, locked, FileEncryptionKey, "encrypted"},
		{"key is cut", chain, pemOf("EC PRIVATE KEY", der[:40]), encrypt, FileSigningKey, "no EC private key in SEC 1"},
		{"key is mislabeled", chain, pemOf("PRIVATE KEY", der), encrypt, FileSigningKey, "no private key in PKCS#8"},
		{"P-384, SEC 1", chain, pemOf("EC PRIVATE KEY", sec1(t, onCurve(t, elliptic.P384()))), encrypt, FileSigningKey, "not of P-256"},
		{"P-384, PKCS#8", chain, pemOf("PRIVATE KEY", pkcs8(t, onCurve(t, elliptic.P384()))), encrypt, FileSigningKey, "not of P-256"},
		{"P-224", chain, pemOf("PRIVATE KEY", pkcs8(t, onCurve(t, elliptic.P224()))), encrypt, FileSigningKey, "not of P-256"},
		{"X25519", chain, pemOf("PRIVATE KEY", pkcs8(t, x25519)), encrypt, FileSigningKey, "not of P-256"},
		{"Ed25519", chain, pemOf("PRIVATE KEY", pkcs8(t, ed25519.NewKeyFromSeed(make([]byte, 32)))), encrypt, FileSigningKey, "not of P-256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := identityDir(t, c.chain, c.sign, c.encrypt)
			identity, err := LoadIdentity(dir)
			if err == nil || identity.Chain() != nil {
				t.Fatalf("accepted, %v", err)
			}
			if !strings.Contains(err.Error(), filepath.Join(dir, c.file)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q about %s", err, c.want, c.file)
			}
			if errors.Is(err, ErrContainer) != (c.want == ".prd") || errors.Is(err, fs.ErrNotExist) != (c.want == "no such file") {
				t.Errorf("error wraps what it should not, or not what it should: %v", err)
			}
			vault := secret.NewVault()
			vault.Add("signing-key", all.sign.Scalar())
			vault.Add("encryption-key", all.encrypt.Scalar())
			if strings.Contains(err.Error(), "html") || strings.Contains(err.Error(), "not a key") || vault.Names([]byte(err.Error())) != nil {
				t.Errorf("the error tells what is in the file: %v", err)
			}
			if !HasIdentity(dir) {
				t.Error("no identity in the folder")
			}
		})
	}
}

func TestHasIdentity(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	if HasIdentity(empty) || HasIdentity(filepath.Join(empty, "missing")) {
		t.Error("an identity in an empty folder, or in none")
	}
	if err := os.WriteFile(filepath.Join(empty, "client_id.bin"), []byte("widevine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if HasIdentity(empty) {
		t.Error("an identity of another system")
	}
	if !HasIdentity(identityDir(t, nil, []byte("x"), nil)) {
		t.Error("a signing key alone is the beginning of an identity")
	}
	if _, err := LoadIdentity(filepath.Join(empty, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestMarshalKey(t *testing.T) {
	t.Parallel()
	key := everybody(t).sign
	b, err := MarshalKey(key)
	if err != nil || !bytes.HasPrefix(b, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Fatalf("%.30q, %v", b, err)
	}
	if again, err := ParseKey(b); err != nil || again.Public() != key.Public() {
		t.Errorf("read again: %v", err)
	}
	if b, err := MarshalKey(ecc.PrivateKey{}); err == nil {
		t.Errorf("no key was written as %d bytes", len(b))
	}
}
