package pssh

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
)

// isBMFF reports whether the input begins with a box that ISO BMFF files and segments begin with.
func isBMFF(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	switch string(data[4:8]) {
	case "ftyp", "styp", "moov", "moof", "mdat", "sidx", "ssix", "emsg", "prft", "free", "skip", "wide", "pdin", "meta", "uuid":
		return true
	}
	return false
}

// child is a box inside another one, or at the top of the file.
type child struct {
	header
	raw    []byte
	offset int64 // from the start of the input
}

func (c child) content() ([]byte, int64) { return c.raw[c.body:], c.offset + int64(c.body) }

// bmffReader walks an ISO BMFF file. It goes only where pssh and tenc boxes are and decodes nothing else: a whole-file
// decoder would allocate what the sizes and counts of every other box claim.
type bmffReader struct{ c *Content }

// readBMFF lists the pssh boxes of moov and moof (and stray ones at the top), and the default_KID of every track.
func readBMFF(c *Content, data []byte) {
	r := bmffReader{c}
	var moovs, moofs, strays int
	r.children(data, 0, "", func(b child) {
		switch {
		case b.is("moov"):
			moovs++
			r.moov(b, nth("moov", moovs))
		case b.is("moof"):
			moofs++
			r.boxes(b, fmt.Sprintf("moof[%d]", moofs), nil)
		case b.is("pssh"):
			strays++
			p := Place{Path: fmt.Sprintf("pssh[%d]", strays), Offset: b.offset}
			r.pssh(b, p)
			c.addNote(p, "pssh box outside of moov and moof, where players do not look for it")
		}
	})
	switch {
	case moovs > 0 && moofs == 0:
		c.Kind = KindInit
	case moofs > 0 && moovs == 0:
		c.Kind = KindMedia
	}
}

// nth names the only box of its kind without a position.
func nth(name string, n int) string {
	if n == 1 {
		return name
	}
	return fmt.Sprintf("%s[%d]", name, n)
}

// children calls visit for every box that lies directly in b, which starts at base. A box that does not fit ends the
// walk through b and is a problem.
func (r bmffReader) children(b []byte, base int64, where string, visit func(child)) {
	for pos := 0; pos < len(b); {
		offset := base + int64(pos)
		h, err := readHeader(b[pos:])
		if err == nil && h.toEnd && where != "" {
			err = &Error{Expected: "a box with a size, as every box inside another one has", Seen: "size 0", Hint: hintLying}
		}
		if err != nil && where != "" && len(b)-pos < 8 { // QuickTime ends some lists with four zero bytes
			r.c.addNote(Place{Path: where, Offset: offset}, count(len(b)-pos, "stray byte")+" at the end of the box")
			return
		}
		if err != nil {
			r.c.addProblem(err.within(where, offset))
			return
		}
		visit(child{header: h, raw: b[pos : pos+h.size], offset: offset})
		pos += h.size
	}
}

// descend calls visit for every box at the path of types below b, which lies at where.
func (r bmffReader) descend(b []byte, base int64, where string, path []string, visit func(c child, where string)) {
	r.children(b, base, where, func(c child) {
		if !c.is(path[0]) {
			return
		}
		inner := where + "/" + path[0]
		if len(path) == 1 {
			visit(c, inner)
			return
		}
		content, start := c.content()
		r.descend(content, start, inner, path[1:], visit)
	})
}

// boxes lists the pssh boxes directly in a box and hands the others to other, if that is not nil.
func (r bmffReader) boxes(in child, where string, other func(child)) {
	n := 0
	content, start := in.content()
	r.children(content, start, where, func(b child) {
		if b.is("pssh") {
			n++
			r.pssh(b, Place{Path: fmt.Sprintf("%s/pssh[%d]", where, n), Offset: b.offset})
		} else if other != nil {
			other(b)
		}
	})
}

func (r bmffReader) pssh(b child, p Place) {
	box, notes, err := parseBox(b.raw, b.header, Lenient)
	switch {
	case err == nil:
		r.c.addBox(box, notes, p)
	case errors.Is(err, errVersion):
		r.c.addNote(p, "box skipped: "+err.Seen+" is not defined")
	default:
		r.c.addProblem(err.within(p.Path, p.Offset))
	}
}

func (r bmffReader) moov(moov child, where string) {
	traks := 0
	r.boxes(moov, where, func(b child) {
		if !b.is("trak") {
			return
		}
		traks++
		content, start := b.content()
		r.descend(content, start, fmt.Sprintf("%s/trak[%d]", where, traks), []string{"mdia", "minf", "stbl", "stsd"}, r.stsd)
	})
}

// stsd reads the sample entries of a sample description box (ISO/IEC 14496-12, 8.5.2).
func (r bmffReader) stsd(b child, where string) {
	const fixed = 8 // version, flags, entry_count
	content, start := b.content()
	if len(content) < fixed {
		r.c.addProblem(&Error{Where: where, Offset: b.offset, Expected: "a sample description box of at least 16 bytes",
			Seen: fmt.Sprintf("size %d", len(b.raw)), Hint: hintLying})
		return
	}
	r.children(content[fixed:], start+fixed, where, func(entry child) { r.sampleEntry(entry, where, content[0]) })
}

// sampleEntry reads the protection of an encrypted sample entry (ISO/IEC 14496-12, 8.12) in a stsd box of the version.
func (r bmffReader) sampleEntry(entry child, where string, version byte) {
	body, start := entry.content()
	fixed := 8 // of every sample entry
	switch {
	case entry.is("encv"):
		fixed = 78 // VisualSampleEntry (12.1.3)
	case entry.is("enca"):
		fixed = audioEntryLen(body, version)
	case entry.is("encs"), entry.is("encu"), entry.is("encm"):
	default:
		return // not encrypted, or of a layout that does not tell where its boxes begin
	}
	where += "/" + string(entry.kind[:])
	if len(body) < fixed {
		r.c.addProblem(&Error{Where: where, Offset: entry.offset, Expected: fmt.Sprintf("a sample entry of at least %d bytes", entry.body+fixed),
			Seen: fmt.Sprintf("size %d", len(entry.raw)), Hint: hintLying})
		return
	}
	r.descend(body[fixed:], start+int64(fixed), where, []string{"sinf"}, r.sinf)
}

// audioEntryLen returns the length in bytes of an AudioSampleEntry's fields (ISO/IEC 14496-12, 12.2.3). In QuickTime
// files, whose stsd box has version 0, entries of version 1 and 2 have more of them than ISO's.
func audioEntryLen(body []byte, version byte) int {
	if version == 0 && len(body) >= 10 {
		switch binary.BigEndian.Uint16(body[8:]) {
		case 1:
			return 28 + 16
		case 2:
			return 28 + 36
		}
	}
	return 28
}

// sinf reads scheme and default_KID of a protection scheme information box (ISO/IEC 23001-7, 8.2).
func (r bmffReader) sinf(b child, where string) {
	var scheme drm.Scheme
	content, start := b.content()
	r.descend(content, start, where, []string{"schm"}, func(c child, where string) {
		if s, err := decodeLeaf(c, mp4.DecodeSchmSR); err == nil {
			scheme = drm.Scheme(s.(*mp4.SchmBox).SchemeType)
		} else {
			r.leafProblem(c, where, err)
		}
	})
	r.descend(content, start, where, []string{"schi", "tenc"}, func(c child, where string) {
		t, err := decodeLeaf(c, mp4.DecodeTencSR)
		if err != nil {
			r.leafProblem(c, where, err)
			return
		}
		tenc := t.(*mp4.TencBox)
		if kid, ok := drm.KIDFromBytes(tenc.DefaultKID); ok && tenc.DefaultIsProtected != 0 {
			r.c.addKey(Key{KID: kid, Scheme: scheme, Place: Place{Path: where, Offset: c.offset}})
		}
	})
}

// decodeLeaf has mp4ff decode a box that holds no others; the reader's bounds are the box's.
func decodeLeaf(c child, decode func(mp4.BoxHeader, uint64, bits.SliceReader) (mp4.Box, error)) (mp4.Box, error) {
	hdr := mp4.BoxHeader{Name: string(c.kind[:]), Size: uint64(len(c.raw)), Hdrlen: c.body}
	content, start := c.content()
	return decode(hdr, uint64(start), bits.NewFixedSliceReader(content))
}

func (r bmffReader) leafProblem(c child, where string, err error) {
	r.c.addProblem(&Error{Where: where, Offset: c.offset, Expected: "a complete " + string(c.kind[:]) + " box",
		Seen: printable(err.Error()), Hint: hintLying, Err: err})
}
