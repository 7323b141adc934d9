package reports

import (
	"bytes"
	"fmt"
	"html"
	"io"
)

// Renderer writes a report in one format. Render is a pure function of the model: it reads no clock, no environment and
// no network, and it does not change the report.
type Renderer struct {
	Name   string // as a flag spells it
	File   string // name of the file in a report directory
	Render func(w io.Writer, r *Report) error
	// plain undoes the format's escaping, so that the last gate sees what a reader sees.
	plain func(rendered []byte) []byte
}

// Renderers returns all formats; JSON, which carries everything, is first. A format is added here and nowhere else.
func Renderers() []Renderer {
	return []Renderer{
		{Name: "json", File: jsonFile, Render: RenderJSON, plain: plainJSON},
		{Name: "html", File: "report.html", Render: RenderHTML, plain: plainMarkup},
		{Name: "markdown", File: "report.md", Render: RenderMarkdown, plain: plainMarkdown},
		{Name: "junit", File: "junit.xml", Render: RenderJUnit, plain: plainMarkup},
	}
}

// render returns the report in one format.
func (f Renderer) render(r *Report) ([]byte, error) {
	var out bytes.Buffer
	if err := f.Render(&out, r); err != nil {
		return nil, fmt.Errorf("render %s: %w", f.File, err)
	}
	return out.Bytes(), nil
}

// plainMarkup undoes the character references of HTML and XML.
func plainMarkup(rendered []byte) []byte {
	return []byte(html.UnescapeString(string(rendered)))
}
