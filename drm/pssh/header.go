package pssh

import (
	"encoding/binary"
	"fmt"
)

// header is the header of an ISO BMFF box (ISO/IEC 14496-12, 4.2).
type header struct {
	kind  [4]byte
	size  int  // of the whole box, at most the bytes that are there
	body  int  // offset of what follows size and type
	toEnd bool // the size field is 0: the box runs to the end of the input
}

// is reports whether the box has the four-character type.
func (h header) is(kind string) bool { return string(h.kind[:]) == kind }

// readHeader reads the header at the start of b, which ends where the surrounding box or the input ends. The error
// carries no place.
func readHeader(b []byte) (header, *Error) {
	if len(b) < 8 {
		return header{}, &Error{Offset: -1, Expected: "a box header of 8 bytes", Seen: count(len(b), "byte"), Hint: hintCut}
	}
	h := header{kind: [4]byte(b[4:8]), body: 8}
	size := uint64(binary.BigEndian.Uint32(b))
	switch size {
	case 0:
		h.size, h.toEnd = len(b), true
		return h, nil
	case 1:
		if len(b) < 16 {
			return header{}, &Error{Offset: -1, Expected: "a header of 16 bytes, as size 1 announces", Seen: count(len(b), "byte"), Hint: hintCut}
		}
		size, h.body = binary.BigEndian.Uint64(b[8:]), 16
	}
	if size < uint64(h.body) {
		return header{}, &Error{Offset: -1, Expected: fmt.Sprintf("a box size of at least its header's %d bytes", h.body),
			Seen: fmt.Sprintf("size %d in a box of type %s", size, quote(string(h.kind[:]))), Hint: hintLying}
	}
	if size > uint64(len(b)) {
		return header{}, &Error{Offset: -1, Expected: fmt.Sprintf("%d bytes, the size of this %s box", size, quote(string(h.kind[:]))),
			Seen: count(len(b), "byte"), Hint: hintCut}
	}
	h.size = int(size)
	return h, nil
}

const (
	hintCut   = "the input was cut off, or a size field is wrong: fetch or copy it again in full"
	hintLying = "a size or count field is wrong: the box was damaged or badly written"
)
