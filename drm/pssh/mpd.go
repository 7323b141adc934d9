package pssh

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"keyflow/drm"
)

// Names of an MPD's protection (ISO/IEC 23001-7, 11.2; ISO/IEC 23009-1, 5.8.4.1).
const (
	nsCENC         = "urn:mpeg:cenc:2013"
	nsPlayReady    = "urn:microsoft:playready"
	uriProtection  = "urn:mpeg:dash:mp4protection:2011"
	maxDepth       = 100 // of nested elements; MPDs have a dozen
	maxDefaultKIDs = 64  // in one attribute; MPDs have one
	hintWebPage    = "this is a web page: check the URL, and whether it needs a login or has moved"
	hintNotWritten = "the MPD was cut off or written badly: fetch it again, and check it with an XML tool"
)

// mpdReader reads an MPD as a stream of XML tokens. It keeps nothing but the protection, so that neither a large MPD nor
// a bad value in a part that does not matter here, such as a textual AdaptationSet id, keeps the boxes from being found.
type mpdReader struct {
	c     *Content
	dec   *xml.Decoder
	stack []element
	descs []descriptor // every ContentProtection that was closed
	open  *descriptor  // the ContentProtection being read
	text  *psshText    // the pssh element being read
	pssh  int          // pssh elements so far
}

// element is an open element that gives places.
type element struct {
	path     string
	scope    Place          // Period, AdaptationSet and Representation of what is directly inside
	children map[string]int // children so far by name, of the names that places are made of
}

// descriptor is what matters of one ContentProtection element.
type descriptor struct {
	place      Place
	depth      int
	refID, ref string
	scheme     drm.Scheme // of the value attribute of an mp4protection descriptor
	kids       []drm.KID
	pssh, pro  int // pssh and mspr:pro children so far
	// The first PlayReady object of either kind of child, nil if there is none yet.
	boxObject, object *object
}

// psshText is an open pssh element.
type psshText struct {
	place Place
	depth int
	text  bytes.Buffer
	pro   bool // a PlayReady object, without the box around it
}

// readMPD lists every pssh box and default_KID of an MPD. An error means that it is no MPD, or that nothing was found
// before it broke.
func readMPD(c *Content, data []byte) error {
	if len(data) > MaxText {
		return &Error{Offset: -1, Expected: fmt.Sprintf("an MPD of at most %d bytes", MaxText), Seen: count(len(data), "byte")}
	}
	body := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), spaces)
	r := mpdReader{c: c, dec: xml.NewDecoder(bytes.NewReader(body))}
	err := r.read(int64(len(data) - len(body)))
	r.declareKeys()
	if err == nil {
		return nil
	}
	if len(c.Found)+len(c.Keys) == 0 {
		return err
	}
	c.addProblem(err)
	return nil
}

// read consumes all tokens of a document that starts at base in the input.
func (r *mpdReader) read(base int64) *Error {
	for {
		offset := base + r.dec.InputOffset()
		line, _ := r.dec.InputPos()
		token, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return r.end(offset)
		}
		if err != nil {
			return &Error{Where: r.where(), Offset: offset, Expected: "well-formed XML in UTF-8", Seen: printable(err.Error()),
				Hint: hintNotWritten, Err: err}
		}
		if err := r.token(token, offset, line); err != nil {
			return err
		}
	}
}

// end checks that there was a document.
func (r *mpdReader) end(offset int64) *Error {
	if r.stack == nil {
		return &Error{Offset: offset, Expected: "an MPD", Seen: "no element", Hint: hintNotWritten}
	}
	return nil
}

func (r *mpdReader) where() string {
	if len(r.stack) == 0 {
		return ""
	}
	return r.stack[len(r.stack)-1].path
}

func (r *mpdReader) token(token xml.Token, offset int64, line int) *Error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t, offset, line)
	case xml.EndElement:
		r.close()
	case xml.CharData:
		if r.text != nil {
			r.text.text.Write(t)
		}
	case xml.Directive:
		return directive(string(t), offset)
	}
	return nil
}

// directive refuses a document type declaration: an MPD has none, and entities are of no use but to attackers.
func directive(text string, offset int64) *Error {
	err := &Error{Offset: offset, Expected: "an MPD without DOCTYPE or other declarations", Seen: "<!" + quote(text) + ">",
		Hint: "remove the declaration: DASH manifests have none, and players refuse it"}
	if fields := strings.Fields(text); len(fields) > 1 && strings.EqualFold(fields[1], "html") {
		err.Expected, err.Seen, err.Hint = "an MPD", "an HTML page", hintWebPage
	}
	return err
}

func (r *mpdReader) start(t xml.StartElement, offset int64, line int) *Error {
	if len(r.stack) == 0 {
		return r.root(t, offset)
	}
	if len(r.stack) == maxDepth {
		return &Error{Where: r.where(), Offset: offset, Expected: fmt.Sprintf("at most %d nested elements", maxDepth), Seen: "more"}
	}
	parent := &r.stack[len(r.stack)-1]
	e := element{path: parent.path, scope: parent.scope}
	switch t.Name.Local {
	case "Period", "AdaptationSet", "Representation", "ContentProtection":
		n := parent.nth(t.Name.Local)
		e.path = join(parent.path, fmt.Sprintf("%s[%d]", t.Name.Local, n))
		e.enter(t, n)
	}
	r.stack = append(r.stack, e)
	switch {
	case t.Name.Local == "ContentProtection" && r.open == nil:
		place := e.scope
		place.Path, place.Offset, place.Line = e.path, offset, line
		r.protection(t, place)
	case r.open != nil && len(r.stack) == r.open.depth+1:
		r.inside(t.Name)
	}
	return nil
}

// root starts the document's only top element.
func (r *mpdReader) root(t xml.StartElement, offset int64) *Error {
	switch {
	case strings.EqualFold(t.Name.Local, "html"):
		return &Error{Offset: offset, Expected: "an MPD", Seen: "an HTML page", Hint: hintWebPage}
	case t.Name.Local != "MPD":
		return &Error{Offset: offset, Expected: "the root element MPD", Seen: "element " + quote(t.Name.Local),
			Hint: "give the DASH manifest itself"}
	case r.stack != nil:
		return &Error{Offset: offset, Expected: "one MPD", Seen: "another one behind it", Hint: hintNotWritten}
	}
	r.c.Kind = KindMPD
	r.stack = append(make([]element, 0, 16), element{})
	return nil
}

// nth counts a child of the element and returns its position.
func (e *element) nth(name string) int {
	if e.children == nil {
		e.children = make(map[string]int, 1)
	}
	e.children[name]++
	return e.children[name]
}

// enter sets the scope of what is inside the element, the nth of its name.
func (e *element) enter(t xml.StartElement, n int) {
	node := Node{Index: n, ID: attr(t, "id")}
	switch t.Name.Local {
	case "Period":
		e.scope = Place{Period: node}
	case "AdaptationSet":
		e.scope.AdaptationSet, e.scope.Representation = node, Node{}
	case "Representation":
		e.scope.Representation = node
	}
}

// attr returns the value of an attribute without a namespace, "" if it is not there.
func attr(t xml.StartElement, local string) string {
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// protection starts a ContentProtection element.
func (r *mpdReader) protection(t xml.StartElement, place Place) {
	place.SchemeIDURI = attr(t, "schemeIdUri")
	d := &descriptor{place: place, depth: len(r.stack), refID: attr(t, "refId"), ref: attr(t, "ref")}
	if strings.EqualFold(strings.TrimSpace(place.SchemeIDURI), uriProtection) {
		scheme, _, _ := strings.Cut(attr(t, "value"), ":") // a version may follow
		d.scheme = drm.Scheme(strings.TrimSpace(scheme))
	}
	for _, a := range t.Attr {
		if a.Name.Local == "default_KID" {
			r.checkSpace(a.Name, nsCENC, place, "default_KID")
			r.defaultKIDs(d, a.Value)
		}
	}
	r.open = d
}

// defaultKIDs reads the attribute, which is a list of UUIDs.
func (r *mpdReader) defaultKIDs(d *descriptor, value string) {
	n := 0
	for s := range strings.FieldsSeq(value) {
		if n++; n > maxDefaultKIDs {
			r.c.addProblem(&Error{Where: d.place.Path + "/@default_KID", Offset: d.place.Offset, Seen: "more",
				Expected: fmt.Sprintf("at most %d KIDs in one default_KID", maxDefaultKIDs)})
			return
		}
		kid, err := drm.ParseKID(s)
		if err != nil {
			r.c.addProblem(&Error{Where: d.place.Path + "/@default_KID", Offset: d.place.Offset, Expected: "a UUID with hyphens", Seen: quote(s),
				Hint: fmt.Sprintf("see line %d of the MPD", d.place.Line), Err: err})
			continue
		}
		if len(s) != 36 {
			r.c.addNote(d.place, "default_KID "+s+" lacks the hyphens of a UUID")
		}
		d.kids = append(d.kids, kid)
	}
}

// checkSpace notes a name that is not in its namespace; an undeclared prefix is another one, too.
func (r *mpdReader) checkSpace(name xml.Name, want string, place Place, what string) {
	if name.Space != want {
		r.c.addNote(place, fmt.Sprintf("%s is in namespace %s, not %s: players may miss it", what, quote(name.Space), want))
	}
}

// inside starts a child of the open ContentProtection.
func (r *mpdReader) inside(name xml.Name) {
	pro := name.Local == "pro" && (name.Space == nsPlayReady || r.open.of(PlayReadySystemID))
	if name.Local != "pssh" && !pro {
		return
	}
	if r.pssh++; !r.c.room(r.pssh-1, maxItems, "pssh elements") {
		return
	}
	place, n, space := r.open.place, &r.open.pssh, nsCENC
	if pro {
		n, space = &r.open.pro, nsPlayReady
	}
	*n++
	place.Path = fmt.Sprintf("%s/%s[%d]", place.Path, name.Local, *n)
	r.checkSpace(name, space, place, name.Local)
	r.text = &psshText{place: place, depth: len(r.stack), pro: pro}
}

// of reports whether the descriptor is that of a system.
func (d *descriptor) of(system drm.SystemID) bool {
	id, ok := systemOfURN(strings.TrimSpace(d.place.SchemeIDURI))
	return ok && id == system
}

// close ends the innermost element. The decoder has checked that the tags match.
func (r *mpdReader) close() {
	depth := len(r.stack)
	if r.text != nil && depth == r.text.depth {
		if r.text.pro {
			r.readObject()
		} else {
			r.boxes()
		}
		r.text = nil
	}
	if r.open != nil && depth == r.open.depth {
		r.compareObjects()
		if r.c.room(len(r.descs), maxItems, "ContentProtection elements") {
			r.descs = append(r.descs, *r.open)
		}
		r.open = nil
	}
	r.stack = r.stack[:depth-1]
}

// boxes reads the text of the pssh element that just ended.
func (r *mpdReader) boxes() {
	place := r.text.place
	b, notes, err := decodeBase64(r.text.text.String())
	if err != nil {
		r.fail(place, err)
		return
	}
	for _, text := range notes {
		r.c.addNote(place, text)
	}
	found, odd, perr := parseList(b, Lenient)
	for _, n := range odd {
		r.c.addNote(place, n.Text)
	}
	for i, f := range found {
		f.Place = place
		if len(found) > 1 {
			f.Place.Path = fmt.Sprintf("%s/box[%d]", place.Path, i+1)
		}
		r.checkSystem(f.Box.SystemID, f.Place, "a box")
		if f.Box.SystemID == PlayReadySystemID && r.open.boxObject == nil {
			r.open.boxObject = &object{f.Place.Path, f.Box.Data}
		}
		r.c.addBox(f.Box, nil, f.Place)
	}
	var e *Error
	if errors.As(perr, &e) {
		r.fail(place, e)
	}
}

// checkSystem notes what belongs to another system than its descriptor.
func (r *mpdReader) checkSystem(system drm.SystemID, place Place, what string) {
	if id, ok := systemOfURN(strings.TrimSpace(place.SchemeIDURI)); ok && id != system {
		r.c.addNote(place, fmt.Sprintf("%s of %s in the descriptor of %s", what, label(system), label(id)))
	}
}

// fail lists what is wrong with the pssh element at the place; offsets inside its text are of no use to the user.
func (r *mpdReader) fail(place Place, e *Error) {
	e = e.within(place.Path, place.Offset)
	line := fmt.Sprintf("see line %d of the MPD", place.Line)
	if e.Hint != "" {
		line += ": "
	}
	e.Hint = line + e.Hint
	r.c.addProblem(e)
}
