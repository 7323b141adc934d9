package provider

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"keyflow/drm/secret"
)

// Setting is one effective value of a profile, and where it comes from.
type Setting struct {
	Path   string `json:"path"`   // e.g. request.headers.Authorization
	Value  string `json:"value"`  // variables that are no secrets are filled in; what else is a template stays one
	Source string `json:"source"` // origin:line, the same of a variant's patch, or default
}

// Settings returns every value that the profile has, in the order of the document, and after them the defaults of what it does not
// say. Variables are left out, which [Profile.Explained] tells, and so are variants and scenarios: the one that the profile is stands in
// its values. No secret is in them: a profile
// holds none, and a template that names one stays as it is written.
func (p *Profile) Settings() []Setting {
	if p.tree == nil {
		return nil
	}
	patched := map[*node]bool{}
	if p.patch != nil {
		p.patch.leaves("", func(_ string, leaf *node) { patched[leaf] = true })
	}
	var all []Setting
	scope := newScope(p.Vars, nil, true)
	for _, f := range p.tree.fields {
		if slices.Contains(notSettings, f.key) {
			continue
		}
		f.value.leaves(f.key, func(path string, leaf *node) {
			source := fmt.Sprintf("%s:%d", p.Origin, leaf.line)
			if patched[leaf] {
				source += ", variant " + p.Variant
			}
			all = append(all, Setting{path, p.shownValue(scope, leaf), source})
		})
	}
	defaults(reflect.ValueOf(p).Elem(), "", p.tree, func(path, value string) {
		all = append(all, Setting{path, value, "default"})
	})
	return all
}

// notSettings are what is told elsewhere, or is no value of the profile as it is.
var notSettings = []string{"vars", "variants", "scenarios"}

// leaves visits the values below that have no others below them. A list of plain values is one.
func (n *node) leaves(path string, visit func(path string, leaf *node)) {
	switch {
	case n.kind == nodeMap && len(n.fields) > 0:
		for _, f := range n.fields {
			f.value.leaves(join(path, f.key), visit)
		}
	case n.kind == nodeList && slices.ContainsFunc(n.items, func(i *node) bool { return i.kind == nodeMap || i.kind == nodeList }):
		for i, item := range n.items {
			item.leaves(fmt.Sprintf("%s[%d]", path, i), visit)
		}
	default:
		visit(path, n)
	}
}

// shownValue returns a leaf as it may be shown.
func (p *Profile) shownValue(s *scope, leaf *node) string {
	switch leaf.kind {
	case nodeList:
		texts := make([]string, len(leaf.items))
		for i, item := range leaf.items {
			texts[i] = p.shownValue(s, item)
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case nodeMap:
		return "{}"
	case nodeNull:
		return "null"
	}
	if p.bound == nil || !strings.Contains(leaf.text, "${") {
		return leaf.text
	}
	t, err := s.compile(leaf.text, intoText)
	if err != nil || t.secret() || t.names.now || t.names.fresh || t.names.run || t.names.namesContent() {
		return leaf.text
	}
	text, _, err := t.evalText(p.bound.exprEnv(nil, inputs{}))
	if err != nil {
		return leaf.text
	}
	return text
}

// defaults visits what the profile has and its document does not say.
func defaults(v reflect.Value, path string, n *node, visit func(path, value string)) {
	child := func(key string) *node {
		if n == nil {
			return nil
		}
		return n.get(key)
	}
	switch value := v.Interface().(type) {
	case Data, *Data, Params:
		return
	case time.Duration, Statuses:
		if n == nil && !v.IsZero() {
			visit(path, fmt.Sprint(value))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		names, index := keysOf(v.Type())
		for _, name := range names {
			if path != "" || !slices.Contains(notSettings, name) {
				defaults(v.Field(index[name]), join(path, name), child(name), visit)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			defaults(v.Elem(), path, n, visit)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if element := v.MapIndex(key); element.Kind() == reflect.Struct {
				defaults(element, join(path, key.String()), child(key.String()), visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			switch {
			case v.Index(i).Kind() == reflect.Struct && n != nil && i < len(n.items):
				defaults(v.Index(i), fmt.Sprintf("%s[%d]", path, i), n.items[i], visit)
			case n == nil && i == 0:
				visit(path, fmt.Sprint(v.Interface()))
			}
		}
	default:
		if n == nil && !v.IsZero() {
			visit(path, fmt.Sprint(v.Interface()))
		}
	}
}

// Variable is the value of one variable of a bound profile, and where it comes from.
type Variable struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // of a secret its placeholder
	Secret bool   `json:"secret"`
	Bytes  int    `json:"bytes"` // the length of the value as text
	Source string `json:"source"`
	// Lacking says where its value ought to come from, "" if it has one.
	Lacking string `json:"lacking,omitempty"`
	Help    string `json:"help,omitempty"`
}

// Explained returns the variables of a bound profile in order of name.
func (p *Profile) Explained() []Variable {
	var all []Variable
	if p.bound == nil {
		return all
	}
	for _, name := range keysSorted(p.Vars) {
		v, from := p.Vars[name], p.bound.sources[name]
		one := Variable{Name: name, Secret: v.Secret, Source: p.tellSource(name, from), Help: v.Help}
		if s, ok := p.bound.vars[name].(secret.Bytes); ok {
			one.Value, one.Bytes = p.placeholder(s), s.Len()
		} else {
			one.Value = fmt.Sprint(p.bound.vars[name])
			one.Bytes = len(one.Value)
		}
		if from == fromResolve || from == fromNowhere && v.Required {
			one.Lacking = strings.TrimPrefix(v.whence(), ": ")
			if one.Lacking == "" {
				one.Lacking = "give it with --var " + name + "=VALUE"
			}
		}
		all = append(all, one)
	}
	return all
}

func (p *Profile) tellSource(name string, from valueSource) string {
	v := p.Vars[name]
	switch from {
	case fromUser:
		return "--var " + name
	case fromEnvironment:
		return "environment variable " + v.Env
	case fromFile:
		return "file " + v.File
	case fromDefault:
		if n := p.tree; n != nil {
			for _, key := range []string{"vars", name, "default"} {
				if n = n.get(key); n == nil {
					return "default"
				}
			}
			return fmt.Sprintf("default, %s:%d", p.Origin, n.line)
		}
		return "default"
	case fromResolve:
		return "invented, as it has no value"
	}
	return "none"
}

// placeholder returns what a secret is shown as: the vault's marker, by which equal values are told.
func (p *Profile) placeholder(s secret.Bytes) string {
	if s.IsZero() {
		return ""
	}
	plain := string(s.Reveal())
	if marker := p.bound.env.Vault.Redact(plain); strings.HasPrefix(marker, "‹") && strings.HasSuffix(marker, "›") {
		return marker
	}
	return secret.Placeholder
}
