package provider_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

const (
	authenticator = "4711,00112233445566778899aabbccddeeff"
	tokenValue    = "FAKE+token/with=every&character %"
	tokenAnswer   = "https://wv.service.expressplay.com/hms/wv/rights/?ExpressPlayToken=FAKE%2Btoken%2Fwith%3Devery%26character%20%25"
)

// tokenServer stands where a profile's token service is, whatever its host, and counts what it is asked.
type tokenServer struct {
	*httptest.Server
	asked atomic.Int64
	form  atomic.Pointer[url.Values]
	raw   atomic.Pointer[string]
}

func newTokenServer(t *testing.T, answer http.HandlerFunc) *tokenServer {
	t.Helper()
	s := &tokenServer{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		text := r.Method + " " + r.Host + r.URL.String() + "\n" + r.Header.Get("Content-Type") + "\n" + string(body)
		s.raw.Store(&text)
		form, _ := url.ParseQuery(string(body))
		s.form.Store(&form)
		answer(w, r)
	}))
	hush(s.Server)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// client returns a client whose every connection ends at the server.
func (s *tokenServer) client() *http.Client {
	pool := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}}
}

func sayURL(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/uri-list")
	fmt.Fprintln(w, tokenAnswer)
}

func environ(name string) string {
	return map[string]string{"EP_CUSTOMER_AUTHENTICATOR": authenticator}[name]
}

func expressPlay(t *testing.T, variant string, env provider.Environment) *provider.Profile {
	t.Helper()
	p, err := provider.Load("../../fixtures/profiles/expressplay-widevine-test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.WithVariant(variant); err != nil {
		t.Fatal(err)
	}
	if env.Getenv == nil {
		env.Getenv = environ
	}
	if p, err = p.Bind(env); err != nil {
		t.Fatal(err)
	}
	return p
}

func expressPlayNeed() provider.Need {
	kid := drm.KID{0: 0xab, 15: 1}
	return provider.Need{Asset: "clip", KIDs: []drm.KID{kid}, Keys: map[drm.KID]secret.Bytes{kid: secret.New([]byte("0123456789abcdef"))}}
}

// TestExpressPlay runs the token step and compares the license request, byte for byte, with what ExpressPlay documents
// (sheet providers.md §2.1: A. token request, B. license request, both ways to attach).
func TestExpressPlay(t *testing.T) {
	t.Parallel()
	for variant, want := range map[string]string{
		"token-in-query": "POST /hms/wv/rights/?ExpressPlayToken=FAKE%2Btoken%2Fwith%3Devery%26character%20%25 HTTP/1.1\r\n" +
			"Host: wv.service.expressplay.com\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\n" +
			"Content-Type: application/octet-stream\r\n\r\n\x08\x01",
		"token-in-header": "POST /hms/wv/rights/ HTTP/1.1\r\n" +
			"Host: wv.service.expressplay.com\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\n" +
			"Content-Type: application/octet-stream\r\nExpressPlayToken: FAKE+token/with=every&character %\r\n\r\n\x08\x01",
	} {
		t.Run(variant, func(t *testing.T) {
			t.Parallel()
			server := newTokenServer(t, sayURL)
			p := expressPlay(t, variant, provider.Environment{HTTP: server.client(), Budget: provider.NewBudget(1)})
			lease, err := p.Lease(t.Context(), expressPlayNeed())
			if err != nil {
				t.Fatal(err)
			}
			if origins := p.Origins(); len(origins) != 1 || origins[0] != "https://wv-gen.test.expressplay.com:443" {
				t.Errorf("origins %v", origins)
			}
			if len(lease.KIDs) != 1 || !p.PerKID() || !p.Billed() || !p.Secure() || p.Address() != "" {
				t.Errorf("lease for %v; PerKID %v, Billed %v, Secure %v, Address %q", lease.KIDs, p.PerKID(), p.Billed(), p.Secure(), p.Address())
			}
			const asked = "POST wv-gen.test.expressplay.com/hms/wv/token\napplication/x-www-form-urlencoded\n" +
				"customerAuthenticator=4711%2C00112233445566778899aabbccddeeff&errorFormat=json&kid=ab000000000000000000000000000001" +
				"&contentKey=30313233343536373839616263646566&securityLevel=1&hdcpOutputControl=0&expirationTime=%2B300"
			if got := *server.raw.Load(); got != asked {
				t.Errorf("token request\n%s\nwant\n%s", got, asked)
			}
			q, err := p.Build(lease, drm.Message{Kind: drm.KindLicense, Body: []byte{8, 1}}, provider.At{}).HTTP(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var wire strings.Builder
			if err := q.Write(&wire); err != nil {
				t.Fatal(err)
			}
			if wire.String() != want {
				t.Errorf("license request\n%q\nwant\n%q", wire.String(), want)
			}
		})
	}
}

func TestOmittedKey(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, sayURL)
	p := expressPlay(t, "", provider.Environment{HTTP: server.client(), Budget: provider.NewBudget(1)})
	if _, err := p.Lease(t.Context(), provider.Need{KIDs: []drm.KID{{1}}}); err != nil {
		t.Fatal(err)
	}
	if form := *server.form.Load(); form.Has("contentKey") || !form.Has("kid") {
		t.Errorf("form %v: want no contentKey for an unknown key", form)
	}
	if _, err := p.Lease(t.Context(), provider.Need{}); err == nil || !strings.Contains(err.Error(), "KID") {
		t.Errorf("a lease without a KID: %v", err)
	}
}

// TestReadExpressPlay reads answers of the license service with the profile's matchers.
func TestReadExpressPlay(t *testing.T) {
	t.Parallel()
	p := expressPlay(t, "", provider.Environment{})
	html := http.Header{"Content-Type": {"text/html"}}
	for _, c := range []struct {
		name   string
		kind   drm.Kind
		status int
		header http.Header
		body   string
		class  provider.Class
		errors string
	}{
		{"license", drm.KindLicense, 200, nil, "\x08\x02x", provider.ClassOK, ""},
		{"certificate", drm.KindCertificate, 200, nil, "\x08\x05x", provider.ClassOK, ""},
		{"certificate for a license", drm.KindLicense, 200, nil, "\x08\x05x", provider.ClassUnexpected, "unclassified"},
		{"code in JSON", drm.KindLicense, 400, nil, `{"x":-4010}`, provider.ClassRefused, "auth_invalid (-4010)"},
		{"code in HTML", drm.KindLicense, 401, html, "<html>-2018", provider.ClassRefused, "auth_invalid (-2018)"},
		{"no code", drm.KindLicense, 401, nil, "no", provider.ClassRefused, "auth_invalid"},
		{"edge", drm.KindLicense, 403, html, "<html>", provider.ClassEdgeHTML, "edge_html"},
		{"fault", drm.KindLicense, 503, nil, "", provider.ClassServerFault, "server_transient"},
		{"other", drm.KindLicense, 404, nil, "", provider.ClassRefused, "unclassified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := p.Read(c.kind, c.status, c.header, []byte(c.body))
			got := ""
			if r.Error != nil {
				got = r.Error.String()
			}
			if r.Class != c.class || got != c.errors {
				t.Errorf("class %s, error %q; want %s, %q", r.Class, got, c.class, c.errors)
			}
		})
	}
}

// clock is a clock that a test moves.
type clock struct{ seconds atomic.Int64 }

func (c *clock) Now() time.Time { return time.Unix(c.seconds.Load(), 0) }
