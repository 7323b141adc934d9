package fakes

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

const (
	playReadyIssuerLevel = 3000 // the highest that it issues: levels never rise from parent to child (sheet playready.md §10, rule 7)
	playReadyDeviceLevel = 2000
	certificateIDLen     = 16 // bytes
	revocationVersion    = 1  // of an authority's only revocation list
)

// playReadyAuthority is the PlayReady part of an authority: root → issuer → devices, response signer and signer of revocation
// lists (sheet playready.md §10). The root is a key and has no certificate.
type playReadyAuthority struct {
	root        ecc.PrivateKey
	issuerKey   ecc.PrivateKey
	issuer      *bcert.Certificate
	server      ecc.PrivateKey // challenges are encrypted for it; it has no certificate (sheet §7.3)
	signer      ecc.PrivateKey // signs responses
	signerChain *bcert.Chain
	devices     []playready.Identity
	revoked     playready.Identity    // a device that revocations names
	revocations *bcert.RevocationList // the key that signed it is not kept: there is never another one
}

// newPlayReadyAuthority makes the PlayReady part with fresh keys. Its certificates never expire.
func newPlayReadyAuthority(devices int) (playReadyAuthority, error) {
	var p playReadyAuthority
	for _, key := range []*ecc.PrivateKey{&p.root, &p.issuerKey, &p.server, &p.signer} {
		var err error
		if *key, err = ecc.GenerateKey(); err != nil {
			return p, err
		}
	}
	var err error
	p.issuer, err = bcert.NewIssuer(certificateID(), playReadyIssuerLevel, p.issuerKey.Public(),
		bcert.UsageIssuerDevice, bcert.UsageIssuerCRL, bcert.UsageIssuerServer).Issue(p.root)
	if err != nil {
		return p, fmt.Errorf("issuer: %w", err)
	}
	if p.signerChain, err = p.issue(bcert.NewServer(certificateID(), p.signer.Public())); err != nil {
		return p, fmt.Errorf("response signer: %w", err)
	}
	for i := range devices {
		device, err := p.issueDevice(playReadyDeviceLevel, time.Time{})
		if err != nil {
			return p, fmt.Errorf("device %d: %w", i+1, err)
		}
		p.devices = append(p.devices, device)
	}
	if err := p.revoke(); err != nil {
		return p, fmt.Errorf("revoked device: %w", err)
	}
	return p, nil
}

// revoke makes one more device, and the list that revokes it. Which of the two lists of digests is that of devices is not public
// (sheet playready.md §7.1): the harness takes the first.
func (p *playReadyAuthority) revoke() error {
	var err error
	if p.revoked, err = p.issueDevice(playReadyDeviceLevel, time.Time{}); err != nil {
		return err
	}
	key, err := ecc.GenerateKey()
	if err != nil {
		return err
	}
	signer, err := p.issue(bcert.NewCRLSigner(certificateID(), key.Public()))
	if err != nil {
		return err
	}
	entries := [][sha256.Size]byte{p.revoked.Chain().Leaf().Digest}
	p.revocations, err = bcert.IssueRevocationList(bcert.ListDigests1, revocationVersion, entries, key, signer)
	return err
}

func certificateID() [certificateIDLen]byte { return [certificateIDLen]byte(random(certificateIDLen)) }

// issue has the issuer sign a certificate and returns the chain that it is the leaf of.
func (p playReadyAuthority) issue(template bcert.Certificate) (*bcert.Chain, error) {
	leaf, err := template.Issue(p.issuerKey)
	if err != nil {
		return nil, err
	}
	return bcert.Join(leaf, p.issuer)
}

// issueDevice makes a device with fresh keys, which never expires if expires is zero.
func (p playReadyAuthority) issueDevice(level uint32, expires time.Time) (playready.Identity, error) {
	sign, err := ecc.GenerateKey()
	if err != nil {
		return playready.Identity{}, err
	}
	encrypt, err := ecc.GenerateKey()
	if err != nil {
		return playready.Identity{}, err
	}
	chain, err := p.issue(bcert.NewDevice(certificateID(), level, sign.Public(), encrypt.Public(), expires))
	if err != nil {
		return playready.Identity{}, err
	}
	return playready.NewIdentity(chain.Raw, sign, encrypt)
}

// PlayReadyRoot returns the public key that PlayReady chains end at.
func (a *Authority) PlayReadyRoot() ecc.PublicKey { return a.playReady.root.Public() }

// PlayReadyServerKey returns the public key that clients encrypt challenges for, in place of the one that real clients have
// built in (sheet playready.md §7.3).
func (a *Authority) PlayReadyServerKey() ecc.PublicKey { return a.playReady.server.Public() }

// PlayReadyDevices returns the PlayReady devices, as many as [Authority.Devices], made with security level 2000.
func (a *Authority) PlayReadyDevices() []playready.Identity { return slices.Clone(a.playReady.devices) }

// RevokedPlayReadyDevice returns a further device of security level 2000, whose chain is right in everything but that
// [Authority.PlayReadyRevocationList] has it.
func (a *Authority) RevokedPlayReadyDevice() playready.Identity { return a.playReady.revoked }

// PlayReadyRevocationList returns the authority's list of revoked certificates, with one entry, as [bcert.ParseRevocationList]
// reads it; its signer's chain ends at [Authority.PlayReadyRoot].
func (a *Authority) PlayReadyRevocationList() []byte { return bytes.Clone(a.playReady.revocations.Raw) }

// IssuePlayReadyDevice makes a further device of security level 150, 2000 or 3000 under the authority's issuer, with fresh
// keys; it never expires if expires is zero. The authority does not keep it: [Authority.PlayReadyDevices], [Authority.Write]
// and [Authority.AddTo] know nothing of it.
func (a *Authority) IssuePlayReadyDevice(level uint32, expires time.Time) (playready.Identity, error) {
	if !slices.Contains([]uint32{150, 2000, 3000}, level) {
		return playready.Identity{}, fmt.Errorf("issue PlayReady device: security level %d, want 150, 2000 or 3000", level)
	}
	device, err := a.playReady.issueDevice(level, expires)
	if err != nil {
		return playready.Identity{}, fmt.Errorf("issue PlayReady device: %w", err)
	}
	return device, nil
}

// Issuer returns a function that issues devices, see [Authority.IssuePlayReadyDevice], as platforms that speak to the fakes; their
// keys become known to the vault.
func (a *Authority) Issuer(vault *secret.Vault, clock drm.Clock) func(level int, expires time.Time) (drm.Platform, error) {
	return func(level int, expires time.Time) (drm.Platform, error) {
		device, err := a.IssuePlayReadyDevice(uint32(level), expires)
		if err != nil {
			return nil, err
		}
		addScalar(vault, "playready-issued-signing-key", device.SigningKey())
		addScalar(vault, "playready-issued-encryption-key", device.EncryptionKey())
		return playready.NewPlatform(device, clock).WithRoot(a.PlayReadyRoot()).WithServerKey(a.PlayReadyServerKey()), nil
	}
}

// RevokedPlayReady returns the revoked device as a platform that speaks to the fakes.
func (a *Authority) RevokedPlayReady(clock drm.Clock) drm.Platform {
	return playready.NewPlatform(a.RevokedPlayReadyDevice(), clock).WithRoot(a.PlayReadyRoot()).WithServerKey(a.PlayReadyServerKey())
}

// addTo makes all private keys known to the vault.
func (p playReadyAuthority) addTo(vault *secret.Vault) {
	addScalar(vault, "playready-root-key", p.root)
	addScalar(vault, "playready-issuer-key", p.issuerKey)
	addScalar(vault, "playready-server-key", p.server)
	addScalar(vault, "playready-signer-key", p.signer)
	for i, d := range p.devices {
		addScalar(vault, fmt.Sprintf("playready-device-%d-signing-key", i+1), d.SigningKey())
		addScalar(vault, fmt.Sprintf("playready-device-%d-encryption-key", i+1), d.EncryptionKey())
	}
	addScalar(vault, "playready-revoked-signing-key", p.revoked.SigningKey())
	addScalar(vault, "playready-revoked-encryption-key", p.revoked.EncryptionKey())
}

func addScalar(vault *secret.Vault, name string, key ecc.PrivateKey) {
	vault.Add(name, key.Scalar())
	for _, part := range pemParts(key) {
		vault.Add(name, part)
	}
}

// pemParts returns the parts of the scalar that lines of the key's PEM form hold, none for no key. A search by value for the
// scalar itself doesn't find it there: a line ends within it.
func pemParts(key ecc.PrivateKey) []secret.Bytes {
	text, err := playready.MarshalKey(key)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(text)
	scalar := key.Scalar().Reveal()
	at := bytes.Index(block.Bytes, scalar)
	if at < 0 {
		return nil
	}
	var parts []secret.Bytes
	for from, end := at, at+len(scalar); from < end; {
		to := min(end, (from/pemLineBytes+1)*pemLineBytes)
		parts = append(parts, secret.New(block.Bytes[from:to]))
		from = to
	}
	return parts
}
