package provider

import (
	"regexp"
	"strings"
)

var (
	filterStart = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(\(?)`)
	bareAdd     = regexp.MustCompile(`^\s*add\(\s*([+-]?[0-9][0-9a-z.]*)\s*\)`)
	lastEmptied = regexp.MustCompile(`^\s*omitempty(\(\s*\))?\s*$`)
)

// normalize turns the sheet's shorthand into an expression: filters get their parentheses, the duration of add its
// quotes, and a last omitempty is taken off and reported.
func normalize(source string) (code string, omit bool) {
	if at := lastPipe(source); at > 0 && lastEmptied.MatchString(source[at+1:]) {
		source, omit = source[:at], true
	}
	var b strings.Builder
	var q quotes
	for i := 0; i < len(source); i++ {
		b.WriteByte(source[i])
		if !q.outside(source[i]) || source[i] != '|' {
			continue
		}
		rest := source[i+1:]
		if m := bareAdd.FindStringSubmatch(rest); m != nil {
			b.WriteString(` add("` + m[1] + `")`)
			i += len(m[0])
		} else if m := filterStart.FindStringSubmatch(rest); m != nil && m[2] == "" {
			b.WriteString(" " + m[1] + "() ")
			i += len(m[0])
		}
	}
	return strings.TrimSpace(b.String()), omit
}

// lastPipe returns the position of the last | outside quotes and parentheses, -1 if there is none.
func lastPipe(source string) int {
	var q quotes
	at, depth := -1, 0
	for i := range len(source) {
		if !q.outside(source[i]) {
			continue
		}
		switch source[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth == 0 {
				at = i
			}
		}
	}
	return at
}
