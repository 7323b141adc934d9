package provider_test

import (
	"errors"
	"strings"
	"testing"

	"keyflow/drm/provider"
)

// TestSignsAhead: what is secret, or a lease's own, must not be signed into a request that is kept.
func TestSignsAhead(t *testing.T) {
	t.Parallel()
	token := strings.NewReplacer("request:", "tokens: [{id: pass, source: static, value: \"${var.TOKEN}\"}]\nrequest:", "</user>${var.TOKEN}", "</user>${token.pass.value}")
	open := strings.NewReplacer("  TOKEN: {required: true, secret: true, env: TOKEN}\n", "", "${var.TOKEN}", "")
	for _, c := range []struct{ name, text, holds string }{
		{"no custom data", "profile: 1\nid: plain-playready\ndrm: playready\nrequest: {url: \"http://127.0.0.1:1/a\"}\n", ""},
		{"a variable", open.Replace(playReadyProfile), ""},
		{"a secret variable", playReadyProfile, "a secret variable"},
		{"a token", token.Replace(playReadyProfile), "a token"},
		{"a session id", strings.Replace(open.Replace(playReadyProfile), "</user>", "</user>${input.session_id}", 1), "the session's id"},
	} {
		p, _ := bindPlayReady(t, c.text)
		err := p.SignsAhead()
		var e *provider.CustomDataError
		switch {
		case c.holds == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.holds != "" && (!errors.As(err, &e) || e.Holds != c.holds || !strings.Contains(err.Error(), "plain-playready")):
			t.Errorf("%s: %v", c.name, err)
		}
		data, ahead := p.CustomDataAhead(provider.Need{})
		if (ahead == nil) != (err == nil) {
			t.Errorf("%s: custom data %v, %v", c.name, data, ahead)
		}
		if c.name == "a variable" && string(data.Reveal()) != "<user>u1</user>" {
			t.Errorf("custom data %q", data.Reveal())
		}
	}
	unbound, err := provider.Parse("p.yaml", []byte(open.Replace(playReadyProfile)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unbound.CustomDataAhead(provider.Need{}); err == nil || !unbound.HasCustomData() {
		t.Error("a profile that is not bound has custom data")
	}
}
