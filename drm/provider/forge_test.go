package provider_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"keyflow/drm"
	"keyflow/drm/provider"
)

const forgeKey = "FAKE-forge-key-0123"

// forgeProfile sends a JWT with times and identities.
func forgeProfile() string {
	return jwtProfile("header: {typ: JWT, kid: k1}", "identity: [iss, message.aud]", "claims:", "  iss: '${var.ID}'", "  iat: '${now | add(-5s) | unix}'", "  begin: '${now | rfc3339}'",
		"  exp: '${now | add(300s) | unix}'", "  message: {aud: aud-1, until: '${now|add(\"+1h\")|rfc3339}', n: 1}")
}

// TestForgedJWT: exactly that is wrong which is asked for. The signature stays right unless it is what is forged.
func TestForgedJWT(t *testing.T) {
	t.Parallel()
	const format = `{"iss":"%s","iat":%d,"begin":"%s","exp":%d,"message":{"aud":"%s","until":"%s","n":1}}`
	claims := func(iss string, begin, end time.Duration, aud string) string {
		return fmt.Sprintf(format, iss, testNow.Add(begin-5*time.Second).Unix(), testNow.Add(begin).UTC().Format(time.RFC3339), testNow.Add(end+300*time.Second).Unix(), aud, testNow.Add(end+time.Hour).UTC().Format(time.RFC3339))
	}
	p := boundTo(t, forgeProfile(), "KEY", forgeKey)
	good := []byte(forgeKey)
	for name, c := range map[string]struct {
		forgery provider.Forgery
		claims  string
		header  string
		signed  bool
	}{
		"nothing":   {provider.Forgery{}, claims("id-1", 0, 0, "aud-1"), "HS256", true},
		"expired":   {provider.Forgery{End: -time.Hour}, claims("id-1", 0, -time.Hour, "aud-1"), "HS256", true},
		"not yet":   {provider.Forgery{Begin: time.Hour}, claims("id-1", time.Hour, 0, "aud-1"), "HS256", true},
		"both":      {provider.Forgery{Begin: -time.Minute, End: time.Minute}, claims("id-1", -time.Minute, time.Minute, "aud-1"), "HS256", true},
		"no end":    {provider.Forgery{NoEnd: true}, `{"iss":"id-1","iat":1699999995,"begin":"2023-11-14T22:13:20Z","message":{"aud":"aud-1","n":1}}`, "HS256", true},
		"iss":       {provider.Forgery{Identity: "iss"}, claims("id-V", 0, 0, "aud-1"), "HS256", true},
		"aud":       {provider.Forgery{Identity: "message.aud"}, claims("id-1", 0, 0, "aud-V"), "HS256", true},
		"other key": {provider.Forgery{OtherKey: true}, claims("id-1", 0, 0, "aud-1"), "HS256", false},
		"unsigned":  {provider.Forgery{Unsigned: true}, claims("id-1", 0, 0, "aud-1"), "none", false},
	} {
		lease, err := p.ForgedLease(t.Context(), testNeed(), c.forgery)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := lease.Use(drm.KindLicense); err != nil {
			t.Errorf("%s: the forged token cannot be sent: %v", name, err)
		}
		token, header, got := jwtOf(t, p, lease)
		if got != c.claims || header != `{"alg":"`+c.header+`","typ":"JWT","kid":"k1"}` {
			t.Errorf("%s: %s %s\nwant %s", name, header, got, c.claims)
		}
		_, err = jwt.Parse(token, func(*jwt.Token) (any, error) { return good, nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation())
		if (err == nil) != c.signed {
			t.Errorf("%s: verified with %v, want signed %v", name, err, c.signed)
		}
		if strings.HasSuffix(token, ".") != (c.header == "none") {
			t.Errorf("%s: %q", name, token)
		}
		if q := built(t, p, lease, ""); q.Header.Get("X-Id") != "id-1" {
			t.Errorf("%s: something beside the token is forged: %v", name, q.Header)
		}
	}
	want := provider.TokenTraits{Local: true, Signed: true, JWT: true, Begins: true, Ends: true, Identity: []string{"iss", "message.aud"}, EndOffset: 5 * time.Minute}
	if traits := p.TokenTraits(); !reflect.DeepEqual(traits, want) {
		t.Errorf("traits %+v, want %+v", traits, want)
	}
}

// TestForgedKeys signs with other keys of the same kind.
func TestForgedKeys(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := newKey(t)
	for alg, c := range map[string]struct {
		key    string
		public any
	}{"RS256": {pemOf(t, rsaKey), &rsaKey.PublicKey}, "PS256": {pemOf(t, rsaKey), &rsaKey.PublicKey}, "ES256": {pemOf(t, ecKey), &ecKey.PublicKey}, "HS512": {forgeKey, []byte(forgeKey)}} {
		p := boundTo(t, jwtProfile("alg: "+alg, "claims: {a: b}"), "KEY", c.key)
		lease, err := p.ForgedLease(t.Context(), testNeed(), provider.Forgery{OtherKey: true})
		if err != nil {
			t.Fatal(err)
		}
		token, header, _ := jwtOf(t, p, lease)
		_, err = jwt.Parse(token, func(*jwt.Token) (any, error) { return c.public, nil })
		if err == nil || !strings.Contains(err.Error(), "signature is invalid") || header != `{"alg":"`+alg+`"}` {
			t.Errorf("%s: %v, header %s", alg, err, header)
		}
	}
}

// TestForgedIdentityInText: claims inside of string claims are forged before they become text.
func TestForgedIdentityInText(t *testing.T) {
	t.Parallel()
	p := boundTo(t, jwtProfile("string_claims: [optData]", "identity: [optData.merchant]", "claims: {optData: {merchant: '${var.ID}', n: '${var.ID}'}}"), "KEY", forgeKey)
	lease, err := p.ForgedLease(t.Context(), testNeed(), provider.Forgery{Identity: "optData.merchant"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, claims := jwtOf(t, p, lease); claims != `{"optData":"{\"merchant\":\"id-V\",\"n\":\"id-1\"}"}` {
		t.Errorf("claims %s", claims)
	}
	if _, _, claims := jwtOf(t, p, leaseFor(t, p, testNeed())); !strings.Contains(claims, "id-1") {
		t.Errorf("a right token after a forged one: %s", claims)
	}
	empty := boundTo(t, jwtProfile("identity: [iss]", "claims: {iss: '', a: '${var.ID}'}"), "KEY", forgeKey)
	if _, err := empty.ForgedLease(t.Context(), testNeed(), provider.Forgery{Identity: "iss"}); err == nil || !strings.Contains(err.Error(), "the claim iss has no other value") {
		t.Errorf("a claim that cannot be altered: %v", err)
	}
	refusesAll(t, "a number", strings.Replace(jwtProfile("identity: [n]", "claims: {n: '${var.N}', id: '${var.ID}'}"), "ID:", "N: {default: 3}, ID:", 1), `identity[0]: there is no claim "n" that is text: did you mean "id"?`)
}

// TestForgedTemplate: a template that holds two times is forged time by time.
func TestForgedTemplate(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+"tokens: [{id: t, source: template, value: 'from ${now | unix} to ${now | add(300s) | unix}'}, {id: u, source: static, scope: run, value: 'Bearer ${token.t.value}'}]\n"+
		"request: {url: 'https://license.example/', headers: {A: '${token.u.value}', B: '${now | add(300s) | unix}'}}\n")
	right := "Bearer from 1700000000 to 1700000300"
	forged := func(f provider.Forgery) (string, error) {
		lease, err := p.ForgedLease(t.Context(), testNeed(), f)
		if err != nil {
			return "", err
		}
		q := built(t, p, lease, "")
		if q.Header.Get("B") != "1700000300" {
			t.Errorf("a time of the request is forged: %v", q.Header)
		}
		return q.Header.Get("A"), nil
	}
	for _, c := range []struct {
		f    provider.Forgery
		want string
	}{
		{provider.Forgery{End: -time.Hour}, "Bearer from 1700000000 to 1699996700"},
		{provider.Forgery{}, right},
		{provider.Forgery{Begin: time.Hour}, "Bearer from 1700003600 to 1700000300"},
	} {
		if got, err := forged(c.f); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v; want %q", c.f, got, err, c.want)
		}
		// What is shared by the run is neither forged nor made of what is.
		if got := built(t, p, leaseFor(t, p, testNeed()), "").Header.Get("A"); got != right {
			t.Errorf("after %+v a right token is %q", c.f, got)
		}
	}
	if _, err := forged(provider.Forgery{NoEnd: true}); err == nil || !strings.Contains(err.Error(), "a time cannot be left out of text") {
		t.Errorf("without end: %v", err)
	}
	if traits := p.TokenTraits(); !reflect.DeepEqual(traits, provider.TokenTraits{Local: true, Begins: true, Ends: true, EndOffset: 5 * time.Minute}) {
		t.Errorf("traits %+v", traits)
	}
}

// TestForgedSharing: a shared token is minted once for right leases, whatever is forged in between, and after it.
func TestForgedSharing(t *testing.T) {
	t.Parallel()
	text := strings.Replace(jwtProfile("claims: {jti: '${uuid}', exp: '${now | add(300s) | unix}'}"), "source: jwt", "source: jwt\n    scope: run", 1)
	p := boundTo(t, text, "KEY", forgeKey)
	forge := func() string {
		lease, err := p.ForgedLease(t.Context(), testNeed(), provider.Forgery{End: -time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		_, _, claims := jwtOf(t, p, lease)
		return claims
	}
	first, second := forge(), forge()
	_, _, right := jwtOf(t, p, leaseFor(t, p, testNeed()))
	forge()
	_, _, again := jwtOf(t, p, leaseFor(t, p, testNeed()))
	if first == second || !strings.Contains(first, "1699996700") || right != again || !strings.Contains(right, "1700000300") {
		t.Errorf("forged %s and %s, right %s and %s", first, second, right, again)
	}
}

// TestForgedTokenService: what is made for a token service alone stays right; what the service makes of a forged token is not
// shared.
func TestForgedTokenService(t *testing.T) {
	t.Parallel()
	h := newHosts(t, map[string]http.HandlerFunc{"token.example": func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "FAKE-made-of-%s", r.URL.Query().Get("a"))
	}})
	profile := func(headers string) *provider.Profile {
		p, err := parsed(t, head+"tokens:\n  - {id: mine, source: template, scope: run, value: 'FAKE-until-${now | add(300s) | unix}'}\n"+
			"  - {id: svc, source: http, scope: run, http: {method: GET, url: 'https://token.example/', query: {a: '${token.mine.value}'}, outputs: {value: {}}}}\n"+
			"request: {url: 'https://license.example/', headers: {"+headers+"}}\n").Bind(provider.Environment{HTTP: h.client(), Clock: fixedClock{}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	forge := func(p *provider.Profile) http.Header {
		lease, err := p.ForgedLease(t.Context(), testNeed(), provider.Forgery{End: -time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return built(t, p, lease, "").Header
	}
	alone := profile("A: '${token.svc.value}'")
	if got := forge(alone).Get("A"); got != "FAKE-made-of-FAKE-until-1700000300" {
		t.Errorf("what only the token service gets is forged: %q", got)
	}
	if traits := alone.TokenTraits(); traits.Local || traits.Ends {
		t.Errorf("traits %+v of a profile whose requests carry a service's token only", traits)
	}
	both := profile("A: '${token.svc.value}', B: '${token.mine.value}'")
	if got := forge(both); got.Get("B") != "FAKE-until-1699996700" {
		t.Errorf("headers %v", got)
	}
	if got := built(t, both, leaseFor(t, both, testNeed()), "").Header; got.Get("A") != "FAKE-made-of-FAKE-until-1700000300" || got.Get("B") != "FAKE-until-1700000300" {
		t.Errorf("right headers after forged ones: %v", got)
	}
}

// TestForgedSignedJSON forges what is signed, late as it is made.
func TestForgedSignedJSON(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+`vars: {KEY: {required: true, secret: true, env: KEY}, ID: {default: id-1}}
tokens:
  - id: s
    source: signed_json
    signed_json:
      inner: {p: "${input.challenge | b64}", provider: "${var.ID}", exp: "${now | add(60s) | unix}", iat: "${now | unix}"}
      sign: {alg: hmac, key: "${var.KEY}", key_encoding: utf8}
      outer: {request: "${inner_bytes | b64}", signature: "${signature | b64}", provider: "${var.ID}", sent: "${now | unix}"}
      identity: [provider]
request: {url: "https://license.example/", body: {wrap: token, token: s}}
`, "KEY", forgeKey)
	for name, c := range map[string]struct {
		f      provider.Forgery
		inner  string
		signed bool
	}{
		"nothing":   {provider.Forgery{}, `{"p":"eA==","provider":"id-1","exp":1700000060,"iat":1700000000}`, true},
		"expired":   {provider.Forgery{End: -time.Hour}, `{"p":"eA==","provider":"id-1","exp":1699996460,"iat":1700000000}`, true},
		"no end":    {provider.Forgery{NoEnd: true}, `{"p":"eA==","provider":"id-1","iat":1700000000}`, true},
		"identity":  {provider.Forgery{Identity: "provider"}, `{"p":"eA==","provider":"id-V","exp":1700000060,"iat":1700000000}`, true},
		"other key": {provider.Forgery{OtherKey: true}, `{"p":"eA==","provider":"id-1","exp":1700000060,"iat":1700000000}`, false},
	} {
		lease, err := p.ForgedLease(t.Context(), testNeed(), c.f)
		if err != nil {
			t.Fatal(err)
		}
		body := bodyOf(t, built(t, p, lease, "x"))
		var outer struct {
			Request, Signature []byte
			Provider           string
			Sent               int
		}
		if err := json.Unmarshal([]byte(body), &outer); err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(forgeKey))
		mac.Write(outer.Request)
		if string(outer.Request) != c.inner || hmac.Equal(mac.Sum(nil), outer.Signature) != c.signed || len(outer.Signature) != 32 || outer.Provider != "id-1" || outer.Sent != 1_700_000_000 {
			t.Errorf("%s: %s signed %s, want %s, signed %v", name, outer.Request, body, c.inner, c.signed)
		}
	}
	want := provider.TokenTraits{Local: true, Signed: true, Begins: true, Ends: true, Identity: []string{"provider"}, EndOffset: time.Minute}
	if traits := p.TokenTraits(); !reflect.DeepEqual(traits, want) {
		t.Errorf("traits %+v, want %+v", traits, want)
	}
	if traits := parsed(t, head+"request: {url: 'https://license.example/'}\n").TokenTraits(); !reflect.DeepEqual(traits, provider.TokenTraits{}) {
		t.Errorf("traits of a plain profile: %+v", traits)
	}
}

// TestTamperedBodies: a token in a body is left out or altered there, and nothing else.
func TestTamperedBodies(t *testing.T) {
	t.Parallel()
	const early = "tokens: [{id: t, source: env, env: T}]\n"
	for name, c := range map[string]struct{ text, whole, without, altered string }{
		"JSON":          {early + "request: {url: 'https://license.example/?q=1', body: {wrap: json, json: {c: '${challenge}', t: 'x${token.t.value}', l: ['${token.t.value}', 1]}}}\n", `{"c":"Yw==","t":"xFAKE-tokenA","l":["FAKE-tokenA",1]}`, `{"c":"Yw==","l":[1]}`, `{"c":"Yw==","t":"xFAKE-tokeng","l":["FAKE-tokeng",1]}`},
		"form":          {early + "request: {url: 'https://license.example/?q=1', body: {wrap: form, form: {t: '${token.t.value}', c: '${challenge}'}}}\n", "t=FAKE-tokenA&c=Yw%3D%3D", "c=Yw%3D%3D", "t=FAKE-tokeng&c=Yw%3D%3D"},
		"envelope":      {early + "request: {url: 'https://license.example/?q=1', body: {wrap: envelope, envelope: '<t>${token.t.value}</t><c>${challenge}</c>'}}\n", "<t>FAKE-tokenA</t><c>Yw==</c>", "<t></t><c>Yw==</c>", "<t>FAKE-tokeng</t><c>Yw==</c>"},
		"template body": {"tokens: [{id: t, source: template, value: 'FAKE-${input.challenge | hex}A'}]\nrequest: {url: 'https://license.example/?q=1', body: {wrap: token, token: t}}\n", "FAKE-63A", "", "FAKE-63g"},
	} {
		p := boundTo(t, head+c.text, "T", "FAKE-tokenA")
		lease := leaseFor(t, p, testNeed())
		if !p.TakesToken() {
			t.Errorf("%s: is said to take no token", name)
		}
		for l, want := range map[*provider.Lease]string{lease: c.whole, lease.WithoutToken(): c.without, lease.WithAlteredToken(): c.altered} {
			q := built(t, p, l, "c")
			if got := bodyOf(t, q); got != want || q.URL.String() != "https://license.example/?q=1" {
				t.Errorf("%s: %s to %s, want %s", name, got, q.URL, want)
			}
		}
		if again := bodyOf(t, built(t, p, lease, "c")); again != c.whole {
			t.Errorf("%s: the lease itself was changed: %s", name, again)
		}
	}
}

// TestTamperedWrapTokens: of signed JSON the signature is spoilt and the rest stays; of a JWT its last character.
func TestTamperedWrapTokens(t *testing.T) {
	t.Parallel()
	p := boundTo(t, signedProfile("sign: {alg: hmac, key: '${var.KEY}', key_encoding: utf8}"), "KEY", forgeKey, "IV", "FAKE-unused")
	lease := leaseFor(t, p, testNeed())
	whole := bodyOf(t, built(t, p, lease, "\x08\x01"))
	inner, signature, signer := outerOf(t, whole)
	for name, l := range map[string]*provider.Lease{"without": lease.WithoutToken(), "altered": lease.WithAlteredToken()} {
		gotInner, gotSignature, gotSigner := outerOf(t, bodyOf(t, built(t, p, l, "\x08\x01")))
		if string(gotInner) != string(inner) || gotSigner != signer {
			t.Errorf("%s: more than the signature is spoilt: %s %s", name, gotInner, gotSigner)
		}
		different := 0
		for i := range gotSignature {
			if gotSignature[i] != signature[i] {
				different++
			}
		}
		if name == "without" && len(gotSignature) != 0 || name == "altered" && (len(gotSignature) != 32 || different != 1) {
			t.Errorf("%s: signature %x, right is %x", name, gotSignature, signature)
		}
	}
	tokens, _, _ := strings.Cut(jwtProfile("claims: {c: '${input.challenge | b64}', e: '${var.ID}'}"), "request:")
	late := boundTo(t, tokens+"request: {url: 'https://license.example/', body: {wrap: token, token: t}}\n", "KEY", forgeKey)
	lease = leaseFor(t, late, testNeed())
	token := bodyOf(t, built(t, late, lease, "c"))
	altered := bodyOf(t, built(t, late, lease.WithAlteredToken(), "c"))
	if len(altered) != len(token) || altered[:len(token)-1] != token[:len(token)-1] || altered == token || bodyOf(t, built(t, late, lease.WithoutToken(), "c")) != "" {
		t.Errorf("altered\n%s\nof\n%s", altered, token)
	}
	if _, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndex(token, ".")+1:]); err != nil {
		t.Error(err)
	}
}
