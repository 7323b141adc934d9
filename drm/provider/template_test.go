package provider

import (
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
)

func testScope() (*scope, map[string]any) {
	vars := map[string]Var{"HOST": {}, "LEVEL": {Default: 3}, "ON": {Default: true}, "EMPTY": {}, "SECRET": {Secret: true}}
	s := newScope(vars, map[string]tokenShape{"ep": {outputs: []string{"url", "value"}}, "open": {outputs: []string{"value"}, public: true}}, true)
	b := &bound{named: names{inputs: []string{"kid"}, run: true, fresh: true}, env: Environment{RunID: "run-1"}, vars: map[string]any{"HOST": "a b|c", "LEVEL": 3, "ON": true, "EMPTY": "", "SECRET": secret.New([]byte("FAKE-secret"))}}
	kid := drm.KID{0: 0xab, 15: 0xff}
	env := b.exprEnv(map[string]outputs{
		"ep": {"url": secret.New([]byte("https://x")), "value": secret.New([]byte("tok"))}, "open": {"value": secret.New([]byte("public"))},
	}, inputs{
		need:    Need{Labels: map[drm.KID]string{kid: "HD"}, ContentID: []byte("cid"), Keys: map[drm.KID]secret.Bytes{kid: secret.New([]byte{1, 2})}},
		session: "s1", laURL: "https://la.example/?a=1&b=2", uuid: "u", seq: 7,
		kids: []drm.KID{kid, {}}, msg: drm.Message{Kind: drm.KindLicense, Body: []byte{8, 1}}, now: time.Unix(1_700_000_000, 0),
	})
	return s, env
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	s, env := testScope()
	for text, want := range map[string]any{
		"plain":                                        "plain",
		"":                                             "",
		"$${input.kid} costs $5":                       "${input.kid} costs $5",
		"${var.HOST}":                                  "a b|c",
		"${var.LEVEL}":                                 3,
		"${var.ON}":                                    true,
		"l=${var.LEVEL}, on=${var.ON}":                 "l=3, on=true",
		"${input.kid | hex}":                           "ab0000000000000000000000000000ff",
		"${input.kid|hex()|upper()}":                   "AB0000000000000000000000000000FF",
		"${upper(hex(input.kid))}":                     "AB0000000000000000000000000000FF",
		"${input.kids[1] | hex}":                       "00000000000000000000000000000000",
		"${input.keys[0].cek | b64}":                   "AQI=",
		"${input.keys[0].kid | b64url}":                "qwAAAAAAAAAAAAAAAAAA_w",
		"${input.keys[1].cek | hex}":                   "",
		"${input.content_id | b64}":                    "Y2lk",
		"${input.challenge | b64url}":                  "CAE",
		"${input.challenge}":                           "\x08\x01",
		"${input.challenge_kind}":                      "license",
		"${var.HOST | urlquery}":                       "a+b%7Cc",
		"${var.EMPTY | default('a|}b')}":               "a|}b",
		"${var.HOST | default('x')}":                   "a b|c",
		"${now | unix}":                                1_700_000_000,
		"${now | add(300s) | unix}":                    1_700_000_300,
		`${now | add("-60s") | rfc3339}`:               "2023-11-14T22:12:20Z",
		"${token.ep.url}/x":                            "https://x/x",
		"${var.SECRET}":                                "FAKE-secret",
		"${token.open.value}":                          "public",
		"${input.keys[0].label}":                       "HD",
		"${input.session_id}/${uuid}":                  "s1/u",
		"${req.seq}":                                   7,
		"${run.id}":                                    "run-1",
		"${input.header_la_url | xml}":                 "https://la.example/?a=1&amp;b=2",
		"${input.header_la_url | json}":                `"https://la.example/?a=1&b=2"`,
		"${input.kid | guid}":                          "ab000000-0000-0000-0000-0000000000ff",
		"${input.kid | guid_le | hex}":                 "000000ab0000000000000000000000ff",
		"${input.kid | playready_kid}":                 "AAAAqwAAAAAAAAAAAAAA/w==",
		"${input.kids | hex | join(',')}":              "ab0000000000000000000000000000ff,00000000000000000000000000000000",
		"${input.keys[1].cek | hex | prefix(',key:')}": "",
		"${input.keys[0].cek | hex | prefix(',key:')}": ",key:0102",
		"${now | compact}":                             "20231114221320",
		"${var.EMPTY | default(var.HOST)}":             "a b|c",
		"${var.HOST | urlpath}":                        "a%20b%7Cc",
		"${var.HOST | utf16le | hex}":                  "610020006200" + "7c006300",
		"${var.HOST | b64nopad}":                       "YSBifGM",
		"${var.HOST | sha1 | hex}":                     "e840e142f6c1fa87a5279ce950b8df2c15f1c74c",
	} {
		tpl, err := s.compile(text, intoBytes)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, drop, err := tpl.eval(env)
		if b, ok := got.([]byte); ok {
			got = string(b)
		}
		if err != nil || drop || got != want {
			t.Errorf("%s = %#v, drop %v, %v; want %#v", text, got, drop, err, want)
		}
		named := strings.Contains(text, "token.ep") || strings.Contains(text, "SECRET") || strings.Contains(text, ".cek")
		if tpl.secret() != named {
			t.Errorf("%s: secret %v, want %v", text, tpl.secret(), named)
		}
	}
	for text, want := range map[string]bool{"${input.keys[1].cek | hex | omitempty}": true, "${input.keys[0].cek | hex | omitempty()}": false, "${var.EMPTY | omitempty}": true} {
		tpl, err := s.compile(text, intoText)
		if err != nil {
			t.Fatal(err)
		}
		if _, drop, err := tpl.eval(env); drop != want || err != nil {
			t.Errorf("%s: drop %v, %v; want %v", text, drop, err, want)
		}
	}
}

func TestJSONTemplate(t *testing.T) {
	t.Parallel()
	s, env := testScope()
	root, found := readTree("j", []byte(`{z: "${var.LEVEL}", gone: "${var.EMPTY | omitempty}", a: ["${input.kid | hex}", 5, true, null, "a\"b"], on: "${var.ON}"}`))
	if len(found) > 0 {
		t.Fatal(found)
	}
	v := validator{lines: map[string]int{}}
	text, _, err := v.jsonTemplate(s, "j", root).render(rendering{env: env})
	const want = `{"z":3,"a":["ab0000000000000000000000000000ff",5,true,null,"a\"b"],"on":true}`
	if err != nil || len(v.problems) > 0 || string(text) != want {
		t.Errorf("rendered %s, %v, %v; want %s", text, err, v.problems, want)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	target, _ := readTree("t", []byte(`{a: {b: 1, c: 2}, l: [{id: x, v: 1, w: 2}, {id: y}], p: [1]}`))
	patch, _ := readTree("p", []byte(`{a: {b: null, d: 3}, l: [{id: x, v: 9}, {id: z}], p: [2], n: {m: null}}`))
	s, env := testScope()
	v := validator{lines: map[string]int{}}
	text, _, err := v.jsonTemplate(s, "", merge(target, patch)).render(rendering{env: env})
	const want = `{"a":{"c":2,"d":3},"l":[{"id":"x","v":9,"w":2},{"id":"y"},{"id":"z"}],"p":[2],"n":{}}`
	if err != nil || string(text) != want {
		t.Errorf("merged %s, %v; want %s", text, err, want)
	}
	if target.get("a").get("b") == nil {
		t.Error("merging changed the target")
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"plain", "$${", "${input.kid | hex | upper}", "${now | add(300s) | unix}", "${input.keys[0].cek|b64|omitempty}", "${var.EMPTY | default('}|')}", "${var[", "${a?.b ?? 1..9}"} {
		f.Add(seed)
	}
	s, env := testScope()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 512 {
			return
		}
		tpl, err := s.compile(text, intoText)
		if err != nil {
			return
		}
		out, _, err := tpl.evalText(env)
		indexed := strings.Contains(text, "[")
		if err != nil && !indexed {
			t.Errorf("%q was accepted and cannot be evaluated: %v", text, err)
		}
		if strings.Contains(out, "FAKE-secret") && !tpl.secret() {
			t.Errorf("%q yields a secret and does not count as one", text)
		}
	})
}
