package provider_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onsi/gomega/format"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// everySource is a profile with a secret of every source; DIR is a directory with files.
const everySource = `profile: 1
id: every-source
drm: playready
vars:
  V: {required: true, secret: true, env: V}
  F: {required: true, secret: true, file: DIR/var}
  K: {required: true, secret: true, env: K}
  IV: {required: true, secret: true, env: IV}
tokens:
  - {id: st, source: static, value: "pre-${var.V}"}
  - {id: en, source: env, env: T}
  - {id: fi, source: file, file: {path: DIR/token, trim: true}}
  - {id: js, source: file, file: {path: DIR/json, format: json, outputs: {a: {path: $.a}}}}
  - {id: te, source: template, value: "${var.F | aes_cbc(var.K, var.IV) | b64}"}
  - {id: jw, source: jwt, scope: run, jwt: {key: "${var.K}", claims: {s: "${token.st.value}", exp: "${now | add(300s) | unix}"}}}
  - {id: si, source: signed_json, signed_json: {inner: {c: "${token.en.value}"}, sign: {alg: aes_cbc, key: "${var.K}", key_encoding: utf8, iv: "${var.IV}"}, outer: {i: "${inner_bytes | b64}", s: "${signature | b64}"}}}
  - {id: co, source: command, command: {argv: [cat], stdin: "${var.V}-by-command", env: {S: "${var.F}"}, outputs: {value: {}}}}
  - id: ht
    source: http
    http:
      method: POST
      url: "https://token.example/${var.V | urlpath}"
      headers: {X-F: "${var.F}"}
      json: {all: ["${token.fi.value}", "${token.js.a}", "${token.jw.value}", "${token.si.value}"], keys: {$each: input.keys, $as: k, $do: "${k.cek | hex}"}}
      outputs: {value: {from: json, path: $.t, required: true}}
      errors:
        - {when: {status: [403]}, class: not_entitled, code: {from: json, path: $.c}, message: {from: json, path: $.m}}
  - {id: la, source: template, value: "late-${input.challenge | sha256 | hex}-${var.F}"}
request:
  url: "https://license.example/wv/${token.en.value}"
  query: {t: "${token.ht.value}", st: "${token.st.value}"}
  headers: {X-Fi: "${token.fi.value}", X-Js: "${token.js.a}", X-Te: "${token.te.value}", X-Co: "${token.co.value}", X-La: "${token.la.value}", X-Jw: "${token.jw.value}"}
  content_type: "text/xml; x=${var.V}"
  body: {wrap: json, json: {c: "${challenge}", si: "${token.si.value}"}}
playready:
  custom_data: {template: "<d>${token.te.value}</d>"}
retry: {max: 1}
`

// canaries are the values that nothing may show.
var canaries = map[string]string{
	"V": "FAKE-variable-V", "F": "FAKE-variable-F", "K": "FAKE-key-of-16by", "IV": "FAKE-ivv-of-16by", "T": "FAKE-environment-token",
	"token": "FAKE-file-token", "json": "FAKE-json-token", "http": "FAKE-token-of-the-service", "cek": "0123456789abcdef",
}

// TestEverySourceIsSilent prints everything that a profile with all sources makes, its errors too, and looks for the secrets.
func TestEverySourceIsSilent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"var": canaries["F"], "token": " " + canaries["token"] + "\n", "json": `{"a": "` + canaries["json"] + `"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	for _, c := range canaries {
		all.WriteString(c + " ")
	}
	answer := say(200, "application/json", `{"t": "`+canaries["http"]+`"}`)
	h := newHosts(t, map[string]http.HandlerFunc{"token.example": func(w http.ResponseWriter, r *http.Request) { answer(w, r) }})
	vault := secret.NewVault()
	p, err := parsed(t, strings.ReplaceAll(everySource, "DIR", dir)).Bind(provider.Environment{
		HTTP: h.client(), Vault: vault, AllowExec: true, Clock: fixedClock{},
		Getenv: from("V", canaries["V"], "K", canaries["K"], "IV", canaries["IV"], "T", canaries["T"], "PATH", os.Getenv("PATH")),
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	show := func(v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		out.WriteString(format.Object(v, 1))
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
	}
	need := testNeed()
	lease := leaseFor(t, p, need)
	forged, err := p.ForgedLease(t.Context(), need, provider.Forgery{End: -1e12, OtherKey: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*provider.Lease{lease, forged, lease.WithoutToken(), lease.WithAlteredToken()} {
		r := p.Build(l, drm.Message{Kind: drm.KindLicense, Body: []byte("challenge")}, testAt)
		q := built(t, p, l, "challenge")
		if l == lease {
			sent := q.URL.String() + fmt.Sprint(q.Header) + bodyOf(t, q) + string(l.CustomData.Reveal()) + h.sent("token.example")
			for _, name := range []string{"V", "F", "T", "token", "json", "http"} {
				if !strings.Contains(sent, canaries[name]) {
					t.Errorf("%s is not sent at all: the test tests nothing", name)
				}
			}
		}
		next, err := p.Redirected(r, 307, http.Header{"Location": {"/x"}}, 0)
		show(err)
		for _, v := range []any{p, *p, l, *l, need, r, *r, r.ShownURL(), r.ShownHeader(), struct{ R *provider.Request }{r}, next, p.TokenTraits(), p.Origins()} {
			show(v)
		}
	}
	for _, status := range []int{200, 302, 400, 403, 500} {
		for _, body := range []string{all.String(), `{"c": "` + all.String() + `", "m": "no: ` + all.String() + `"}`, "<html>" + all.String(), `{"t": ["` + all.String() + `"]}`} {
			answer = say(status, "application/json", body, "Location", "://"+all.String())
			if _, err := p.Lease(t.Context(), need); err == nil {
				t.Errorf("HTTP %d %s: a lease without a token", status, body)
			} else {
				show(err)
				var token *provider.TokenError
				if errors.As(err, &token) {
					show(token)
					show(token.Matched)
				}
			}
		}
	}
	show(breakFiles(t, p, dir, need))
	garble(t, canaries["V"]+" "+canaries["V"], need)
	for name, value := range canaries {
		if vault.Names([]byte("x "+value)) == nil {
			t.Errorf("the vault was not told %s", name)
		}
	}
	if names := vault.Names(out.Bytes()); names != nil {
		at := vault.Redact(out.String())
		i := strings.Index(at, "‹redacted:")
		t.Errorf("%v is in the output, first: %q", names, at[max(0, i-300):min(len(at), i+100)])
	}
}

// breakFiles returns the error of a lease without one of its files.
func breakFiles(t *testing.T, p *provider.Profile, dir string, need provider.Need) error {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "json"), []byte(canaries["json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := p.Lease(t.Context(), need)
	if err == nil {
		t.Error("a lease although a file is broken")
	}
	return err
}

// garble asks a token service that speaks no HTTP and says all that it knows.
func garble(t *testing.T, words string, need provider.Need) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			fmt.Fprintf(c, "%s\r\n\r\n", words)
			c.Close()
		}
	}()
	text := head + "vars: {V: {secret: true, env: V}}\ntokens: [{id: t, source: http, http: {method: GET, url: 'http://" + listener.Addr().String() + "/', headers: {A: '${var.V}'}, outputs: {value: {}}}}]\nrequest: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n"
	other := boundTo(t, text, "V", canaries["V"])
	_, err = other.Lease(t.Context(), need)
	if err == nil {
		t.Error("a lease of a service that speaks no HTTP")
	}
	if !strings.Contains(fmt.Sprint(err), "malformed HTTP") {
		t.Errorf("the service's words are not looked at: %v", err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v ", err, err)+format.Object(err, 1), canaries["V"]) {
		t.Errorf("the service's words are told: %v", err)
	}
}
