package provider_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// filtered evaluates one template in a header. The secrets K and IV are given, and D is the variable that tests filter.
func filtered(t *testing.T, template, k, iv, d string) (string, error) {
	t.Helper()
	p := parsed(t, head+"vars:\n  K: {secret: true, env: K}\n  IV: {secret: true, env: IV}\n  D: {env: D}\n"+
		"request:\n  url: https://license.example/\n  query: {u: '${var.K | omitempty}', v: '${var.IV | omitempty}', w: '${var.D | omitempty}'}\n  headers:\n    X-Value: \""+template+"\"\n")
	p, err := p.Bind(provider.Environment{Getenv: from("K", k, "IV", iv, "D", d)})
	if err != nil {
		t.Fatal(err)
	}
	need := testNeed()
	need.Keys[testKID] = secret.New(unhex(t, "00112233445566778899aabbccddeeff"))
	lease, err := p.Lease(t.Context(), need)
	if err != nil {
		return "", err
	}
	return p.Build(lease, drm.Message{}, testAt).Header.Get("X-Value"), nil
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFilterVectors compares filters with the examples of their standards.
func TestFilterVectors(t *testing.T) {
	t.Parallel()
	const (
		longText = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
		kek256   = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	)
	for name, c := range map[string]struct{ template, k, d, want string }{
		"RFC 3394 §4.1": {"${input.keys[0].cek | kw_wrap(var.K | unhex) | hex}", kek256[:32], "", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		"RFC 3394 §4.2": {"${input.keys[0].cek | kw_wrap(var.K | unhex) | hex}", kek256[:48], "", "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
		"RFC 3394 §4.3": {"${input.keys[0].cek | kw_wrap(var.K | unhex) | hex}", kek256, "", "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
		"RFC 3394 §4.6": {
			"${var.D | unhex | kw_wrap(var.K | unhex) | hex}", kek256, "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
			"28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
		},
		"RFC 3394 §4.1 with a key in base64": {"${input.keys[0].cek | kw_wrap(var.K | unb64) | hex}", "AAECAwQFBgcICQoLDA0ODw==", "", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
		"RFC 4231 §4.2":                      {"${var.D | hmac_sha256(var.K | unhex) | hex}", strings.Repeat("0b", 20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		"RFC 4231 §4.3":                      {"${var.D | utf8 | hmac_sha256(var.K | unhex) | hex}", "4a656665", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		"RFC 4231 §4.4":                      {"${var.D | unhex | hmac_sha256(var.K | unhex) | hex}", strings.Repeat("aa", 20), strings.Repeat("dd", 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
		"FIPS 180, SHA-1":                    {"${var.D | sha1 | hex}", "", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		"FIPS 180, SHA-1, two blocks":        {"${var.D | utf8 | sha1 | hex}", "", longText, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
		"FIPS 180, SHA-256":                  {"${var.D | sha256 | hex}", "", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		"FIPS 180, SHA-256, two blocks":      {"${var.D | utf8 | sha256 | hex}", "", longText, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		"GUID":                               {"${input.kid | guid}", "", "", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		"GUID, little endian":                {"${input.kid | guid_le | hex}", "", "", "ae4f1df8ec7dd011a76500a0c91e6bf6"},
		"KID of a WRMHEADER":                 {"${input.kid | playready_kid}", "", "", "rk8d+Ox90BGnZQCgyR5r9g=="},
		"guid_le twice":                      {"${input.kid | guid_le | guid_le | guid}", "", "", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		"RFC 4648 §10, foobar":               {"${var.D | b64}", "", "foobar", "Zm9vYmFy"},
		"RFC 4648 §10, fooba":                {"${var.D | b64}", "", "fooba", "Zm9vYmE="},
		"RFC 4648 §10, without padding":      {"${var.D | b64nopad}", "", "foob", "Zm9vYg"},
		"RFC 4648 §5":                        {"${var.D | unhex | b64url}", "", "fbff", "-_8"},
		"UTF-16 beyond the basic plane":      {"${var.D | utf16le | hex}", "", "€\U00010437", "ac20" + "01d837dc"}, // RFC 2781 §2.1, 3.4
		"JSON, quoted":                       {"${var.D | json}", "", `a"<b>&\` + "\u2028", `"a\"<b>&\\\u2028"`},
		"JSON, inside of quotes":             {"${var.D | jsonstr}", "", `a"b`, `a\"b`},
		"a path of a URL":                    {"${var.D | urlpath}", "", "a b/ü?", "a%20b%2F%C3%BC%3F"},
		"a query of a URL":                   {"${var.D | urlquery}", "", "a b+ü&", "a+b%2B%C3%BC%26"},
		"a list that is joined":              {"${input.kids | guid | join(' ')}", "", "", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		"a prefix":                           {"${var.D | prefix('Bearer ')}", "", "tok", "Bearer tok"},
		"no prefix of nothing":               {"x${var.D | prefix('Bearer ')}", "", "", "x"},
		"default of a path":                  {"${var.D | default(var.K)}", "FAKE-key", "", "FAKE-key"},
		"default of a path that is filtered": {"${var.D | default(var.K | upper)}", "fake-key", "", "FAKE-KEY"},
		"no default":                         {"${var.D | default(var.K)}", "FAKE-key", "given", "given"},
		"trimmed":                            {"${var.D | trim}", "", " a ", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := filtered(t, c.template, c.k, "", c.d)
			if err != nil || got != c.want {
				t.Errorf("%s = %q, %v; want %q", c.template, got, err, c.want)
			}
		})
	}
}

// TestCBC compares with NIST SP 800-38A, §F.2.1 and §F.2.5. A whole number of blocks is followed by one of padding.
func TestCBC(t *testing.T) {
	t.Parallel()
	const (
		iv    = "000102030405060708090a0b0c0d0e0f"
		plain = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
	)
	for key, want := range map[string]string{
		"2b7e151628aed2a6abf7158809cf4f3c":                                 "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2 73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
		"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4": "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d 39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
	} {
		text, err := filtered(t, "${var.D | unhex | aes_cbc(var.K | unhex, var.IV | unhex) | hex}", key, iv, strings.ReplaceAll(plain, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := unhex(t, text)
		if wanted := unhex(t, want); len(got) != 80 || !bytes.Equal(got[:64], wanted) {
			t.Fatalf("encrypted to %x, want %x and a block of padding", got, wanted)
		}
		block, err := aes.NewCipher(unhex(t, key))
		if err != nil {
			t.Fatal(err)
		}
		padding := make([]byte, 16)
		cipher.NewCBCDecrypter(block, got[48:64]).CryptBlocks(padding, got[64:])
		if !bytes.Equal(padding, bytes.Repeat([]byte{16}, 16)) {
			t.Errorf("the padding is %x", padding)
		}
	}
	// Keys that are text count as their bytes: the same key once as text, once in hexadecimal.
	asText, err := filtered(t, "${var.D | aes_cbc(var.K, var.IV) | b64}", "FAKE-key-of-16by", "FAKE-ivv-of-16by", "x")
	if err != nil {
		t.Fatal(err)
	}
	asHex, err := filtered(t, "${var.D | aes_cbc(var.K | unhex, var.IV | unhex) | b64}", hex.EncodeToString([]byte("FAKE-key-of-16by")), hex.EncodeToString([]byte("FAKE-ivv-of-16by")), "x")
	if err != nil || asText != asHex || len(asText) != 24 {
		t.Errorf("text %q, hexadecimal %q, %v", asText, asHex, err)
	}
}

// TestFilterErrors: what fails at run time says why, and nothing of keys and values.
func TestFilterErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ template, k, iv, d, want string }{
		"key of AES":               {"${var.D | aes_cbc(var.K, var.IV) | hex}", "hunter22-key", "hunter22-iv-16by", "hunter22-data", "wrong length"},
		"initialization vector":    {"${var.D | aes_cbc(var.K, var.IV) | hex}", "hunter22-key-16b", "hunter22-iv", "hunter22-data", "wrong length"},
		"no initialization vector": {"${var.D | aes_cbc(var.K, var.IV) | hex}", "hunter22-key-16b", "", "hunter22-data", "wrong length"},
		"key encryption key":       {"${input.keys[0].cek | kw_wrap(var.K) | hex}", "hunter22-key", "", "", "wrong length"},
		"key of half blocks":       {"${var.D | unhex | kw_wrap(var.K) | hex}", "hunter22-key-16b", "", "0011223344556677889900", "wrong length"},
		"key of one block":         {"${var.D | unhex | kw_wrap(var.K) | hex}", "hunter22-key-16b", "", "0011223344556677", "wrong length"},
		"no hexadecimal":           {"${var.K | unhex | hex}", "hunter22-key", "", "", "has another form"},
		"no base64":                {"${var.K | unb64 | hex}", "hunter22-key", "", "", "has another form"},
		"odd hexadecimal key":      {"${var.D | aes_cbc(var.K | unhex, var.IV) | hex}", "0123456789a", "hunter22-iv-16by", "x", "has another form"},
	} {
		_, err := filtered(t, c.template, c.k, c.iv, c.d)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.template) {
			t.Errorf("%s: %v, want %q and the template", name, err, c.want)
		}
		for _, canary := range []string{"hunter22", "0123456789a", "00112233", "6875"} {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error holds %q: %v", name, canary, err)
			}
		}
	}
}

// TestWrappedNothing: a content key that is not known is not sent wrapped.
func TestWrappedNothing(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+"vars: {K: {secret: true, env: K}}\nrequest: {url: 'https://license.example/', headers: {X-Key: '${input.keys[0].cek | kw_wrap(var.K) | hex | omitempty}'}}\n", "K", "FAKE-key-of-16by")
	need := testNeed()
	q := built(t, p, leaseFor(t, p, need), "")
	if len(q.Header.Get("X-Key")) != 48 {
		t.Errorf("wrapped key %q", q.Header.Get("X-Key"))
	}
	need.Keys = nil
	if q = built(t, p, leaseFor(t, p, need), ""); q.Header.Values("X-Key") != nil {
		t.Errorf("a key that is not known is sent as %q", q.Header.Get("X-Key"))
	}
}

// TestTypesInJSON: a leaf that is one expression keeps its type, lists and bytes_array among them.
func TestTypesInJSON(t *testing.T) {
	t.Parallel()
	p := boundTo(t, head+`vars: {N: {default: 3}, ON: {default: true}}
request:
  url: https://license.example/
  body:
    wrap: json
    encoding: bytes_array
    json:
      challenge: "${challenge}"
      n: "${var.N}"
      text: "${var.N} or ${var.ON}"
      "on": "${var.ON}"
      kids: "${input.kids | guid}"
      joined: "${input.kids | b64 | join('|')}"
      bytes: "${input.content_id | bytes_array}"
      time: "${now | unix}"
      "null": null
      gone: "${var.N | json | trim | default('x') | omitempty}"
`)
	got := bodyOf(t, built(t, p, leaseFor(t, p, testNeed()), "\x00\x08\xff"))
	const want = `{"challenge":[0,8,255],"n":3,"text":"3 or true","on":true,"kids":["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],` +
		`"joined":"+B1Prn3sEdCnZQCgyR5r9g==","bytes":[99,105,100],"time":1700000000,"null":null,"gone":"3"}`
	if got != want {
		t.Errorf("body\n%s\nwant\n%s", got, want)
	}
}

// TestKeyInFilter: a key must not stand in the profile.
func TestKeyInFilter(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{`hmac_sha256("%s")`, `aes_cbc("%s", "FAKE-ivv-of-16by")`} {
		text := head + "vars: {D: {default: x}}\nrequest: {url: 'https://license.example/', headers: {A: '${var.D | " + filter + " | hex}'}}\n"
		refusesAll(t, filter, strings.ReplaceAll(text, "%s", "hunter22hunter22"), "p.yaml:5:", "a secret must not stand in a profile")
		parsed(t, strings.ReplaceAll(text, "%s", "FAKEkey-of-16byt"))
	}
}
