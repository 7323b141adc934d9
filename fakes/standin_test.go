package fakes_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

const (
	expressPlayTokens = "https://wv-gen.test.expressplay.com/hms/wv/token"
	account           = "4711,00112233445566778899aabbccddeeff"
)

func startStandIn(t *testing.T, o fakes.StandInOptions) (*fakes.StandIn, *http.Client) {
	t.Helper()
	o.Authority, o.DeriveKIDs = authority(t, trusted), []drm.KID{kid0}
	s, err := fakes.StartStandIn(context.WithoutCancel(t.Context()), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	transport := &http.Transport{DialContext: s.DialContext, TLSClientConfig: s.TLSConfig()}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

// keyRequest is one for kid0.
func keyRequest(t *testing.T) []byte {
	t.Helper()
	return ask{pssh: [][]byte{psshData(kid0)}}.make(t).body
}

// postTo posts a body and returns status and answer.
func postTo(t *testing.T, c *http.Client, to, contentType, body string) (int, string, error) {
	t.Helper()
	r, err := c.Post(to, contentType, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return r.StatusCode, string(answer), err
}

// TestStandInForExpressPlay walks ExpressPlay's road under the provider's own names: token, license, certificate.
func TestStandInForExpressPlay(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Provider: "expressplay"})
	form := parameters(s.Server(), map[string]string{"customerAuthenticator": account})
	status, license, err := postTo(t, c, expressPlayTokens, "application/x-www-form-urlencoded", form.Encode())
	must(t, err)
	u, err := url.Parse(license)
	must(t, err)
	if status != 200 || u.Scheme != "https" || u.Host != "wv.test.expressplay.com" || u.Path != "/hms/wv/rights/" || u.Query().Get("ExpressPlayToken") == "" {
		t.Fatalf("HTTP %d: %s %s%s", status, u.Scheme, u.Host, u.Path)
	}
	request := keyRequest(t)
	status, answer, err := postTo(t, c, license, "application/octet-stream", string(request))
	must(t, err)
	if status != 200 || !strings.HasPrefix(answer, "\x08\x02") {
		t.Errorf("license: HTTP %d, % x", status, answer[:min(len(answer), 8)])
	}
	status, answer, err = postTo(t, c, "https://wv.test.expressplay.com/hms/wv/rights/", "application/octet-stream", "\x08\x04")
	must(t, err)
	if status != 200 || !strings.HasPrefix(answer, "\x08\x05") {
		t.Errorf("certificate: HTTP %d, % x", status, answer[:min(len(answer), 8)])
	}

	// The first account that asks is the customer's; another one is refused.
	form.Set("customerAuthenticator", "4712,00112233445566778899aabbccddeeff")
	status, answer, err = postTo(t, c, expressPlayTokens, "application/x-www-form-urlencoded", form.Encode())
	must(t, err)
	if status != http.StatusUnauthorized || !strings.Contains(answer, "-2018") {
		t.Errorf("another account: HTTP %d, %s", status, answer)
	}
	if got := string(s.Server().ExpressPlayAuthenticator().Reveal()); got != account {
		t.Error("the first account is not the customer's")
	}
}

// TestStandInForExpressPlayPlayReady walks the road for PlayReady under the provider's own names, in all three environments.
func TestStandInForExpressPlayPlayReady(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Options: fakes.Options{Clock: atRequestTime}, Provider: "expressplay", System: drm.PlayReady})
	form := prParameters(s.Server(), map[string]string{"customerAuthenticator": account}).Encode()
	for token, license := range map[string]string{
		"pr-gen.test.expressplay.com": "pr.test.expressplay.com", "pr-gen.service.expressplay.com": "pr.service.expressplay.com",
		"pr-gen.service.expressplay.cn": "pr.service.expressplay.cn",
	} {
		status, answer, err := postTo(t, c, "https://"+token+"/hms/pr/token", "application/x-www-form-urlencoded", form)
		must(t, err)
		isTrue(t, status == 200)
		at := "https://" + license + "/playready/RightsManager.asmx"
		bought := prTokenIn(t, at, []byte(answer))
		r := prAsk{header: header42(kid0)}.make(t)
		status, answer, err = postTo(t, c, at+"?ExpressPlayToken="+url.QueryEscape(bought), "text/xml", r.body)
		must(t, err)
		o, err := openPlayReady(r, []byte(answer))
		if status != 200 || err != nil || !sameKIDs(o.kids(), kid0) {
			t.Errorf("%s: HTTP %d, %v", license, status, err)
		}
		status, answer, err = postTo(t, c, at, "text/xml", r.body)
		must(t, err)
		if status != 500 || !strings.Contains(answer, "Error -2017") || !strings.Contains(answer, "<faultactor>"+at+"</faultactor>") {
			t.Errorf("%s without a token: HTTP %d, %s", license, status, answer)
		}
	}
}

// TestStandInHostsServeTheirOwn: no host of a provider serves another one's path, or the plain server's, which wants no token.
func TestStandInHostsServeTheirOwn(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Provider: "expressplay"})
	for _, to := range []string{
		"https://pr.test.expressplay.com/playready/rightsmanager.asmx", "https://wv.test.expressplay.com/widevine/license",
		"https://wv-gen.test.expressplay.com/hms/pr/token", "https://pr-gen.test.expressplay.com/hms/wv/token",
		"https://pr.test.expressplay.com/hms/pr/token", "https://pr-gen.test.expressplay.com/playready/RightsManager.asmx",
		"https://wv.test.expressplay.com/playready/RightsManager.asmx", "https://pr.service.expressplay.com/hms/wv/rights/",
	} {
		status, answer, err := postTo(t, c, to, "application/octet-stream", string(keyRequest(t)))
		must(t, err)
		if status != http.StatusNotFound || lastRecord(t, s.Server()).Reason != "path" {
			t.Errorf("%s: HTTP %d, %s", to, status, answer)
		}
	}
}

// TestStandInLetsNothingOut: hosts that nobody named are errors, and only the run's authority is trusted.
func TestStandInLetsNothingOut(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Provider: "plain", Origins: []string{"https://license.example/wv", "http://other.example:8080"}})
	var unknown *fakes.UnknownHostError
	for _, to := range []string{"https://elsewhere.example/", "http://license.example/", "https://license.example:444/", "https://127.0.0.1/"} {
		if _, _, err := postTo(t, c, to, "", ""); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "license.example:443") {
			t.Errorf("%s: %v", to, err)
		}
	}
	trusting := &http.Client{Transport: &http.Transport{DialContext: s.DialContext}}
	var unverified x509.UnknownAuthorityError
	if _, _, err := postTo(t, trusting, "https://license.example/", "", ""); !errors.As(err, &unverified) {
		t.Errorf("a client that does not know the run's authority: %v", err)
	}
	if got := s.Hosts(); !slices.Equal(got, []string{"license.example:443", "other.example:8080"}) {
		t.Errorf("hosts %v", got)
	}
}

// TestPlainStandIn serves the license server at every path, over TLS and without.
func TestPlainStandIn(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Provider: "plain", Origins: []string{"license.example", "http://other.example:8080", "https://[::1]:8443"}})
	for i, to := range []string{"https://license.example/", "http://other.example:8080/any/path?q=1", "https://[::1]:8443/wv"} {
		status, answer, err := postTo(t, c, to, "application/octet-stream", string(keyRequest(t)))
		must(t, err)
		if status != 200 || !strings.HasPrefix(answer, "\x08\x02") {
			t.Errorf("%s: HTTP %d", to, status)
		}
		if total, _ := s.Server().Count(); total.Answered != uint64(i+1) {
			t.Errorf("the server counted %+v", total)
		}
	}
}

// TestStandInFaults: faults of the connection act through TLS as they do without.
func TestStandInFaults(t *testing.T) {
	t.Parallel()
	s, c := startStandIn(t, fakes.StandInOptions{Provider: "plain", Origins: []string{"license.example"}})
	c.Timeout = 300 * time.Millisecond
	for _, fault := range []string{"connection-reset", "truncated-body", "never-answers"} {
		must(t, s.Server().SetFaults(fakes.Named(fault)...))
		if status, answer, err := postTo(t, c, "https://license.example/", "application/octet-stream", string(keyRequest(t))); err == nil {
			t.Errorf("%s: HTTP %d, %d bytes", fault, status, len(answer))
		}
		if s.Server().Exercised(fault) == 0 {
			t.Errorf("%s did not act", fault)
		}
	}
}

func TestStandInOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    fakes.StandInOptions
		want string
	}{
		"unknown provider": {fakes.StandInOptions{Provider: "expresplay"}, `did you mean "expressplay"`},
		"foreign host":     {fakes.StandInOptions{Provider: "expressplay", Origins: []string{"https://wv-gen.tset.expressplay.com:443"}}, `did you mean "wv-gen.test.expressplay.com"`},
		"no host":          {fakes.StandInOptions{Provider: "plain", Origins: []string{"https://"}}, "want http or https and a host"},
		"scheme":           {fakes.StandInOptions{Provider: "plain", Origins: []string{"ftp://license.example"}}, "want http or https and a host"},
	} {
		c.o.Authority = authority(t, trusted)
		if s, err := fakes.StartStandIn(t.Context(), c.o); err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	infos := fmt.Sprint(fakes.StandIns())
	for _, want := range []string{"expressplay", "plain", "wv-gen.service.expressplay.cn"} {
		if !strings.Contains(infos, want) {
			t.Errorf("stand-ins %s: want %s", infos, want)
		}
	}
}
