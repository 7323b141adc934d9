package provider_test

import (
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// TestEmptyAndTruncatedTokens: the carrier stays, what it carries does not.
func TestEmptyAndTruncatedTokens(t *testing.T) {
	t.Parallel()
	const token = "FAKE-token-0123"
	for name, c := range map[string]struct {
		request       string
		empty, halved func(q string, header string, body string) bool
	}{
		"query":  {"query: {t: '${token.t.value}', u: v}", func(q, _, _ string) bool { return q == "t=&u=v" }, func(q, _, _ string) bool { return q == "t=FAKE-to&u=v" }},
		"header": {"headers: {X-Token: 'Bearer ${token.t.value}'}", func(_, h, _ string) bool { return h == "" }, func(_, h, _ string) bool { return h == "Bearer FAKE" }},
		"json": {
			"body: {wrap: json, json: {c: '${challenge}', t: '${token.t.value}'}}",
			func(_, _, b string) bool { return b == `{"c":"Yw==","t":""}` }, func(_, _, b string) bool { return b == `{"c":"Yw==","t":"FAKE-to"}` },
		},
	} {
		p := boundTo(t, head+"tokens: [{id: t, source: env, env: T}]\nrequest: {url: 'https://license.example/', "+c.request+"}\n", "T", token)
		for kind, spoil := range map[string]struct {
			lease func(*provider.Lease) *provider.Lease
			want  func(q, header, body string) bool
		}{"empty": {(*provider.Lease).WithEmptyToken, c.empty}, "truncated": {(*provider.Lease).WithTruncatedToken, c.halved}} {
			q := built(t, p, spoil.lease(leaseFor(t, p, testNeed())), "c")
			header, there := q.Header["X-Token"]
			if name == "header" && !there {
				t.Errorf("%s %s: the header is gone", name, kind)
			}
			text := ""
			if there {
				text = header[0]
			}
			if body := bodyOf(t, q); !spoil.want(q.URL.RawQuery, text, body) {
				t.Errorf("%s %s: %s %v %s", name, kind, q.URL.RawQuery, q.Header, body)
			}
		}
	}
	p := boundTo(t, head+"tokens: [{id: t, source: static, value: 'https://license.example/a?b=FAKE-token', public: true}]\nrequest: {url: '${token.t.value}'}\n", "T", token)
	lease := leaseFor(t, p, testNeed())
	for want, l := range map[string]*provider.Lease{"https://license.example/a?b=": lease.WithEmptyToken(), "https://license.example/a?b=FAKE-": lease.WithTruncatedToken()} {
		if r := p.Build(l, drm.Message{Kind: drm.KindLicense}, testAt); r.URL != want {
			t.Errorf("in the URL: %s, want %s", r.URL, want)
		}
	}
}
