package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyflow/drm/nearest"
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

// tokenSources are the sources, each with the key that belongs to it.
var tokenSources = []struct{ source, key string }{
	{"static", "value"}, {"template", "value"}, {"env", "env"}, {"file", "file"}, {"http", "http"}, {"jwt", "jwt"},
	{"command", "command"}, {"signed_json", "signed_json"},
}

// tokens checks the token steps in their order and returns the outputs of all.
func (v *validator) tokens() map[string]tokenShape {
	outputs := map[string]tokenShape{}
	for i := range v.p.Tokens {
		t, path := &v.p.Tokens[i], fmt.Sprintf("tokens[%d]", i)
		if _, twice := outputs[t.ID]; twice || !identifier.MatchString(t.ID) {
			v.bad(path+".id", "want a name of letters, digits and underscores, each once, seen %q", t.ID)
		}
		local := t.Source == "template" || t.Source == "jwt" || t.Source == "signed_json"
		s := newScope(v.p.Vars, maps.Clone(outputs), local)
		for _, other := range v.p.Tokens[i:] {
			s.later = append(s.later, other.ID)
		}
		v.p.plan.tokens = append(v.p.plan.tokens, v.token(path, t, s))
		outputs[t.ID] = tokenShape{outputs: t.outputNames(), public: t.Public}
	}
	return outputs
}

// outputNames returns the names of what the step yields.
func (t *Token) outputNames() []string {
	switch {
	case t.Source == "http" && t.HTTP != nil:
		return keysSorted(t.HTTP.Outputs)
	case t.Source == "command" && t.Command != nil:
		return keysSorted(t.Command.Outputs)
	case t.Source == "file" && t.File != nil && t.File.Format == "json":
		return keysSorted(t.File.Outputs)
	}
	return []string{"value"}
}

func (v *validator) token(path string, t *Token, s *scope) *tokenPlan {
	out := &tokenPlan{Token: t}
	v.source(path, t)
	oneOf(v, path+".scope", t.Scope, "run", "content", "session", "request")
	if t.Value != "" {
		out.value = v.template(s, path+".value", t.Value, intoText)
		v.static(path+".value", t, out.value)
		v.public(path, t, out.value)
	}
	if t.File != nil {
		v.tokenFile(path+".file", t.File, out)
	}
	if t.HTTP != nil {
		out.http = v.tokenHTTP(path+".http", t.HTTP, s)
	}
	if t.JWT != nil {
		out.jwt = v.tokenJWT(path+".jwt", t.JWT, s)
	}
	if t.SignedJSON != nil {
		out.signed = v.tokenSigned(path+".signed_json", t.SignedJSON, s)
	}
	if t.Command != nil {
		out.command = v.tokenCommand(path+".command", t.Command, s)
	}
	for _, tpl := range out.templates() {
		if tpl != nil {
			out.names.merge(tpl.names)
			if t.HTTP != nil || t.Command != nil {
				v.early(path, tpl)
			}
		}
	}
	for _, made := range v.p.plan.tokens {
		if made.late() && slices.Contains(out.names.tokens, made.ID) { // then so is this one
			out.names.inputs = append(out.names.inputs, "challenge")
		}
	}
	v.sharing(path, t, out.names)
	v.life(path, t)
	if t.CostUnit != "" && out.late() {
		v.bad(path+".cost_unit", "a token that is made of the key request is made here, and not billed")
	}
	return out
}

// source checks that a token has the key of its source, and no other's.
func (v *validator) source(path string, t *Token) {
	var sources, wanted []string
	for _, s := range tokenSources {
		sources = append(sources, s.source)
		if s.source == t.Source {
			wanted = append(wanted, s.key)
		}
	}
	oneOf(v, path+".source", t.Source, sources...)
	if wanted == nil {
		return
	}
	given := map[string]bool{
		"value": t.Value != "", "env": t.Env != "", "file": t.File != nil, "http": t.HTTP != nil, "jwt": t.JWT != nil,
		"command": t.Command != nil, "signed_json": t.SignedJSON != nil,
	}
	for _, key := range keysSorted(given) {
		own := slices.Contains(wanted, key)
		if own && !given[key] {
			v.bad(path+"."+key, "is missing: the source is %s", t.Source)
		} else if !own && given[key] {
			i := slices.IndexFunc(tokenSources, func(s struct{ source, key string }) bool { return s.key == key })
			v.bad(path+"."+key, "belongs to source %s, seen %s", tokenSources[i].source, t.Source)
		}
	}
}

// life checks how long a token may be used.
func (v *validator) life(path string, t *Token) {
	if t.TTLFrom != "" {
		if t.TTL > 0 {
			v.bad(path+".ttl_from", "ttl and ttl_from exclude each other")
		}
		if !slices.Contains(t.outputNames(), t.TTLFrom) {
			v.bad(path+".ttl_from", "the token has no output %q: %s", t.TTLFrom, nearest.Hint(t.TTLFrom, t.outputNames()))
		}
	}
	switch {
	case t.RefreshBefore == 0:
	case t.Scope != "run" && t.Scope != "content":
		v.bad(path+".refresh_before", "is for tokens that are shared: want scope run or content")
	case t.TTL > 0 && t.RefreshBefore >= t.TTL:
		v.bad(path+".refresh_before", "is not shorter than ttl: no token could be used")
	}
}

func (v *validator) tokenFile(path string, f *TokenFile, out *tokenPlan) {
	oneOf(v, path+".format", f.Format, "text", "b64", "json")
	if f.Path == "" {
		v.bad(path+".path", "is missing")
	}
	if (f.Format == "json") != (len(f.Outputs) > 0) {
		v.bad(path+".outputs", "belong to format json, which needs them")
	}
	out.located = v.outputs(path+".outputs", f.Outputs, "json")
}

// static refuses a secret that stands in the profile.
func (v *validator) static(path string, t *Token, value *template) {
	if value != nil && value.constant() && !t.Public && !strings.HasPrefix(t.Value, "FAKE") {
		v.bad(path, "a secret must not stand in a profile: use env, file or a variable; only text that begins with FAKE may")
	}
}

// public refuses to call a secret public: what stands in it is secret wherever it goes.
func (v *validator) public(path string, t *Token, value *template) {
	if value != nil && t.Public && value.secret() {
		v.bad(path+".public", "its value names a secret")
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
	oneOf(v, path+".redirects", h.Redirects, "none", "same_origin", "any")
	if h.TLS != "" {
		v.knownTLS(path+".tls", h.TLS)
	}
	out.url = v.tokenURL(path+".url", h.URL, s)
	out.query = v.params(s, path+".query", h.Query, nil)
	out.headers = v.headers(s, path+".headers", h.Headers, nil)
	if t := v.template(s, path+".content_type", h.ContentType, intoText); t != nil && !t.constant() {
		v.bad(path+".content_type", "must be plain text")
	}
	v.tokenBody(path, h, out, s)
	if len(h.Outputs) == 0 {
		v.bad(path+".outputs", "is missing: name at least one output")
	}
	out.outputs = v.outputs(path+".outputs", h.Outputs, "body", "json", "header", "url_query", "xml", "status")
	out.matchers = v.matchers(path+".errors", h.Errors)
	return out
}

func (v *validator) tokenURL(path, text string, s *scope) *template {
	t := v.template(s, path, text, intoText)
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
		out.raw = v.template(s, path+".raw", *h.Raw, intoBytes)
	}
	if h.JSON != nil {
		out.json = v.jsonTemplate(s, path+".json", h.JSON.root)
	}
}

// outputs checks what a step yields and compiles where it is.
func (v *validator) outputs(path string, named map[string]Output, from ...string) map[string]*locator {
	out := map[string]*locator{}
	for _, name := range keysSorted(named) {
		at, o := join(path, name), named[name]
		if !identifier.MatchString(name) {
			v.bad(at, "want a name of letters, digits and underscores")
		}
		oneOf(v, at+".decode", o.Decode, "none", "urlquery", "b64", "b64url")
		out[name] = v.locator(at, o.From, o.Path, o.Regex, from...)
	}
	return out
}
