package reports

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func renderHTML(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := RenderHTML(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// element is one start tag of a page.
type element struct {
	name string
	attr map[string]string
}

// elements parses a page as far as encoding/xml can: every tag must be closed, and closed in order.
func elements(t *testing.T, page string) []element {
	t.Helper()
	page = strings.Replace(page, htmlStyle, "", 1)
	for _, void := range []string{"meta", "link", "input"} {
		page = regexp.MustCompile(`<`+void+`\b[^>]*`).ReplaceAllString(page, "$0/")
	}
	page = regexp.MustCompile(` (open|checked)([ >/])`).ReplaceAllString(page, ` $1=""$2`)
	d := xml.NewDecoder(strings.NewReader(page))
	var list []element
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			e := element{start.Name.Local, map[string]string{}}
			for _, a := range start.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			list = append(list, e)
		}
	}
}

// TestHTMLIsSelfContained looks at every element and attribute of every golden page.
func TestHTMLIsSelfContained(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		page := renderHTML(t, build())
		ids := map[string]bool{}
		var refs []string
		for _, e := range elements(t, page) {
			if slices.Contains([]string{"script", "iframe", "object", "embed", "img", "base", "form", "audio", "video", "style/"}, e.name) {
				t.Errorf("%s: there is a <%s>", name, e.name)
			}
			for attr, value := range e.attr {
				switch {
				case strings.HasPrefix(attr, "on"), attr == "style", attr == "src", attr == "srcset":
					t.Errorf("%s: <%s> has %s=%q", name, e.name, attr, value)
				case attr == "id":
					if ids[value] {
						t.Errorf("%s: the id %q is there twice", name, value)
					}
					ids[value] = true
				case attr == "href" && strings.HasPrefix(value, "#"), strings.HasPrefix(attr, "aria-") && strings.HasSuffix(attr, "by"):
					refs = append(refs, strings.TrimPrefix(value, "#"))
				case attr == "href" && value != "data:," && !strings.HasPrefix(value, TranscriptDir+"/"):
					t.Errorf("%s: <%s> links to %q", name, e.name, value)
				}
			}
		}
		for _, ref := range refs {
			if !ids[ref] {
				t.Errorf("%s: nothing has the id %q", name, ref)
			}
		}
	}
	for _, banned := range []string{"url(", "@import", "http:", "https:", "//"} {
		if strings.Contains(htmlStyle, banned) {
			t.Errorf("the style sheet holds %s", banned)
		}
	}
}

// TestHTMLTablesHaveHeads checks what a screen reader needs.
func TestHTMLTablesHaveHeads(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		for _, e := range elements(t, renderHTML(t, build())) {
			if e.name == "th" && e.attr["scope"] == "" {
				t.Errorf("%s: a table head has no scope", name)
			}
			if e.attr["class"] == "scroll" && (e.attr["tabindex"] == "" || e.attr["aria-label"]+e.attr["aria-labelledby"] == "") {
				t.Errorf("%s: a scrolling region cannot be reached or has no name", name)
			}
		}
	}
}

// TestHTMLSaysIt looks for what a reader must find.
func TestHTMLSaysIt(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"outcomes":    {">No claim<", "WV-LIC-03", "What to do", "Look for a response cache", "blocked by process the license", `href="transcripts/WV-LIC-03.txt"`, "requirement set", "5f0c1d9a3f6b"},
		"passed":      {">Conformant<"},
		"load":        {">balanced<", "kept", "No request failed and no license was wrong", "256 opened, at most 256 open", "CPU seconds per second", "from the time a request was due"},
		"load-missed": {"NOT balanced", "missed", "keyflow itself was the limit", "wrong-request-id", "streamed to disk up to second 417 only", ">http-503<", "wrong: bad-mac", "other classes", "The run ended early"},
		"withheld":    {"Redaction failed", "results[1].note"},
		"empty":       {"No check was run"},
	} {
		page := plainMarkup([]byte(renderHTML(t, goldenReports[name]())))
		for _, w := range want {
			if !bytes.Contains(page, []byte(w)) {
				t.Errorf("%s does not say %q", name, w)
			}
		}
	}
	page := renderHTML(t, outcomesReport())
	if strings.Index(page, `id="failures"`) > strings.Index(page, `id="warnings"`) || strings.Index(page, `id="warnings"`) > strings.Index(page, `id="results"`) {
		t.Error("failures, warnings and results are not in this order")
	}
	for _, n := range []string{"fail", "blocked", "unverifiable", "not run"} {
		if !regexp.MustCompile(`<li class="chip is-` + strings.ReplaceAll(n, " ", "-") + `">`).MatchString(page) {
			t.Errorf("the number of %s is not beside the verdict", n)
		}
	}
}

// TestHTMLContrast computes the contrast of every text color on the ground that it stands on, in both themes; WCAG 2.2
// asks for 4.5 to 1 (clause 1.4.3), and for 3 to 1 of what is drawn (1.4.11).
func TestHTMLContrast(t *testing.T) {
	t.Parallel()
	light, dark, ok := strings.Cut(htmlStyle, "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("there is no dark theme")
	}
	for theme, css := range map[string]string{"light": light, "dark": dark} {
		color := func(name string) float64 {
			m := regexp.MustCompile(`--` + name + `: #([0-9a-f]{6})`).FindStringSubmatch(css)
			if m == nil {
				t.Fatalf("%s: there is no --%s", theme, name)
			}
			return luminance(m[1])
		}
		check := func(ink, ground string, want float64) {
			if c := contrast(color(ink), color(ground)); c < want {
				t.Errorf("%s: --%s on --%s has a contrast of %.2f, want %.1f", theme, ink, ground, c, want)
			}
		}
		for _, ink := range []string{"ink", "soft", "faint", "accent"} {
			for _, ground := range []string{"page", "card", "sunken"} {
				check(ink, ground, 4.5)
			}
		}
		for _, tone := range []string{"green", "red", "amber", "blue", "violet", "orange", "gray", "magenta"} {
			check(tone, tone+"-bg", 4.5)
			check(tone, "card", 4.5)
			check("ink", tone+"-bg", 4.5)
		}
		for _, line := range []string{"c-asked", "c-one", "c-two", "c-three", "c-bad"} {
			check(line, "card", 3)
		}
	}
}

func luminance(hex string) float64 {
	var parts [3]float64
	for i := range parts {
		n := strings.Index("0123456789abcdef", hex[2*i:2*i+1])*16 + strings.Index("0123456789abcdef", hex[2*i+1:2*i+2])
		c := float64(n) / 255
		if c <= 0.04045 {
			parts[i] = c / 12.92
		} else {
			parts[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*parts[0] + 0.7152*parts[1] + 0.0722*parts[2]
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

// TestHostileText shows that no format lets a text out of its place.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, f := range append(Renderers(), Renderer{File: "summary.txt", Render: plainSummary}) {
		out, err := f.render(hostileReport())
		if err != nil {
			t.Fatal(err)
		}
		text := string(out)
		for _, c := range "\x00\x01\x1b\x7f\u0085\u202e\u2066\u2028\ufeff" {
			if f.File != jsonFile && strings.ContainsRune(text, c) { // JSON keeps all, escaped where it must be
				t.Errorf("%s holds the character %U", f.File, c)
			}
		}
		if f.File != jsonFile && f.File != "summary.txt" && strings.Contains(text, "<script") {
			t.Errorf("%s holds a script", f.File)
		}
	}
	if page := renderHTML(t, hostileReport()); strings.Contains(page, "javascript:alert(1)\"") {
		t.Error("the page links to a script")
	}
}

func TestTranscriptLink(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"transcripts/WV-LIC-01.txt": "transcripts/WV-LIC-01.txt", "": "", "javascript:alert(1)": "", "transcripts/": "", "transcripts/../x": "",
		"transcripts/a/b": "", "/transcripts/a": "", "transcripts/%2e%2e": "", "//host/transcripts/a": "",
	} {
		if got := transcriptLink(path); got != want {
			t.Errorf("transcriptLink(%q) = %q, want %q", path, got, want)
		}
	}
}
