package doctor_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
	"keyflow/suites/doctor"
)

// stranger is a device that no server trusts.
var stranger = sync.OnceValue(func() drm.Platform {
	a, err := fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{Devices: 1, RootBits: 2048})
	if err != nil {
		return nil
	}
	return widevine.NewPlatform(a.Devices()[0], drm.SystemClock).WithRoot(chain.VendorRoot())
})

// resolver answers for every name.
type resolver func(ctx context.Context, host string) ([]netip.Addr, error)

func (r resolver) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	return r(ctx, host)
}

// newCase makes a case of a profile and an environment of names and values.
func newCase(t *testing.T, text string, pairs ...string) *doctor.Case {
	t.Helper()
	p, err := provider.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	getenv := func(name string) string { return env[name] }
	taken, vault := doctor.NewTaken(), secret.NewVault()
	client := suites.NewClient(5 * time.Second)
	bound, err := p.Bind(provider.Environment{
		Getenv: getenv, Vault: vault, HTTP: client, Budget: provider.NewBudget(1), AllowExec: true, Insecure: true, Taken: taken.Note,
		HTTPWith: func(c *tls.Config) *http.Client { return suites.ProfileClient(p, nil, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := bound.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	opened, err := fixtures.Open("cenc-1key")
	if err != nil {
		t.Fatal(err)
	}
	asset, err := suites.LoadAsset(opened)
	if err != nil {
		t.Fatal(err)
	}
	asks, err := (&suites.Target{Profile: bound, Asset: asset}).Asks()
	if err != nil {
		t.Fatal(err)
	}
	return &doctor.Case{
		Profile: bound, Platform: stranger(), Ask: asks[0], Canned: true, Client: client, TLS: config, Vault: vault, Getenv: getenv,
		Timeout: 3 * time.Second, Taken: taken,
	}
}

// plain is a profile without a certificate.
func plain(url, more string) string {
	return "profile: 1\nid: test\ndrm: widevine\nrequest: {url: \"" + url + "\"}\ncertificate: {mode: none}\n" + more
}

// answering starts a server that answers everything alike.
func answering(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	return serving(t, func(rw http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			rw.Header().Set(header[i], header[i+1])
		}
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body))
	})
}

func serving(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/license"
}

// jwt makes a token with claims; nobody verifies its signature here.
func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"HS256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

const jwtProfile = "tokens: [{id: t, source: env, env: TOKEN}]\n"

// withToken is plain with a token in a header.
func withToken(url, more string) string {
	return strings.Replace(plain(url, more), `"}`, `", headers: {Authorization: "Bearer ${token.t.value}"}}`, 1)
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// asked is a token that a service is asked for.
func asked(url string) string {
	return "tokens: [{id: t, source: http, http: {url: \"" + url + "\", form: {a: b}, outputs: {value: {from: body, required: true}}}}]\n"
}

func text(h doctor.Hop) string { return strings.Join(h.Seen, "\n") + "\n" + h.Expected + "\n" + h.Hint }

func all(hops []doctor.Hop) string {
	var b strings.Builder
	for _, h := range hops {
		fmt.Fprintf(&b, "%+v\n", h)
	}
	return b.String()
}

func find(hops []doctor.Hop, id string) doctor.Hop {
	for _, h := range hops {
		if h.ID == id {
			return h
		}
	}
	return doctor.Hop{}
}
