package xmltree_test

import (
	"errors"
	"strings"
	"testing"

	"keyflow/drm/xmltree"
)

var bounds = xmltree.Bounds{Bytes: 1 << 10, Elements: 20, Depth: 5}

func TestRaw(t *testing.T) {
	t.Parallel()
	const doc = `<?xml version="1.0"?><!-- c --> <a:x xmlns:a="urn:a" k="1"><b> t<c></c>u </b><b/><d>&lt;</d></a:x>` + "\n"
	root, err := xmltree.Parse(doc, bounds)
	if err != nil {
		t.Fatal(err)
	}
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

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"doctype": `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`, "entity": `<a>&e;</a>`, "two roots": `<a></a><b></b>`,
		"text": `<a></a>x`, "twice": `<a k="1" k="2"></a>`, "cut": `<a><b>`, "empty": ` `, "deep": strings.Repeat("<a>", 6) + strings.Repeat("</a>", 6),
		"many": `<a>` + strings.Repeat("<b></b>", 20) + `</a>`, "long": `<a>` + strings.Repeat(" ", 1<<10) + `</a>`, "bytes": "<a>\xff</a>", "NUL": "<a>\x00</a>",
	} {
		var refused *xmltree.Error
		if _, err := xmltree.Parse(doc, bounds); !errors.As(err, &refused) || len(err.Error()) > 400 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`<?xml version="1.0"?><a xmlns="u" k='1'><b>t</b><c/></a>`)
	f.Add(`<!DOCTYPE a><a/>`)
	f.Fuzz(func(t *testing.T, doc string) {
		root, err := xmltree.Parse(doc, bounds)
		if err != nil {
			return
		}
		root.Walk(func(n *xmltree.Node) {
			if !strings.Contains(doc, n.Raw()) || !strings.Contains(n.Raw(), n.Inner()) || !strings.HasPrefix(n.Raw(), "<") || !strings.HasSuffix(n.Raw(), ">") {
				t.Errorf("raw %q, inner %q", n.Raw(), n.Inner())
			}
		})
	})
}
