package provider

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

var (
	kebab      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	fieldName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110 §5.6.2, token
)

// validator checks a decoded profile and compiles its templates and expressions into a plan.
type validator struct {
	p        *Profile
	lines    map[string]int
	failed   map[string]bool // see decoder
	problems problems
}

func (v *validator) bad(path, format string, args ...any) {
	if v.failed[path] {
		return
	}
	line := v.lines[path]
	for at := path; line == 0 && at != ""; line = v.lines[at] { // a key that is missing: the mapping that lacks it
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	v.problems.add(line, "%s: %s", path, fmt.Sprintf(format, args...))
}

// oneOf checks a value that has a closed set.
func oneOf[T ~string](v *validator, path string, got T, valid ...T) {
	if slices.Contains(valid, got) {
		return
	}
	names := make([]string, len(valid))
	for i, n := range valid {
		names[i] = string(n)
	}
	if got == "" {
		v.bad(path, "is missing: %s", nearest.Hint("", names))
		return
	}
	v.bad(path, "seen %q: %s", got, nearest.Hint(string(got), names))
}

func (v *validator) profile() {
	p := v.p
	if p.Version != Version {
		v.bad("profile", "want %d, the version of the profile schema, seen %d", Version, p.Version)
	}
	if !kebab.MatchString(p.ID) {
		v.bad("id", "want lower-case words joined by hyphens, e.g. plain-widevine, seen %q", p.ID)
	}
	if systems := []drm.System{drm.Widevine, drm.PlayReady}; !slices.Contains(systems, p.DRM) {
		v.bad("drm", "want widevine or playready, seen %q", p.DRM)
	}
	for i, d := range p.Docs {
		if u, err := url.Parse(d); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			v.bad(fmt.Sprintf("docs[%d]", i), "want a URL, seen %q", d)
		}
	}
	if p.Certainty != "" {
		oneOf(v, "certainty", p.Certainty, "high", "medium", "low")
	}
	v.vars()
	p.plan = &plan{}
	outputs := v.tokens()
	v.request(outputs)
	v.playReady(outputs)
	v.certificate(outputs)
	v.response()
	p.plan.matchers = v.matchers("errors", p.Errors)
	v.expectations()
	v.limits()
	v.cors()
	v.redirects()
	v.retry()
	v.tls()
	v.capabilities()
	v.promises()
	p.plan.finish(p)
}

func (v *validator) playReady(outputs map[string]tokenShape) {
	r := v.p.PlayReady
	if v.p.DRM != drm.PlayReady {
		if v.lines["playready"] > 0 {
			v.bad("playready", "is for profiles with drm: playready")
		}
		return
	}
	oneOf(v, "playready.custom_data.format", r.CustomData.Format, "text", "b64")
	if strings.ContainsAny(r.SOAPAction, "\r\n\x00") {
		v.bad("playready.soap_action", "must not hold line breaks")
	}
	if r.CustomData.Template != "" {
		v.p.plan.customData = v.template(newScope(v.p.Vars, outputs, false), "playready.custom_data.template", r.CustomData.Template, intoText)
		v.early("playready.custom_data.template", v.p.plan.customData)
	}
}

// early refuses what is evaluated before there is a key request and names a token that is made of one.
func (v *validator) early(path string, t *template) {
	if t == nil {
		return
	}
	for _, token := range v.p.plan.tokens {
		if slices.Contains(t.names.tokens, token.ID) && token.late() {
			v.bad(path, "token.%s is made of the key request, which does not exist yet", token.ID)
		}
	}
}

// Modes of a service certificate that is not asked for where licenses are.
const (
	CertificateURL      = "url"      // it has a URL of its own
	CertificateEmbedded = "embedded" // it is a file
)

var certificateModes = []string{"same_url", CertificateURL, CertificateEmbedded, "none", "unsupported"}

// maxCertificate bounds a file with a service certificate, in bytes.
const maxCertificate = 1 << 16

// EmbeddedCertificate reads the service certificate that the profile names.
func (p *Profile) EmbeddedCertificate() ([]byte, error) {
	b, err := readBounded(p.Certificate.File, maxCertificate)
	if err != nil {
		return nil, fmt.Errorf("read certificate.file: %w", err)
	}
	return b, nil
}

func (v *validator) certificate(outputs map[string]tokenShape) {
	c := v.p.Certificate
	oneOf(v, "certificate.mode", c.Mode, certificateModes...)
	oneOf(v, "certificate.cache", c.Cache, "run", "session", "never")
	oneOf(v, "certificate.wrap", c.Wrap, "inherit", "raw")
	oneOf(v, "certificate.method", c.Method, "GET", "POST")
	for _, own := range []struct {
		key, mode string
		given     bool
	}{{"url", CertificateURL, c.URL != ""}, {"file", CertificateEmbedded, c.File != ""}} {
		if !slices.Contains(certificateModes, c.Mode) {
			continue
		}
		if own.given && c.Mode != own.mode {
			v.bad("certificate."+own.key, "belongs to mode %s, seen %s", own.mode, c.Mode)
		} else if !own.given && c.Mode == own.mode {
			v.bad("certificate."+own.key, "is missing: the mode is %s", own.mode)
		}
	}
	if c.URL != "" {
		v.p.plan.certificateURL = v.template(newScope(v.p.Vars, outputs, true), "certificate.url", c.URL, intoText)
		if u := v.p.plan.certificateURL; u != nil && u.constant() {
			if _, err := parseEndpoint(u.literalStart()); err != nil {
				v.bad("certificate.url", "%s", err)
			}
		}
	}
}

func (v *validator) request(outputs map[string]tokenShape) {
	r, plan := &v.p.Request, v.p.plan
	s := newScope(v.p.Vars, outputs, true)
	oneOf(v, "request.method", r.Method, "POST")
	oneOf(v, "request.query_encoding", queryEncoding(r.QueryEncoding), encodeForm, encodePercent, encodeVerbatim)
	oneOf(v, "request.compress", r.Compress, "none", "gzip")
	if strings.ContainsAny(r.Accept, "\r\n\x00") {
		v.bad("request.accept", "must not hold line breaks")
	}
	plan.body = v.body(outputs)
	plan.url = v.template(s, "request.url", r.URL, intoText)
	plan.contentType = v.template(s, "request.content_type", r.ContentType, intoText)
	plan.query = v.params(s, "request.query", r.Query, v.p.Secrets.Query)
	plan.headers = v.headers(s, "request.headers", r.Headers, v.p.Secrets.Headers)
	if plan.url != nil && plan.url.constant() {
		r.URL = plan.url.literalStart()
		if _, err := parseEndpoint(r.URL); err != nil {
			v.bad("request.url", "%s", err)
		}
	}
}

// template compiles one leaf and notes what is wrong with it.
func (v *validator) template(s *scope, path, text string, into landing) *template {
	t, err := s.compile(text, into)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			v.bad(path, "%s", line)
		}
		return nil
	}
	if t.constant() && strings.ContainsAny(text, "\r\n\x00") && into == intoText {
		v.bad(path, "must not hold line breaks")
	}
	return t
}

func (v *validator) params(s *scope, path string, ps Params, secrets []string) []param {
	var out []param
	for _, p := range ps {
		at := join(path, p.Name)
		v.lines[at] = p.line
		if p.Name == "" {
			v.bad(at, "a parameter needs a name")
		}
		if t := v.template(s, at, p.Value, intoText); t != nil {
			secret := t.secret() || slices.ContainsFunc(secrets, func(n string) bool { return strings.EqualFold(n, p.Name) })
			out = append(out, param{name: p.Name, value: t, secret: secret})
		}
	}
	return out
}

func (v *validator) headers(s *scope, path string, ps Params, secrets []string) []param {
	for _, p := range ps {
		v.lines[join(path, p.Name)] = p.line
		if !fieldName.MatchString(p.Name) {
			v.bad(join(path, p.Name), "is no header name")
		}
		if strings.EqualFold(p.Name, "content-type") {
			v.bad(join(path, p.Name), "has a key of its own: content_type")
		}
	}
	return v.params(s, path, ps, secrets)
}

func (v *validator) response() {
	r := &v.p.Response
	for i, status := range r.OKStatus {
		if status < 100 || status > 599 {
			v.bad(fmt.Sprintf("response.ok_status[%d]", i), "want HTTP status codes, seen %d", status)
		}
	}
	if r.MaxBytes < 1 || r.MaxBytes > 1<<30 {
		v.bad("response.max_bytes", "want 1 to %d bytes, seen %d", 1<<30, r.MaxBytes)
	}
	v.unwraps()
	v.p.plan.metadata = map[string]*locator{}
	for _, name := range keysSorted(r.Metadata) {
		m := r.Metadata[name]
		v.p.plan.metadata[name] = v.locator("response.metadata."+name, m.From, m.Path, "", "json", "header")
	}
}

// regex compiles an expression of a profile; an empty one matches everything and is nil.
func (v *validator) regex(path, text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		v.bad(path, "is no regular expression (RE2): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re
}
