package ladder

import (
	"fmt"

	"keyflow/drm/secret"
)

// PrivacyKeyLen is the length in bytes of a privacy key, the K of sheet widevine.md §7.
const PrivacyKeyLen = 16

// EncryptClientID encrypts a serialized ClientIdentification for privacy mode: AES-128-CBC with PKCS#7 padding (sheet §7
// step 3). The key goes to the service by [WrapSessionKey]; key and IV, 16 bytes each, are used for one request only.
func EncryptClientID(privacyKey secret.Bytes, iv, clientID []byte) ([]byte, error) {
	if privacyKey.Len() != PrivacyKeyLen {
		return nil, fmt.Errorf("encrypt client identification: privacy key has %d bytes, want %d", privacyKey.Len(), PrivacyKeyLen)
	}
	encrypted, err := WrapKey(privacyKey, iv, secret.New(clientID))
	if err != nil {
		return nil, fmt.Errorf("encrypt client identification: %w", err)
	}
	return encrypted, nil
}
