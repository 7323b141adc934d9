package provider

import (
	"fmt"
	"slices"
	"strings"
)

func (v *validator) vars() {
	for _, name := range keysSorted(v.p.Vars) {
		path, x := join("vars", name), v.p.Vars[name]
		if !identifier.MatchString(name) {
			v.bad(path, "want a name of letters, digits and underscores")
		}
		if x.Secret {
			v.secretVar(path, x)
		}
		if x.Env != "" && x.File != "" {
			v.bad(path, "env and file exclude each other")
		}
		if x.Required && x.Default != nil {
			v.bad(path, "a required variable has no default")
		}
		v.regex(path+".pattern", x.Pattern)
		for i, e := range x.Enum {
			if fmt.Sprintf("%T", e) != fmt.Sprintf("%T", x.zero()) {
				v.bad(fmt.Sprintf("%s.enum[%d]", path, i), "has another type than the default or the first entry")
			}
		}
		if x.Default != nil && !x.Secret {
			if err := x.check(x.Default); err != nil {
				v.bad(path+".default", "%s", err)
			}
		}
	}
}

func (v *validator) secretVar(path string, x Var) {
	if x.Default != nil {
		v.bad(path+".default", "a secret must not stand in a profile: name an environment variable or a file")
	}
	if x.Env == "" && x.File == "" {
		v.bad(path, "a secret comes from env or file: name one")
	}
	if len(x.Enum) > 0 {
		v.bad(path+".enum", "a secret must not stand in a profile")
	}
}

// tokens checks the token steps in their order and returns the outputs of all.
func (v *validator) tokens() map[string][]string {
	outputs := map[string][]string{}
	for i := range v.p.Tokens {
		t, path := &v.p.Tokens[i], fmt.Sprintf("tokens[%d]", i)
		if _, twice := outputs[t.ID]; twice || !identifier.MatchString(t.ID) {
			v.bad(path+".id", "want a name of letters, digits and underscores, each once, seen %q", t.ID)
		}
		known := map[string][]string{}
		for id, names := range outputs {
			known[id] = names
		}
		v.p.plan.tokens = append(v.p.plan.tokens, v.token(path, t, newScope(v.p.Vars, known, leaseInputs)))
		outputs[t.ID] = []string{"value"}
		if t.Source == "http" && t.HTTP != nil {
			outputs[t.ID] = keysSorted(t.HTTP.Outputs)
		}
	}
	return outputs
}

func (v *validator) token(path string, t *Token, s *scope) *tokenPlan {
	out := &tokenPlan{Token: t}
	sources := []string{"static", "env", "file", "http"}
	oneOf(v, path+".source", t.Source, sources...)
	oneOf(v, path+".scope", t.Scope, "run", "content", "session", "request")
	for i, given := range []bool{t.Value != "", t.Env != "", t.File != nil, t.HTTP != nil} {
		key := []string{"value", "env", "file", "http"}[i]
		if own := sources[i] == t.Source; own && !given {
			v.bad(path+"."+key, "is missing: the source is %s", t.Source)
		} else if !own && given && slices.Contains(sources, t.Source) {
			v.bad(path+"."+key, "belongs to source %s, seen %s", sources[i], t.Source)
		}
	}
	if t.Value != "" {
		v.static(path+".value", t, out, s)
	}
	if t.File != nil {
		oneOf(v, path+".file.format", t.File.Format, "text", "b64")
		if t.File.Path == "" {
			v.bad(path+".file.path", "is missing")
		}
	}
	if t.HTTP != nil {
		out.http = v.tokenHTTP(path+".http", t.HTTP, s)
		for _, n := range out.http.templates() {
			out.names.merge(n.names)
		}
	}
	v.sharing(path, t, out.names)
	return out
}

func (v *validator) static(path string, t *Token, out *tokenPlan, s *scope) {
	out.value = v.template(s, path, t.Value, false)
	if out.value == nil {
		return
	}
	out.names = out.value.names
	if out.value.constant() && !strings.HasPrefix(t.Value, "FAKE") {
		v.bad(path, "a secret must not stand in a profile: use env, file or a variable; only text that begins with FAKE may")
	}
}

// sharing refuses scopes that would share what cannot be shared.
func (v *validator) sharing(path string, t *Token, n names) {
	shared := t.Scope == "run" || t.Scope == "content"
	if t.SingleUse && shared {
		v.bad(path+".scope", "a token for a single use cannot be shared: want session or request")
	}
	if t.Scope == "run" && n.namesContent() {
		v.bad(path+".scope", "a token that names input.%s cannot be shared by the run: want content, session or request", n.inputs[0])
	}
}

func (v *validator) tokenHTTP(path string, h *TokenHTTP, s *scope) *httpPlan {
	out := &httpPlan{TokenHTTP: h}
	oneOf(v, path+".method", h.Method, "GET", "POST", "PUT")
	oneOf(v, path+".redirects", h.Redirects, "none")
	out.url = v.tokenURL(path+".url", h.URL, s)
	out.query = v.params(s, path+".query", h.Query, nil)
	out.headers = v.headers(s, path+".headers", h.Headers, nil)
	if t := v.template(s, path+".content_type", h.ContentType, false); t != nil && !t.constant() {
		v.bad(path+".content_type", "must be plain text")
	}
	v.tokenBody(path, h, out, s)
	if len(h.Outputs) == 0 {
		v.bad(path+".outputs", "is missing: name at least one output")
	}
	out.outputs = map[string]*locator{}
	for _, name := range keysSorted(h.Outputs) {
		at, o := join(path+".outputs", name), h.Outputs[name]
		if !identifier.MatchString(name) {
			v.bad(at, "want a name of letters, digits and underscores")
		}
		oneOf(v, at+".decode", o.Decode, "none", "urlquery", "b64")
		out.outputs[name] = v.locator(at, o.From, o.Path, o.Regex, "body", "json", "header")
	}
	out.matchers = v.matchers(path+".errors", h.Errors)
	return out
}

func (v *validator) tokenURL(path, text string, s *scope) *template {
	t := v.template(s, path, text, false)
	if t == nil {
		return &template{}
	}
	if t.constant() {
		if _, err := parseEndpoint(t.literalStart()); err != nil {
			v.bad(path, "%s", err)
		}
	}
	return t
}

func (v *validator) tokenBody(path string, h *TokenHTTP, out *httpPlan, s *scope) {
	bodies := 0
	for _, given := range []bool{h.Form != nil, h.JSON != nil, h.Raw != nil} {
		if given {
			bodies++
		}
	}
	switch {
	case h.Method == "GET" && bodies > 0:
		v.bad(path+".method", "GET has no body: want POST or PUT with form, json or raw")
	case h.Method != "GET" && bodies != 1:
		v.bad(path, "want exactly one of form, json and raw, seen %d", bodies)
	}
	out.form = v.params(s, path+".form", h.Form, nil)
	if h.Raw != nil {
		out.raw = v.template(s, path+".raw", *h.Raw, true)
	}
	if h.JSON != nil {
		out.json = v.jsonTemplate(s, path+".json", h.JSON.root)
	}
}

func (v *validator) jsonTemplate(s *scope, path string, n *node) *jsonTemplate {
	v.lines[path] = n.line
	out := &jsonTemplate{node: n}
	switch n.kind {
	case nodeString:
		out.leaf = v.template(s, path, n.text, false)
	case nodeMap:
		for _, f := range n.fields {
			out.keys = append(out.keys, f.key)
			out.children = append(out.children, v.jsonTemplate(s, join(path, f.key), f.value))
		}
	case nodeList:
		for i, item := range n.items {
			out.children = append(out.children, v.jsonTemplate(s, fmt.Sprintf("%s[%d]", path, i), item))
		}
	}
	return out
}
