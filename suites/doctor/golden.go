package doctor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fixtures"
)

// Comparison is how a variant's requests differ from the golden ones, which were written by hand from the provider's document.
type Comparison struct {
	Variant     string       `json:"variant,omitempty"`
	Origin      string       `json:"origin"` // of the golden requests
	Differences []Difference `json:"differences"`
	Problem     string       `json:"problem,omitempty"` // why the profile cannot be rendered with the golden account
}

// Same reports whether the requests are the golden ones.
func (c Comparison) Same() bool { return c.Problem == "" && len(c.Differences) == 0 }

// Difference is one field that is not as in the golden request.
type Difference struct {
	Request string `json:"request"` // token, license or custom data
	Field   string `json:"field"`
	Want    string `json:"want"` // "" if it ought not to be there
	Have    string `json:"have"` // "" if it is missing
}

// CompareGolden renders a profile that is not bound yet with the account and the time of the golden requests, and compares. It
// returns false where there are no golden requests for a profile of this id, or none for its variant. What it tells of the
// profile holds no secret of the vault.
func CompareGolden(ctx context.Context, p *provider.Profile, vault *secret.Vault) (Comparison, bool) {
	golden, ok := fixtures.GoldenOf(p.ID)
	if !ok {
		return Comparison{}, false
	}
	want := golden.Of(p.Variant)
	if want.License == "" {
		return Comparison{}, false
	}
	c := Comparison{Variant: p.Variant, Origin: golden.Origin, Differences: []Difference{}}
	have, err := golden.Render(ctx, p, nil)
	if err != nil {
		c.Problem = err.Error()
		return c, true
	}
	c.differ("token", want.Token, have.Token)
	c.differ("license", want.License, have.License)
	c.note("custom data", map[string]string{"text": want.CustomData}, map[string]string{"text": have.CustomData})
	for i := range c.Differences {
		d := &c.Differences[i]
		if vault != nil {
			d.Have = vault.Redact(d.Have)
		}
		if readsFiles(p) && d.Have != "" { // what is decoded of a secret in a file the vault does not know
			d.Have = fmt.Sprintf("another value, %d characters", len(d.Have))
		}
	}
	return c, true
}

// readsFiles reports whether a secret of the profile may come from a file of the user even with the golden account.
func readsFiles(p *provider.Profile) bool {
	for _, v := range p.Vars {
		if v.File != "" {
			return true
		}
	}
	return slices.ContainsFunc(p.Tokens, func(t provider.Token) bool { return t.Source == "file" })
}

// differ compares requests as text.
func (c *Comparison) differ(request, want, have string) {
	if want != have {
		c.note(request, fieldsOf(want), fieldsOf(have))
	}
}

func (c *Comparison) note(request string, want, have map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(merged(want, have))) {
		if want[field] != have[field] {
			c.Differences = append(c.Differences, Difference{request, field, want[field], have[field]})
		}
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// fieldsOf cuts a request into fields that can be compared one by one.
func fieldsOf(request string) map[string]string {
	fields := map[string]string{}
	if request == "" {
		return fields
	}
	head, body, _ := strings.Cut(request, "\n\n")
	line, rest, _ := strings.Cut(head, "\n")
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(strings.TrimSuffix(target, " HTTP/1.1"), "?")
	fields["method"], fields["path"] = method, path
	putForm(fields, "query ", query)
	kind := ""
	for header := range strings.Lines(rest) {
		name, value, _ := strings.Cut(strings.TrimSpace(header), ": ")
		if name == "Content-Length" { // follows from the body
			continue
		}
		if strings.EqualFold(name, "Content-Type") {
			kind = value
		}
		put(fields, "header "+name, value)
	}
	body = strings.TrimSuffix(body, "\n")
	switch {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		putForm(fields, "form ", body)
	case strings.HasPrefix(body, "{"):
		putJSON(fields, "body", body)
	default:
		put(fields, "body", body)
	}
	return fields
}

func putForm(fields map[string]string, prefix, text string) {
	for i, pair := range strings.Split(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err == nil && plain != value {
			put(fields, prefix+name+", decoded", plain)
		}
		if _, twice := fields[prefix+name]; twice {
			name += fmt.Sprintf(" (%d)", i+1)
		}
		put(fields, prefix+name, value)
	}
}

// put keeps a value, or the parts of a JWT.
func put(fields map[string]string, name, value string) {
	parts := strings.Split(value[strings.LastIndexByte(value, ' ')+1:], ".")
	if len(parts) != 3 {
		fields[name] = value
		return
	}
	for i, what := range []string{"JWT header", "JWT claims"} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || !strings.HasPrefix(string(raw), "{") {
			fields[name] = value
			return
		}
		putJSON(fields, name+", "+what, string(raw))
	}
	fields[name+", JWT signature"] = parts[2]
}

// putJSON keeps the values of JSON by their paths; JSON in base64 in it too.
func putJSON(fields map[string]string, name, text string) {
	var tree any
	if json.Unmarshal([]byte(text), &tree) != nil {
		fields[name] = text
		return
	}
	putTree(fields, name+" $", tree)
}

func putTree(fields map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			putTree(fields, path+"."+key, member)
		}
	case []any:
		for i, item := range v {
			putTree(fields, fmt.Sprintf("%s[%d]", path, i), item)
		}
	case string:
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil && strings.HasPrefix(string(raw), "{") {
			putJSON(fields, path+" (base64)", string(raw))
			return
		}
		fields[path] = v
	default:
		fields[path] = fmt.Sprint(v)
	}
}
