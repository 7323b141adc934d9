// Package chain reads, verifies and issues the certificates of the Widevine license protocol: SignedDrmCertificate chains
// from a device (or a license service) up to a root key (sheet widevine.md §4.8, §5.3).
package chain

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Errors that verification wraps; a server answers each in its own way (sheet §11).
var (
	ErrMalformed = errors.New("certificate is malformed")
	ErrType      = errors.New("certificate type is wrong for its place in the chain")
	ErrLength    = errors.New("certificate chain has the wrong length")
	ErrSignature = errors.New("certificate signature does not verify")
	ErrSystemID  = errors.New("device and model certificate differ in system id")
	ErrExpired   = errors.New("certificate has expired")

	// ErrKey is about public_key or encryption_key alone; it is an ErrMalformed too.
	ErrKey = fmt.Errorf("%w: its key cannot be used", ErrMalformed)
)

// Certificate is one parsed SignedDrmCertificate.
type Certificate struct {
	Signed *wire.SignedDrmCertificate
	Fields *wire.DrmCertificate
	Key    *rsa.PublicKey // public_key, PKCS#1
	// Encryption is the key that a session key is wrapped for: encryption_key of a dual-key device, else Key.
	Encryption *rsa.PublicKey
}

// Fingerprint names the certificate by its serialized signed bytes.
func (c *Certificate) Fingerprint() drm.Fingerprint {
	return secret.FingerprintOf(c.Signed.GetDrmCertificate())
}

// Parse reads a serialized SignedDrmCertificate without verifying it.
func Parse(token []byte) (*Certificate, error) {
	signed := new(wire.SignedDrmCertificate)
	if err := proto.Unmarshal(token, signed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return fromSigned(signed)
}

func fromSigned(signed *wire.SignedDrmCertificate) (*Certificate, error) {
	c, err := decode(signed)
	if err != nil {
		return nil, err
	}
	if err := c.readKeys(); err != nil {
		return nil, err
	}
	return c, nil
}

// decode reads the fields and leaves the keys alone.
func decode(signed *wire.SignedDrmCertificate) (*Certificate, error) {
	if len(signed.GetDrmCertificate()) == 0 {
		return nil, fmt.Errorf("%w: no drm_certificate", ErrMalformed)
	}
	fields := new(wire.DrmCertificate)
	if err := proto.Unmarshal(signed.GetDrmCertificate(), fields); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return &Certificate{Signed: signed, Fields: fields}, nil
}

func (c *Certificate) readKeys() error {
	key, err := publicKey(c.Fields.GetPublicKey(), c.Fields.GetAlgorithm())
	if err != nil {
		return fmt.Errorf("public_key: %w", err)
	}
	encryption := key
	if e := c.Fields.GetEncryptionKey(); e != nil {
		if encryption, err = publicKey(e.GetPublicKey(), e.GetAlgorithm()); err != nil {
			return fmt.Errorf("encryption_key: %w", err)
		}
	}
	c.Key, c.Encryption = key, encryption
	return nil
}

func publicKey(der []byte, algorithm wire.DrmCertificate_Algorithm) (*rsa.PublicKey, error) {
	if algorithm != wire.DrmCertificate_RSA {
		return nil, fmt.Errorf("%w: algorithm %v: only RSA is implemented: %w", ErrKey, algorithm, errors.ErrUnsupported)
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if key.N.BitLen() < 2048 {
		return nil, fmt.Errorf("%w: RSA key of %d bits, want at least 2048", ErrKey, key.N.BitLen())
	}
	return key, nil
}

// VerifyDevice verifies a device's token, device ← model ← root: types, signatures, equal system ids, expiry (sheet
// §15 step 3). A signer above the model is not followed, so a chain of any depth costs two verifications at most.
func VerifyDevice(token []byte, root *rsa.PublicKey, now time.Time) (*Certificate, error) {
	device, err := Parse(token)
	if err != nil {
		return nil, fmt.Errorf("device certificate: %w", err)
	}
	if device.Signed.GetSigner() == nil {
		return nil, fmt.Errorf("device certificate: no signer: %w", ErrLength)
	}
	model, err := fromSigned(device.Signed.GetSigner())
	if err != nil {
		return nil, fmt.Errorf("model certificate: %w", err)
	}
	// An absent type reads as ROOT (sheet §4) and is refused like one.
	if device.Fields.GetType() != wire.DrmCertificate_DEVICE {
		return nil, fmt.Errorf("device certificate: type %v: %w", device.Fields.GetType(), ErrType)
	}
	if model.Fields.GetType() != wire.DrmCertificate_DEVICE_MODEL {
		return nil, fmt.Errorf("model certificate: type %v: %w", model.Fields.GetType(), ErrType)
	}
	if model.Signed.GetSigner() != nil {
		return nil, fmt.Errorf("model certificate: has a signer, want the root as issuer: %w", ErrLength)
	}
	if ladder.Verify(root, model.Signed.GetDrmCertificate(), model.Signed.GetSignature()) != nil {
		return nil, fmt.Errorf("model certificate: %w", ErrSignature)
	}
	if ladder.Verify(model.Key, device.Signed.GetDrmCertificate(), device.Signed.GetSignature()) != nil {
		return nil, fmt.Errorf("device certificate: %w", ErrSignature)
	}
	if device.Fields.GetSystemId() != model.Fields.GetSystemId() {
		return nil, ErrSystemID
	}
	for _, c := range []*Certificate{device, model} {
		if c.Expired(now) {
			return nil, fmt.Errorf("%v certificate: %w", c.Fields.GetType(), ErrExpired)
		}
	}
	return device, nil
}

// Expired reports whether the certificate has an expiration time and now is not before it.
func (c *Certificate) Expired(now time.Time) bool {
	end := c.Fields.GetExpirationTimeSeconds()
	return end != 0 && now.Unix() >= int64(end)
}

// Issue signs a certificate with the issuer's key and returns it as SignedDrmCertificate. The fields' public_key is set to
// subject. signer is the issuer's own certificate, nil where the issuer is the root.
func Issue(fields *wire.DrmCertificate, subject *rsa.PublicKey, issuer secret.RSAKey, signer *wire.SignedDrmCertificate) (*wire.SignedDrmCertificate, error) {
	fields = proto.CloneOf(fields)
	fields.PublicKey = x509.MarshalPKCS1PublicKey(subject)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("serialize certificate: %w", err)
	}
	signature, err := ladder.Sign(issuer.Reveal(), raw)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return &wire.SignedDrmCertificate{DrmCertificate: raw, Signature: signature, Signer: signer}, nil
}
