package doctor_test

import (
	"os"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/suites/doctor"
)

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const secretToken = "canary-token-0123456789"

// TestRender tells method, URL, query, headers and the structure of the body, and no secret.
func TestRender(t *testing.T) {
	t.Parallel()
	c := newCase(t, `profile: 1
id: test
drm: widevine
vars: {SITE: {default: "my site"}, HOST: {default: license.example}}
tokens:
  - {id: t, source: env, env: TOKEN}
  - {id: asked, source: http, http: {url: "https://token.example/", form: {a: "${token.t.value}"}, outputs: {value: {from: body}}}}
request:
  url: "https://${var.HOST}/wv"
  query: {site: "${var.SITE}", t: "${token.asked.value}"}
  headers: {X-Plain: yes-please, X-Token: "${token.t.value}"}
  compress: gzip
  body: {wrap: json, json: {payload: "${challenge}", token: "${token.t.value}", deep: {list: [1, true], inner: "{\"a\": 1}"}}}
certificate: {mode: url, url: "https://${var.HOST}/cert", method: GET}
`, "TOKEN", secretToken)
	rendered := c.Render(t.Context())
	if len(rendered) != 2 || rendered[0].Kind != drm.KindLicense || rendered[1].Kind != drm.KindCertificate {
		t.Fatalf("%+v", rendered)
	}
	license, certificate := rendered[0], rendered[1]
	has := func(vs []doctor.Value, name, value string) {
		t.Helper()
		for _, v := range vs {
			if v.Name == name && v.Value == value {
				return
			}
		}
		t.Errorf("no %s %q in %+v", name, value, vs)
	}
	if license.Method != "POST" || license.URL != "https://license.example/wv" || license.Problem != "" || !strings.HasPrefix(license.Body.Form, "JSON, compressed with gzip") {
		t.Errorf("%+v", license)
	}
	has(license.Query, "site", "my+site")
	has(license.Query, "t", "${token.asked.value}")
	has(license.Header, "X-Plain", "yes-please")
	has(license.Header, "X-Token", "‹redacted›, 23 characters")
	has(license.Body.Parts, "$.token", "text, 23 characters")
	has(license.Body.Parts, "$.deep.list", "a list of 2")
	has(license.Body.Parts, "$.deep.inner (JSON).a", "a number")
	if len(license.Invented) != 1 || license.Invented[0].Token != "asked" {
		t.Errorf("invented %+v", license.Invented)
	}
	if certificate.Method != "GET" || certificate.URL != "https://license.example/cert" || certificate.Body.Form != "empty" {
		t.Errorf("%+v", certificate)
	}
	d := doctor.Document{Requests: rendered, Settings: doctor.SettingsOf(nil)}
	d.Redact(c.Vault)
	if text := strings.Join([]string{license.URL, license.Body.Form}, " "); strings.Contains(text, secretToken) {
		t.Error("the token is shown")
	}
}

// TestRenderForms: forms and envelopes are told by their parts.
func TestRenderForms(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{wrap: form, form: {a: b, payload: "${challenge}"}}`:                                       "a=1 characters",
		`{wrap: envelope, envelope: "<order><id>4711</id><c>${challenge}</c></order>"}`:             "/order/id=text, 4 characters",
		`{wrap: json, encoding: bytes_array, json: {list: "${challenge}", none: null}}`:             "$.none=null",
		`{wrap: json, encoding: hex, json: {inner: "${challenge}", more: {x: "eyJhIjp0cnVlfQ=="}}}`: "$.more.x (base64 of JSON).a=true or false",
	} {
		c := newCase(t, strings.Replace(plain("https://license.example/wv", ""), `"}`, `", body: `+body+`}`, 1))
		r := c.Render(t.Context())[0]
		var parts []string
		for _, p := range r.Body.Parts {
			parts = append(parts, p.Name+"="+p.Value)
		}
		if r.Problem != "" || !strings.Contains(strings.Join(parts, "\n"), want) {
			t.Errorf("%s: %q, want %q\n%+v", body, parts, want, r.Problem)
		}
	}
}

// TestRenderFails tells why, where a request cannot be made.
func TestRenderFails(t *testing.T) {
	t.Parallel()
	c := newCase(t, `profile: 1
id: test
drm: widevine
vars: {KEY: {secret: true, required: true, env: KEY}}
tokens:
  - id: t
    source: signed_json
    signed_json: {inner: {p: "${input.challenge | b64}"}, sign: {alg: hmac, key: "${var.KEY}", key_encoding: hex}, outer: {r: "${inner_bytes | b64}", s: "${signature | b64}"}}
request: {url: "https://license.example/wv", body: {wrap: token, token: t}}
`, "KEY", "canary-no-hex")
	if r := c.Render(t.Context())[0]; !strings.Contains(r.Problem, "key_encoding") || strings.Contains(r.Problem, "canary") {
		t.Errorf("%+v", r)
	}
}
