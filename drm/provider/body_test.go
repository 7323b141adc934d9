package provider_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// TestBodies compares bodies and content types byte for byte.
func TestBodies(t *testing.T) {
	t.Parallel()
	const text = "application/json"
	const challenge = "\xfb\xff\x00<"
	for request, want := range map[string][2]string{
		"body: {wrap: raw}": {challenge, "application/octet-stream"},
		"content_type: x/y": {challenge, "x/y"},
		"body: {wrap: json, json: {a: '${challenge}', b: [1, '${var.V}']}}":                                  {`{"a":"+/8APA==","b":[1,"v & v"]}`, text},
		"body: {wrap: json, encoding: b64, json: ['${challenge}']}":                                          {`["+/8APA=="]`, text},
		"body: {wrap: json, encoding: b64url, json: '${challenge}'}":                                         {`"-_8APA"`, text},
		"body: {wrap: json, encoding: hex, json: {a: 'x${challenge | upper}'}}":                              {`{"a":"xFBFF003C"}`, text},
		"body: {wrap: json, encoding: bytes_array, json: {a: '${challenge}'}}":                               {`{"a":[251,255,0,60]}`, text},
		"body: {wrap: json, json: {a: '${input.challenge | b64url}'}}":                                       {`{"a":"-_8APA"}`, text},
		"body: {wrap: json, json: {a: '${challenge}'}}, content_type: 'text/plain; x=${var.N}'":              {`{"a":"+/8APA=="}`, "text/plain; x=3"},
		"body: {wrap: form, form: {c: '${challenge}', d: '${var.V}', e: '${var.E | omitempty}'}}":            {"c=%2B%2F8APA%3D%3D&d=v+%26+v", "application/x-www-form-urlencoded"},
		"body: {wrap: form, encoding: hex, form: {c: ['${challenge}', two]}}":                                {"c=fbff003c&c=two", "application/x-www-form-urlencoded"},
		"body: {wrap: envelope, envelope: '<a b=\"${var.V | xml}\">${challenge}</a>'}":                       {`<a b="v &amp; v">+/8APA==</a>`, "text/xml; charset=utf-8"},
		"body: {wrap: envelope, encoding: hex, envelope: \"a\\n${challenge}\"}":                              {"a\nfbff003c", "text/xml; charset=utf-8"},
		"body: {wrap: envelope, envelope: '${input.challenge}'}":                                             {challenge, "text/xml; charset=utf-8"},
		"body: {wrap: token, token: t}":                                                                      {"FAKE fbff003c", text},
		"body: {wrap: json, json: {a: '${challenge}', k: '${input.challenge_kind}', s: '${req.seq}'}}":       {`{"a":"+/8APA==","k":"license","s":7}`, text},
		"body: {wrap: json, json: {a: '${challenge}', q: '${challenge | urlquery}', l: '${token.t.value}'}}": {`{"a":"+/8APA==","q":"%2B%2F8APA%3D%3D","l":"FAKE fbff003c"}`, text},
	} {
		tokens := ""
		if strings.Contains(request, " t}") || strings.Contains(request, "token.t") {
			tokens = "tokens: [{id: t, source: template, value: 'FAKE ${input.challenge | hex}'}]\n"
		}
		p := boundTo(t, head+"vars: {V: {default: 'v & v'}, N: {default: 3}, E: {default: ''}}\n"+tokens+
			"request: {url: 'https://license.example/', query: {v: '${var.V}', n: '${var.N}', e: '${var.E}'}, "+request+"}\n")
		q := built(t, p, leaseFor(t, p, testNeed()), challenge)
		if got := bodyOf(t, q); got != want[0] || q.Header.Get("Content-Type") != want[1] || q.ContentLength != int64(len(want[0])) {
			t.Errorf("%s:\n%q as %q\nwant\n%q as %q", request, got, q.Header.Get("Content-Type"), want[0], want[1])
		}
	}
}

// TestGzip compresses what is sent, wrapped or not, and nothing where there is nothing.
func TestGzip(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{"": "challenge", "body: {wrap: json, json: {c: '${challenge}'}}, ": `{"c":"Y2hhbGxlbmdl"}`} {
		p := boundTo(t, head+"request: {url: 'https://license.example/', "+body+"compress: gzip, accept: a/b}\n")
		lease := leaseFor(t, p, testNeed())
		q := built(t, p, lease, "challenge")
		r, err := gzip.NewReader(q.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want || q.Header.Get("Content-Encoding") != "gzip" || q.Header.Get("Accept") != "a/b" {
			t.Errorf("%q, %v, header %v; want %q", got, err, q.Header, want)
		}
	}
	p := boundTo(t, head+"request: {url: 'https://license.example/', compress: gzip}\n")
	if q := built(t, p, leaseFor(t, p, testNeed()), ""); q.Header["Content-Encoding"] != nil || q.ContentLength != 0 || q.Header["Accept"] != nil {
		t.Errorf("an empty body has the header %v", q.Header)
	}
	p = boundTo(t, head+"request: {url: 'https://license.example/', headers: {accept: c/d}, accept: a/b}\n")
	if q := built(t, p, leaseFor(t, p, testNeed()), ""); len(q.Header) != 2 || map[string][]string(q.Header)["accept"][0] != "c/d" {
		t.Errorf("a header that the profile names has %v beside it", q.Header)
	}
}

func TestQueryEncodings(t *testing.T) {
	t.Parallel()
	build := func(encoding, query string, v string) (*provider.Request, error) {
		p, err := parsed(t, head+"vars: {V: {env: V}, S: {secret: true, env: S}}\nrequest: {url: 'https://license.example/x?y=1', query_encoding: "+encoding+", query: {"+query+"}, headers: {A: '${var.V | sha1 | hex}', B: '${var.S}'}}\n").
			Bind(provider.Environment{Getenv: from("V", v, "S", "FAKE-secret value")})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := p.Lease(t.Context(), testNeed())
		if err != nil {
			return nil, err
		}
		return p.Build(lease, drm.Message{}, testAt), nil
	}
	const cfg = "cfg: '(kid:${input.kid | playready_kid},v:${var.V})', s: '${var.S | b64}'"
	for encoding, want := range map[string]string{
		"form":     "y=1&cfg=%28kid%3Ark8d%2BOx90BGnZQCgyR5r9g%3D%3D%2Cv%3Aa+%26%2B%29&s=RkFLRS1zZWNyZXQgdmFsdWU%3D",
		"percent":  "y=1&cfg=%28kid%3Ark8d%2BOx90BGnZQCgyR5r9g%3D%3D%2Cv%3Aa%20%26%2B%29&s=RkFLRS1zZWNyZXQgdmFsdWU%3D",
		"verbatim": "y=1&cfg=(kid:rk8d+Ox90BGnZQCgyR5r9g==,v:a(&+))&s=RkFLRS1zZWNyZXQgdmFsdWU=",
	} {
		v := "a &+"
		if encoding == "verbatim" {
			v = "a(&+)"
		}
		r, err := build(encoding, cfg, v)
		if err != nil {
			t.Fatal(err)
		}
		shown := "https://license.example/x?" + strings.Replace(want, want[strings.LastIndex(want, "s=")+2:], "${var.S | b64}", 1)
		if r.URL != "https://license.example/x?"+want || r.ShownURL() != shown {
			t.Errorf("%s:\n%s\n%s\nwant\n%s", encoding, r.URL, r.ShownURL(), want)
		}
	}
	for _, v := range []string{"a b", "a#b", "a\nb", "a\rb", "a\tb", "ü", "\x7f", "a\x00"} {
		if _, err := build("verbatim", "q: '${var.V}'", v); err == nil || !strings.Contains(err.Error(), "query parameter q holds what cannot stand in a URL") {
			t.Errorf("%q stands in a query as it is: %v", v, err)
		}
	}
	if _, err := build("verbatim", "'a b': x", "v"); err == nil || !strings.Contains(err.Error(), "cannot stand in a URL") {
		t.Errorf("a name with a space stands in a query as it is: %v", err)
	}
}

// certificateProfile has a service certificate of its own URL, and a wrapped body.
func certificateProfile(keys string) string {
	return head + "vars: {S: {secret: true, env: S}}\ntokens: [{id: t, source: template, value: 'FAKE${var.S}'}]\nrequest:\n  url: https://license.example/wv\n  query: {q: 'a b', t: '${token.t.value}'}\n  headers: {X-Token: '${token.t.value}'}\n" +
		"  body: {wrap: json, json: {c: '${challenge}'}}\ncertificate: {" + keys + "}\nresponse: {unwrap: [{as: json, path: $.l, decode: b64}]}\n"
}

// TestCertificateRequests: where service certificates are asked for, how the request is wrapped, and how the answer.
func TestCertificateRequests(t *testing.T) {
	t.Parallel()
	const wrapped, raw = `{"c":"CAQ="}`, "\x08\x04"
	for keys, want := range map[string]struct{ method, url, body, answer string }{
		"mode: same_url":                                                          {"POST", "https://license.example/wv?q=a+b&t=FAKEFAKE-certificate", wrapped, "cert"},
		"mode: same_url, wrap: raw":                                               {"POST", "https://license.example/wv?q=a+b&t=FAKEFAKE-certificate", raw, `{"l": "Y2VydA=="}`},
		"mode: url, url: 'https://cert.example/c?x=1'":                            {"GET", "https://cert.example/c?x=1", "", "cert"},
		"mode: url, url: 'https://cert.example/c', wrap: raw":                     {"GET", "https://cert.example/c", "", `{"l": "Y2VydA=="}`},
		"mode: url, url: 'https://cert.example/${input.kid | hex}', method: POST": {"POST", "https://cert.example/f81d4fae7dec11d0a76500a0c91e6bf6", wrapped, "cert"},
		"mode: url, url: 'https://cert.example/', method: POST, wrap: raw":        {"POST", "https://cert.example/", raw, `{"l": "Y2VydA=="}`},
	} {
		p := boundTo(t, certificateProfile(keys), "S", "FAKE-certificate")
		lease := leaseFor(t, p, testNeed())
		q, err := p.Build(lease, drm.Message{Kind: drm.KindCertificate, Body: []byte(raw)}, testAt).HTTP(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if body := bodyOf(t, q); q.Method != want.method || q.URL.String() != want.url || body != want.body || q.Header.Get("X-Token") != "FAKEFAKE-certificate" {
			t.Errorf("%s: %s %s %q, want %s %s %q", keys, q.Method, q.URL, body, want.method, want.url, want.body)
		}
		if r := p.Read(drm.KindCertificate, 200, nil, []byte(`{"l": "Y2VydA=="}`)); string(r.Body) != want.answer || r.Class != provider.ClassOK {
			t.Errorf("%s: read %q as %s, want %q", keys, r.Body, r.Class, want.answer)
		}
		if r := p.Read(drm.KindLicense, 200, nil, []byte(`{"l": "Y2VydA=="}`)); string(r.Body) != "cert" {
			t.Errorf("%s: a license is read as %q", keys, r.Body)
		}
		if q := built(t, p, lease, raw); bodyOf(t, q) != wrapped || q.URL.Path != "/wv" {
			t.Errorf("%s: a license request goes to %s", keys, q.URL)
		}
		// What spoils a token in a parameter leaves another URL alone.
		spoilt := p.Build(lease.WithAlteredToken(), drm.Message{Kind: drm.KindCertificate, Body: []byte(raw)}, testAt)
		if strings.HasPrefix(keys, "mode: url") && spoilt.URL != want.url {
			t.Errorf("%s: with an altered token the certificate is asked for at %s", keys, spoilt.URL)
		}
	}
}

// TestCertificateURLs: they are as safe as license URLs, and counted among a profile's.
func TestCertificateURLs(t *testing.T) {
	t.Parallel()
	const own = "mode: url, url: "
	p := boundTo(t, certificateProfile(own+"'https://cert.example/c'"), "S", "FAKE-certificate")
	if origins := p.Origins(); len(origins) != 2 || origins[0] != "https://cert.example:443" || !p.Secure() {
		t.Errorf("origins %v, secure %v", origins, p.Secure())
	}
	unsafe := boundTo(t, certificateProfile(own+"'http://cert.example/c'"), "S", "FAKE-certificate")
	if _, err := unsafe.Lease(t.Context(), testNeed()); err == nil || !strings.Contains(err.Error(), "certificate.url: is plain http to another machine") || unsafe.Secure() {
		t.Errorf("%v, secure %v", err, unsafe.Secure())
	}
	for keys, want := range map[string]string{
		own + "'ftp://cert.example/'":  "certificate.url: want an absolute http or https URL",
		"mode: url":                    "certificate.url: is missing: the mode is url",
		"url: 'https://cert.example/'": "certificate.url: belongs to mode url, seen same_url",
		"mode: embedded":               "certificate.file: is missing: the mode is embedded",
		"file: c.bin, mode: none":      "certificate.file: belongs to mode embedded, seen none",
		"method: PUT":                  `certificate.method: seen "PUT"`,
		"wrap: json":                   `certificate.wrap: seen "json"`,
	} {
		refusesAll(t, keys, certificateProfile(keys), "p.yaml:11: ", want)
	}
	parsed(t, certificateProfile("mode: embedded, file: c.bin"))
}

// TestEmbeddedCertificate is read where the profile says it is.
func TestEmbeddedCertificate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "certificate.bin")
	p := parsed(t, certificateProfile("mode: embedded, file: '"+path+"'"))
	if _, err := p.EmbeddedCertificate(); err == nil || !strings.Contains(err.Error(), "read certificate.file: ") {
		t.Errorf("no file: %v", err)
	}
	for size, good := range map[int]bool{1000: true, 1 << 16: true, 1<<16 + 1: false} {
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := p.EmbeddedCertificate(); (err == nil) != good || good && len(b) != size {
			t.Errorf("%d bytes: %d, %v", size, len(b), err)
		}
	}
}

// TestBuildLeavesBodyAlone: a message may be sent again.
func TestBuildLeavesBodyAlone(t *testing.T) {
	t.Parallel()
	p := boundTo(t, certificateProfile("mode: same_url"), "S", "FAKE-certificate")
	lease, m := leaseFor(t, p, testNeed()), drm.Message{Kind: drm.KindLicense, Body: []byte("abc")}
	first := p.Build(lease, m, testAt)
	first.Body[0] = 'x'
	if again := p.Build(lease, m, testAt); !bytes.Equal(m.Body, []byte("abc")) || again.Body[0] != '{' {
		t.Error("requests share their body")
	}
	if _, err := p.Build(lease, m, testAt).HTTP(t.Context()); err != nil {
		t.Error(err)
	}
	if http.MethodPost != first.Method {
		t.Error(first.Method)
	}
}
