package widevine

import (
	"google.golang.org/protobuf/proto"

	"keyflow/drm/widevine/wire"
)

// Refusal tells what a server says in an answer that refuses in-band, whatever its HTTP status (sheet widevine.md §8.5); false for any
// other answer. It needs no key.
func Refusal(answer []byte) (seen string, refused bool) {
	e := new(wire.SignedMessage)
	if proto.Unmarshal(answer, e) != nil || e.GetType() != wire.SignedMessage_ERROR_RESPONSE {
		return "", false
	}
	var r record
	r.inBandError(e, "a license")
	return r.findings[0].Seen, true
}
