package widevine

import (
	"crypto/aes"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// identify puts the client identification into a request: in the clear, or encrypted in privacy mode, never both.
func (p *Platform) identify(request *wire.LicenseRequest) (err error) {
	clientID := change(p.forge.ClientID, p.identity.clientID)
	if p.PrivacyMode() {
		request.EncryptedClientId, err = p.encrypt(clientID)
		return err
	}
	request.ClientId = new(wire.ClientIdentification)
	return proto.Unmarshal(clientID, request.ClientId)
}

// encrypt encrypts a client identification for the service with a fresh privacy key and IV (sheet widevine.md §7).
func (p *Platform) encrypt(clientID []byte) (*wire.EncryptedClientIdentification, error) {
	key, iv := secret.New(random(ladder.PrivacyKeyLen)), random(aes.BlockSize)
	encrypted, err := ladder.EncryptClientID(key, iv, clientID)
	if err != nil {
		return nil, err
	}
	wrapped, err := ladder.WrapSessionKey(p.service.Key, key)
	if err != nil {
		return nil, err
	}
	e := &wire.EncryptedClientIdentification{
		ProviderId:                     proto.String(p.service.Fields.GetProviderId()),
		ServiceCertificateSerialNumber: p.service.Fields.GetSerialNumber(),
		EncryptedClientId:              change(p.forge.EncryptedClientID, encrypted),
		EncryptedClientIdIv:            change(p.forge.ClientIDIV, iv),
		EncryptedPrivacyKey:            change(p.forge.PrivacyKey, wrapped),
	}
	if p.forge.Encrypted != nil {
		e = proto.CloneOf(e) // the serial number is shared, and a forge may work in place
		p.forge.Encrypted(e)
	}
	return e, nil
}
