package provider

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// jsonTemplate is JSON with templates as leaves.
type jsonTemplate struct {
	node     *node
	path     string // within the whole, e.g. message.license
	leaf     *template
	keys     []string
	children []*jsonTemplate
	each     *eachTemplate
}

// eachTemplate is {$each: LIST, $as: NAME, $do: TEMPLATE}: a list with the template once for each item (sheet providers.md
// §4.1).
type eachTemplate struct {
	list string // kids or keys, of input
	as   string
	do   *jsonTemplate
}

// rendering is what JSON is made of.
type rendering struct {
	env   map[string]any
	forge *forgery // what checks want to be wrong with it; nil for nothing
	spoil tampering
}

// render returns the JSON text with its keys in the profile's order; drop says that a leaf is to be left out.
func (j *jsonTemplate) render(r rendering) (text []byte, drop bool, err error) {
	value := j.node.scalar
	switch {
	case j.each != nil:
		text, err = j.each.render(r)
		return text, false, err
	case j.node.kind == nodeMap || j.node.kind == nodeList:
		return j.renderChildren(r, nil)
	case j.leaf != nil:
		if value, drop, err = r.leaf(j); err != nil || drop {
			return nil, drop, err
		}
	}
	text, err = marshal(value)
	return text, false, err
}

// leaf evaluates a template; one that names a token is spoilt as the rendering wants it.
func (r rendering) leaf(j *jsonTemplate) (any, bool, error) {
	carries := len(j.leaf.names.tokens) > 0
	if carries && r.spoil.leavesOut() {
		return nil, true, nil
	}
	value, drop, err := r.forge.eval(j, r.env)
	if text, ok := value.(string); ok && carries {
		value = r.spoil.spoilText(text)
	}
	return value, drop, err
}

// renderChildren renders keys and values or a list; the values of the keys in inText become text.
func (j *jsonTemplate) renderChildren(r rendering, inText []string) ([]byte, bool, error) {
	brackets := map[nodeKind]string{nodeMap: "{}", nodeList: "[]"}[j.node.kind]
	out := []byte{brackets[0]}
	for i, c := range j.children {
		text, drop, err := c.render(r)
		if err == nil && j.keys != nil && slices.Contains(inText, j.keys[i]) {
			text, err = marshal(string(text))
		}
		if err != nil {
			return nil, false, err
		}
		if drop {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if j.keys != nil {
			key, err := marshal(j.keys[i])
			if err != nil {
				return nil, false, err
			}
			out = append(append(out, key...), ':')
		}
		out = append(out, text...)
	}
	return append(out, brackets[1]), false, nil
}

func (e *eachTemplate) render(r rendering) ([]byte, error) {
	input, _ := r.env["input"].(map[string]any)
	items := reflect.ValueOf(input[e.list])
	out := []byte{'['}
	for i := range items.Len() {
		one := r
		one.env = maps.Clone(r.env)
		one.env[e.as] = items.Index(i).Interface()
		if key, ok := one.env[e.as].(keyInput); ok {
			one.env[e.as] = map[string]any{"kid": key.KID, "cek": key.CEK, "label": key.Label}
		}
		text, drop, err := e.do.render(one)
		if err != nil {
			return nil, err
		}
		if drop {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, text...)
	}
	return append(out, ']'), nil
}

func (j *jsonTemplate) templates() []*template {
	var ts []*template
	if j.leaf != nil {
		ts = append(ts, j.leaf)
	}
	for _, c := range j.children {
		ts = append(ts, c.templates()...)
	}
	if j.each != nil {
		list := &template{names: names{inputs: []string{j.each.list}}}
		ts = append(append(ts, list), j.each.do.templates()...)
	}
	return ts
}

// renderAsText is render with the members of these names written as JSON inside of text (sheet providers.md §2.4).
func (j *jsonTemplate) renderAsText(r rendering, inText []string) ([]byte, error) {
	if len(inText) == 0 {
		text, _, err := j.render(r)
		return text, err
	}
	text, _, err := j.renderChildren(r, inText)
	return text, err
}

func (v *validator) jsonTemplate(s *scope, path string, n *node) *jsonTemplate {
	return v.jsonAt(s, path, "", n)
}

func (v *validator) jsonAt(s *scope, path, inside string, n *node) *jsonTemplate {
	v.lines[path] = n.line
	out := &jsonTemplate{node: n, path: inside}
	switch n.kind {
	case nodeString:
		out.leaf = v.template(s, path, n.text, intoJSON)
	case nodeMap:
		if n.get("$each") != nil {
			out.each = v.each(s, path, inside, n)
			return out
		}
		for _, f := range n.fields {
			if len(f.key) > 0 && f.key[0] == '$' {
				v.lines[join(path, f.key)] = f.line
				v.bad(join(path, f.key), "want $each with $as and $do")
			}
			out.keys = append(out.keys, f.key)
			out.children = append(out.children, v.jsonAt(s, join(path, f.key), join(inside, f.key), f.value))
		}
	case nodeList:
		for i, item := range n.items {
			out.children = append(out.children, v.jsonAt(s, fmt.Sprintf("%s[%d]", path, i), inside, item))
		}
	}
	return out
}

func (v *validator) each(s *scope, path, inside string, n *node) *eachTemplate {
	out := &eachTemplate{do: &jsonTemplate{node: n}}
	for _, f := range n.fields {
		v.lines[join(path, f.key)] = f.line
		switch f.key {
		case "$each", "$as", "$do":
		default:
			v.bad(join(path, f.key), "want $each, $as and $do and nothing else")
		}
	}
	list, ok := map[string]string{"input.kids": "kids", "input.keys": "keys"}[n.get("$each").text]
	if !ok {
		v.bad(join(path, "$each"), "want input.kids or input.keys, seen %s", n.get("$each").told())
		return out
	}
	as, do := n.get("$as"), n.get("$do")
	if as == nil || s.roots[as.text] != nil || slices.Contains(filterNames(), as.text) || !isName(as.text) {
		v.bad(path, "$as: want a name that is not taken, e.g. k")
		return out
	}
	if do == nil {
		v.bad(path, "$do: is missing: what is made of each item")
		return out
	}
	out.list, out.as = list, as.text
	item := *s.roots["input"].members[list].item
	if item.members != nil { // a root must not be a struct: the library does not expect that
		item.value = nil
	}
	out.do = v.jsonAt(s.with(as.text, &item), join(path, "$do"), inside, do)
	return out
}
