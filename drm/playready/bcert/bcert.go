// Package bcert reads, verifies and issues PlayReady's binary certificate chains and the revocation lists that go with them
// (sheet playready.md §8.2, §10). All integers are big-endian. Lengths of keys are bits here, and bytes in licenses.
package bcert

import (
	"math"
	"slices"
	"time"

	"keyflow/drm/playready/ecc"
)

// The tags of attributes (sheet playready.md §10). Tags between the first and the last known one that this package does not
// read are known by name.
const (
	tagBasic         = 0x0001
	tagDevice        = 0x0004
	tagFeatures      = 0x0005
	tagKeys          = 0x0006
	tagManufacturer  = 0x0007
	tagSignature     = 0x0008
	tagExtendedFirst = 0x000b
	tagExtendedLast  = 0x000e
	tagFirstKnown    = 0x0001
	tagLastKnown     = 0x0011
)

const (
	flagMustUnderstand = 1
	flagExtended       = 1 // of the basic information: attributes may follow the signature
	neverExpires       = math.MaxUint32
	keyTypeP256        = 1
	keyBits            = 8 * ecc.PublicLen
	signatureECDSA     = 1
)

// Lengths of parts, in bytes.
const (
	certHeaderLen      = 16
	attributeHeaderLen = 8
	signatureBodyLen   = 136
	minKeyLen          = 76
)

// Bounds of what is read.
const (
	MaxChainLen     = 64 << 10 // bytes
	MaxCertificates = 32       // well above [MaxDepth], so that a chain that is too deep is read and refused for being so
	maxKeys         = 16
	maxUsages       = 32
	maxFeatures     = 32 // sheet playready.md §10
	maxAttributes   = 32
)

// Chain is a certificate chain, leaf first. The root is a key, not a certificate, and is not in it. Chains come from [Parse]
// and [Join]; the caller must not change them.
type Chain struct {
	Certificates []*Certificate // at least one
	Raw          []byte
}

// Leaf returns the certificate of the chain's owner.
func (c *Chain) Leaf() *Certificate { return c.Certificates[0] }

// Certificate is one certificate. Those of a chain are parts of its Raw; the caller must not change them.
type Certificate struct {
	ID            [16]byte
	SecurityLevel uint32 // 150, 2000 or 3000; 0 is unspecified
	Flags         uint32
	Type          Type
	Digest        [32]byte  // SHA-256 of the first key; revocation lists name it
	Expires       time.Time // zero: never
	ClientID      [16]byte
	Device        *Device // nil for others
	Features      []uint32
	Keys          []Key // at least one
	Manufacturer  Manufacturer
	Unknown       []Attribute   // attributes under the signature that this package does not read
	Issuer        ecc.PublicKey // that the signature names
	Signature     []byte
	Extended      []Attribute // attributes after the signature, which does not cover them

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

// May reports whether the key may be used so.
func (k Key) May(u Usage) bool { return slices.Contains(k.Usages, u) }

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

// MustUnderstand reports whether a reader that does not know the attribute must refuse the certificate.
func (a Attribute) MustUnderstand() bool { return a.Flags&flagMustUnderstand != 0 }

// known reports whether the sheet names the attribute.
func (a Attribute) known() bool { return a.Tag >= tagFirstKnown && a.Tag <= tagLastKnown }

// Key returns the first key that may be used so.
func (c *Certificate) Key(u Usage) (ecc.PublicKey, bool) {
	for _, k := range c.Keys {
		if k.May(u) {
			return k.Public, true
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
