package provider

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func jwtText(header, claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(claims)) + ".c2ln"
}

// TestViewJWT tells names and times, and no other value.
func TestViewJWT(t *testing.T) {
	t.Parallel()
	at := func(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
	text := jwtText(`{"alg":"HS256","kid":"canary"}`, fmt.Sprintf(`{"sub":"canary","iat":5,"nbf":10.7,"exp":300,"begin_date":%q,"expiration_date":%q}`, at(20), at(200)))
	for _, prefix := range []string{"", "Bearer "} {
		v := viewJWT(prefix + text)
		if v == nil || v.Alg != "HS256" || !slices.Equal(v.Header, []string{"alg", "kid"}) || len(v.Claims) != 6 ||
			v.Issued.Unix() != 5 || v.Begins.Unix() != 20 || v.Ends.Unix() != 200 {
			t.Fatalf("%+v", v)
		}
		if strings.Contains(fmt.Sprintf("%+v", *v), "canary") {
			t.Errorf("a value is told: %+v", *v)
		}
	}
	if v := viewJWT(jwtText(`{"alg":"canary-alg"}`, `{"exp":-1,"nbf":1e30,"iat":"soon"}`)); v == nil || v.Alg != "other" || v.Ends != nil || v.Begins != nil || v.Issued != nil {
		t.Errorf("%+v", v)
	}
	for _, text := range []string{"", "a.b.c", "no jwt", jwtText(`[]`, `{}`), jwtText(`{}`, `7`), "..", jwtText(`{}`, `{}`) + ".more"} {
		if v := viewJWT(text); v != nil {
			t.Errorf("%q is taken for a JWT: %+v", text, v)
		}
	}
}

// FuzzViewJWT: a token may hold anything; a time that is told can be printed.
func FuzzViewJWT(f *testing.F) {
	f.Add(jwtText(`{"alg":"HS256"}`, `{"exp":300}`))
	f.Add(jwtText(`{"alg":1}`, `{"exp":"2030-01-02T03:04:05Z","nbf":1e400}`))
	f.Add("Bearer a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		v := viewJWT(text)
		if v == nil {
			return
		}
		for _, at := range []*time.Time{v.Issued, v.Begins, v.Ends} {
			if at == nil {
				continue
			}
			if year := at.Year(); year < 0 || year > 9999 {
				t.Errorf("a time in the year %d", year)
			}
		}
	})
}
