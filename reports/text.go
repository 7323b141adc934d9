package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns a copy of the report whose strings are safe to show: what a server sends must not be able to move a
// terminal's cursor, reverse the direction of the text around it or hide.
func printable(r *Report) *Report {
	c := canonical(r)
	editStrings(c, func(_, s string) string { return visible(s) })
	return c
}

// Visible returns s as it is safe to show on a terminal: valid UTF-8 with control and format characters spelt out.
func Visible(s string) string { return visible(s) }

// visible returns s as valid UTF-8 with control and format characters spelt out; line feeds and tabs stay.
func visible(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			out.WriteRune(r)
		case r < 0x20:
			out.WriteRune(0x2400 + r) // control pictures
		case r == 0x7f:
			out.WriteRune(0x2421)
		default:
			fmt.Fprintf(&out, "<U+%04X>", r)
		}
	}
	return out.String()
}

// hidden reports whether a character shows nothing of its own and changes what is around it. The joiners are part of
// ordinary words and emoji.
func hidden(r rune) bool {
	const zwnj, zwj = 0x200c, 0x200d
	if r == '\n' || r == '\t' || r == zwnj || r == zwj {
		return false
	}
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// clip shortens s to at most n characters and says how many are missing.
func clip(s string, n int) string {
	total := utf8.RuneCountInString(s)
	if total <= n {
		return s
	}
	cut := 0
	for i := range s {
		if cut == n {
			return s[:i] + fmt.Sprintf(" … (%d more characters in %s)", total-n, jsonFile)
		}
		cut++
	}
	return s
}

// oneLine folds all white space, line feeds included, to single spaces.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// count writes a number with thousands separated by a no-break space.
func count[T int | int64 | uint64](n T) string {
	digits := fmt.Sprint(n)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u00a0" + digits[i:]
	}
	return sign + digits
}

// micros writes microseconds in the unit that suits them, with three significant digits: 182 µs, 4.25 ms, 1.5 s.
func micros(us float64) string {
	switch abs := math.Abs(us); {
	case us == 0:
		return "0"
	case abs < 999.5:
		return digits3(us) + "\u00a0µs"
	case abs < 999.5e3:
		return digits3(us/1e3) + "\u00a0ms"
	case abs < 600e6:
		return digits3(us/1e6) + "\u00a0s"
	default:
		return digits3(us/60e6) + "\u00a0min"
	}
}

// digits3 writes a measured number with three significant digits, or all digits of its whole part.
func digits3(f float64) string {
	if math.Abs(f) >= 999.5 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 3, 64), 64)
	if err != nil {
		return fmt.Sprint(f)
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// plural writes a number and its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// orDash stands in for a missing value in a table.
func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// bytesIEC writes a number of bytes in binary units: 1.5 GiB.
func bytesIEC(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	f, i := float64(n), 0
	for f >= 1023.5 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return digits3(f) + "\u00a0" + units[i]
}
