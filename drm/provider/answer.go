package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// Matched is what a profile's error matchers say of an answer that is no license.
type Matched struct {
	Class ErrorClass
	Code  string // the provider's own, "" if the profile names none or the answer holds none
	Retry string // never, once_new_token, backoff or "": the profile says nothing
}

// String returns class and code.
func (m *Matched) String() string {
	if m.Code == "" {
		return string(m.Class)
	}
	return fmt.Sprintf("%s (%s)", m.Class, m.Code)
}

// matcher is a [Matcher] with its expressions compiled.
type matcher struct {
	Matcher
	contentType, body *regexp.Regexp
	code              *locator
}

func (m *matcher) matches(status int, header http.Header, body []byte) bool {
	return (len(m.When.Status) == 0 || m.When.Status.Has(status)) &&
		(m.contentType == nil || m.contentType.MatchString(header.Get("Content-Type"))) &&
		(m.body == nil || m.body.Match(body)) &&
		(len(m.When.SOAPStatus) == 0 || slices.Contains(m.When.SOAPStatus, soapCode(body)))
}

// soapCode returns the status code of a SOAP fault, 0 if the body is none or its fault has none.
func soapCode(body []byte) soap.Code {
	if a, err := soap.ParseAnswer(body); err == nil && a.Fault != nil {
		return a.Fault.Code
	}
	return 0
}

// classify returns what the first matcher says; nil if there are none at all.
func classify(ms []matcher, status int, header http.Header, body []byte) *Matched {
	for i := range ms {
		m := &ms[i]
		if !m.matches(status, header, body) {
			continue
		}
		out := &Matched{Class: m.Class, Retry: m.Retry}
		if m.code != nil {
			code, _ := m.code.find(header, body)
			out.Code = readable([]byte(code))
		}
		return out
	}
	if len(ms) == 0 {
		return nil
	}
	if IsHTML(header, body) {
		return &Matched{Class: ErrorEdgeHTML}
	}
	return &Matched{Class: ErrorUnclassified}
}

// unwrapRule is an [Unwrap] with its bytes decoded.
type unwrapRule struct {
	start []byte
	kind  drm.Kind
}

// unwraps reports whether the body of a good answer has one of the forms that the profile names.
func (p *Profile) unwraps(kind drm.Kind, body []byte) bool {
	if p.plan == nil || len(p.plan.unwrap) == 0 {
		return true
	}
	for _, u := range p.plan.unwrap {
		if (u.kind == "" || u.kind == kind) && bytes.HasPrefix(body, u.start) {
			return true
		}
	}
	return false
}

// locator is a place in an answer: its body, a value of its JSON, a header or the status code of its SOAP fault, and of that what a
// regular expression finds.
type locator struct {
	from, path string
	steps      []any
	regex      *regexp.Regexp
}

// find returns the text at the place, and whether there is any.
func (l *locator) find(header http.Header, body []byte) (string, bool) {
	text := string(bytes.TrimSpace(body))
	switch l.from {
	case "header":
		text = header.Get(l.path)
	case "json":
		var ok bool
		if text, ok = jsonValue(body, l.steps); !ok {
			return "", false
		}
	case "soap":
		code := soapCode(body)
		if code == 0 {
			return "", false
		}
		text = fmt.Sprintf("0x%08X", uint32(code))
	}
	if l.regex == nil {
		return text, text != ""
	}
	m := l.regex.FindStringSubmatch(text)
	switch {
	case m == nil:
		return "", false
	case len(m) > 1:
		return m[1], m[1] != ""
	}
	return m[0], m[0] != ""
}

var jsonStep = regexp.MustCompile(`^(?:\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,4})\])`)

// parseJSONPath reads the plain part of RFC 9535: the root, names and positions.
func parseJSONPath(path string) ([]any, error) {
	if path == "" || path[0] != '$' {
		return nil, errors.New("want a JSON path, e.g. $.token or $.items[0].id")
	}
	var steps []any
	for rest := path[1:]; rest != ""; {
		m := jsonStep.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("want a JSON path of names and positions, e.g. $.token, seen %q", path)
		}
		if m[1] != "" {
			steps = append(steps, m[1])
		} else {
			i, _ := strconv.Atoi(m[2]) // at most four digits
			steps = append(steps, i)
		}
		rest = rest[len(m[0]):]
	}
	return steps, nil
}

func jsonValue(body []byte, steps []any) (string, bool) {
	var at any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&at) != nil {
		return "", false
	}
	for _, step := range steps {
		switch s := step.(type) {
		case string:
			m, _ := at.(map[string]any)
			at = m[s]
		case int:
			list, _ := at.([]any)
			if s >= len(list) {
				return "", false
			}
			at = list[s]
		}
	}
	switch v := at.(type) {
	case string:
		return v, v != ""
	case json.Number, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
