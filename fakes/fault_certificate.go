package fakes

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol prescribes SHA-1, sheet widevine.md §5.3
	"crypto/x509"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// The functions of this file make service certificates that are wrong in one way each.

// reissue signs the service's certificate with edited fields. Only what edit changes differs from the right one, the
// serial number included.
func (a *Authority) reissue(issuer secret.RSAKey, edit func(*wire.DrmCertificate)) (*wire.SignedDrmCertificate, error) {
	fields := proto.CloneOf(a.service.fields)
	edit(fields)
	raw, err := marshal.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("serialize certificate: %w", err)
	}
	signature, err := ladder.Sign(issuer.Reveal(), raw)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return &wire.SignedDrmCertificate{DrmCertificate: raw, Signature: signature}, nil
}

// flipBit flips the lowest bit of the creation time: nothing that a client uses, so that only the signature tells.
func flipBit(a *Authority) (*wire.SignedDrmCertificate, error) {
	flipped, err := a.reissue(a.root, func(c *wire.DrmCertificate) {
		c.CreationTimeSeconds = proto.Uint32(c.GetCreationTimeSeconds() ^ 1)
	})
	if err != nil {
		return nil, err
	}
	flipped.Signature = a.service.signed.GetSignature()
	return flipped, nil
}

// signByModel takes the model's key for the foreign one: it is a key of the authority, and not its root.
func signByModel(a *Authority) (*wire.SignedDrmCertificate, error) {
	return a.reissue(a.model, func(*wire.DrmCertificate) {})
}

func signPKCS1v15(a *Authority) (*wire.SignedDrmCertificate, error) {
	raw := a.service.signed.GetDrmCertificate()
	digest := sha1.Sum(raw) //nolint:gosec // the hash is right, the padding is what is wrong
	signature, err := rsa.SignPKCS1v15(nil, a.root.Reveal(), crypto.SHA1, digest[:])
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return &wire.SignedDrmCertificate{DrmCertificate: raw, Signature: signature}, nil
}

func ofTypeDevice(a *Authority) (*wire.SignedDrmCertificate, error) {
	return a.reissue(a.root, func(c *wire.DrmCertificate) { c.Type = wire.DrmCertificate_DEVICE.Enum() })
}

func withSPKI(a *Authority) (*wire.SignedDrmCertificate, error) {
	der, err := x509.MarshalPKIXPublicKey(a.service.key.Public())
	if err != nil {
		return nil, fmt.Errorf("serialize certificate: %w", err)
	}
	return a.reissue(a.root, func(c *wire.DrmCertificate) { c.PublicKey = der })
}

func withoutProvider(a *Authority) (*wire.SignedDrmCertificate, error) {
	return a.reissue(a.root, func(c *wire.DrmCertificate) { c.ProviderId = nil })
}

// expiredYesterday dates the certificate two days back, for one day.
func expiredYesterday(a *Authority) (*wire.SignedDrmCertificate, error) {
	const day = uint32(24 * time.Hour / time.Second)
	return a.reissue(a.root, func(c *wire.DrmCertificate) {
		created := c.GetCreationTimeSeconds()
		c.CreationTimeSeconds, c.ExpirationTimeSeconds = proto.Uint32(created-2*day), proto.Uint32(created-day)
	})
}

// ofAnotherKey takes the model's public key: nothing that a client encrypts for it is ever decrypted.
func ofAnotherKey(a *Authority) (*wire.SignedDrmCertificate, error) {
	return a.reissue(a.root, func(c *wire.DrmCertificate) { c.PublicKey = x509.MarshalPKCS1PublicKey(a.model.Public()) })
}
