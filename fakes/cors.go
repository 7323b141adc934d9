package fakes

import (
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
)

// OperationPreflight is a browser's question whether a script may send a key request from its origin (Fetch standard,
// "CORS-preflight request"). It is an operation of its own: no key request, and counted as none.
const OperationPreflight drm.Kind = "preflight"

const preflightMaxAge = "600" // seconds

// allowedHeaders are the request headers that license services let scripts send, beside the safelisted ones: those of the
// protocols and those that providers name in their documents (sheet providers.md §2), in lower case.
var allowedHeaders = []string{
	"authorization", "content-type", "customdata", "dt-custom-data", "expressplaytoken", "soapaction", "x-axdrm-message", "x-dt-auth-token",
	"x-dt-custom-data", "x-keyos-authorization",
}

// exposedHeaders are the headers of answers that license services let scripts read, beside the safelisted ones.
const exposedHeaders = "X-AxDRM-ErrorMessage, x-dt-resp-code, x-dt-error-message, x-dt-client-info"

// browser is what a request to a license service says of the page that a script sends it from.
type browser struct {
	origin    string   // "" for a request of no browser, or to the service's own origin
	preflight bool     // it asks for leave
	asked     []string // the headers that leave is asked for, in lower case
}

// readBrowser reads a request's CORS headers. An OPTIONS request without them is no preflight.
func readBrowser(r *http.Request) browser {
	b := browser{origin: r.Header.Get("Origin")}
	if r.Method != http.MethodOptions || b.origin == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return b
	}
	b.preflight = true
	for name := range strings.SplitSeq(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			b.asked = append(b.asked, name)
		}
	}
	return b
}

// preflight answers a preflight: with leave for any origin, for POST and for the headers of the list. It wants no authorization,
// as a browser sends none.
func (x *exchange) preflight() (answer, *refusal) {
	switch {
	case x.acts(faultPreflight404):
		return answer{}, refuse(http.StatusNotFound, reasonPath, "nothing here")
	case x.acts(faultPreflight401):
		return answer{}, refuse(http.StatusUnauthorized, reasonPreflight, "authorization is missing")
	}
	allowed := slices.Clone(allowedHeaders)
	if x.on(faultOmitHeader) && len(x.browser.asked) > 0 {
		omitted := x.browser.asked[len(x.browser.asked)-1]
		if i := slices.Index(allowed, omitted); i >= 0 {
			x.acted(faultOmitHeader)
			allowed = slices.Delete(allowed, i, i+1)
		}
	}
	return answer{status: http.StatusNoContent, more: map[string]string{
		"Access-Control-Allow-Methods": http.MethodPost,
		"Access-Control-Allow-Headers": strings.Join(allowed, ", "),
		"Access-Control-Max-Age":       preflightMaxAge,
	}}, nil
}

// share says that a script of the request's origin may read an answer.
func (x *exchange) share(h http.Header, status int) {
	if x.browser.origin == "" || x.browser.preflight && status != http.StatusNoContent {
		return
	}
	if status >= http.StatusBadRequest && x.acts(faultCORSOnlyOn200) {
		return
	}
	h.Set("Access-Control-Allow-Origin", x.browser.origin)
	h.Add("Vary", "Origin")
	if !x.browser.preflight {
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
	}
}
