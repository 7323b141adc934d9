package provider

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strings"

	"keyflow/drm/secret"
)

// inventedRepeats is how often an invented value repeats what a pattern wants once or more.
const inventedRepeats = 8

// maxInvented is the length, in bytes, after which nothing is repeated any more.
const maxInvented = 1 << 12

// Invent returns a value that fits a variable's enum and pattern, for a server that knows no real one: it is a
// [Environment.Resolve]. Where the pattern leaves a choice the value is random, so that an invented secret can be found
// again wherever it leaks. It returns "" for a variable that is not required, and for a pattern that it cannot fit.
func Invent(_ string, v Var) string {
	switch {
	case !v.Required:
		return ""
	case len(v.Enum) > 0:
		return fmt.Sprint(v.Enum[0])
	case v.Pattern == "":
		return "FAKE" + rand.Text()
	}
	re, err := syntax.Parse(v.Pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	invent(&b, re.Simplify())
	if matched, err := regexp.MatchString(v.Pattern, b.String()); err != nil || !matched || v.Secret && b.Len() < secret.MinLen {
		return ""
	}
	return b.String()
}

// invent writes text that an expression matches. Where it may match nothing it does, but for a single optional part.
func invent(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(pickRune(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune(pickRune([]rune{'a', 'z'}))
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			invent(b, sub)
		}
	case syntax.OpAlternate, syntax.OpCapture, syntax.OpQuest:
		invent(b, re.Sub[0])
	case syntax.OpPlus:
		for i := range inventedRepeats {
			if i > 0 && b.Len() > maxInvented {
				return // a repeat of repeats
			}
			invent(b, re.Sub[0])
		}
	}
}

// pickRune returns a letter or digit of a class of ranges if it has one, else any of its characters.
func pickRune(ranges []rune) rune {
	var plain, all []rune
	for i := 0; i+1 < len(ranges); i += 2 {
		for c := ranges[i]; c <= ranges[i+1] && c < 0x7f; c++ {
			if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				plain = append(plain, c)
			}
			all = append(all, c)
		}
	}
	if len(plain) == 0 {
		plain = all
	}
	if len(plain) == 0 { // no ASCII in it
		return ranges[0]
	}
	i, err := rand.Int(rand.Reader, big.NewInt(int64(len(plain))))
	if err != nil {
		return plain[0]
	}
	return plain[i.Int64()]
}
