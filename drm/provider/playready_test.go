package provider_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

const playReadyProfile = `profile: 1
id: plain-playready
drm: playready
vars:
  TOKEN: {required: true, secret: true, env: TOKEN}
  USER: {default: u1}
request:
  url: http://127.0.0.1:8080/rightsmanager.asmx
playready:
  custom_data: {template: "<user>${var.USER}</user>${var.TOKEN}"}
`

const customToken = "FAKE-token-0001"

func bindPlayReady(t *testing.T, text string) (*provider.Profile, *secret.Vault) {
	t.Helper()
	p, err := provider.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	vault := secret.NewVault()
	bound, err := p.Bind(provider.Environment{Vault: vault, Getenv: func(string) string { return customToken }})
	if err != nil {
		t.Fatal(err)
	}
	return bound, vault
}

// TestCustomData: it is made when the lease is taken, so that the client can sign it, and is secret as a whole.
func TestCustomData(t *testing.T) {
	t.Parallel()
	p, vault := bindPlayReady(t, playReadyProfile)
	lease, err := p.Lease(t.Context(), provider.Need{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "<user>u1</user>" + customToken
	if got := string(lease.CustomData.Reveal()); got != want {
		t.Errorf("custom data %q", got)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", lease.CustomData, lease), customToken) || len(vault.Names([]byte(want))) == 0 {
		t.Error("the custom data is told, or the vault does not know it")
	}
	q, err := sent(t, p, lease)
	if err != nil {
		t.Fatal(err)
	}
	if q.Header.Get("Content-Type") != "text/xml; charset=utf-8" || map[string][]string(q.Header)["SOAPAction"][0] != `"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense"` {
		t.Errorf("header %v", q.Header)
	}
	if strings.Contains(q.URL.String()+fmt.Sprint(q.Header), customToken) {
		t.Error("the custom data is in URL or header")
	}
}

// TestCustomToken: a token in the custom data counts as the request's, and checks can spoil it.
func TestCustomToken(t *testing.T) {
	t.Parallel()
	text := strings.Replace(playReadyProfile, "request:", "tokens:\n  - {id: t, source: env, env: TOKEN}\nrequest:", 1)
	text = strings.Replace(strings.Replace(text, "${var.TOKEN}", "${token.t.value}", 1), "  TOKEN: {required: true, secret: true, env: TOKEN}\n", "", 1)
	p, _ := bindPlayReady(t, text)
	lease, err := p.Lease(t.Context(), provider.Need{})
	if err != nil {
		t.Fatal(err)
	}
	if !p.TakesToken() {
		t.Error("the profile is said to take no token")
	}
	altered := string(lease.WithAlteredToken().CustomData.Reveal())
	if got := string(lease.CustomData.Reveal()); len(altered) != len(got) || altered == got || altered[:len(got)-1] != got[:len(got)-1] {
		t.Errorf("altered %q", altered)
	}
	if !lease.WithoutToken().CustomData.IsZero() || lease.CustomData.IsZero() {
		t.Error("the token is not left out, or the lease itself was changed")
	}
}

// TestSOAPAction: the profile decides, as a key of its own or as a header.
func TestSOAPAction(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ edit, want string }{
		"own key": {"playready:\n  soap_action: '\"urn:x\"'\n", `"urn:x"`},
		"header":  {"  headers: {soapaction: urn:y}\nplayready:\n", "urn:y"},
	} {
		p, _ := bindPlayReady(t, strings.Replace(playReadyProfile, "playready:\n", c.edit, 1))
		lease, err := p.Lease(t.Context(), provider.Need{})
		if err != nil {
			t.Fatal(err)
		}
		q := p.Build(lease, drm.Message{Kind: drm.KindLicense}, provider.At{})
		var seen []string
		for field, values := range q.Header {
			if http.CanonicalHeaderKey(field) == "Soapaction" {
				seen = append(seen, values...)
			}
		}
		if len(seen) != 1 || seen[0] != c.want {
			t.Errorf("%s: %q", name, seen)
		}
	}
}

func TestPlayReadyErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"of Widevine": {"drm: playready", "drm: widevine", "p.yaml:9: playready: is for profiles with drm: playready"},
		"format":      {"custom_data: {", "custom_data: {format: xml, ", "playready.custom_data.format"},
		"line break":  {"custom_data:", "soap_action: \"a\\nb\"\n  custom_data:", "playready.soap_action"},
		"challenge":   {"${var.USER}", "${input.challenge}", "playready.custom_data.template"},
		"unknown key": {"custom_data:", "customdata:", `did you mean "custom_data"?`},
	} {
		if _, err := provider.Parse("p.yaml", []byte(strings.Replace(playReadyProfile, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
