package fakes

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// ServiceProvider is the provider_id of every harness license service (sheet widevine.md §15).
const ServiceProvider = "fake.harness.test"

// service is the license service of an authority: clients in privacy mode encrypt their identity for its key.
type service struct {
	key    secret.RSAKey
	signed *wire.SignedDrmCertificate
	fields *wire.DrmCertificate
}

// issueService makes the license service's certificate. The root signs it itself, so it has no signer (sheet §5.3).
func issueService(key, root secret.RSAKey, created uint32) (service, error) {
	signed, err := chain.Issue(&wire.DrmCertificate{
		Type: wire.DrmCertificate_SERVICE.Enum(), SerialNumber: random(16), CreationTimeSeconds: &created,
		ProviderId: proto.String(ServiceProvider), ServiceTypes: []wire.DrmCertificate_ServiceType{wire.DrmCertificate_LICENSE_SERVER_SDK},
	}, key.Public(), root, nil)
	if err != nil {
		return service{}, err
	}
	return newService(key, signed)
}

// newService refuses a certificate that clients could not encrypt for: of another type, or without provider or serial.
func newService(key secret.RSAKey, signed *wire.SignedDrmCertificate) (service, error) {
	fields := new(wire.DrmCertificate)
	if err := proto.Unmarshal(signed.GetDrmCertificate(), fields); err != nil {
		return service{}, fmt.Errorf("service certificate: %w: %w", chain.ErrMalformed, err)
	}
	if fields.GetType() != wire.DrmCertificate_SERVICE {
		return service{}, fmt.Errorf("service certificate: type %v: %w", fields.GetType(), chain.ErrType)
	}
	if fields.GetProviderId() == "" || len(fields.GetSerialNumber()) == 0 {
		return service{}, fmt.Errorf("service certificate: no provider_id or no serial_number: %w", chain.ErrMalformed)
	}
	return service{key: key, signed: signed, fields: fields}, nil
}

// ServiceCertificate returns the certificate that the license service hands out, a serialized SignedDrmCertificate.
func (a *Authority) ServiceCertificate() []byte {
	b, _ := marshal.Marshal(a.service.signed) // it has been serialized before, or was read from its serialized form
	return b
}

// Errors of [service.decrypt]. A client is told none of them apart.
var (
	errServiceUnknown = errors.New("another service's certificate")
	errPrivacyKey     = errors.New("the privacy key can't be decrypted")
	errPrivacyPadding = errors.New("the client id's padding is not valid")
	errPrivacyParse   = errors.New("the decrypted client id can't be read")
)

// addressed reports whether the client id is encrypted for the service's certificate, by what the client copied from it.
func (s service) addressed(e *wire.EncryptedClientIdentification) bool {
	return e.GetProviderId() == s.fields.GetProviderId() &&
		bytes.Equal(e.GetServiceCertificateSerialNumber(), s.fields.GetSerialNumber())
}

// decrypt undoes sheet §7 steps 2 to 4. It goes through all steps whatever fails on the way: a privacy key that can't be
// decrypted is replaced by a random one, so that neither time nor the kind of error tells a client where it went wrong.
// What it refuses at once is what the client can see for itself, the lengths of IV and ciphertext.
func (s service) decrypt(e *wire.EncryptedClientIdentification) (*wire.ClientIdentification, error) {
	key, keyErr := ladder.UnwrapSessionKey(s.key.Reveal(), e.GetEncryptedPrivacyKey())
	if keyErr != nil || key.Len() != ladder.SessionKeyLen {
		key, keyErr = secret.New(random(ladder.SessionKeyLen)), errPrivacyKey
	}
	plain, err := ladder.UnwrapKey(key, e.GetEncryptedClientIdIv(), e.GetEncryptedClientId())
	id := new(wire.ClientIdentification)
	parseErr := proto.Unmarshal(plain.Reveal(), id)
	switch {
	case keyErr != nil:
		return nil, keyErr
	case errors.Is(err, ladder.ErrPadding):
		return nil, errPrivacyPadding
	case err != nil:
		return nil, err
	case parseErr != nil || id.GetType() != wire.ClientIdentification_DRM_DEVICE_CERTIFICATE:
		return nil, errPrivacyParse
	}
	return id, nil
}
