package provider

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxDepth bounds how deep a profile may nest.
const maxDepth = 32

// nodeKind is the kind of a YAML value.
type nodeKind string

const (
	nodeMap    nodeKind = "keys and values"
	nodeList   nodeKind = "a list"
	nodeString nodeKind = "text"
	nodeInt    nodeKind = "a whole number"
	nodeBool   nodeKind = "true or false"
	nodeNull   nodeKind = "nothing"
	nodeBad    nodeKind = "what a profile must not hold" // told already
)

// node is one value of a profile document with the line that it stands on. Nodes are never changed after reading, so
// that variants share them.
type node struct {
	kind   nodeKind
	line   int
	text   string // of a scalar, as written
	scalar any    // string, int, bool or nil
	fields []field
	items  []*node
}

type field struct {
	key   string
	line  int
	value *node
}

// mentions reports whether text stands in any value below.
func (n *node) mentions(text string) bool {
	return n.kind == nodeString && strings.Contains(n.text, text) ||
		slices.ContainsFunc(n.items, func(i *node) bool { return i.mentions(text) }) ||
		slices.ContainsFunc(n.fields, func(f field) bool { return f.value.mentions(text) })
}

// told returns the value for a message: text in quotes, and the kind of what is no scalar.
func (n *node) told() string {
	if n.kind == nodeString {
		return strconv.Quote(n.text)
	}
	return string(n.kind)
}

func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

// without returns the mapping without a key.
func (n *node) without(key string) *node {
	out := *n
	out.fields = slices.DeleteFunc(slices.Clone(n.fields), func(f field) bool { return f.key == key })
	return &out
}

// readTree parses YAML. Anchors, aliases, tags and merge keys are refused: a profile is plain data, and a document that
// refers to itself could be larger than its text.
func readTree(origin string, text []byte) (*node, problems) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // all of them are told below
	if err != nil {
		return nil, problems{yamlProblem(err)}
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, problems{{line: 1, text: fmt.Sprintf("want exactly one YAML document in %s, seen %d", origin, len(file.Docs))}}
	}
	var t treeReader
	root := t.read(file.Docs[0].Body, 0)
	return root, t.problems
}

// yamlProblem returns a YAML error without the library's picture of the source.
func yamlProblem(err error) problem {
	var yerr yaml.Error
	if !errors.As(err, &yerr) {
		return problem{line: 1, text: strings.SplitN(err.Error(), "\n", 2)[0]}
	}
	line := 1
	if t := yerr.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	if text := yerr.GetMessage(); strings.Contains(text, "not allowed in this context") {
		return problem{line: line, text: text + ": look at the indentation of this line and the next"}
	}
	return problem{line: line, text: yerr.GetMessage()}
}

type treeReader struct{ problems problems }

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (t *treeReader) read(n ast.Node, depth int) *node {
	out := &node{kind: nodeNull, line: lineOf(n)}
	if depth > maxDepth {
		t.problems.add(out.line, "nests more than %d levels deep", maxDepth)
		out.kind = nodeBad
		return out
	}
	switch v := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.kind, out.text, out.scalar = nodeString, v.Value, v.Value
	case *ast.LiteralNode:
		out.kind, out.text, out.scalar = nodeString, v.Value.Value, v.Value.Value
	case *ast.BoolNode:
		out.kind, out.text, out.scalar = nodeBool, fmt.Sprint(v.Value), v.Value
	case *ast.IntegerNode:
		t.readInt(out, v)
	case *ast.SequenceNode:
		out.kind = nodeList
		for _, item := range v.Values {
			out.items = append(out.items, t.read(item, depth+1))
		}
	case *ast.MappingNode:
		t.readMap(out, v.Values, depth)
	case *ast.MappingValueNode:
		t.readMap(out, []*ast.MappingValueNode{v}, depth)
	default:
		what, known := refused[n.Type()]
		if !known {
			what = n.Type().String() + ": write text in quotes"
		}
		out.kind = nodeBad
		t.problems.add(out.line, "a profile must not hold %s", what)
	}
	return out
}

// refused is what YAML has and a profile has not.
var refused = map[ast.NodeType]string{
	ast.AnchorType: "anchors (&name)", ast.AliasType: "aliases (*name)", ast.TagType: "tags (!name)",
	ast.FloatType: "numbers with a point: write text in quotes", ast.InfinityType: "infinity: write text in quotes", ast.NanType: "NaN: write text in quotes",
}

func (t *treeReader) readInt(out *node, v *ast.IntegerNode) {
	var i int
	if err := yaml.NodeToValue(v, &i); err != nil {
		t.problems.add(out.line, "want a whole number of at most 64 bits")
		out.kind = nodeBad
		return
	}
	out.kind, out.text, out.scalar = nodeInt, v.Token.Value, i
}

func (t *treeReader) readMap(out *node, values []*ast.MappingValueNode, depth int) {
	out.kind = nodeMap
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			t.problems.add(lineOf(v.Key), "a profile must not hold merge keys (<<)")
			continue
		}
		f := field{key: v.Key.GetToken().Value, line: lineOf(v.Key), value: t.read(v.Value, depth+1)}
		if out.get(f.key) != nil {
			t.problems.add(f.line, "the key %q stands twice", f.key)
			continue
		}
		out.fields = append(out.fields, f)
	}
}

// merge applies a JSON merge patch (RFC 7396) to a tree: a null takes a key away, anything but two mappings is replaced.
// One addition (sheet providers.md §4.2): lists whose items carry an id merge by it.
func merge(target, patch *node) *node {
	switch {
	case isIDList(patch) && isIDList(target):
		return mergeByID(target, patch)
	case patch.kind != nodeMap:
		return patch
	}
	out := &node{kind: nodeMap, line: patch.line}
	if target != nil && target.kind == nodeMap {
		out.line, out.fields = target.line, slices.Clone(target.fields)
	}
	for _, f := range patch.fields {
		i := slices.IndexFunc(out.fields, func(o field) bool { return o.key == f.key })
		switch {
		case f.value.kind == nodeNull:
			if i >= 0 {
				out.fields = slices.Delete(out.fields, i, i+1)
			}
		case i >= 0:
			out.fields[i] = field{f.key, f.line, merge(out.fields[i].value, f.value)}
		default:
			out.fields = append(out.fields, field{f.key, f.line, merge(nil, f.value)})
		}
	}
	return out
}

func isIDList(n *node) bool {
	return n != nil && n.kind == nodeList && len(n.items) > 0 &&
		!slices.ContainsFunc(n.items, func(i *node) bool { return i.kind != nodeMap || i.get("id") == nil })
}

func mergeByID(target, patch *node) *node {
	out := &node{kind: nodeList, line: target.line, items: slices.Clone(target.items)}
	for _, p := range patch.items {
		i := slices.IndexFunc(out.items, func(o *node) bool { return o.get("id").text == p.get("id").text })
		if i < 0 {
			out.items = append(out.items, merge(nil, p))
		} else {
			out.items[i] = merge(out.items[i], p)
		}
	}
	return out
}

// problem is one thing wrong with a profile.
type problem struct {
	line int
	text string
}

type problems []problem

func (ps *problems) add(line int, format string, args ...any) {
	*ps = append(*ps, problem{max(line, 1), fmt.Sprintf(format, args...)})
}

// join returns the problems as one error, each once, in the order of their lines.
func (ps problems) join(origin string) error {
	slices.SortStableFunc(ps, func(a, b problem) int { return a.line - b.line })
	var errs []error
	told := map[problem]bool{}
	for _, p := range ps {
		if !told[p] {
			errs = append(errs, fmt.Errorf("%s:%d: %s", origin, p.line, p.text))
		}
		told[p] = true
	}
	return errors.Join(errs...)
}
