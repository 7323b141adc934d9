package pssh_test

import (
	"strings"
	"testing"
	"time"

	"keyflow/drm/pssh"
)

// TestHostileInputs reads megabytes of what costs most for its length. It is not parallel: it measures what the process
// allocates. The time limit is generous; it is there to catch work that grows with the square of the input.
func TestHostileInputs(t *testing.T) {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	s5 := sampleBox(t, "S5")
	var refs strings.Builder
	for refs.Len() < size {
		refs.WriteString(`<Period><ContentProtection ref="k"/></Period>`)
	}
	target := `<ContentProtection refId="k" cenc:default_KID="` + strings.Repeat(kidA+" ", 64) + `"/>`
	for _, c := range []struct{ name, in string }{
		{"MPD: elements", inSet(fill("<Representation/>"))},
		{"MPD: descriptors", inSet(fill("<ContentProtection/>"))},
		{"MPD: empty pssh", inSet("<ContentProtection>" + fill("<pssh/>") + "</ContentProtection>")},
		{"MPD: KIDs", inSet(`<ContentProtection default_KID="` + fill("x ") + `"/>`)},
		{"MPD: references", openMPD + target + refs.String() + closeMPD},
		{"MPD: nested", inSet(fill("<Period>"))},
		{"MPD: namespaces", inSet(`<a` + fill(` xmlns:a="b"`) + `/>`)},
		{"MPD: text", inSet("<ContentProtection><pssh>" + fill("A<!---->") + "</pssh></ContentProtection>")},
		{"MPD: one long pssh", inSet(descriptor(uriWV, fill("A")))},
		{"boxes", fill(string(s5))},
		{"boxes of version 2", fill(string(withVersion(s5, 2)))},
		{"file: boxes", string(bmffBox("moov", []byte(fill(string(s5)))))},
		{"file: empty boxes", fill("\x00\x00\x00\x08free")},
		{"file: empty moof boxes", fill("\x00\x00\x00\x08moof")},
		{"file: moof boxes with a lying box", fill("\x00\x00\x00\x10moof\x00\x00\x00\x07abcd")},
		{"file: trak boxes", string(bmffBox("moov", []byte(fill("\x00\x00\x00\x10trak\x00\x00\x00\x08mdia"))))},
		{"file: mdia boxes", string(bmffBox("moov", bmffBox("trak", []byte(fill("\x00\x00\x00\x08mdia")))))},
		{"base64", fill("A")},
		{"base64 padding", fill("AA==")},
		{"padding alone", fill("=")},
		{"Widevine data", string(widevineBox(t, strings.Repeat("r\x00", pssh.MaxWidevineData/2)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			checkContent(t, []byte(c.in))
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%d bytes took %v", len(c.in), took)
			}
		})
	}
}

// widevineBox returns a version 0 box with the data.
func widevineBox(t *testing.T, data string) []byte {
	t.Helper()
	b, err := pssh.Build(pssh.Box{SystemID: pssh.WidevineSystemID, Data: []byte(data)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
