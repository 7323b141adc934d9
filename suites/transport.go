package suites

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

const (
	reasonServerError       drm.Reason = "server-error"
	reasonTypeRefused       drm.Reason = "content-type-refused"
	reasonTypeDisagrees     drm.Reason = "content-type-disagrees"
	reasonRequestDisagrees  drm.Reason = "request-type-disagrees"
	reasonRedirected        drm.Reason = "redirected"
	reasonRedirectMethod    drm.Reason = "redirect-drops-body"
	reasonRedirectElsewhere drm.Reason = "redirect-cross-origin"
	reasonRedirectRefused   drm.Reason = "redirect-refused"
	reasonNot200            drm.Reason = "success-not-200"
	reasonHeaderCase        drm.Reason = "header-case"
)

// transportChecks are the checks of HTTP, on targets of every system and profile (sheet providers.md §7.1).
func transportChecks() []Check {
	checks := slices.Concat(corsChecks(), contentTypeChecks())
	checks = append(checks,
		Check{
			ID: "TR-07", Title: "The license URL does not redirect, or by 307 or 308 within its origin, so that method, body and token arrive",
			Level: reports.Must, Source: "RFC 9110 §15.4, practice (no redirect: SHOULD); sheet providers.md §7.1",
			Why:   "After 301, 302 and 303 clients send GET without a body; many follow no redirect of a POST; a token must not follow to another host.",
			Hint:  "Give players the final URL. A redirect often comes from http to https, from a missing slash at the end, or from an old host.",
			Needs: []Need{NeedTrusted},
			Kills: []Kill{
				{"redirect-307", reports.Warn, reasonRedirected},
				{"redirect-302-drops-body", reports.Fail, reasonRedirectMethod},
			},
			Run: licenseURLStays,
		},
		Check{
			ID: "TR-08", Title: "A license comes with exactly status 200",
			Level: reports.Should, Source: "practice; sheet providers.md §7.1",
			Why:   "Players take 200 for success, and some nothing else: a valid license with 201 is thrown away.",
			Hint:  "Does the framework answer every POST with 201 Created?",
			Needs: []Need{NeedTrusted},
			Kills: []Kill{{"status-201", reports.Warn, reasonNot200}},
			Run:   successIs200,
		},
		Check{
			ID: "TR-09", Title: "Header names mean the same in lower, title and upper case, and over HTTP/2 where it is offered",
			Level: reports.Must, Source: "RFC 9110 §5.1, RFC 9113 §8.2; sheet providers.md §7.1",
			Why:     "fetch and HTTP/2 write names in lower case: a server that compares them byte by byte refuses browsers and serves native players.",
			Hint:    "Look headers up through the framework, not in a map of names as they came.",
			Needs:   []Need{NeedTrusted},
			Timeout: time.Minute,
			Kills:   []Kill{{"header-case-sensitive", reports.Fail, reasonHeaderCase}},
			Run:     headerCaseIsNothing,
		},
	)
	for i := range checks {
		checks[i].Scope = ScopeTarget
	}
	return checks
}

func contentTypeChecks() []Check {
	return []Check{
		{
			ID: "TR-04", Title: "A key request with another Content-Type, or none, is served or refused with 4xx",
			Level: reports.Must, Source: "RFC 9110 §15.5.16, practice; sheet providers.md §7.1",
			Why:     "Clients send all of these; a body parser that finds no type and fails with 500, or hangs, tells them to try again for ever.",
			Hint:    "What does the framework hand to the service when it has no parser for the type: an empty body, nothing, an exception?",
			Needs:   []Need{NeedTrusted},
			Timeout: time.Minute,
			Kills:   []Kill{{"ct-missing-500", reports.Fail, reasonServerError}},
			Run:     otherTypesAreRefused,
		},
		{
			ID: "TR-05", Title: "The profile's Content-Type is accepted; others may be refused with 415",
			Level: reports.Must, Source: "the provider's document, practice; sheet providers.md §7.1",
			Why:   "A service, or the next version of it, that insists on another type refuses every player that follows the document.",
			Hint:  "Compare the profile's request.content_type with what the service accepts, parameters such as charset included.",
			Needs: []Need{NeedTrusted},
			Kills: []Kill{{"ct-strict-415", reports.Fail, reasonTypeRefused}},
			Run:   ownTypeIsAccepted,
		},
		{
			ID: "TR-06", Title: "Content types agree with the bodies that they declare, and a wrong one is refused or served, never 5xx",
			Level: reports.Should, Source: "RFC 9110 §8.3, practice; sheet providers.md §7.1",
			Why:     "A lenient server hides a client's mistake until a strict one takes its place; a client that goes by a wrong type of the answer unwraps it wrongly.",
			Hint:    "Which of the two is wrong: what the transcript declares, or what it shows of the body?",
			Needs:   []Need{NeedTrusted},
			Timeout: time.Minute,
			Kills:   []Kill{{"resp-ct-lies", reports.Warn, reasonTypeDisagrees}},
			Run:     typesAgree,
		},
	}
}

// posts sends key requests for the same content in a row, with one lease as long as that serves: tokens may cost money.
type posts struct {
	e     *Env
	lease *provider.Lease
}

func (p *posts) try(c call) (*Exchange, error) {
	c.kind = drm.KindLicense
	if c.lease == nil {
		if p.lease == nil || p.lease.Use(c.kind) != nil {
			lease, err := p.e.lease(c)
			if err != nil {
				return nil, err
			}
			p.lease = lease
		}
		c.lease = p.lease
	}
	return p.e.exchange(p.e.Platform, Require(p.e, HaveBox), c)
}

// send sends a key request; that no answer comes blocks the check.
func (p *posts) send(step string, c call) *Exchange {
	x, err := p.try(c)
	if err != nil {
		p.e.block(step, err)
	}
	return x
}

// granted sends a key request that must be granted for the check to judge anything.
func (p *posts) granted(step string, c call) *Exchange {
	x := p.send(step, c)
	if err := x.Usable(); err != nil {
		p.e.block(step, err)
	}
	return x
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
	own := ""
	p.granted(HaveLicense.Name, call{edit: func(r *provider.Request) { own = e.ownType(r) }})
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
	e.Note("%s: granted; %s", own, strings.Join(told, "; "))
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
	if err := x.Usable(); err != nil {
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
	x := p.granted(HaveLicense.Name, call{edit: func(r *provider.Request) { sent = r }})
	if why := disagrees(sent.Header, sent.Body); why != "" {
		e.Miss(Failure{
			Reason: reasonRequestDisagrees, Step: "make a key request as the profile has it", Expected: "a Content-Type that fits the body", Seen: why,
			Hint: "Correct the profile's request.content_type: the service does not look at it.",
		})
	}
	e.judgeType(x, "read a license")
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

const (
	stepRedirect   = "send a key request to the license URL"
	stepRedirected = "send the key request to where it is redirected"
)

func licenseURLStays(e *Env) {
	p := &posts{e: e}
	x := p.send(stepRedirect, call{stay: true})
	hops := 0
	for to := redirection(x); to != nil; to = redirection(x) {
		e.judgeRedirect(x, to, hops)
		hops++
		x.Redirects = append(x.Redirects, to.String())
		var err error
		if x.Message, err = x.Session.Request(e.Context, drm.KindLicense); err != nil { // an answer's message is not processed twice
			e.block("make a key request", &HarnessError{err})
		}
		if err := e.walk(x, call{stay: true}); err != nil {
			e.failOnSilence(err, stepRedirected)
		}
		e.remember(x)
	}
	err := x.Usable()
	switch {
	case err == nil && hops == 0:
		e.Note("HTTP %d, no redirect", x.Status)
	case err == nil:
		e.Miss(Failure{
			Reason: reasonRedirected, Level: reports.Should, Step: stepRedirect, Expected: "no redirect",
			Seen: fmt.Sprintf("%d within the origin, by 307 or 308", hops),
		})
	case hops > 0:
		e.Fail(Failure{Reason: reasonRedirectRefused, Step: stepRedirected, Expected: "a license", Seen: err.Error()})
	default:
		e.block(HaveLicense.Name, err)
	}
}

// redirection returns where an answer sends the client, nil if nowhere.
func redirection(x *Exchange) *url.URL {
	at, err := url.Parse(x.url)
	if x.Status < 300 || x.Status > 399 || x.Header.Get("Location") == "" || err != nil {
		return nil
	}
	to, err := at.Parse(x.Header.Get("Location"))
	if err != nil {
		return nil
	}
	return to
}

// judgeRedirect ends the check unless a redirect may be followed: with method, body and token, which never go to another origin.
// The target is told without its query, which may hold a token.
func (e *Env) judgeRedirect(x *Exchange, to *url.URL, hops int) {
	from, err := url.Parse(x.url)
	shown := &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	seen := fmt.Sprintf("HTTP %d to %.120s", x.Status, shown)
	switch {
	case !slices.Contains([]int{http.StatusTemporaryRedirect, http.StatusPermanentRedirect}, x.Status):
		e.Fail(Failure{Reason: reasonRedirectMethod, Step: stepRedirect, Expected: "no redirect, or HTTP 307 or 308, which keep method and body", Seen: seen})
	case err != nil || to.Scheme != from.Scheme || to.Host != from.Host:
		e.Fail(Failure{Reason: reasonRedirectElsewhere, Step: stepRedirect, Expected: "no redirect to another origin, where neither token nor key request may go", Seen: seen + "; not followed"})
	case hops == maxRedirects:
		e.Fail(Failure{Reason: reasonRedirected, Step: stepRedirect, Expected: fmt.Sprintf("at most %d redirects", maxRedirects), Seen: "another one: " + seen})
	}
}

func successIs200(e *Env) {
	x := (&posts{e: e}).send("get an answer to a key request", call{})
	if err := x.Usable(); err != nil && !x.Granted() {
		e.block(HaveLicense.Name, err)
	}
	if x.Status != http.StatusOK {
		e.Fail(Failure{Reason: reasonNot200, Step: stepHTTP, Expected: "HTTP 200 with a license", Seen: x.granted()})
	}
}

func headerCaseIsNothing(e *Env) {
	p := &posts{e: e}
	address := p.granted(HaveLicense.Name, call{}).url
	for _, spelling := range []struct {
		name   string
		change func(string) string
	}{{"lower", strings.ToLower}, {"title", http.CanonicalHeaderKey}, {"upper", strings.ToUpper}} {
		e.mustGrantSpelling(p, "send header names in "+spelling.name+" case", call{edit: func(r *provider.Request) { *r = *r.Renamed(spelling.change) }})
	}
	e.Note("granted over HTTP/1.1 in lower, title and upper case; %s", e.secondVersion(p, address))
}

// mustGrantSpelling sends a request that is the same as one that was granted.
func (e *Env) mustGrantSpelling(p *posts, step string, c call) *Exchange {
	x := p.send(step, c)
	if !x.Granted() {
		e.Fail(Failure{Reason: reasonHeaderCase, Step: step, Expected: "a license, as for the same request in the profile's spelling", Seen: unlicensed(x)})
	}
	return x
}

// unlicensed tells an answer that holds no license.
func unlicensed(x *Exchange) string {
	var f drm.Finding
	if errors.As(x.Usable(), &f) {
		return f.Seen
	}
	return fmt.Sprintf("HTTP %d (%s)", x.Status, x.Reply.Class)
}

// secondVersion repeats the request over HTTP/2, whose names are always in lower case, if the server offers it, and tells what came
// of it.
func (e *Env) secondVersion(p *posts, address string) string {
	if !strings.HasPrefix(address, "https:") {
		return "HTTP/2 needs TLS"
	}
	client := offerHTTP2(e.Client)
	if client == nil {
		return "HTTP/2 was not tried"
	}
	defer client.CloseIdleConnections()
	if x := e.mustGrantSpelling(p, "send the key request over HTTP/2", call{client: client}); x.Proto == "HTTP/2.0" {
		return "and over HTTP/2"
	}
	return "HTTP/2 was not offered"
}

// offerHTTP2 returns the client with HTTP/2 offered to servers, within the same limits; nil if its transport cannot offer it.
func offerHTTP2(c *http.Client) *http.Client {
	polite, limited := c.Transport.(*politeTransport)
	next := c.Transport
	if limited {
		next = polite.next
	}
	plain, ok := next.(*http.Transport)
	if !ok {
		return nil
	}
	second := plain.Clone()
	second.ForceAttemptHTTP2 = true
	client := *c
	if client.Transport = second; limited {
		client.Transport = &politeTransport{polite.Politeness, second}
	}
	return &client
}
