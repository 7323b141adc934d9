package pssh

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// whereData is the place of errors in Widevine data.
const whereData = "Widevine data"

// maxFields bounds the fields of one piece of Widevine data, those inside others included; more KIDs than that do not fit
// it. maxDataNotes bounds the notes on it.
const (
	maxFields    = 1 << 14
	maxDataNotes = 100
)

// wireReader reads the fields of a protobuf message. The values it hands out are parts of b.
type wireReader struct {
	b     []byte
	seen  uint32 // single fields so far, a bit for each number
	count int    // fields so far
	notes []Note
}

// wireField is one field as it stands on the wire.
type wireField struct {
	num    protowire.Number
	typ    protowire.Type
	offset int    // of the tag
	value  int    // offset of the bytes
	number uint64 // of varint fields
	bytes  []byte // of length-delimited fields
}

// fields hands every field between two offsets to set, and keeps those that set does not take as unknown.
func (r *wireReader) fields(from, to int, set func(*wireReader, wireField) bool, unknown *[]UnknownField) error {
	for pos := from; pos < to; {
		if r.count++; r.count > maxFields {
			return &Error{Where: whereData, Offset: int64(pos), Expected: fmt.Sprintf("at most %d protobuf fields", maxFields), Seen: "more",
				Hint: "the box's Data is damaged or not Widevine's"}
		}
		f := wireField{offset: pos}
		rest := r.b[pos:to]
		var tag, n int
		f.num, f.typ, tag = protowire.ConsumeTag(rest)
		if tag < 0 {
			return r.malformed(pos, "a protobuf field tag", tag)
		}
		if n = protowire.ConsumeFieldValue(f.num, f.typ, rest[tag:]); n < 0 {
			return r.malformed(pos, fmt.Sprintf("a value of protobuf field %d", f.num), n)
		}
		switch f.typ {
		case protowire.VarintType:
			f.number, _ = protowire.ConsumeVarint(rest[tag:])
		case protowire.BytesType:
			v, _ := protowire.ConsumeBytes(rest[tag:])
			f.value = pos + tag + n - len(v)
			f.bytes = v[:len(v):len(v)]
		}
		end := tag + n
		if !set(r, f) {
			*unknown = append(*unknown, UnknownField{Number: int32(f.num), Raw: rest[:end:end]})
		}
		pos += end
	}
	return nil
}

// malformed returns the error for input that is not protobuf.
func (r *wireReader) malformed(pos int, expected string, code int) error {
	cause := protowire.ParseError(code)
	return &Error{Where: whereData, Offset: int64(pos), Expected: expected, Seen: printable(cause.Error()),
		Hint: "the box's Data is damaged or not Widevine's", Err: cause}
}

func (r *wireReader) note(offset int, text string) {
	switch {
	case len(r.notes) == maxDataNotes:
	case len(r.notes) == maxDataNotes-1:
		r.notes = append(r.notes, Note{Where: whereData, Offset: -1, Text: "further notes left out"})
	default:
		r.notes = append(r.notes, Note{Where: whereData, Offset: int64(offset), Text: text})
	}
}

// once notes a field that should stand once and is there again.
func (r *wireReader) once(f wireField) {
	if bit := uint32(1) << f.num; r.seen&bit == 0 {
		r.seen |= bit
	} else {
		r.note(f.offset, fmt.Sprintf("field %d stands more than once: the last value counts", f.num))
	}
}

// setNumber takes a varint or, as lenient decoders do, the last of a packed list of them.
func setNumber[T ~uint32](r *wireReader, f wireField, dst **T) bool {
	v := f.number
	switch f.typ {
	case protowire.VarintType:
	case protowire.BytesType:
		var found, ok bool
		if v, found, ok = lastPacked(f.bytes); !ok {
			return false
		}
		r.note(f.offset, fmt.Sprintf("field %d is in packed form", f.num))
		if !found {
			return true
		}
	default:
		return false
	}
	r.once(f)
	if v > math.MaxUint32 {
		r.note(f.offset, fmt.Sprintf("field %d does not fit in 32 bits: the low ones count", f.num))
	}
	t := T(uint32(v))
	*dst = &t
	return true
}

// lastPacked returns the last of the varints in b, whether there is one, and whether b is nothing but varints.
func lastPacked(b []byte) (v uint64, found, ok bool) {
	for len(b) > 0 {
		n := 0
		if v, n = protowire.ConsumeVarint(b); n < 0 {
			return 0, false, false
		}
		found, b = true, b[n:]
	}
	return v, found, true
}

func setString(r *wireReader, f wireField, dst **string) bool {
	if f.typ != protowire.BytesType {
		return false
	}
	r.once(f)
	s := string(f.bytes)
	*dst = &s
	return true
}

func setBytes(r *wireReader, f wireField, dst *[]byte) bool {
	if f.typ != protowire.BytesType {
		return false
	}
	r.once(f)
	*dst = f.bytes
	return true
}

func addBytes(f wireField, dst *[][]byte) bool {
	if f.typ != protowire.BytesType {
		return false
	}
	*dst = append(*dst, f.bytes)
	return true
}

// Marshal returns the serialized form: known fields by number, then the unknown ones. What [ParseWidevineData] makes of
// it equals d, notes apart; odd key_ids come after the KIDs.
func (d *WidevineData) Marshal() []byte {
	var b []byte
	b = appendNumber(b, 1, d.Algorithm)
	for _, kid := range d.KeyIDs {
		b = appendBytes(b, 2, kid[:])
	}
	for _, id := range d.OddKeyIDs {
		b = appendAll(b, 2, id)
	}
	b = appendString(b, 3, d.Provider)
	b = appendBytes(b, 4, d.ContentID)
	b = appendString(b, 5, d.TrackType)
	b = appendString(b, 6, d.Policy)
	b = appendNumber(b, 7, d.CryptoPeriodIndex)
	b = appendBytes(b, 8, d.GroupedLicense)
	b = appendNumber(b, 9, d.ProtectionScheme)
	b = appendNumber(b, 10, d.CryptoPeriodSeconds)
	b = appendNumber(b, 11, d.Type)
	b = appendNumber(b, 12, d.KeySequence)
	for _, id := range d.GroupIDs {
		b = appendAll(b, 13, id)
	}
	for i := range d.EntitledKeys {
		b = appendAll(b, 14, d.EntitledKeys[i].marshal())
	}
	b = appendString(b, 15, d.VideoFeature)
	return appendUnknown(b, d.Unknown)
}

func (k *EntitledKey) marshal() []byte {
	var b []byte
	b = appendBytes(b, 1, k.EntitlementKeyID)
	b = appendBytes(b, 2, k.KeyID)
	b = appendBytes(b, 3, k.Key)
	b = appendBytes(b, 4, k.IV)
	b = appendNumber(b, 5, k.KeySize)
	return appendUnknown(b, k.Unknown)
}

func appendNumber[T ~uint32](b []byte, num protowire.Number, v *T) []byte {
	if v == nil {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(*v))
}

func appendString(b []byte, num protowire.Number, s *string) []byte {
	if s == nil {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), *s)
}

// appendBytes appends a field unless it is absent.
func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	return appendAll(b, num, v)
}

// appendAll appends an element of a repeated field, which is there even if empty.
func appendAll(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendUnknown(b []byte, fields []UnknownField) []byte {
	for _, f := range fields {
		b = append(b, f.Raw...)
	}
	return b
}
