package fakes_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

// malformedFault has what a client sees of a fault, and of what it leaves alone, with a body that gets a license.
type malformedFault struct {
	system  drm.System
	layer   fakes.Layer
	outcome fakes.Outcome
	right   func(t *testing.T, s *fakes.Server, body []byte)
	wrong   func(t *testing.T, s *fakes.Server, body []byte)
}

// malformedFaults has every fault of fault_malformed.go.
var malformedFaults = map[string]malformedFault{
	"wv-malformed-500":                {drm.Widevine, fakes.Protocol, fakes.Refused, license(nil), answered(500, []byte("garbage"))},
	"wv-empty-is-certificate-request": {drm.Widevine, fakes.Protocol, fakes.Answered, answered(400, []byte("garbage")), answered(200, nil)},
	"wv-truncated-accepted": {drm.Widevine, fakes.Protocol, fakes.Answered, func(t *testing.T, s *fakes.Server, body []byte) {
		answered(400, body[:len(body)-300])(t, s, body) // within msg
		answered(400, []byte("garbage"))(t, s, body)
		license(nil)(t, s, body)
	}, func(t *testing.T, s *fakes.Server, body []byte) { license(nil)(t, s, body[:len(body)-100]) }},
	"malformed-hangs": {"", fakes.Transport, fakes.Broken, license(nil), func(t *testing.T, s *fakes.Server, _ []byte) {
		hasty := &http.Client{Timeout: 200 * time.Millisecond}
		_, err := hasty.Post(s.LicenseURL(), octets, strings.NewReader("garbage"))
		isTrue(t, err != nil)
	}},
	"malformed-resets": {"", fakes.Transport, fakes.Broken, license(nil), func(t *testing.T, s *fakes.Server, _ []byte) {
		_, err := do(t.Context(), http.MethodPost, s.LicenseURL(), []byte("garbage"))
		isTrue(t, errors.Is(err, syscall.ECONNRESET))
	}},
	"malformed-breaks-next": {"", fakes.HTTP, fakes.Refused, func(t *testing.T, s *fakes.Server, body []byte) {
		license(nil)(t, s, body)
		answered(400, []byte("garbage"))(t, s, body)
		answered(400, []byte("again"))(t, s, body)
	}, func(t *testing.T, s *fakes.Server, body []byte) {
		answered(503, body)(t, s, body)
		license(nil)(t, s, body)
	}},
	"body-limit-ignored": {"", fakes.HTTP, fakes.Answered, func(t *testing.T, s *fakes.Server, body []byte) {
		license(nil)(t, s, body)
		answered(413, make([]byte, 64<<20+1))(t, s, body)
	}, func(t *testing.T, s *fakes.Server, body []byte) { license(nil)(t, s, padded(body, 1<<20)) }},
	"chunked-refused": {"", fakes.HTTP, fakes.Refused, license(nil), func(t *testing.T, s *fakes.Server, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.LicenseURL(), io.MultiReader(bytes.NewReader(body)))
		must(t, err)
		resp, err := client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		isTrue(t, resp.StatusCode == http.StatusLengthRequired)
	}},
	"method-ignored": {"", fakes.HTTP, fakes.Answered, license(nil), by(http.MethodPut, 200)},
	"method-500":     {"", fakes.HTTP, fakes.Refused, license(nil), by(http.MethodPut, 500)},
	"get-answered": {"", fakes.HTTP, fakes.Broken, func(t *testing.T, s *fakes.Server, body []byte) {
		license(nil)(t, s, body)
		by(http.MethodPut, 405)(t, s, body)
	}, by(http.MethodGet, 200)},
}

// answered posts a body and wants a status.
func answered(status int, body []byte) func(*testing.T, *fakes.Server, []byte) {
	return func(t *testing.T, s *fakes.Server, _ []byte) {
		t.Helper()
		if got := over(t, http.MethodPost, s.LicenseURL(), nil, body).status; got != status {
			t.Fatalf("status %d, want %d", got, status)
		}
	}
}

// by sends the body with another method and wants a status.
func by(method string, status int) func(*testing.T, *fakes.Server, []byte) {
	return func(t *testing.T, s *fakes.Server, body []byte) {
		t.Helper()
		if got := over(t, method, s.LicenseURL(), nil, body).status; got != status {
			t.Fatalf("status %d, want %d", got, status)
		}
	}
}

// padded returns a key request that is longer by an unknown field.
func padded(body []byte, n int) []byte { return appendBytes(slices.Clone(body), 200, make([]byte, n)) }

func TestMalformedFaults(t *testing.T) {
	t.Parallel()
	body := ask{}.make(t).body
	for name, f := range malformedFaults {
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
			s.ClearFaults()
			license(nil)(t, s, body)
			answered(413, padded(body, 300<<10))(t, s, body)
			by(http.MethodPut, 405)(t, s, body)
			by(http.MethodGet, 405)(t, s, body)
			answered(400, nil)(t, s, body)
		})
	}
}

// TestMalformedFaultsOfPlayReady has what those faults are that act on both systems.
func TestMalformedFaultsOfPlayReady(t *testing.T) {
	t.Parallel()
	r := prAsk{}.make(t)
	header := http.Header{"Content-Type": {r.header["Content-Type"]}, "SOAPAction": {r.header["SOAPAction"]}}
	for name, c := range map[string]struct {
		method string
		body   string
		status []int // 0: no answer
	}{
		"malformed-resets":      {http.MethodPost, r.body[:len(r.body)/2], []int{0}},
		"malformed-breaks-next": {http.MethodPost, r.body[:len(r.body)/2], []int{500, 503}},
		"body-limit-ignored":    {http.MethodPost, r.body + strings.Repeat(" ", 300<<10), []int{200}},
		"method-ignored":        {http.MethodPut, r.body, []int{200}},
		"method-500":            {http.MethodPut, r.body, []int{500}},
		"get-answered":          {http.MethodGet, "", []int{200}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startPlayReady(t, fakes.Options{Faults: fakes.Named(name)})
			for i, want := range c.status {
				body := c.body
				if i > 0 {
					body = r.body
				}
				req, err := http.NewRequestWithContext(t.Context(), c.method, s.PlayReadyURL(), strings.NewReader(body))
				must(t, err)
				req.Header = header
				resp, err := unfollowing.Do(req)
				if want == 0 {
					isTrue(t, err != nil)
					continue
				}
				must(t, err)
				resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("request %d: status %d, want %d", i, resp.StatusCode, want)
				}
			}
			isTrue(t, s.Exercised(name) == 1)
		})
	}
}
