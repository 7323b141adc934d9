package pssh

import (
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
	maxPRO          = 64 << 10 // bytes; 15 KiB are recommended
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

// ParsePRO reads a PlayReady object in its canonical form: the lengths are exact. The error is an [*Error].
func ParsePRO(b []byte) (PRO, error) {
	bad := func(offset int, expected, seen string) (PRO, error) {
		return PRO{}, &Error{Where: "PRO", Offset: int64(offset), Expected: expected, Seen: seen, Hint: hintLying}
	}
	switch {
	case len(b) > maxPRO:
		return bad(0, fmt.Sprintf("at most %d bytes", maxPRO), count(len(b), "byte"))
	case len(b) < lenPROHeader:
		return bad(0, fmt.Sprintf("at least %d bytes", lenPROHeader), count(len(b), "byte"))
	case int64(binary.LittleEndian.Uint32(b)) != int64(len(b)):
		return bad(0, fmt.Sprintf("length %d", len(b)), fmt.Sprintf("length %d", binary.LittleEndian.Uint32(b)))
	}
	var p PRO
	n, at := int(binary.LittleEndian.Uint16(b[4:])), lenPROHeader
	for i := range n {
		if len(b)-at < lenRecordHeader {
			return bad(at, fmt.Sprintf("record %d of %d", i+1, n), count(len(b)-at, "byte"))
		}
		r := Record{Type: binary.LittleEndian.Uint16(b[at:])}
		size := int(binary.LittleEndian.Uint16(b[at+2:]))
		at += lenRecordHeader
		switch {
		case size > len(b)-at:
			return bad(at, fmt.Sprintf("record %d of %s", i+1, count(size, "byte")), count(len(b)-at, "byte"))
		case r.Type == RecordHeader && size%2 != 0:
			return bad(at, "a header of UTF-16, an even number of bytes", count(size, "byte"))
		}
		r.Value = append([]byte(nil), b[at:at+size]...)
		p.Records = append(p.Records, r)
		at += size
	}
	if at != len(b) {
		return bad(at, "the end after the last record", count(len(b)-at, "byte"))
	}
	return p, nil
}

// PlayReadyHeader returns the header in a PlayReady box's Data. The error is an [*Error].
func PlayReadyHeader(box Box) (*WRMHeader, error) {
	if box.SystemID != PlayReadySystemID {
		return nil, &Error{Offset: -1, Expected: "a box of PlayReady", Seen: "one of " + label(box.SystemID)}
	}
	p, err := ParsePRO(box.Data)
	if err != nil {
		return nil, err
	}
	header := p.Header()
	if header == nil {
		return nil, &Error{Where: "PRO", Offset: -1, Expected: "a header record", Seen: count(len(p.Records), "record") + " of other types"}
	}
	return ParseWRMHeader(header)
}

// PlayReadyBox returns a box of version 0 that holds the header alone.
func PlayReadyBox(h WRMHeader) (Box, error) {
	text, err := h.Build()
	if err != nil {
		return Box{}, err
	}
	return boxOfPRO(PRO{Records: []Record{{Type: RecordHeader, Value: text}}}.Bytes())
}

func boxOfPRO(pro []byte) (Box, error) {
	box := Box{SystemID: PlayReadySystemID, Data: pro}
	var err error
	box.Raw, err = Build(box)
	return box, err
}
