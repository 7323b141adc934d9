package provider_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// sent returns the request line and header of a license request as they go over the wire.
func sent(t *testing.T, p *provider.Profile, l *provider.Lease) (*http.Request, error) {
	t.Helper()
	return p.Build(l, drm.Message{Kind: drm.KindLicense, Body: []byte{8, 1}}, provider.At{}).HTTP(t.Context())
}

// tokenHeader is as the profile writes it, which is not net/http's way.
const tokenHeader = "ExpressPlayToken"

func TestTamperedLease(t *testing.T) {
	t.Parallel()
	const altered = "FAKE+token/with=every&characteL %" // r is 43, L is 43-32
	for variant, got := range map[string]func(*http.Request) []string{
		"token-in-query":  func(q *http.Request) []string { return q.URL.Query()["ExpressPlayToken"] },
		"token-in-header": func(q *http.Request) []string { return maps.Collect(maps.All(q.Header))[tokenHeader] },
	} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			server := newTokenServer(t, sayURL)
			p := expressPlay(t, variant, provider.Environment{HTTP: server.client(), Budget: provider.NewBudget(1)})
			lease, err := p.Lease(t.Context(), expressPlayNeed())
			if err != nil {
				t.Fatal(err)
			}
			if !p.TakesToken() {
				t.Error("the profile is said to take no token")
			}
			for name, c := range map[string]struct {
				lease *provider.Lease
				want  []string
			}{
				"untampered": {lease, []string{tokenValue}},
				"without":    {lease.WithoutToken(), nil},
				"altered":    {lease.WithAlteredToken(), []string{altered}},
			} {
				q, err := sent(t, p, c.lease)
				if err != nil {
					t.Fatal(err)
				}
				if token := got(q); strings.Join(token, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("%s: token %q, want %q", name, token, c.want)
				}
				if q.URL.Host != "wv.service.expressplay.com" || q.URL.Path != "/hms/wv/rights/" {
					t.Errorf("%s: the URL is now %s", name, q.URL)
				}
			}
		})
	}
}

// urlProfile has its token in the URL that a step yields.
const urlProfile = `profile: 1
id: url
drm: widevine
tokens: [{id: u, source: env, env: LICENSE_URL}]
request: {url: "${token.u.value}"}
`

func TestTamperedURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, without, altered string }{
		{"https://license.example/wv?t=abcdef01", "https://license.example/wv", "https://license.example/wv?t=abcdef09"},
		{"https://license.example/wv?t=ABCDEF0B", "https://license.example/wv", "https://license.example/wv?t=ABCDEF03"},
		{"https://license.example/wv?t=a.b.abcdefgh", "https://license.example/wv", "https://license.example/wv?t=a.b.abcdefgB"},
		// A short run at the end of base64 is hexadecimal by chance only: its unused bits must stay zero.
		{"https://license.example/wv?t=q83v%2FA%3D%3D", "https://license.example/wv", "https://license.example/wv?t=q83v%2Fg%3D%3D"},
		{"https://license.example/wv/0123456789", "", "https://license.example/wv/0123456781"},
	} {
		p, err := provider.Parse("url.yaml", []byte(urlProfile))
		if err != nil {
			t.Fatal(err)
		}
		if p, err = p.Bind(provider.Environment{Getenv: func(string) string { return c.url }}); err != nil {
			t.Fatal(err)
		}
		lease, err := p.Lease(t.Context(), provider.Need{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := sent(t, p, lease.WithoutToken())
		switch {
		case c.without == "" && err == nil:
			t.Errorf("a token in the path was left out: %s", q.URL)
		case c.without != "" && (err != nil || q.URL.String() != c.without):
			t.Errorf("without token: %v, %v; want %s", q.URL, err, c.without)
		}
		if q, err = sent(t, p, lease.WithAlteredToken()); err != nil || q.URL.String() != c.altered {
			t.Errorf("altered: %v, %v; want %s", q.URL, err, c.altered)
		}
	}
}

// TestTamperedURLWithoutToken: a URL that no token is in stays what it is.
func TestTamperedURLWithoutToken(t *testing.T) {
	t.Parallel()
	p := boundTo(t, urlProfile+"certificate: {mode: url, url: 'https://cert.example/c?x=abc', method: POST}\n", "LICENSE_URL", "https://license.example/wv?t=abcdef01")
	lease := leaseFor(t, p, testNeed())
	for _, l := range []*provider.Lease{lease.WithoutToken(), lease.WithAlteredToken()} {
		if r := p.Build(l, drm.Message{Kind: drm.KindCertificate}, testAt); r.URL != "https://cert.example/c?x=abc" {
			t.Errorf("the certificate is asked for at %s", r.URL)
		}
		if r := p.Build(l, drm.Message{Kind: drm.KindLicense}, testAt); r.URL == "https://license.example/wv?t=abcdef01" {
			t.Error("the token in the license URL is left as it is")
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	kids := []drm.KID{{1}, {2}, {3}}
	need := provider.Need{Asset: "clip", KIDs: kids, Keys: map[drm.KID]secret.Bytes{}}
	perKID := expressPlay(t, "", provider.Environment{})
	if needs := perKID.Sessions(need); len(needs) != 3 || len(needs[2].KIDs) != 1 || needs[2].KIDs[0] != kids[2] || needs[2].Asset != "clip" {
		t.Errorf("sessions of a profile with a token per KID: %+v", needs)
	}
	if _, err := perKID.Lease(t.Context(), need); err == nil || !strings.Contains(err.Error(), "one KID, 3 are needed") {
		t.Errorf("one lease for three KIDs: %v", err)
	}
	plain, err := provider.Parse("plain.yaml", []byte("profile: 1\nid: plain\ndrm: widevine\nrequest: {url: 'https://license.example/wv'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if needs := plain.Sessions(need); len(needs) != 1 || len(needs[0].KIDs) != 3 || plain.TakesToken() {
		t.Errorf("sessions of a plain profile: %+v", needs)
	}
}

func TestUnexpected(t *testing.T) {
	t.Parallel()
	p := expressPlay(t, "", provider.Environment{})
	for _, c := range []struct {
		scenario string
		status   int
		body     string
		seen     string
	}{
		{"token_missing", 400, "-2017", ""},
		{"token_missing", 404, "no", "HTTP 404 of class unclassified"},
		{"token_bad_signature", 503, "", "HTTP 503 of class server_transient"},
		{"something_else", 503, "", ""},
	} {
		problem := p.Unexpected(c.scenario, p.Read(drm.KindLicense, c.status, nil, []byte(c.body)))
		if seen := ""; problem != nil && problem.Seen != c.seen || problem == nil && c.seen != seen {
			t.Errorf("%s, HTTP %d: %+v, want %q", c.scenario, c.status, problem, c.seen)
		}
	}
}
