package reports

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func plainSummary(w io.Writer, r *Report) error { return Summary(w, r, SummaryOptions{Width: 100}) }

func colorSummary(w io.Writer, r *Report) error {
	return Summary(w, r, SummaryOptions{Color: true, Width: 60})
}

// TestSummaryColor shows that color changes nothing but color, and that nobody else's escape sequence gets through.
func TestSummaryColor(t *testing.T) {
	t.Parallel()
	sgr := regexp.MustCompile("\x1b\\[[0-9;]+m")
	for name, build := range goldenReports {
		var plain, color bytes.Buffer
		if err := errors.Join(Summary(&plain, build(), SummaryOptions{}), Summary(&color, build(), SummaryOptions{Color: true})); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsRune(plain.String(), 0x1b) {
			t.Errorf("%s: the plain summary holds an escape", name)
		}
		stripped := sgr.ReplaceAllString(color.String(), "")
		if stripped == color.String() || stripped != plain.String() {
			t.Errorf("%s: the summary with color differs:\n%s\nwithout:\n%s", name, stripped, plain.String())
		}
	}
}

// TestSummaryWraps checks the width of what is wrapped, and that it starts and ends with what matters.
func TestSummaryWraps(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 40, 60, 200} {
		var out bytes.Buffer
		if err := Summary(&out, hostileReport(), SummaryOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); strings.HasPrefix(line, "   ") && n > max(width, 40) {
				t.Errorf("a line has %d characters at width %d: %s", n, width, line)
			}
		}
	}
	var out bytes.Buffer
	if err := plainSummary(&out, outcomesReport()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	order := []string{"ERROR WV-SIG-02", "FAIL WV-LIC-03", "warn WV-LIC-05", "blocked WV-KEY-01", "FAILED", "2 failed", "No claim: 2 MUST failed"}
	for i, at := 0, 0; i < len(order); i++ {
		next := strings.Index(text[at:], order[i])
		if next < 0 {
			t.Fatalf("%q does not follow:\n%s", order[i], text)
		}
		at += next
	}
}

func TestSummaryLimitsLists(t *testing.T) {
	t.Parallel()
	r := outcomesReport()
	for range 30 {
		r.Results = append(r.Results, Result{ID: "X", Outcome: Warn, Level: Should, Note: "many"})
	}
	var out bytes.Buffer
	if err := plainSummary(&out, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "and 20 more in the report") {
		t.Errorf("the list of warnings does not end:\n%s", out.String())
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"short", []string{"short"}},
		{"a line of words that is too long", []string{"a line of words that", "is too long"}},
		{"two\n\nlines", []string{"two", "", "lines"}},
		{"x " + strings.Repeat("ä", 45), []string{"x", strings.Repeat("ä", 20), strings.Repeat("ä", 20), strings.Repeat("ä", 5)}},
	} {
		if got := wrap(c.text, 20); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("wrap(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}
