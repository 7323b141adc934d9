package fakes

import (
	"net/http"
	"net/url"
	"strings"

	"keyflow/drm"
)

// The faults of HTTP that players in browsers, and players behind gateways, meet (sheet providers.md §7.1).
const (
	faultPreflight404   = "cors-preflight-404"
	faultPreflight401   = "cors-preflight-401"
	faultOmitHeader     = "cors-omit-one-header"
	faultCORSOnlyOn200  = "cors-only-on-200"
	faultTypeMissing500 = "ct-missing-500"
	faultTypeStrict415  = "ct-strict-415"
	faultTypeLies       = "resp-ct-lies"
	faultRedirect307    = "redirect-307"
	faultRedirect302    = "redirect-302-drops-body"
	faultStatus201      = "status-201"
	faultHeaderCase     = "header-case-sensitive"
)

// transportFaults change nothing at token services, which no browser speaks to.
func transportFaults() []definition {
	fault := func(name, description string, operation drm.Kind) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: HTTP, Operation: operation}}
	}
	return []definition{
		fault(faultPreflight404, "a preflight is answered with status 404", OperationPreflight),
		fault(faultPreflight401, "a preflight is answered with status 401: it has no authorization, as a browser sends none", OperationPreflight),
		fault(faultOmitHeader, "a preflight gives leave for all headers but the last one that it asks for", OperationPreflight),
		fault(faultCORSOnlyOn200, "refusals lack the headers by which a script in a browser may read them", ""),
		fault(faultTypeMissing500, "a key request without Content-Type is answered with status 500", ""),
		fault(faultTypeStrict415, "a key request with the right Content-Type is refused with status 415, because the service insists on another one", drm.KindLicense),
		fault(faultTypeLies, "a license is declared as application/json, or as text/xml where it comes in JSON", drm.KindLicense),
		fault(faultRedirect307, "a license request is redirected once, with status 307, to the same service", drm.KindLicense),
		fault(faultRedirect302, "a license request is redirected with status 302, after which clients send GET without a body", drm.KindLicense),
		fault(faultStatus201, "a license comes with status 201", drm.KindLicense),
		fault(faultHeaderCase, "a key request whose Content-Type is spelt otherwise, as content-type, is refused with status 415 as if it had none", ""),
	}
}

// redirected sends a license request elsewhere, once, if a fault is on that does so.
func (x *exchange) redirected(w http.ResponseWriter, r *http.Request) bool {
	if x.record.Operation != drm.KindLicense || r.URL.Query().Has(redirectMarker) {
		return false
	}
	status := 0
	switch {
	case x.acts(faultRedirect307):
		status = http.StatusTemporaryRedirect
	case x.acts(faultRedirect302):
		status = http.StatusFound
	default:
		return false
	}
	// The path that the client asked for, which a stand-in's may be another than.
	to := *r.URL
	if asked, err := url.ParseRequestURI(r.RequestURI); err == nil {
		to = *asked
	}
	if to.RawQuery != "" {
		to.RawQuery += "&"
	}
	to.Scheme, to.Host = "", ""
	to.RawQuery += redirectMarker + "=1"
	x.share(w.Header(), status)
	x.settle(Broken, status, 0, "")
	w.Header().Set("Location", to.String())
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return true
}

// spoilAnswer does to a license's status and type what a fault wants.
func (x *exchange) spoilAnswer(a answer, outcome Outcome) answer {
	if outcome != Answered || x.record.Operation != drm.KindLicense {
		return a
	}
	if x.acts(faultStatus201) {
		a.status = http.StatusCreated
	}
	if x.acts(faultTypeLies) {
		lie := "application/json"
		if strings.HasPrefix(a.contentType, lie) {
			lie = "text/xml"
		}
		a.contentType = lie
	}
	return a
}
