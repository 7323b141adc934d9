package xmltree_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyflow/drm/xmltree"
)

var bounds = xmltree.Bounds{Bytes: 2 << 10, Elements: 20, Depth: 5}

func parse(t testing.TB, doc string) *xmltree.Node {
	t.Helper()
	root, err := xmltree.Parse(doc, bounds)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return root
}

func TestRaw(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "\ufeff", `<?xml version="1.0"?><!-- c --> `, "\ufeff" + `<?xml version='1.0' encoding = 'Utf-8' standalone="yes" ?>` + "\r\n"} {
		root := parse(t, before+`<a:x xmlns:a="urn:a" k="1"><b> t<c></c>u </b><b/><d>&lt;</d></a:x>`+"\n")
		if root.Name.Space != "urn:a" || root.Attr("k") != "1" || root.Attr("z") != "" || !strings.HasPrefix(root.Raw(), "<a:x") || !strings.HasSuffix(root.Raw(), "</a:x>") {
			t.Errorf("%+v, raw %q", root, root.Raw())
		}
		b := root.All("b")
		if len(b) != 2 || b[0].Raw() != "<b> t<c></c>u </b>" || b[0].Inner() != " t<c></c>u " || b[0].Text != " tu " || b[1].Raw() != "<b/>" || b[1].Inner() != "" {
			t.Errorf("raw %q inner %q text %q; %q", b[0].Raw(), b[0].Inner(), b[0].Text, b[1].Raw())
		}
		if root.Path("b", "c").Raw() != "<c></c>" || root.Path("b", "z", "y") != nil || root.Path("d").Text != "<" {
			t.Error("paths lead elsewhere")
		}
		if _, err := root.Only("b"); err == nil {
			t.Error("two are one")
		}
		if n, err := root.Only("z"); n != nil || err != nil {
			t.Error("none is something")
		}
		n := 0
		root.Walk(func(*xmltree.Node) { n++ })
		if n != 5 {
			t.Errorf("walked %d elements", n)
		}
	}
}

// TestNamespaces looks at names and attributes as they are resolved: URI, local name, value.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	root := parse(t, `<x xmlns="urn:d" xmlns:p="urn:p" a="1" p:a="2" xml:space="preserve"><p:y xmlns:p="urn:q" p:b=""/><p:z/><w xmlns=""><v/></w><u/></x>`)
	var names []string
	root.Walk(func(n *xmltree.Node) { names = append(names, n.Name.Space+" "+n.Name.Local) })
	if got := strings.Join(names, ", "); got != "urn:d x, urn:q y, urn:p z,  w,  v, urn:d u" {
		t.Errorf("elements %s", got)
	}
	names = nil
	for _, a := range root.Attrs {
		names = append(names, a.Name.Space+" "+a.Name.Local+"="+a.Value)
	}
	if got := strings.Join(names, ", "); got != " xmlns=urn:d, xmlns p=urn:p,  a=1, urn:p a=2, http://www.w3.org/XML/1998/namespace space=preserve" {
		t.Errorf("attributes %s", got)
	}
	if value, ok := root.Children[0].Lookup("b"); ok || value != "" {
		t.Error("an attribute of a namespace passes for one without")
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	root := parse(t, "<a k='1\t2\r\n3&#9;4&#xA;5'>a\r\nb\rc<!-- no --><![CDATA[<d>]]>&#13;&amp;</a>")
	if got := root.Attr("k"); got != "1 2 3\t4\n5" {
		t.Errorf("attribute %q", got)
	}
	if root.Text != "a\nb\nc<d>\r&" {
		t.Errorf("text %q", root.Text)
	}
	if value, ok := parse(t, `<a k=""/>`).Lookup("k"); !ok || value != "" {
		t.Error("an empty attribute is not there")
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ doc, want string }{
		"doctype":               {`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`, "no document type declaration"},
		"doctype behind":        {`<a/><!DOCTYPE a>`, "no document type declaration"},
		"element declaration":   {`<a><!ELEMENT a ANY></a>`, "no document type declaration"},
		"entity":                {`<a>&e;</a>`, "well-formed"},
		"two roots":             {`<a></a><b></b>`, "one root element"},
		"text behind":           {`<a></a>x`, "nothing outside"},
		"text before":           {`x<a></a>`, "nothing outside"},
		"reference behind":      {`<a></a>&#32;`, "nothing outside"},
		"CDATA behind":          {`<a></a><![CDATA[ ]]>`, "nothing outside"},
		"BOM behind":            {"<a></a>\ufeff", "nothing outside"},
		"cut":                   {`<a><b>`, "the end of the document inside b"},
		"cut in a tag":          {`<a><b k="`, "well-formed"},
		"other end tag":         {`<a></b>`, "an end tag of b"},
		"end tag, other prefix": {`<p:a xmlns:p="u" xmlns:q="u"></q:a>`, "an end tag of a"},
		"end tag alone":         {`</a>`, "an end tag of a"},
		"crossed":               {`<a><b></a></b>`, "an end tag of a"},
		"empty":                 {` `, "an element, seen none"},
		"deep":                  {strings.Repeat("<a>", 6) + strings.Repeat("</a>", 6), "at most 5 levels"},
		"many":                  {`<a>` + strings.Repeat("<b></b>", 20) + `</a>`, "at most 20 elements"},
		"long":                  {`<a>` + strings.Repeat(" ", 2<<10) + `</a>`, "at most 2048 bytes"},
		"attributes":            {`<a` + attributes(65) + `/>`, "at most 64 attributes in an element, seen 65"},
		"bytes":                 {"<a>\xff</a>", "valid UTF-8"},
		"NUL":                   {"<a>\x00</a>", "characters of XML, seen U+0000"},
		"control in a comment":  {"<a><!-- \x01 --></a>", "characters of XML, seen U+0001"},
		"no character":          {"<a>\ufffe</a>", "characters of XML, seen U+FFFE"},
		"UTF-16":                {"<\x00a\x00/\x00>\x00", "characters of XML"},
		"encoding":              {`<?xml version="1.0" encoding="UTF-16"?><a/>`, "encoding UTF-8, seen encoding UTF-16"},
		"encoding, spaced":      {`<?xml version="1.0" encoding = 'latin1' ?><a/>`, "encoding UTF-8, seen encoding latin1"},
		"version 1.1":           {`<?xml version="1.1"?><a/>`, "an XML declaration of version 1.0"},
		"declaration of none":   {`<?xml encoding="UTF-8"?><a/>`, "an XML declaration of version 1.0"},
		"mixed quotes":          {`<?xml version="1.0" encoding="UTF-8'?><a/>`, "an XML declaration of version 1.0"},
		"declaration behind":    {` <?xml version="1.0"?><a/>`, "no processing instruction"},
		"declaration inside":    {`<a><?xml version="1.0"?></a>`, "no processing instruction"},
		"second declaration":    {`<?xml version="1.0"?><?xml version="1.0"?><a/>`, "no processing instruction"},
		"stylesheet":            {`<?xml-stylesheet href="x"?><a/>`, "no processing instruction"},
		"instruction":           {`<a><?php x ?></a>`, "no processing instruction, seen <?php"},
		"prefix, element":       {`<p:a/>`, "a declared prefix, seen p:a"},
		"prefix, attribute":     {`<a p:k="1"/>`, "a declared prefix, seen p:k"},
		"prefix out of scope":   {`<a><b xmlns:p="u"/><p:c/></a>`, "a declared prefix"},
		"prefix named as a URI": {`<a xmlns:p="urn"><urn:b/></a>`, "a declared prefix, seen urn:b"},
		"prefix xmlns, element": {`<xmlns:a/>`, "a declared prefix"},
		"prefix undeclared":     {`<a xmlns:p=""/>`, "a namespace of its own"},
		"prefix xmlns":          {`<a xmlns:xmlns="u"/>`, "a namespace of its own"},
		"prefix xml rebound":    {`<a xmlns:xml="u"/>`, "a namespace of its own"},
		"another xml prefix":    {`<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, "a namespace of its own"},
		"an xmlns prefix":       {`<a xmlns:p="http://www.w3.org/2000/xmlns/"/>`, "a namespace of its own"},
		"xml as default":        {`<a xmlns="http://www.w3.org/XML/1998/namespace"/>`, "may be the default"},
		"colon first":           {`<:a/>`, "a name"},
		"colon last":            {`<a k:="1"/>`, "a name"},
		"two colons":            {`<a:b:c/>`, "well-formed"},
		"attribute twice":       {`<a k="1" k="2"></a>`, "each attribute once, seen k twice"},
		"expanded name twice":   {`<a xmlns:p="u" xmlns:q="u" p:k="1" q:k="2"/>`, "each attribute once"},
		"declaration twice":     {`<a xmlns:p="u" xmlns:p="u"/>`, "each attribute once"},
		"no space between":      {`<a k="1"l="2"/>`, "white space between attributes"},
		"no quotes":             {`<a k=1/>`, "well-formed"},
		"less-than in a value":  {`<a k="<"/>`, "well-formed"},
		"end of CDATA in text":  {`<a>]]></a>`, "well-formed"},
		"hyphens in a comment":  {`<a><!-- -- --></a>`, "well-formed"},
	} {
		var refused *xmltree.Error
		if _, err := xmltree.Parse(c.doc, bounds); !errors.As(err, &refused) || len(err.Error()) > 400 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	parse(t, `<a`+attributes(64)+`/>`)
	parse(t, `<a xmlns:xml="http://www.w3.org/XML/1998/namespace" xmlns:p="xmlns" xmlns:k="u" p:k="1" k=""/>`)
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` k%d=""`, i)
	}
	return b.String()
}
