package provider_test

import (
	"bytes"
	"context"
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

// TestCanaries prints everything that a profile with secrets makes, errors included, and looks for the secrets by value
// and in every encoding that a vault knows.
func TestCanaries(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	say := http.HandlerFunc(sayURL)
	server := newTokenServer(t, func(w http.ResponseWriter, r *http.Request) { say(w, r) })
	env := provider.Environment{HTTP: server.client(), Budget: provider.NewBudget(9), Vault: vault}
	var out bytes.Buffer
	show := func(v any) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		out.WriteString(format.Object(v, 1))
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
	}
	for _, variant := range []string{"token-in-query", "token-in-header"} {
		p := expressPlay(t, variant, env)
		need := expressPlayNeed()
		lease, err := p.Lease(t.Context(), need)
		if err != nil {
			t.Fatal(err)
		}
		r := p.Build(lease, drm.Message{Kind: drm.KindLicense}, provider.At{})
		reply := p.Read(drm.KindLicense, 401, nil, []byte("-2018"))
		for _, v := range []any{p, *p, lease, *lease, need, r, *r, r.ShownURL(), r.ShownHeader(), reply, struct{ R *provider.Request }{r}} {
			show(v)
		}
		refused := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("nobody is there")
		}}}
		q, err := r.HTTP(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = refused.Do(q)
		show(provider.NewTransportError(err, false))
	}
	for _, body := range []string{authenticator, "<html>" + authenticator, `{"error": -2018, "you": "` + authenticator + `"}`} {
		for _, status := range []int{200, 302, 400, 401, 500} {
			say = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}
			if _, err := expressPlay(t, "", provider.Environment{HTTP: server.client(), Budget: provider.NewBudget(1)}).Lease(t.Context(), expressPlayNeed()); err == nil {
				t.Errorf("%d %s: a lease without a token", status, body)
			} else {
				show(err)
			}
		}
	}
	for name, value := range map[string]string{"authenticator": authenticator, "token": tokenValue, "key": "0123456789abcdef"} {
		if names := vault.Names([]byte("x " + value)); len(names) == 0 {
			t.Errorf("the vault was not told the %s", name)
		}
	}
	if names := vault.Names(out.Bytes()); names != nil {
		t.Errorf("%v is in the output:\n%s", names, vault.Redact(out.String()))
	}
	if !strings.Contains(out.String(), "ExpressPlayToken=${token.ep.value}") {
		t.Error("the shown URL does not show its template")
	}
}

// TestBindErrors holds what a wrong environment is told, all at once and without the values.
func TestBindErrors(t *testing.T) {
	t.Parallel()
	p, err := provider.Load("../../fixtures/profiles/expressplay-widevine-test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  provider.Environment
		want []string
	}{
		"nothing":     {provider.Environment{Getenv: func(string) string { return "" }}, []string{"EP_AUTHENTICATOR", "set the environment variable EP_CUSTOMER_AUTHENTICATOR"}},
		"pattern":     {provider.Environment{Getenv: func(string) string { return "hunter22hunter22" }}, []string{"EP_AUTHENTICATOR", "pattern"}},
		"flag":        {provider.Environment{Getenv: environ, Vars: map[string]string{"EP_AUTHENTICATOR": "hunter22"}}, []string{"environment or file"}},
		"two at once": {provider.Environment{Getenv: environ, Vars: map[string]string{"HDCP": "7", "SECURITY_LEVEL": "x", "HDPC": "1"}}, []string{"HDCP: is none of", "whole number", `did you mean "HDCP"?`}},
	} {
		_, err := p.Bind(c.env)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v does not say %q", name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: the error prints a secret: %v", name, err)
		}
	}
}

// TestSecretSources reads secrets from files and the environment, and refuses short ones.
func TestSecretSources(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	parse := func(token string) *provider.Profile {
		p, err := provider.Parse("s.yaml", []byte("profile: 1\nid: s\ndrm: widevine\nvars:\n  S: {secret: true, required: true, file: '"+path+"'}\ntokens:\n  - {id: t, "+token+"}\n"+
			"request: {url: 'https://license.example/', headers: {A: '${var.S}', B: '${token.t.value}'}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	env := provider.Environment{Getenv: func(name string) string { return map[string]string{"LONG": "FAKE-env-token", "SHORT": "1234567"}[name] }}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1234567\n")
	if _, err := parse("source: env, env: LONG").Bind(env); err == nil || !strings.Contains(err.Error(), "shorter than 8") {
		t.Errorf("a short secret: %v", err)
	}
	write("RkFLRS1zZWNyZXQ=\n")
	for token, want := range map[string]string{
		"source: env, env: LONG":                                  "FAKE-env-token",
		"source: static, value: FAKE-static":                      "FAKE-static",
		"source: static, value: 'Bearer ${var.S}'":                "Bearer RkFLRS1zZWNyZXQ=",
		"source: file, file: {path: '" + path + "'}":              "RkFLRS1zZWNyZXQ=",
		"source: file, file: {path: '" + path + "', format: b64}": "FAKE-secret",
	} {
		p := bind(t, parse(token), env)
		h := p.Build(mustLease(t, p), drm.Message{}, provider.At{}).Header
		if h.Get("A") != "RkFLRS1zZWNyZXQ=" || h.Get("B") != want {
			t.Errorf("%s: header %v, want %q", token, h, want)
		}
	}
	for _, token := range []string{"source: env, env: SHORT", "source: env, env: NONE", "source: file, file: {path: '" + path + "-not'}"} {
		if _, err := bind(t, parse(token), env).Lease(t.Context(), provider.Need{}); err == nil || strings.Contains(err.Error(), "1234567") {
			t.Errorf("%s: %v", token, err)
		}
	}
}

// TestBind looks at what binding resolves: generated values, values of the user, the license URL.
func TestBind(t *testing.T) {
	t.Parallel()
	parse := func(url string) *provider.Profile {
		p, err := provider.Parse("b.yaml", []byte("profile: 1\nid: b\ndrm: widevine\nvars:\n  HOST: {required: true, env: B_HOST}\nrequest: {url: '"+url+"'}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	none := func(string) string { return "" }
	p := parse("https://${var.HOST}/x")
	if p.Address() != "" || !p.Secure() || p.Loopback() {
		t.Errorf("unbound: address %q, secure %v", p.Address(), p.Secure())
	}
	generated := bind(t, p, provider.Environment{Getenv: none, Resolve: func(name string, _ provider.Var) string { return name + ".example" }})
	if generated.Request.URL != "https://HOST.example/x" || generated.Address() != "HOST.example:443" {
		t.Errorf("bound URL %q, address %q", generated.Request.URL, generated.Address())
	}
	if p.Request.URL != "https://${var.HOST}/x" {
		t.Error("binding changed the profile")
	}
	if _, err := p.Bind(provider.Environment{Getenv: none, Vars: map[string]string{"HOST": "a b"}}); err == nil {
		t.Error("a URL with a space was accepted")
	}
	user := map[string]string{"HOST": "other.example"}
	plainHTTP := parse("http://${var.HOST}/x")
	strict := bind(t, plainHTTP, provider.Environment{Vars: user})
	if _, err := strict.Lease(t.Context(), provider.Need{}); err == nil || strict.Secure() {
		t.Errorf("plain http to another machine: %v", err)
	}
	mustLease(t, bind(t, plainHTTP, provider.Environment{Vars: user, Insecure: true}))
}
