package provider

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"keyflow/drm"
)

// Class says what kind of answer a reply is, before any platform looked into it.
type Class string

// The classes. Everything but ClassOK is a refusal or a fault.
const (
	ClassOK          Class = "ok"           // an OK status with a body that may be a license
	ClassRefused     Class = "refused"      // a 4xx
	ClassServerFault Class = "server_fault" // a 5xx
	ClassEdgeHTML    Class = "edge_html"    // an HTML page where a license or a refusal was due
	ClassUnexpected  Class = "unexpected"   // any other status; an empty body with an OK status
)

// Reply is a server's answer, unwrapped and classified. Body is the unwrapped license or error message whatever the
// class: a platform looks for an in-band error at every status (sheet widevine.md §8.5, §11).
type Reply struct {
	Class  Class
	Status int
	Body   []byte
	// Error is what the profile's error matchers say; nil for ClassOK and for a profile without matchers.
	Error *Matched
	// Metadata are what the profile wants to have told of the answer, such as request ids, by name.
	Metadata map[string]string
	// Problems say how the answer departs from what the profile promises; the license may be good all the same.
	Problems []Problem
}

// Problem is one departure of an answer from the profile or from HTTP practice.
type Problem struct {
	Reason   drm.Reason
	Expected string
	Seen     string
}

// The reasons of problems and refusals.
const (
	ReasonStatus      drm.Reason = "http-status"
	ReasonHTML        drm.Reason = "html-answer"
	ReasonEmpty       drm.Reason = "empty-answer"
	ReasonContentType drm.Reason = "content-type"
	ReasonForm        drm.Reason = "answer-form" // a good status with a body of no form that the profile names
	// ReasonStatusInside is that of a refusal inside of an answer with a good status.
	ReasonStatusInside drm.Reason = "status-inside"
)

// Read unwraps and classifies an answer. It is pure.
func (p *Profile) Read(kind drm.Kind, status int, header http.Header, body []byte) Reply {
	in := &place{status: status, header: header, body: body}
	r := Reply{Status: status, Body: body, Class: p.classify(status, header, body), Metadata: p.metadata(in)}
	if r.Class == ClassOK && (kind != drm.KindCertificate || p.Certificate.Wrap != "raw") {
		license, problem := p.unwrap(kind, in)
		if r.Body = license; problem == nil && len(license) == 0 {
			problem = &Problem{ReasonEmpty, "a license", "nothing in the answer's body"}
		}
		if problem != nil {
			r.Class = ClassUnexpected
			r.Problems = append(r.Problems, *problem)
		}
	}
	if r.Class != ClassOK && p.plan != nil {
		r.Error = classify(p.plan.matchers, in)
		if r.Class == ClassEdgeHTML && status >= 400 && r.Error != nil && r.Error.Class != ErrorEdgeHTML && r.Error.Class != ErrorUnclassified {
			r.Class = refusalClass(status) // HTML that carries a documented code is the service speaking
		}
	}
	if len(r.Problems) > 0 {
		return r
	}
	switch r.Class {
	case ClassOK:
		if problem := p.contentTypeProblem(header); problem != nil {
			r.Problems = append(r.Problems, *problem)
		}
	case ClassEdgeHTML:
		r.Problems = append(r.Problems, Problem{ReasonHTML, "a license or a refusal by the license service", "an HTML page"})
	default:
		r.Problems = append(r.Problems, p.statusProblem(status, body))
	}
	return r
}

// metadata finds what the profile's response.metadata names.
func (p *Profile) metadata(in *place) map[string]string {
	if p.plan == nil || len(p.plan.metadata) == 0 {
		return nil
	}
	found := map[string]string{}
	for name, l := range p.plan.metadata {
		if text, ok := l.find(in); ok {
			found[name] = readable([]byte(text))
		}
	}
	return found
}

func (p *Profile) classify(status int, header http.Header, body []byte) Class {
	ok := slices.Contains(p.Response.OKStatus, status)
	switch {
	case IsHTML(header, body):
		return ClassEdgeHTML
	case ok && len(body) > 0:
		return ClassOK
	case !ok && status >= 400:
		return refusalClass(status)
	default:
		return ClassUnexpected
	}
}

func refusalClass(status int) Class {
	if status < 500 {
		return ClassRefused
	}
	return ClassServerFault
}

func (p *Profile) statusProblem(status int, body []byte) Problem {
	want := fmt.Sprintf("HTTP %s with a body", strings.Trim(strings.ReplaceAll(fmt.Sprint(p.Response.OKStatus), " ", " or "), "[]"))
	if slices.Contains(p.Response.OKStatus, status) && len(body) == 0 {
		return Problem{ReasonEmpty, want, "an empty body"}
	}
	seen := fmt.Sprintf("HTTP %d %s", status, http.StatusText(status))
	if words := readable(body); words != "" {
		seen += ": " + words
	}
	return Problem{ReasonStatus, want, seen}
}

// readable returns the start of a refusal's body if it is text: a service's own words say most about what is wrong.
func readable(body []byte) string {
	end := min(len(body), maxSeen)
	for end < len(body) && end > maxSeen-utf8.UTFMax && !utf8.RuneStart(body[end]) { // not in the middle of a character
		end--
	}
	text := strings.Join(strings.Fields(string(body[:end])), " ")
	if strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

// ReasonScenario is the reason of an answer that is not what the profile expects in a scenario.
const ReasonScenario drm.Reason = "answer-not-as-documented"

// Unexpected returns how the answer in a scenario, such as token_missing, departs from what the profile expects of it; nil
// if it does not, or the profile says nothing.
func (p *Profile) Unexpected(scenario string, r Reply) *Problem {
	want, named := p.Expect[scenario]
	if !named {
		return nil
	}
	return want.Unlike(r)
}

// Unlike returns how an answer departs from the outcome as far as that is seen in its status and class; nil if it does not.
func (o Outcome) Unlike(r Reply) *Problem {
	class := ErrorUnclassified
	if r.Error != nil {
		class = r.Error.Class
	}
	if (len(o.Status) == 0 || o.Status.Has(r.Status)) && (len(o.Class) == 0 || slices.Contains(o.Class, class)) {
		return nil
	}
	want := fmt.Sprintf("HTTP %v, as the profile says", o.Status)
	if len(o.Class) > 0 {
		want = fmt.Sprintf("HTTP %v of class %v, as the profile says", o.Status, o.Class)
	}
	seen := fmt.Sprintf("HTTP %d", r.Status)
	if r.Class != ClassOK {
		seen += fmt.Sprintf(" of class %s", class)
	}
	return &Problem{Reason: ReasonScenario, Expected: want, Seen: seen}
}

func (p *Profile) contentTypeProblem(header http.Header) *Problem {
	if len(p.Response.ContentTypes) == 0 {
		return nil
	}
	got := mediaType(header)
	if slices.Contains(p.Response.ContentTypes, got) {
		return nil
	}
	return &Problem{ReasonContentType, "Content-Type " + strings.Join(p.Response.ContentTypes, " or "), "Content-Type " + header.Get("Content-Type")}
}

func mediaType(header http.Header) string {
	t, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return header.Get("Content-Type")
	}
	return t
}

// IsHTML reports whether an answer is an HTML page, by its declared type or by its first bytes: neither a license
// (a protobuf message) nor a SOAP envelope starts like one.
func IsHTML(header http.Header, body []byte) bool {
	start := bytes.ToLower(bytes.TrimLeft(body[:min(len(body), 512)], " \t\r\n\ufeff"))
	if bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html")) {
		return true
	}
	return mediaType(header) == "text/html" && len(start) > 0 && start[0] == '<'
}
