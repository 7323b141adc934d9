package bcert

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"keyflow/drm/playready/ecc"
)

// reader takes big-endian fields off a buffer. The first field that is not there, or not as it must be, becomes the error; all
// that is read after it is zeros, so that callers ask once, at the end.
type reader struct {
	buf []byte
	at  int // the next byte, an offset into buf
	err error
}

// longestField is the longest field of a fixed length, in bytes.
const longestField = ecc.PublicLen

func (r *reader) left() int { return len(r.buf) - r.at }

// take returns the next n bytes as a part of the buffer. After an error it returns zeros, of fixed fields as many as asked for.
func (r *reader) take(n int, what string) []byte {
	if n > r.left() {
		r.fail("%s: want %d bytes, %d are left", what, n, r.left())
	}
	if r.err != nil {
		return make([]byte, min(n, longestField))
	}
	b := r.buf[r.at : r.at+n : r.at+n]
	r.at += n
	return b
}

func (r *reader) u32(what string) uint32 { return binary.BigEndian.Uint32(r.take(4, what)) }
func (r *reader) u16(what string) uint16 { return binary.BigEndian.Uint16(r.take(2, what)) }

// exactly reads a number that must have a value.
func (r *reader) exactly(want uint32, what string) {
	if got := r.u32(what); got != want {
		r.failAt(r.at-4, "%s is %d, want %d", what, got, want)
	}
}

// exactly16 is exactly for a number of 16 bits.
func (r *reader) exactly16(want uint16, what string) {
	if got := r.u16(what); got != want {
		r.failAt(r.at-2, "%s is %d, want %d", what, got, want)
	}
}

// exactly8 is exactly for a byte.
func (r *reader) exactly8(want uint8, what string) {
	if got := r.take(1, what)[0]; got != want {
		r.failAt(r.at-1, "%s is %d, want %d", what, got, want)
	}
}

// magic reads four letters.
func (r *reader) magic(want string) {
	if got := r.take(len(want), "magic"); string(got) != want {
		r.failAt(r.at-len(want), "begins with %q, want %q", got, want)
	}
}

// count reads a number of items that each need at least size bytes, and most of which are allowed.
func (r *reader) count(what string, size, most int) int {
	n := r.u32(what)
	if uint64(n) > uint64(most) || int(n) > r.left()/size {
		r.failAt(r.at-4, "%d %s, want at most %d, and %d bytes for each where %d are left", n, what, most, size, r.left())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// point reads a public key.
func (r *reader) point(what string) ecc.PublicKey {
	at := r.at
	raw := r.take(ecc.PublicLen, what)
	if r.err != nil {
		return ecc.PublicKey{}
	}
	p, err := ecc.ParsePublicKey(raw)
	if err != nil {
		r.failAt(at, "%s: %w", what, err)
	}
	return p
}

// text reads a string of the manufacturer attribute: its length counts a NUL at the end, zeros fill it up to a multiple of 4.
// There are clients whose length counts the filling too. Nothing may hide behind a NUL or in the filling. A string of length 0
// has no NUL.
func (r *reader) text(what string) string {
	at, n := r.at, int64(r.u32(what))
	if r.err != nil || n == 0 {
		return ""
	}
	padded := (n + 3) / 4 * 4
	if padded > int64(r.left()) {
		r.failAt(at, "%s: %d bytes, filled up to a multiple of 4, where %d are left", what, n, r.left())
		return ""
	}
	b := r.take(int(padded), what)
	text := bytes.TrimRight(b, "\x00")
	if bytes.IndexByte(text, 0) >= 0 || len(text) >= int(n) {
		r.failAt(at, "%s: want a NUL at its end and nothing but zeros after it", what)
		return ""
	}
	return string(text)
}

func (r *reader) fail(format string, args ...any) { r.failAt(r.at, format, args...) }

// failAt notes an error at an offset, unless there was one before.
func (r *reader) failAt(at int, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %w", at, fmt.Errorf(format, args...))
	}
}

// end is an error if there are bytes left.
func (r *reader) end() {
	if r.left() > 0 {
		r.fail("%d bytes too many", r.left())
	}
}
