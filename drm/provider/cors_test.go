package provider_test

import (
	"net/http"
	"slices"
	"testing"

	"keyflow/drm/provider"
)

func TestCORSHeaders(t *testing.T) {
	t.Parallel()
	r := &provider.Request{Header: http.Header{
		"Content-Type": {"application/octet-stream"}, "SOAPAction": {"x"}, "X-AxDRM-Message": {"t"}, "Accept": {"*/*"},
	}}
	p := &provider.Profile{}
	if got, want := p.CORSHeaders(r), []string{"content-type", "soapaction", "x-axdrm-message"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	r.Header["Content-Type"] = []string{"text/plain; charset=utf-8"}
	if got, want := p.CORSHeaders(r), []string{"soapaction", "x-axdrm-message"}; !slices.Equal(got, want) {
		t.Errorf("with a safelisted type: %v, want %v", got, want)
	}
	p.CORS.RequestHeaders = []string{"X-B", "X-A"}
	if got, want := p.CORSHeaders(r), []string{"x-a", "x-b"}; !slices.Equal(got, want) {
		t.Errorf("named by the profile: %v, want %v", got, want)
	}
}
