package widevine

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// Identity is what a device shows and signs with: its client identification and the private key of its certificate.
type Identity struct {
	clientID []byte // serialized ClientIdentification
	key      secret.RSAKey
	device   *chain.Certificate
}

// NewIdentity returns the identity of a serialized ClientIdentification (sheet widevine.md §4.6) with a device
// certificate as its token, and the certificate's private key. The chain is not verified: that's the server's business.
func NewIdentity(clientID []byte, key secret.RSAKey) (Identity, error) {
	id := new(wire.ClientIdentification)
	if err := proto.Unmarshal(clientID, id); err != nil {
		return Identity{}, fmt.Errorf("parse client identification: %w", err)
	}
	if id.GetType() != wire.ClientIdentification_DRM_DEVICE_CERTIFICATE {
		return Identity{}, fmt.Errorf("client identification: token type %v, want a DRM device certificate", id.GetType())
	}
	device, err := chain.Parse(id.GetToken())
	if err != nil {
		return Identity{}, fmt.Errorf("device certificate: %w", err)
	}
	if key.Public() == nil || !device.Key.Equal(key.Public()) {
		return Identity{}, errors.New("device identity: the private key does not belong to the device certificate")
	}
	if !device.Encryption.Equal(device.Key) {
		return Identity{}, fmt.Errorf("device identity: a device with a second key for encryption: %w", errors.ErrUnsupported)
	}
	return Identity{clientID: bytes.Clone(clientID), key: key, device: device}, nil
}

// ClientID returns the serialized ClientIdentification.
func (i Identity) ClientID() []byte { return bytes.Clone(i.clientID) }

// Key returns the device's private key.
func (i Identity) Key() secret.RSAKey { return i.key }

// Device returns the fingerprint of the device certificate.
func (i Identity) Device() drm.Fingerprint { return i.device.Fingerprint() }

// PublicKey returns the public key of the device certificate.
func (i Identity) PublicKey() *rsa.PublicKey { return i.device.Key }
