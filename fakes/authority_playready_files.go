package fakes

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

// The PlayReady part of an authority's directory; its root key is [fileRootKey], its devices are in [dirDevices], each as
// [playready.LoadIdentity] takes it. Private keys are PKCS#8 in PEM, public keys X || Y, certificates binary chains.
const (
	dirPlayReady     = "playready"
	fileRootPoint    = "root_public_key.bin"
	fileIssuerKey    = "issuer_key.pem"
	fileIssuerScalar = "issuer_key.bin" // the same key as 32 bytes, as other clients' tools take it
	fileIssuerChain  = "issuer_chain.bin"
	fileServerKey    = "server_key.pem"
	fileServerPoint  = "server_public_key.bin"
	fileSignerKey    = "signer_key.pem"
	fileSignerChain  = "signer_chain.bin"
	dirRevoked       = "revoked_device"
	fileRevocations  = "revocation_list.bin"
)

// fingerprint names the PlayReady part, by its root's public key.
func (p playReadyAuthority) fingerprint() secret.Fingerprint {
	root := p.root.Public()
	return secret.FingerprintOf(root[:])
}

// files returns the files of the PlayReady part.
func (p playReadyAuthority) files() ([]file, error) {
	var files []file
	var errs []error
	add := func(name string, content []byte) {
		files = append(files, file{filepath.Join(dirPlayReady, name), content})
	}
	addKey := func(name string, key ecc.PrivateKey) {
		text, err := playready.MarshalKey(key)
		errs = append(errs, err)
		add(name, text)
	}
	root, server := p.root.Public(), p.server.Public()
	issuer, err := bcert.Join(p.issuer)
	if err != nil {
		return nil, err
	}
	addKey(fileRootKey, p.root)
	add(fileRootPoint, root[:])
	addKey(fileIssuerKey, p.issuerKey)
	add(fileIssuerScalar, p.issuerKey.Scalar().Reveal())
	add(fileIssuerChain, issuer.Raw)
	addKey(fileServerKey, p.server)
	add(fileServerPoint, server[:])
	addKey(fileSignerKey, p.signer)
	add(fileSignerChain, p.signerChain.Raw)
	addDevice := func(folder string, d playready.Identity) {
		addKey(filepath.Join(folder, playready.FileSigningKey), d.SigningKey())
		addKey(filepath.Join(folder, playready.FileEncryptionKey), d.EncryptionKey())
		add(filepath.Join(folder, playready.FileChain), d.Chain().Raw)
	}
	for i, d := range p.devices {
		addDevice(deviceFile(i, ""), d)
	}
	addDevice(dirRevoked, p.revoked)
	add(fileRevocations, p.revocations.Raw)
	return files, errors.Join(errs...)
}

// readPlayReady reads the PlayReady part out of its folder and checks that all of it belongs together: public keys and
// certificates to the private keys, every chain to the root. Expiry is for the server to judge, by its own clock.
func readPlayReady(dir string, devices int) (playReadyAuthority, error) {
	var p playReadyAuthority
	var err error
	if p.root, err = readPublished(dir, fileRootKey, fileRootPoint); err != nil {
		return p, err
	}
	if p.server, err = readPublished(dir, fileServerKey, fileServerPoint); err != nil {
		return p, err
	}
	if err = p.readIssuer(dir); err != nil {
		return p, err
	}
	p.signer, p.signerChain, err = readChained(dir, fileSignerKey, fileSignerChain, p.root.Public(), bcert.TypeServer, bcert.UsageSignResponse)
	if err != nil {
		return p, err
	}
	for i := range devices {
		device, err := readPlayReadyDevice(filepath.Join(dir, deviceFile(i, "")), p.root.Public())
		if err != nil {
			return p, err
		}
		p.devices = append(p.devices, device)
	}
	return p, p.readRevoked(dir)
}

// readRevoked reads the revoked device, which must be the one entry of the revocation list: what a server refuses it for.
func (p *playReadyAuthority) readRevoked(dir string) error {
	var err error
	if p.revoked, err = readPlayReadyDevice(filepath.Join(dir, dirRevoked), p.root.Public()); err != nil {
		return err
	}
	path := filepath.Join(dir, fileRevocations)
	b, err := readBounded(path)
	if err != nil {
		return err
	}
	if p.revocations, err = bcert.ParseRevocationList(b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := (bcert.Verifier{Root: p.root.Public()}).VerifyList(p.revocations); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if entries := p.revocations.Entries; len(entries) != 1 || entries[0] != p.revoked.Chain().Leaf().Digest {
		return fmt.Errorf("%s: has %d entries, want the device in %s alone", path, len(entries), dirRevoked)
	}
	return nil
}

func (p *playReadyAuthority) readIssuer(dir string) error {
	key, chain, err := readChained(dir, fileIssuerKey, fileIssuerChain, p.root.Public(), bcert.TypeIssuer,
		bcert.UsageIssuerDevice, bcert.UsageIssuerServer)
	if err != nil {
		return err
	}
	if n := len(chain.Certificates); n != 1 {
		return fmt.Errorf("%s: %d certificates, want the issuer's alone", filepath.Join(dir, fileIssuerChain), n)
	}
	path := filepath.Join(dir, fileIssuerScalar)
	scalar, err := readPrivate(path)
	if err != nil {
		return err
	}
	if !secret.New(scalar).Equal(key.Scalar()) {
		return fmt.Errorf("%s: not the %d bytes of the key in %s", path, ecc.CoordinateLen, fileIssuerKey)
	}
	p.issuerKey, p.issuer = key, chain.Leaf()
	return nil
}

// readPublished reads a private key and checks the file with its public key, which clients are given.
func readPublished(dir, keyName, pointName string) (ecc.PrivateKey, error) {
	key, err := readScalar(filepath.Join(dir, keyName))
	if err != nil {
		return ecc.PrivateKey{}, err
	}
	path := filepath.Join(dir, pointName)
	point, err := readBounded(path)
	if err != nil {
		return ecc.PrivateKey{}, err
	}
	if public := key.Public(); !bytes.Equal(point, public[:]) {
		return ecc.PrivateKey{}, fmt.Errorf("%s: not the %d bytes of the public key of %s", path, ecc.PublicLen, keyName)
	}
	return key, nil
}

// readChained reads a private key and the chain that ends at root and whose leaf, of the type, has this key for all the usages.
func readChained(
	dir, keyName, chainName string, root ecc.PublicKey, kind bcert.Type, usages ...bcert.Usage,
) (ecc.PrivateKey, *bcert.Chain, error) {
	none := func(err error) (ecc.PrivateKey, *bcert.Chain, error) { return ecc.PrivateKey{}, nil, err }
	key, err := readScalar(filepath.Join(dir, keyName))
	if err != nil {
		return none(err)
	}
	path := filepath.Join(dir, chainName)
	b, err := readBounded(path)
	if err != nil {
		return none(err)
	}
	chain, err := bcert.Parse(b)
	if err != nil {
		return none(fmt.Errorf("%s: %w", path, err))
	}
	leaf := chain.Leaf()
	if leaf.Type != kind {
		return none(fmt.Errorf("%s: the leaf is of type %d, want %d", path, leaf.Type, kind))
	}
	at := slices.IndexFunc(leaf.Keys, func(k bcert.Key) bool { return k.Public == key.Public() })
	if at < 0 {
		return none(fmt.Errorf("%s: the certificate is not of the key in %s", path, keyName))
	}
	for _, usage := range usages {
		if !slices.Contains(leaf.Keys[at].Usages, usage) {
			return none(fmt.Errorf("%s: the leaf's key lacks usage %d", path, usage))
		}
	}
	if err := chain.Verify(root, time.Time{}); err != nil {
		return none(fmt.Errorf("%s: %w", path, err))
	}
	return key, chain, nil
}

// readPlayReadyDevice reads the device in a folder.
func readPlayReadyDevice(folder string, root ecc.PublicKey) (playready.Identity, error) {
	sign, err := readScalar(filepath.Join(folder, playready.FileSigningKey))
	if err != nil {
		return playready.Identity{}, err
	}
	encrypt, err := readScalar(filepath.Join(folder, playready.FileEncryptionKey))
	if err != nil {
		return playready.Identity{}, err
	}
	path := filepath.Join(folder, playready.FileChain)
	chain, err := readBounded(path)
	if err != nil {
		return playready.Identity{}, err
	}
	device, err := playready.NewIdentity(chain, sign, encrypt)
	if err != nil {
		return playready.Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	if _, _, err := device.Chain().VerifyDevice(root, time.Time{}); err != nil {
		return playready.Identity{}, fmt.Errorf("%s: %w", path, err)
	}
	return device, nil
}

// readScalar reads a file with a P-256 key that only its owner can read.
func readScalar(path string) (ecc.PrivateKey, error) {
	b, err := readPrivate(path)
	if err != nil {
		return ecc.PrivateKey{}, err
	}
	key, err := playready.ParseKey(b)
	if err != nil {
		return ecc.PrivateKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
