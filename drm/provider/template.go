package provider

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// maxTemplate bounds one template, in bytes, and with it the depth of its expressions.
const maxTemplate = 4096

// template is a text leaf of a profile: literal text and expressions (sheet providers.md §4.1).
type template struct {
	text      string // as written
	parts     []part
	omitempty bool
	names     names
	out       reflect.Type // of a template that is one expression and nothing else; text otherwise
}

// part is literal text, or an expression where program is not nil.
type part struct {
	literal string
	program *vm.Program

	now    bool          // the expression names now
	offset time.Duration // and lies so long after it
}

// ends reports whether the expression is a time to come.
func (p part) ends() bool { return p.now && p.offset > 0 }

// constant reports whether the template holds no expression.
func (t *template) constant() bool {
	for _, p := range t.parts {
		if p.program != nil {
			return false
		}
	}
	return true
}

// literalStart returns the text before the first expression.
func (t *template) literalStart() string {
	if len(t.parts) > 0 {
		return t.parts[0].literal
	}
	return ""
}

// secret reports whether the template names a secret; the leaf is then secret as a whole.
func (t *template) secret() bool { return t.names.secret }

// landing is where the value of a template lands; it decides which types may.
type landing int

const (
	intoText  landing = iota // text, numbers and truth values
	intoBytes                // bytes too, if the template is one expression and nothing else
	intoJSON                 // lists of text or numbers too, likewise
)

// compile reads a template.
func (s *scope) compile(text string, into landing) (*template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("the template has more than %d bytes", maxTemplate)
	}
	chunks, err := split(text)
	if err != nil {
		return nil, err
	}
	t := &template{text: text, out: reflect.TypeFor[string]()}
	var errs []error
	for _, c := range chunks {
		if !c.expression {
			t.parts = append(t.parts, part{literal: c.text})
			continue
		}
		var n names
		program, err := s.compileExpr(t, &n, c.text, len(chunks) == 1, into)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				errs = append(errs, fmt.Errorf("${%s}: %s", shownSource(c.text), line))
			}
		}
		t.names.merge(n)
		t.parts = append(t.parts, part{program: program, now: n.now, offset: offsetOf(c.text)})
	}
	return t, errors.Join(errs...)
}

func (s *scope) compileExpr(t *template, n *names, source string, alone bool, into landing) (*vm.Program, error) {
	code, omit := normalize(source)
	if omit && !alone {
		return nil, errors.New("omitempty needs a leaf of its own: nothing may stand beside the expression")
	}
	t.omitempty = t.omitempty || omit
	if err := s.inspect(code, n); err != nil {
		return nil, err
	}
	program, err := expr.Compile(code, s.options...)
	if err != nil {
		return nil, libraryError(err)
	}
	out := program.Node().Type()
	if !alone {
		into = intoText
	}
	if err := into.takes(out); err != nil {
		return nil, err
	}
	if alone {
		t.out = out
	}
	return program, nil
}

var quoted = regexp.MustCompile("'[^']*'|\"[^\"]*\"|`[^`]*`")

// shownSource returns an expression on one line; what may be a key that stands in it is left out.
func shownSource(text string) string {
	if slices.ContainsFunc(keyFilters, func(name string) bool { return strings.Contains(text, name) }) {
		text = quoted.ReplaceAllString(text, "'…'")
	}
	return strings.Join(strings.Fields(text), " ")
}

var (
	wrongType = regexp.MustCompile(`^cannot use (\S+) as argument \(type (\S+)\) to call (\w+)`)
	argCount  = regexp.MustCompile(`^(not enough|too many) arguments to call (\w+)`)
	position  = regexp.MustCompile(`\s*\(\d+:\d+\)$`)
	typeNames = map[string]string{
		"string": "text", "int": "a whole number", "bool": "a truth value", "[]uint8": "bytes", "[][]uint8": "a list of bytes",
		"[]string": "a list of text", "[]int": "a list of numbers", "time.Time": "a time",
	}
)

// libraryError says what the expression library says in the words of profiles.
func libraryError(err error) error {
	text := position.ReplaceAllString(strings.SplitN(err.Error(), "\n", 2)[0], "")
	if m := wrongType.FindStringSubmatch(text); m != nil && typeNames[m[1]] != "" && typeNames[m[2]] != "" {
		return fmt.Errorf("%s takes %s, seen %s", m[3], typeNames[m[2]], typeNames[m[1]])
	}
	if m := argCount.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s has %s arguments in its parentheses", m[2], m[1])
	}
	if strings.HasPrefix(text, "unexpected token EOF") {
		return errors.New("ends too early: want a path and filters, e.g. input.kid | hex")
	}
	return errors.New(text)
}

// takes says why a value of a type cannot stand there: bytes and times have more than one spelling, and which one is meant
// must be said.
func (l landing) takes(t reflect.Type) error {
	if t == nil {
		return errors.New("has no type")
	}
	switch kind := t.Kind(); {
	case kind == reflect.String, kind == reflect.Int, kind == reflect.Bool, isBytes(t) && l == intoBytes:
		return nil
	case isBytes(t):
		return errors.New("bytes need an encoding filter before they land in text: hex, b64 or b64url")
	case kind == reflect.Slice && l == intoJSON && t.Elem().Kind() != reflect.Slice:
		return nil
	case kind == reflect.Slice:
		return errors.New("is a list: name one item, e.g. input.kids[0], or join its texts")
	}
	if t.String() == "time.Time" {
		return errors.New("a time needs a filter before it lands in text: unix or rfc3339")
	}
	return fmt.Errorf("%s cannot stand in text", t)
}

// eval returns the value of a template: string, int, bool or []byte; drop says that the leaf is to be left out.
func (t *template) eval(env map[string]any) (value any, drop bool, err error) {
	return t.evalWith(func(*part) map[string]any { return env })
}

// evalWith is eval with an environment for each part.
func (t *template) evalWith(env func(*part) map[string]any) (value any, drop bool, err error) {
	if len(t.parts) == 1 && t.parts[0].program != nil {
		v, err := expr.Run(t.parts[0].program, env(&t.parts[0]))
		if err != nil {
			return nil, false, t.evalError(err)
		}
		empty := v == nil || v == ""
		if b, ok := v.([]byte); ok {
			empty = len(b) == 0
		}
		return v, empty && t.omitempty, nil
	}
	var b strings.Builder
	for i, p := range t.parts {
		if p.program == nil {
			b.WriteString(p.literal)
			continue
		}
		v, err := expr.Run(p.program, env(&t.parts[i]))
		if err != nil {
			return nil, false, t.evalError(err)
		}
		fmt.Fprint(&b, v)
	}
	return b.String(), false, nil
}

// evalError does not wrap the library's error, which may quote values.
func (t *template) evalError(err error) error {
	if errors.Is(err, errKeyLength) {
		return fmt.Errorf("evaluate %s: %w", t.text, errKeyLength)
	}
	return fmt.Errorf("evaluate %s: a value is missing or has another form", t.text)
}

// evalText is eval for a leaf that lands in text.
func (t *template) evalText(env map[string]any) (text string, drop bool, err error) {
	v, drop, err := t.eval(env)
	if err != nil || drop {
		return "", drop, err
	}
	return textOf(v), false, nil
}

// chunk is a piece of template text: literal, or the inside of ${…}.
type chunk struct {
	text       string
	expression bool
}

// split cuts a template at its expressions; $${ stands for the two characters ${.
func split(text string) ([]chunk, error) {
	var chunks []chunk
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			chunks = append(chunks, chunk{text: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(text[i:], "${"):
			end := closing(text[i+2:])
			if end < 0 {
				return nil, errors.New("${ without its }; write $${ for the characters themselves")
			}
			flush()
			chunks = append(chunks, chunk{text: strings.TrimSpace(text[i+2 : i+2+end]), expression: true})
			i += 2 + end + 1
		default:
			literal.WriteByte(text[i])
			i++
		}
	}
	flush()
	return chunks, nil
}

// closing returns the offset of the first } outside quotes, -1 if there is none.
func closing(s string) int {
	var q quotes
	for i := range len(s) {
		if q.outside(s[i]) && s[i] == '}' {
			return i
		}
	}
	return -1
}

// quotes follows a text through the quoted strings of an expression.
type quotes struct {
	open    byte
	escaped bool
}

func (q *quotes) outside(c byte) bool {
	switch {
	case q.escaped:
		q.escaped = false
	case q.open != 0 && c == '\\' && q.open != '`':
		q.escaped = true
	case q.open != 0 && c == q.open:
		q.open = 0
	case q.open == 0 && (c == '"' || c == '\'' || c == '`'):
		q.open = c
	case q.open == 0:
		return true
	}
	return false
}
