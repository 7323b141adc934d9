package fakes_test

import (
	"fmt"
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
			if err != nil || u.Path != "/hms/wv/rights/" || len(u.Query().Get("ExpressPlayToken")) != 140 {
				t.Errorf("%q: %v", w.Body, err)
			}
			kid := s.Requests()[len(s.Requests())-1].KIDs[0]
			redeemed(t, s, u.Query().Get("ExpressPlayToken"), ask{pssh: [][]byte{psshData(kid)}})
		case http.StatusBadRequest:
			if body := w.Body.String(); !strings.Contains(body, "Error -") && !strings.Contains(body, `"errorCode":-`) && !strings.Contains(body, "a parameter is not known") {
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
	unsigned := start(f, fakes.Options{Clock: early, Faults: fakes.Named("token-signature-ignored")})
	own := mint(f, s, nil)
	f.Add(own)
	f.Add("")
	f.Add(altered(own, -2))
	f.Add(altered(own, 30))
	f.Add(altered(own, 60))
	f.Add(strings.Repeat("AAAA", 35))
	f.Add(strings.Repeat("AQAA", 34) + "AQA=")
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

// FuzzPlayReadyTokenRequest does what [FuzzTokenRequest] does, for PlayReady: a token opens a license that says what was asked for.
func FuzzPlayReadyTokenRequest(f *testing.F) {
	const levels = "&analogVideoOPL=150&compressedDigitalAudioOPL=0&compressedDigitalVideoOPL=999&uncompressedDigitalAudioOPL=100&uncompressedDigitalVideoOPL=250"
	f.Add("kid=000102030405060708090a0b0c0d0e0f&rightsType=BuyToOwn" + levels)
	f.Add("kid=^abc&contentKey=000102030405060708090a0b0c0d0e0f&rightsType=BuyToOwn&generalFlags=00000001&expirationTime=%2B300" + levels)
	f.Add("kid=000102030405060708090a0b0c0d0e0f&rightsType=Rental&rental.periodEndTime=%2B60&rental.playDuration=7" + levels)
	f.Add("kid=000102030405060708090a0b0c0d0e0f&rightsType=Rental&rental.periodEndTime=2106-02-07T06:28:14Z&generalFlags=00000000" + levels)
	f.Add("kid=000102030405060708090a0b0c0d0e0f&rightsType=Rental&rental.periodEndTime=%2B4294967295&unknownOutputBehavior=SDOnly" + levels)
	f.Add("kek=" + kekDigits[:32] + "&ek=" + keyWraps[0].wrapped + "&kid=000102030405060708090a0b0c0d0e0f&rightsType=BuyToOwn&outputControlFlags=0000000a" + levels)
	f.Add("rightsType=BuyToOwn&analogVideoOPL=+1&extensionType=x&extensionPayload=AA%3d%3d&cookie=%ff&%zz;a=b&&=&kid=%5E%00")
	s := startPlayReady(f, fakes.Options{})
	right := "customerAuthenticator=" + url.QueryEscape(string(s.ExpressPlayAuthenticator().Reveal())) + "&"
	f.Fuzz(func(t *testing.T, parameters string) {
		r := httptest.NewRequest(http.MethodPost, s.ExpressPlayPlayReadyTokenURL(), strings.NewReader(right+parameters))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			token := prTokenIn(t, s.ExpressPlayPlayReadyURL(), w.Body.Bytes())
			asked, err := url.ParseQuery(parameters)
			p := redeemedPR(t, s, "custom data", token, prAsk{header: header42(lastRecord(t, s).KIDs[0])}).licenses[0].Policy
			isRental := asked.Get("rightsType") == "Rental"
			if len(token) != 164 || p.End.IsZero() == isRental || isRental && (p.CannotPersist || !p.End.After(p.Begin)) || p.Output == nil ||
				err == nil && fmt.Sprint(p.Output.AnalogVideo) != strings.TrimLeft(asked.Get("analogVideoOPL"), "0") && p.Output.AnalogVideo != 0 {
				t.Errorf("%q: %+v", parameters, p)
			}
		case http.StatusBadRequest:
			if body := w.Body.String(); !strings.Contains(body, "Error -") && !strings.Contains(body, `"errorCode":-`) && !strings.Contains(body, "a parameter is not known") {
				t.Errorf("%q", body)
			}
		case http.StatusRequestEntityTooLarge:
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

// FuzzPlayReadyToken presents arbitrary tokens in every carrier: none but the seed's own gets a license, whatever else the fault
// that doesn't look at signatures lets through.
func FuzzPlayReadyToken(f *testing.F) {
	s := startPlayReady(f, fakes.Options{})
	unsigned := startPlayReady(f, fakes.Options{Faults: fakes.Named("token-signature-ignored")})
	own := mintPR(f, s, nil)
	for carrier := range carriers {
		for _, token := range []string{own, "", altered(own, -2), altered(own, 30), altered(own, 70), strings.Repeat("AgAA", 40) + "AgA=", own[:100], own + "=", "<&>\r\n\x00\xff"} {
			f.Add(carrier, token)
		}
	}
	f.Fuzz(func(t *testing.T, carrier int, token string) {
		place := carriers[uint(carrier)%3]
		for _, server := range []*fakes.Server{s, unsigned} {
			_, r := redeemPR(t, server, place, token, prAsk{header: header42(kid0)})
			switch {
			case r.status == http.StatusOK && (token == own || server == unsigned):
			case r.status == http.StatusInternalServerError && token != own:
			default:
				t.Errorf("%q in %s: status %d", token, place, r.status)
			}
		}
	})
}
