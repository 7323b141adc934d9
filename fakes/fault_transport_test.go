package fakes_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/fakes"
)

// over sends a request with header names as they are, and follows no redirect.
func over(t testing.TB, method, to string, header http.Header, body []byte) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	must(t, err)
	req.Header = header
	resp, err := unfollowing.Do(req)
	must(t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(http.MaxBytesReader(nil, resp.Body, 1<<20))
	must(t, err)
	return reply{resp.StatusCode, resp.Header, b.Bytes()}
}

var unfollowing = &http.Client{Timeout: client.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

const (
	player      = "https://player.example"
	octets      = "application/octet-stream"
	askedByHand = "content-type,expressplaytoken"
)

// leaveFor is the header of a preflight.
func leaveFor(headers string) http.Header {
	return http.Header{"Origin": {player}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {headers}}
}

// transportFault has what a client sees of a fault, and of what it leaves alone.
type transportFault struct {
	operation drm.Kind
	outcome   fakes.Outcome
	right     func(t *testing.T, s *fakes.Server, body []byte) // what the fault does not act on
	wrong     func(t *testing.T, s *fakes.Server, body []byte)
}

func license(header http.Header) func(*testing.T, *fakes.Server, []byte) {
	return func(t *testing.T, s *fakes.Server, body []byte) {
		answer := over(t, http.MethodPost, s.LicenseURL(), header, body)
		isTrue(t, answer.status == http.StatusOK && answer.header.Get("Content-Type") == octets)
	}
}

func preflight(status int, headers string, leave func(answer reply) bool) func(*testing.T, *fakes.Server, []byte) {
	return func(t *testing.T, s *fakes.Server, _ []byte) {
		answer := over(t, http.MethodOptions, s.LicenseURL(), leaveFor(headers), nil)
		isTrue(t, answer.status == status && leave(answer))
	}
}

func silent(answer reply) bool {
	return answer.header.Get("Access-Control-Allow-Origin") == "" && answer.header.Get("Access-Control-Allow-Headers") == ""
}

// transportFaults has every fault of fault_transport.go.
var transportFaults = map[string]transportFault{
	"cors-preflight-404": {fakes.OperationPreflight, fakes.Refused, license(nil), preflight(404, askedByHand, silent)},
	"cors-preflight-401": {fakes.OperationPreflight, fakes.Refused, license(nil), preflight(401, askedByHand, silent)},
	"cors-omit-one-header": {
		fakes.OperationPreflight, fakes.Answered,
		preflight(204, "x-unknown", func(reply) bool { return true }),
		preflight(204, askedByHand, func(answer reply) bool {
			allowed := strings.Split(answer.header.Get("Access-Control-Allow-Headers"), ", ")
			return slices.Contains(allowed, "content-type") && slices.Contains(allowed, "soapaction") && !slices.Contains(allowed, "expressplaytoken")
		}),
	},
	"cors-only-on-200": {
		"", fakes.Refused,
		func(t *testing.T, s *fakes.Server, body []byte) {
			answer := over(t, http.MethodPost, s.LicenseURL(), http.Header{"Origin": {player}}, body)
			isTrue(t, answer.status == http.StatusOK && answer.header.Get("Access-Control-Allow-Origin") == player)
		},
		func(t *testing.T, s *fakes.Server, _ []byte) {
			answer := over(t, http.MethodPost, s.LicenseURL(), http.Header{"Origin": {player}}, []byte("garbage"))
			isTrue(t, answer.status == http.StatusBadRequest && answer.header.Get("Access-Control-Allow-Origin") == "")
		},
	},
	"ct-missing-500": {"", fakes.Refused, license(http.Header{"Content-Type": {octets}}), func(t *testing.T, s *fakes.Server, body []byte) {
		isTrue(t, over(t, http.MethodPost, s.LicenseURL(), nil, body).status == http.StatusInternalServerError)
	}},
	"ct-strict-415": {drm.KindLicense, fakes.Refused, license(nil), func(t *testing.T, s *fakes.Server, body []byte) {
		isTrue(t, over(t, http.MethodPost, s.LicenseURL(), http.Header{"Content-Type": {octets}}, body).status == http.StatusUnsupportedMediaType)
	}},
	"resp-ct-lies": {drm.KindLicense, fakes.Answered, certificate, func(t *testing.T, s *fakes.Server, body []byte) {
		answer := over(t, http.MethodPost, s.LicenseURL(), nil, body)
		isTrue(t, answer.status == http.StatusOK && answer.header.Get("Content-Type") == "application/json" && answer.body[0] == 8)
	}},
	"redirect-307": {drm.KindLicense, fakes.Broken, certificate, func(t *testing.T, s *fakes.Server, body []byte) {
		answer := over(t, http.MethodPost, s.LicenseURL()+"?a=b%2Bc", http.Header{"Origin": {player}}, body)
		const to = "/widevine/license?a=b%2Bc&keyflow-redirected=1"
		isTrue(t, answer.status == http.StatusTemporaryRedirect && answer.header.Get("Location") == to && answer.header.Get("Access-Control-Allow-Origin") == player)
		isTrue(t, over(t, http.MethodPost, s.URL()+to, nil, body).status == http.StatusOK)
	}},
	"redirect-302-drops-body": {drm.KindLicense, fakes.Broken, certificate, func(t *testing.T, s *fakes.Server, body []byte) {
		answer := over(t, http.MethodPost, s.LicenseURL(), nil, body)
		isTrue(t, answer.status == http.StatusFound && answer.header.Get("Location") == "/widevine/license?keyflow-redirected=1")
	}},
	"status-201": {drm.KindLicense, fakes.Answered, certificate, func(t *testing.T, s *fakes.Server, body []byte) {
		answer := over(t, http.MethodPost, s.LicenseURL(), nil, body)
		isTrue(t, answer.status == http.StatusCreated && answer.header.Get("Content-Type") == octets && len(answer.body) > 0)
	}},
	"header-case-sensitive": {"", fakes.Refused, license(http.Header{"Content-Type": {octets}}), func(t *testing.T, s *fakes.Server, body []byte) {
		isTrue(t, over(t, http.MethodPost, s.LicenseURL(), http.Header{"content-type": {octets}}, body).status == http.StatusUnsupportedMediaType)
	}},
}

func certificate(t *testing.T, s *fakes.Server, _ []byte) {
	isTrue(t, over(t, http.MethodPost, s.LicenseURL(), nil, []byte{8, 4}).status == http.StatusOK)
}

func TestTransportFaults(t *testing.T) {
	t.Parallel()
	body := ask{}.make(t).body
	for name, f := range transportFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Faults: fakes.Named(name)})
			f.right(t, s, body)
			if got := s.Exercised(name); got != 0 {
				t.Errorf("exercised %d times where it changes nothing", got)
			}
			f.wrong(t, s, body)
			if got := s.Exercised(name); got != 1 {
				t.Errorf("exercised %d times", got)
			}
			records := s.Requests()
			i := slices.IndexFunc(records, func(r fakes.Record) bool { return len(r.Faults) > 0 })
			if i < 0 || !slices.Equal(records[i].Faults, []string{name}) || records[i].Outcome != f.outcome {
				t.Fatalf("history: %+v", records)
			}
			total, _ := s.Count()
			isTrue(t, total.InWork() == 0)
			s.ClearFaults()
			license(http.Header{"content-type": {octets}})(t, s, body)
		})
	}
}

// TestTransportFaultsOfPlayReady has the faults that come into the other system's service otherwise.
func TestTransportFaultsOfPlayReady(t *testing.T) {
	t.Parallel()
	r := prAsk{}.make(t)
	for name, want := range map[string]func(a reply) bool{
		"ct-strict-415":           func(a reply) bool { return a.status == http.StatusUnsupportedMediaType },
		"resp-ct-lies":            func(a reply) bool { return a.status == 200 && a.header.Get("Content-Type") == "application/json" },
		"redirect-302-drops-body": func(a reply) bool { return a.status == http.StatusFound },
		"status-201":              func(a reply) bool { return a.status == http.StatusCreated },
		"header-case-sensitive":   func(a reply) bool { return a.status == http.StatusUnsupportedMediaType },
	} {
		s := startPlayReady(t, fakes.Options{Faults: fakes.Named(name)})
		spelling := "Content-Type"
		if name == "header-case-sensitive" {
			spelling = "CONTENT-TYPE"
		}
		header := http.Header{spelling: {r.header["Content-Type"]}, "SOAPAction": {r.header["SOAPAction"]}}
		if answer := over(t, http.MethodPost, s.PlayReadyURL(), header, []byte(r.body)); !want(answer) || s.Exercised(name) != 1 {
			t.Errorf("%s: status %d, %v, exercised %d times", name, answer.status, answer.header, s.Exercised(name))
		}
	}
}
