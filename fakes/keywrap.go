package fakes

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"keyflow/drm/secret"
)

const semiblock = 8 // bytes, the unit of RFC 3394

var errKeyWrap = errors.New("the wrapped key's integrity check fails")

// unwrapKey unwraps a key by RFC 3394 §2.2.2, under a key encryption key of 16, 24 or 32 bytes. A wrapped key is at least
// 24 bytes, in units of 8; the key is 8 bytes shorter.
func unwrapKey(kek secret.Bytes, wrapped []byte) (secret.Bytes, error) {
	block, err := aes.NewCipher(kek.Reveal())
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap key: %w", err)
	}
	if len(wrapped) < 3*semiblock || len(wrapped)%semiblock != 0 {
		return secret.Bytes{}, fmt.Errorf("unwrap key: %d bytes, want 24 or more in units of 8", len(wrapped))
	}
	key := make([]byte, len(wrapped)-semiblock)
	copy(key, wrapped[semiblock:])
	var buffer [2 * semiblock]byte // A and one of the R
	copy(buffer[:], wrapped[:semiblock])
	n := len(key) / semiblock
	for t := 6 * n; t > 0; t-- {
		r := key[(t-1)%n*semiblock:][:semiblock]
		binary.BigEndian.PutUint64(buffer[:], binary.BigEndian.Uint64(buffer[:])^uint64(t))
		copy(buffer[semiblock:], r)
		block.Decrypt(buffer[:], buffer[:])
		copy(r, buffer[semiblock:])
	}
	if subtle.ConstantTimeCompare(buffer[:semiblock], []byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}) != 1 {
		return secret.Bytes{}, fmt.Errorf("unwrap key: %w", errKeyWrap)
	}
	return secret.New(key), nil
}
