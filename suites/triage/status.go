package triage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/drm/widevine/wire"
)

// The reasons of refusals, beside those of packages provider, widevine and playready.
const (
	reasonFault       drm.Reason = "soap-fault"
	reasonFaultIn200  drm.Reason = "fault-in-200"
	reasonLicenseErr  drm.Reason = "license-error"
	reasonStatusNot   drm.Reason = "status-not-200"
	reasonContentType            = provider.ReasonContentType
)

// found is the message of an answer, as the profile unwraps it, or as it can be recognised.
type found struct {
	capture.Message
	has     bool
	profile bool // the profile unwrapped it
}

// read looks for the message in the answer.
func (w *walk) read() {
	r := w.final()
	if p := w.profile; p != nil && r.Status != 0 && r.Answer.Lost == "" {
		w.reply = p.Read(w.asksFor(), r.Status, r.AnswerHeader, r.Answer.Data)
		if w.reply.Class == provider.ClassOK {
			m, has := capture.Find(w.reply.Body)
			w.message = found{m, has, true}
			return
		}
	}
	w.message = found{Message: r.answer, has: r.answer.System != ""}
}

func (w *walk) asksFor() drm.Kind {
	if k := w.kind(); k != kindUnknown {
		return drm.Kind(k)
	}
	return drm.KindLicense
}

// refusal is what a message says of why there is no license.
func (w *walk) refusal() (drm.Reason, string) {
	m := w.message
	if !m.has || !m.Refusal {
		return "", ""
	}
	if m.System == drm.PlayReady {
		a, err := soap.ParseAnswer(m.Body)
		if err != nil || a.Fault == nil {
			return reasonFault, "a SOAP fault that cannot be read"
		}
		text := "SOAP fault " + a.Fault.Code.String()
		if meaning := a.Fault.Code.Meaning(); meaning != "" {
			text += ": " + meaning
		}
		if a.Fault.Code == 0 {
			text = "SOAP fault without a status code"
		}
		return reasonFault, text
	}
	envelope, code := new(wire.SignedMessage), new(wire.LicenseError)
	if proto.Unmarshal(m.Body, envelope) != nil || proto.Unmarshal(envelope.GetMsg(), code) != nil || code.ErrorCode == nil {
		return reasonLicenseErr, "a Widevine error response without a code"
	}
	return reasonLicenseErr, fmt.Sprintf("Widevine error response %d (%v)", code.GetErrorCode(), code.GetErrorCode())
}

// coded returns what the profile's error matchers say, nil if they say nothing.
func (w *walk) coded() *provider.Matched {
	if e := w.reply.Error; e != nil && e.Class != provider.ErrorUnclassified && e.Class != provider.ErrorEdgeHTML {
		return e
	}
	return nil
}

// html reports whether a page stands where an answer was due that the profile does not know as one of the service.
func (w *walk) html() bool {
	r := w.final()
	return page(r) && w.coded() == nil
}

// page reports whether an answer is a web page, as far as the archive shows.
func page(r *record) bool {
	return provider.IsHTML(r.AnswerHeader, r.Answer.Data) || r.Answer.Lost != "" && contentTypeOf(r) == "text/html"
}

// statusHints say what to look at where a status alone tells what is wrong.
var statusHints = map[int]string{
	http.StatusBadRequest:            "the service cannot read the request: compare URL, content type and body with the provider's document",
	http.StatusUnauthorized:          "the token is refused or missing: does it go where the service looks for it (header, query, custom data, body), and is it of this environment?",
	http.StatusForbidden:             "the token, the account, the content or the address is refused: --profile reads the provider's code",
	http.StatusNotFound:              "the host answers and knows no such path, or no such content: compare the license URL with the provider's document, slash at its end included",
	http.StatusMethodNotAllowed:      "the path takes no such method: license requests are sent with POST",
	http.StatusRequestEntityTooLarge: "a gateway refuses the length of the request",
	http.StatusRequestURITooLong:     "the URL is too long for a gateway: send the token in a header (TR-15)",
	http.StatusUnsupportedMediaType:  "the service wants another content type (TR-05)",
	http.StatusTooManyRequests:       "too many requests: the player must wait, and ask less often",
	431:                              "a header is too long for a gateway (TR-15)",
}

const hintPage = "a web page came, not the service: is the path right, and does a CDN, gateway, firewall or login stand before it (TR-11)?"

const hintServer = "the service itself, or a gateway before it, fails: its operator's log at that time says why"

// status is the step of what HTTP alone tells. A refusal that a later step reads is told there.
func (w *walk) status() outcome {
	r := w.final()
	text := fmt.Sprintf("HTTP %d %s", r.Status, http.StatusText(r.Status))
	reason, _ := w.refusal()
	expired, _, _ := tokenProblem(w.first)
	switch {
	case r.Status == 0:
		return notShown("no status")
	case w.html(), reason != "", w.coded() != nil:
		return ok("%s, read below", text)
	case r.Status >= 400 && expired != "":
		return ok("%s, read below", text)
	case r.Status == http.StatusOK:
		if o := w.contentType(); o != nil {
			return *o
		}
		return ok("%s, %s%s", text, contentTypeOf(r), w.declaredWrong())
	case r.Status >= 400:
		hint := statusHints[r.Status]
		if hint == "" && r.Status >= 500 {
			hint = hintServer
		}
		seen, hint := text+", "+bodyText(r)+w.sent(), w.requestHint(hint)
		if f := w.shared(r); f != nil {
			seen, hint = seen+"; the player saw nothing of it: "+f.Seen, hint+"; and "+hintShared
		}
		return failed(provider.ReasonStatus, "HTTP 200 with a "+string(w.asksFor()), seen, hint)
	}
	if p := w.profile; p != nil && slices.Contains(p.Response.OKStatus, r.Status) {
		return ok("%s, as the profile has it", text)
	}
	return failed(reasonStatusNot, "HTTP 200", text, "players take a license with status 200 alone (TR-08)")
}

// sent tells what the request was wrapped in, where that may be why it was refused.
func (w *walk) sent() string {
	if m := w.first.request; m.Wrapped != "" {
		return "; the request was sent in " + shownWrapping(m.Wrapped)
	}
	return ""
}

// requestHint says what to do about a request that was wrapped, or else the hint.
func (w *walk) requestHint(hint string) string {
	switch m := w.first.request; {
	case m.Wrapped == "PlayReadyKeyMessage":
		return "the player sent the whole PlayReadyKeyMessage: the challenge is the text in it, decoded from base64 and sent in UTF-8 (RW-16)"
	case strings.Contains(m.Wrapped, "base64, base64"):
		return "the request is encoded in base64 twice: encode it once, or send it bare"
	case m.Wrapped != "":
		return hint + "; does the service want the request bare?"
	}
	return hint
}

// contentType judges a media type of the answer that contradicts its bytes, nil for nothing to say.
func (w *walk) contentType() *outcome {
	r := w.final()
	if w.message.has && w.message.Wrapped == "" && !w.message.profile && strings.HasPrefix(contentTypeOf(r), "text/html") {
		o := failed(reasonContentType, "application/octet-stream, or text/xml of PlayReady", contentTypeOf(r), "a gateway or a player that believes the type treats the bytes as text (TR-06)")
		return &o
	}
	return nil
}

// declaredWrong tells of a media type that is not that of the bytes, and does no harm as long as nobody believes it.
func (w *walk) declaredWrong() string {
	r, declared := w.final(), contentTypeOf(w.final())
	json, plain := strings.HasSuffix(declared, "json"), declared == "text/plain"
	bare := w.message.has && w.message.Wrapped == "" && !w.message.profile
	if (json || plain && w.message.System == drm.Widevine) && bare || (json || plain) && r.Answer.Lost == har.Replaced {
		return ", which it is not (TR-06)"
	}
	return ""
}

// mediaTypes are the forms of media types that are told; any other may hold anything.
var mediaTypes = regexp.MustCompile(`^[a-z]+/[a-z0-9.+-]{1,60}`)

func contentTypeOf(r *record) string {
	text := strings.ToLower(strings.TrimSpace(r.AnswerHeader.Get("Content-Type")))
	if text == "" {
		text = strings.ToLower(r.Answer.Type)
	}
	if m := mediaTypes.FindString(text); m != "" {
		return m
	}
	return "no content type"
}

// servers are the names by which gateways and CDNs are known, which the header Server of an answer may begin with. What else stands there
// is not told.
var servers = regexp.MustCompile(`(?i)^(?:cloudflare|cloudfront|akamai[a-z]*|fastly|nginx|openresty|apache|microsoft-(?:iis|httpapi)|envoy|istio-envoy|varnish|awselb|big-?ip|gws|google frontend|caddy|haproxy|traefik|kestrel|litespeed)`)

// edge is the step at which a page, not the service, answered.
func (w *walk) edge() outcome {
	r := w.final()
	if r.Status == 0 {
		return notShown("no answer")
	}
	if !w.html() {
		return ok("no page")
	}
	seen := fmt.Sprintf("HTTP %d with an HTML page", r.Status)
	if server := servers.FindString(r.AnswerHeader.Get("Server")); server != "" {
		seen += ", Server: " + server
	}
	if w.shared(r) != nil {
		seen += ", of which the player saw nothing"
	}
	return failed(provider.ReasonHTML, "a license or a refusal by the license service", seen, hintPage)
}

// code is the step of the provider's own code, and of what the request shows of it.
func (w *walk) code() outcome {
	r := w.final()
	if e := w.coded(); e != nil {
		text := fmt.Sprintf("HTTP %d, which the profile calls %s", r.Status, e.Class)
		if e.Code != "" && len(e.Code) <= har.MaxName {
			text += " (" + printableWord(e.Code) + ")"
		}
		if _, times, _ := tokenProblem(w.first); times != "" {
			text += "; " + times
		}
		return failed(drm.Reason(e.Class), "a "+string(w.asksFor()), text, classHints[e.Class])
	}
	reason, _ := w.refusal()
	if expired, seen, hint := tokenProblem(w.first); expired != "" {
		if r.Status >= 400 || reason != "" {
			return failed(drm.Reason(expired), "a token that is good when it is sent", fmt.Sprintf("HTTP %d, and %s", r.Status, seen), hint)
		}
		return ok("%s, and the service took it", seen)
	}
	if w.profile == nil {
		return ok("nothing that can be read without --profile")
	}
	return ok("none of the profile's errors")
}

// statusWord is a status of a provider's JSON: a word of capitals, such as INTERNAL_ERROR (sheet providers.md §2.14).
var statusWord = regexp.MustCompile(`^[A-Z][A-Z_]{1,39}$`)

// inside is the step of a refusal in the answer's body.
func (w *walk) inside() outcome {
	r := w.final()
	if reason, seen := w.refusal(); reason != "" {
		expected, hint := "a "+string(w.asksFor()), hintRefusal(w.system)
		if reason == reasonFault && r.Status == http.StatusOK {
			reason, expected = reasonFaultIn200, "a license; a fault comes with HTTP 500"
			hint = "a player that looks at the status alone gives the fault to the CDM: have the service answer 500 (RW-12). And " + hint
		}
		return failed(reason, expected, fmt.Sprintf("HTTP %d with a %s", r.Status, seen), hint)
	}
	if r.Answer.Lost != "" {
		return w.lost()
	}
	if !w.message.has && r.Status == http.StatusOK {
		var body struct{ Status any }
		if json.Unmarshal(r.Answer.Data, &body) == nil {
			word, _ := body.Status.(string)
			if word = strings.ToUpper(word); statusWord.MatchString(word) && word != "OK" {
				return failed(provider.ReasonStatusInside, "status OK and a license", "HTTP 200 with status "+word+" in its JSON", "the service refuses with a good status (RW-14): the provider's document tells what "+word+" means")
			}
		}
	}
	return ok("no refusal in the body")
}

// lost is the outcome where the archive does not hold the answer's body.
func (w *walk) lost() outcome {
	why := w.final().Answer.Lost
	if w.declaredWrong() != "" {
		why += ", as the service declares it as " + contentTypeOf(w.final()) + " (TR-06)"
	}
	return notShown("the answer's body is lost: %s", why)
}

func hintRefusal(s drm.System) string {
	if s == drm.PlayReady {
		return "the fault's code says what the service misses; keyflow inspect FILE --entry N shows its text"
	}
	return "the service refuses the device or the request: is the client's certificate known there, and not revoked?"
}

// bodyText tells what an answer looks like, and never what it says.
func bodyText(r *record) string {
	data := r.Answer.Data
	switch {
	case r.Answer.Lost != "":
		return "whose body is lost: " + r.Answer.Lost
	case len(data) == 0:
		return "no body"
	}
	return fmt.Sprintf("%d bytes of %s: %s", len(data), contentTypeOf(r), looks(data))
}

func looks(data []byte) string {
	text := strings.TrimSpace(string(data[:min(len(data), 64<<10)]))
	var object map[string]json.RawMessage
	switch {
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return "gzip that no Content-Encoding declares (TR-18)"
	case json.Unmarshal(data, &object) == nil && object != nil:
		var names []string
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if len(names) == 20 {
				names = append(names, har.Hidden)
				break
			}
			names = append(names, shortWord(name))
		}
		return "JSON with the members " + strings.Join(names, ", ")
	case json.Valid(data):
		return "JSON, no object"
	case strings.HasPrefix(text, "<"):
		return "what looks like HTML or XML"
	case strings.ContainsFunc(text, func(c rune) bool { return c == '\uFFFD' || c < ' ' && c != '\n' && c != '\r' && c != '\t' }):
		return "bytes that are no message of a DRM system"
	}
	return "text"
}

// shortWord returns a stranger's name as it can be told: printable, and not so long that it may be a token.
func shortWord(s string) string {
	if len(s) > har.MaxName {
		return har.Hidden
	}
	return printableWord(s)
}

func printableWord(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}

// shownWrapping is a wrapping without what a stranger's name may do to a terminal.
func shownWrapping(s string) string { return printableWord(s) }

// classHints say what to do about refusals, by what the profile calls them.
var classHints = map[provider.ErrorClass]string{
	provider.ErrorAuthMissing:        "the service saw no token: does the player put it where the service looks for it?",
	provider.ErrorAuthMalformed:      "the service cannot read the token: a lost + or = in a query, a missing scheme word, or quotes around it",
	provider.ErrorAuthInvalid:        "the service refuses the token: is it of this environment, test or production, and for this host?",
	provider.ErrorAuthExpired:        "the token has expired: get a fresh one for each license request, and compare the clocks",
	provider.ErrorAuthReused:         "the token was used before, by the certificate request perhaps: get one for each request",
	provider.ErrorGeoRefused:         "the service serves no client at this address",
	provider.ErrorRateLimited:        "too many requests: the player must wait, and ask less often",
	provider.ErrorServerTransient:    "the service says that it fails for the moment: try again, and ask its operator",
	provider.ErrorServerFault:        hintServer,
	provider.ErrorRequestMalformed:   "the service cannot read the request: compare it with the provider's document; keyflow doctor --offline renders it",
	provider.ErrorRequestUnsupported: "the service does not serve this kind of request",
	provider.ErrorNotEntitled:        "the token was understood and is not for this content",
	provider.ErrorKeyUnknown:         "the service has no key for this content: were its keys ingested, in this environment, under these KIDs?",
	provider.ErrorPolicyRefused:      "the service's policy refuses the device or the content: its operator knows which rule",
	provider.ErrorDeviceRejected:     "the service does not trust the device: is it a verified client, and of this environment?",
}
