package fakes

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// An authority's directory: what belongs to both systems, and Widevine's files. Private keys are PKCS#8 in PEM, certificates
// and client ids serialized protobuf, the root's public key PKCS#1 DER as device certificates have theirs.
const (
	fileManifest  = "authority.json"
	fileReadme    = "README.txt"
	fileSecret    = "secret.pem"
	fileRootKey   = "root_key.pem"
	fileRootPub   = "root_public_key.der"
	fileRootCert  = "root_certificate.bin"
	fileModelKey  = "model_key.pem"
	fileModelCert = "model_certificate.bin"
	fileSvcKey    = "service_key.pem"
	fileSvcCert   = "service_certificate.bin"
	dirDevices    = "devices" // devices/1, devices/2, …
	fileClientID  = "client_id.bin"
	fileDeviceKey = "private_key.pem"

	authorityVersion = 3        // 1 had no service key, 2 no PlayReady
	maxFile          = 64 << 10 // bytes; the largest file is a client id of some 2 KB
	pemPrivateKey    = "PRIVATE KEY"
	pemSecret        = "KEYFLOW AUTHORITY SECRET"
	pemLineBytes     = 48 // encoding/pem writes 64 characters a line
)

const authorityReadme = `This directory is a keyflow authority: keys and certificates of made-up devices for tests of
license services. It is made by keyflow and trusted by keyflow's fake servers alone. No real
license server accepts its devices, and no real client accepts its roots.

  authority.json           version, fingerprints of both roots, number of devices of each system
  secret.pem               what the fake servers derive content keys from

Widevine (private keys are PKCS#8):

  root_public_key.der      the root's public key, PKCS#1: for a client that verifies chains and
                           service certificates
  root_certificate.bin     SignedDrmCertificate of the root; its private key is root_key.pem
  model_certificate.bin    SignedDrmCertificate of the device model; its private key is model_key.pem
  service_certificate.bin  SignedDrmCertificate of the fake license service: what a client in
                           privacy mode encrypts its identity for
  service_key.pem          its private key
  devices/N/client_id.bin  ClientIdentification of device N, with its certificate chain
  devices/N/private_key.pem  its private key

PlayReady, in the folder playready (all keys are of P-256; private keys are PKCS#8, public keys
64 bytes, X and Y):

  root_public_key.bin      the public key that all chains end at; its private key is root_key.pem
  issuer_chain.bin         the certificate of the issuer of devices and signers, alone in a chain;
                           its private key is issuer_key.pem, and issuer_key.bin as 32 bytes
  server_public_key.bin    what clients of the fake server encrypt challenges for, in place of the
                           public key of real servers; its private key is server_key.pem
  signer_chain.bin         certificate chain of the response signer; its private key is signer_key.pem
  devices/N/certificate_chain.bin  certificate chain of device N, security level 2000
  devices/N/signing_key.pem        its private key that signs requests
  devices/N/encryption_key.pem     its private key that licenses are decrypted with
  revoked_device/certificate_chain.bin, revoked_device/signing_key.pem and
  revoked_device/encryption_key.pem  the same of a device that the fake server refuses as revoked
  revocation_list.bin      the signed list that revokes it; its signer's chain ends at the same root

Anybody who can read the private keys and the secret can act as these devices and as the fake
server: keep the directory to yourself (mode 0700, files 0600).
`

// ErrNoAuthority is wrapped by errors that say that a directory holds no authority.
var ErrNoAuthority = errors.New("no authority")

// ErrOccupied is wrapped by [Authority.Write] when there is something in the directory already.
var ErrOccupied = errors.New("the directory is in use")

type manifest struct {
	Version     int                `json:"keyflow_authority"`
	Fingerprint secret.Fingerprint `json:"fingerprint"`
	PlayReady   secret.Fingerprint `json:"playready_root"`
	Devices     int                `json:"devices"` // of each system
}

// Write writes the authority into a directory, which is made with mode 0700 and must be empty if it exists: nothing is
// ever overwritten ([ErrOccupied]). Files have mode 0600. On an error, what was written is removed again.
func (a *Authority) Write(dir string) error {
	files, err := a.files()
	if err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	if err := claim(dir); err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	if err := writeFiles(dir, files); err != nil {
		return fmt.Errorf("write authority: %w", err)
	}
	return nil
}

// writeFiles writes files into an empty directory. On an error, what was written is removed again.
func writeFiles(dir string, files []file) error {
	for i, f := range files {
		if err := writeNew(filepath.Join(dir, f.name), f.content); err != nil {
			for _, written := range files[:i+1] {
				_ = os.Remove(filepath.Join(dir, written.name))
			}
			for _, folder := range []string{dirDevices, dirPlayReady} { // the directory was empty: all in them is from here
				_ = os.RemoveAll(filepath.Join(dir, folder))
			}
			return err
		}
	}
	return nil
}

// claim makes the directory, or checks that an existing one is empty.
func claim(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, fileManifest)); err == nil {
		return fmt.Errorf("%s holds an authority already: choose another directory, or use that one: %w", dir, ErrOccupied)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty and holds no authority: choose a new or an empty directory: %w", dir, ErrOccupied)
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory needs its x
}

func writeNew(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

type file struct {
	name    string
	content []byte
}

// files returns the directory's files; the manifest, which makes it an authority, is the last.
func (a *Authority) files() ([]file, error) {
	m, err := json.MarshalIndent(manifest{authorityVersion, a.Fingerprint(), a.playReady.fingerprint(), len(a.devices)}, "", "  ")
	if err != nil {
		return nil, err
	}
	files := []file{
		{fileReadme, []byte(authorityReadme)},
		{fileSecret, pem.EncodeToMemory(&pem.Block{Type: pemSecret, Bytes: a.secret.Reveal()})},
		{fileRootPub, x509.MarshalPKCS1PublicKey(a.RootKey())},
	}
	var errs []error
	addKey := func(name string, key secret.RSAKey) {
		der, err := x509.MarshalPKCS8PrivateKey(key.Reveal())
		errs = append(errs, err)
		files = append(files, file{name, pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der})})
	}
	addCert := func(name string, cert *wire.SignedDrmCertificate) {
		b, err := marshal.Marshal(cert)
		errs = append(errs, err)
		files = append(files, file{name, b})
	}
	addKey(fileRootKey, a.root)
	addCert(fileRootCert, a.rootCert)
	addKey(fileModelKey, a.model)
	addCert(fileModelCert, a.modelCert)
	addKey(fileSvcKey, a.service.key)
	addCert(fileSvcCert, a.service.signed)
	for i, d := range a.devices {
		addKey(deviceFile(i, fileDeviceKey), d.Key())
		files = append(files, file{deviceFile(i, fileClientID), d.ClientID()})
	}
	playReady, err := a.playReady.files()
	files = append(files, playReady...)
	return append(files, file{fileManifest, append(m, '\n')}), errors.Join(append(errs, err)...)
}

// deviceFile returns the name of a file of the device with the index, which counts from 0.
func deviceFile(index int, name string) string {
	return filepath.Join(dirDevices, strconv.Itoa(index+1), name)
}

// pemLine returns the bytes behind one line of the key's PEM form that lies inside the private exponent, the empty secret
// for no key. A search by value for the exponent itself doesn't find it there, because of the line breaks.
func pemLine(key secret.RSAKey) secret.Bytes {
	if key.Reveal() == nil {
		return secret.Bytes{}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Reveal())
	if err != nil {
		return secret.Bytes{}
	}
	exponent := key.Reveal().D.Bytes()
	at := bytes.Index(der, exponent)
	line := (at + pemLineBytes - 1) / pemLineBytes * pemLineBytes
	if at < 0 || line+pemLineBytes > at+len(exponent) {
		return secret.Bytes{}
	}
	return secret.New(der[line : line+pemLineBytes])
}
