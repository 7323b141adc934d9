package provider_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// tokenProfile returns a profile with one http token; extra are more keys of the token.
func tokenProfile(t *testing.T, extra string) *provider.Profile {
	t.Helper()
	p, err := provider.Parse("token.yaml", []byte(`profile: 1
id: token
drm: widevine
tokens:
  - id: t
    source: http
    `+extra+`
    http:
      method: POST
      url: https://token.example/t
      form: {a: b}
      outputs:
        value: {from: json, path: "$.token", required: true}
      errors:
        - {when: {status: [403], body: "denied"}, class: not_entitled, code: {from: json, path: "$.code"}, retry: never}
        - {when: {status: "500-599"}, class: server_transient, retry: backoff}
request:
  url: https://license.example/
  headers: {X-Token: "${token.t.value}"}
certificate: {consumes_token: false}
`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func bind(t *testing.T, p *provider.Profile, env provider.Environment) *provider.Profile {
	t.Helper()
	p, err := p.Bind(env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sayJSON(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token": "FAKE-token-1"}`) }

// TestSharing takes leases concurrently and counts what the token service was asked.
func TestSharing(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]int64{"run": 1, "content": 2, "session": 16, "request": 16} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			server := newTokenServer(t, sayJSON)
			p := bind(t, tokenProfile(t, "scope: "+scope), provider.Environment{HTTP: server.client()})
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					lease, err := p.Lease(t.Context(), provider.Need{Asset: fmt.Sprint(i % 2)})
					if err != nil {
						t.Error(err)
						return
					}
					if got := p.Build(lease, drm.Message{}, provider.At{}).Header.Get("X-Token"); got != "FAKE-token-1" {
						t.Errorf("header %q", got)
					}
				})
			}
			wg.Wait()
			if got := server.asked.Load(); got != want {
				t.Errorf("%d token requests, want %d", got, want)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	server, now := newTokenServer(t, sayJSON), &clock{}
	p := bind(t, tokenProfile(t, "scope: run\n    ttl: 5m"), provider.Environment{HTTP: server.client(), Clock: now})
	lease := mustLease(t, p)
	if !lease.Expires.Equal(time.Unix(300, 0)) {
		t.Errorf("expires %s, want 300 s after the epoch", lease.Expires)
	}
	now.seconds.Store(299)
	if err := lease.Use(drm.KindLicense); err != nil {
		t.Error(err)
	}
	mustLease(t, p)
	now.seconds.Store(300)
	var expired *provider.LeaseError
	if err := lease.Use(drm.KindLicense); !errors.As(err, &expired) || expired.Class != provider.ErrorAuthExpired {
		t.Errorf("an expired lease: %v", err)
	}
	if err := mustLease(t, p).Use(drm.KindLicense); err != nil {
		t.Errorf("a lease with a fresh token: %v", err)
	}
	if got := server.asked.Load(); got != 2 {
		t.Errorf("%d token requests, want 2: one for each five minutes", got)
	}
}

func mustLease(t *testing.T, p *provider.Profile) *provider.Lease {
	t.Helper()
	lease, err := p.Lease(t.Context(), provider.Need{Asset: "clip"})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestSingleUse(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, sayJSON)
	lease := mustLease(t, bind(t, tokenProfile(t, "single_use: true"), provider.Environment{HTTP: server.client()}))
	if err := lease.Use(drm.KindCertificate); err != nil {
		t.Errorf("a certificate request consumed the token: %v", err)
	}
	var wg sync.WaitGroup
	refused := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			if err := lease.Use(drm.KindLicense); err != nil {
				refused <- err
			}
		})
	}
	wg.Wait()
	var spent *provider.LeaseError
	if len(refused) != 7 || !errors.As(<-refused, &spent) || spent.Class != provider.ErrorAuthReused {
		t.Errorf("%d of 8 uses refused, want 7: %v", len(refused), spent)
	}
	if err := (*provider.Lease)(nil).Use(drm.KindLicense); err != nil {
		t.Errorf("no lease: %v", err)
	}
}

// TestConsumedToken: where a certificate request consumes the token, a token for one message serves one of both.
func TestConsumedToken(t *testing.T) {
	t.Parallel()
	for token, uses := range map[string]int{"single_use: true, ": 1, "scope: request, ": 1, "": 3} {
		for consumes, certificates := range map[string]int{"true": uses, "false": 3} {
			p := boundTo(t, head+"tokens: [{id: t, "+token+"source: env, env: T}]\nrequest: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\ncertificate: {consumes_token: "+consumes+"}\n", "T", "FAKE-token")
			lease, good := leaseFor(t, p, testNeed()), 0
			for range 3 {
				serves := lease.Serves(drm.KindCertificate)
				used := lease.Use(drm.KindCertificate) == nil
				if used {
					good++
				}
				if serves != used {
					t.Errorf("%q, consumes_token %s: the lease says that it serves %v, and it does %v", token, consumes, serves, used)
				}
			}
			if good != certificates {
				t.Errorf("%q, consumes_token %s: %d of 3 certificate requests, want %d", token, consumes, good, certificates)
			}
			serves := lease.Serves(drm.KindLicense)
			if err := lease.Use(drm.KindLicense); (err == nil) != (token == "" || consumes == "false") || serves != (err == nil) {
				t.Errorf("%q, consumes_token %s: a license request after that: %v", token, consumes, err)
			}
			if err := lease.WithAlteredToken().Use(drm.KindLicense); (err == nil) != (token == "") {
				t.Errorf("%q, consumes_token %s: a copy of the lease counts by itself: %v", token, consumes, err)
			}
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, sayJSON)
	budget := provider.NewBudget(2)
	billed := bind(t, tokenProfile(t, "cost_unit: coin"), provider.Environment{HTTP: server.client(), Budget: budget})
	mustLease(t, billed)
	mustLease(t, billed)
	var over *provider.BudgetError
	if _, err := billed.Lease(t.Context(), provider.Need{}); !errors.As(err, &over) || over.Unit != "coin" || over.Spent != 2 {
		t.Errorf("a third token with a budget of two: %v", err)
	}
	if server.asked.Load() != 2 || budget.Spent() != 2 {
		t.Errorf("%d token requests, %d spent, want 2", server.asked.Load(), budget.Spent())
	}
	none := bind(t, tokenProfile(t, "cost_unit: coin"), provider.Environment{HTTP: server.client()})
	if _, err := none.Lease(t.Context(), provider.Need{}); !errors.As(err, &over) || over.Spent != 0 {
		t.Errorf("a billed token without a budget: %v", err)
	}
}

// TestHostileTokenServer meets token services that misbehave.
func TestHostileTokenServer(t *testing.T) {
	t.Parallel()
	say := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		class  provider.ErrorClass
		want   string
	}{
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "unclassified", "timeout"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for chunk := strings.Repeat("x", 1<<16); ; {
				if _, err := fmt.Fprint(w, chunk); err != nil {
					return
				}
			}
		}, "unclassified", "too-large"},
		{"HTML", say(200, "text/html", "<html>{}"), "edge_html", "HTTP 200"},
		{"HTML that lies", say(200, "application/json", "<!DOCTYPE html>"), "edge_html", "HTTP 200"},
		{"redirect", say(307, "text/plain", ""), "unclassified", "HTTP 307"},
		{"no output", say(200, "application/json", `{"tokn": 1}`), "unclassified", "output value is not in the answer"},
		{"empty output", say(200, "application/json", `{"token": ""}`), "unclassified", "output value is not in the answer"},
		{"header in output", say(200, "application/json", `{"token": "a\r\nX-Evil: b"}`), "", "line break"},
		{"denied", say(403, "application/json", `{"e": "denied", "code": 17}`), "not_entitled", "not_entitled (17), HTTP 403"},
		{"fault", say(502, "text/plain", ""), "server_transient", "HTTP 502"},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unclassified", "connection-closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newTokenServer(t, c.answer)
			timeout := 10 * time.Second
			if c.name == "hangs" {
				timeout = time.Second // enough for the request to arrive
			}
			p := bind(t, tokenProfile(t, "scope: run"), provider.Environment{HTTP: server.client(), Timeout: timeout})
			_, err := p.Lease(t.Context(), provider.Need{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v does not say %q", err, c.want)
			}
			var token *provider.TokenError
			if errors.As(err, &token) != (c.class != "") || token != nil && token.Class != c.class {
				t.Errorf("class of %v, want %q", err, c.class)
			}
			if server.asked.Load() != 1 {
				t.Errorf("%d requests, want 1", server.asked.Load())
			}
		})
	}
}

func TestUnbound(t *testing.T) {
	t.Parallel()
	p := tokenProfile(t, "scope: run")
	if _, err := p.Lease(t.Context(), provider.Need{}); err == nil || !strings.Contains(err.Error(), "bind") {
		t.Errorf("a lease of an unbound profile: %v", err)
	}
	if _, err := p.Build(nil, drm.Message{}, provider.At{}).HTTP(t.Context()); err == nil || !strings.Contains(err.Error(), "bind") {
		t.Errorf("a request of an unbound profile: %v", err)
	}
	if _, err := p.WithVariant("none"); err == nil {
		t.Error("an unknown variant was found")
	}
}
