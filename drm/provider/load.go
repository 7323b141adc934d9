package provider

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/playready/soap"
)

// maxProfile bounds a profile file, in bytes.
const maxProfile = 1 << 20

// Defaults of a profile.
const (
	DefaultMaxBytes    = 1 << 20                    // of an answer
	DefaultContentType = "application/octet-stream" // of a Widevine key request (sheet widevine.md §11)
	// DefaultPlayReadyContentType is that of a license challenge (sheet playready.md §6).
	DefaultPlayReadyContentType = soap.ContentType
)

// Load reads the profile in a file.
func Load(path string) (*Profile, error) {
	text, err := readBounded(path, maxProfile)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return Parse(path, text)
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, limit)
	}
	return text, nil
}

// Parse reads a profile and all its variants. Every error names origin and line; an unknown name comes with the nearest
// valid one. All errors are returned at once, joined, in the order of their lines.
func Parse(origin string, text []byte) (*Profile, error) {
	root, unread := readTree(origin, text)
	if root == nil {
		return nil, unread.join(origin)
	}
	base, found := decodeProfile(origin, root)
	found = append(unread, found...)
	d := deriver{origin: origin, root: root, base: base, known: slices.Clone(found), used: base.usage()}
	base.cases = d.derive("scenarios", base.Scenarios) // first: what is wrong with one is wrong on every variant
	base.merged = d.derive("variants", base.Variants)
	for _, p := range base.merged {
		p.siblings, p.variants = base.merged, base.VariantIDs()
	}
	found = append(found, d.found...)
	found = append(found, unused(base, root, d.used, len(found) > 0)...)
	found = append(found, base.strayNames(root)...)
	if len(found) > 0 {
		return nil, found.join(origin)
	}
	return base, nil
}

func decodeProfile(origin string, root *node) (*Profile, problems) {
	p := &Profile{Origin: origin, tree: root}
	d := &decoder{lines: map[string]int{}, failed: map[string]bool{}}
	d.read(root, reflect.ValueOf(p).Elem(), "")
	p.setDefaults()
	v := validator{p: p, lines: d.lines, failed: d.failed, problems: d.problems}
	v.profile()
	return p, v.problems
}

// deriver makes further profiles of one, by merge patches.
type deriver struct {
	origin string
	root   *node
	base   *Profile
	known  problems // of the base, which the others have too
	found  problems
	used   names
}

// derive reads the profiles that patches make of the base, by id. Those of a scenario stand on every variant too.
func (d *deriver) derive(key string, patches []Variant) map[string]*Profile {
	out := map[string]*Profile{}
	kind := strings.TrimSuffix(key, "s")
	for i, v := range patches {
		if v.ID == "" || out[v.ID] != nil || !kebab.MatchString(v.ID) {
			d.found.add(d.root.get(key).items[i].line, "%s[%d].id: want lower-case words joined by hyphens, each once, seen %q", key, i, v.ID)
		}
		if p := d.merge(kind+" "+v.ID, d.root.get(key).items[i].line, d.root, v); p != nil {
			if key == "variants" {
				p.Variant, p.patch = v.ID, v.Patch.root
				p.cases = d.casesOn(p, merge(d.root, v.Patch.root))
			}
			out[v.ID] = p
		}
	}
	return out
}

// casesOn returns the scenarios of a variant.
func (d *deriver) casesOn(variant *Profile, root *node) map[string]*Profile {
	out := map[string]*Profile{}
	for i, c := range variant.Scenarios {
		if p := d.merge("variant "+variant.Variant+", scenario "+c.ID, root.get("scenarios").items[i].line, root, c); p != nil {
			p.Variant = variant.Variant
			out[c.ID] = p
		}
	}
	return out
}

// merge reads the profile that a patch makes of a tree. What names the profile cannot be patched.
func (d *deriver) merge(what string, line int, root *node, v Variant) *Profile {
	patch := v.Patch.root
	if patch == nil || patch.kind != nodeMap {
		if patch != nil {
			line = patch.line
		}
		if patch == nil || patch.kind != nodeBad {
			d.tell(what, problem{max(line, 1), "patch: want keys and values; {} changes nothing"})
		}
		return nil
	}
	var found problems
	for _, f := range patch.fields {
		if slices.Contains([]string{"profile", "id", "drm", "vars", "variants", "scenarios"}, f.key) {
			found.add(f.line, "patch: %s cannot be patched", f.key)
		}
	}
	p, more := decodeProfile(d.origin, merge(root, patch).without("variants"))
	d.tell(what, append(found, more...)...)
	d.used.merge(p.usage())
	return p
}

// tell notes problems that are not known yet.
func (d *deriver) tell(what string, found ...problem) {
	for _, problem := range found {
		if !slices.Contains(d.known, problem) {
			d.known = append(d.known, problem)
			problem.text = fmt.Sprintf("%s: %s", what, problem.text)
			d.found = append(d.found, problem)
		}
	}
}

// unused returns the variables and tokens that neither the profile nor a variant uses: mostly misspelt ones. A template
// that cannot be read names nothing: where there may be some, what any text mentions counts as used.
func unused(p *Profile, root *node, used names, broken bool) problems {
	var found problems
	mentioned := func(path string) bool { return broken && root.mentions(path) }
	for _, f := range fieldsOf(root.get("vars")) {
		if !slices.Contains(used.vars, f.key) && !mentioned("var."+f.key) {
			found.add(f.line, "vars.%s: is used nowhere", f.key)
		}
	}
	for i, t := range p.Tokens {
		if t.ID != "" && !slices.Contains(used.tokens, t.ID) && !mentioned("token."+t.ID) {
			found.add(root.get("tokens").items[i].line, "tokens[%d]: no request uses token.%s", i, t.ID)
		}
	}
	return found
}

// strayNames returns the secret names that are no parameter and no header of the profile or a variant.
func (p *Profile) strayNames(root *node) problems {
	var found problems
	has := func(q *Profile, name string) bool {
		return slices.ContainsFunc(slices.Concat(q.Request.Query, q.Request.Headers), func(x Param) bool { return strings.EqualFold(x.Name, name) })
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"query", p.Secrets.Query}, {"headers", p.Secrets.Headers}} {
		for i, name := range list.names {
			known := has(p, name)
			for _, v := range p.merged {
				known = known || has(v, name)
			}
			if !known {
				found.add(root.get("secrets").get(list.key).items[i].line, "secrets.%s[%d]: no request has a parameter or header %q", list.key, i, name)
			}
		}
	}
	return found
}

func fieldsOf(n *node) []field {
	if n == nil {
		return nil
	}
	return n.fields
}

// WithVariant returns the profile with a variant merged in, bound to the same environment if it is bound; "" returns the
// profile itself. It is asked of the profile as written: a variant has no variants.
func (p *Profile) WithVariant(id string) (*Profile, error) {
	if id == "" || id == p.Variant {
		return p, nil
	}
	v, ok := p.merged[id]
	if !ok {
		return nil, fmt.Errorf("profile %s: unknown variant %q: %s", p.ID, id, nearest.Hint(id, p.VariantIDs()))
	}
	return p.boundAs(v)
}

// Siblings returns the profile's other variants, bound to the same environment if it is bound: all of them give the same
// licenses.
func (p *Profile) Siblings() ([]*Profile, error) {
	var all []*Profile
	for _, id := range p.variants {
		if id == p.Variant {
			continue
		}
		sibling, err := p.boundAs(p.siblings[id])
		if err != nil {
			return nil, err
		}
		all = append(all, sibling)
	}
	return all, nil
}

// InScenario returns the profile of one of its [Profile.Scenarios], bound to the same environment if it is bound.
func (p *Profile) InScenario(id string) (*Profile, error) {
	c, ok := p.cases[id]
	if !ok {
		return nil, fmt.Errorf("profile %s: unknown scenario %q: %s", p.ID, id, nearest.Hint(id, keysSorted(p.cases)))
	}
	return p.boundAs(c)
}

func (p *Profile) boundAs(other *Profile) (*Profile, error) {
	if p.bound == nil {
		return other, nil
	}
	return other.Bind(p.bound.env)
}

func (p *Profile) setDefaults() {
	setDefault(&p.Request.Method, "POST")
	setDefault(&p.Request.ContentType, contentTypeOf[p.Request.Body.Wrap])
	if p.DRM == drm.PlayReady {
		setDefault(&p.Request.ContentType, DefaultPlayReadyContentType)
		setDefault(&p.PlayReady.SOAPAction, soap.ActionHeader(soap.ActionAcquireLicense))
		setDefault(&p.PlayReady.CustomData.Format, "text")
		setDefault(&p.Certificate.Mode, "none")
	}
	setDefault(&p.Request.ContentType, DefaultContentType)
	setDefault(&p.Request.Compress, "none")
	setDefault(&p.Request.Body.Wrap, "raw")
	setDefault(&p.Request.Body.Encoding, "b64")
	setDefault(&p.Request.QueryEncoding, "form")
	setDefault(&p.Certificate.Mode, "same_url")
	setDefault(&p.Certificate.Cache, "run")
	setDefault(&p.Certificate.Wrap, "inherit")
	setDefault(&p.Certificate.Method, "GET")
	setDefault(&p.Redirects.Policy, redirectNone)
	if p.Redirects.Max == 0 {
		p.Redirects.Max = defaultMaxHops
	}
	if len(p.Response.OKStatus) == 0 {
		p.Response.OKStatus = []int{200}
	}
	if p.Response.MaxBytes == 0 {
		p.Response.MaxBytes = DefaultMaxBytes
	}
	for i := range p.Response.Unwrap {
		setDefault(&p.Response.Unwrap[i].As, "raw")
		setDefault(&p.Response.Unwrap[i].Decode, "none")
	}
	for i := range p.Tokens {
		p.Tokens[i].setDefaults()
	}
}

func (t *Token) setDefaults() {
	setDefault(&t.Scope, "session")
	if t.File != nil {
		setDefault(&t.File.Format, "text")
		setOutputDefaults(t.File.Outputs, "json")
	}
	if j := t.JWT; j != nil {
		setDefault(&j.Alg, "HS256")
		setDefault(&j.KeyEncoding, map[bool]string{true: "utf8", false: "pem"}[strings.HasPrefix(j.Alg, "HS")])
	}
	if j := t.SignedJSON; j != nil {
		setDefault(&j.Digest, "sha256")
	}
	if c := t.Command; c != nil {
		setOutputDefaults(c.Outputs, "stdout")
		if c.Timeout == 0 {
			c.Timeout = DefaultCommandTimeout
		}
	}
	if h := t.HTTP; h != nil {
		setDefault(&h.Method, "POST")
		setDefault(&h.Redirects, "none")
		if len(h.AcceptStatus) == 0 {
			h.AcceptStatus = Statuses{{200, 200}}
		}
		setOutputDefaults(h.Outputs, "body")
	}
}

func setOutputDefaults(named map[string]Output, from string) {
	for name, o := range named {
		setDefault(&o.From, from)
		setDefault(&o.Decode, "none")
		named[name] = o
	}
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// errUnbound says that a profile cannot be sent yet.
var errUnbound = errors.New("the profile has variables or tokens: bind it to an environment first")
