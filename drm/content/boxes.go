package content

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// box is one ISO BMFF box (ISO/IEC 14496-12 clause 4.2): its type and where in the input it starts, where its body
// starts and where it ends.
type box struct {
	typ              string
	start, body, end int
}

// maxBoxes bounds the boxes in one parent; a real one holds a few dozen, a segment of two boxes per fragment some more.
const maxBoxes = 1 << 14

// childBoxes returns the boxes that fill data[start:end] exactly.
func childBoxes(data []byte, start, end int) ([]box, error) {
	var list []box
	for pos := start; pos < end; {
		b, err := boxAt(data, pos, end)
		if err != nil {
			return nil, err
		}
		if list = append(list, b); len(list) > maxBoxes {
			return nil, fmt.Errorf("more than %d boxes in one place", maxBoxes)
		}
		pos = b.end
	}
	return list, nil
}

// boxAt reads the header at pos of a box that must end at or before end. Size 0, "to the end of the file", runs to end.
func boxAt(data []byte, pos, end int) (box, error) {
	if end-pos < 8 {
		return box{}, fmt.Errorf("%d bytes at offset %d are too few for a box header", end-pos, pos)
	}
	b := box{typ: string(data[pos+4 : pos+8]), start: pos, body: pos + 8}
	size := uint64(binary.BigEndian.Uint32(data[pos:]))
	switch size {
	case 0:
		size = uint64(end - pos)
	case 1:
		if end-pos < 16 {
			return box{}, fmt.Errorf("box %q at offset %d: cut off in its 64-bit size", b.typ, pos)
		}
		b.body = pos + 16
		size = binary.BigEndian.Uint64(data[pos+8:])
	}
	if size < uint64(b.body-pos) {
		return box{}, fmt.Errorf("box %q at offset %d: size %d is less than its header", b.typ, pos, size)
	}
	if size > uint64(end-pos) {
		return box{}, fmt.Errorf("box %q at offset %d: size %d, but only %d bytes are left", b.typ, pos, size, end-pos)
	}
	b.end = pos + int(size)
	return b, nil
}

// grammar names the boxes that decryption reads, by parent. Everything else is taken out of mp4ff's sight, see [reduce].
// It has no cycle, so that it bounds the depth as well.
var grammar = map[string][]string{
	"moov": {"trak", "mvex"},
	"mvex": {"trex"},
	"trak": {"tkhd", "mdia"},
	"mdia": {"hdlr", "minf"},
	"minf": {"stbl"},
	"stbl": {"stsd", "sgpd"},
	"stsd": {"encv", "enca", "mp4a"},
	"encv": {"sinf"},
	"enca": {"sinf", "esds"},
	"mp4a": {"esds"},
	"sinf": {"frma", "schm", "schi"},
	"schi": {"tenc"},
	"moof": {"traf"},
	"traf": {"tfhd", "trun", "senc", "sbgp", "sgpd"},
}

// prefix is the number of body bytes ahead of the child boxes: the full box header and count of stsd, the fields of the
// sample entries (ISO/IEC 14496-12 clauses 8.5.2 and 12.1.3, 12.2.3).
var prefix = map[string]int{"stsd": 8, "encv": 78, "enca": 28, "mp4a": 28}

// reduce returns a copy of the box b of data, which must be a moov or moof, in which every box that the grammar does not
// name is turned into a free box of the same size. What is left has sound sizes and tables that fit their boxes, so that
// the box library can neither be led outside the bytes nor into allocating for counts that are not there.
func reduce(data []byte, b box) ([]byte, error) {
	out := slices.Clone(data[b.start:b.end])
	if b.body-b.start != 8 {
		return nil, fmt.Errorf("box %q with a 64-bit size", b.typ)
	}
	binary.BigEndian.PutUint32(out, uint32(len(out))) // size 0 becomes explicit
	return out, reduceIn(out, box{typ: b.typ, body: 8, end: len(out)})
}

func reduceIn(out []byte, parent box) error {
	skip := prefix[parent.typ]
	if parent.end-parent.body < skip {
		return fmt.Errorf("box %q: %d bytes, want at least %d", parent.typ, parent.end-parent.body, skip)
	}
	list, err := childBoxes(out, parent.body+skip, parent.end)
	if err != nil {
		return fmt.Errorf("in box %q: %w", parent.typ, err)
	}
	for _, c := range list {
		if !slices.Contains(grammar[parent.typ], c.typ) || isOtherGroup(out, c) {
			free(out, c)
			continue
		}
		if binary.BigEndian.Uint32(out[c.start:]) <= 1 {
			return fmt.Errorf("box %q in %q without a 32-bit size", c.typ, parent.typ)
		}
		if _, container := grammar[c.typ]; container {
			err = reduceIn(out, c)
		} else {
			err = checkTable(out, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isOtherGroup reports whether c is a sample group box of another grouping than "seig" (ISO/IEC 23001-7 clause 6).
func isOtherGroup(out []byte, c box) bool {
	if c.typ != "sbgp" && c.typ != "sgpd" {
		return false
	}
	return c.end-c.body < 8 || string(out[c.body+4:c.body+8]) != "seig"
}

// free turns a box into free space of the same size. A header with a 64-bit or implied size becomes one with a 32-bit
// size; inputs are bounded far below 4 GiB.
func free(out []byte, b box) {
	binary.BigEndian.PutUint32(out[b.start:], uint32(b.end-b.start))
	copy(out[b.start+4:], "free")
}

// maxSamples bounds the samples of one track fragment: an hour of the shortest audio frames is below it.
const maxSamples = 1 << 20

// checkTable refuses counts that the box is too short for, ahead of the box library, which allocates by them.
func checkTable(out []byte, b box) error {
	body := out[b.body:b.end]
	switch b.typ {
	case "trun", "senc":
		if len(body) < 8 {
			return fmt.Errorf("box %q: %d bytes, want at least 8", b.typ, len(body))
		}
		count := uint64(binary.BigEndian.Uint32(body[4:]))
		if count > maxSamples {
			return fmt.Errorf("box %q: %d samples, at most %d are read", b.typ, count, maxSamples)
		}
		// Each sample of a senc takes an IV, a subsample count or both, unless all take nothing (constant IV).
		if b.typ == "senc" && len(body) > 8 && count > uint64(len(body)-8) {
			return fmt.Errorf("box %q: %d samples in %d bytes", b.typ, count, len(body)-8)
		}
	case "tenc":
		if len(body) < 24 {
			return fmt.Errorf("box %q: %d bytes, want at least 24", b.typ, len(body))
		}
	}
	return nil
}
