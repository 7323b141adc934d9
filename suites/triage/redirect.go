package triage

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/reports"
)

// The reasons of the redirect step.
const (
	reasonRedirect   drm.Reason = "redirect"
	reasonMethodLost drm.Reason = "redirect-lost-method"
	reasonHeaders    drm.Reason = "redirect-lost-headers"
	reasonDowngrade  drm.Reason = "redirect-to-http"
)

const hintRedirect = "give players the final license URL: many do not follow a redirect of a POST, and only 307 and 308 keep method and body (TR-07)"

// redirect is the step through redirects to the answer that the player got.
func (w *walk) redirect() outcome {
	at := w.first
	var way []string
	for _, next := range w.follow {
		what := fmt.Sprintf("HTTP %d to %s", at.Status, har.ShownURL(next.URL))
		way = append(way, what)
		switch {
		case next.Method != at.Method:
			return failed(reasonMethodLost, at.Method+" with the same body", fmt.Sprintf("%s, where %s was sent", what, shortWord(next.Method)), hintRedirect)
		case at.url.Scheme == "https" && next.url.Scheme == "http":
			return failed(reasonDowngrade, "an https URL", what, "the token must not go over plain http")
		}
		if next.unsent() {
			if o := w.unshared(at, what); o != nil {
				return *o
			}
		}
		if o := w.ledTo(next); o != nil {
			o.seen, o.hint = what+", and there: "+o.seen, o.hint+"; or "+hintRedirect
			return *o
		}
		if lost := lostHeaders(at, next); len(lost) > 0 && !sameOrigin(at.url, next.url) && (w.final().Status < 200 || w.final().Status > 299) {
			return failed(reasonHeaders, "the headers "+strings.Join(lost, ", "), what+", another origin, without them",
				"a browser drops Authorization, and some drop more, where a redirect leads to another origin: "+hintRedirect)
		}
		at = next
	}
	if at.Status < 300 || at.Status > 399 {
		if len(way) == 0 {
			return ok("none")
		}
		return ok("%s", strings.Join(way, ", "))
	}
	where := "no URL"
	if to := at.leadsTo(); to != nil {
		where = har.ShownURL(to.String())
	}
	seen := fmt.Sprintf("HTTP %d to %s, and no request there", at.Status, where)
	if o := w.unshared(at, seen); o != nil {
		return *o
	}
	return failed(reasonRedirect, "an answer", seen, hintRedirect)
}

// unshared is the outcome of a redirect that a browser does not follow for what its answer lacks, nil if it lacks nothing.
func (w *walk) unshared(at *record, seen string) *outcome {
	f := w.shared(at)
	if f == nil {
		return nil
	}
	o := failed(f.Reason, f.Expected, seen+": "+f.Seen+" in the redirect", hintShared+"; or "+hintRedirect)
	return &o
}

// ledTo says what was wrong where a redirect led, as far as the browser had no answer for the page from there; nil for nothing.
func (w *walk) ledTo(r *record) *outcome {
	if o := broken(r); o != nil {
		return o
	}
	if r.preflight != nil {
		if o := w.leaveFor(r); o.outcome == reports.TriageFailed {
			o.seen += ", to the preflight"
			return &o
		}
	}
	if f := w.shared(r); f != nil && !page(r) {
		o := failed(f.Reason, f.Expected, f.Seen, hintShared)
		return &o
	}
	if r.Status == 0 {
		o := w.withheld(r)
		return &o
	}
	return nil
}

// lostHeaders names the headers of a script that the next request lacks.
func lostHeaders(from, to *record) []string {
	var lost []string
	for name := range scripted(from.Header) {
		if len(to.Header.Values(name)) == 0 {
			lost = append(lost, shortWord(strings.ToLower(name)))
		}
	}
	slices.Sort(lost)
	return lost
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}
