package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// jsonFile is the file that makes a directory a report directory.
const jsonFile = "report.json"

// RenderJSON writes the report as indented JSON that matches [JSONSchema]. Equal reports give equal bytes: fields in
// the order of the model, results in the order of (profile, variant, asset, id), map keys sorted, times in UTC.
func RenderJSON(w io.Writer, r *Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // for people: p99<250ms, not p99\u003c250ms
	e.SetIndent("", "  ")
	c := canonical(r)
	// Encode would write an escape for what is not UTF-8, which comes back as a character that needs none.
	editStrings(c, func(_, s string) string { return strings.ToValidUTF8(s, "\uFFFD") })
	return e.Encode(c)
}

// plainJSON returns the decoded keys and strings of a JSON text, one a line.
func plainJSON(rendered []byte) []byte {
	var out bytes.Buffer
	d := json.NewDecoder(bytes.NewReader(rendered))
	for {
		token, err := d.Token()
		if err != nil { // the end: the text was rendered here
			return out.Bytes()
		}
		if s, ok := token.(string); ok {
			out.WriteString(s)
			out.WriteByte('\n')
		}
	}
}
