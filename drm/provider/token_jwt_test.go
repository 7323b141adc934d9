package provider_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"keyflow/drm/provider"
)

// jwtProfile returns a profile that sends a JWT in a header; keys are further keys of jwt, each on a line of its own.
func jwtProfile(keys ...string) string {
	return head + "vars: {KEY: {required: true, secret: true, env: KEY}, ID: {default: id-1}}\ntokens:\n  - id: t\n    source: jwt\n    jwt:\n      key: '${var.KEY}'\n      " +
		strings.Join(keys, "\n      ") + "\nrequest:\n  url: https://license.example/\n  headers: {X-Token: '${token.t.value}', X-Id: '${var.ID}'}\n"
}

// jwtOf returns the JWT of a request, its header and its claims as they stand in it.
func jwtOf(t *testing.T, p *provider.Profile, l *provider.Lease) (token, header, claims string) {
	t.Helper()
	token = built(t, p, l, "").Header.Get("X-Token")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q has no three parts", token)
	}
	var texts [2]string
	for i := range texts {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return token, texts[0], texts[1]
}

// verify checks a token with an independent library.
func verify(t *testing.T, token, alg string, key any) {
	t.Helper()
	if _, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{alg}), jwt.WithoutClaimsValidation()); err != nil {
		t.Errorf("%s: %v", alg, err)
	}
}

// TestJWT compares header and claims byte for byte, and the signature with one made by hand (RFC 7515 §A.1 is made so).
func TestJWT(t *testing.T) {
	t.Parallel()
	const key = "FAKE-key-0123456789"
	p := boundTo(t, jwtProfile("header: {typ: JWT, kid: 'k\"${var.ID}'}", "claims:", "  iss: joe", "  exp: '${now | add(300s) | unix}'", "  'http://example.com/is_root': true",
		"  kids: {$each: input.kids, $as: k, $do: '${k | guid}'}", "  a: {b: [1, '<&>', null]}"), "KEY", key)
	lease := leaseFor(t, p, testNeed())
	token, header, claims := jwtOf(t, p, lease)
	const wantHeader = `{"alg":"HS256","typ":"JWT","kid":"k\"id-1"}`
	const wantClaims = `{"iss":"joe","exp":1700000300,"http://example.com/is_root":true,"kids":["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],"a":{"b":[1,"<&>",null]}}`
	if header != wantHeader || claims != wantClaims {
		t.Errorf("header and claims\n%s\n%s\nwant\n%s\n%s", header, claims, wantHeader, wantClaims)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(wantHeader)) + "." + base64.RawURLEncoding.EncodeToString([]byte(wantClaims))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	if want := signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); token != want {
		t.Errorf("token\n%s\nwant\n%s", token, want)
	}
	if !lease.Expires.Equal(testNow.Add(300 * time.Second)) {
		t.Errorf("the lease expires at %v, want the time in exp", lease.Expires)
	}
}

// TestJWTVector is the example of RFC 7515 §A.1 with its key; claims without white space give another signature than there,
// which openssl made: printf %s HEADER.CLAIMS | openssl dgst -sha256 -mac HMAC -macopt hexkey:…
func TestJWTVector(t *testing.T) {
	t.Parallel()
	const key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	raw, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	claims := []string{"header: {typ: JWT}", "claims: {iss: joe, exp: 1300819380, 'http://example.com/is_root': true}"}
	const want = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODAsImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.d6nMDXnJZfNNj-1o1e75s6d0six0lkLp5hSrGaz4o9A"
	for encoding, text := range map[string]string{
		"b64url": key, "b64": base64.StdEncoding.EncodeToString(raw), "hex": hex.EncodeToString(raw), "jwk": `{"kty":"oct","k":"` + key + `"}`,
	} {
		p, err := parsed(t, jwtProfile(append(claims, "key_encoding: "+encoding)...)).Bind(provider.Environment{Getenv: from("KEY", text), Clock: &clock{}})
		if err != nil {
			t.Fatal(err)
		}
		token, _, _ := jwtOf(t, p, leaseFor(t, p, testNeed()))
		verify(t, token, "HS256", raw)
		if token != want {
			t.Errorf("%s: %s, want %s", encoding, token, want)
		}
	}
}

// pemOf returns a private key in PKCS #8, and its public key.
func pemOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func jwkOf(t *testing.T, key any) string {
	t.Helper()
	text, err := (&jose.JSONWebKey{Key: key}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestJWTAlgorithms(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	const long = "FAKE-key-of-64-bytes-0123456789abcdef0123456789abcdef0123456789"
	for name, c := range map[string]struct {
		keys   string
		alg    string
		key    string
		public any
	}{
		"HS256 by default": {"", "HS256", long, []byte(long)},
		"HS384":            {"alg: HS384", "HS384", long, []byte(long)},
		"HS512":            {"alg: HS512", "HS512", long, []byte(long)},
		"HS512 of JWK":     {"alg: HS512, key_encoding: jwk", "HS512", jwkOf(t, []byte(long)), []byte(long)},
		"RS256, PKCS #8":   {"alg: RS256", "RS256", pemOf(t, rsaKey), &rsaKey.PublicKey},
		"RS256, PKCS #1":   {"alg: RS256, key_encoding: pem", "RS256", pkcs1, &rsaKey.PublicKey},
		"RS256 of JWK":     {"alg: RS256, key_encoding: jwk", "RS256", jwkOf(t, rsaKey), &rsaKey.PublicKey},
		"PS256":            {"alg: PS256", "PS256", pemOf(t, rsaKey), &rsaKey.PublicKey},
		"ES256, PKCS #8":   {"alg: ES256", "ES256", pemOf(t, ecKey), &ecKey.PublicKey},
		"ES256, SEC 1":     {"alg: ES256", "ES256", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})), &ecKey.PublicKey},
		"ES256 of JWK":     {"alg: ES256, key_encoding: jwk", "ES256", jwkOf(t, ecKey), &ecKey.PublicKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := append(strings.Split(c.keys, ", "), "claims: {a: b}")
			p := boundTo(t, jwtProfile(keys...), "KEY", c.key)
			token, header, _ := jwtOf(t, p, leaseFor(t, p, testNeed()))
			verify(t, token, c.alg, c.public)
			if header != `{"alg":"`+c.alg+`"}` {
				t.Errorf("header %s", header)
			}
		})
	}
}

// TestJWTKeyErrors: a key of a wrong form or kind is told, and nothing of it.
func TestJWTKeyErrors(t *testing.T) {
	t.Parallel()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ keys, key string }{
		"hex":           {"key_encoding: hex", "hunter22-no-hex"},
		"b64":           {"key_encoding: b64", "hunter22-no-base64"},
		"b64url":        {"key_encoding: b64url", "hunter22+no+b64url"},
		"jwk":           {"key_encoding: jwk", `{"kty":"oct","k":5,"hunter22":1}`},
		"jwk of EC":     {"key_encoding: jwk", jwkOf(t, ecKey)},
		"pem":           {"alg: RS256", "hunter22 is no PEM"},
		"EC for RSA":    {"alg: RS256", pemOf(t, ecKey)},
		"other curve":   {"alg: ES256", pemOf(t, p384)},
		"symmetric jwk": {"alg: ES256, key_encoding: jwk", `{"kty":"oct","k":"aHVudGVyMjI"}`},
		"public jwk":    {"alg: ES256, key_encoding: jwk", jwkOf(t, &ecKey.PublicKey)},
		"cut off":       {"alg: PS256", pemOf(t, small)[:200]},
		"no key at all": {"alg: RS256", "-----BEGIN PRIVATE KEY-----\naHVudGVyMjI=\n-----END PRIVATE KEY-----\n"},
		"certificate":   {"alg: RS256", "-----BEGIN CERTIFICATE-----\naHVudGVyMjI=\n-----END CERTIFICATE-----\n"},
		"white space":   {"key_encoding: hex", " 0011223344556677"},
	} {
		keys := append(strings.Split(c.keys, ", "), "claims: {a: b}")
		p := boundTo(t, jwtProfile(keys...), "KEY", c.key)
		_, err := p.Lease(t.Context(), testNeed())
		if err == nil || !strings.Contains(err.Error(), "its key has not the form that key_encoding names") || !strings.Contains(err.Error(), "token t") {
			t.Errorf("%s: %v", name, err)
		}
		for _, canary := range []string{"hunter22", "aHVudGVyMjI", "0011", c.key[len(c.key)/2:]} {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error tells the key: %v", name, err)
			}
		}
	}
}

// TestStringClaims are those of DRMtoday's upfront token: optData and crt are JSON inside of text (sheet providers.md §2.4).
func TestStringClaims(t *testing.T) {
	t.Parallel()
	p := boundTo(t, jwtProfile("header: {typ: JWT}", "string_claims: [optData, crt, none]", "claims:", "  iat: '${now | add(-5s) | unix}'",
		`  optData: {merchant: '${var.ID}', userId: 'u"1'}`, "  none: '${input.keys[0].label | omitempty}'", "  crt: [{assetId: a, profile: {purchase: {}}}]", "  last: 1"), "KEY", "FAKE-key-1")
	need := testNeed()
	need.Labels = nil
	_, _, claims := jwtOf(t, p, leaseFor(t, p, need))
	const want = `{"iat":1699999995,"optData":"{\"merchant\":\"id-1\",\"userId\":\"u\\\"1\"}","crt":"[{\"assetId\":\"a\",\"profile\":{\"purchase\":{}}}]","last":1}`
	if claims != want {
		t.Errorf("claims\n%s\nwant\n%s", claims, want)
	}
}

// TestJWTExpiry: exp counts whatever the other claims are; ttl wins over it.
func TestJWTExpiry(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]time.Time{
		"{exp: '${now | add(60s) | unix}'}":                    testNow.Add(time.Minute),
		"{exp: '${now | add(60s) | unix}', sub: 5, nbf: soon}": testNow.Add(time.Minute),
		"{expiration_date: '${now | add(60s) | rfc3339}'}":     {},
		"{exp: soon}": {},
		"{a: {exp: '${now | add(60s) | unix}'}, aud: [{x: 1}]}":   {},
		"{exp: '${now | add(60s) | unix}', iat: '${now | unix}'}": testNow.Add(time.Minute),
	} {
		p := boundTo(t, jwtProfile("claims: "+claims), "KEY", "FAKE-key-1")
		if lease := leaseFor(t, p, testNeed()); !lease.Expires.Equal(want) {
			t.Errorf("%s: expires %v, want %v", claims, lease.Expires, want)
		}
	}
	p := boundTo(t, strings.Replace(jwtProfile("claims: {exp: '${now | add(60s) | unix}'}"), "source: jwt", "source: jwt\n    ttl: 5s", 1), "KEY", "FAKE-key-1")
	if lease := leaseFor(t, p, testNeed()); !lease.Expires.Equal(testNow.Add(5 * time.Second)) {
		t.Errorf("with ttl: expires %v", lease.Expires)
	}
}

// TestJWTFresh: jti is another one for each token.
func TestJWTFresh(t *testing.T) {
	t.Parallel()
	p := boundTo(t, jwtProfile("claims: {jti: '${uuid}'}"), "KEY", "FAKE-key-1")
	_, _, first := jwtOf(t, p, leaseFor(t, p, testNeed()))
	_, _, second := jwtOf(t, p, leaseFor(t, p, testNeed()))
	if first == second || len(first) != len(`{"jti":"f81d4fae-7dec-41d0-a765-00a0c91e6bf6"}`) {
		t.Errorf("%s and %s", first, second)
	}
}
