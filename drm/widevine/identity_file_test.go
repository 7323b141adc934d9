package widevine

import (
	"bytes"
	"crypto/ecdsa"
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

	"keyflow/drm/secret"
)

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadIdentity(t *testing.T) {
	t.Parallel()
	key := testKey(t).Reveal()
	id := clientID(t, deviceToken(t, nil))
	one := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	for name, text := range map[string][]byte{
		"PKCS#1":              one,
		"PKCS#8":              pemOf("PRIVATE KEY", pkcs8(t, key)),
		"after a certificate": append(pemOf("CERTIFICATE", []byte("x")), one...),
		"after a text":        append([]byte("issued for tests\n"), one...),
	} {
		identity, err := LoadIdentity(writeFile(t, "client_id.bin", id), writeFile(t, "key.pem", text))
		if err != nil || !bytes.Equal(identity.ClientID(), id) || !identity.Key().Reveal().Equal(key) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := request(t, openSession(t, NewPlatform(identity, testClock())))
		if !shapeOf(t, m.Body).signed {
			t.Errorf("%s: the request is not signed by the device", name)
		}
	}
}

// TestLoadIdentityRefuses: every error names the file that it is about and tells nothing that is in it.
func TestLoadIdentityRefuses(t *testing.T) {
	t.Parallel()
	key := testKey(t).Reveal()
	id := clientID(t, deviceToken(t, nil))
	pkcs1 := x509.MarshalPKCS1PrivateKey(key)
	right := pemOf("RSA PRIVATE KEY", pkcs1)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	locked := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: pkcs1})
	wvd := append([]byte("WVD\x02"), pkcs1...)
	long := make([]byte, maxIdentityFile+1)
	vault := secret.NewVault()
	for _, part := range testKey(t).Parts() {
		vault.Add("device-key", part)
	}
	for _, c := range []struct {
		name      string
		idName    string
		id, key   []byte
		wantID    bool // the error names the client id file, else the key file
		want      string
		container bool
		keyName   string
	}{
		{name: "key is text", id: id, key: []byte("not a key"), want: "no private key in PEM"},
		{name: "key is DER", id: id, key: pkcs1, want: "no private key in PEM"},
		{name: "key is public", id: id, key: pemOf("PUBLIC KEY", pkcs1), want: "no private key in PEM"},
		{name: "key is encrypted, PKCS#8", id: id, key: pemOf("ENCRYPTED PRIVATE KEY", pkcs1), want: "encrypted"},
		{name: "key is encrypted, PKCS#1", id: id, key: locked, want: "encrypted"},
		{name: "key is cut", id: id, key: pemOf("RSA PRIVATE KEY", pkcs1[:100]), want: "no RSA private key in PKCS#1"},
		{name: "key is mislabelled", id: id, key: pemOf("PRIVATE KEY", pkcs1), want: "no RSA private key in PKCS#8"},
		{name: "key is on a curve", id: id, key: pemOf("PRIVATE KEY", pkcs8(t, curve)), want: "no RSA private key in PKCS#8"},
		{name: "key is another's", id: id, key: pemOf("PRIVATE KEY", pkcs8(t, serviceKey(t).Reveal())), want: "does not belong"},
		{name: "key is empty", id: id, want: "empty"},
		{name: "key is long", id: id, key: long, want: "more than 1048576 bytes"},
		{name: "key is a container", id: id, key: wvd, want: ".wvd", container: true},
		{name: "key is a container by name", id: id, key: right, keyName: "device.WVD", want: ".wvd", container: true},
		{name: "id is a container", id: wvd, key: right, wantID: true, want: ".wvd", container: true},
		{name: "id is a container by name", id: id, idName: "device.wvd", key: right, wantID: true, want: ".wvd", container: true},
		{name: "id is PEM", id: right, key: right, wantID: true, want: "PEM file"},
		{name: "id is text", id: []byte("<html>"), key: right, wantID: true, want: "parse client identification"},
		{name: "id is empty", key: right, wantID: true, want: "empty"},
		{name: "id is long", id: long, key: right, wantID: true, want: "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			idFile := writeFile(t, orElse(c.idName, "client_id.bin"), c.id)
			keyFile := writeFile(t, orElse(c.keyName, "key.pem"), c.key)
			_, err := LoadIdentity(idFile, keyFile)
			if err == nil {
				t.Fatal("accepted")
			}
			about := keyFile
			if c.wantID {
				about = idFile
			}
			if !strings.Contains(err.Error(), about) || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrContainer) != c.container {
				t.Errorf("error %q, want %q about %s", err, c.want, about)
			}
			if strings.Contains(err.Error(), "html") || vault.Names([]byte(err.Error())) != nil {
				t.Errorf("the error tells what is in the file: %v", err)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := LoadIdentity(missing, missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing client id: %v", err)
	}
	if _, err := LoadIdentity(writeFile(t, "id", id), missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing key: %v", err)
	}
	if _, err := LoadIdentity(t.TempDir(), missing); err == nil {
		t.Error("a directory was read")
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
