package fakes

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// OperationToken is the operation of requests to a token service, in records, counts and the scope of faults. They are no
// DRM messages.
const OperationToken drm.Kind = "token"

// The paths of ExpressPlay's token and license services, and the name of a token in a license request's query and headers (sheet
// providers.md §2.1). The path of the PlayReady license service differs from that of the plain one in two capital letters.
const (
	expressPlayIssuePath            = "/hms/wv/token"
	expressPlayLicensePath          = "/hms/wv/rights/"
	expressPlayPlayReadyIssuePath   = "/hms/pr/token"
	expressPlayPlayReadyLicensePath = "/playready/RightsManager.asmx"
	expressPlayTokenName            = "ExpressPlayToken"
)

// expressPlayRole is ExpressPlay. Sheet providers.md §2.1 has all token hosts, and the license hosts of Widevine in Europe and of
// PlayReady in Europe and the test environment. The other three, those in China among them, follow from these by analogy. The
// document has the license URL of PlayReady in Europe in plain http; here all are https.
func expressPlayRole() role {
	r := role{StandInInfo: StandInInfo{
		Name: "expressplay", Title: "ExpressPlay: token and license services", Systems: []drm.System{drm.Widevine, drm.PlayReady},
	}}
	for _, domain := range []string{"test.expressplay.com", "service.expressplay.com", "service.expressplay.cn"} {
		for _, to := range expressPlayRoutes() {
			license := map[drm.System]string{drm.Widevine: "wv.", drm.PlayReady: "pr."}[to.system] + domain
			to.hosts = []string{license}
			if to.issues {
				to.hosts = []string{map[drm.System]string{drm.Widevine: "wv-gen.", drm.PlayReady: "pr-gen."}[to.system] + domain}
				to.licenses = license
			}
			r.routes = append(r.routes, to)
		}
	}
	return r
}

// expressPlayRoutes are the services of ExpressPlay, under any host.
func expressPlayRoutes() []route {
	open := func() provider { return &expressPlay{} }
	query := []string{expressPlayTokenName, "errorFormat"}
	return []route{
		{path: expressPlayIssuePath, system: drm.Widevine, issues: true},
		{path: expressPlayLicensePath, system: drm.Widevine, open: open, query: query},
		{path: expressPlayPlayReadyIssuePath, system: drm.PlayReady, issues: true},
		{path: expressPlayPlayReadyLicensePath, system: drm.PlayReady, open: open, query: query},
	}
}

// expressPlayLicensePathOf returns where a system's key requests go.
func expressPlayLicensePathOf(s drm.System) string {
	if s == drm.PlayReady {
		return expressPlayPlayReadyLicensePath
	}
	return expressPlayLicensePath
}

// ExpressPlay says how the stand-in for ExpressPlay's services is set up (sheet providers.md §2.1): for each system a token
// service, and a license service that wants its tokens. Behind the latter is the server that [Options] describe otherwise.
type ExpressPlay struct {
	// Authenticator is the customer authenticator that token requests must have: a decimal number, a comma and 32
	// hexadecimal digits. An empty one follows from the authority, see [Server.ExpressPlayAuthenticator].
	Authenticator secret.Bytes
	// AnyCustomer takes the first well-formed authenticator that asks for a token as the customer's, for a stand-in whose
	// account is made up. It goes before Authenticator.
	AnyCustomer bool
}

var authenticatorForm = regexp.MustCompile(`^[0-9]+,[0-9a-fA-F]{32}$`)

func (e ExpressPlay) validate() error {
	if !e.Authenticator.IsZero() && !authenticatorForm.Match(e.Authenticator.Reveal()) {
		return errors.New("the ExpressPlay authenticator is not a number, a comma and 32 hexadecimal digits")
	}
	return nil
}

// customer is who may ask for tokens.
type customer struct {
	mu            sync.Mutex
	authenticator secret.Bytes // empty: whoever asks first
}

// customer returns the one with the given authenticator, or with one that follows from the authority's secret, or the first
// that asks.
func (e ExpressPlay) customer(a *Authority) *customer {
	switch {
	case e.AnyCustomer:
		return &customer{}
	case !e.Authenticator.IsZero():
		return &customer{authenticator: e.Authenticator}
	}
	b := a.derive("expressplay authenticator", nil)
	return &customer{authenticator: secret.New(fmt.Appendf(nil, "%d,%x", 1+binary.BigEndian.Uint16(b), b[16:]))}
}

// is reports whether the authenticator is the customer's.
func (c *customer) is(given string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.authenticator.IsZero() && authenticatorForm.MatchString(given) {
		c.authenticator = secret.New([]byte(given))
	}
	return given != "" && secret.New([]byte(given)).Equal(c.authenticator)
}

// ExpressPlayTokenURL returns where ExpressPlay tokens for Widevine are asked for, with GET or POST.
func (s *Server) ExpressPlayTokenURL() string { return s.URL() + expressPlayIssuePath }

// ExpressPlayPlayReadyTokenURL returns where ExpressPlay tokens for PlayReady are asked for, with GET or POST.
func (s *Server) ExpressPlayPlayReadyTokenURL() string {
	return s.URL() + expressPlayPlayReadyIssuePath
}

// ExpressPlayPlayReadyURL returns where PlayReady license challenges with an ExpressPlay token go. The token service answers with
// this URL and a token, which the client puts into the query or a header as ExpressPlayToken, or makes its custom data of.
func (s *Server) ExpressPlayPlayReadyURL() string { return s.URL() + expressPlayPlayReadyLicensePath }

// ExpressPlayLicenseURL returns where Widevine key requests with an ExpressPlay token go, and certificate requests, which
// need none. The token service answers with this URL and a token in its query; the token may be in a header
// ExpressPlayToken instead.
func (s *Server) ExpressPlayLicenseURL() string { return s.URL() + expressPlayLicensePath }

// ExpressPlayAuthenticator returns the customer authenticator that the token service accepts; empty if that is the first one
// to come and none has come yet.
func (s *Server) ExpressPlayAuthenticator() secret.Bytes {
	s.customer.mu.Lock()
	defer s.customer.mu.Unlock()
	return s.customer.authenticator
}

// expressPlayCode is ExpressPlay's number for what is wrong (sheet providers.md §2.1).
type expressPlayCode int

const (
	codeUnknownArgument      expressPlayCode = 0 // the sheet has no number for it
	codeExpiration           expressPlayCode = -2002
	codeOutputFlags          expressPlayCode = -2008
	codeAuthenticatorMissing expressPlayCode = -2017
	codeAuthenticatorInvalid expressPlayCode = -2018
	codeRightsTypeMissing    expressPlayCode = -2020
	codeRightsType           expressPlayCode = -2021
	codeRentalEndMissing     expressPlayCode = -2022
	codeRentalEnd            expressPlayCode = -2023
	codeRentalPlay           expressPlayCode = -2025
	codeContentKey           expressPlayCode = -2027
	codeCookie               expressPlayCode = -2033
	codeOPL                  expressPlayCode = -2034
	codeExtensionUnpaired    expressPlayCode = -2036
	codeExtensionPayload     expressPlayCode = -2037
	codeErrorFormat          expressPlayCode = -3004
	codeTokenInvalid         expressPlayCode = -4010
	codeKIDMissing           expressPlayCode = -4018
	codeKeyStorage           expressPlayCode = -4019
	codeKIDHex               expressPlayCode = -4020
	codeKIDTooLong           expressPlayCode = -4021
	codeKID                  expressPlayCode = -4022
	codeWrappedKey           expressPlayCode = -4024
	codeUnknownOutput        expressPlayCode = -5001
	codeFlags                expressPlayCode = -5003
	codeOPLMissing           expressPlayCode = -5006
	codeTwoKeys              expressPlayCode = -5007
	codeSecurityMissing      expressPlayCode = -7003
	codeSecurityInvalid      expressPlayCode = -7004
	codeHDCP                 expressPlayCode = -7006
	codeDuration             expressPlayCode = -7007
	codeGeneration           expressPlayCode = -7008
	codeWidevineExtension    expressPlayCode = -7009
)

// Reasons of refusals by the token service, and by the license service beside those of token.go.
const (
	reasonArgument      drm.Reason = "argument"      // 400: a parameter is missing or wrong
	reasonAuthenticator drm.Reason = "authenticator" // 400 missing, 401 wrong
	reasonRentalEnded   drm.Reason = "rental-ended"  // of a token for PlayReady that still holds
)

// problem is an error as ExpressPlay has it. The text repeats nothing of the request. A SOAP fault has a status of its own.
type problem struct {
	status int
	code   expressPlayCode
	reason drm.Reason
	text   string
}

// argument is what is wrong with a parameter.
func argument(code expressPlayCode, text string) *problem {
	return &problem{status: http.StatusBadRequest, code: code, reason: reasonArgument, text: text}
}

// refusal returns the problem as it is answered: in JSON if the request's errorFormat says so, else in HTML. The sheet
// doesn't know the names of the JSON's fields.
func (p *problem) refusal(errorFormat string) *refusal {
	if p == nil {
		return nil
	}
	r := refuse(p.status, p.reason, p.text)
	if errorFormat == "json" {
		body, err := json.Marshal(struct {
			Code    expressPlayCode `json:"errorCode"`
			Message string          `json:"errorMessage"`
		}{p.code, p.text})
		if err == nil {
			r.page = &answer{status: p.status, contentType: "application/json", body: body}
			return r
		}
	}
	title := strconv.Itoa(p.status) + " " + http.StatusText(p.status)
	r.page = &answer{status: p.status, contentType: contentTypeHTML, body: fmt.Appendf(nil,
		"<!DOCTYPE html>\n<html><head><title>%s</title></head><body><h1>%s</h1><p>Error %d: %s</p></body></html>\n",
		title, title, p.code, html.EscapeString(p.text))}
	return r
}
