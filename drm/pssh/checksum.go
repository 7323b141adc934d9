package pssh

import (
	"crypto/aes"
	"crypto/sha1" //nolint:gosec // PlayReady's definition
	"crypto/sha256"
	"fmt"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// Lengths in bytes of checksums, of a COCKTAIL key, and of the part of a key seed that counts.
const (
	lenChecksumCTR      = 8
	lenChecksumCocktail = 7
	lenKeyCocktail      = 7
	lenCocktailBuffer   = 21
	lenKeySeed          = 30
)

// Checksum returns what a PlayReady header says of a key, by which a license server notices a wrong one (sheet playready.md
// §5): 8 bytes for AESCTR, 7 for COCKTAIL. AESCBC has none, which is an error.
func Checksum(algorithm string, kid drm.KID, key secret.Bytes) ([]byte, error) {
	switch algorithm {
	case AlgorithmAESCTR:
		block, err := aes.NewCipher(key.Reveal())
		if err != nil || key.Len() != aes.BlockSize {
			return nil, fmt.Errorf("checksum of KID %s: the key has %d bytes, want 16", kid, key.Len())
		}
		guid := GUID(kid)
		block.Encrypt(guid[:], guid[:])
		return guid[:lenChecksumCTR], nil
	case AlgorithmCocktail:
		if key.Len() != lenKeyCocktail {
			return nil, fmt.Errorf("checksum of KID %s: the key has %d bytes, want %d", kid, key.Len(), lenKeyCocktail)
		}
		buffer := make([]byte, lenCocktailBuffer)
		copy(buffer, key.Reveal())
		for range 5 {
			sum := sha1.Sum(buffer) //nolint:gosec // PlayReady's definition
			buffer = sum[:]
		}
		return buffer[:lenChecksumCocktail], nil
	}
	return nil, fmt.Errorf("checksum of KID %s: algorithm %q has none", kid, algorithm)
}

// KeyFromSeed returns the content key of a KID that follows from a key seed of 30 bytes or more (sheet playready.md §5).
func KeyFromSeed(seed secret.Bytes, kid drm.KID) (secret.Bytes, error) {
	if seed.Len() < lenKeySeed {
		return secret.Bytes{}, fmt.Errorf("key seed has %d bytes, want %d or more", seed.Len(), lenKeySeed)
	}
	s, k := seed.Reveal()[:lenKeySeed], GUID(kid)
	sum := func(parts ...[]byte) (x [16]byte) {
		h := sha256.New()
		for _, p := range parts {
			h.Write(p)
		}
		for i, b := range h.Sum(nil) {
			x[i%16] ^= b
		}
		return x
	}
	a, b, c := sum(s, k[:]), sum(s, k[:], s), sum(s, k[:], s, k[:])
	key := make([]byte, 16)
	for i := range key {
		key[i] = a[i] ^ b[i] ^ c[i]
	}
	return secret.New(key), nil
}
