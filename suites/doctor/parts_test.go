package doctor

import (
	"strings"
	"testing"
)

// FuzzParts: bodies and requests hold what users put into their profiles.
func FuzzParts(f *testing.F) {
	f.Add(`{"a":[1,true,null,{"b":"eyJjIjoxfQ=="}]}`)
	f.Add("POST /a?b=%zz HTTP/1.1\nHost: x\n\n{")
	f.Fuzz(func(t *testing.T, text string) {
		for _, wrap := range []string{"json", "form", "envelope", "raw", "token"} {
			if b := shapeOf([]byte(text), wrap, false); len(b.Parts) > maxParts+1 || b.Form == "" {
				t.Errorf("%s: %d parts, form %q", wrap, len(b.Parts), b.Form)
			}
		}
		shapeOf([]byte(text), "json", true)
		if c := new(Comparison); text != "" {
			if c.differ("license", text, text); len(c.Differences) > 0 {
				t.Errorf("a request differs from itself: %+v", c.Differences)
			}
			other := strings.Replace(text, text[:1], text[:1]+"x", 1)
			c.note("license", fieldsOf(text), fieldsOf(other))
		}
	})
}
