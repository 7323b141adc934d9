// Package xmltree reads small XML documents of strangers into trees that know where in the text each element stands, so that
// what was signed can be cut out as it was sent. It is stricter than encoding/xml where that lets pass what other parsers
// refuse or read in another way: undeclared prefixes, attributes that are there twice, a second root, text outside of it.
// Document type declarations, processing instructions, encodings other than UTF-8 and whatever goes beyond the bounds are
// refused too (sheet playready.md §7.5, §11); nothing outside the document is ever read.
package xmltree

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Bounds limit what is read. An element has at most 64 attributes, namespace declarations included.
type Bounds struct {
	Bytes, Elements, Depth int
}

// Error says what is wrong with a document.
type Error struct{ Expected, Seen string }

func (e *Error) Error() string { return "expected " + e.Expected + ", seen " + e.Seen }

// Node is an element.
type Node struct {
	Name     xml.Name   // with the namespace's URI
	Attrs    []xml.Attr // in order, likewise; namespace declarations are those named xmlns and those in the space "xmlns"
	Text     string     // its own, without its children's
	Children []*Node

	doc                              string
	text                             []byte // Text while the element is open
	start, innerStart, innerEnd, end int
}

// Raw returns the element as it stands in the document, from < to >.
func (n *Node) Raw() string { return n.doc[n.start:n.end] }

// Inner returns what stands between the element's tags.
func (n *Node) Inner() string { return n.doc[n.innerStart:n.innerEnd] }

// Attr returns the value of an attribute without a namespace, "" if it is not there.
func (n *Node) Attr(local string) string {
	value, _ := n.Lookup(local)
	return value
}

// Lookup returns the value of an attribute without a namespace, and whether it is there.
func (n *Node) Lookup(local string) (string, bool) {
	for _, a := range n.Attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value, true
		}
	}
	return "", false
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

// maxQuoted is how much of a document an error quotes, in bytes.
const maxQuoted = 100

func clip(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
