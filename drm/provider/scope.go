package provider

import (
	"errors"
	"fmt"
	"maps"
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
	now, run, challenge  bool // challenge: the key request as it stands in a body
	fresh                bool // another value each time: uuid or req.seq
	secret               bool
}

func (n *names) merge(o names) {
	n.vars = append(n.vars, o.vars...)
	n.tokens = append(n.tokens, o.tokens...)
	n.inputs = append(n.inputs, o.inputs...)
	n.now, n.fresh, n.secret = n.now || o.now, n.fresh || o.fresh, n.secret || o.secret
	n.run, n.challenge = n.run || o.run, n.challenge || o.challenge
}

// note keeps what a path starts with.
func (n *names) note(path []any) {
	name := ""
	if len(path) > 1 {
		name, _ = path[1].(string)
	}
	switch path[0] {
	case "var":
		n.vars = append(n.vars, name)
	case "token":
		n.tokens = append(n.tokens, name)
	case "input":
		n.inputs = append(n.inputs, name)
	case "now":
		n.now = true
	case "run":
		n.run = true
	case "challenge":
		n.challenge = true
	case "uuid", "req":
		n.fresh = true
	}
}

// namesContent reports whether the value depends on what is to be licensed.
func (n *names) namesContent() bool { return len(n.inputs) > 0 }

// namesChallenge reports whether the value depends on the key request itself.
func (n *names) namesChallenge() bool {
	return slices.Contains(n.inputs, "challenge") || slices.Contains(n.inputs, "challenge_kind")
}

// tokenShape is what expressions may name of a token.
type tokenShape struct {
	outputs []string
	public  bool
}

// scope is what the templates at one place of a profile may name.
type scope struct {
	roots   map[string]*shape
	options []expr.Option
	later   []string // tokens that are made after this one, or are this one
}

// newScope returns the scope of templates; those that are evaluated when a request is built see its challenge too.
func newScope(vars map[string]Var, tokens map[string]tokenShape, build bool) *scope {
	return scopeOf(rootShapes(vars, tokens, build))
}

func scopeOf(roots map[string]*shape) *scope {
	env := types.Map{}
	for name, root := range roots {
		env[name] = root.typed()
	}
	s := &scope{roots: roots, options: []expr.Option{expr.Env(env), expr.DisableAllBuiltins()}}
	for _, f := range filters() {
		s.options = append(s.options, expr.Function(f.name, f.call, f.signatures...))
	}
	return s
}

// with returns the scope with one more root.
func (s *scope) with(name string, what *shape) *scope {
	roots := maps.Clone(s.roots)
	roots[name] = what
	other := scopeOf(roots)
	other.later = s.later
	return other
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
		return libraryError(err)
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
	for i, a := range c.Arguments[1:] {
		if text, literal := a.(*ast.StringNode); literal && i == 0 && slices.Contains(keyFilters, id.Value) && !strings.HasPrefix(text.Value, "FAKE") {
			return fmt.Errorf("%s: a secret must not stand in a profile: name a variable with secret: true; only text that begins with FAKE may", id.Value)
		}
		if err := s.inspectArgument(id.Value, a, n); err != nil {
			return err
		}
	}
	return s.inspectNode(c.Arguments[0], n)
}

// inspectArgument checks what stands in a filter's parentheses: text in quotes, or for keys a path.
func (s *scope) inspectArgument(filter string, a ast.Node, n *names) error {
	text, ok := a.(*ast.StringNode)
	switch {
	case !ok && slices.Contains(pathFilters, filter):
		return s.inspectNode(a, n)
	case !ok:
		return fmt.Errorf("the argument of %s must be text in quotes", filter)
	}
	if _, err := time.ParseDuration(text.Value); filter == "add" && err != nil {
		return fmt.Errorf("add: want a duration, e.g. add(\"300s\"), seen %q", text.Value)
	}
	return nil
}

// isName reports whether text can be the first step of a path: it is no word of the expression language.
func isName(text string) bool {
	tree, err := parser.ParseWithConfig(text, conf.CreateNew())
	if err != nil || !identifier.MatchString(text) {
		return false
	}
	_, ok := tree.Node.(*ast.IdentifierNode)
	return ok
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
	return nil, errors.New("want a path of names and positions, e.g. var.HOST or input.kids[0]")
}

func keysSorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
