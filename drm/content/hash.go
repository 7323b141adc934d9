package content

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// HashSamples returns the SHA-256, in lower-case hexadecimal, over the samples of a segment in decoding order, each
// preceded by its length as 32 bits in big-endian order. The lengths keep a byte that moves from one sample to the next
// from going unnoticed.
func HashSamples(samples [][]byte) string {
	h := sha256.New()
	for _, s := range samples {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(s)))
		h.Write(length[:])
		h.Write(s)
	}
	return hex.EncodeToString(h.Sum(nil))
}
