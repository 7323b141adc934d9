package provider

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"

	"keyflow/drm/nearest"
)

// shape is what expressions may name at one place: a value, a list, or members with names.
type shape struct {
	value   any               // a sample of the value's Go type; nil for members
	members map[string]*shape // of what has members
	item    *shape            // of a list
	secret  bool              // whoever names it is secret
	what    string            // the plural of its members, for messages: "variables"
}

func valueOf(sample any) *shape { return &shape{value: sample} }

// typed returns the shape as the library has types.
func (s *shape) typed() types.Type {
	if s.members == nil || s.value != nil {
		return types.TypeOf(s.value)
	}
	m := types.Map{}
	for name, member := range s.members {
		m[name] = member.typed()
	}
	return m
}

// keyInput is an item of input.keys. CEK is empty for a KID whose content key is not known, Label for a track without one.
type keyInput struct {
	KID   []byte `expr:"kid"`
	CEK   []byte `expr:"cek"`
	Label string `expr:"label"`
}

// keyShape is the shape of an item of input.keys.
func keyShape() *shape {
	return &shape{value: keyInput{}, members: map[string]*shape{
		"kid": valueOf([]byte{}), "cek": {value: []byte{}, secret: true}, "label": valueOf(""),
	}}
}

// inputShapes are what a run gives. The challenge exists only when a request is built, after all token I/O.
func inputShapes(build bool) map[string]*shape {
	m := map[string]*shape{
		"kid":           valueOf([]byte{}),
		"kids":          {value: [][]byte{}, item: valueOf([]byte{})},
		"keys":          {value: []keyInput{}, item: keyShape()},
		"content_id":    valueOf([]byte{}),
		"pssh":          valueOf([]byte{}),
		"header_la_url": valueOf(""),
		"session_id":    valueOf(""),
	}
	if build {
		m["challenge"], m["challenge_kind"] = valueOf([]byte{}), valueOf("")
	}
	return m
}

// rootShapes are the first steps of all paths.
func rootShapes(vars map[string]Var, tokens map[string]tokenShape, build bool) map[string]*shape {
	varShapes, tokenShapes := map[string]*shape{}, map[string]*shape{}
	for name, v := range vars {
		varShapes[name] = &shape{value: v.zero(), secret: v.Secret}
	}
	for id, t := range tokens {
		outputs := map[string]*shape{}
		for _, o := range t.outputs {
			outputs[o] = &shape{value: "", secret: !t.public}
		}
		tokenShapes[id] = &shape{members: outputs, what: "output"}
	}
	roots := map[string]*shape{
		"var":   {members: varShapes, what: "var"},
		"token": {members: tokenShapes, what: "token"},
		"input": {members: inputShapes(build), what: "input"},
		"run":   {members: map[string]*shape{"id": valueOf("")}, what: "run"},
		"now":   valueOf(time.Time{}),
		"uuid":  valueOf(""),
	}
	if build {
		roots["req"] = &shape{members: map[string]*shape{"seq": valueOf(0)}, what: "req"}
	}
	return roots
}

// resolve follows a path step by step, because only so the nearest name can be told.
func (s *scope) resolve(path []any, n *names) error {
	root, _ := path[0].(string)
	at, known := s.roots[root]
	if !known {
		return fmt.Errorf("unknown path %q: %s", root, nearest.Hint(root, slices.Collect(maps.Keys(s.roots))))
	}
	text := root
	n.note(path)
	for _, step := range path[1:] {
		n.secret = n.secret || at.secret
		next, err := at.step(text, step)
		if id, _ := step.(string); err != nil && text == "token" && slices.Contains(s.later, id) {
			return fmt.Errorf("token.%s is not made yet: a token can name those above it", id)
		}
		if err != nil {
			return err
		}
		switch name := step.(type) {
		case string:
			text += "." + name
		case int:
			text += fmt.Sprintf("[%d]", name)
		}
		at = next
	}
	n.secret = n.secret || at.secret
	switch {
	case at.item != nil && at.item.members != nil:
		return fmt.Errorf("%s is a list: want %s[0].kid or %s[0].cek", text, text, text)
	case at.members != nil:
		return fmt.Errorf("%s is no value by itself: %s", text, membersOf(at.members))
	}
	return nil
}

// step returns what a name or a position in the shape leads to.
func (s *shape) step(text string, step any) (*shape, error) {
	if i, ok := step.(int); ok && s.item != nil && i >= 0 {
		return s.item, nil
	}
	name, ok := step.(string)
	switch {
	case s.item != nil && s.item.members != nil:
		return nil, fmt.Errorf("%s is a list: want %s[0].kid or %s[0].cek", text, text, text)
	case s.members == nil || !ok:
		return nil, fmt.Errorf("%s has no members, seen %v after it", text, step)
	}
	next, known := s.members[name]
	if !known {
		return nil, unknownPath(text, name, keysSorted(s.members))
	}
	return next, nil
}

// membersOf says how a path may go on.
func membersOf(members map[string]*shape) string {
	if len(members) == 0 {
		return "and it has no members"
	}
	return "want one of its members: " + strings.Join(keysSorted(members), ", ")
}

func unknownPath(base, name string, valid []string) error {
	if id, output := strings.CutPrefix(base, "token."); output && len(valid) == 0 {
		return fmt.Errorf("unknown path \"%s.%s\": token %s has no outputs", base, name, id)
	}
	if len(valid) == 0 {
		return fmt.Errorf("unknown path \"%s.%s\": the profile has no %s that can be named here", base, name, base)
	}
	return fmt.Errorf("unknown path \"%s.%s\": %s", base, name, nearest.Hint(name, valid))
}

// isBytes reports whether a type is that of bytes.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}
