package widevine

import "keyflow/drm/widevine/wire"

// PlainLen returns the length in bytes of an unwrapped key of the type, and whether the protocol fixes one (sheet widevine.md
// §8.4). Wrapped with PKCS#7 padding it is 16 bytes longer.
func PlainLen(t wire.License_KeyContainer_KeyType) (int, bool) {
	n, fixed := plainLen[t]
	return n, fixed
}
