package fakes_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/fakes"
)

// TestPreflight: every license service gives a browser leave without authorization, and counts it apart.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: []fakes.Setting{{Name: "html-200", Operation: drm.KindLicense}}})
	for _, to := range []string{s.LicenseURL(), s.PlayReadyURL(), s.ExpressPlayLicenseURL(), s.ExpressPlayPlayReadyURL()} {
		answer := over(t, http.MethodOptions, to, leaveFor("content-type,soapaction"), nil)
		h := answer.header
		if answer.status != http.StatusNoContent || len(answer.body) > 0 || h.Get("Access-Control-Allow-Origin") != player || h.Get("Vary") != "Origin" ||
			h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Max-Age") != "600" || h.Get("Content-Type") != "" {
			t.Errorf("%s: status %d, %v", to, answer.status, h)
		}
		allowed := strings.Split(h.Get("Access-Control-Allow-Headers"), ", ")
		for _, name := range []string{"authorization", "content-type", "soapaction", "expressplaytoken", "x-axdrm-message", "x-dt-auth-token", "x-dt-custom-data"} {
			isTrue(t, slices.Contains(allowed, name))
		}
		last := lastRecord(t, s)
		isTrue(t, last.Operation == fakes.OperationPreflight && last.Outcome == fakes.Answered && last.Status == http.StatusNoContent && last.Method == "OPTIONS")
	}
	total, byOperation := s.Count()
	isTrue(t, total.Received == 4 && byOperation[fakes.OperationPreflight].Answered == 4 && s.Exercised("html-200") == 0)
	if err := (fakes.Setting{Name: "html-200", Operation: fakes.OperationPreflight}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestNoPreflight has OPTIONS requests that are none: without an origin, without a method, to a token service.
func TestNoPreflight(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	for _, c := range []struct {
		to     string
		header http.Header
	}{
		{s.LicenseURL(), nil},
		{s.LicenseURL(), http.Header{"Origin": {player}}},
		{s.PlayReadyURL(), http.Header{"Access-Control-Request-Method": {"POST"}}},
		{s.ExpressPlayTokenURL(), leaveFor("content-type")},
		{s.ExpressPlayPlayReadyTokenURL(), leaveFor("content-type")},
	} {
		answer := over(t, http.MethodOptions, c.to, c.header, nil)
		if answer.status != http.StatusMethodNotAllowed || answer.header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%s %v: status %d, %v", c.to, c.header, answer.status, answer.header)
		}
	}
}

// TestSharing: a script may read licenses and refusals alike; who sends no origin gets no such header.
func TestSharing(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	good := ask{}.make(t).body
	for _, body := range [][]byte{good, []byte("garbage"), make([]byte, 1<<20)} {
		h := over(t, http.MethodPost, s.LicenseURL(), http.Header{"Origin": {player}}, body).header
		if h.Get("Access-Control-Allow-Origin") != player || h.Get("Vary") != "Origin" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "x-dt-resp-code") {
			t.Errorf("%d bytes: %v", len(body), h)
		}
		h = over(t, http.MethodPost, s.LicenseURL(), nil, body).header
		isTrue(t, h.Get("Access-Control-Allow-Origin") == "" && h.Get("Vary") == "")
	}
	isTrue(t, over(t, http.MethodGet, s.LicenseURL(), http.Header{"Origin": {player}}, nil).header.Get("Access-Control-Allow-Origin") == player)
	isTrue(t, over(t, http.MethodPost, s.ExpressPlayTokenURL(), http.Header{"Origin": {player}}, nil).header.Get("Access-Control-Allow-Origin") == "")
}

// TestContentTypes: the right type and none are taken, others refused as text.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	body := ask{}.make(t).body
	for media, want := range map[string]int{
		"": 200, "application/octet-stream": 200, "Application/Octet-Stream": 200, "application/x-www-form-urlencoded": 415, "text/plain": 415, "text/xml": 415, ";": 415,
	} {
		header := http.Header{}
		if media != "" {
			header["Content-Type"] = []string{media}
		}
		answer := over(t, http.MethodPost, s.LicenseURL(), header, body)
		if answer.status != want || want == 415 && (answer.header.Get("Content-Type") != "text/plain; charset=utf-8" || lastRecord(t, s).Reason != "media-type") {
			t.Errorf("%q: status %d %v", media, answer.status, answer.header)
		}
	}
}
