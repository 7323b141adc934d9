package provider_test

import (
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// BenchmarkBuild makes license requests; a load test makes one per shot.
func BenchmarkBuild(b *testing.B) {
	const head = "profile: 1\nid: bench\ndrm: widevine\n"
	for _, c := range []struct{ name, text string }{
		{"plain", "request: {url: 'https://license.example/wv'}\n"},
		{"header", "tokens: [{id: t, source: env, env: T}]\nrequest: {url: 'https://license.example/wv', headers: {X-Token: '${token.t.value}'}}\n"},
		{"signed JSON", "vars: {K: {required: true, secret: true, env: K}, I: {required: true, secret: true, env: I}}\ntokens:\n  - id: s\n    source: signed_json\n    signed_json:\n" +
			"      inner: {payload: '${input.challenge | b64}', content_id: '${input.content_id | b64}', provider: p, keys: {$each: input.keys, $as: k, $do: {key_id: '${k.kid | b64}', key: '${k.cek | b64}'}}}\n" +
			"      digest: sha1\n      sign: {alg: aes_cbc, key: '${var.K}', key_encoding: hex, iv: '${var.I}'}\n      outer: {request: '${inner_bytes | b64}', signature: '${signature | b64}', signer: p}\n" +
			"request: {url: 'https://license.example/wv', body: {wrap: token, token: s}}\n"},
		{"late JWT", "vars: {K: {required: true, secret: true, env: K}}\ntokens: [{id: t, source: jwt, jwt: {key: '${var.K}', claims: {h: '${input.challenge | sha256 | hex}', jti: '${uuid}', exp: '${now | add(300s) | unix}'}}}]\n" +
			"request: {url: 'https://license.example/wv', headers: {X-Token: '${token.t.value}'}}\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := provider.Parse("bench.yaml", []byte(head+c.text))
			if err != nil {
				b.Fatal(err)
			}
			if p, err = p.Bind(provider.Environment{Getenv: from("T", "FAKE-0123456789abcdef", "K", "000102030405060708090a0b0c0d0e0f", "I", "000102030405060708090a0b0c0d0e0f")}); err != nil {
				b.Fatal(err)
			}
			kid := drm.KID{1}
			lease, err := p.Lease(b.Context(), provider.Need{KIDs: []drm.KID{kid}, Keys: map[drm.KID]secret.Bytes{kid: secret.New(make([]byte, 16))}})
			if err != nil {
				b.Fatal(err)
			}
			m, at := drm.Message{Kind: drm.KindLicense, Body: make([]byte, 2048)}, provider.At{Now: time.Unix(1_700_000_000, 0), Rand: [16]byte{1}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Build(lease, m, at).HTTP(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
