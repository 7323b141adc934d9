// Package xmltree reads small XML documents of strangers into trees that know where in the text each element stands, so that
// what was signed can be cut out as it was sent. Declarations (DOCTYPE), a second root, duplicate attributes and whatever goes
// beyond the bounds are refused; nothing outside the document is ever read.
package xmltree

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Bounds limit what is read.
type Bounds struct {
	Bytes, Elements, Depth int
}

// maxQuoted is how much of a document an error quotes, in bytes.
const maxQuoted = 100

// Error says what is wrong with a document.
type Error struct{ Expected, Seen string }

func (e *Error) Error() string { return "expected " + e.Expected + ", seen " + e.Seen }

// Node is an element.
type Node struct {
	Name     xml.Name // its namespace is the URI, or a prefix that nobody declared
	Attrs    []xml.Attr
	Text     string // its own, without its children's
	Children []*Node

	doc                              string
	start, innerStart, innerEnd, end int
}

// Raw returns the element as it stands in the document, from < to >.
func (n *Node) Raw() string { return n.doc[n.start:n.end] }

// Inner returns what stands between the element's tags.
func (n *Node) Inner() string { return n.doc[n.innerStart:n.innerEnd] }

// Attr returns the value of an attribute without a namespace, "" if it is not there.
func (n *Node) Attr(local string) string {
	for _, a := range n.Attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

// All returns the children of a local name, in order.
func (n *Node) All(local string) []*Node {
	var all []*Node
	for _, c := range n.Children {
		if c.Name.Local == local {
			all = append(all, c)
		}
	}
	return all
}

// Only returns the only child of a local name, nil if there is none; several are an [*Error].
func (n *Node) Only(local string) (*Node, error) {
	all := n.All(local)
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return nil, &Error{"one element " + local, fmt.Sprint(len(all))}
}

// Path follows local names down from the element, each the first child of its name; nil if one is not there.
func (n *Node) Path(locals ...string) *Node {
	for _, local := range locals {
		if n == nil {
			return nil
		}
		all := n.All(local)
		if len(all) == 0 {
			return nil
		}
		n = all[0]
	}
	return n
}

// Walk calls f for the element and everything below it.
func (n *Node) Walk(f func(*Node)) {
	f(n)
	for _, c := range n.Children {
		c.Walk(f)
	}
}

// Parse reads a document. Any error is an [*Error].
func Parse(doc string, b Bounds) (*Node, error) {
	if len(doc) > b.Bytes {
		return nil, &Error{fmt.Sprintf("at most %d bytes", b.Bytes), fmt.Sprint(len(doc))}
	}
	if !utf8.ValidString(doc) {
		return nil, &Error{"valid Unicode", "bytes that are none"}
	}
	p := parser{doc: doc, bounds: b, d: xml.NewDecoder(strings.NewReader(doc))}
	for {
		before := int(p.d.InputOffset())
		token, err := p.d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &Error{"well-formed XML", clip(err.Error())}
		}
		if err := p.token(token, before); err != nil {
			return nil, err
		}
	}
	if p.root == nil {
		return nil, &Error{"an element", "none"}
	}
	return p.root, nil
}

type parser struct {
	doc    string
	bounds Bounds
	d      *xml.Decoder
	root   *Node
	open   []*Node
	total  int
}

func (p *parser) token(token xml.Token, before int) error {
	switch t := token.(type) {
	case xml.Directive:
		return &Error{"no document type declaration", "<!" + clip(string(t)) + ">"}
	case xml.StartElement:
		return p.start(t, before)
	case xml.EndElement:
		n := p.open[len(p.open)-1]
		n.end = int(p.d.InputOffset())
		n.innerEnd = max(n.innerStart, before) // an element without an end tag ends where it began
		p.open = p.open[:len(p.open)-1]
	case xml.CharData:
		if len(p.open) > 0 {
			p.open[len(p.open)-1].Text += string(t)
		} else if strings.Trim(string(t), " \t\r\n\x00\ufeff") != "" {
			return &Error{"nothing outside the root element", clip(string(t))}
		}
	}
	return nil
}

func (p *parser) start(t xml.StartElement, before int) error {
	if p.total++; p.total > p.bounds.Elements || len(p.open) == p.bounds.Depth || p.root != nil && len(p.open) == 0 {
		return &Error{fmt.Sprintf("one root, at most %d elements in %d levels", p.bounds.Elements, p.bounds.Depth), "more"}
	}
	seen := map[xml.Name]bool{}
	for _, a := range t.Attr {
		if seen[a.Name] {
			return &Error{"each attribute once", clip(a.Name.Local) + " twice"}
		}
		seen[a.Name] = true
	}
	n := &Node{Name: t.Name, Attrs: t.Attr, doc: p.doc, start: before, innerStart: int(p.d.InputOffset())}
	if len(p.open) == 0 {
		p.root = n
	} else {
		parent := p.open[len(p.open)-1]
		parent.Children = append(parent.Children, n)
	}
	p.open = append(p.open, n)
	return nil
}

func clip(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
