package fakes

import (
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
)

// roles are the stand-ins, and the one place to add a provider: a file of its own has its role, with the hosts and paths of its
// document, and its [provider]. A provider without a service is plain: a license server at any path of any host.
func roles() []role {
	return []role{axinomRole(), drmTodayRole(), expressPlayRole(), googleRole(), microsoftRole(), plainRole()}
}

// role is what a server does in a provider's place. It is written from the provider's document and knows no profile. The
// zero role is that of a server under its own address.
type role struct {
	StandInInfo
	routes      []route
	credentials []credential // that the provider issues its customers with
	// paths are where all requests go, by the system of the profile; none: where they ask to go.
	paths map[drm.System]string
	path  string // of the profile that it stands in for
}

// route is where one service is reached.
type route struct {
	hosts  []string // each a name, or *. and a name for any one label before it; none: every host
	path   string   // with an asterisk at the end: every path that begins so
	system drm.System
	open   func() provider // that answers one request; nil: the plain license service
	// query are the names of the parameters that the service knows. A real one may well ignore others; here a client with a
	// misspelt name has to notice. The plain service takes any.
	query    []string
	issues   bool   // it is a token service, see receiveTokenRequest
	licenses string // host of the license service that a token service names; "": that of the token service
}

// provider is a provider's license service in the conversation about one request: what stands around the DRM system's own
// protocol. A method that asks for faults counts them; faults are not known yet when unwrap is called.
type provider interface {
	// unwrap returns the key request in the body of a request, and keeps what else the request presents.
	unwrap(x *exchange, r *http.Request, body []byte) []byte
	// authorize decides whether the request may have anything, and makes x.entitled what that is. It is called for certificate
	// requests too, and for PlayReady challenges once their signature is verified.
	authorize(x *exchange) *refusal
	// refuse puts a refusal, also one by the DRM system's part, into the provider's form. a is what it would be without.
	refuse(x *exchange, why *refusal, a answer) answer
	// answer puts an answer into the provider's form.
	answer(x *exchange, a answer) answer
}

// bare is the part of a service whose refusals and answers are as the DRM system has them.
type bare struct{}

func (bare) refuse(_ *exchange, _ *refusal, a answer) answer { return a }
func (bare) answer(_ *exchange, a answer) answer             { return a }

// entitlement is what a request may have.
type entitlement struct {
	terms []terms // of the keys that it entitles to
	// any entitles to every other key that is asked for too.
	any bool
	// strict refuses a request that asks for any other key, instead of leaving it out.
	strict bool
	// rest are the terms of keys that the entitlement names no terms for and that are granted all the same.
	rest terms
	// policy alters that of a Widevine license, nil: the server's.
	policy func(*drm.Policy)
	// foreign refuses a request for keys that it does not entitle to; nil: there is no such request.
	foreign func() *refusal
}

// terms say how one key is granted. The zero value is the server's own way.
type terms struct {
	kid   drm.KID
	key   secret.Bytes     // empty: the key store's
	track func(*Track)     // alters what the server has for the KID
	grant func(*xmr.Grant) // alters a PlayReady license
}

// termsFor returns the terms of the KIDs that are asked for, in their order, as far as the request is entitled to them. A request
// that has no token, at the plain license service or by a fault, is entitled to all.
func (x *exchange) termsFor(kids []drm.KID) ([]terms, *refusal) {
	e := x.entitlement
	if e == nil {
		e = &entitlement{any: true}
	}
	unbound := e.any
	if others := slices.ContainsFunc(kids, func(kid drm.KID) bool { return !e.has(kid) }); others && !unbound && e.foreign != nil {
		unbound = x.acts(faultKIDNotBound)
		if !unbound && e.strict {
			return nil, e.foreign()
		}
	}
	var all []terms
	for _, kid := range kids {
		before := len(all)
		for _, t := range e.terms {
			if t.kid == kid {
				all = append(all, t)
			}
		}
		if len(all) == before && unbound {
			rest := e.rest
			rest.kid = kid
			all = append(all, rest)
		}
	}
	if len(all) == 0 && len(kids) > 0 && e.foreign != nil {
		return nil, e.foreign()
	}
	return all, nil
}

func (e *entitlement) has(kid drm.KID) bool {
	return slices.ContainsFunc(e.terms, func(t terms) bool { return t.kid == kid })
}

// contentKey returns the key of a KID: the terms' own, else the key store's.
func (x *exchange) contentKey(t terms) (secret.Bytes, bool) {
	if !t.key.IsZero() {
		return t.key, true
	}
	return x.server.contentKey(t.kid)
}

// trackOf returns how the key of a KID is granted.
func (x *exchange) trackOf(t terms) Track {
	track := x.server.tracks[t.kid]
	if t.track != nil {
		t.track(&track)
	}
	return track
}

// policyOf returns the policy of the license: the server's, as the entitlement alters it.
func (x *exchange) policyOf(keys []grantedKey) drm.Policy {
	p := x.server.policyOf(keys)
	if x.entitlement != nil && x.entitlement.policy != nil {
		x.entitlement.policy(&p)
	}
	return x.server.widevine.settle(p)
}

// plainRole is a license server without authorization.
func plainRole() role {
	return role{
		StandInInfo: StandInInfo{Name: "plain", Title: "a license server without authorization", Systems: []drm.System{drm.Widevine, drm.PlayReady}},
		paths:       map[drm.System]string{drm.Widevine: licensePath, drm.PlayReady: playReadyPath},
	}
}

// ownRoutes are those of a server under its own address: both plain license services, and ExpressPlay's.
var ownRoutes = append([]route{{path: licensePath, system: drm.Widevine}, {path: playReadyPath, system: drm.PlayReady}}, expressPlayRoutes()...)

// enter takes a request in: it goes where the role wants it.
func (r role) enter(q *http.Request) {
	if r.path != "" {
		q.URL.Path = r.path
	}
}

// route returns where a request goes. A host of the provider's serves the paths that are its own; any other, such as the
// server's address, serves what a server without a role does.
func (r role) route(host, path string) (route, bool) {
	own := slices.DeleteFunc(slices.Clone(r.routes), func(to route) bool { return !serves(to.hosts, host) })
	if len(own) == 0 {
		own = ownRoutes
	}
	i := slices.IndexFunc(own, func(to route) bool {
		begin, more := strings.CutSuffix(to.path, "*")
		return path == begin || more && strings.HasPrefix(path, begin)
	})
	if i < 0 {
		return route{system: drm.Widevine}, false
	}
	return own[i], true
}

// serves reports whether a host is among names and patterns; none are every host.
func serves(hosts []string, host string) bool {
	return len(hosts) == 0 || slices.ContainsFunc(hosts, func(known string) bool { return matches(known, host) })
}

// matches reports whether a host has a name, or any one label before the name in a pattern such as *.license.example: as the
// names in certificates do.
func matches(known, host string) bool {
	name, pattern := strings.CutPrefix(known, "*.")
	if !pattern {
		return strings.EqualFold(known, host)
	}
	label, rest, _ := strings.Cut(host, ".")
	return label != "" && strings.EqualFold(rest, name)
}

// hosts returns the names and patterns of a role's hosts, in order.
func (r role) hosts() []string {
	var all []string
	for _, to := range r.routes {
		all = append(all, to.hosts...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
