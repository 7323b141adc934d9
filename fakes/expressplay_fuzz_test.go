package fakes_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"keyflow/fakes"
)

// FuzzTokenRequest asks for tokens with arbitrary parameters and the right authenticator: the answer is a token that opens a
// license for the KID, or one of the documented refusals.
func FuzzTokenRequest(f *testing.F) {
	f.Add("kid=000102030405060708090a0b0c0d0e0f&securityLevel=1&hdcpOutputControl=0")
	f.Add("kid=^abc&contentKey=000102030405060708090a0b0c0d0e0f&securityLevel=5&hdcpOutputControl=2&expirationTime=%2B300")
	f.Add("kid=%5E&securityLevel=1&hdcpOutputControl=0&errorFormat=json")
	f.Add("kek=" + kekDigits[:32] + "&ek=" + keyWraps[0].wrapped + "&kid=000102030405060708090a0b0c0d0e0f&securityLevel=1&hdcpOutputControl=0")
	f.Add("kid=000102030405060708090a0b0c0d0e0f&securityLevel=1&hdcpOutputControl=0&licenseDuration=60&expirationTime=2023-11-15T00:00:00Z")
	f.Add("wvExtension=a,AAAA&extensionType=x&extensionPayload=AA%3d%3d&cookie=%ff&%zz;a=b&&=&")
	s := start(f, fakes.Options{Clock: early})
	right := "customerAuthenticator=" + url.QueryEscape(string(s.ExpressPlayAuthenticator().Reveal())) + "&"
	f.Fuzz(func(t *testing.T, parameters string) {
		r := httptest.NewRequest(http.MethodPost, s.ExpressPlayTokenURL(), strings.NewReader(right+parameters))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			u, err := url.Parse(w.Body.String())
			if err != nil || u.Path != "/hms/wv/rights/" || len(u.Query().Get("ExpressPlayToken")) != 128 {
				t.Errorf("%q: %v", w.Body, err)
			}
			kid := s.Requests()[len(s.Requests())-1].KIDs[0]
			redeemed(t, s, u.Query().Get("ExpressPlayToken"), ask{pssh: [][]byte{psshData(kid)}})
		case http.StatusBadRequest:
			if body := w.Body.String(); !strings.Contains(body, "Error -") && !strings.Contains(body, `"errorCode":-`) {
				t.Errorf("%q", body)
			}
		case http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

// FuzzToken presents arbitrary tokens: none but the seeds' own gets a license, whatever else the fault that doesn't look at
// signatures lets through.
func FuzzToken(f *testing.F) {
	s := start(f, fakes.Options{Clock: early})
	unsigned := start(f, fakes.Options{Clock: early, Faults: fakes.Named("ep-token-signature-ignored")})
	own := mint(f, s, nil)
	f.Add(own)
	f.Add("")
	f.Add(altered(own, -1))
	f.Add(altered(own, 30))
	f.Add(altered(own, 60))
	f.Add(strings.Repeat("AAAA", 32))
	f.Add(strings.Repeat("AQAA", 32))
	f.Add(own[:100])
	f.Add(own + "=")
	body := string(ask{pssh: [][]byte{psshData(kid0)}}.make(f).body)
	f.Fuzz(func(t *testing.T, token string) {
		for _, server := range []*fakes.Server{s, unsigned} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, server.ExpressPlayLicenseURL()+"?ExpressPlayToken="+url.QueryEscape(token), strings.NewReader(body))
			server.Handler().ServeHTTP(w, r)
			switch {
			case w.Code == http.StatusOK && (token == own || server == unsigned):
			case w.Code == http.StatusBadRequest && token == "":
			case w.Code == http.StatusUnauthorized && token != own:
			default:
				t.Errorf("%q: status %d", token, w.Code)
			}
		}
	})
}
