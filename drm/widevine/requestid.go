package widevine

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// RequestIDStyle is the form of the request ids that a platform makes (sheet widevine.md §6.2). To a server they are opaque.
type RequestIDStyle int

// The styles.
const (
	// RequestIDDesktop is 16 random bytes.
	RequestIDDesktop RequestIDStyle = iota
	// RequestIDAndroid is 32 ASCII characters: the upper-case hexadecimal digits of 4 random bytes, 4 zero bytes and the
	// number of the request on this platform, 8 bytes, little-endian, counted from 1.
	RequestIDAndroid
)

// requestIDLen is the length of a request id in bytes, before any encoding.
const requestIDLen = 16

func (p *Platform) requestID() []byte {
	if p.style != RequestIDAndroid {
		return random(requestIDLen)
	}
	block := append(random(4), 0, 0, 0, 0)
	block = binary.LittleEndian.AppendUint64(block, p.requests.Add(1))
	return []byte(strings.ToUpper(hex.EncodeToString(block)))
}
