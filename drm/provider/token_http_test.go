package provider_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// hosts are servers by host name; what each is sent is kept whole.
type hosts struct {
	mu   sync.Mutex
	at   map[string]string // addresses
	seen map[string]string
	tls  *tls.Config
}

func newHosts(t *testing.T, answers map[string]http.HandlerFunc) *hosts {
	t.Helper()
	h := &hosts{at: map[string]string{}, seen: map[string]string{}}
	for name, answer := range answers {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h.mu.Lock()
			h.seen[name] += fmt.Sprintf("%s %s\n%v\n%s\n", r.Method, r.URL, r.Header, body)
			h.mu.Unlock()
			answer(w, r)
		}))
		hush(s)
		s.StartTLS()
		t.Cleanup(s.Close)
		h.at[name] = s.Listener.Addr().String()
		h.tls = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}
	}
	return h
}

func (h *hosts) sent(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[name]
}

func (h *hosts) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: h.tls.Clone(),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, h.at[host])
		},
	}}
}

// asked binds a profile with a token t of a service at token.example, takes a lease and returns the header that it makes.
func asked(t *testing.T, h *hosts, token string, env provider.Environment) (string, error) {
	t.Helper()
	text := head + "vars: {S: {secret: true, env: S}}\ntokens:\n  - {id: t, source: http, " + token + "}\nrequest: {url: 'https://license.example/', query: {s: '${var.S | sha256 | hex}'}, headers: {A: '${token.t.value}'}}\nretry: {max: 3, backoff: 1ms..2ms}\n"
	env.HTTP = h.client()
	if env.Getenv == nil {
		env.Getenv = from("S", "FAKE-service-secret")
	}
	p, err := parsed(t, text).Bind(env)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := p.Lease(t.Context(), testNeed())
	if err != nil {
		return "", err
	}
	return built(t, p, lease, "").Header.Get("A"), nil
}

func say(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestTokenOutputs takes a token out of every place of an answer.
func TestTokenOutputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		output, body string
		want         string
	}{
		"body":                {"{}", " FAKE-body \n", "FAKE-body"},
		"json":                {"{from: json, path: '$.a[1].b-c'}", `{"a": [0, {"b-c": "FAKE-json"}]}`, "FAKE-json"},
		"number in json":      {"{from: json, path: '$.n'}", `{"n": 12345678901234567890}`, "12345678901234567890"},
		"truth in json":       {"{from: json, path: '$.n'}", `{"n": false}`, "false"},
		"xml":                 {"{from: xml, path: /r/b/t}", "<r xmlns='urn:x'><a/><b><t> FAKE&amp;xml </t><t>second</t></b></r>", "FAKE&xml"},
		"xml with a prefix":   {"{from: xml, path: /r/t}", "<s:r xmlns:s='urn:s'><s:t>FAKE-prefix</s:t></s:r>", "FAKE-prefix"},
		"xml, regex":          {"{from: xml, path: /r/t, regex: 't=(.*)'}", "<r><t>https://x/?t=FAKE</t></r>", "FAKE"},
		"url_query":           {"{from: url_query, path: t}", "https://license.example/wv?a=1&t=FAKE%2Bquery+x\n", "FAKE+query x"},
		"status":              {"{from: status}", "x", "201"},
		"header":              {"{from: header, path: x-token}", "x", "FAKE-header"},
		"b64url":              {"{decode: b64url}", "RkFLRS1-_w==", "FAKE-~\xff"},
		"b64url, no padding":  {"{decode: b64url}", "RkFLRS1-_w", "FAKE-~\xff"},
		"b64, other alphabet": {"{decode: b64}", "RkFLRS1-_w", "FAKE-~\xff"},
		"first group":         {"{regex: '(a+)(b+)'}", "xaabbx", "aa"},
		"all of a regex":      {"{regex: 'a+b+'}", "xaabbx", "aabb"},
	} {
		h := newHosts(t, map[string]http.HandlerFunc{"token.example": say(201, "text/plain", c.body, "X-Token", "FAKE-header")})
		got, err := asked(t, h, "http: {method: GET, url: 'https://token.example/', accept_status: [201], outputs: {value: "+c.output+"}}", provider.Environment{})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	for name, c := range map[string]struct{ output, body string }{
		"xml that is none":   {"{from: xml, path: /r/t, required: true}", "<r><t>hunter22"},
		"another root":       {"{from: xml, path: /s/t, required: true}", "<r><t>hunter22</t></r>"},
		"no such element":    {"{from: xml, path: /r/u, required: true}", "<r><t>hunter22</t></r>"},
		"a bomb":             {"{from: xml, path: /r/t, required: true}", "<!DOCTYPE r [<!ENTITY a 'hunter22'>]><r><t>&a;</t></r>"},
		"no parameter":       {"{from: url_query, path: t, required: true}", "https://x/?hunter22=1"},
		"no URL":             {"{from: url_query, path: t, required: true}", "://hunter22"},
		"an object":          {"{from: json, path: $.a, required: true}", `{"a": {"hunter22": 1}}`},
		"null":               {"{from: json, path: $.a, required: true}", `{"a": null, "b": "hunter22"}`},
		"b64url":             {"{decode: b64url}", "hunter22+/"},
		"percent":            {"{decode: urlquery}", "hunter22%zz"},
		"regex finds naught": {"{regex: '^x', required: true}", "hunter22"},
	} {
		h := newHosts(t, map[string]http.HandlerFunc{"token.example": say(200, "text/plain", c.body)})
		_, err := asked(t, h, "http: {method: GET, url: 'https://token.example/', outputs: {value: "+c.output+"}}", provider.Environment{})
		if err == nil || !strings.Contains(err.Error(), "output value") || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenRequest compares what a token service is sent.
func TestTokenRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, want, contentType string }{
		{
			"method: POST, json: {s: '${var.S}', kids: {$each: input.kids, $as: k, $do: '${k | hex}'}, n: 1}",
			`{"s":"FAKE-service-secret","kids":["f81d4fae7dec11d0a76500a0c91e6bf6"],"n":1}`, "application/json",
		},
		{"method: PUT, raw: '<s>${var.S | xml}</s>', content_type: text/xml", "<s>FAKE-service-secret</s>", "text/xml"},
		{"method: POST, raw: '${input.kid}'", string(testKID[:]), "application/octet-stream"},
		{"method: POST, form: {a: 'x &', b: ['1', '2'], c: '${run.id}'}", "a=x+%26&b=1&b=2&c=run-1", "application/x-www-form-urlencoded"},
		{"method: POST, form: {a: '${run.id}', b: '${input.header_la_url | omitempty}'}, content_type: x/y", "a=run-1", "x/y"},
	} {
		h := newHosts(t, map[string]http.HandlerFunc{"token.example": say(200, "text/plain", "FAKE-token")})
		if _, err := asked(t, h, "http: {url: 'https://token.example/p', query: {q: 'a b'}, headers: {X-Kid: '${input.kid | guid}'}, "+c.body+", outputs: {value: {}}}", provider.Environment{RunID: "run-1"}); err != nil {
			t.Errorf("%s: %v", c.body, err)
		}
		seen := h.sent("token.example")
		for _, want := range []string{"]]\n" + c.want + "\n", "/p?q=a%20b\n", "Content-Type:[" + c.contentType + "]", "X-Kid:[f81d4fae-7dec-11d0-a765-00a0c91e6bf6]"} {
			if !strings.Contains(seen, want) {
				t.Errorf("%s: sent %q, which does not hold %q", c.body, seen, want)
			}
		}
	}
}

// TestTokenFiles reads tokens from files of each format.
func TestTokenFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	for name, c := range map[string]struct{ keys, text, want string }{
		"text":       {"", " FAKE-token \r\n", " FAKE-token "},
		"trimmed":    {"trim: true", "\n\t FAKE-token \r\n\n", "FAKE-token"},
		"b64":        {"format: b64, trim: true", " RkFLRS10b2tlbg \n", "FAKE-token"},
		"json":       {"format: json, outputs: {value: {path: $.a.b, required: true}, more: {path: $.c}}", `{"a": {"b": "FAKE-token"}}`, "FAKE-token"},
		"json, b64":  {"format: json, outputs: {value: {path: '$[1]', decode: b64url}}", `[1, "RkFLRS10b2tlbg"]`, "FAKE-token"},
		"no json":    {"format: json, outputs: {value: {path: $.a, required: true}}", "hunter22", "its file: output value is not in the answer"},
		"no b64":     {"format: b64", "hunter22 hunter22", "is not base64"},
		"too short":  {"trim: true", "  hunter2  ", "shorter than 8 bytes"},
		"short json": {"format: json, outputs: {value: {path: $.a, required: true}}", `{"b": "hunter22"}`, "output value is not in the answer"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := boundTo(t, head+"tokens:\n  - {id: t, source: file, file: {path: '"+path+"', "+c.keys+"}}\nrequest: {url: 'https://license.example/', query: {a: '${token.t.value}'}}\n")
		lease, err := p.Lease(t.Context(), testNeed())
		if err != nil {
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			continue
		}
		if got := built(t, p, lease, "").URL.Query().Get("a"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestTTLFrom: a token's end in its three forms, and what is none.
func TestTTLFrom(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1700000060":                time.Unix(1_700_000_060, 0),
		"2023-11-14T22:14:20Z":      time.Unix(1_700_000_060, 0),
		"2023-11-14T23:14:20+01:00": time.Unix(1_700_000_060, 0),
		"+60":                       time.Unix(1_700_000_060, 0),
		"soon":                      {},
		"+":                         {},
		"+1h":                       {},
		"":                          {},
	} {
		h := newHosts(t, map[string]http.HandlerFunc{"token.example": say(200, "application/json", `{"t": "FAKE-token", "e": "`+text+`"}`)})
		vault := secret.NewVault()
		env := provider.Environment{HTTP: h.client(), Clock: fixedClock{}, Vault: vault}
		p, err := parsed(t, head+"tokens:\n  - {id: t, source: http, ttl_from: end, http: {method: GET, url: 'https://token.example/', outputs: {value: {from: json, path: $.t}, end: {from: json, path: $.e}}}}\n"+
			"request: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n").Bind(env)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := p.Lease(t.Context(), testNeed())
		switch {
		case want.IsZero() && (err == nil || !strings.Contains(err.Error(), "its output end is no time: want Unix seconds, RFC 3339, or + and seconds")):
			t.Errorf("%q: %v", text, err)
		case !want.IsZero() && (err != nil || !lease.Expires.Equal(want)):
			t.Errorf("%q: %v, %v; want %v", text, lease, err, want)
		}
		if names := vault.Names([]byte("it ends at " + text)); names != nil {
			t.Errorf("%q counts as the secret %v", text, names)
		}
	}
}

// TestRefreshBefore: a shared token is replaced that long before its end.
func TestRefreshBefore(t *testing.T) {
	t.Parallel()
	server, now := newTokenServer(t, sayJSON), &clock{}
	p := bind(t, tokenProfile(t, "scope: run\n    ttl: 5m\n    refresh_before: 1m"), provider.Environment{HTTP: server.client(), Clock: now})
	for _, c := range []struct{ at, asked, expires int64 }{{0, 1, 300}, {239, 1, 300}, {240, 2, 540}, {479, 2, 540}, {600, 3, 900}} {
		now.seconds.Store(c.at)
		if lease := mustLease(t, p); server.asked.Load() != c.asked || lease.Expires.Unix() != c.expires {
			t.Errorf("after %d s: %d requests, expires at %d s; want %d, %d", c.at, server.asked.Load(), lease.Expires.Unix(), c.asked, c.expires)
		}
	}
}

// TestPublicOutputs are shown, and the vault does not know them.
func TestPublicOutputs(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{"true": "https://license.example/?t=FAKE-public-value", "false": "https://license.example/?t=${token.t.value}"} {
		h := newHosts(t, map[string]http.HandlerFunc{"token.example": say(200, "text/plain", "FAKE-public-value")})
		vault := secret.NewVault()
		p, err := parsed(t, head+"tokens:\n  - {id: t, source: http, public: "+public+", http: {method: GET, url: 'https://token.example/', outputs: {value: {}}}}\n"+
			"request: {url: 'https://license.example/', query: {t: '${token.t.value}'}, headers: {A: '${token.t.value}'}}\n").Bind(provider.Environment{HTTP: h.client(), Vault: vault})
		if err != nil {
			t.Fatal(err)
		}
		r := p.Build(leaseFor(t, p, testNeed()), drm.Message{}, testAt)
		known := vault.Names([]byte("FAKE-public-value")) != nil
		if r.ShownURL() != want || (r.ShownHeader().Get("A") == "FAKE-public-value") != (public == "true") || known == (public == "true") {
			t.Errorf("public %s: %s %v, known to the vault: %v", public, r.ShownURL(), r.ShownHeader(), known)
		}
	}
	refusesAll(t, "a public secret", head+"vars: {S: {secret: true, env: S}}\ntokens: [{id: t, source: template, public: true, value: 'FAKE${var.S}'}]\nrequest: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n",
		"p.yaml:5: tokens[0].public: its value names a secret")
}
