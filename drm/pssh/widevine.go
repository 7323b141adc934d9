package pssh

import (
	"bytes"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"keyflow/drm"
)

// MaxWidevineData is the length in bytes of the longest Widevine data that is read. A thousand KIDs take 18,000.
const MaxWidevineData = 256 << 10

// WidevineData is the content of a Widevine pssh box, a serialized WidevinePsshData (sheet widevine.md §4.12). A nil
// pointer or slice is an absent field. Enumerations and numbers are kept as they are, known or not.
type WidevineData struct {
	Algorithm           *Algorithm // deprecated
	KeyIDs              []drm.KID  // the key_ids of 16 bytes
	OddKeyIDs           [][]byte   // key_ids of any other length, which are no KIDs
	Provider            *string    // deprecated
	ContentID           []byte
	TrackType           *string // deprecated: SD, HD, AUDIO
	Policy              *string // deprecated
	CryptoPeriodIndex   *uint32 // key rotation
	GroupedLicense      []byte  // deprecated
	ProtectionScheme    *uint32 // a four-character code in big-endian byte order, see [WidevineData.Scheme]
	CryptoPeriodSeconds *uint32
	Type                *DataType
	KeySequence         *uint32
	GroupIDs            [][]byte
	EntitledKeys        []EntitledKey
	VideoFeature        *string
	Unknown             []UnknownField // in order
	Notes               []Note         // what is odd, with offsets in the data; at most 100
}

// EntitledKey is a content key that the box itself carries, wrapped with an entitlement key that the license brings.
type EntitledKey struct {
	EntitlementKeyID []byte
	KeyID            []byte
	Key              []byte // wrapped, and public as the box is
	IV               []byte
	KeySize          *uint32 // of the entitlement key in bytes; absent is 32
	Unknown          []UnknownField
}

// UnknownField is a protobuf field that the schema does not have, or has with another wire type.
type UnknownField struct {
	Number int32
	Raw    []byte // tag and value
}

// Algorithm is the deprecated first field of Widevine data.
type Algorithm uint32

// The algorithms.
const (
	Unencrypted Algorithm = 0
	AESCTR      Algorithm = 1
)

// String returns the name in the schema, or the number.
func (a Algorithm) String() string { return enumName(uint32(a), "UNENCRYPTED", "AESCTR") }

// DataType says what the keys of Widevine data are.
type DataType uint32

// The data types. An absent type is TypeSingle.
const (
	TypeSingle      DataType = 0
	TypeEntitlement DataType = 1
	TypeEntitledKey DataType = 2
)

// String returns the name in the schema, or the number.
func (t DataType) String() string {
	return enumName(uint32(t), "SINGLE", "ENTITLEMENT", "ENTITLED_KEY")
}

func enumName(v uint32, names ...string) string {
	if uint64(v) < uint64(len(names)) {
		return names[v]
	}
	return strconv.FormatUint(uint64(v), 10)
}

// Scheme returns the protection scheme that the data states; present is false if it states none, which means cenc. A
// number that is no four-character code comes back in hexadecimal.
func (d *WidevineData) Scheme() (scheme drm.Scheme, present bool) {
	if d.ProtectionScheme == nil {
		return drm.SchemeCENC, false
	}
	return schemeOf(*d.ProtectionScheme), true
}

func schemeOf(v uint32) drm.Scheme {
	code := [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	for _, c := range code {
		if c < ' ' || c > '~' {
			return drm.Scheme(fmt.Sprintf("0x%08x", v))
		}
	}
	return drm.Scheme(code[:])
}

// ParseWidevineData reads the Data of a Widevine box. Unknown fields are kept; of a field that should stand once the last
// value counts, as protobuf wants it. An error is an [*Error] whose offset is in the data.
func ParseWidevineData(b []byte) (WidevineData, error) {
	var d WidevineData
	if len(b) > MaxWidevineData {
		return d, &Error{Where: whereData, Offset: -1, Expected: fmt.Sprintf("at most %d bytes", MaxWidevineData), Seen: count(len(b), "byte")}
	}
	r := &wireReader{b: bytes.Clone(b)}
	if err := r.fields(0, len(r.b), d.set, &d.Unknown); err != nil {
		return WidevineData{}, err
	}
	if d.ProtectionScheme != nil {
		switch s := schemeOf(*d.ProtectionScheme); s {
		case drm.SchemeCENC, drm.SchemeCENS, drm.SchemeCBC1, drm.SchemeCBCS:
		default:
			r.note(-1, "protection_scheme "+strconv.Quote(string(s))+" is none of cenc, cens, cbc1, cbcs")
		}
	}
	d.Notes = r.notes
	return d, nil
}

// set takes over one field and reports whether the schema has it.
func (d *WidevineData) set(r *wireReader, f wireField) bool {
	switch f.num {
	case 1:
		return setNumber(r, f, &d.Algorithm)
	case 2:
		return d.addKeyID(r, f)
	case 3:
		return setString(r, f, &d.Provider)
	case 4:
		return setBytes(r, f, &d.ContentID)
	case 5:
		return setString(r, f, &d.TrackType)
	case 6:
		return setString(r, f, &d.Policy)
	case 7:
		return setNumber(r, f, &d.CryptoPeriodIndex)
	case 8:
		return setBytes(r, f, &d.GroupedLicense)
	case 9:
		return setNumber(r, f, &d.ProtectionScheme)
	case 10:
		return setNumber(r, f, &d.CryptoPeriodSeconds)
	case 11:
		return setNumber(r, f, &d.Type)
	case 12:
		return setNumber(r, f, &d.KeySequence)
	case 13:
		return addBytes(f, &d.GroupIDs)
	case 14:
		return d.addEntitledKey(r, f)
	case 15:
		return setString(r, f, &d.VideoFeature)
	}
	return false
}

func (d *WidevineData) addKeyID(r *wireReader, f wireField) bool {
	if f.typ != protowire.BytesType {
		return false
	}
	if kid, ok := drm.KIDFromBytes(f.bytes); ok {
		d.KeyIDs = append(d.KeyIDs, kid)
		return true
	}
	d.OddKeyIDs = append(d.OddKeyIDs, f.bytes)
	r.note(f.offset, fmt.Sprintf("key_id of %s, not 16: it is no KID", count(len(f.bytes), "byte")))
	return true
}

func (d *WidevineData) addEntitledKey(r *wireReader, f wireField) bool {
	if f.typ != protowire.BytesType {
		return false
	}
	var k EntitledKey
	inner := wireReader{b: r.b, count: r.count, notes: r.notes}
	err := inner.fields(f.value, f.value+len(f.bytes), k.set, &k.Unknown)
	r.count, r.notes = inner.count, inner.notes
	if err != nil {
		r.note(f.offset, "entitled_keys entry cannot be read: "+err.Error())
		return false
	}
	d.EntitledKeys = append(d.EntitledKeys, k)
	return true
}

// set takes over one field and reports whether the schema has it.
func (k *EntitledKey) set(r *wireReader, f wireField) bool {
	switch f.num {
	case 1:
		return setBytes(r, f, &k.EntitlementKeyID)
	case 2:
		return setBytes(r, f, &k.KeyID)
	case 3:
		return setBytes(r, f, &k.Key)
	case 4:
		return setBytes(r, f, &k.IV)
	case 5:
		return setNumber(r, f, &k.KeySize)
	}
	return false
}
