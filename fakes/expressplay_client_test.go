package fakes_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/fakes"
)

// send sends a request with headers of its own.
func send(ctx context.Context, method, to string, header map[string]string, body string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return reply{resp.StatusCode, resp.Header, b}, err
}

// parameters are those of a right token request for kid0, with some set otherwise or, where the value is "-", left away.
func parameters(s *fakes.Server, with map[string]string) url.Values {
	return parametersWith(s, map[string]string{"securityLevel": "1", "hdcpOutputControl": "0"}, with)
}

func parametersWith(s *fakes.Server, own, with map[string]string) url.Values {
	all := map[string]string{
		"customerAuthenticator": string(s.ExpressPlayAuthenticator().Reveal()), "errorFormat": "json", "kid": hexKID(kid0),
	}
	maps.Copy(all, own)
	maps.Copy(all, with)
	values := url.Values{}
	for name, value := range all {
		if value != "-" {
			values.Set(name, value)
		}
	}
	return values
}

func hexKID(kid drm.KID) string { return strings.ReplaceAll(kid.String(), "-", "") }

// askToken asks for a token with GET or POST.
func askToken(t testing.TB, s *fakes.Server, method string, p url.Values) reply {
	t.Helper()
	return askTokenAt(t, s.ExpressPlayTokenURL(), method, p)
}

func askTokenAt(t testing.TB, service, method string, p url.Values) reply {
	t.Helper()
	to, body := service+"?"+p.Encode(), ""
	if method == http.MethodPost {
		to, body = service, p.Encode()
	}
	r, err := send(context.Background(), method, to, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body)
	must(t, err)
	return r
}

// mint returns a new token.
func mint(t testing.TB, s *fakes.Server, with map[string]string) string {
	t.Helper()
	r := askToken(t, s, http.MethodPost, parameters(s, with))
	if r.status != http.StatusOK {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	base, escaped, found := strings.Cut(string(r.body), "?ExpressPlayToken=")
	token, err := url.QueryUnescape(escaped)
	if !found || base != s.ExpressPlayLicenseURL() || token == "" || err != nil {
		t.Fatal("no license URL with a token")
	}
	return token
}

// redeem sends a key request with a token in the query; "" sends none.
func redeem(t testing.TB, s *fakes.Server, token string, body []byte) reply {
	t.Helper()
	to := s.ExpressPlayLicenseURL() + "?errorFormat=json"
	if token != "" {
		to += "&ExpressPlayToken=" + url.QueryEscape(token)
	}
	r, err := send(context.Background(), http.MethodPost, to, nil, string(body))
	must(t, err)
	return r
}

// redeemed opens the license that a token gets.
func redeemed(t testing.TB, s *fakes.Server, token string, a ask) opened {
	t.Helper()
	r := a.make(t)
	got := redeem(t, s, token, r.body)
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	o, err := openLicense(r, got.body)
	must(t, err)
	return o
}

// altered returns the token with another character at i, from the end if i is negative; the last one is an equals sign.
func altered(token string, i int) string {
	if i < 0 {
		i += len(token)
	}
	other := "A"
	if token[i] == 'A' {
		other = "Q" // no unused bit at the end is set
	}
	return token[:i] + other + token[i+1:]
}
