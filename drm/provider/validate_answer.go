package provider

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

func (v *validator) matchers(path string, ms []Matcher) []matcher {
	out := make([]matcher, 0, len(ms))
	for i, m := range ms {
		at := fmt.Sprintf("%s[%d]", path, i)
		oneOf(v, at+".class", m.Class, errorClasses()...)
		if m.Retry != "" {
			oneOf(v, at+".retry", m.Retry, "never", "once_new_token", "backoff")
		}
		if len(m.When.SOAPStatus) > 0 && v.p.DRM != drm.PlayReady {
			v.bad(at+".when.soap_status", "is for profiles with drm: playready")
		}
		out = append(out, v.matcher(at, m))
		if reflect.ValueOf(m.When).IsZero() && i < len(ms)-1 {
			v.bad(at, "matches every answer and hides the matchers after it")
			continue
		}
		if before := slices.IndexFunc(ms[:i], func(b Matcher) bool { return !reflect.ValueOf(b.When).IsZero() && b.When.covers(m.When) }); before >= 0 {
			v.bad(at, "is never reached: %s[%d] matches whatever it matches", path, before)
		}
	}
	return out
}

func (v *validator) matcher(at string, m Matcher) matcher {
	w := m.When
	c := matcher{
		Matcher: m, contentType: v.regex(at+".when.content_type", w.ContentType), body: v.regex(at+".when.body", w.Body),
		start: v.start(at, w.FirstBytes),
	}
	for _, name := range keysSorted(w.Header) {
		where := join(at+".when.header", name)
		if !fieldName.MatchString(name) {
			v.bad(where, "is no header name")
		}
		if w.Header[name] == "" {
			v.bad(where, "want a regular expression; ^$ matches a header that is missing")
		}
		if re := v.regex(where, w.Header[name]); re != nil {
			if c.header == nil {
				c.header = map[string]*regexp.Regexp{}
			}
			c.header[name] = re
		}
	}
	for _, path := range keysSorted(w.JSON) {
		c.json = append(c.json, v.jsonMatch(join(at+".when.json", path), path, w.JSON[path]))
	}
	if m.Code != nil {
		c.code = v.locator(at+".code", m.Code.From, m.Code.Path, m.Code.Regex, "regex", "json", "header", "soap")
	}
	if m.Message != nil {
		c.message = v.locator(at+".message", m.Message.From, m.Message.Path, m.Message.Regex, "regex", "json", "header", "soap")
	}
	return c
}

func (v *validator) jsonMatch(where, path string, want any) jsonMatch {
	j := jsonMatch{path: path, steps: v.jsonSteps(where, path), exact: fmt.Sprint(want)}
	if text, ok := want.(string); ok {
		if text == "" {
			v.bad(where, "want a regular expression, a number, true or false; .* matches any text")
		}
		j.want = v.regex(where, text)
	}
	return j
}

// covers reports whether whatever matches other matches w: each of its conditions is one of other's too.
func (w MatchWhen) covers(other MatchWhen) bool {
	same := func(a, b string) bool { return a == "" || a == b }
	for name, re := range w.Header {
		if other.Header[name] != re {
			return false
		}
	}
	for path, want := range w.JSON {
		if other.JSON[path] != want {
			return false
		}
	}
	for _, code := range other.SOAPStatus {
		if len(w.SOAPStatus) > 0 && !slices.Contains(w.SOAPStatus, code) {
			return false
		}
	}
	return (len(w.SOAPStatus) == 0 || len(other.SOAPStatus) > 0) && w.Status.covers(other.Status) &&
		same(w.ContentType, other.ContentType) && same(w.Body, other.Body) && strings.HasPrefix(other.FirstBytes, w.FirstBytes)
}

// covers reports whether all of other's codes are among s; none stands for all.
func (s Statuses) covers(other Statuses) bool {
	if len(s) == 0 {
		return true
	}
	for _, o := range other {
		for code := o.Low; code <= o.High; code++ {
			if !s.Has(code) {
				return false
			}
		}
	}
	return len(other) > 0
}

// locator compiles a place in an answer.
func (v *validator) locator(path, from, where, regex string, valid ...string) *locator {
	oneOf(v, path+".from", from, valid...)
	l := &locator{from: from, path: where, regex: v.regex(path+".regex", regex)}
	if !slices.Contains(valid, from) {
		return l
	}
	switch from {
	case "json":
		l.steps = v.jsonSteps(path+".path", where)
	case "header":
		if !fieldName.MatchString(where) {
			v.bad(path+".path", "want a header name, seen %q", where)
		}
	case "xml":
		if !xmlPath.MatchString(where) {
			v.bad(path+".path", "want a path of element names, e.g. /answer/token, seen %q", where)
		}
	case "url_query":
		if where == "" {
			v.bad(path+".path", "want the name of a query parameter")
		}
	default:
		if where != "" {
			v.bad(path+".path", "belongs to json, xml, header and url_query; %s takes a regex", from)
		}
		if from == "regex" && regex == "" {
			v.bad(path+".regex", "is missing")
		}
	}
	return l
}

// Scenarios are the cases in which the suites look at a profile's expect.
func Scenarios() []string {
	return []string{
		ScenarioTokenMissing, ScenarioTokenExpired, ScenarioTokenNotYetValid, ScenarioTokenSignature, ScenarioTokenWrongKey, ScenarioTokenUnsigned,
		ScenarioTokenIdentity, ScenarioTokenMalformed, ScenarioTokenReused, ScenarioTokenOtherContent, ScenarioTokenNoEnd, ScenarioTokenWrongPlace,
	}
}

// The scenarios.
const (
	ScenarioTokenMissing      = "token_missing"
	ScenarioTokenExpired      = "token_expired"
	ScenarioTokenNotYetValid  = "token_not_yet_valid" //nolint:gosec // the name of a case, no credential
	ScenarioTokenSignature    = "token_bad_signature"
	ScenarioTokenWrongKey     = "token_wrong_key"
	ScenarioTokenUnsigned     = "token_unsigned"
	ScenarioTokenIdentity     = "token_wrong_identity"
	ScenarioTokenMalformed    = "token_malformed"
	ScenarioTokenReused       = "token_reused"
	ScenarioTokenOtherContent = "token_other_content"
	ScenarioTokenNoEnd        = "token_without_end"
	ScenarioTokenWrongPlace   = "token_wrong_place"
)

// expectations checks what the profile says of answers in the harness's and its own scenarios.
func (v *validator) expectations() {
	for _, name := range keysSorted(v.p.Expect) {
		path := join("expect", name)
		if !slices.Contains(Scenarios(), name) {
			v.bad(path, "unknown scenario: %s", nearest.Hint(name, Scenarios()))
		}
		v.outcome(path, v.p.Expect[name])
	}
	for i, s := range v.p.Scenarios {
		path := fmt.Sprintf("scenarios[%d].expect", i)
		if reflect.ValueOf(s.Expect).IsZero() {
			v.bad(path, "is missing: what the case is answered with")
		}
		v.outcome(path, s.Expect)
	}
	for i, s := range v.p.Variants {
		if !reflect.ValueOf(s.Expect).IsZero() {
			v.bad(fmt.Sprintf("variants[%d].expect", i), "belongs to scenarios: a variant is answered with a license")
		}
	}
}

func (v *validator) outcome(path string, o Outcome) {
	for i, c := range o.Class {
		oneOf(v, fmt.Sprintf("%s.class[%d]", path, i), c, errorClasses()...)
		if c == ErrorEdgeHTML || c == ErrorUnclassified {
			v.bad(fmt.Sprintf("%s.class[%d]", path, i), "%s is never a right refusal", c)
		}
	}
	if o.Licenses < 0 {
		v.bad(path+".licenses", "want a number of licenses, seen %d", o.Licenses)
	}
	if o.Licenses > 0 && v.p.DRM != drm.PlayReady {
		v.bad(path+".licenses", "is for profiles with drm: playready")
	}
}
