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
	root, found := readTree(origin, text)
	if len(found) > 0 {
		return nil, found.join(origin)
	}
	base, found := decodeProfile(origin, root)
	used := base.usage()
	known := slices.Clone(found)
	base.merged = map[string]*Profile{}
	for i, v := range base.Variants {
		p, problems := mergeVariant(origin, root, v)
		for _, problem := range problems {
			if !slices.Contains(known, problem) { // the base has it too
				problem.text = fmt.Sprintf("variant %s: %s", v.ID, problem.text)
				found = append(found, problem)
			}
		}
		if v.ID == "" || base.merged[v.ID] != nil || !kebab.MatchString(v.ID) {
			found.add(root.get("variants").items[i].line, "variants[%d].id: want lower-case words joined by hyphens, each once, seen %q", i, v.ID)
		}
		if p != nil {
			base.merged[v.ID] = p
			used.merge(p.usage())
		}
	}
	if len(found) == 0 { // an unreadable template names nothing, which proves nothing
		found = append(found, unused(base, root, used)...)
		found = append(found, base.strayNames(root)...)
	}
	if len(found) > 0 {
		return nil, found.join(origin)
	}
	return base, nil
}

func decodeProfile(origin string, root *node) (*Profile, problems) {
	p := &Profile{Origin: origin}
	d := &decoder{lines: map[string]int{}}
	d.read(root, reflect.ValueOf(p).Elem(), "")
	p.setDefaults()
	v := validator{p: p, lines: d.lines, problems: d.problems}
	v.profile()
	return p, v.problems
}

// mergeVariant reads the profile that a variant makes of the base. What names the profile cannot be patched.
func mergeVariant(origin string, root *node, v Variant) (*Profile, problems) {
	var found problems
	patch := v.Patch.root
	if patch == nil || patch.kind != nodeMap {
		line := root.get("variants").line
		if patch != nil {
			line = patch.line
		}
		found.add(line, "patch: want keys and values; {} changes nothing")
		return nil, found
	}
	for _, f := range patch.fields {
		if slices.Contains([]string{"profile", "id", "drm", "vars", "variants"}, f.key) {
			found.add(f.line, "patch: %s cannot be patched", f.key)
		}
	}
	p, more := decodeProfile(origin, merge(root, patch).without("variants"))
	p.Variant = v.ID
	return p, append(found, more...)
}

// unused returns the variables and tokens that neither the profile nor a variant uses: mostly misspelt ones.
func unused(p *Profile, root *node, used names) problems {
	var found problems
	for _, f := range fieldsOf(root.get("vars")) {
		if !slices.Contains(used.vars, f.key) {
			found.add(f.line, "vars.%s: is used nowhere", f.key)
		}
	}
	for i, t := range p.Tokens {
		if !slices.Contains(used.tokens, t.ID) {
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
	for _, name := range slices.Concat(p.Secrets.Query, p.Secrets.Headers) {
		known := has(p, name)
		for _, v := range p.merged {
			known = known || has(v, name)
		}
		if !known {
			found.add(root.get("secrets").line, "secrets: no request has a parameter or header %q", name)
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
	if p.bound == nil {
		return v, nil
	}
	return v.Bind(p.bound.env)
}

func (p *Profile) setDefaults() {
	setDefault(&p.Request.Method, "POST")
	if p.DRM == drm.PlayReady {
		setDefault(&p.Request.ContentType, DefaultPlayReadyContentType)
		setDefault(&p.PlayReady.SOAPAction, soap.ActionHeader(soap.ActionAcquireLicense))
		setDefault(&p.PlayReady.CustomData.Format, "text")
		setDefault(&p.Certificate.Mode, "none")
	}
	setDefault(&p.Request.ContentType, DefaultContentType)
	setDefault(&p.Request.QueryEncoding, "form")
	setDefault(&p.Certificate.Mode, "same_url")
	setDefault(&p.Certificate.Cache, "run")
	if len(p.Response.OKStatus) == 0 {
		p.Response.OKStatus = []int{200}
	}
	if p.Response.MaxBytes == 0 {
		p.Response.MaxBytes = DefaultMaxBytes
	}
	for i := range p.Response.Unwrap {
		setDefault(&p.Response.Unwrap[i].As, "raw")
	}
	for i := range p.Tokens {
		p.Tokens[i].setDefaults()
	}
}

func (t *Token) setDefaults() {
	setDefault(&t.Scope, "session")
	if t.File != nil {
		setDefault(&t.File.Format, "text")
	}
	if h := t.HTTP; h != nil {
		setDefault(&h.Method, "POST")
		setDefault(&h.Redirects, "none")
		if len(h.AcceptStatus) == 0 {
			h.AcceptStatus = Statuses{{200, 200}}
		}
		for name, o := range h.Outputs {
			setDefault(&o.From, "body")
			setDefault(&o.Decode, "none")
			h.Outputs[name] = o
		}
	}
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// errUnbound says that a profile cannot be sent yet.
var errUnbound = errors.New("the profile has variables or tokens: bind it to an environment first")
