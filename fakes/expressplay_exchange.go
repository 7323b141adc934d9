package fakes

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// tokenRequest is a request to the token service.
type tokenRequest struct {
	parameters url.Values
	host       string // as the client calls this server
}

// presented is what a key request to ExpressPlay's license service has besides its body.
type presented struct {
	token       string // "" for none
	errorFormat string
	service     string // URL of the license service as the client calls it, without the query
}

// receiveTokenRequest reads a request to the token service. The record keeps no fingerprint of its body, as others have
// one: the authenticator and a content key are in it.
func (s *Server) receiveTokenRequest(w http.ResponseWriter, r *http.Request, x *exchange) *refusal {
	x.request.operation, x.record.Operation = OperationToken, OperationToken
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		return refuse(http.StatusMethodNotAllowed, reasonMethod, "tokens are asked for with GET or POST")
	}
	var body []byte
	if r.Method == http.MethodPost {
		var refused *refusal
		body, refused = s.readBody(w, r)
		x.record.RequestBytes = len(body)
		if refused != nil {
			return refused
		}
	}
	x.token = &tokenRequest{parameters: tokenParameters(r, body), host: hostOf(r)}
	if asked := new(rights); asked.readKID(x.token.parameters) == nil {
		x.request.content.kids = []drm.KID{asked.kid}
		x.record.KIDs = x.request.content.kids
	}
	return nil
}

// hostOf returns the host and port that the client asked, or that it reached where it didn't say (HTTP/1.0).
func hostOf(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == "" {
		return addr.String()
	}
	return r.Host
}

// present keeps what a key request presents: the query's token, else the header's.
func (x *exchange) present(r *http.Request) {
	query, service := r.URL.Query(), url.URL{Scheme: "http", Host: hostOf(r), Path: r.URL.Path}
	if r.TLS != nil {
		service.Scheme = "https"
	}
	x.presented = &presented{token: query.Get(expressPlayTokenName), errorFormat: query.Get("errorFormat"), service: service.String()}
	if x.presented.token == "" {
		x.presented.token = r.Header.Get(expressPlayTokenName)
	}
}

// issueToken answers a token request: for Widevine with the license URL that has the token, for PlayReady with URL and token.
func (x *exchange) issueToken() (answer, *refusal) {
	p := x.token.parameters
	format := p.Get("errorFormat")
	if format != "" && format != "html" && format != "json" {
		return answer{}, argument(codeErrorFormat, "errorFormat is neither html nor json").refusal("")
	}
	if wrong := x.authenticate(p.Get("customerAuthenticator")); wrong != nil {
		return answer{}, wrong.refusal(format)
	}
	asked, wrong := readTokenRequest(p, x.record.System, x.now)
	if wrong != nil {
		return answer{}, wrong.refusal(format)
	}
	if _, known := x.server.contentKey(asked.kid); asked.key.IsZero() && !known {
		return answer{}, argument(codeKeyStorage, "no key is given and none is stored for kid").refusal(format)
	}
	token, err := x.server.tokens.seal(*asked)
	if err != nil {
		generation := &problem{http.StatusInternalServerError, codeGeneration, reasonInternal, "the token could not be made"}
		return answer{}, generation.refusal(format)
	}
	x.record.Granted = []drm.KID{asked.kid}
	to := url.URL{Scheme: "http", Host: x.token.host, Path: expressPlayLicensePathOf(asked.system)}
	if host, named := x.server.role.licenseHost(hostName(x.token.host)); named {
		to.Scheme, to.Host = "https", host
	}
	if asked.system == drm.PlayReady {
		return licenseAndToken(to.String(), token)
	}
	// The sheet has the real service's answer as one line; without a line end it is a URL for clients that don't trim.
	to.RawQuery = expressPlayTokenName + "=" + token
	return answer{status: http.StatusOK, contentType: "text/uri-list", body: []byte(to.String())}, nil
}

func (x *exchange) authenticate(given string) *problem {
	switch {
	case x.server.customer.is(given):
	case x.acts(faultEPAuthenticator):
	case given == "":
		return &problem{http.StatusBadRequest, codeAuthenticatorMissing, reasonAuthenticator, "customerAuthenticator is missing"}
	default:
		return &problem{http.StatusUnauthorized, codeAuthenticatorInvalid, reasonAuthenticator, "customerAuthenticator is not valid"}
	}
	return nil
}

// authorize decides on a key request's token and keeps what it entitles to. The sheet has no code for a license request
// without a token, and doesn't know the one for an expired token; these are the token service's for the same things.
func (x *exchange) authorize() *problem {
	if x.presented.token == "" {
		if x.acts(faultEPOptional) {
			return nil
		}
		return &problem{http.StatusBadRequest, codeAuthenticatorMissing, reasonTokenMissing, "ExpressPlayToken is missing"}
	}
	r, err := x.server.tokens.open(x.presented.token, x.record.System)
	if errors.Is(err, errTokenSignature) && x.acts(faultEPSignature) {
		err = nil
	}
	if err != nil {
		return &problem{http.StatusUnauthorized, codeTokenInvalid, reasonTokenInvalid, "ExpressPlayToken is not valid"}
	}
	if !x.now.Before(r.expires) && !x.acts(faultEPExpiry) {
		return &problem{http.StatusUnauthorized, codeExpiration, reasonTokenExpired, "ExpressPlayToken has expired"}
	}
	x.rights = r
	return nil
}

// entitled returns which of the KIDs that are asked for the request's token entitles to: its one. A request that has no
// token, at the plain license service or by a fault, is entitled to all.
func (x *exchange) entitled(kids []drm.KID) ([]drm.KID, *refusal) {
	if x.rights == nil {
		return kids, nil
	}
	own := x.rights.kid
	others := slices.ContainsFunc(kids, func(kid drm.KID) bool { return kid != own })
	switch {
	case !others || x.acts(faultEPKIDNotBound):
		return kids, nil
	case slices.Contains(kids, own):
		return []drm.KID{own}, nil
	}
	wrong := &problem{http.StatusUnauthorized, codeTokenInvalid, reasonTokenKID, "ExpressPlayToken is not for this content"}
	if x.record.System == drm.PlayReady {
		return nil, x.expressPlayFault(wrong)
	}
	return nil, wrong.refusal(x.presented.errorFormat)
}

// contentKey returns the key of a KID: the token's own, else the key store's.
func (x *exchange) contentKey(kid drm.KID) (secret.Bytes, bool) {
	if x.rights != nil && x.rights.kid == kid && !x.rights.key.IsZero() {
		return x.rights.key, true
	}
	return x.server.contentKey(kid)
}

// policyOf returns the policy of the license: the server's, with the token's duration of playback.
func (x *exchange) policyOf(keys []grantedKey) drm.Policy {
	p := x.server.policyOf(keys)
	if x.rights != nil && x.rights.plays > 0 {
		p.Playback = x.rights.plays
	}
	return p
}
