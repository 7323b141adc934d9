package suites

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

const (
	reasonPreflightStatus  drm.Reason = "preflight-status"
	reasonAllowOrigin      drm.Reason = "cors-origin"
	reasonAllowCredentials drm.Reason = "cors-credentials"
	reasonAllowHeaders     drm.Reason = "cors-headers"
	reasonExposeHeaders    drm.Reason = "cors-expose-headers"
	reasonVary             drm.Reason = "cors-vary"
)

// corsChecks judge what a script in a browser meets when it sends key requests to another origin than its own.
func corsChecks() []Check {
	return []Check{
		{
			ID: "TR-01", Title: "A browser's preflight is answered with 2xx and leave for origin, POST and headers, without authorization",
			Level: reports.Must, Source: "Fetch standard, practice; sheet providers.md §7.1",
			Why:     "A key request with a header such as Content-Type or a token is sent after a preflight only; without leave the player sees a network error and no status.",
			Hint:    "Does the gateway route OPTIONS to the service, or answer 404, 405 or 401 on its own? A preflight never carries a token.",
			Timeout: time.Minute,
			Kills: []Kill{
				{"cors-preflight-404", reports.Fail, reasonPreflightStatus},
				{"cors-preflight-401", reports.Fail, reasonPreflightStatus},
				{"html-200", reports.Fail, reasonAllowOrigin},
				{"refuse-with-503", reports.Fail, reasonPreflightStatus},
				{"connection-reset", reports.Fail, provider.ReasonReset},
				{"never-answers", reports.Fail, provider.ReasonTimeout},
				{"endless-body", reports.Fail, provider.ReasonTooLarge},
			},
			Run: preflightIsAnswered,
		},
		{
			ID: "TR-02", Title: "A preflight gives leave for each header that the requests need it for, alone and together",
			Level: reports.Must, Source: "Fetch standard, practice; sheet providers.md §7.1",
			Why:     "One header that is missing from Access-Control-Allow-Headers keeps every player in a browser out, with status 0 and endless retries.",
			Hint:    "Compare Access-Control-Allow-Headers with the request's headers; * does not stand for Authorization, nor for anything where credentials are sent.",
			Timeout: time.Minute,
			Kills:   []Kill{{"cors-omit-one-header", reports.Fail, reasonAllowHeaders}},
			Run:     headersAreAllowed,
		},
		{
			ID: "TR-03", Title: "Licenses and refusals alike may be read by a script of the player's origin",
			Level: reports.Should, Source: "Fetch standard, practice; sheet providers.md §7.1",
			Why:     "A refusal that the browser withholds looks like a network error: the player cannot tell an expired token from a dead server.",
			Hint:    "Are the CORS headers set by a filter that errors go past? They belong on every answer, with Vary: Origin where the origin is echoed.",
			Needs:   []Need{NeedTrusted},
			Leaves:  "whether a license may be read",
			Timeout: time.Minute,
			Kills:   []Kill{{"cors-only-on-200", reports.Warn, reasonAllowOrigin}},
			Run:     answersAreShared,
		},
	}
}

// origins returns those that must be allowed, and what a note says of them. The check ends where no browser speaks to the service.
func (e *Env) origins() (origins []string, note string) {
	if e.Profile.CORS.Skip {
		e.NotApplicable("the profile says that no browser speaks to the service (cors.skip)")
	}
	if len(e.Profile.CORS.Origins) == 0 {
		return []string{DefaultOrigin}, "origin " + DefaultOrigin + ", as the profile names none"
	}
	return e.Profile.CORS.Origins, "origin " + strings.Join(e.Profile.CORS.Origins, ", ")
}

// plainRequest builds a request as the profile has it, without a device: its URL and headers are those of any key request.
func (e *Env) plainRequest() *provider.Request {
	message := drm.Message{Kind: drm.KindLicense}
	if e.Profile.DRM == drm.Widevine {
		message.Body = []byte{0x08, 0x04} // a request for the service certificate (sheet providers.md §1.1)
	}
	return e.Profile.Build(e.takeLease(e.firstNeed()), message, provider.At{Now: e.clock().Now()})
}

// preflight asks for leave to send a request, as a browser does: to the same URL, token in the query included, with neither
// body, credentials nor any of the headers that it asks for. Its error is a [drm.Finding] where no leave is given for the origin.
func (e *Env) preflight(r *provider.Request, origin string, names []string) (*Exchange, error) {
	x := new(Exchange)
	if err := e.send(e.Client, x, Preflight(r, origin, names)); err != nil {
		return nil, err
	}
	if x.Status < 200 || x.Status > 299 { // a browser follows no redirect of a preflight
		return nil, drm.Finding{Reason: reasonPreflightStatus, Step: stepPreflight(origin), Expected: "HTTP 2xx", Seen: fmt.Sprintf("HTTP %d", x.Status)}
	}
	// Access-Control-Allow-Methods need not name POST: it is a CORS-safelisted method, for which a browser wants no leave.
	if f := e.shared(x.Header, origin, stepPreflight(origin)); f != nil {
		return nil, *f
	}
	return x, nil
}

func stepPreflight(origin string) string { return "send a preflight from " + origin }

// shared says why a browser withholds an answer from a script of the origin, nil if it does not.
func (e *Env) shared(h http.Header, origin, step string) *drm.Finding {
	return Shared(e.Profile.CORS, h, origin, step)
}

// lacking returns which of the names an answer's list of names lacks.
func (e *Env) lacking(h http.Header, list string, names []string) []string {
	return lacking(e.Profile.CORS, h, list, names)
}

// askedHeaders returns the headers that a browser asks leave for. The check ends if there are none: no preflight is sent then.
func (e *Env) askedHeaders(r *provider.Request) []string {
	names := e.Profile.CORSHeaders(r)
	if len(names) == 0 {
		e.NotApplicable("a browser sends these requests without a preflight: all their headers are safelisted")
	}
	return names
}

func preflightIsAnswered(e *Env) {
	origins, note := e.origins()
	r := e.plainRequest()
	names := e.askedHeaders(r)
	for _, origin := range origins {
		x, err := e.preflight(r, origin, names)
		var f drm.Finding
		switch {
		case errors.As(err, &f):
			e.failFor(f)
		case err != nil:
			e.failOnSilence(err, stepPreflight(origin))
		}
		if len(x.Header.Values(allowHeaders)) == 0 { // which headers the list has is judged by TR-02
			e.Fail(Failure{Reason: reasonAllowHeaders, Step: stepPreflight(origin), Expected: allowHeaders + " with " + strings.Join(names, ", "), Seen: "no " + allowHeaders})
		}
	}
	e.Note("%s; asked for %s", note, strings.Join(names, ", "))
}

// failOnSilence ends the check because a request got no answer: failed if the server is there, else blocked.
func (e *Env) failOnSilence(err error, step string) {
	var transport *provider.TransportError
	if errors.As(err, &transport) && e.run.Err() == nil && !transport.Unreachable() {
		e.Fail(Failure{Reason: transport.Reason, Step: step, Expected: transport.Expected, Seen: transport.Seen})
	}
	e.block(step, err)
}

func headersAreAllowed(e *Env) {
	origins, note := e.origins()
	r := e.plainRequest()
	together := e.askedHeaders(r)
	sets := [][]string{together}
	if len(together) > 1 {
		for _, name := range together {
			sets = append(sets, []string{name})
		}
	}
	for _, origin := range origins {
		for _, names := range sets {
			x := Require(e, Step[*Exchange]{"get an answer to a preflight", func(e *Env) (*Exchange, error) { return e.preflight(r, origin, names) }})
			if f := Refused(e.Profile.CORS, x.Header, names, "ask leave for "+strings.Join(names, ", ")); f != nil {
				e.failFor(*f)
			}
		}
	}
	e.Note("%s; leave for %s", note, strings.Join(together, ", "))
}

// foreignOrigin is one that no profile names: whether it is allowed is the service's affair, and shows that it echoes any.
const foreignOrigin = "https://elsewhere.example"

// from has a request come from a page.
func from(origin string) func(*provider.Request) {
	return func(r *provider.Request) { r.Header["Origin"] = []string{origin} }
}

func answersAreShared(e *Env) {
	origins, note := e.origins()
	p := &posts{e: e}
	classes := []string{e.answerIs("a license")}
	var echoed []*Exchange
	for i, origin := range origins {
		x := p.wanted("obtain a license for a page of "+origin, call{edit: from(origin)})
		e.judgeShared(x, origin, "read "+e.answerIs("a license"))
		echoed = append(echoed, x)
		for _, refusal := range e.refusals(origin, x.Lease) {
			x := p.send("get "+refusal.name, refusal.call)
			if x.Granted() { // what that means other checks judge
				continue
			}
			e.judgeShared(x, origin, "read "+refusal.name)
			if echoed = append(echoed, x); i == 0 {
				classes = append(classes, refusal.name)
			}
		}
	}
	x := p.send("get an answer for a page of "+foreignOrigin, call{body: garbage, edit: from(foreignOrigin)})
	if x.Header.Get(allowOrigin) == foreignOrigin {
		for _, x := range append(echoed, x) {
			e.judgeVary(x)
		}
	}
	e.Note("%s; may read %s", note, strings.Join(classes, ", "))
}

// garbage is no key request of any system.
var garbage = instead([]byte("this is no key request"))

// provoked is a refusal that can be had on purpose.
type provoked struct {
	name string
	call call
}

func (e *Env) refusals(origin string, lease *provider.Lease) []provoked {
	refusals := []provoked{{"the refusal of a malformed body", call{body: garbage, edit: from(origin)}}}
	if e.Profile.TakesToken() {
		refusals = append(refusals, provoked{"the refusal of a missing token", call{lease: lease.WithoutToken(), edit: from(origin)}})
	}
	return refusals
}

// judgeShared notes a miss if a script of the origin cannot read an answer, or not a header of it that the profile names.
func (e *Env) judgeShared(x *Exchange, origin, step string) {
	if f := e.shared(x.Header, origin, step); f != nil {
		e.Miss(Failure{Reason: f.Reason, Step: step, Expected: f.Expected, Seen: fmt.Sprintf("HTTP %d with %s", x.Status, f.Seen)})
		return
	}
	var there []string
	for _, name := range e.Profile.CORS.ExposeHeaders {
		if len(x.Header.Values(name)) > 0 {
			there = append(there, strings.ToLower(name))
		}
	}
	if hidden := e.lacking(x.Header, exposeHeaders, there); len(hidden) > 0 {
		e.Miss(Failure{
			Reason: reasonExposeHeaders, Step: step, Expected: exposeHeaders + " with " + strings.Join(hidden, ", "),
			Seen: seenHeader(exposeHeaders, x.Header.Values(exposeHeaders)),
		})
	}
}

// judgeVary notes a miss if a cache may give an answer for one origin to another.
func (e *Env) judgeVary(x *Exchange) {
	vary := strings.ToLower(strings.Join(x.Header.Values("Vary"), ","))
	if !slices.ContainsFunc(strings.Split(vary, ","), func(name string) bool { return slices.Contains([]string{"origin", "*"}, strings.TrimSpace(name)) }) {
		e.Miss(Failure{
			Reason: reasonVary, Step: "compare answers for two origins", Expected: "Vary: Origin, as the origin is echoed",
			Seen: fmt.Sprintf("HTTP %d with %s", x.Status, seenHeader("Vary", x.Header.Values("Vary"))),
		})
	}
}
