package fakes

import (
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

// deriveFromDecrypted seals the license for the request as it would be in clear mode, with the decrypted client id in the
// place of the encrypted one.
func deriveFromDecrypted(x *exchange, g *grant, _ *drm.KID) bool {
	request := new(wire.LicenseRequest)
	if x.clientID == nil || proto.Unmarshal(g.request, request) != nil {
		return false
	}
	request.ClientId, request.EncryptedClientId = x.clientID, nil
	clear, err := marshal.Marshal(request)
	if err != nil {
		return false
	}
	g.request = clear
	return true
}
