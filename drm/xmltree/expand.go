package xmltree

import (
	"encoding/xml"
	"strings"
)

// Expanded returns the element in the form in which PlayReady hashes and signs it: as it stands, but with an end tag for each
// element, attributes in double quotes behind single spaces, no comments, and characters escaped as Canonical XML 1.0 has
// them. Prefixes and the order of attributes stay, and only the namespace declarations that the elements carry themselves are
// there. It is for a signed element whose digest fails because it was serialized again, with self-closing tags (sheet
// playready.md §7.5); what is in this form already comes back as [Node.Raw] has it.
func (n *Node) Expanded() string {
	raw := n.Raw()
	var b strings.Builder
	b.Grow(len(raw) + len(raw)/8)
	d := xml.NewDecoder(strings.NewReader(raw))
	for {
		before := d.InputOffset()
		token, err := d.RawToken()
		if err != nil { // the end: Parse has read the same bytes
			return b.String()
		}
		switch t := token.(type) {
		case xml.StartElement:
			t, _ = written(t, raw[before:d.InputOffset()])
			b.WriteString("<" + prefixed(t.Name))
			for _, a := range t.Attr {
				b.WriteString(" " + prefixed(a.Name) + `="` + EscapeAttr(a.Value) + `"`)
			}
			b.WriteString(">")
		case xml.EndElement:
			b.WriteString("</" + prefixed(t.Name) + ">")
		case xml.CharData:
			b.WriteString(EscapeText(string(t)))
		}
	}
}

func prefixed(name xml.Name) string {
	if name.Space == "" {
		return name.Local
	}
	return name.Space + ":" + name.Local
}

var (
	textEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	attrEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

// EscapeText escapes the text of an element as Canonical XML 1.0 (2.3) has it.
func EscapeText(s string) string { return textEscapes.Replace(s) }

// EscapeAttr escapes the value of an attribute, to stand in double quotes, as Canonical XML 1.0 (2.3) has it.
func EscapeAttr(s string) string { return attrEscapes.Replace(s) }

// written returns the start tag, whose text is given, with its attributes' values as XML reads them: white space other than
// that of character references is a space (XML 1.0, 3.3.3), which the decoder does not know. Nor does it mind attributes
// without white space between them, which are an [*Error].
func written(t xml.StartElement, tag string) (xml.StartElement, error) {
	if len(t.Attr) == 0 {
		return t, nil
	}
	flat := strings.ContainsAny(tag, "\t\r\n")
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(tag); i++ {
		c := tag[i]
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
			if !strings.ContainsRune(spaces+"/>", rune(tag[i+1])) { // a tag does not end with a quote
				return t, &Error{"white space between attributes", clip(tag[i:])}
			}
		case quote != 0 && strings.IndexByte(spaces, c) >= 0:
			if c == '\r' && tag[i+1] == '\n' {
				i++
			}
			c = ' '
		}
		if flat {
			b.WriteByte(c)
		}
	}
	if !flat {
		return t, nil
	}
	token, err := xml.NewDecoder(strings.NewReader(b.String())).RawToken()
	again, ok := token.(xml.StartElement)
	if err != nil || !ok {
		return t, &Error{"a start tag", clip(tag)}
	}
	return again, nil
}
