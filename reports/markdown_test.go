package reports

import (
	"bytes"
	"strings"
	"testing"
)

// TestMarkdownTables counts the cells of every row: a text must not be able to add one.
func TestMarkdownTables(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		var out bytes.Buffer
		if err := RenderMarkdown(&out, build()); err != nil {
			t.Fatal(err)
		}
		want, rows := 0, 0
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "|") {
				want = 0
				continue
			}
			rows++
			bars := strings.Count(line, "|") - strings.Count(line, `\|`)
			if want == 0 {
				want = bars
			}
			if bars != want {
				t.Errorf("%s: a row has %d bars, its table %d: %s", name, bars, want, line)
			}
		}
		if rows < 3 {
			t.Errorf("%s has %d table rows", name, rows)
		}
	}
}

func TestMarkdownEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a|b":                   `a\|b`,
		"`a` *b* _c_ ~d~ $e$":   "\\`a\\` \\*b\\* \\_c\\_ \\~d\\~ \\$e\\$",
		"<b> & &lt;":            "&lt;b&gt; &amp; &amp;lt;",
		"[x](y) ![z](w)":        `\[x\](y) \!\[z\](w)`,
		"https://a.b www.c @d":  "https&#58;//a.b www&#46;c &#64;d",
		"one\n\n# two\n":        `one<br><br>\# two`,
		`\|`:                    `\\\|`,
		strings.Repeat("a", 99): strings.Repeat("a", 99),
	} {
		if got := md(text); got != want {
			t.Errorf("md(%q) = %q, want %q", text, got, want)
		}
	}
	long := md(strings.Repeat("ä|", markdownClip))
	if !strings.HasSuffix(long, "(1000 more characters in report.json)") {
		t.Errorf("a long text ends in %q", long[len(long)-60:])
	}
	if got := string(plainMarkdown([]byte(md(`a|b\*<c>&"d"`)))); got != `a|b\*<c>&"d"` {
		t.Errorf("the gate reads %q", got)
	}
}
