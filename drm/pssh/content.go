package pssh

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"keyflow/drm"
)

// Kind says what an input was recognised as.
type Kind string

// The kinds of input.
const (
	KindMPD   Kind = "MPD"
	KindInit  Kind = "init segment"   // ISO BMFF with a moov box
	KindMedia Kind = "media segment"  // ISO BMFF with moof boxes and no moov
	KindFile  Kind = "ISO BMFF file"  // with moov and moof boxes, or neither
	KindBoxes Kind = "pssh boxes"     // the bytes of boxes, concatenated
	KindText  Kind = "pssh box text"  // base64 or hexadecimal digits
	KindNone  Kind = "unknown format" // none of these
)

// Content is all that [Find] found in one input.
type Content struct {
	Name     string
	Kind     Kind
	Found    []Found  // every readable box, in order, repetitions included
	Keys     []Key    // every default_KID, in order
	Notes    []Note   // what is odd but readable
	Problems []*Error // what could not be read

	full []string // the lists that had too much
}

// Found is a box and its place.
type Found struct {
	Box   Box
	Place Place
}

// Key is a default_KID that the content declares: of an MPD's ContentProtection (ISO/IEC 23001-7, 11.2) or of a track's
// tenc box.
type Key struct {
	KID    drm.KID
	Scheme drm.Scheme // of the mp4protection descriptor's value or the schm box; "" if neither is there
	Place  Place
}

// Place says where in the content something stands.
type Place struct {
	// Path leads to the box or element: "moov/pssh[1]", "Period[1]/AdaptationSet[2]/ContentProtection[3]/pssh[1]".
	// Positions count elements of the same name in the same parent from 1, as XPath does.
	Path   string
	Offset int64 // in bytes from the start of the input (of the decoded text): of the box or of the ContentProtection element

	// The rest is set for an MPD only. A ContentProtection applies to everything inside the innermost of these elements.
	Line           int // of the ContentProtection element, from 1
	Period         Node
	AdaptationSet  Node
	Representation Node
	SchemeIDURI    string // of the ContentProtection element
}

// Node is an element of an MPD. The zero Node is no element.
type Node struct {
	Index int    // position among its siblings of the same name, from 1
	ID    string // its id attribute, "" if it has none
}

// Boxes returns the boxes found, each distinct one once, in the order of their first appearance.
func (c *Content) Boxes() []Box {
	var boxes []Box
	seen := make(map[string]bool)
	for _, f := range c.Found {
		if !seen[string(f.Box.Raw)] {
			seen[string(f.Box.Raw)] = true
			boxes = append(boxes, f.Box)
		}
	}
	return boxes
}

// KIDs returns the content's default_KIDs, each once, in the order of their first appearance.
func (c *Content) KIDs() []drm.KID {
	var kids kidSet
	for _, k := range c.Keys {
		kids.add(k.KID)
	}
	return kids.list
}

// Find reads an MPD, an init or media segment (ISO BMFF), concatenated pssh boxes or their text, recognised from the
// bytes; the name is only used in messages. Boxes are read leniently, and one that cannot be read is listed as a problem
// without losing the others.
//
// The content is never nil and holds all that was found. The error, which wraps an [*Error], says that not one box could
// be read; it is [drm.ErrNoBox] if the input is sound and has none, and the content's Keys may still name KIDs.
func Find(name string, data []byte) (*Content, error) {
	c := &Content{Name: name, Kind: KindNone}
	err := c.read(data)
	if err == nil && len(c.Found) == 0 {
		err = c.empty()
	}
	if err != nil {
		return c, fmt.Errorf("find pssh boxes in %s: %w", quote(name), err)
	}
	return c, nil
}

// read recognises the input and reads it. An error means that nothing in it can be read.
func (c *Content) read(data []byte) error {
	text := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), spaces)
	switch {
	case len(text) == 0:
		return &Error{Offset: -1, Expected: expectedInput, Seen: "an empty input", Hint: "check that the file was downloaded or written in full"}
	case len(data) >= 8 && string(data[4:8]) == "pssh":
		c.Kind = KindBoxes
		return c.list(parseList(data, Lenient))
	case isBMFF(data):
		c.Kind = KindFile
		readBMFF(c, data)
		return nil
	case text[0] == '<':
		return readMPD(c, data)
	case base64Characters(string(text[:min(len(text), maxQuoted)])) == nil:
		c.Kind = KindText
		return c.list(parseText(string(text[:min(len(text), MaxText+1)]), Lenient))
	}
	return unknown(data)
}

const expectedInput = "an MPD, an ISO BMFF segment, pssh boxes or their text"

// unknown says what an input looks like that is none of the known ones.
func unknown(data []byte) *Error {
	err := &Error{Offset: -1, Expected: expectedInput, Seen: "bytes that begin with " + quote(string(data[:min(len(data), 16)])),
		Hint: "give the DASH manifest, a segment or a pssh box itself"}
	switch {
	case bytes.HasPrefix(data, []byte("#EXTM3U")):
		err.Seen, err.Hint = "an HLS playlist", "HLS playlists are not read: give the init segment that the playlist names"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		err.Seen, err.Hint = "a UTF-16 text", "save the file as UTF-8"
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		err.Seen, err.Hint = "gzip data", "decompress it first"
	}
	return err
}

// list takes over what [parseList] returned. Boxes before an error are kept, and the error is a problem then.
func (c *Content) list(found []Found, notes []Note, err error) error {
	c.Found = found
	for _, n := range notes {
		c.addNote(Place{Path: n.Where, Offset: n.Offset}, n.Text)
	}
	var e *Error
	if len(found) > 0 && errors.As(err, &e) {
		c.Problems = append(c.Problems, e)
		return nil
	}
	return err
}

// empty returns the error for an input without a readable box.
func (c *Content) empty() error {
	if len(c.Problems) > 0 {
		return c.Problems[0]
	}
	err := &Error{Offset: -1, Expected: "a pssh box in the " + string(c.Kind), Seen: "none", Err: drm.ErrNoBox}
	switch {
	case c.Kind == KindMPD && len(c.Keys) > 0:
		err.Hint = "the boxes may be in the init segments only: give one of those"
	case c.Kind == KindMPD:
		err.Hint = "the MPD declares no protection: the content is in the clear, or this is another MPD"
	case c.Kind == KindMedia:
		err.Hint = "media segments have boxes only where keys rotate: give the MPD or the init segment"
	case len(c.Keys) > 0:
		err.Hint = "the boxes may be in the MPD only: give that"
	default:
		err.Hint = "the tracks are not encrypted, or the boxes are in the MPD only: give that"
	}
	if len(c.Keys) > 0 {
		err.Seen = "none, but default_KID " + drm.JoinKIDs(firstKIDs(c.KIDs(), 3))
	}
	return err
}

// firstKIDs returns at most n KIDs, to keep messages short.
func firstKIDs(kids []drm.KID, n int) []drm.KID { return kids[:min(len(kids), n)] }

// The add methods keep every list under its bound; what is over is dropped, and one problem for each list says so.

func (c *Content) addBox(box Box, notes []string, p Place) {
	if c.room(len(c.Found), maxItems, "pssh boxes") {
		c.Found = append(c.Found, Found{Box: box, Place: p})
	}
	for _, text := range notes {
		c.addNote(p, text)
	}
}

func (c *Content) addKey(k Key) {
	if c.room(len(c.Keys), maxItems, "default_KIDs") {
		c.Keys = append(c.Keys, k)
	}
}

func (c *Content) addNote(p Place, text string) {
	if c.room(len(c.Notes), maxRemarks, "notes") {
		c.Notes = append(c.Notes, Note{Where: p.Path, Offset: p.Offset, Text: text})
	}
}

func (c *Content) addProblem(err *Error) {
	if c.room(len(c.Problems), maxRemarks, "problems") {
		c.Problems = append(c.Problems, err)
	}
}

// room reports whether a list of n things takes one more.
func (c *Content) room(n, most int, what string) bool {
	if n < most {
		return true
	}
	if !slices.Contains(c.full, what) {
		c.full = append(c.full, what)
		c.Problems = append(c.Problems, &Error{Offset: -1, Expected: fmt.Sprintf("at most %d %s", most, what), Seen: "more",
			Hint: "what is over was left out: split the input"})
	}
	return false
}
