package fakes

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// IssueToken issues a device certificate of the authority with edited fields, for the key of one of its devices.
func (a *Authority) IssueToken(t testing.TB, key secret.RSAKey, edit func(*wire.DrmCertificate)) []byte {
	t.Helper()
	fields := &wire.DrmCertificate{
		Type: wire.DrmCertificate_DEVICE.Enum(), SerialNumber: random(16), SystemId: proto.Uint32(SystemID),
	}
	edit(fields)
	cert, err := chain.Issue(fields, key.Public(), a.model, a.modelCert)
	if err != nil {
		t.Fatal(err)
	}
	token, err := proto.Marshal(cert)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// IssueDevice returns the device that [Authority.IssueToken] issues a certificate for.
func (a *Authority) IssueDevice(t testing.TB, key secret.RSAKey, edit func(*wire.DrmCertificate)) widevine.Identity {
	t.Helper()
	clientID, err := proto.Marshal(clientIdentification(a.IssueToken(t, key, edit)))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := widevine.NewIdentity(clientID, key)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// UnwrapKey is the RFC 3394 unwrapping of the token service.
func UnwrapKey(kek secret.Bytes, wrapped []byte) (secret.Bytes, error) {
	return unwrapKey(kek, wrapped)
}

// SecretOf returns the authority's secret.
func SecretOf(a *Authority) secret.Bytes { return a.secret }
