package provider_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// TestMisplacedToken: the token is in the header Authorization and nowhere else, is not shown there, and stays with its host.
func TestMisplacedToken(t *testing.T) {
	t.Parallel()
	const token = "FAKE-tokenA"
	for name, c := range map[string]struct {
		request string
		places  provider.TokenPlaces
		body    string
	}{
		"query":  {"query: {a: b, t: '${token.t.value}'}", provider.TokenPlaces{Query: []string{"t"}}, "c"},
		"header": {"query: {a: b}, headers: {X-Token: '${token.t.value}'}", provider.TokenPlaces{Headers: []string{"X-Token"}}, "c"},
		"both":   {"query: {a: b, t: '${token.t.value}'}, headers: {X-Token: '${token.t.value}'}", provider.TokenPlaces{Query: []string{"t"}, Headers: []string{"X-Token"}}, "c"},
		"beside a body": {
			"query: {a: b}, headers: {X-Token: '${token.t.value}'}, body: {wrap: json, json: {c: '${challenge}', t: '${token.t.value}'}}",
			provider.TokenPlaces{Headers: []string{"X-Token"}, Body: true}, `{"c":"Yw=="}`,
		},
	} {
		p := boundTo(t, head+"tokens: [{id: t, source: env, env: T}]\nrequest: {url: 'https://license.example/', "+c.request+"}\nredirects: {policy: any, keep_headers_cross_origin: true}\n", "T", token)
		if places := p.TokenPlaces(); !reflect.DeepEqual(places, c.places) {
			t.Errorf("%s: places %+v, want %+v", name, places, c.places)
		}
		lease := leaseFor(t, p, testNeed()).WithMisplacedToken()
		r := p.Build(lease, drm.Message{Kind: drm.KindLicense, Body: []byte("c")}, testAt)
		q := built(t, p, lease, "c")
		if q.Header.Get("Authorization") != "Bearer "+token || q.URL.String() != "https://license.example/?a=b" || q.Header["X-Token"] != nil || bodyOf(t, q) != c.body {
			t.Errorf("%s: %s %v", name, q.URL, q.Header)
		}
		if strings.Contains(fmt.Sprint(r, r.ShownHeader()), token) {
			t.Errorf("%s: the token is shown: %v", name, r)
		}
		next, err := p.Redirected(r, 307, http.Header{"Location": {"https://other.example/"}}, 0)
		if c.places.Body { // a body that names a token stays, whatever was left out of it
			if err == nil {
				t.Errorf("%s: the body is sent to another host", name)
			}
		} else if err != nil || next.Header["Authorization"] != nil {
			t.Errorf("%s: another host is sent %v, %v", name, next, err)
		}
		if again := built(t, p, leaseFor(t, p, testNeed()), "c"); again.Header["Authorization"] != nil {
			t.Errorf("%s: a right lease is misplaced too", name)
		}
	}
}
