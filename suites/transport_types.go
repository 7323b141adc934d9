package suites

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

func contentTypeChecks() []Check {
	return []Check{
		{
			ID: "TR-04", Title: "A key request with another Content-Type, or none, is served or refused with 4xx",
			Level: reports.Must, Source: "RFC 9110 §15.5.16, practice; sheet providers.md §7.1",
			Why:     "Clients send all of these; a body parser that finds no type and fails with 500, or hangs, tells them to try again for ever.",
			Hint:    "What does the framework hand to the service when it has no parser for the type: an empty body, nothing, an exception?",
			Needs:   []Need{NeedTrusted},
			Leaves:  "what becomes of a key request that would be granted under the right type",
			Timeout: time.Minute,
			Kills:   []Kill{{"ct-missing-500", reports.Fail, reasonServerError}},
			Run:     otherTypesAreRefused,
		},
		{
			ID: "TR-05", Title: "The profile's Content-Type is accepted; others may be refused with 415",
			Level: reports.Must, Source: "the provider's document, practice; sheet providers.md §7.1",
			Why:    "A service, or the next version of it, that insists on another type refuses every player that follows the document.",
			Hint:   "Compare the profile's request.content_type with what the service accepts, parameters such as charset included.",
			Needs:  []Need{NeedTrusted},
			Leaves: "whether a key request of that type is granted: it is not refused for its type",
			Kills:  []Kill{{"ct-strict-415", reports.Fail, reasonTypeRefused}},
			Run:    ownTypeIsAccepted,
		},
		{
			ID: "TR-06", Title: "Content types agree with the bodies that they declare, and a wrong one is refused or served, never 5xx",
			Level: reports.Should, Source: "RFC 9110 §8.3, practice; sheet providers.md §7.1",
			Why:     "A lenient server hides a client's mistake until a strict one takes its place; a client that goes by a wrong type of the answer unwraps it wrongly.",
			Hint:    "Which of the two is wrong: what the transcript declares, or what it shows of the body?",
			Needs:   []Need{NeedTrusted},
			Leaves:  "the type of a license",
			Timeout: time.Minute,
			Kills:   []Kill{{"resp-ct-lies", reports.Warn, reasonTypeDisagrees}},
			Run:     typesAgree,
		},
	}
}

// asType declares a body as of a type, "" for none.
func asType(media string) func(*provider.Request) {
	return func(r *provider.Request) {
		for name := range r.Header {
			if strings.EqualFold(name, "Content-Type") {
				delete(r.Header, name)
			}
		}
		if media != "" {
			r.Header["Content-Type"] = []string{media}
		}
	}
}

// misdeclared sends a key request under another type, which must be served or refused rightly, and returns which.
func (p *posts) misdeclared(media string) string {
	step := "send a key request as " + media
	if media == "" {
		step = "send a key request without a Content-Type"
	}
	x, err := p.try(call{edit: asType(media)})
	if err != nil {
		p.e.failOnSilence(err, step)
	}
	how, miss := servedOrRefused(x)
	if miss != nil {
		miss.Step = step
		p.e.Miss(*miss)
		return miss.Seen
	}
	return how
}

// servedOrRefused tells which of both an answer is. Anything else is a miss: a server's failure, a proxy's page, a refusal
// that the profile's own matchers do not know. Status 415 explains itself (RFC 9110 §15.5.16), and a SOAP fault is a refusal
// whatever its status (sheet providers.md §1.2).
func servedOrRefused(x *Exchange) (string, *Failure) {
	const expected = "a license, or a refusal with HTTP 4xx"
	class := x.Reply.Class
	switch known := x.Reply.Error; {
	case x.Granted():
		return "served", nil
	case x.PlayReady().Fault != nil:
		return fmt.Sprintf("refused with SOAP fault %s", x.PlayReady().Fault.Code), nil
	case class == provider.ClassServerFault:
		return "", &Failure{Reason: reasonServerError, Expected: expected, Seen: fmt.Sprintf("HTTP %d", x.Status)}
	case class == provider.ClassRefused && (x.Status == http.StatusUnsupportedMediaType || known == nil):
		return fmt.Sprintf("refused with HTTP %d", x.Status), nil
	case class != provider.ClassEdgeHTML && known != nil && known.Class != provider.ErrorEdgeHTML && known.Class != provider.ErrorUnclassified:
		return fmt.Sprintf("refused with HTTP %d and %s", x.Status, known), nil
	case class == provider.ClassRefused:
		return "", &Failure{Reason: reasonUnclear, Expected: expected + " that the profile's matchers know", Seen: fmt.Sprintf("HTTP %d (%s)", x.Status, known)}
	}
	return "", &Failure{Reason: reasonUnclear, Expected: expected, Seen: fmt.Sprintf("HTTP %d (%s)", x.Status, class)}
}

// ownType is the media type that the profile declares.
func (e *Env) ownType(r *provider.Request) string {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return r.Header.Get("Content-Type")
	}
	return media
}

// foreignTypes are those that clients send by mistake (sheet providers.md §7.1, TR-04), and no type.
var foreignTypes = []string{"", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream"}

func otherTypesAreRefused(e *Env) {
	p := &posts{e: e}
	own, answer := "", "granted"
	x := p.wanted(HaveLicense.Name, call{edit: func(r *provider.Request) { own = e.ownType(r) }})
	if !e.trusted() {
		answer = e.cleanRefusal(x)
	}
	var told []string
	for _, media := range foreignTypes {
		if media == own {
			continue
		}
		how := p.misdeclared(media)
		if media == "" {
			media = "no type"
		}
		told = append(told, media+": "+how)
	}
	e.Note("%s: %s; %s", own, answer, strings.Join(told, "; "))
}

// cleanRefusal tells how a stranger's right request is refused. If that is no clean refusal, nothing can be said of what comes of
// requests that are wrong besides, and the check is blocked.
func (e *Env) cleanRefusal(x *Exchange) string {
	how, miss := servedOrRefused(x)
	if miss != nil {
		e.block("get the refusal of an unknown device", drm.Finding{Reason: miss.Reason, Step: stepHTTP, Expected: miss.Expected, Seen: miss.Seen})
	}
	return how
}

// foreignType is one that no license protocol has for its own, but in wrapped requests.
const foreignType = "application/json"

func ownTypeIsAccepted(e *Env) {
	p := &posts{e: e}
	own := ""
	const step = "send a key request as the profile declares it"
	x := p.send(step, call{edit: func(r *provider.Request) { own = r.Header.Get("Content-Type") }})
	if x.Status == http.StatusUnsupportedMediaType {
		e.Fail(Failure{Reason: reasonTypeRefused, Step: step, Expected: "a license for Content-Type " + own, Seen: "HTTP 415"})
	}
	if err := x.Usable(); err != nil && e.trusted() {
		e.block(HaveLicense.Name, err)
	}
	if strings.HasPrefix(own, foreignType) {
		e.Note("%s is accepted", own)
		return
	}
	other := p.send("send a key request as "+foreignType, call{edit: asType(foreignType)})
	how, _ := servedOrRefused(other) // that it is neither TR-04 judges
	if how == "" {
		how = fmt.Sprintf("answered with HTTP %d", other.Status)
	}
	e.Note("%s is accepted; %s is %s", own, foreignType, how)
}

func typesAgree(e *Env) {
	p := &posts{e: e}
	var sent *provider.Request
	x := p.wanted(HaveLicense.Name, call{edit: func(r *provider.Request) { sent = r }})
	if why := disagrees(sent.Header, sent.Body); why != "" {
		e.Miss(Failure{
			Reason: reasonRequestDisagrees, Step: "make a key request as the profile has it", Expected: "a Content-Type that fits the body", Seen: why,
			Hint: "Correct the profile's request.content_type: the service does not look at it.",
		})
	}
	e.judgeType(x, "read "+e.answerIs("a license"))
	e.judgeType(p.send("get the refusal of a malformed body", call{body: garbage}), "read the refusal of a malformed body")
	wrong := "text/xml"
	if bytes.HasPrefix(bytes.TrimSpace(sent.Body), []byte("<")) {
		wrong = foreignType
	}
	how := p.misdeclared(wrong)
	e.Note("answers are what they declare; a key request as %s is %s", wrong, how)
}

func (e *Env) judgeType(x *Exchange, step string) {
	if why := disagrees(x.Header, x.Raw); why != "" {
		e.Miss(Failure{Reason: reasonTypeDisagrees, Step: step, Expected: "a Content-Type that fits the body", Seen: fmt.Sprintf("HTTP %d with %s", x.Status, why)})
	}
}

// disagrees says how a body's first bytes contradict its declared type, "" if they do not. application/octet-stream claims nothing,
// and neither does a type that is not known here.
func disagrees(h http.Header, body []byte) string {
	if len(body) == 0 {
		return ""
	}
	declared := h.Get("Content-Type")
	if declared == "" {
		return fmt.Sprintf("no Content-Type and a body of %d bytes", len(body))
	}
	media, _, err := mime.ParseMediaType(declared)
	start := bytes.TrimLeft(body[:min(len(body), 64)], " \t\r\n\ufeff")
	fits := true
	switch {
	case err != nil:
		fits = false
	case media == "text/html", strings.HasSuffix(media, "xml"):
		fits = bytes.HasPrefix(start, []byte("<"))
	case strings.HasSuffix(media, "json"):
		fits = len(start) > 0 && bytes.IndexByte([]byte(`{["-0123456789tfn`), start[0]) >= 0 && isText(body)
	case strings.HasPrefix(media, "text/"), media == "application/x-www-form-urlencoded":
		fits = isText(body)
	}
	if fits {
		return ""
	}
	return fmt.Sprintf("Content-Type %.60s and a body that starts %x", declared, body[:min(len(body), 4)])
}

// isText reports whether a body's start is text: key requests and licenses of Widevine hold control characters from their first
// byte.
func isText(body []byte) bool {
	start := body[:min(len(body), 512)]
	for len(start) > 0 {
		r, n := utf8.DecodeRune(start)
		if r == utf8.RuneError && (n > 1 || utf8.FullRune(start)) || r < ' ' && !strings.ContainsRune("\t\r\n", r) {
			return false
		}
		start = start[n:]
	}
	return true
}
