package xmltree

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// spaces is the white space of XML.
const spaces = " \t\r\n"

// Parse reads a document in UTF-8. A byte order mark and an XML declaration may precede it. Any error is an [*Error].
func Parse(doc string, b Bounds) (*Node, error) {
	if len(doc) > b.Bytes {
		return nil, &Error{fmt.Sprintf("at most %d bytes", b.Bytes), fmt.Sprint(len(doc))}
	}
	if err := characters(doc); err != nil {
		return nil, err
	}
	doc, err := afterDeclaration(strings.TrimPrefix(doc, "\ufeff"))
	if err != nil {
		return nil, err
	}
	p := parser{doc: doc, bounds: b, d: xml.NewDecoder(strings.NewReader(doc)), ns: namespaces{uris: map[string]string{"xml": uriXML}}}
	if err := p.read(); err != nil {
		return nil, err
	}
	return p.root, nil
}

// characters checks that the document is made of XML's characters (XML 1.0, 2.2). The decoder looks at text alone, and not at
// comments.
func characters(doc string) error {
	if !utf8.ValidString(doc) {
		return &Error{"valid UTF-8", "bytes that are none"}
	}
	for _, r := range doc {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return &Error{"the characters of XML", fmt.Sprintf("%U", r)}
		}
	}
	return nil
}

// declaration is the XML declaration (XML 1.0, 2.8).
var declaration = regexp.MustCompile(`^<\?xml\s+version\s*=\s*(?:"1\.0"|'1\.0')(?:\s+encoding\s*=\s*(?:"([A-Za-z0-9._-]+)"|'([A-Za-z0-9._-]+)'))?` +
	`(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>`)

// afterDeclaration returns the document without its XML declaration. It reads the declaration itself, because the decoder
// overlooks an encoding with white space before its equals sign, and takes declarations in mid-document.
func afterDeclaration(doc string) (string, error) {
	rest, ok := strings.CutPrefix(doc, "<?xml")
	if !ok || strings.TrimLeft(rest, spaces) == rest {
		return doc, nil
	}
	m := declaration.FindStringSubmatch(doc)
	if m == nil {
		return "", &Error{"an XML declaration of version 1.0", clip(doc)}
	}
	if encoding := m[1] + m[2]; encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return "", &Error{"encoding UTF-8", "encoding " + clip(encoding)}
	}
	return doc[len(m[0]):], nil
}

// parser works on raw tokens: they keep prefixes as written, so that an undeclared one cannot pass for a URI.
type parser struct {
	doc    string
	bounds Bounds
	d      *xml.Decoder
	root   *Node
	open   []element
	total  int
	ns     namespaces
}

// element is an open element.
type element struct {
	node *Node
	name xml.Name // as written, with the prefix
	mark int      // what to take the namespaces back to
}

func (p *parser) read() error {
	for {
		before := int(p.d.InputOffset())
		token, err := p.d.RawToken()
		switch {
		case errors.Is(err, io.EOF) && len(p.open) > 0:
			return &Error{"well-formed XML", "the end of the document inside " + clip(p.open[len(p.open)-1].node.Name.Local)}
		case errors.Is(err, io.EOF) && p.root == nil:
			return &Error{"an element", "none"}
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &Error{"well-formed XML", clip(err.Error())}
		}
		if err := p.token(token, before, int(p.d.InputOffset())); err != nil {
			return err
		}
	}
}

// token takes over a token that stands in the document from before to after.
func (p *parser) token(token xml.Token, before, after int) error {
	switch t := token.(type) {
	case xml.Directive:
		return &Error{"no document type declaration", "<!" + clip(string(t)) + ">"}
	case xml.ProcInst: // SOAP 1.1 forbids them (section 3), and PlayReady headers have none
		return &Error{"no processing instruction", "<?" + clip(t.Target) + " …?>"}
	case xml.StartElement:
		return p.start(t, before, after)
	case xml.EndElement:
		return p.end(t.Name, before, after)
	case xml.CharData:
		if len(p.open) > 0 {
			n := p.open[len(p.open)-1].node
			n.text = append(n.text, t...)
		} else if strings.Trim(p.doc[before:after], spaces) != "" { // as written: a reference or CDATA is no white space
			return &Error{"nothing outside the root element", clip(string(t))}
		}
	}
	return nil
}

func (p *parser) start(t xml.StartElement, before, after int) error {
	switch p.total++; {
	case p.root != nil && len(p.open) == 0:
		return &Error{"one root element", "a second one, " + clip(t.Name.Local)}
	case p.total > p.bounds.Elements:
		return &Error{fmt.Sprintf("at most %d elements", p.bounds.Elements), "more"}
	case len(p.open) == p.bounds.Depth:
		return &Error{fmt.Sprintf("at most %d levels of elements", p.bounds.Depth), "more"}
	case len(t.Attr) > maxAttrs:
		return &Error{fmt.Sprintf("at most %d attributes in an element", maxAttrs), fmt.Sprint(len(t.Attr))}
	}
	t, err := written(t, p.doc[before:after])
	if err != nil {
		return err
	}
	mark := len(p.ns.undo)
	n := &Node{doc: p.doc, start: before, innerStart: after}
	if n.Name, n.Attrs, err = p.ns.enter(t); err != nil {
		return err
	}
	if len(p.open) == 0 {
		p.root = n
	} else {
		parent := p.open[len(p.open)-1].node
		parent.Children = append(parent.Children, n)
	}
	p.open = append(p.open, element{n, t.Name, mark})
	return nil
}

func (p *parser) end(name xml.Name, before, after int) error {
	if len(p.open) == 0 || p.open[len(p.open)-1].name != name {
		return &Error{"well-formed XML", "an end tag of " + clip(name.Local) + " that fits no start tag"}
	}
	e := p.open[len(p.open)-1]
	e.node.end = after
	e.node.innerEnd = max(e.node.innerStart, before) // an element without an end tag ends where it began
	e.node.Text, e.node.text = string(e.node.text), nil
	p.ns.leave(e.mark)
	p.open = p.open[:len(p.open)-1]
	return nil
}
