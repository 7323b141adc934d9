package provider

import (
	"net/http"
	"strings"
	"testing"

	"keyflow/drm/secret"
)

func TestRenamed(t *testing.T) {
	t.Parallel()
	r := &Request{Header: http.Header{"Content-Type": {"a/b"}, "X-Token": {"canary"}, "x-token": {"canary"}}, secretHeaders: []string{"X-Token", "x-token"}}
	media, token := strings.ToUpper("Content-Type"), strings.ToUpper("X-Token")
	upper := r.Renamed(strings.ToUpper)
	if len(upper.Header) != 2 || upper.Header[media][0] != "a/b" || len(upper.Header[token]) != 2 || len(r.Header) != 3 {
		t.Errorf("%v", upper.Header)
	}
	if shown := upper.ShownHeader(); shown[token][0] != secret.Placeholder || shown[token][1] != secret.Placeholder || strings.Contains(upper.String(), "canary") {
		t.Errorf("%v", shown)
	}
}
