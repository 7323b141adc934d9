package pssh

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"keyflow/drm"
)

// Lengths in bytes of the parts of a pssh box after its size and type (ISO/IEC 23001-7, 8.1.2).
const (
	lenVersionFlags = 4
	lenSystemID     = 16
	lenCount        = 4 // KID_count, and DataSize as well
	lenKID          = 16
)

// errVersion marks the error for a box of an undefined version: a list goes on behind it.
var errVersion = errors.New("undefined version of pssh box")

// Parse reads one or several concatenated pssh boxes, versions 0 and 1, with 32-bit, 64-bit and to-the-end sizes. EME's
// "cenc" initialization data is such a concatenation.
//
// A box of an undefined version is skipped with a note when there are others, and an error when there are none. An error
// is an [*Error]; the boxes before it are returned with it.
func Parse(b []byte, mode Mode) ([]Box, []Note, error) {
	found, notes, err := parseList(b, mode)
	return boxesOf(found), notes, err
}

func boxesOf(found []Found) []Box {
	var boxes []Box
	for _, f := range found {
		boxes = append(boxes, f.Box)
	}
	return boxes
}

// parseList does the work of [Parse] and tells the boxes' places as well.
func parseList(b []byte, mode Mode) ([]Found, []Note, error) {
	p := parser{mode: mode}
	err := p.list(b)
	if err == nil && len(p.found) == 0 && p.skipped != nil {
		return nil, nil, p.skipped
	}
	if err == nil && len(p.found) == 0 {
		err = &Error{Offset: 0, Expected: "a pssh box of at least 32 bytes", Seen: count(len(b), "byte") + " without one",
			Hint: "give the whole box, from its size field on"}
	}
	if err != nil {
		return p.found, p.notes, err
	}
	return p.found, p.notes, nil
}

// parser collects what is read from one list of boxes.
type parser struct {
	mode    Mode
	found   []Found
	notes   []Note
	skipped *Error // the first box of an undefined version
}

// list reads boxes to the end of b.
func (p *parser) list(b []byte) *Error {
	for pos, n := 0, 1; pos < len(b); n++ {
		where, offset := fmt.Sprintf("pssh[%d]", n), int64(pos)
		if n > maxItems {
			return &Error{Offset: offset, Expected: fmt.Sprintf("at most %d boxes", maxItems), Seen: "more"}
		}
		h, err := readHeader(b[pos:])
		if err != nil && n > 1 && len(b)-pos < 8 {
			return p.tolerate(&Error{Offset: offset, Expected: "the end of the input after the last box",
				Seen: count(len(b)-pos, "trailing byte"), Hint: hintCut})
		}
		if err != nil {
			return err.within(where, offset)
		}
		if err := p.one(b[pos:pos+h.size], h, where, offset); err != nil {
			return err
		}
		pos += h.size
	}
	return nil
}

// one reads the box raw, or skips it if it may be skipped.
func (p *parser) one(raw []byte, h header, where string, offset int64) *Error {
	if !h.is("pssh") {
		return p.tolerate(&Error{Where: where, Offset: offset, Expected: "a box of type pssh",
			Seen: "type " + quote(string(h.kind[:])), Hint: "give the pssh boxes alone, or a whole init or media segment"})
	}
	box, notes, err := parseBox(raw, h, p.mode)
	if err != nil {
		err = err.within(where, offset)
		if !errors.Is(err, errVersion) {
			return err
		}
		p.notes = append(p.notes, Note{Where: where, Offset: offset, Text: "box skipped: " + err.Seen + " is not defined"})
		if p.skipped == nil {
			p.skipped = err
		}
		return nil
	}
	for _, text := range notes {
		p.notes = append(p.notes, Note{Where: where, Offset: offset, Text: text})
	}
	p.found = append(p.found, Found{Box: box, Place: Place{Path: where, Offset: offset}})
	return nil
}

// tolerate returns the error in strict mode; in lenient mode it becomes a note.
func (p *parser) tolerate(err *Error) *Error {
	if p.mode == Strict {
		return err
	}
	p.notes = append(p.notes, Note{Where: err.Where, Offset: err.Offset, Text: err.Seen + ", expected " + err.Expected})
	return nil
}

// parseBox reads the pssh box raw, whose header is h. The error carries no place.
func parseBox(raw []byte, h header, mode Mode) (Box, []string, *Error) {
	raw = bytes.Clone(raw)
	r := raw[h.body:]
	if len(r) > 0 && r[0] > 1 {
		return Box{}, nil, &Error{Offset: -1, Expected: "version 0 or 1", Seen: fmt.Sprintf("version %d", r[0]),
			Hint: "ISO/IEC 23001-7 defines no such pssh box: check that the bytes are a pssh box and complete", Err: errVersion}
	}
	least := lenVersionFlags + lenSystemID + lenCount
	if len(r) > 0 && r[0] == 1 {
		least += lenCount
	}
	if len(r) < least {
		return Box{}, nil, &Error{Offset: -1, Expected: fmt.Sprintf("a pssh box of at least %d bytes", h.body+least),
			Seen: fmt.Sprintf("size %d", len(raw)), Hint: hintLying}
	}
	box := Box{Version: r[0], Flags: binary.BigEndian.Uint32(r) & 0xFFFFFF, SystemID: drm.SystemID(r[4:20]), Raw: raw}
	r = r[lenVersionFlags+lenSystemID:]
	var err *Error
	if box.Version == 1 {
		if box.KIDs, r, err = readKIDs(r); err != nil {
			return Box{}, nil, err
		}
	}
	size := binary.BigEndian.Uint32(r)
	r = r[lenCount:]
	if uint64(size) > uint64(len(r)) {
		return Box{}, nil, &Error{Offset: -1, Expected: fmt.Sprintf("%s of Data, as DataSize says", count(size, "byte")),
			Seen: count(len(r), "byte") + " left in the box", Hint: hintLying}
	}
	box.Data = r[:size:size]
	notes, err := oddities(box, len(r)-int(size), mode)
	return box, notes, err
}

// readKIDs reads KID_count and the KIDs from r, which must hold DataSize as well, and returns what follows them.
func readKIDs(r []byte) ([]drm.KID, []byte, *Error) {
	n := uint64(binary.BigEndian.Uint32(r))
	r = r[lenCount:]
	if n*lenKID > uint64(len(r)-lenCount) {
		return nil, nil, &Error{Offset: -1, Expected: fmt.Sprintf("%d bytes of KIDs, as KID_count %d says, and DataSize", n*lenKID, n),
			Seen: count(len(r), "byte") + " left in the box", Hint: hintLying}
	}
	kids := make([]drm.KID, n)
	for i := range kids {
		kids[i] = drm.KID(r[i*lenKID:])
	}
	return kids, r[n*lenKID:], nil
}

// oddities returns what is strange about a readable box; in strict mode trailing bytes are an error.
func oddities(box Box, trailing int, mode Mode) ([]string, *Error) {
	var notes []string
	if trailing > 0 {
		seen := count(trailing, "trailing byte") + " inside the box after Data"
		if mode == Strict {
			return nil, &Error{Offset: -1, Expected: "the end of the box after Data", Seen: seen, Hint: hintLying}
		}
		notes = append(notes, seen)
	}
	if box.Flags != 0 {
		notes = append(notes, fmt.Sprintf("flags are %06x, not 0", box.Flags))
	}
	if box.SystemID == CommonSystemID && len(box.Data) > 0 {
		notes = append(notes, count(len(box.Data), "byte")+" of Data in a common box, where Data is ignored")
	}
	return notes, nil
}

// Build returns the box in the form of ISO/IEC 23001-7 with a 32-bit size. It reads every field but Raw. What [Parse]
// makes of the result equals the box, Raw apart.
func Build(box Box) ([]byte, error) {
	switch {
	case box.Version > 1:
		return nil, fmt.Errorf("build pssh box: version %d is not defined, want 0 or 1", box.Version)
	case box.Version == 0 && len(box.KIDs) > 0:
		return nil, fmt.Errorf("build pssh box: version 0 has no KID list, but there are %s", count(len(box.KIDs), "KID"))
	case box.Flags > 0xFFFFFF:
		return nil, fmt.Errorf("build pssh box: flags %x do not fit in 24 bits", box.Flags)
	}
	size := uint64(8+lenVersionFlags+lenSystemID+lenCount) + uint64(len(box.Data))
	if box.Version == 1 {
		size += lenCount + lenKID*uint64(len(box.KIDs))
	}
	if size > math.MaxUint32 {
		return nil, fmt.Errorf("build pssh box: %d bytes do not fit a 32-bit size", size)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, size), uint32(size))
	b = append(b, "pssh"...)
	b = binary.BigEndian.AppendUint32(b, uint32(box.Version)<<24|box.Flags)
	b = append(b, box.SystemID[:]...)
	if box.Version == 1 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(box.KIDs)))
		for _, kid := range box.KIDs {
			b = append(b, kid[:]...)
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(box.Data)))
	return append(b, box.Data...), nil
}
