package provider_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// TestTokenRedirects follows redirects of token services by each policy. Nothing secret ever reaches another host.
func TestTokenRedirects(t *testing.T) {
	t.Parallel()
	const canary = "FAKE-service-secret"
	const post, get = "method: POST, form: {s: '${var.S}'}", "method: GET"
	const named, keyed = "method: POST, form: {k: x}, headers: {X-Key: '${var.S}'}", "method: POST, json: {$each: input.keys, $as: k, $do: '${k.cek | hex}'}"
	for name, c := range map[string]struct {
		policy, request string
		status          int
		to              string
		want            string // of the error; "": a token
		at              string // the host that is asked last
		sent            string // the request that follows
	}{
		"none":                        {"none", get, 302, "https://token.example/2", "HTTP 302", "token.example", ""},
		"same origin":                 {"same_origin", post, 307, "/2", "", "token.example", "POST /2\nbody s=" + canary},
		"same origin, 308":            {"same_origin", post, 308, "https://token.example:443/2", "", "token.example", "POST /2\nbody s=" + canary},
		"302 makes GET":               {"same_origin", post, 302, "/2?x=1", "", "token.example", "GET /2?x=1\nbody "},
		"303 makes GET":               {"any", post, 303, "2", "", "token.example", "GET /2\nbody "},
		"301 makes GET":               {"any", get, 301, "/2", "", "token.example", "GET /2\nbody "},
		"other host, same_origin":     {"same_origin", get, 302, "https://other.example/2", "leads to another host", "token.example", ""},
		"other port, same_origin":     {"same_origin", get, 302, "https://token.example:8443/2", "leads to another host", "token.example", ""},
		"other scheme, same_origin":   {"same_origin", get, 302, "http://token.example/2", "leads to another host", "token.example", ""},
		"other host, nothing secret":  {"any", get, 302, "https://other.example/2", "", "other.example", "GET /2\nbody "},
		"other host, 307 and body":    {"any", "method: POST, form: {k: x}", 307, "https://other.example/2", "", "other.example", "POST /2\nbody k=x"},
		"other host, secret body":     {"any", post, 307, "https://other.example/2", "the request's secrets must not go to another host", "token.example", ""},
		"other host, 302, was secret": {"any", post, 302, "https://other.example/2", "the request's secrets must not go to another host", "token.example", ""},
		"other host, secret header":   {"any", named, 302, "https://other.example/2", "the request's secrets must not go to another host", "token.example", ""},
		"other host, content keys":    {"any", keyed, 302, "https://other.example/2", "the request's secrets must not go to another host", "token.example", ""},
		"other host, secret query":    {"any", "method: GET, query: {s: '${var.S}'}", 302, "https://other.example/2", "the request's secrets must not go to another host", "token.example", ""},
		"secret and same host":        {"any", named, 302, "/2", "", "token.example", "GET /2\nbody "},
		"no URL":                      {"any", get, 302, "://hunter22", "Location is no URL", "token.example", ""},
		"script":                      {"any", get, 302, "javascript:alert(1)", "its Location is no URL", "token.example", ""},
		"file":                        {"any", get, 302, "file:///etc/passwd", "its Location is no URL", "token.example", ""},
		"user":                        {"any", get, 302, "https://u:hunter22@other.example/", "its Location is no URL", "token.example", ""},
		"plain http elsewhere":        {"any", get, 302, "http://other.example/2", "plain http to another machine", "token.example", ""},
		"for ever":                    {"any", get, 302, "/", "has done so 3 times already", "token.example", ""},
		"no location":                 {"any", get, 302, "", "HTTP 302", "token.example", ""},
		"not modified":                {"any", get, 304, "/2", "HTTP 304", "token.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/2") {
					fmt.Fprint(w, "FAKE-token-value")
					return
				}
				if c.to != "" {
					w.Header().Set("Location", c.to)
				}
				w.WriteHeader(c.status)
			}
			h := newHosts(t, map[string]http.HandlerFunc{"token.example": answer, "other.example": answer})
			got, err := asked(t, h, "http: {url: 'https://token.example/', redirects: "+c.policy+", "+c.request+", outputs: {value: {}}}", provider.Environment{})
			if c.want == "" && (err != nil || got != "FAKE-token-value") || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "hunter22")) {
				t.Errorf("the error tells a secret: %v", err)
			}
			foreign := h.sent("other.example")
			for _, secret := range []string{canary, "30313233343536373839616263646566", "X-Key"} {
				if strings.Contains(foreign, secret) {
					t.Errorf("the other host was sent %q", foreign)
				}
			}
			if (foreign != "") != (c.at == "other.example") {
				t.Errorf("the other host was sent %q", foreign)
			}
			if line, body, _ := strings.Cut(c.sent, "\nbody "); c.sent != "" && (!strings.Contains(h.sent(c.at), line+"\n") || !strings.HasSuffix(h.sent(c.at), "]]\n"+body+"\n")) {
				t.Errorf("%s was sent %q, want %q and the body %q", c.at, h.sent(c.at), line, body)
			}
		})
	}
}

// redirecting returns a profile with a policy of redirects and a token in a header.
func redirecting(policy, more string) string {
	return head + "vars: {S: {secret: true, env: S, required: true}, V: {default: open}}\nrequest:\n  url: https://license.example/wv?a=b\n  compress: gzip\n  accept: x/y\n  headers: {X-Token: '${var.S}', X-Open: '${var.V}', x-NAMED: FAKE}\n" +
		"redirects: {" + policy + "}\nsecrets: {headers: [X-Named]}\n" + more
}

// TestRedirectPolicies: which redirects of a license request are followed, where to, and with which headers.
func TestRedirectPolicies(t *testing.T) {
	t.Parallel()
	own := []string{"Content-Type", "Content-Encoding", "Accept"}
	all := append([]string{"X-Token", "X-Open", "x-NAMED"}, own...)
	for name, c := range map[string]struct {
		policy string
		status int
		to     string
		hops   int
		url    string // "": none
		want   string // of the error
		header []string
	}{
		"none":                    {"policy: none", 307, "/x", 0, "", "", nil},
		"none by default":         {"", 307, "/x", 0, "", "", nil},
		"kept":                    {"policy: follow_307_308", 307, "/x", 0, "https://license.example/x", "", all},
		"kept, 308":               {"policy: follow_307_308", 308, "x?y=1", 0, "https://license.example/x?y=1", "", all},
		"302 is not kept":         {"policy: follow_307_308", 302, "/x", 0, "", "", nil},
		"any, 301":                {"policy: any", 301, "/x", 0, "https://license.example/x", "", all},
		"any, 302":                {"policy: any", 302, "//license.example/x", 0, "https://license.example/x", "", all},
		"any, 303":                {"policy: any", 303, "https://license.example:443/x", 0, "https://license.example:443/x", "", all},
		"any, 304":                {"policy: any", 304, "/x", 0, "", "", nil},
		"any, 300":                {"policy: any", 300, "/x", 0, "", "", nil},
		"any, 200":                {"policy: any", 200, "/x", 0, "", "", nil},
		"no location":             {"policy: any", 307, "", 0, "", "", nil},
		"third":                   {"policy: any", 307, "/x", 2, "https://license.example/x", "", all},
		"fourth":                  {"policy: any", 307, "/x", 3, "", "one more redirect after 3", nil},
		"second of one":           {"policy: any, max: 1", 307, "/x", 1, "", "one more redirect after 1", nil},
		"other host":              {"policy: any", 307, "https://other.example/x", 0, "https://other.example/x", "", own},
		"other host, open header": {"policy: any, keep_headers_cross_origin: true", 307, "https://other.example/x", 0, "https://other.example/x", "", append([]string{"X-Open"}, own...)},
		"other port":              {"policy: any", 307, "https://license.example:8443/x", 0, "https://license.example:8443/x", "", own},
		"to plain http":           {"policy: any", 307, "http://license.example/x", 0, "", "from https to http", nil},
		"to plain http, loopback": {"policy: any", 307, "http://127.0.0.1/x", 0, "", "from https to http", nil},
		"garbage":                 {"policy: any", 307, "http://[::1", 0, "", "Location is no URL", nil},
		"control characters":      {"policy: any", 307, "https://x/\x7f", 0, "", "Location is no URL", nil},
		"script":                  {"policy: any", 307, "javascript:alert(1)", 0, "", "want an absolute http or https URL", nil},
		"no host":                 {"policy: any", 307, "https:///x", 0, "", "want an absolute http or https URL", nil},
		"user":                    {"policy: any", 307, "https://u:hunter22@other.example/x", 0, "", "must not hold a user name or password", nil},
	} {
		p := boundTo(t, redirecting(c.policy, ""), "S", "FAKE-redirect-secret")
		r := p.Build(leaseFor(t, p, testNeed()), drm.Message{Kind: drm.KindLicense, Body: []byte("challenge")}, testAt)
		header := http.Header{}
		if c.to != "" {
			header.Set("Location", c.to)
		}
		next, err := p.Redirected(r, c.status, header, c.hops)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter22")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if (next == nil) != (c.url == "") {
			t.Errorf("%s: %v, want %q", name, next, c.url)
		}
		if next == nil {
			continue
		}
		if next.URL != c.url || next.Method != "POST" || string(next.Body) != string(r.Body) || len(next.Body) == 0 || len(next.Header) != len(c.header) {
			t.Errorf("%s: %s %s, %d bytes, header %v; want %s and %v", name, next.Method, next.URL, len(next.Body), next.ShownHeader(), c.url, c.header)
		}
		for _, h := range c.header {
			if next.Header[h] == nil {
				t.Errorf("%s: %s is missing in %v", name, h, next.ShownHeader())
			}
		}
		if strings.Contains(fmt.Sprint(next, next.ShownHeader()), "FAKE-redirect-secret") || r.Header["X-Token"] == nil {
			t.Errorf("%s: %v tells a secret, or the first request was changed", name, next)
		}
	}
}

// TestRedirectedBodies: a body that holds a secret stays with its host.
func TestRedirectedBodies(t *testing.T) {
	t.Parallel()
	const location, header = "https://other.example/x", "redirects: {policy: any}\n"
	widevine := head + header + "vars: {S: {secret: true, env: S, required: true}}\n"
	playReady := strings.Replace(widevine, "widevine", "playready", 1)
	late := "tokens:\n  - {id: t, source: jwt, jwt: {key: '${var.S}', claims: {c: '${input.challenge | b64}'}}}\n"
	for name, c := range map[string]struct {
		text    string
		refused bool
	}{
		"raw":                  {widevine + "request: {url: 'https://license.example/', headers: {A: '${var.S}'}}\n", false},
		"token":                {widevine + late + "request: {url: 'https://license.example/', body: {wrap: token, token: t}}\n", true},
		"token in JSON":        {widevine + late + "request: {url: 'https://license.example/', body: {wrap: json, json: {c: '${challenge}', t: '${token.t.value}'}}}\n", true},
		"secret in form":       {widevine + "request: {url: 'https://license.example/', body: {wrap: form, form: {c: '${challenge}', s: '${var.S}'}}}\n", true},
		"open form":            {widevine + "request: {url: 'https://license.example/', headers: {A: '${var.S}'}, body: {wrap: form, form: {c: '${challenge}'}}}\n", false},
		"secret in envelope":   {widevine + "request: {url: 'https://license.example/', body: {wrap: envelope, envelope: '<a>${challenge}${var.S}</a>'}}\n", true},
		"custom data":          {playReady + "tokens: [{id: t, source: env, env: S}]\nrequest: {url: 'https://license.example/', query: {s: '${var.S}'}}\nplayready: {custom_data: {template: '${token.t.value}'}}\n", true},
		"custom data, open":    {playReady + "request: {url: 'https://license.example/', query: {s: '${var.S}'}}\nplayready: {custom_data: {template: '${run.id}'}}\n", false},
		"custom data, secrets": {playReady + "request: {url: 'https://license.example/'}\nplayready: {custom_data: {template: '${var.S}'}}\n", true},
	} {
		p := boundTo(t, c.text, "S", "FAKE-redirect-secret")
		r := p.Build(leaseFor(t, p, testNeed()), drm.Message{Kind: drm.KindLicense, Body: []byte("challenge")}, testAt)
		next, err := p.Redirected(r, 307, http.Header{"Location": {location}}, 0)
		if c.refused != (err != nil) || c.refused != (next == nil) || err != nil && !strings.Contains(err.Error(), "leads to another host, and the body holds") {
			t.Errorf("%s: %v, %v; want refused %v", name, next, err, c.refused)
		}
		if same, err := p.Redirected(r, 307, http.Header{"Location": {"/y"}}, 0); err != nil || string(same.Body) != string(r.Body) {
			t.Errorf("%s, same host: %v, %v", name, same, err)
		}
		if next == nil {
			continue
		}
		if again, err := p.Redirected(next, 307, http.Header{"Location": {"https://license.example/"}}, 1); err != nil || again.Header["A"] != nil {
			t.Errorf("%s: headers that were taken off come back: %v, %v", name, again, err)
		}
	}
}

// TestRedirectedFromLoopback: what is sent to this machine in the clear must not leave it so.
func TestRedirectedFromLoopback(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+"request: {url: 'http://127.0.0.1:8080/'}\nredirects: {policy: any}\n")
	r := p.Build(leaseFor(t, p, testNeed()), drm.Message{Body: []byte("x")}, testAt)
	for to, good := range map[string]bool{"http://other.example/": false, "http://localhost:9/": true, "https://other.example/": true} {
		if _, err := p.Redirected(r, 307, http.Header{"Location": {to}}, 0); (err == nil) != good {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func FuzzRedirected(f *testing.F) {
	for _, to := range []string{"/x", "//other.example", "https://license.example/", "http://[::1", "javascript:x", "https://u:p@h", "\x00", "?a=b", "#f", "https://license.example:443\\@other.example/"} {
		f.Add(307, to)
	}
	p := boundTo(f, redirecting("policy: any", ""), "S", "FAKE-redirect-secret")
	r := p.Build(leaseFor(f, p, testNeed()), drm.Message{Body: []byte("x")}, testAt)
	f.Fuzz(func(t *testing.T, status int, to string) {
		next, err := p.Redirected(r, status, http.Header{"Location": {to}}, 0)
		if err != nil || next == nil {
			return
		}
		q, err := next.HTTP(t.Context())
		if err != nil {
			t.Fatalf("%q was accepted and cannot be sent: %v", to, err)
		}
		if q.URL.Scheme != "https" || q.URL.Host == "" || q.URL.User != nil {
			t.Errorf("%q leads to %s", to, q.URL)
		}
		home := q.URL.Hostname() == "license.example" && (q.URL.Port() == "" || q.URL.Port() == "443")
		if _, sent := q.Header["X-Token"]; sent != home {
			t.Errorf("%q: the token is sent to %s: %v", to, q.URL.Host, sent)
		}
	})
}
