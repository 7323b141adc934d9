package aac

import "encoding/binary"

// bitReader reads bits most significant first. Reading past the end yields zeros, sets over and leaves the position
// at the end, so that a parser may look at over once per loop instead of after every field.
type bitReader struct {
	data []byte
	pos  int // in bits from the start of data
	over bool
}

// peek returns the next n bits, at most 32, without moving on. Bits past the end are zero.
func (r *bitReader) peek(n int) uint32 {
	at := r.pos >> 3
	var w uint64
	if at+8 <= len(r.data) {
		w = binary.BigEndian.Uint64(r.data[at:])
	} else {
		for i := range 8 {
			w <<= 8
			if at+i < len(r.data) {
				w |= uint64(r.data[at+i])
			}
		}
	}
	return uint32(w << (r.pos & 7) >> (64 - n))
}

// skip moves on by n bits.
func (r *bitReader) skip(n int) {
	if n > r.left() {
		r.over = true
		n = r.left()
	}
	r.pos += n
}

// read returns the next n bits, at most 32.
func (r *bitReader) read(n int) int {
	v := r.peek(n)
	r.skip(n)
	return int(v)
}

func (r *bitReader) flag() bool { return r.read(1) == 1 }

// align moves on to the next multiple of eight bits from the start of the data.
func (r *bitReader) align() { r.skip(-r.pos & 7) }

func (r *bitReader) left() int { return len(r.data)*8 - r.pos }
