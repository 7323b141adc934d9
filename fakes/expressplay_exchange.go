package fakes

import (
	"net/http"
	"net/url"

	"keyflow/drm"
)

// tokenRequest is a request to the token service.
type tokenRequest struct {
	parameters url.Values
	host       string // as the client calls this server
	licenses   string // host of the license service to name; "": this one
}

// receiveTokenRequest reads a request to the token service. The record keeps no fingerprint of its body, as others have
// one: the authenticator and a content key are in it.
func (s *Server) receiveTokenRequest(w http.ResponseWriter, r *http.Request, x *exchange, to route) *refusal {
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
	x.token = &tokenRequest{parameters: tokenParameters(r, body), host: hostOf(r), licenses: to.licenses}
	if asked := new(rights); asked.readKID(x.token.parameters) == nil {
		x.request.content.kids = []drm.KID{asked.kid}
		x.record.KIDs = x.request.content.kids
	}
	return nil
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
	token, err := x.server.tokens.seal(*asked, x.now)
	if err != nil {
		generation := &problem{http.StatusInternalServerError, codeGeneration, reasonInternal, "the token could not be made"}
		return answer{}, generation.refusal(format)
	}
	x.record.Granted = []drm.KID{asked.kid}
	to := url.URL{Scheme: "http", Host: x.token.host, Path: expressPlayLicensePathOf(asked.system)}
	if x.token.licenses != "" {
		to.Scheme, to.Host = "https", x.token.licenses
	}
	if asked.system == drm.PlayReady {
		return licenseAndToken(to.String(), token)
	}
	// The sheet has the real service's answer as one line; without a line end it is a URL for clients that don't trim.
	to.RawQuery = url.Values{expressPlayTokenName: {token}}.Encode()
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
