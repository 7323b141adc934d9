package fakes

import (
	"net/http"
	"net/url"
	"regexp"

	"keyflow/drm/playready/soap"
)

// redirectMarker is the query by which the server knows a request that it redirected.
const redirectMarker = "keyflow-redirected"

// elsewhere returns the absolute URL that a fault redirects a request to: where it went, with the marker in place of its query,
// which may hold a token; "" if it has the marker.
func elsewhere(r *http.Request) string {
	if r.URL.Query().Has(redirectMarker) {
		return ""
	}
	to := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: redirectMarker + "=1"}
	if r.TLS != nil {
		to.Scheme = "https"
	}
	return to.String()
}

// redirectURL is what a fault empties.
var redirectURL = regexp.MustCompile(`<RedirectUrl>.*</RedirectUrl>`)

// redirect is a fault: PlayReady's own redirect, which is a SOAP fault (sheet playready.md §6). Without a query a provider's service
// would miss its token at the other URL, so that only the plain service has it.
func (x *exchange) redirect() *refusal {
	to := x.challenge.elsewhere
	if to == "" || x.provider != nil {
		return nil
	}
	empty := x.acts(faultPRRedirectEmpty)
	if !empty && !x.acts(faultPRRedirect) {
		return nil
	}
	refused := x.faultOf(reasonRedirect, soap.Fault{Code: soap.CodeProtocolRedirect, Text: "ask again at the RedirectUrl", RedirectURL: to})
	if empty {
		refused.page.body = redirectURL.ReplaceAll(refused.page.body, []byte("<RedirectUrl></RedirectUrl>"))
	}
	return refused
}
