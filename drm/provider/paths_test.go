package provider

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONPath(t *testing.T) {
	t.Parallel()
	const body = `{"a": {"b": ["x", {"c-d": 1.50}]}, "t": true, "n": null, "e": "", "big": 12345678901234567890, "_u": "ü"}`
	for path, want := range map[string]string{
		"$.a.b[0]": "x", "$.a.b[1].c-d": "1.50", "$.t": "true", "$.big": "12345678901234567890", "$._u": "ü",
		"$.n": "", "$.e": "", "$.a": "", "$": "", "$.a.b[2]": "", "$.a.b.c": "", "$.a[0]": "", "$.none.at.all": "", "$.a.b[9999]": "",
	} {
		steps, err := parseJSONPath(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if got, found := valueAt(decodeJSON([]byte(body)), steps); got != want || found != (want != "") {
			t.Errorf("%s: %q, %v; want %q", path, got, found, want)
		}
	}
	for _, path := range []string{"", "a", "$a", "$..a", "$.a[*]", "$.a[-1]", "$.a[10000]", "$['a']", "$.a.", "$.a[0", "$.1", "$ .a", "$.a b", "$.ü"} {
		if steps, err := parseJSONPath(path); err == nil {
			t.Errorf("%q was accepted as %v", path, steps)
		}
	}
	for _, body := range []string{"", "{", `"x"`, "\x00"} {
		if got, found := valueAt(decodeJSON([]byte(body)), []any{"a"}); found {
			t.Errorf("%q: %q", body, got)
		}
	}
}

func FuzzJSONPath(f *testing.F) {
	for _, seed := range []string{"$.a.b[0]", "$", "$[0][1]", "$.a-b_c", "$..", "$.a[00001]"} {
		f.Add(seed, []byte(`{"a": {"b": [1, "x"]}}`))
	}
	f.Fuzz(func(t *testing.T, path string, body []byte) {
		steps, err := parseJSONPath(path)
		if err != nil {
			return
		}
		rebuilt := "$"
		for _, s := range steps {
			switch s := s.(type) {
			case string:
				rebuilt += "." + s
			case int:
				if s < 0 || s > 9999 {
					t.Errorf("%q has the position %d", path, s)
				}
			}
		}
		if !strings.Contains(path, "[") && rebuilt != path {
			t.Errorf("%q was read as %q", path, rebuilt)
		}
		if text, found := valueAt(decodeJSON(body), steps); found != (text != "") {
			t.Errorf("%q in %q: %q, %v", path, body, text, found)
		}
	})
}

func FuzzXMLPath(f *testing.F) {
	for _, seed := range []string{"<r><a><t>x</t></a></r>", "<r xmlns:p='u'><p:a><t/></p:a></r>", "<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", "<r>" + strings.Repeat("<a>", 40)} {
		f.Add(seed, "/r/a/t")
	}
	f.Fuzz(func(t *testing.T, body, path string) {
		if !xmlPath.MatchString(path) {
			return
		}
		text, found := xmlValue(body, path)
		if found && (text != strings.TrimSpace(text) || !strings.Contains(body, path[strings.LastIndex(path, "/")+1:])) {
			t.Errorf("%q in %q: %q", path, body, text)
		}
	})
}

// FuzzJSONTemplate renders what is accepted: it is JSON, and nothing secret counts as open.
func FuzzJSONTemplate(f *testing.F) {
	for _, seed := range []string{
		`{a: "${input.kid | hex}", b: [1, true, null]}`, `{$each: input.keys, $as: k, $do: {c: "${k.cek | b64 | omitempty}"}}`, `{$each: input.kids, $as: k, $do: "${k | guid}"}`,
		`"${var.SECRET}"`, `{a: {$each: input.kids}}`, `["${input.challenge | bytes_array}"]`, `{$each: input.kids, $as: let, $do: "${let | hex}"}`,
	} {
		f.Add([]byte(seed))
	}
	s, env := testScope()
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1024 {
			return
		}
		root, found := readTree("f", text)
		if len(found) > 0 {
			return
		}
		v := validator{lines: map[string]int{}}
		j := v.jsonTemplate(s, "f", root)
		if len(v.problems) > 0 {
			return
		}
		out, drop, err := j.render(rendering{env: env})
		if err != nil && !strings.Contains(string(text), "[") && !strings.Contains(err.Error(), "another form") && !strings.Contains(err.Error(), "wrong length") {
			t.Errorf("%q was accepted and cannot be rendered: %v", text, err)
		}
		if err == nil && !drop && !json.Valid(out) {
			t.Errorf("%q yields %q, which is no JSON", text, out)
		}
		open := true
		for _, tpl := range j.templates() {
			open = open && !tpl.secret()
		}
		if strings.Contains(string(out), "FAKE-secret") && open {
			t.Errorf("%q yields a secret and does not count as one", text)
		}
	})
}
