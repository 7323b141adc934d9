package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm/playready/soap"
	"keyflow/drm/xmltree"
)

// Matched is what a profile's error matchers say of an answer that is no license.
type Matched struct {
	Class   ErrorClass
	Code    string // the provider's own, "" if the profile names none or the answer holds none
	Message string // the provider's own words, likewise
	Retry   string // never, once_new_token, backoff or "": the profile says nothing
}

// String returns class, code and message.
func (m *Matched) String() string {
	text := string(m.Class)
	if m.Code != "" {
		text += fmt.Sprintf(" (%s)", m.Code)
	}
	if m.Message != "" {
		text += ": " + m.Message
	}
	return text
}

// place is an answer, or what a file or a command yields.
type place struct {
	status int
	header http.Header
	body   []byte

	// What the body is as JSON, and as a SOAP fault: read once, whatever asks for it.
	tree     any
	fault    soap.Code
	hasTree  bool
	hasFault bool
}

// value returns the value at a place in the body's JSON.
func (in *place) value(steps []any) (string, bool) {
	if !in.hasTree {
		in.tree, in.hasTree = decodeJSON(in.body), true
	}
	return valueAt(in.tree, steps)
}

// code returns the status code of the SOAP fault that the body is, 0 if it is none or has none.
func (in *place) code() soap.Code {
	if !in.hasFault {
		in.fault, in.hasFault = soapCode(in.body), true
	}
	return in.fault
}

// matcher is a [Matcher] with its expressions compiled.
type matcher struct {
	Matcher
	contentType, body *regexp.Regexp
	start             []byte
	header            map[string]*regexp.Regexp
	json              []jsonMatch
	code, message     *locator
}

// jsonMatch is a value that JSON must have at a place.
type jsonMatch struct {
	path  string
	steps []any
	want  *regexp.Regexp // of text; nil: the value as it is written
	exact string
}

func (m *matcher) matches(in *place) bool {
	for name, re := range m.header {
		if !re.MatchString(in.header.Get(name)) {
			return false
		}
	}
	for _, j := range m.json {
		if !j.matches(in) {
			return false
		}
	}
	return (len(m.When.Status) == 0 || m.When.Status.Has(in.status)) &&
		(m.contentType == nil || m.contentType.MatchString(in.header.Get("Content-Type"))) &&
		(m.body == nil || m.body.Match(in.body)) &&
		bytes.HasPrefix(in.body, m.start) &&
		(len(m.When.SOAPStatus) == 0 || slices.Contains(m.When.SOAPStatus, in.code()))
}

func (j *jsonMatch) matches(in *place) bool {
	text, found := in.value(j.steps)
	if j.want != nil {
		return found && j.want.MatchString(text)
	}
	return found && text == j.exact
}

// soapCode returns the status code of a SOAP fault, 0 if the body is none or its fault has none.
func soapCode(body []byte) soap.Code {
	if a, err := soap.ParseAnswer(body); err == nil && a.Fault != nil {
		return a.Fault.Code
	}
	return 0
}

// classify returns what the first matcher says; nil if there are none at all.
func classify(ms []matcher, in *place) *Matched {
	for i := range ms {
		m := &ms[i]
		if !m.matches(in) {
			continue
		}
		out := &Matched{Class: m.Class, Retry: m.Retry}
		if m.code != nil {
			code, _ := m.code.find(in)
			out.Code = readable([]byte(code))
		}
		if m.message != nil {
			words, _ := m.message.find(in)
			out.Message = readable([]byte(words))
		}
		return out
	}
	if len(ms) == 0 {
		return nil
	}
	if IsHTML(in.header, in.body) {
		return &Matched{Class: ErrorEdgeHTML}
	}
	return &Matched{Class: ErrorUnclassified}
}

// locator is a place in an answer: its body, a value of its JSON or XML, a header, its status, a parameter of the URL that it
// is, or the status code of its SOAP fault; and of that what a regular expression finds.
type locator struct {
	from, path string
	steps      []any
	regex      *regexp.Regexp
}

// find returns the text at the place, and whether there is any.
func (l *locator) find(in *place) (string, bool) {
	text, found := l.text(in)
	if !found {
		return "", false
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

func (l *locator) text(in *place) (string, bool) {
	body := string(bytes.TrimSpace(in.body))
	switch l.from {
	case "header":
		return in.header.Get(l.path), true
	case "json":
		return in.value(l.steps)
	case "xml":
		return xmlValue(body, l.path)
	case "status":
		return strconv.Itoa(in.status), true
	case "url_query":
		u, err := url.Parse(body)
		if err != nil {
			return "", false
		}
		return u.Query().Get(l.path), true
	case "soap":
		code := in.code()
		return fmt.Sprintf("0x%08X", uint32(code)), code != 0
	}
	return body, true
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

// decodeJSON returns what a body is as JSON, nil if it is none.
func decodeJSON(body []byte) any {
	var tree any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&tree) != nil {
		return nil
	}
	return tree
}

func valueAt(at any, steps []any) (string, bool) {
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

// xmlBounds limit the XML of a token service's answer.
var xmlBounds = xmltree.Bounds{Bytes: maxToken, Elements: 1000, Depth: 32}

var xmlPath = regexp.MustCompile(`^(/[A-Za-z_][A-Za-z0-9_.-]*)+$`)

// xmlValue returns the text of the element that a path of local names leads to, the first of each name.
func xmlValue(body, path string) (string, bool) {
	root, err := xmltree.Parse(body, xmlBounds)
	if err != nil {
		return "", false
	}
	names := strings.Split(path, "/")[1:]
	if root.Name.Local != names[0] {
		return "", false
	}
	n := root.Path(names[1:]...)
	if n == nil {
		return "", false
	}
	return strings.TrimSpace(n.Text), true
}
