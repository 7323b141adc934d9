package provider

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"

	"keyflow/drm/nearest"
)

// names says what a template depends on.
type names struct {
	vars, tokens, inputs []string
	now                  bool
	secret               bool
}

func (n *names) merge(o names) {
	n.vars = append(n.vars, o.vars...)
	n.tokens = append(n.tokens, o.tokens...)
	n.inputs = append(n.inputs, o.inputs...)
	n.now, n.secret = n.now || o.now, n.secret || o.secret
}

// namesContent reports whether the value depends on what is to be licensed.
func (n *names) namesContent() bool { return len(n.inputs) > 0 }

// keyInput is an item of input.keys. CEK is empty for a KID whose content key is not known.
type keyInput struct {
	KID []byte `expr:"kid"`
	CEK []byte `expr:"cek"`
}

// scope is what the templates at one place of a profile may name.
type scope struct {
	vars    map[string]Var
	tokens  map[string][]string // the outputs of each token
	inputs  []string
	options []expr.Option
}

// Every expression sees the same inputs; the challenge exists only when a request is built, after all token I/O.
var (
	leaseInputs = []string{"kid", "kids", "keys", "content_id"}
	buildInputs = append(slices.Clone(leaseInputs), "challenge", "challenge_kind")
)

func newScope(vars map[string]Var, tokens map[string][]string, inputs []string) *scope {
	s := &scope{vars: vars, tokens: tokens, inputs: inputs}
	inputTypes := types.Map{
		"kid": types.TypeOf([]byte{}), "kids": types.TypeOf([][]byte{}), "keys": types.TypeOf([]keyInput{}), "content_id": types.TypeOf([]byte{}),
		"challenge": types.TypeOf([]byte{}), "challenge_kind": types.String,
	}
	varTypes, tokenTypes := types.Map{}, types.Map{}
	for name, v := range vars {
		varTypes[name] = types.TypeOf(v.zero())
	}
	for id, outputs := range tokens {
		outputTypes := types.Map{}
		for _, o := range outputs {
			outputTypes[o] = types.String
		}
		tokenTypes[id] = outputTypes
	}
	env := types.Map{"var": varTypes, "input": inputTypes, "token": tokenTypes, "now": types.TypeOf(time.Time{})}
	s.options = []expr.Option{expr.Env(env), expr.DisableAllBuiltins()}
	for _, f := range filters() {
		s.options = append(s.options, expr.Function(f.name, f.call, f.signatures...))
	}
	return s
}

// inspect checks that an expression is a path with filters and nothing else, and that what it names exists; the types
// are left to the compiler.
func (s *scope) inspect(code string, n *names) error {
	config := conf.CreateNew()
	for _, b := range builtin.Builtins {
		config.Disabled[b.Name] = true
	}
	tree, err := parser.ParseWithConfig(code, config)
	if err != nil {
		return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return s.inspectNode(tree.Node, n)
}

func (s *scope) inspectNode(node ast.Node, n *names) error {
	switch v := node.(type) {
	case *ast.CallNode:
		return s.inspectCall(v, n)
	case *ast.BuiltinNode:
		return unknownFilter(v.Name)
	case *ast.MemberNode, *ast.IdentifierNode:
		path, err := pathOf(node)
		if err != nil {
			return err
		}
		return s.resolve(path, n)
	}
	return errors.New("want a path and filters, e.g. input.kid | hex")
}

func unknownFilter(name string) error {
	return fmt.Errorf("unknown filter %q: %s", name, nearest.Hint(name, filterNames()))
}

func (s *scope) inspectCall(c *ast.CallNode, n *names) error {
	id, ok := c.Callee.(*ast.IdentifierNode)
	if !ok || len(c.Arguments) == 0 {
		return errors.New("want a path and filters, e.g. input.kid | hex")
	}
	if id.Value == omitempty {
		return errors.New("omitempty must be the last filter")
	}
	if !slices.Contains(filterNames(), id.Value) {
		return errors.Join(unknownFilter(id.Value), s.inspectNode(c.Arguments[0], n))
	}
	for _, a := range c.Arguments[1:] {
		text, ok := a.(*ast.StringNode)
		if !ok {
			return fmt.Errorf("the argument of %s must be text in quotes", id.Value)
		}
		if _, err := time.ParseDuration(text.Value); id.Value == "add" && err != nil {
			return fmt.Errorf("add: want a duration, e.g. add(\"300s\"), seen %q", text.Value)
		}
	}
	return s.inspectNode(c.Arguments[0], n)
}

// pathOf returns the steps of a path: names as strings, list positions as ints.
func pathOf(node ast.Node) ([]any, error) {
	switch v := node.(type) {
	case *ast.IdentifierNode:
		return []any{v.Value}, nil
	case *ast.MemberNode:
		path, err := pathOf(v.Node)
		if err != nil {
			return nil, err
		}
		switch p := v.Property.(type) {
		case *ast.StringNode:
			return append(path, p.Value), nil
		case *ast.IntegerNode:
			return append(path, p.Value), nil
		}
	}
	return nil, errors.New("want a path of names, e.g. var.HOST")
}

// resolve checks a path step by step, because only so the nearest name can be told.
func (s *scope) resolve(path []any, n *names) error {
	at := func(i int) string {
		if i < len(path) {
			if name, ok := path[i].(string); ok {
				return name
			}
		}
		return ""
	}
	var valid []string
	rest := path[min(2, len(path)):]
	switch at(0) {
	case "now":
		n.now = true
		return noMembers(path[1:], "now")
	case "var":
		valid = keysSorted(s.vars)
		n.vars = append(n.vars, at(1))
		n.secret = n.secret || s.vars[at(1)].Secret
	case "token":
		valid = keysSorted(s.tokens)
		n.tokens, n.secret = append(n.tokens, at(1)), true
	case "input":
		valid = s.inputs
		n.inputs = append(n.inputs, at(1))
		n.secret = n.secret || at(1) == "keys"
	default:
		return fmt.Errorf("unknown path %q: %s", at(0), nearest.Hint(at(0), []string{"var", "input", "token", "now"}))
	}
	if !slices.Contains(valid, at(1)) {
		return unknownPath(at(0), at(1), valid)
	}
	name := at(0) + "." + at(1)
	switch {
	case at(0) == "token":
		if !slices.Contains(s.tokens[at(1)], at(2)) {
			return unknownPath(name, at(2), s.tokens[at(1)])
		}
		return noMembers(rest[1:], name+"."+at(2))
	case name == "input.keys":
		return keysPath(rest)
	case name == "input.kids" && len(rest) == 1 && isIndex(rest[0]):
		return nil
	}
	return noMembers(rest, name)
}

// keysPath checks what follows input.keys: a position, and kid or cek.
func keysPath(rest []any) error {
	if len(rest) != 2 || !isIndex(rest[0]) {
		return errors.New("input.keys is a list: want input.keys[0].kid or input.keys[0].cek")
	}
	name, _ := rest[1].(string)
	if name != "kid" && name != "cek" {
		return unknownPath("input.keys[…]", name, []string{"kid", "cek"})
	}
	return nil
}

func isIndex(step any) bool {
	i, ok := step.(int)
	return ok && i >= 0
}

func unknownPath(base, name string, valid []string) error {
	if len(valid) == 0 {
		return fmt.Errorf("unknown path \"%s.%s\": the profile has no %s that can be named here", base, name, base)
	}
	return fmt.Errorf("unknown path \"%s.%s\": %s", base, name, nearest.Hint(name, valid))
}

func noMembers(rest []any, name string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%s has no members, seen %v after it", name, rest)
	}
	return nil
}

func keysSorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var (
	bareFilter  = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_]*)\s*$`)
	bareAdd     = regexp.MustCompile(`^\s*add\(\s*([+-]?[0-9][0-9a-z.]*)\s*\)\s*$`)
	lastEmptied = regexp.MustCompile(`^\s*omitempty(\(\s*\))?\s*$`)
)

// normalize turns the sheet's shorthand into an expression: filters get their parentheses, the duration of add its
// quotes, and a last omitempty is taken off and reported.
func normalize(source string) (code string, omit bool) {
	steps := pipes(source)
	if last := len(steps) - 1; last > 0 && lastEmptied.MatchString(steps[last]) {
		steps, omit = steps[:last], true
	}
	for i := 1; i < len(steps); i++ {
		if m := bareFilter.FindStringSubmatch(steps[i]); m != nil {
			steps[i] = " " + m[1] + "() "
		} else if m := bareAdd.FindStringSubmatch(steps[i]); m != nil {
			steps[i] = ` add("` + m[1] + `") `
		}
	}
	return strings.TrimSpace(strings.Join(steps, "|")), omit
}

// pipes cuts an expression at its | outside quotes.
func pipes(source string) []string {
	var steps []string
	var q quotes
	start := 0
	for i := range len(source) {
		if q.outside(source[i]) && source[i] == '|' {
			steps = append(steps, source[start:i])
			start = i + 1
		}
	}
	return append(steps, source[start:])
}
