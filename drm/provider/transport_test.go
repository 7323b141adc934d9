package provider_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// TestReadBody has what of an answer's body is read, and why not all of it.
func TestReadBody(t *testing.T) {
	t.Parallel()
	p := parsed(t, `{profile: 1, id: a, drm: widevine, request: {method: POST, url: "http://a.example/"}, response: {max_bytes: 8}}`)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("text")
		if r.URL.Query().Has("cut") {
			w.Header().Set("Content-Length", "8")
		}
		if r.URL.Query().Has("flush") {
			w.(http.Flusher).Flush()
		}
		_, _ = w.Write([]byte(text))
	})
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	for _, c := range []struct {
		method, query, body string
		reason              drm.Reason
	}{
		{http.MethodPost, "text=12345678", "12345678", ""},
		{http.MethodPost, "text=12345678&flush", "12345678", ""},
		{http.MethodPost, "", "", ""},
		{http.MethodHead, "text=123456789", "", ""}, // with the length of an answer to GET, and none of it
		{http.MethodPost, "text=123456789", "", provider.ReasonTooLarge},
		{http.MethodPost, "text=123456789&flush", "", provider.ReasonTooLarge},
		{http.MethodPost, "text=1234&cut", "", provider.ReasonTruncated},
	} {
		q, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+"?"+c.query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Client().Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.ReadBody(r)
		var failure *provider.TransportError
		if string(body) != c.body || (err != nil) != (c.reason != "") || errors.As(err, &failure) && failure.Reason != c.reason {
			t.Errorf("%s %s: %q, %v", c.method, c.query, body, err)
		}
	}
}
