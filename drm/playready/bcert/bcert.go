// Package bcert reads, verifies and issues PlayReady's binary certificate chains (sheet playready.md §10). All integers are
// big-endian. Lengths of keys are bits here, and bytes in licenses.
package bcert

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"keyflow/drm/playready/ecc"
)

// Type says what a certificate is for.
type Type uint32

// The types that keyflow deals with.
const (
	TypePC          Type = 1
	TypeDevice      Type = 2
	TypeIssuer      Type = 4
	TypeCRLSigner   Type = 5
	TypeApplication Type = 8
	TypeServer      Type = 11
)

// Usage says what a certificate's key may do.
type Usage uint32

// The usages that keyflow deals with.
const (
	UsageSign              Usage = 1
	UsageEncrypt           Usage = 2
	UsageIssuerAll         Usage = 4
	UsageIssuerDevice      Usage = 6
	UsageIssuerApplication Usage = 10
	UsageIssuerCRL         Usage = 11
	UsageIssuerServer      Usage = 15
	UsageSignResponse      Usage = 20
)

// The tags of attributes.
const (
	tagBasic        = 0x0001
	tagDevice       = 0x0004
	tagFeatures     = 0x0005
	tagKeys         = 0x0006
	tagManufacturer = 0x0007
	tagSignature    = 0x0008
	tagFirstKnown   = 0x0001
	tagLastKnown    = 0x0011
)

const (
	flagMustUnderstand = 1
	flagExtended       = 1 // of the basic information: attributes may follow the signature
	neverExpires       = math.MaxUint32
	keyTypeP256        = 1
	keyBits            = 8 * ecc.PublicLen
	signatureECDSA     = 1
	chainHeaderLen     = 20
	certHeaderLen      = 16
	attributeHeaderLen = 8
	basicLen           = 80 // of the body
	signatureBodyLen   = 136
)

// Bounds of what is read.
const (
	MaxChainLen     = 64 << 10 // bytes
	MaxCertificates = 16
	maxKeys         = 16
	maxUsages       = 32
	maxFeatures     = 32
	maxAttributes   = 32
)

// Chain is a certificate chain, leaf first. The root is a key, not a certificate, and is not in it.
type Chain struct {
	Certificates []*Certificate
	Raw          []byte
}

// Leaf returns the certificate of the chain's owner.
func (c *Chain) Leaf() *Certificate { return c.Certificates[0] }

// Certificate is one certificate.
type Certificate struct {
	ID            [16]byte
	SecurityLevel uint32 // 150, 2000 or 3000
	Flags         uint32
	Type          Type
	Digest        [32]byte // SHA-256 of the first key
	Expires       time.Time
	ClientID      [16]byte
	Device        *Device // nil for others
	Features      []uint32
	Keys          []Key
	Manufacturer  Manufacturer
	Issuer        ecc.PublicKey // that the signature names
	Signature     []byte
	Unknown       []Attribute // attributes that this package does not read

	Raw       []byte // all of the certificate
	SignedLen int    // bytes of Raw under the signature
}

// Device is what a device can take, in bytes and certificates.
type Device struct{ MaxLicense, MaxHeader, MaxChainDepth uint32 }

// Key is one key and what it may do.
type Key struct {
	Public ecc.PublicKey
	Flags  uint32
	Usages []Usage
}

// Manufacturer names who made the device.
type Manufacturer struct {
	Flags               uint32
	Name, Model, Number string
}

// Attribute is one that this package keeps as it is.
type Attribute struct {
	Flags, Tag uint16
	Body       []byte
}

// Key returns the first key that may be used so.
func (c *Certificate) Key(u Usage) (ecc.PublicKey, bool) {
	for _, k := range c.Keys {
		for _, usage := range k.Usages {
			if usage == u {
				return k.Public, true
			}
		}
	}
	return ecc.PublicKey{}, false
}

// VendorRoot returns Microsoft's root key, which real chains end at (sheet playready.md §10).
func VendorRoot() ecc.PublicKey { return vendorRoot }

var vendorRoot = ecc.PublicKey{
	0x86, 0x4d, 0x61, 0xcf, 0xf2, 0x25, 0x6e, 0x42, 0x2c, 0x56, 0x8b, 0x3c, 0x28, 0x00, 0x1c, 0xfb, 0x3e, 0x15, 0x27, 0x65, 0x85, 0x84, 0xba, 0x05, 0x21, 0xb7, 0x9b, 0x18, 0x28, 0xd9, 0x36, 0xde,
	0x1d, 0x82, 0x6a, 0x8f, 0xc3, 0xe6, 0xe7, 0xfa, 0x7a, 0x90, 0xd5, 0xca, 0x29, 0x46, 0xf1, 0xf6, 0x4a, 0x2e, 0xfb, 0x9f, 0x5d, 0xcf, 0xfe, 0x7e, 0x43, 0x4e, 0xb4, 0x42, 0x93, 0xfa, 0xc5, 0xab,
}

// reader takes big-endian fields off a buffer. After the first field that is not there it only says so.
type reader struct {
	buf []byte
	err error
}

func (r *reader) take(n int, what string) []byte {
	if r.err == nil && (n < 0 || n > len(r.buf)) {
		r.err = fmt.Errorf("%s: %d bytes are left, want %d", what, len(r.buf), n)
	}
	if r.err != nil {
		return make([]byte, max(0, min(n, basicLen)))
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) u32(what string) uint32 { return binary.BigEndian.Uint32(r.take(4, what)) }
func (r *reader) u16(what string) uint16 { return binary.BigEndian.Uint16(r.take(2, what)) }

// count reads a number of items that each need at least size bytes.
func (r *reader) count(what string, size, most int) int {
	n := r.u32(what)
	if r.err == nil && (n > uint32(most) || int(n)*size > len(r.buf)) {
		r.err = fmt.Errorf("%s: %d, of %d bytes or more each in %d bytes, at most %d", what, n, size, len(r.buf), most)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// end is an error if there are bytes left.
func (r *reader) end(what string) {
	if len(r.buf) > 0 {
		r.fail("%s: %d bytes too many", what, len(r.buf))
	}
}
