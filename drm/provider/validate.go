package provider

import (
	"encoding/hex"
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
	problems problems
}

func (v *validator) bad(path, format string, args ...any) {
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
	v.certificate()
	v.response()
	p.plan.matchers = v.matchers("errors", p.Errors)
	for _, name := range keysSorted(p.Expect) {
		for i, c := range p.Expect[name].Class {
			oneOf(v, fmt.Sprintf("expect.%s.class[%d]", name, i), c, errorClasses()...)
		}
	}
	v.limits()
	v.cors()
	p.plan.finish(p)
}

func (v *validator) playReady(outputs map[string][]string) {
	r := v.p.PlayReady
	if v.p.DRM != drm.PlayReady {
		if v.lines["playready"] > 0 {
			v.bad("playready", "is for profiles with drm: playready")
		}
		return
	}
	oneOf(v, "playready.custom_data.format", r.CustomData.Format, "text")
	if strings.ContainsAny(r.SOAPAction, "\r\n\x00") {
		v.bad("playready.soap_action", "must not hold line breaks")
	}
	if r.CustomData.Template != "" {
		v.p.plan.customData = v.template(newScope(v.p.Vars, outputs, leaseInputs), "playready.custom_data.template", r.CustomData.Template, true)
	}
}

func (v *validator) certificate() {
	oneOf(v, "certificate.mode", v.p.Certificate.Mode, "same_url", "none", "unsupported")
	oneOf(v, "certificate.cache", v.p.Certificate.Cache, "run", "session", "never")
}

func (v *validator) limits() {
	for _, l := range []struct {
		key   string
		value int
	}{{"max_rps", v.p.Limits.MaxRPS}, {"max_in_flight", v.p.Limits.MaxInFlight}, {"max_requests", v.p.Limits.MaxRequests}} {
		if l.value < 0 || l.value == 0 && v.lines["limits."+l.key] > 0 {
			v.bad("limits."+l.key, "want a number above zero, seen %d", l.value)
		}
	}
}

func (v *validator) request(outputs map[string][]string) {
	r, plan := &v.p.Request, v.p.plan
	s := newScope(v.p.Vars, outputs, buildInputs)
	oneOf(v, "request.method", r.Method, "POST")
	oneOf(v, "request.query_encoding", r.QueryEncoding, "form", "percent")
	plan.url = v.template(s, "request.url", r.URL, false)
	plan.contentType = v.template(s, "request.content_type", r.ContentType, false)
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
func (v *validator) template(s *scope, path, text string, bytesAllowed bool) *template {
	t, err := s.compile(text, bytesAllowed)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			v.bad(path, "%s", line)
		}
		return nil
	}
	if t.constant() && strings.ContainsAny(text, "\r\n\x00") && !bytesAllowed {
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
		if t := v.template(s, at, p.Value, false); t != nil {
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
	for _, status := range r.OKStatus {
		if status < 100 || status > 599 {
			v.bad("response.ok_status", "want HTTP status codes, seen %d", status)
		}
	}
	if r.MaxBytes < 1 || r.MaxBytes > 1<<30 {
		v.bad("response.max_bytes", "want 1 to %d bytes, seen %d", 1<<30, r.MaxBytes)
	}
	for i, u := range r.Unwrap {
		path := fmt.Sprintf("response.unwrap[%d]", i)
		oneOf(v, path+".as", u.As, "raw")
		if u.When.Kind != "" {
			oneOf(v, path+".when.kind", u.When.Kind, drm.KindLicense, drm.KindCertificate, drm.KindRenewal, drm.KindRelease)
		}
		start, err := hex.DecodeString(u.When.FirstBytes)
		if err != nil {
			v.bad(path+".when.first_bytes", "want pairs of hexadecimal digits, seen %q", u.When.FirstBytes)
		}
		v.p.plan.unwrap = append(v.p.plan.unwrap, unwrapRule{start, u.When.Kind})
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

func (v *validator) matchers(path string, ms []Matcher) []matcher {
	out := make([]matcher, 0, len(ms))
	for i, m := range ms {
		at := fmt.Sprintf("%s[%d]", path, i)
		oneOf(v, at+".class", m.Class, errorClasses()...)
		if m.Retry != "" {
			oneOf(v, at+".retry", m.Retry, "never", "once_new_token", "backoff")
		}
		w := m.When
		if len(w.Status) == 0 && w.ContentType == "" && w.Body == "" && len(w.SOAPStatus) == 0 && i < len(ms)-1 {
			v.bad(at, "matches every answer and hides the matchers after it")
		}
		if len(w.SOAPStatus) > 0 && v.p.DRM != drm.PlayReady {
			v.bad(at+".when.soap_status", "is for profiles with drm: playready")
		}
		c := matcher{Matcher: m, contentType: v.regex(at+".when.content_type", w.ContentType), body: v.regex(at+".when.body", w.Body)}
		if m.Code != nil {
			c.code = v.locator(at+".code", m.Code.From, m.Code.Path, m.Code.Regex, "regex", "json", "header", "soap")
		}
		out = append(out, c)
	}
	return out
}

// locator compiles a place in an answer.
func (v *validator) locator(path, from, where, regex string, valid ...string) *locator {
	oneOf(v, path+".from", from, valid...)
	l := &locator{from: from, path: where, regex: v.regex(path+".regex", regex)}
	switch from {
	case "json":
		var err error
		if l.steps, err = parseJSONPath(where); err != nil {
			v.bad(path+".path", "%s", err)
		}
	case "header":
		if !fieldName.MatchString(where) {
			v.bad(path+".path", "want a header name, seen %q", where)
		}
	default:
		if where != "" {
			v.bad(path+".path", "belongs to json and header; %s takes a regex", from)
		}
		if from == "regex" && regex == "" {
			v.bad(path+".regex", "is missing")
		}
	}
	return l
}
