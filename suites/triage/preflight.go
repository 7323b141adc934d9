package triage

import (
	"cmp"
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
	hintMoved     = "a browser follows no redirect of a preflight: give players the final license URL; is it http where https is due, or is a slash missing at its end?"
	hintOrigin    = "have the service name the player's page in Access-Control-Allow-Origin: scheme and host, and no slash at its end; * does not go with cookies"
	hintHeaders   = "add the headers to Access-Control-Allow-Headers; * does not stand for Authorization, nor for anything where cookies are sent (TR-02)"
	hintShared    = "send the CORS headers with every answer, refusals and redirects too (TR-03)"
	hintCookies   = "; or the page sends cookies (credentials: include), with which * does not go: the service must name the page, and answer Access-Control-Allow-Credentials: true"
)

// cors is what the page wants as far as the archive tells: cookies go to another origin only where a script asks for it.
func (w *walk) cors() provider.CORS {
	return provider.CORS{Credentials: w.first.Header.Get("Cookie") != ""}
}

// leave is the step at which the browser decides whether a page may ask, and may see the answer (Fetch standard, "CORS-preflight fetch",
// "CORS check").
func (w *walk) leave() outcome {
	if w.first.preflight != nil {
		if o := w.leaveFor(w.first); o.outcome == reports.TriageFailed {
			return o
		}
	}
	if !w.foreign() {
		return ok("no page of another origin asked, as far as the archive tells")
	}
	shared := w.shared(w.first)
	switch {
	case w.first.Status == 0 && len(w.first.AnswerHeader) > 0 && shared != nil:
		return failed(shared.Reason, shared.Expected, shared.Seen+", so the browser withheld the answer", hintShared)
	case w.first.Status == 0:
		return w.withheld(w.first)
	case w.first.Status >= 200 && w.first.Status < 300 && shared != nil && !page(w.first):
		return failed(shared.Reason, shared.Expected, shared.Seen+" in the answer itself", hintShared)
	case w.first.preflight == nil:
		return ok("the archive has none: the browser remembered an earlier one, needed none, or did not record it")
	}
	return ok("leave for %s", w.origin())
}

// shared says why a browser withholds the answer to a request, nil if it does not or the archive does not tell.
func (w *walk) shared(r *record) *drm.Finding {
	if !w.foreign() || len(r.AnswerHeader) == 0 {
		return nil
	}
	return suites.Shared(w.cors(), r.AnswerHeader, w.originOf(r), "")
}

// originOf is what a request says of where it comes from: a browser sends null after a redirect from one foreign origin to another.
func (w *walk) originOf(r *record) string { return cmp.Or(r.Header.Get("Origin"), w.origin()) }

// withheld is the outcome of a request that got no answer for no reason of the network's.
func (w *walk) withheld(r *record) outcome {
	what, hint := "and the archive has no preflight", hintShared+"; the browser's console names what it missed"
	if p := r.preflight; p != nil {
		what = "though the preflight gave leave"
		if p.AnswerHeader.Get("Access-Control-Allow-Origin") == "*" {
			hint += hintCookies
		}
	}
	return failed(reasonWithheld, "an answer that the page may see", fmt.Sprintf("none, %s; the browser says %s: the answer may lack Access-Control-Allow-Origin", what, said(r)), hint)
}

// leaveFor judges the answer to the preflight of a request.
func (w *walk) leaveFor(r *record) outcome {
	p := r.preflight
	if p.Status < 200 || p.Status > 299 { // a browser follows no redirect of a preflight
		seen, hint := fmt.Sprintf("HTTP %d", p.Status), hintPreflight
		switch {
		case p.Status == 0:
			seen = "no answer that the browser shows; it says " + said(p)
		case p.Status >= 500:
			hint = hintServer
		case p.Status >= 300 && p.Status < 400:
			hint = hintMoved
		}
		return failed(reasonPreflight, "HTTP 2xx", seen, hint)
	}
	if len(p.AnswerHeader) == 0 {
		return notShown("the archive does not hold the headers of its answer")
	}
	if f := suites.Shared(w.cors(), p.AnswerHeader, w.originOf(p), ""); f != nil {
		if contentTypeOf(p) == "text/html" {
			return failed(f.Reason, f.Expected, f.Seen+", in a web page", hintPage)
		}
		return failed(f.Reason, f.Expected, f.Seen, hintOrigin)
	}
	if m := p.Header.Get("Access-Control-Request-Method"); m != "" && !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, m) {
		allowed := strings.Join(p.AnswerHeader.Values("Access-Control-Allow-Methods"), ",")
		if !slices.ContainsFunc(strings.Split(allowed, ","), func(a string) bool { a = strings.TrimSpace(a); return a == m || a == "*" }) {
			return failed(reasonMethods, "Access-Control-Allow-Methods with "+shortWord(m), "no such method", "license requests are sent with POST, which needs no leave; another method does")
		}
	}
	if f := suites.Refused(w.cors(), p.AnswerHeader, askedHeaders(p, r), ""); f != nil {
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
