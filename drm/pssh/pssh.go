// Package pssh finds, parses and builds Protection System Specific Header boxes (ISO/IEC 23001-7, 8.1; sheet widevine.md
// §3), and reads the Widevine data and the PlayReady objects in them (sheet playready.md §1 to §5).
//
// [Find] takes an MPD, an init or media segment, plain boxes or their text, recognises it from its bytes and lists every
// box with its place, and every default_KID with its protection scheme. [Parse] and [ParseText] read concatenated boxes,
// [Build] writes one. [Select] makes the harness's choice among several boxes, [RequestData] gives the bytes that a
// Widevine client sends of the chosen one.
//
// All input is hostile: no read goes beyond the bytes given, time and memory grow no faster than the input's length, and
// every size is computed in 64 bits. Results never alias the input. Functions are safe for concurrent use.
package pssh

import (
	"fmt"
	"strconv"
	"strings"

	"keyflow/drm"
)

// Box is one pssh box, see [drm.Box].
type Box = drm.Box

// Mode says what happens to boxes that are readable but not as ISO/IEC 23001-7 wants them.
type Mode int

// The modes. Strict rejects trailing bytes inside and after a box, and boxes of another type in a list; Lenient reports
// each of them as a [Note] and goes on.
const (
	Strict Mode = iota
	Lenient
)

// maxItems bounds the boxes, the KIDs and the ContentProtection elements of one input: long live MPDs with many Periods
// have some ten thousand. maxRemarks bounds its notes and its problems, of which nobody reads more.
const (
	maxItems   = 1 << 16
	maxRemarks = 1000
)

// Note is something odd that did not keep the input from being read: a finding on the content, not on a server.
type Note struct {
	Where  string // path of the box or element, "" for the input as a whole
	Offset int64  // in bytes from the start of the input, -1 if unknown
	Text   string
}

// String returns place and text in one line.
func (n Note) String() string { return at(n.Where, n.Offset) + n.Text }

// Error says what is wrong with an input, in the parts that a user interface shows.
type Error struct {
	Where    string // path of the box or element, "" for the input as a whole
	Offset   int64  // in bytes from the start of the input, -1 if unknown
	Expected string
	Seen     string
	Hint     string // what the user can do, a sentence without full stop; may be ""
	Err      error  // cause or class of the error, such as [drm.ErrNoBox]; may be nil
}

// Error returns place, expected and seen in one line, without the hint.
func (e *Error) Error() string {
	return at(e.Where, e.Offset) + "expected " + e.Expected + ", seen " + e.Seen
}

// Unwrap returns the cause or class of the error.
func (e *Error) Unwrap() error { return e.Err }

// within returns the error with the place of the outer element, whose offset is all that is known of it.
func (e *Error) within(where string, offset int64) *Error {
	c := *e
	c.Where, c.Offset = join(where, e.Where), offset
	return &c
}

func at(where string, offset int64) string {
	switch {
	case where == "" && offset < 0:
		return ""
	case where == "":
		return fmt.Sprintf("byte %d: ", offset)
	case offset < 0:
		return where + ": "
	}
	return fmt.Sprintf("%s at byte %d: ", where, offset)
}

func join(outer, inner string) string {
	if outer == "" || inner == "" {
		return outer + inner
	}
	return outer + "/" + inner
}

// maxQuoted is the number of characters of hostile input that a message repeats.
const maxQuoted = 60

// quote makes untrusted text safe and short enough for a message.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:maxQuoted], "")) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// printable makes the message of another library, which may repeat its input, safe and short enough for a message.
func printable(s string) string {
	s = s[:min(len(s), 4*maxQuoted)]
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '.'
	}, strings.ToValidUTF8(s, "."))
}

// count writes a number of things: "1 byte", "2 bytes".
func count[N int | int64 | uint64 | uint32](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
