package fakes

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"keyflow/drm/secret"
)

// The example of RFC 7515 A.1, whose JSON has line ends and spaces in it.
const (
	rfcToken = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9" +
		".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ" +
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	rfcKey = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
)

func TestJWTVector(t *testing.T) {
	t.Parallel()
	key, err := base64.RawURLEncoding.DecodeString(rfcKey)
	if err != nil {
		t.Fatal(err)
	}
	got, f := new(exchange).openJWT(rfcToken, secret.New(key), "HS256")
	if f != nil || got.claims.text("iss") != "joe" || len(got.claims) != 3 {
		t.Errorf("%v, claims %v", f, got.claims)
	}
	for text, want := range map[string]*flaw{
		rfcToken[:len(rfcToken)-1] + "l":             flawMalformed, // the same bytes, but for unused bits
		rfcToken[:len(rfcToken)-2] + "Hk":            flawSignature,
		strings.Replace(rfcToken, "eyJp", "eyJq", 1): flawSignature,
		rfcToken + "\n":                              flawMalformed,
	} {
		if _, f := new(exchange).openJWT(text, secret.New(key), "HS256"); f != want {
			t.Errorf("%q: %v, want %v", text, f, want)
		}
	}
	if _, f := new(exchange).openJWT(rfcToken, secret.New(key), "HS384", "HS512"); f != flawAlgorithm {
		t.Errorf("another algorithm: %v", f)
	}
}

// TestMembers: names are exact and distinct, and nothing stands after the object.
func TestMembers(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "[]", "null", "{", `{"a":1}x`, `{"a":1}{}`, `{"a":1,"a":2}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `"{}"`, `{"a":1]`} {
		if m, err := readMembers([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, m)
		}
	}
	m, err := readMembers([]byte(` {"a":1,"A":"x","n":null,"l":[{"a":2}],"b":"AA==","u":"AB=="} `))
	if err != nil {
		t.Fatal(err)
	}
	n := 7
	list, ok := m.objects("l")
	_, full := m.base64("b")
	_, unused := m.base64("u")
	if !m.read("a", &n) || n != 1 || m.text("A") != "x" || m.read("n", &n) || m.readOptional("n", &n) || !m.readOptional("none", &n) ||
		!ok || len(list) != 1 || m.object("l") != nil || m.only("a") || !full || unused {
		t.Errorf("%v", m)
	}
}

// TestOnce: the oldest id is forgotten first, and no other.
func TestOnce(t *testing.T) {
	t.Parallel()
	var o once
	id := func(i int) string { return time.Duration(i).String() }
	for i := range maxOnce {
		o.first(id(i))
	}
	if o.first(id(0)) || !o.first(id(maxOnce)) || o.has(id(0)) || o.first(id(1)) || !o.first(id(0)) || o.has(id(1)) {
		t.Error("another id than the oldest was forgotten")
	}
}

// FuzzJWT reads arbitrary tokens: what can be read has three parts that encode again to the same text.
func FuzzJWT(f *testing.F) {
	f.Add(rfcToken)
	f.Add("..")
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.e30.AA")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := readJWT(text); ok && (got.signed+"."+base64.RawURLEncoding.EncodeToString(got.signature) != text || strings.Count(text, ".") != 2) {
			t.Errorf("%q is read as %+v", text, got)
		}
	})
}

// FuzzServiceMessage reads arbitrary License Service Messages: what is accepted names what it must.
func FuzzServiceMessage(f *testing.F) {
	f.Add(`{"version":1,"com_key_id":"id","begin_date":"2023-11-14T22:13:20Z","expiration_date":"2023-11-14T22:18:20+01:00","message":{"type":"entitlement_message","version":2,"license":{"duration":3600},"content_keys_source":{"inline":[{"id":"00010203-0405-0607-0809-0a0b0c0d0e0f"}]}}}`)
	f.Add(`{"version":1,"com_key_id":"id","message":{"type":"entitlement_message","version":2,"content_keys_source":{"inline":[{"id":"x","usage_policy":"A"}]},"content_key_usage_policies":[{"name":"A"}]}}`)
	f.Add(`{"version":1,"com_key_id":"id","message":{"type":"entitlement_message","version":2,"license":{"duration":99999999999999999999},"content_keys_source":null}}`)
	key := secret.New([]byte("0123456789abcdef"))
	s := &Server{account: account{values: map[string]secret.Bytes{"COM_KEY": key, "COM_KEY_ID": secret.New([]byte("id"))}}, faults: newBoard()}
	f.Fuzz(func(t *testing.T, claims string) {
		x := &exchange{server: s, now: time.Unix(1_700_000_000, 0), faults: []*armed{{Setting: Setting{Name: faultTokenSignature}}}}
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AA"
		m, flaw := readServiceMessage(x, text)
		if flaw != nil {
			return
		}
		var read struct {
			Version int
			Message struct{ Version int }
		}
		if json.Unmarshal([]byte(claims), &read) != nil || read.Version != 1 || read.Message.Version != 2 || m.duration < 0 || m.duration > 1<<31*time.Second {
			t.Errorf("%s is read as %+v", claims, m)
		}
		for _, kid := range m.kids {
			if !strings.Contains(strings.ToLower(claims), kid.String()) && !strings.Contains(claims, `\u`) {
				t.Errorf("%s is read as %+v", claims, m)
			}
		}
	})
}
