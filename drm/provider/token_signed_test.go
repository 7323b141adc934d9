package provider_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// signedProfile returns a profile whose body is signed JSON with the challenge; sign are the keys of signed_json beside inner
// and outer, each on a line of its own.
func signedProfile(sign ...string) string {
	return head + `vars: {KEY: {required: true, secret: true, env: KEY}, IV: {secret: true, env: IV}, SIGNER: {default: widevine_test}, V: {default: "${v}"}}
tokens:
  - id: signed
    source: signed_json
    scope: request
    signed_json:
      inner: {payload: "${input.challenge | b64}", content_id: "${input.content_id | b64}", text: "<&>", can_play: true, n: 3600}
      ` + strings.Join(sign, "\n      ") + `
      outer: {request: "${inner_bytes | b64}", signature: "${signature | b64}", signer: "${var.SIGNER}"}
request:
  url: https://license.example/
  query: {v: "${var.V}", iv: "${var.IV | sha256 | hex}"}
  body: {wrap: token, token: signed}
`
}

const signedInner = `{"payload":"CAE=","content_id":"Y2lk","text":"<&>","can_play":true,"n":3600}`

// outerOf takes the body of a request with signed JSON apart.
func outerOf(t *testing.T, body string) (inner, signature []byte, signer string) {
	t.Helper()
	var outer struct{ Request, Signature []byte }
	if err := json.Unmarshal([]byte(body), &outer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var named struct{ Signer string }
	if err := json.Unmarshal([]byte(body), &named); err != nil {
		t.Fatal(err)
	}
	return outer.Request, outer.Signature, named.Signer
}

// TestSignedJSON verifies signatures of the very bytes that are sent.
func TestSignedJSON(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const key, iv = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "00112233445566778899aabbccddeeff"
	digest := func(sum crypto.Hash, b []byte) []byte { h := sum.New(); h.Write(b); return h.Sum(nil) }
	decrypted := func(t *testing.T, signature []byte) []byte {
		block, err := aes.NewCipher(unhex(t, key))
		if err != nil || len(signature) == 0 || len(signature)%16 != 0 {
			t.Fatal(err, len(signature))
		}
		out := make([]byte, len(signature))
		cipher.NewCBCDecrypter(block, unhex(t, iv)).CryptBlocks(out, signature)
		return out
	}
	padded := func(b []byte) []byte {
		n := 16 - len(b)%16
		return append(bytes.Clone(b), bytes.Repeat([]byte{byte(n)}, n)...)
	}
	for name, c := range map[string]struct {
		sign   []string
		key    string
		verify func(t *testing.T, inner, signature []byte) bool
	}{
		"aes_cbc over SHA-1": {
			[]string{"digest: sha1", "sign: {alg: aes_cbc, key: '${var.KEY}', key_encoding: hex, iv: '${var.IV}'}"}, key,
			func(t *testing.T, inner, signature []byte) bool {
				sum := sha1.Sum(inner)
				return bytes.Equal(decrypted(t, signature), padded(sum[:]))
			},
		},
		"aes_cbc over SHA-256": {
			[]string{"sign: {alg: aes_cbc, key: '${var.KEY}', key_encoding: hex, iv: '${var.IV}'}"}, key,
			func(t *testing.T, inner, signature []byte) bool {
				sum := sha256.Sum256(inner)
				return bytes.Equal(decrypted(t, signature), padded(sum[:]))
			},
		},
		"rsa_pss, SHA-1": {
			[]string{"digest: sha1", "sign: {alg: rsa_pss, key: '${var.KEY}', key_encoding: pem}"}, pemOf(t, rsaKey),
			func(_ *testing.T, inner, signature []byte) bool {
				return rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA1, digest(crypto.SHA1, inner), signature, &rsa.PSSOptions{SaltLength: 20}) == nil
			},
		},
		"rsa_pss, SHA-256 and a JWK": {
			[]string{"digest: sha256", "sign: {alg: rsa_pss, key: '${var.KEY}', key_encoding: jwk}"}, jwkOf(t, rsaKey),
			func(_ *testing.T, inner, signature []byte) bool {
				return rsa.VerifyPSS(&rsaKey.PublicKey, crypto.SHA256, digest(crypto.SHA256, inner), signature, &rsa.PSSOptions{SaltLength: 32}) == nil
			},
		},
		"rsa_pkcs1": {
			[]string{"sign: {alg: rsa_pkcs1, key: '${var.KEY}', key_encoding: pem}"}, pemOf(t, rsaKey),
			func(_ *testing.T, inner, signature []byte) bool {
				return rsa.VerifyPKCS1v15(&rsaKey.PublicKey, crypto.SHA256, digest(crypto.SHA256, inner), signature) == nil
			},
		},
		"hmac": {
			[]string{"sign: {alg: hmac, key: '${var.KEY}', key_encoding: utf8}"}, "FAKE-hmac-key",
			func(_ *testing.T, inner, signature []byte) bool {
				mac := hmac.New(sha256.New, []byte("FAKE-hmac-key"))
				mac.Write(inner)
				return hmac.Equal(mac.Sum(nil), signature)
			},
		},
		"hmac, SHA-1": {
			[]string{"digest: sha1", "sign: {alg: hmac, key: '${var.KEY}', key_encoding: b64}"}, "RkFLRS1obWFjLWtleQ==",
			func(_ *testing.T, inner, signature []byte) bool {
				mac := hmac.New(sha1.New, []byte("FAKE-hmac-key"))
				mac.Write(inner)
				return hmac.Equal(mac.Sum(nil), signature)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := boundTo(t, signedProfile(c.sign...), "KEY", c.key, "IV", iv)
			lease := leaseFor(t, p, testNeed())
			q := built(t, p, lease, "\x08\x01")
			inner, signature, signer := outerOf(t, bodyOf(t, q))
			if string(inner) != signedInner || signer != "widevine_test" || q.Header.Get("Content-Type") != "application/json" {
				t.Errorf("signed %s by %q as %q, want %s", inner, signer, q.Header.Get("Content-Type"), signedInner)
			}
			if !c.verify(t, inner, signature) {
				t.Error("the signature is not one of the bytes that are sent")
			}
			inner[len(inner)-2] ^= 1
			if c.verify(t, inner, signature) {
				t.Error("the signature is one of other bytes too")
			}
			if !p.TakesToken() || lease.Expires != leaseFor(t, p, testNeed()).Expires {
				t.Error("the profile is said to take no token, or its lease expires")
			}
		})
	}
}

// TestSignedJSONErrors: keys that do not fit say so, and tell nothing of themselves.
func TestSignedJSONErrors(t *testing.T) {
	t.Parallel()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cbc := "sign: {alg: aes_cbc, key: '${var.KEY}', key_encoding: hex, iv: '${var.IV}'}"
	const iv = "00112233445566778899aabbccddeeff"
	for name, c := range map[string]struct{ sign, key, iv, want string }{
		"short key":   {cbc, "c0ffee00c0ffee", iv, "a key or an initialization vector has a wrong length"},
		"no hex":      {cbc, "hunter22hunter22hunter22hunter22", iv, "its key has not the form"},
		"short IV":    {cbc, iv, "c0ffee00c0ffee", "a key or an initialization vector has a wrong length"},
		"IV no hex":   {cbc, iv, "hunter22hunter22", "its initialization vector has not the form"},
		"no PEM":      {"sign: {alg: rsa_pss, key: '${var.KEY}', key_encoding: pem}", "hunter22hunter22", iv, "its key has not the form"},
		"EC for RSA":  {"sign: {alg: rsa_pkcs1, key: '${var.KEY}', key_encoding: pem}", pemOf(t, ecKey), iv, "its key has not the form"},
		"b64 of hmac": {"sign: {alg: hmac, key: '${var.KEY}', key_encoding: b64}", "hunter22-", iv, "its key has not the form"},
	} {
		_, err := boundTo(t, signedProfile(c.sign), "KEY", c.key, "IV", c.iv).Lease(t.Context(), testNeed())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.key) || strings.Contains(err.Error(), c.iv) ||
			strings.Contains(err.Error(), "hunter22") || strings.Contains(err.Error(), "c0ffee") {
			t.Errorf("%s: %v, want %q and nothing of the key", name, err, c.want)
		}
	}
}

// TestSignedEarly: signed JSON without a challenge is a token as any other.
func TestSignedEarly(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+`vars: {KEY: {required: true, secret: true, env: KEY}}
tokens:
  - id: s
    source: signed_json
    signed_json:
      inner: {id: "${uuid}"}
      sign: {alg: hmac, key: "${var.KEY}", key_encoding: utf8}
      outer: ["${inner_bytes | hex}", "${signature | hex}"]
request: {url: "https://license.example/", headers: {X-Token: "${token.s.value}"}}
`, "KEY", "FAKE-hmac-key")
	lease := leaseFor(t, p, testNeed())
	first, again := built(t, p, lease, "a").Header.Get("X-Token"), built(t, p, lease, "b").Header.Get("X-Token")
	if first != again || first == built(t, p, leaseFor(t, p, testNeed()), "a").Header.Get("X-Token") {
		t.Error("the token is not one for each lease")
	}
	var parts []string
	if err := json.Unmarshal([]byte(first), &parts); err != nil || len(parts) != 2 {
		t.Fatal(first, err)
	}
	mac := hmac.New(sha256.New, []byte("FAKE-hmac-key"))
	mac.Write(unhex(t, parts[0]))
	if hex.EncodeToString(mac.Sum(nil)) != parts[1] {
		t.Error("the signature is another one")
	}
}

// TestTemplateToken makes DoveRunner's token: an encrypted policy, a hash over all of it, JSON in base64 (sheet providers.md
// §2.6, §4.4).
func TestTemplateToken(t *testing.T) {
	t.Parallel()
	const key, iv, access = "FAKE-site-key-of-32-bytes-012345", "0123456789abcdef", "FAKE-access-key"
	p := boundTo(t, head+`vars: {KEY: {required: true, secret: true, env: KEY}, IV: {default: "`+iv+`"}, ACCESS: {required: true, secret: true, env: ACCESS}}
tokens:
  - {id: policy, source: template, value: "${var.KEY | default('') | prefix('FAKE') | sha1 | hex | prefix('{\"policy_version\":2,\"x\":\"') }\"}"}
  - {id: enc, source: template, value: "${token.policy.value | aes_cbc(var.KEY, var.IV) | b64}"}
  - {id: hashed, source: template, value: "${var.ACCESS}${token.enc.value}"}
  - {id: hash, source: template, value: "${token.hashed.value | sha256 | b64}"}
  - {id: whole, source: template, ttl: 10m, value: "{\"policy\":\"${token.enc.value}\",\"hash\":\"${token.hash.value}\",\"timestamp\":\"${now | rfc3339}\"}"}
request: {url: "https://license.example/", headers: {X-Token: "${token.whole.value | b64}"}}
`, "KEY", key, "ACCESS", access)
	lease := leaseFor(t, p, testNeed())
	raw, err := base64.StdEncoding.DecodeString(built(t, p, lease, "").Header.Get("X-Token"))
	if err != nil {
		t.Fatal(err)
	}
	var token struct{ Policy, Hash, Timestamp string }
	if err := json.Unmarshal(raw, &token); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(access + token.Policy))
	if token.Hash != base64.StdEncoding.EncodeToString(sum[:]) || token.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("token %+v", token)
	}
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := base64.StdEncoding.DecodeString(token.Policy)
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, []byte(iv)).CryptBlocks(policy, policy)
	inner := sha1.Sum([]byte("FAKE" + key))
	if want := `{"policy_version":2,"x":"` + hex.EncodeToString(inner[:]) + `"}`; string(policy[:len(want)]) != want {
		t.Errorf("policy %s, want %s", policy, want)
	}
	if !lease.Expires.Equal(testNow.Add(600e9)) {
		t.Errorf("expires %v", lease.Expires)
	}
}

// lateProfile sends a token that is made of the challenge, and one that is made of that one.
const lateProfile = head + `vars: {KEY: {required: true, secret: true, env: KEY}}
tokens:
  - {id: early, source: template, value: "FAKE-early-${uuid}"}
  - id: late
    source: jwt
    jwt: {key: "${var.KEY}", claims: {c: "${input.challenge | sha256 | hex}", kind: "${input.challenge_kind}", jti: "${uuid}", e: "${token.early.value}"}}
  - {id: later, source: template, value: "${token.late.value | sha256 | hex}"}
request: {url: "https://license.example/", headers: {X-Late: "${token.late.value}", X-Later: "${token.later.value}", X-Early: "${token.early.value}"}}
`

// TestLateTokens are made anew for each request, purely, and whatever is made of them too.
func TestLateTokens(t *testing.T) {
	t.Parallel()
	p := boundTo(t, lateProfile, "KEY", "FAKE-key-1")
	lease := leaseFor(t, p, testNeed())
	first, second := built(t, p, lease, "one"), built(t, p, lease, "two")
	for _, name := range []string{"X-Late", "X-Later"} {
		if first.Header.Get(name) == second.Header.Get(name) || first.Header.Get(name) == "" {
			t.Errorf("%s is the same for two challenges", name)
		}
		if first.Header.Get(name) != built(t, p, lease, "one").Header.Get(name) {
			t.Errorf("%s is another one for the same challenge: Build is not pure", name)
		}
	}
	if first.Header.Get("X-Early") != second.Header.Get("X-Early") {
		t.Error("a token that is not made of the challenge changes with it")
	}
	sum := sha256.Sum256([]byte(first.Header.Get("X-Late")))
	if first.Header.Get("X-Later") != hex.EncodeToString(sum[:]) {
		t.Error("the token that is made of the late one is made of another one")
	}
	_, _, claims := jwtOf(t, boundTo(t, strings.Replace(lateProfile, "X-Late:", "X-Token:", 1), "KEY", "FAKE-key-1"), lease)
	one := sha256.Sum256(nil)
	if !strings.Contains(claims, hex.EncodeToString(one[:])) || !strings.Contains(claims, `"kind":"license"`) || !strings.Contains(claims, "01020300-0000-4000-8000-000000000000") {
		t.Errorf("claims %s", claims)
	}
	other := testAt
	other.Rand[0]++
	m := drm.Message{Kind: drm.KindLicense, Body: []byte("one")}
	if p.Build(lease, m, other).Header.Get("X-Late") == first.Header.Get("X-Late") {
		t.Error("the request's randomness does not count")
	}
	random := p.Build(lease, m, provider.At{Now: testNow}).Header.Get("X-Late")
	if random == p.Build(lease, m, provider.At{Now: testNow}).Header.Get("X-Late") {
		t.Error("without randomness that is given two requests have the same")
	}
}

// TestLateTokenErrors: what is made before there is a challenge cannot name a token that is made of one.
func TestLateTokenErrors(t *testing.T) {
	t.Parallel()
	const late = "  - {id: late, source: template, value: '${input.challenge | sha256 | hex}'}\n"
	const later = late + "  - {id: later, source: template, value: 'FAKE${token.late.value}'}\n"
	for name, c := range map[string]struct{ tokens, want string }{
		"http":              {late + "  - {id: t, source: http, http: {method: GET, url: 'https://t.example/', query: {a: '${token.late.value}'}, outputs: {value: {from: body}}}}\n", "p.yaml:6: tokens[1]"},
		"http, through one": {later + "  - {id: t, source: http, http: {method: GET, url: 'https://t.example/', query: {a: '${token.later.value}'}, outputs: {value: {from: body}}}}\n", "p.yaml:7: tokens[2]"},
		"command":           {late + "  - {id: t, source: command, command: {argv: [cat], stdin: '${token.late.value}', outputs: {value: {}}}}\n", "p.yaml:6: tokens[1]"},
	} {
		refusesAll(t, name, head+"tokens:\n"+c.tokens+"request: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n", c.want, "is made of the key request, which does not exist yet")
	}
	refusesAll(t, "custom data", strings.Replace(head, "widevine", "playready", 1)+"tokens:\n"+later+"request: {url: 'https://license.example/'}\nplayready: {custom_data: {template: '${token.later.value}'}}\n",
		"p.yaml:8: playready.custom_data.template: token.later is made of the key request")
	refusesAll(t, "shared", head+"tokens:\n"+strings.Replace(late, "source:", "scope: run, source:", 1)+"request: {url: 'https://license.example/', headers: {A: '${token.late.value}'}}\n",
		"p.yaml:5: tokens[0].scope: a token that names input.challenge cannot be shared by the run")
	for _, source := range []string{"source: static, value: '${input.challenge | hex}'", "source: http, http: {method: GET, url: 'https://t.example/${input.challenge | hex}', outputs: {value: {}}}"} {
		refusesAll(t, source, head+"tokens:\n  - {id: t, "+source+"}\nrequest: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n", "p.yaml:5:", `unknown path "input.challenge"`)
	}
}
