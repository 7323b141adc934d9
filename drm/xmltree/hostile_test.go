package xmltree_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"keyflow/drm/xmltree"
)

// TestHostile reads documents of a server's largest size that cost most for their length. Work is bounded by what it
// allocates: what grows with the square of the input would take gigabytes, and the factor allows some tens of megabytes. It is
// not parallel: it measures what the process allocates.
func TestHostile(t *testing.T) {
	const size = 256 << 10
	server := xmltree.Bounds{Bytes: size, Elements: 8192, Depth: 32}
	fill := func(open, s, end string) string {
		return open + strings.Repeat(s, (size-len(open)-len(end))/len(s)) + end
	}
	nest := func(n int, open, end string) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	var bomb strings.Builder
	bomb.WriteString(`<!DOCTYPE a [<!ENTITY e0 "lol">`)
	for range 20 {
		bomb.WriteString(`<!ENTITY e "` + strings.Repeat("&e0;", 10) + `">`)
	}
	bomb.WriteString(`]><a>&e;</a>`)
	for _, c := range []struct{ name, doc, want string }{
		{"text split by comments", fill("<a>", "x<!---->", "</a>"), ""},
		{"text split by CDATA", fill("<a>", "<![CDATA[x]]>", "</a>"), ""},
		{"text split by references", fill("<a>", "x&#120;", "</a>"), ""},
		{"text split by children", "<a>" + strings.Repeat("xxxxxxxxxxxxxxxxxxxxxxxx<b/>", 8191) + "</a>", ""},
		{"text on each level", strings.Repeat("<a>", 32) + strings.Repeat("x", 200<<10) + strings.Repeat("</a>", 32), ""},
		{"one long text", fill("<a>", "&", "</a>"), "well-formed"},
		{"one long comment", fill("<a><!--", "x", "--></a>"), ""},
		{"one long value", fill(`<a k="`, "\n", `"></a>`), ""},
		{"one long name", fill("<", "a", "/>"), ""},
		{"one long declaration", fill("<?xml", " ", "?><a/>"), "an XML declaration"},
		{"wide", fill("<a>", "<b/>", "</a>"), "at most 8192 elements"},
		{"deep", nest(30000, "<a>", "</a>"), "at most 32 levels"},
		{"attributes", "<a" + strings.Repeat(` k=""`, 50000) + "/>", "at most 64 attributes"},
		{"declarations", "<a>" + strings.Repeat("<b"+declarations(60)+"/>", 300) + "</a>", ""},
		{"declarations on each level", strings.Repeat("<b"+declarations(60)+">", 31) + strings.Repeat("<p0:c/>", 8000) + strings.Repeat("</b>", 31), ""},
		{"end tags", fill("<a>", "</a>", ""), "an end tag of a that fits no start tag"},
		{"unclosed", fill("", "<", ""), "well-formed"},
		{"doctype", fill("<!DOCTYPE a [", "<!---->", "]><a/>"), "no document type declaration"},
		{"entity bomb", bomb.String(), "no document type declaration"},
		{"quadratic bomb", fill(`<!DOCTYPE a [<!ENTITY e "xxxxxxxx">]><a>`, "&e;", "</a>"), "no document type declaration"},
		{"too long", strings.Repeat(" ", size+1), "at most 262144 bytes"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		root, err := xmltree.Parse(c.doc, server)
		expanded := 0
		if err == nil {
			expanded = len(root.Expanded())
		}
		runtime.ReadMemStats(&after)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64*size {
			t.Errorf("%s: %d bytes allocated for a document of %d", c.name, got, len(c.doc))
		}
		if expanded > 8*size {
			t.Errorf("%s: expanded to %d bytes", c.name, expanded)
		}
	}
}

// declarations returns n of them.
func declarations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` xmlns:p%d="u"`, i)
	}
	return b.String()
}
