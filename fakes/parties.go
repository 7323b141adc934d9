package fakes

import (
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// parties are who a license is between besides the server. Only a fault makes two devices of them.
type parties struct {
	signer    *chain.Certificate // the request's signature must be its; nil: nobody's
	recipient *chain.Certificate // the session key is wrapped for it
}

// parties finds out who asks (sheet widevine.md §15 step 3): a request carries its client id either in the clear or
// encrypted.
func (x *exchange) parties() (parties, *refusal) {
	m := x.request.message
	id, encrypted := m.GetClientId(), m.GetEncryptedClientId()
	if encrypted != nil && x.acts(faultPrivacyIgnored) {
		encrypted = nil
	}
	switch {
	case id != nil && encrypted != nil:
		if x.acts(faultPrivacyBothIDs) {
			return x.twoDevices(id, encrypted)
		}
		return parties{}, refuse(http.StatusBadRequest, reasonClientID, "both a clear and an encrypted client id")
	case encrypted != nil:
		return x.oneDevice(x.decryptClientID(encrypted))
	case id == nil:
		if x.acts(faultAnonymousLicense) {
			return x.nobody()
		}
		return parties{}, refuse(http.StatusBadRequest, reasonClientID, "no client id")
	case id.GetType() != wire.ClientIdentification_DRM_DEVICE_CERTIFICATE:
		return parties{}, refuse(http.StatusBadRequest, reasonClientID,
			fmt.Sprintf("client token type %d, want a DRM device certificate", id.GetType()))
	}
	return x.oneDevice(id, nil)
}

func (x *exchange) oneDevice(id *wire.ClientIdentification, refused *refusal) (parties, *refusal) {
	if refused != nil {
		return parties{}, refused
	}
	device, refused := x.verifyChain(id.GetToken())
	return parties{signer: device, recipient: device}, refused
}

// twoDevices is a fault: the clear client id's device signs, the encrypted one's gets the license.
func (x *exchange) twoDevices(id *wire.ClientIdentification, encrypted *wire.EncryptedClientIdentification) (parties, *refusal) {
	recipient, refused := x.oneDevice(x.decryptClientID(encrypted))
	if refused != nil {
		return parties{}, refused
	}
	signer, refused := x.verifyChain(id.GetToken())
	return parties{signer: signer, recipient: recipient.recipient}, refused
}

// nobody is a fault: a license for whoever has the first device of the authority.
func (x *exchange) nobody() (parties, *refusal) {
	id := new(wire.ClientIdentification)
	err := proto.Unmarshal(x.server.authority.devices[0].ClientID(), id)
	if err == nil {
		if device, err := chain.Parse(id.GetToken()); err == nil {
			return parties{recipient: device}, nil
		}
	}
	return parties{}, refuse(http.StatusInternalServerError, reasonInternal, "the license could not be made")
}

// decryptClientID returns the client id of a request in privacy mode. Whatever is wrong with it, the refusal is the same
// to the byte: an answer that told bad padding from bad content would let anybody who recorded a request decrypt it
// piece by piece (sheet §18, WV-PRV-03).
func (x *exchange) decryptClientID(e *wire.EncryptedClientIdentification) (*wire.ClientIdentification, *refusal) {
	svc := x.server.authority.service
	addressed := svc.addressed(e)
	id, err := svc.decrypt(e)
	if err == nil && !addressed && !x.acts(faultPrivacySerialIgnored) {
		err = errServiceUnknown
	}
	switch {
	case err == nil:
		x.clientID = id
		return id, nil
	case errors.Is(err, errPrivacyPadding) && x.acts(faultPrivacyPadding500):
		return nil, refuse(http.StatusInternalServerError, reasonInternal, "decrypt client id: the padding is not valid")
	case errors.Is(err, errPrivacyParse) && x.acts(faultPrivacyPadding500):
		return nil, refuse(http.StatusForbidden, reasonEncryptedID, "the decrypted client id can't be read")
	}
	return nil, refuse(http.StatusBadRequest, reasonEncryptedID, "the encrypted client id can't be used")
}

func (x *exchange) verifyChain(token []byte) (*chain.Certificate, *refusal) {
	device, err := x.server.chains.verify(token, x.now)
	if err == nil {
		x.record.Device = device.Fingerprint()
		return device, nil
	}
	if device, parseErr := chain.Parse(token); parseErr == nil && x.acts(faultChainNotVerified) {
		return device, nil
	}
	if errors.Is(err, chain.ErrExpired) {
		return nil, refuseDevice(reasonExpired, "the device certificate has expired", wire.LicenseError_EXPIRED_DRM_DEVICE_CERTIFICATE)
	}
	return nil, refuseDevice(reasonChain, "the device certificate is not trusted", wire.LicenseError_INVALID_DRM_DEVICE_CERTIFICATE)
}

// verifySignature verifies the request's signature over the message exactly as received.
func (x *exchange) verifySignature(signer *chain.Certificate) *refusal {
	msg, signature := x.request.envelope.GetMsg(), x.request.envelope.GetSignature()
	switch {
	case signer == nil:
	case ladder.Verify(signer.Key, msg, signature) == nil:
	case len(signature) == 0 && x.acts(faultSigEmptyAccepted):
	case x.on(faultAnyKeyAccepted) && x.server.authority.signed(msg, signature) && x.acts(faultAnyKeyAccepted):
	case x.acts(faultSigNotVerified):
	case x.request.cut && x.acts(faultCutAccepted):
	default:
		return refuse(http.StatusForbidden, reasonSignature, "the request's signature does not verify")
	}
	return nil
}
