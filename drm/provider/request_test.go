package provider_test

import (
	"context"
	"net/http"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
)

func plainProfile(t *testing.T) *provider.Profile {
	t.Helper()
	p, err := provider.Parse("plain.yaml", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuild(t *testing.T) {
	p := plainProfile(t)
	lease, err := p.Lease(t.Context(), provider.Need{})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Build(lease, drm.Message{Kind: drm.KindLicense, Body: []byte{8, 1}}, provider.At{})
	q, err := r.HTTP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if q.Method != "POST" || q.URL.String() != "http://127.0.0.1:8080/widevine/license" || q.Header.Get("Content-Type") != "application/octet-stream" || q.ContentLength != 2 {
		t.Errorf("request %+v", q)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Lease(cancelled, provider.Need{}); err == nil {
		t.Error("a lease was taken after the context ended")
	}
}

func TestRead(t *testing.T) {
	binary := http.Header{"Content-Type": {"application/octet-stream"}}
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
		class  provider.Class
		reason drm.Reason
	}{
		{"license", 200, binary, "\x08\x02", provider.ClassOK, ""},
		{"license with a charset-like parameter", 200, http.Header{"Content-Type": {"application/octet-stream; x=y"}}, "\x08\x02", provider.ClassOK, ""},
		{"license as text", 200, http.Header{"Content-Type": {"text/plain"}}, "\x08\x02", provider.ClassOK, provider.ReasonContentType},
		{"license without a type", 200, http.Header{}, "\x08\x02", provider.ClassOK, provider.ReasonContentType},
		{"license declared as HTML", 200, html, "\x08\x02", provider.ClassOK, provider.ReasonContentType},
		{"HTML with 200", 200, html, "<!DOCTYPE html><html>", provider.ClassEdgeHTML, provider.ReasonHTML},
		{"HTML with 200 that lies about its type", 200, binary, "\n <HTML lang=en>", provider.ClassEdgeHTML, provider.ReasonHTML},
		{"HTML with 403", 403, html, "<html>", provider.ClassEdgeHTML, provider.ReasonHTML},
		{"refusal", 403, http.Header{"Content-Type": {"text/plain"}}, "no", provider.ClassRefused, provider.ReasonStatus},
		{"fault", 500, binary, "", provider.ClassServerFault, provider.ReasonStatus},
		{"redirect", 302, binary, "", provider.ClassUnexpected, provider.ReasonStatus},
		{"created", 201, binary, "\x08\x02", provider.ClassUnexpected, provider.ReasonStatus},
		{"empty", 200, binary, "", provider.ClassUnexpected, provider.ReasonEmpty},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := plainProfile(t).Read(drm.KindLicense, c.status, c.header, []byte(c.body))
			if r.Class != c.class {
				t.Errorf("class %s, want %s", r.Class, c.class)
			}
			var got drm.Reason
			if len(r.Problems) > 0 {
				got = r.Problems[0].Reason
			}
			if got != c.reason {
				t.Errorf("problems %+v, want %q", r.Problems, c.reason)
			}
		})
	}
}
