package triage

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
	"keyflow/suites"
)

// The reasons of the preflight step, beside those of package suites.
const (
	reasonPreflight drm.Reason = "preflight-status"
	reasonMethods   drm.Reason = "cors-methods"
	reasonWithheld  drm.Reason = "answer-withheld"
)

const (
	hintPreflight = "does the gateway route OPTIONS to the service, or answer 404, 405 or 401 on its own? A preflight never carries a token (TR-01)"
	hintOrigin    = "have the service name the player's page in Access-Control-Allow-Origin: scheme and host, and no slash at its end; * does not go with cookies"
	hintHeaders   = "add the headers to Access-Control-Allow-Headers; * does not stand for Authorization, nor for anything where cookies are sent (TR-02)"
	hintShared    = "send the CORS headers with every answer, refusals too (TR-03)"
)

// cors is what the page wants as far as the archive tells: cookies go to another origin only where a script asks for it.
func (w *walk) cors() provider.CORS {
	return provider.CORS{Credentials: w.first.Header.Get("Cookie") != ""}
}

// leave is the step at which the browser decides whether a page may ask, and may see the answer (Fetch standard, "CORS-preflight fetch",
// "CORS check").
func (w *walk) leave() outcome {
	if p := w.preflight; p != nil {
		if o := w.preflightAnswered(p); o.outcome == reports.TriageFailed {
			return o
		}
	}
	if !w.foreign() {
		return ok("no page of another origin asked, as far as the archive tells")
	}
	shared := suites.Shared(w.cors(), w.first.AnswerHeader, w.origin(), "")
	switch final := w.final(); {
	case w.first.Status == 0 && len(w.first.AnswerHeader) > 0 && shared != nil:
		return failed(shared.Reason, shared.Expected, shared.Seen+", so the browser withheld the answer", hintShared)
	case w.first.Status == 0:
		what := "and the archive has no preflight"
		if w.preflight != nil {
			what = "though the preflight gave leave"
		}
		return failed(reasonWithheld, "an answer that the page may see", fmt.Sprintf("none, %s; the browser says %s: the answer may lack Access-Control-Allow-Origin", what, said(w.first)),
			hintShared+"; the browser's console names what it missed")
	case w.first.Status >= 200 && w.first.Status < 300 && len(final.AnswerHeader) > 0 && shared != nil && !provider.IsHTML(final.AnswerHeader, final.Answer.Data):
		return failed(shared.Reason, shared.Expected, shared.Seen+" in the answer itself", hintShared)
	case w.preflight == nil:
		return ok("the archive has none: the browser remembered an earlier one, needed none, or did not record it")
	}
	return ok("leave for %s", w.origin())
}

// preflightAnswered judges the answer to a preflight.
func (w *walk) preflightAnswered(p *record) outcome {
	if p.Status < 200 || p.Status > 299 { // a browser follows no redirect of a preflight
		seen := fmt.Sprintf("HTTP %d", p.Status)
		if p.Status == 0 {
			seen = "no answer that the browser shows; it says " + said(p)
		}
		return failed(reasonPreflight, "HTTP 2xx", seen, hintPreflight)
	}
	if len(p.AnswerHeader) == 0 {
		return notShown("the archive does not hold the headers of its answer")
	}
	if f := suites.Shared(w.cors(), p.AnswerHeader, w.origin(), ""); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, hintOrigin)
	}
	if m := p.Header.Get("Access-Control-Request-Method"); m != "" && !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, m) {
		allowed := strings.Join(p.AnswerHeader.Values("Access-Control-Allow-Methods"), ",")
		if !slices.ContainsFunc(strings.Split(allowed, ","), func(a string) bool { a = strings.TrimSpace(a); return a == m || a == "*" }) {
			return failed(reasonMethods, "Access-Control-Allow-Methods with "+shortWord(m), "no such method", "license requests are sent with POST, which needs no leave; another method does")
		}
	}
	if f := suites.Refused(w.cors(), p.AnswerHeader, askedHeaders(p, w.first), ""); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, hintHeaders)
	}
	return ok("answered")
}

// askedHeaders are the headers that leave was asked for, or else those of the request that need it, in lower case.
func askedHeaders(preflight, request *record) []string {
	var names []string
	for name := range strings.SplitSeq(strings.Join(preflight.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return names
	}
	return new(provider.Profile).CORSHeaders(&provider.Request{Header: scripted(request.Header)})
}

// scripted are the headers of a request that a script set: a browser sets all others itself, and asks nobody's leave for them.
func scripted(h http.Header) http.Header {
	own := http.Header{}
	for name, values := range h {
		switch key := textproto.CanonicalMIMEHeaderKey(name); {
		case strings.HasPrefix(key, "Sec-"), strings.HasPrefix(key, "Proxy-"), strings.HasPrefix(key, "Access-Control-"),
			slices.Contains([]string{
				"Accept-Charset", "Accept-Encoding", "Cache-Control", "Connection", "Content-Length", "Cookie", "Date", "Dnt", "Expect", "Host", "Keep-Alive",
				"Origin", "Pragma", "Priority", "Referer", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via",
			}, key):
		default:
			own[key] = values
		}
	}
	return own
}
