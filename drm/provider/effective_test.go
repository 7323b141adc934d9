package provider_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

const explained = `profile: 1
id: test
drm: widevine
vars:
  HOST: {default: license.example}
  SITE: {env: SITE, help: of the customer}
  KEY: {secret: true, required: true, env: KEY}
  FILED: {secret: true, file: FILE}
  GIVEN: {default: 3}
tokens:
  - {id: t, source: jwt, jwt: {key: "${var.KEY}", claims: {exp: "${now | add(300s) | unix}", site: "${var.SITE}"}}}
request:
  url: "https://${var.HOST}/wv"
  query: {site: "${var.SITE}-${var.GIVEN}", secret: "${var.FILED}"}
  headers: {Authorization: "${token.t.value}"}
response: {ok_status: [200, 201]}
variants:
  - {id: plain, patch: {}}
  - {id: other, patch: {request: {query: {site: another}}, response: {ok_status: null}}}
`

// TestSettings tells values, what they are made of and where they stand, and no secret.
func TestSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("canary-in-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := parsed(t, strings.Replace(explained, "FILE}", file+"}", 1)).Bind(provider.Environment{
		Getenv: from("KEY", "canary-key-0123", "SITE", "acme"), Vars: map[string]string{"GIVEN": "4"}, Vault: secret.NewVault(),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := func(p *provider.Profile, path, value, source string) {
		t.Helper()
		for _, s := range p.Settings() {
			if s.Path == path {
				if s.Value != value || s.Source != source {
					t.Errorf("%s: %+v, want %q from %q", path, s, value, source)
				}
				return
			}
		}
		t.Errorf("no setting %s", path)
	}
	want(p, "request.url", "https://license.example/wv", "p.yaml:13")
	want(p, "request.query.site", "acme-4", "p.yaml:14")
	want(p, "request.query.secret", "${var.FILED}", "p.yaml:14")
	want(p, "request.headers.Authorization", "${token.t.value}", "p.yaml:15")
	want(p, "response.ok_status", "[200, 201]", "p.yaml:16")
	want(p, "tokens[0].jwt.claims.site", "acme", "p.yaml:11")
	want(p, "tokens[0].jwt.claims.exp", "${now | add(300s) | unix}", "p.yaml:11")
	want(p, "tokens[0].jwt.alg", "HS256", "default")
	want(p, "request.method", "POST", "default")
	want(p, "redirects.max", "3", "default")
	other, err := p.WithVariant("other")
	if err != nil {
		t.Fatal(err)
	}
	want(other, "request.query.site", "another", "p.yaml:19, variant other")
	want(other, "request.query.secret", "${var.FILED}", "p.yaml:14")
	want(other, "response.ok_status", "[200]", "default")

	sources := map[string]string{}
	for _, v := range p.Explained() {
		sources[v.Name] = v.Source
		if strings.Contains(v.Value, "canary") || v.Lacking != "" {
			t.Errorf("%+v", v)
		}
		if v.Secret && (!strings.HasPrefix(v.Value, "‹redacted:"+v.Name+":") || v.Bytes < 15) {
			t.Errorf("%+v", v)
		}
	}
	for name, source := range map[string]string{
		"HOST": "default, p.yaml:5", "SITE": "environment variable SITE", "KEY": "environment variable KEY", "FILED": "file " + file, "GIVEN": "--var GIVEN",
	} {
		if sources[name] != source {
			t.Errorf("%s from %q, want %q", name, sources[name], source)
		}
	}
}

// TestExplainedLacking says where a value that was made up ought to come from.
func TestExplainedLacking(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none")
	text := strings.Replace(explained, "FILED: {secret: true, file: FILE}", "FILED: {secret: true, required: true, file: "+missing+"}", 1)
	if _, err := parsed(t, text).Bind(provider.Environment{Getenv: from("KEY", "canary-key-0123")}); err == nil || !strings.Contains(err.Error(), "FILED: read its file") {
		t.Errorf("%v", err)
	}
	p, err := parsed(t, text).Bind(provider.Environment{Getenv: from(), Resolve: provider.Invent})
	if err != nil {
		t.Fatal(err)
	}
	lacking := map[string]string{}
	for _, v := range p.Explained() {
		lacking[v.Name] = v.Lacking
	}
	if lacking["KEY"] != "set the environment variable KEY" || lacking["FILED"] != "put it into "+missing || lacking["HOST"] != "" {
		t.Errorf("%v", lacking)
	}
}

// TestRehearse asks nobody, tells what it made up, and makes what it can.
func TestRehearse(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+`tokens:
  - {id: asked, source: http, cost_unit: coin, ttl_from: end, http: {url: "https://token.example/", form: {a: b}, outputs: {url: {from: body, required: true}, value: {from: body}, end: {from: body}}}}
  - {id: set, source: env, env: SET}
  - {id: unset, source: env, env: UNSET}
  - {id: made, source: jwt, jwt: {key: FAKE-key-012345, claims: {a: "${token.asked.value}"}}}
request: {url: "${token.asked.url}", headers: {A: "${token.set.value}", B: "${token.unset.value}", C: "${token.made.value}"}}
`, "SET", "FAKE-set-value")
	lease, invented, err := p.Rehearse(testNeed())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, i := range invented {
		ids = append(ids, i.Token)
		if i.Why == "" {
			t.Errorf("%+v", i)
		}
	}
	if !slices.Equal(ids, []string{"asked", "unset"}) {
		t.Errorf("invented %v", ids)
	}
	q := built(t, p, lease, "challenge")
	if q.URL.Host != "named-by-token-asked.invalid" || q.Header["A"][0] != "FAKE-set-value" || q.Header["B"][0] != "FAKE-unset-value" || !strings.HasPrefix(q.Header["C"][0], "eyJ") {
		t.Errorf("%s %v", q.URL, q.Header)
	}
	steps := p.TokenSteps()
	if len(steps) != 4 || steps[0].CostUnit != "coin" || !steps[0].Remote() || steps[0].Endpoint.Host != "token.example" || steps[3].Remote() {
		t.Errorf("%+v", steps)
	}
}

// TestInventURL: a profile whose URLs are variables can be bound without any value, unless a pattern says more.
func TestInventURL(t *testing.T) {
	t.Parallel()
	p := parsed(t, head+"vars: {LICENSE_URL: {required: true, env: A}, OTHER: {required: true, env: B}}\nrequest: {url: \"${var.LICENSE_URL}\", headers: {X: \"${var.OTHER}\"}}\n")
	bound, err := p.Bind(provider.Environment{Getenv: from(), Resolve: p.Invent})
	if err != nil || bound.Request.URL != "https://license-url.invalid/" || p.Invent("OTHER", p.Vars["OTHER"])[:4] != "FAKE" {
		t.Errorf("%v, %v", bound, err)
	}
	if got := p.Invent("LICENSE_URL", provider.Var{Required: true, Pattern: "^[0-9]{8}$"}); len(got) != 8 {
		t.Errorf("%q does not fit the pattern", got)
	}
}

// TestTokenSteps: a URL that names another token, or the content, is not known before; a secret one is told by its host.
func TestTokenSteps(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+`vars: {S: {secret: true, env: S}}
tokens:
  - {id: a, source: http, http: {url: "https://one.example/${var.S}/x?q=1", form: {a: b}, outputs: {value: {from: body}}}}
  - {id: b, source: http, http: {url: "${token.a.value}", form: {a: b}, outputs: {value: {from: body}}}}
  - {id: c, source: signed_json, signed_json: {inner: {p: "${input.challenge | b64}", b: "${token.b.value}"}, sign: {alg: hmac, key: FAKE-key-0123, key_encoding: utf8}, outer: {s: "${signature | b64}", r: "${inner_bytes | b64}"}}}
request: {url: "https://license.example/", body: {wrap: token, token: c}}
`, "S", "canary-path")
	steps := p.TokenSteps()
	if len(steps) != 3 || steps[0].Endpoint.String() != "https://one.example/" || steps[1].Endpoint != nil || !slices.Equal(steps[1].Names, []string{"a"}) || !steps[2].Late {
		t.Errorf("%+v", steps)
	}
}
