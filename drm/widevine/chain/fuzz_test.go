package chain_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// FuzzCertificate: no token makes the parser fail otherwise than by an error, and none but the device that was issued is
// accepted.
func FuzzCertificate(f *testing.F) {
	right := newRecipe(f).issue(f)
	f.Add(serialize(f, right))
	f.Add(serialize(f, right.GetSigner()))
	expiring := newRecipe(f)
	expiring.device.ExpirationTimeSeconds = proto.Uint32(1)
	f.Add(serialize(f, expiring.issue(f)))
	dual := newRecipe(f)
	dual.device.EncryptionKey = &wire.DrmCertificate_EncryptionKey{Algorithm: wire.DrmCertificate_ALGORITHM_ECC_SECP256R1.Enum()}
	f.Add(serialize(f, dual.issue(f)))
	f.Add([]byte("<html>"))
	f.Add(slices.Repeat([]byte{0x1a, 0x7f}, 64))
	root := keys(f).root.Public()
	f.Fuzz(func(t *testing.T, token []byte) {
		parsed, parseErr := chain.Parse(token)
		if (parsed == nil) == (parseErr == nil) {
			t.Fatalf("certificate %v, error %v", parsed, parseErr)
		}
		if parsed != nil && (parsed.Key.N.BitLen() < 2048 || parsed.Encryption.N.BitLen() < 2048 || parsed.Fingerprint() == "") {
			t.Errorf("certificate %v", parsed.Fields)
		}
		device, err := chain.VerifyDevice(token, root, now)
		if (device == nil) == (err == nil) {
			t.Fatalf("device %v, error %v", device, err)
		}
		if device != nil && !bytes.Equal(device.Signed.GetDrmCertificate(), right.GetDrmCertificate()) {
			t.Errorf("a certificate was accepted that was never issued: %v", device.Fields)
		}
	})
}
