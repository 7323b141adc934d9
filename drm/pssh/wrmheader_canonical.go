package pssh

import (
	"encoding/xml"
	"slices"
	"strings"

	"keyflow/drm/xmltree"
)

// notCanonical ends the notes on breaches of canonical XML.
const notCanonical = ": not canonical, servers may compute another digest of it"

// uncanonical tells where a header's text breaks the syntax rules of sheet playready.md §4, each breach once. It reads the tokens
// again, because marks such as /> mean nothing in a value or a text.
func uncanonical(root *xmltree.Node) []string {
	raw := root.Raw()
	var notes []string
	note := func(breach bool, what string) {
		if what += notCanonical; breach && !slices.Contains(notes, what) {
			notes = append(notes, what)
		}
	}
	d := xml.NewDecoder(strings.NewReader(raw))
	for {
		before := d.InputOffset()
		token, err := d.RawToken()
		if err != nil { // the end: the tree comes from the same bytes
			break
		}
		text := raw[before:d.InputOffset()]
		note(strings.Contains(text, "\r"), "a carriage return")
		switch t := token.(type) {
		case xml.StartElement:
			note(strings.HasSuffix(text, "/>"), "an element without an end tag")
			note(singleQuoted(text), "an attribute in single quotes")
			note(!ordered(t.Attr), "attributes that are not in order: namespace declarations first, then by name")
		case xml.CharData:
			cdata := strings.HasPrefix(text, "<![CDATA[")
			note(cdata, "a CDATA section")
			note(!cdata && strings.Contains(text, ">"), "a > that is not escaped")
		case xml.Comment:
			note(true, "a comment")
		}
	}
	note(notes == nil && root.Expanded() != raw, "white space in tags, or characters escaped in another way")
	return notes
}

// singleQuoted reports whether an attribute of a start tag stands in single quotes.
func singleQuoted(tag string) bool {
	for {
		i := strings.IndexAny(tag, `"'`)
		if i < 0 {
			return false
		}
		if tag[i] == '\'' {
			return true
		}
		_, tag, _ = strings.Cut(tag[i+1:], `"`)
	}
}

// ordered reports whether namespace declarations come first, and the rest by name.
func ordered(attrs []xml.Attr) bool {
	return slices.IsSortedFunc(attrs, func(a, b xml.Attr) int {
		declares := func(n xml.Name) int {
			if n.Space == "xmlns" || n.Space == "" && n.Local == "xmlns" {
				return 0
			}
			return 1
		}
		if x, y := declares(a.Name), declares(b.Name); x != y || x == 0 {
			return x - y
		}
		return strings.Compare(a.Name.Space+":"+a.Name.Local, b.Name.Space+":"+b.Name.Local)
	})
}
