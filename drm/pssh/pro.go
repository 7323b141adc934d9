package pssh

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The types of a PlayReady object's records.
const (
	RecordHeader        = 1 // a WRMHEADER in UTF-16LE
	RecordEmbeddedStore = 3 // an embedded license store
)

const (
	lenPROHeader    = 6
	lenRecordHeader = 4
	maxPRO          = 64 << 10 // bytes; more than a device takes, see advisedPRO
	advisedPRO      = 15 << 10 // bytes; devices state as much as their limit (sheet playready.md §3, §10)
)

// PRO is a PlayReady object, the Data of a PlayReady box: records in little-endian framing (sheet playready.md §3).
type PRO struct {
	Records []Record
}

// Record is one record of a PlayReady object. Types that are not known are kept.
type Record struct {
	Type  uint16
	Value []byte
}

// Header returns the value of the first header record, nil if there is none.
func (p PRO) Header() []byte {
	for _, r := range p.Records {
		if r.Type == RecordHeader {
			return r.Value
		}
	}
	return nil
}

// Bytes returns the object in its framing. A record that is longer than a 16-bit length can say makes an object that
// [ParsePRO] refuses.
func (p PRO) Bytes() []byte {
	b := make([]byte, lenPROHeader)
	for _, r := range p.Records {
		b = binary.LittleEndian.AppendUint16(b, r.Type)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Value)))
		b = append(b, r.Value...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], uint16(len(p.Records)))
	return b
}

// ParsePRO reads a PlayReady object in its canonical form: the lengths are exact. The error is an [*Error], with the offset in
// the object.
func ParsePRO(b []byte) (PRO, error) {
	p, _, err := ReadPRO(b, Strict)
	return p, err
}

// ReadPRO reads a PlayReady object. [Strict] takes the canonical form alone. [Lenient] also takes, with a note, what stands in
// some boxes instead (sheet playready.md §2): a header in UTF-16LE without framing, and a header record without the object's
// length and count. The error is an [*Error], with the offset in the object.
func ReadPRO(b []byte, mode Mode) (PRO, []Note, error) {
	p, err := parsePRO(b)
	if err == nil {
		return p, nil, nil
	}
	if mode == Strict || len(b) > maxPRO {
		return PRO{}, nil, err
	}
	header, form := bareHeader(b)
	if form == "" {
		return PRO{}, nil, err
	}
	p = PRO{Records: []Record{{Type: RecordHeader, Value: bytes.Clone(header)}}}
	return p, []Note{{Where: wherePRO, Offset: 0, Text: form + ": clients need not accept it"}}, nil
}

const wherePRO = "PRO"

// bareHeader returns the header in bytes that are no object, and says in which form they are; the form is "" if they are
// none. A record of another type could not be told from noise.
func bareHeader(b []byte) (header []byte, form string) {
	utf16LE := func(b []byte) bool {
		return len(b)%2 == 0 && bytes.HasPrefix(bytes.TrimPrefix(b, []byte("\xff\xfe")), []byte("<\x00"))
	}
	switch {
	case utf16LE(b):
		return b, "a bare WRMHEADER without a PlayReady object around it"
	case len(b) < lenRecordHeader:
		return nil, ""
	}
	value := b[lenRecordHeader:]
	if binary.LittleEndian.Uint16(b) == RecordHeader && int(binary.LittleEndian.Uint16(b[2:])) == len(value) && utf16LE(value) {
		return value, "a single record without the length and count of a PlayReady object"
	}
	return nil, ""
}

func parsePRO(b []byte) (PRO, error) {
	bad := func(where string, offset int, expected, seen string) (PRO, error) {
		return PRO{}, &Error{Where: where, Offset: int64(offset), Expected: expected, Seen: seen, Hint: hintLying}
	}
	switch {
	case len(b) > maxPRO:
		return bad(wherePRO, 0, fmt.Sprintf("at most %d bytes", maxPRO), count(len(b), "byte"))
	case len(b) < lenPROHeader:
		return bad(wherePRO, 0, fmt.Sprintf("at least %d bytes", lenPROHeader), count(len(b), "byte"))
	case int64(binary.LittleEndian.Uint32(b)) != int64(len(b)):
		return bad(wherePRO, 0, fmt.Sprintf("length %d", len(b)), fmt.Sprintf("length %d", binary.LittleEndian.Uint32(b)))
	}
	var p PRO
	n, at := int(binary.LittleEndian.Uint16(b[4:])), lenPROHeader
	for i := range n {
		if len(b)-at < lenRecordHeader {
			return bad(wherePRO, at, fmt.Sprintf("record %d of %d", i+1, n), count(len(b)-at, "byte"))
		}
		r, where := Record{Type: binary.LittleEndian.Uint16(b[at:])}, recordPath(i)
		size, left := int(binary.LittleEndian.Uint16(b[at+2:])), len(b)-at-lenRecordHeader
		switch {
		case size > left:
			return bad(where, at, "a value of "+count(size, "byte"), count(left, "byte"))
		case r.Type == RecordHeader && size%2 != 0:
			return bad(where, at, "a header of UTF-16, an even number of bytes", count(size, "byte"))
		}
		at += lenRecordHeader
		r.Value = bytes.Clone(b[at : at+size])
		p.Records = append(p.Records, r)
		at += size
	}
	if at != len(b) {
		return bad(wherePRO, at, "the end after the last record", count(len(b)-at, "byte"))
	}
	return p, nil
}

// recordPath returns the path of the record of an index.
func recordPath(i int) string { return fmt.Sprintf("%s/record[%d]", wherePRO, i+1) }

// offset returns where the value of the record of an index begins in an object of size bytes. It counts from the end, because
// records always run to it and not all forms of an object have the same head.
func (p PRO) offset(i, size int) int64 {
	for _, r := range p.Records[i+1:] {
		size -= lenRecordHeader + len(r.Value)
	}
	return int64(size - len(p.Records[i].Value))
}
