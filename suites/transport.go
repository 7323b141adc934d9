package suites

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

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
			Why:    "After 301, 302 and 303 clients send GET without a body; many follow no redirect of a POST; a token must not follow to another host.",
			Hint:   "Give players the final URL. A redirect often comes from http to https, from a missing slash at the end, or from an old host.",
			Needs:  []Need{NeedTrusted},
			Leaves: "whether a license is to be had where a redirect leads",
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
			Leaves:  "whether headers are found whose lack shows in a license only",
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
	if !e.trusted() {
		err = nil // that a stranger is refused is right
	}
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
	x := p.wanted(HaveLicense.Name, call{})
	want := ""
	if !e.trusted() {
		want = answerKind(x)
	}
	for _, spelling := range []struct {
		name   string
		change func(string) string
	}{{"lower", strings.ToLower}, {"title", http.CanonicalHeaderKey}, {"upper", strings.ToUpper}} {
		e.mustNotMatter(p, want, "send header names in "+spelling.name+" case", call{edit: func(r *provider.Request) { *r = *r.Renamed(spelling.change) }})
	}
	answer := "granted"
	if want != "" {
		answer = want
	}
	e.Note("%s over HTTP/1.1 in lower, title and upper case; %s", answer, e.secondVersion(p, want, x.url))
}

// mustNotMatter sends a request that is the same as one that was granted, or refused in the way that want tells.
func (e *Env) mustNotMatter(p *posts, want, step string, c call) *Exchange {
	x := p.send(step, c)
	switch {
	case want != "" && answerKind(x) != want:
		e.Fail(Failure{Reason: reasonHeaderCase, Step: step, Expected: want + ", as for the same request in the profile's spelling", Seen: answerKind(x)})
	case want == "" && !x.Granted():
		e.Fail(Failure{Reason: reasonHeaderCase, Step: step, Expected: "a license, as for the same request in the profile's spelling", Seen: unlicensed(x)})
	}
	return x
}

// answerKind tells what an answer is, as far as it is the same for two requests that differ in nothing but their ids and times.
func answerKind(x *Exchange) string {
	kind := fmt.Sprintf("HTTP %d (%s)", x.Status, x.Reply.Class)
	if f := x.PlayReady().Fault; f != nil {
		kind += fmt.Sprintf(" with SOAP fault %s", f.Code)
	}
	if known := x.Reply.Error; known != nil {
		kind += fmt.Sprintf(", %s", known.Class)
	}
	return kind
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
func (e *Env) secondVersion(p *posts, want, address string) string {
	if !strings.HasPrefix(address, "https:") {
		return "HTTP/2 needs TLS"
	}
	client := offerHTTP2(e.Client)
	if client == nil {
		return "HTTP/2 was not tried"
	}
	defer client.CloseIdleConnections()
	if x := e.mustNotMatter(p, want, "send the key request over HTTP/2", call{client: client}); x.Proto == "HTTP/2.0" {
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
