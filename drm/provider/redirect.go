package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Policies of redirects.
const (
	redirectNone   = "none"
	redirectKept   = "follow_307_308"
	redirectAny    = "any"
	defaultMaxHops = 3
)

// isRedirect reports whether a status asks to send the request elsewhere.
func isRedirect(status int) bool {
	return slices.Contains([]int{
		http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
	}, status)
}

// sameOrigin reports whether two URLs have scheme, host and port in common.
func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && HostPort(a) == HostPort(b) }

// Redirected returns the request that follows on a redirect, nil if the answer is none or the profile does not follow it.
// hops is how many were followed before. Method and body are kept whatever the status: a license request that became a GET
// would be another one. To another origin go no secret headers, and others only if the profile says so; a request whose body
// is secret, and one from https to http, is not sent there at all, which is the error.
func (p *Profile) Redirected(r *Request, status int, header http.Header, hops int) (*Request, error) {
	location := header.Get("Location")
	policy := p.Redirects.Policy
	kept := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !isRedirect(status) || location == "" || policy == redirectNone || policy == "" || policy == redirectKept && !kept {
		return nil, nil
	}
	if hops >= p.Redirects.Max {
		return nil, fmt.Errorf("the answer is one more redirect after %d", hops)
	}
	from, err := url.Parse(r.URL)
	if err != nil {
		return nil, errors.New("the request's URL is none")
	}
	to, err := from.Parse(location)
	if err != nil {
		return nil, errors.New("the redirect's Location is no URL")
	}
	if _, err := parseEndpoint(to.String()); err != nil {
		return nil, fmt.Errorf("the redirect's Location: %w", err)
	}
	next := r.At(to.String())
	if sameOrigin(from, to) {
		return next, nil
	}
	switch {
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, errors.New("the redirect leads from https to http")
	case isSecure(from) && !isSecure(to):
		return nil, errors.New("the redirect leads to plain http on another machine")
	case r.secretBody:
		return nil, errors.New("the redirect leads to another host, and the body holds a token")
	}
	next.Header = p.foreignHeader(r)
	return next, nil
}

// ownHeaders say what a key request is, whoever gets it.
var ownHeaders = []string{"Content-Type", "Content-Encoding", "SOAPAction", "Accept"}

// foreignHeader returns the headers that may go to another host.
func (p *Profile) foreignHeader(r *Request) http.Header {
	header := r.Header.Clone()
	for name := range header {
		own := slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(name, own) })
		if slices.Contains(r.secretHeaders, name) || !own && !p.Redirects.KeepHeadersCrossOrigin {
			delete(header, name)
		}
	}
	return header
}

func (v *validator) redirects() {
	r := v.p.Redirects
	oneOf(v, "redirects.policy", r.Policy, redirectNone, redirectKept, redirectAny)
	if r.Max < 1 || r.Max > 10 {
		v.bad("redirects.max", "want 1 to 10 redirects, seen %d", r.Max)
	}
}
