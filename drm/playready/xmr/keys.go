package xmr

import (
	"fmt"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
)

// KeyType says what a content key is for (sheet playready.md §9.3).
type KeyType uint16

// The key types of CENC content.
const (
	KeyAESCTR KeyType = 1
	KeyAESCBC KeyType = 5
)

// CipherType says how a content key is encrypted (sheet playready.md §9.3).
type CipherType uint16

// The cipher types. How a key is wrapped in the key of a chain's root is not public.
const (
	CipherChained      CipherType = 2
	CipherECC256       CipherType = 3
	CipherScalableRoot CipherType = 4
	CipherScalableLeaf CipherType = 6
)

const (
	contentKeyLen   = 22 // bytes before the encrypted key
	auxiliaryKeyLen = 20
	curveP256       = 1
)

// Keys are the content key, encrypted, and what it is encrypted with.
type Keys struct {
	KID          drm.KID
	KeyType      KeyType
	CipherType   CipherType
	EncryptedKey []byte        // not nil
	DeviceKey    ecc.PublicKey // it is encrypted for; zero if the license does not say

	Auxiliary []AuxiliaryKey // not nil if the license has the object, which makes it scalable
	UplinkX   *UplinkX       // of a scalable leaf
	Uplink    *Uplink        // of the leaf of a chain
}

// AuxiliaryKey is a key of a scalable license. It is no secret: it travels in the clear.
type AuxiliaryKey struct {
	Location uint32
	Key      [16]byte
}

// UplinkX binds a scalable leaf to its root.
type UplinkX struct {
	Root      drm.KID
	Checksum  []byte
	Locations []uint32 // of auxiliary keys
}

// Uplink binds the leaf of a chain to its root.
type Uplink struct {
	Root         drm.KID
	ChecksumType uint16
	Checksum     []byte
	Old          bool // object 0006, whose layout is not public, stands in the license; without a 003B all else is zero
}

func (l *License) readContentKey(b body) error {
	l.KID, l.KeyType, l.CipherType = drm.KID(b.guid()), KeyType(b.u16(16)), CipherType(b.u16(18))
	if n := int(b.u16(20)); n != len(b)-contentKeyLen {
		return fmt.Errorf("states a key of %d bytes, has %d", n, len(b)-contentKeyLen)
	}
	l.EncryptedKey = b[contentKeyLen:]
	return nil
}

func (l *License) readDeviceKey(b body) error {
	if b.u16(0) != curveP256 || b.u16(2) != ecc.PublicLen {
		return fmt.Errorf("curve %d with %d bytes, want curve %d with %d", b.u16(0), b.u16(2), curveP256, ecc.PublicLen)
	}
	var err error
	l.DeviceKey, err = ecc.ParsePublicKey(b[4:])
	return err
}

func (l *License) readAuxiliaryKeys(b body) error {
	n := int(b.u16(0))
	if len(b) != 2+n*auxiliaryKeyLen {
		return fmt.Errorf("states %d keys, %d bytes, has %d", n, n*auxiliaryKeyLen, len(b)-2)
	}
	l.Auxiliary = make([]AuxiliaryKey, n)
	for i := range l.Auxiliary {
		key := b[2+i*auxiliaryKeyLen:]
		l.Auxiliary[i] = AuxiliaryKey{key.u32(0), [16]byte(key[4:])}
	}
	return nil
}

func (l *License) readUplinkX(b body) error {
	sum := int(b.u16(16))
	if len(b) < 20+sum {
		return fmt.Errorf("states a checksum of %d bytes, has %d bytes for it", sum, len(b)-20)
	}
	n, locations := int(b.u16(18+sum)), b[20+sum:]
	if len(locations) != 4*n {
		return fmt.Errorf("states %d locations, %d bytes, has %d", n, 4*n, len(locations))
	}
	l.UplinkX = &UplinkX{Root: drm.KID(b.guid()), Checksum: b[18 : 18+sum], Locations: make([]uint32, n)}
	for i := range n {
		l.UplinkX.Locations[i] = locations.u32(4 * i)
	}
	return nil
}

func (l *License) readUplinkKID2(b body) error {
	if n := int(b.u16(18)); n != len(b)-20 {
		return fmt.Errorf("states a checksum of %d bytes, has %d", n, len(b)-20)
	}
	l.Uplink = &Uplink{Root: drm.KID(b.guid()), ChecksumType: b.u16(16), Checksum: b[20:], Old: l.Uplink != nil && l.Uplink.Old}
	return nil
}

func (l *License) readUplinkKID(body) error {
	if l.Uplink == nil {
		l.Uplink = &Uplink{}
	}
	l.Uplink.Old = true
	return nil
}
