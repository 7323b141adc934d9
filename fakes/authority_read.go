package fakes

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// ReadAuthority reads what [Authority.Write] wrote. It checks that every key belongs to its certificate and every chain
// ends at its system's root, and refuses files with secrets that others than their owner can read. Errors name the file; a
// directory without authority.json is [ErrNoAuthority].
func ReadAuthority(dir string) (*Authority, error) {
	a, err := readAuthority(dir)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	return a, nil
}

func readAuthority(dir string) (*Authority, error) {
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	a := new(Authority)
	if a.secret, err = readSecret(filepath.Join(dir, fileSecret)); err != nil {
		return nil, err
	}
	if a.root, a.rootCert, err = readCertified(dir, fileRootKey, fileRootCert, nil); err != nil {
		return nil, err
	}
	if a.model, a.modelCert, err = readCertified(dir, fileModelKey, fileModelCert, a.root.Public()); err != nil {
		return nil, err
	}
	if a.service, err = a.readService(dir); err != nil {
		return nil, err
	}
	for i := range m.Devices {
		device, err := a.readDevice(dir, i)
		if err != nil {
			return nil, err
		}
		a.devices = append(a.devices, device)
	}
	if got := a.Fingerprint(); got != m.Fingerprint {
		return nil, fmt.Errorf("%s: names authority %s, but %s is of authority %s", filepath.Join(dir, fileManifest), m.Fingerprint, fileRootKey, got)
	}
	if a.playReady, err = readPlayReady(filepath.Join(dir, dirPlayReady), m.Devices); err != nil {
		return nil, err
	}
	if got := a.playReady.fingerprint(); got != m.PlayReady {
		return nil, fmt.Errorf("%s: names the PlayReady root %s, but %s is root %s", filepath.Join(dir, fileManifest), m.PlayReady,
			filepath.Join(dirPlayReady, fileRootKey), got)
	}
	return a, nil
}

func readManifest(dir string) (manifest, error) {
	path := filepath.Join(dir, fileManifest)
	b, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, fmt.Errorf("%s: %w: there is no %s; write one with: keyflow fake --export DIR", dir, ErrNoAuthority, fileManifest)
	}
	if err != nil {
		return manifest{}, err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return manifest{}, fmt.Errorf("%s: %w", path, err)
	}
	if m.Version > 0 && m.Version < authorityVersion {
		return manifest{}, fmt.Errorf("%s: version %d, made by an earlier keyflow: export again into another directory with: keyflow fake --export DIR", path, m.Version)
	}
	if m.Version != authorityVersion {
		return manifest{}, fmt.Errorf("%s: version %d, want %d", path, m.Version, authorityVersion)
	}
	if m.Devices < 1 || m.Devices > MaxDevices {
		return manifest{}, fmt.Errorf("%s: %d devices, want 1 to %d", path, m.Devices, MaxDevices)
	}
	return m, nil
}

// readCertified reads a private key and the certificate that belongs to it, signed by root; a nil root is the key itself.
func readCertified(dir, keyName, certName string, root *rsa.PublicKey) (secret.RSAKey, *wire.SignedDrmCertificate, error) {
	none := func(err error) (secret.RSAKey, *wire.SignedDrmCertificate, error) { return secret.RSAKey{}, nil, err }
	key, err := readKey(filepath.Join(dir, keyName))
	if err != nil {
		return none(err)
	}
	path := filepath.Join(dir, certName)
	b, err := readBounded(path)
	if err != nil {
		return none(err)
	}
	cert, err := chain.Parse(b)
	if err != nil {
		return none(fmt.Errorf("%s: %w", path, err))
	}
	if !cert.Key.Equal(key.Public()) {
		return none(fmt.Errorf("%s: the certificate is not of the key in %s", path, keyName))
	}
	if root == nil {
		root = key.Public()
	}
	if ladder.Verify(root, cert.Signed.GetDrmCertificate(), cert.Signed.GetSignature()) != nil {
		return none(fmt.Errorf("%s: %w", path, chain.ErrSignature))
	}
	return key, cert.Signed, nil
}

func (a *Authority) readService(dir string) (service, error) {
	key, cert, err := readCertified(dir, fileSvcKey, fileSvcCert, a.root.Public())
	if err != nil {
		return service{}, err
	}
	svc, err := newService(key, cert)
	if err != nil {
		return service{}, fmt.Errorf("%s: %w", filepath.Join(dir, fileSvcCert), err)
	}
	return svc, nil
}

func (a *Authority) readDevice(dir string, index int) (widevine.Identity, error) {
	key, err := readKey(filepath.Join(dir, deviceFile(index, fileDeviceKey)))
	if err != nil {
		return widevine.Identity{}, err
	}
	path := filepath.Join(dir, deviceFile(index, fileClientID))
	b, err := readBounded(path)
	if err != nil {
		return widevine.Identity{}, err
	}
	identity, err := widevine.NewIdentity(b, key)
	if err != nil {
		return widevine.Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	id := new(wire.ClientIdentification)
	if err := proto.Unmarshal(b, id); err != nil {
		return widevine.Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	// Expiry is for the server to judge, by its own clock.
	if _, err := chain.VerifyDevice(id.GetToken(), a.RootKey(), time.Time{}); err != nil {
		return widevine.Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	return identity, nil
}

func readKey(path string) (secret.RSAKey, error) {
	block, err := readPEM(path, pemPrivateKey)
	if err != nil {
		return secret.RSAKey{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		// The library's error may quote what it read.
		return secret.RSAKey{}, fmt.Errorf("%s: not a PKCS#8 private key", path)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return secret.RSAKey{}, fmt.Errorf("%s: not an RSA key", path)
	}
	return secret.NewRSAKey(key), nil
}

func readSecret(path string) (secret.Bytes, error) {
	b, err := readPEM(path, pemSecret)
	if err != nil {
		return secret.Bytes{}, err
	}
	if len(b) != authoritySecretLen {
		return secret.Bytes{}, fmt.Errorf("%s: %d bytes, want %d", path, len(b), authoritySecretLen)
	}
	return secret.New(b), nil
}

// readPEM reads a file with one PEM block that only its owner can read.
func readPEM(path, kind string) ([]byte, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: want one PEM block %q and nothing else", path, kind)
	}
	return block.Bytes, nil
}

// readPrivate reads a file that only its owner can read.
func readPrivate(path string) ([]byte, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(path); err != nil {
		return nil, err
	}
	return b, nil
}

// checkPrivate refuses a file with a secret that others than its owner can read. Windows has no such mode.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%s: mode %#o lets others read a secret: chmod 600 it", path, mode)
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return b, nil
}
