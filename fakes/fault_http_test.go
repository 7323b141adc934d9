package fakes_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

// connectionFaults has for every fault of the transport and HTTP layers what a client sees.
var connectionFaults = map[string]func(t *testing.T, s *fakes.Server, body []byte){
	"html-200": func(t *testing.T, s *fakes.Server, body []byte) {
		answer := post(t, s, body)
		isTrue(t, answer.status == 200 && answer.header.Get("Content-Type") == "text/html; charset=utf-8")
		isTrue(t, bytes.HasPrefix(answer.body, []byte("<!DOCTYPE html>")))
	},
	"refuse-with-503": func(t *testing.T, s *fakes.Server, body []byte) {
		answer := post(t, s, body)
		isTrue(t, answer.status == 503 && answer.header.Get("Retry-After") == "1")
	},
	"never-answers": func(t *testing.T, s *fakes.Server, body []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := do(ctx, http.MethodPost, s.LicenseURL(), body)
			failed <- err
		}()
		eventually(t, func() bool { return s.Exercised("never-answers") == 1 })
		cancel()
		isTrue(t, errors.Is(<-failed, context.Canceled))
	},
	"endless-body": func(t *testing.T, s *fakes.Server, body []byte) {
		resp := open(t, s, body)
		defer resp.Body.Close()
		n, err := io.CopyN(io.Discard, resp.Body, 4<<20)
		isTrue(t, err == nil && n == 4<<20 && resp.StatusCode == 200 && resp.ContentLength == -1)
		isTrue(t, resp.Header.Get("Content-Type") == "application/octet-stream")
	},
	"truncated-body": func(t *testing.T, s *fakes.Server, body []byte) {
		resp := open(t, s, body)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		isTrue(t, resp.StatusCode == 200 && errors.Is(err, io.ErrUnexpectedEOF) && resp.ContentLength/2 == int64(len(b)))
		isTrue(t, resp.Header.Get("Content-Type") == "application/octet-stream")
	},
	"answer-after-3s": func(t *testing.T, s *fakes.Server, body []byte) {
		began := time.Now()
		answer := post(t, s, body)
		isTrue(t, answer.status == 200 && time.Since(began) >= 3*time.Second)
	},
	"answer-twice": func(t *testing.T, s *fakes.Server, body []byte) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		answers := bufio.NewReader(conn)
		var licenses [2][]byte
		for i := range licenses { // the second one comes without a request
			if i == 0 {
				request, err := http.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(body))
				must(t, err)
				must(t, request.Write(conn))
			}
			resp, err := http.ReadResponse(answers, nil)
			must(t, err)
			licenses[i], err = io.ReadAll(resp.Body)
			must(t, err)
			isTrue(t, resp.StatusCode == 200 && len(licenses[i]) > 0)
		}
		isTrue(t, bytes.Equal(licenses[0], licenses[1]))
	},
	"connection-reset": func(t *testing.T, s *fakes.Server, body []byte) {
		_, err := do(t.Context(), http.MethodPost, s.LicenseURL(), body)
		isTrue(t, errors.Is(err, syscall.ECONNRESET))
	},
	"stall-100ms-every-second": func(t *testing.T, s *fakes.Server, body []byte) {
		began := time.Now()
		answer := post(t, s, body)
		isTrue(t, answer.status == 200 && time.Since(began) >= 90*time.Millisecond)
	},
}

// open posts a request and leaves the answer's body to the caller.
func open(t *testing.T, s *fakes.Server, body []byte) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.LicenseURL(), bytes.NewReader(body))
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	return resp
}

// eventually waits until a condition holds that another goroutine brings about.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to be")
		}
	}
}

// early is a clock that stands 10 ms after the full second.
var early = drm.ClockFunc(func() time.Time { return time.Unix(1_700_000_000, 10_000_000) })

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	body := ask{}.make(t).body
	for name, check := range connectionFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Clock: early, Faults: fakes.Named(name)})
			check(t, s, body)
			if got := s.Exercised(name); got != 1 {
				t.Errorf("exercised %d times", got)
			}
			records := s.Requests()
			if len(records) != 1 || !slices.Equal(records[0].Faults, []string{name}) || records[0].Operation != drm.KindLicense {
				t.Fatalf("history: %+v", records)
			}
			want := map[string]fakes.Outcome{"refuse-with-503": fakes.Refused, "stall-100ms-every-second": fakes.Answered, "answer-after-3s": fakes.Answered}[name]
			if want == "" {
				want = fakes.Broken
			}
			if records[0].Outcome != want {
				t.Errorf("outcome %q, want %q", records[0].Outcome, want)
			}
			s.ClearFaults()
			if answer := post(t, s, body); answer.status != 200 {
				t.Errorf("without the fault: status %d", answer.status)
			}
		})
	}
}

// TestRequestAfterTwoAnswers has a second request on the connection of a twofold answer: it is counted, and gets no answer.
func TestRequestAfterTwoAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("answer-twice")})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	for range 2 {
		request, err := http.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(ask{}.make(t).body))
		must(t, err)
		must(t, request.Write(conn))
	}
	answers := bufio.NewReader(conn)
	for range 2 {
		resp, err := http.ReadResponse(answers, nil)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
	}
	_, err = http.ReadResponse(answers, nil)
	isTrue(t, err != nil)
	eventually(t, func() bool { total, _ := s.Count(); return total.Broken == 2 && total.Received == 2 })
}

// TestNoStall has a request outside the stall.
func TestNoStall(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early, Faults: fakes.Named("stall-100ms-every-second")})
	s.Clock().Advance(90 * time.Millisecond)
	getLicense(t, s, ask{})
	isTrue(t, s.Exercised("stall-100ms-every-second") == 0)
}

// TestFaultsActOnAnyRequest has faults of the connection on what is no key request.
func TestFaultsActOnAnyRequest(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("html-200")})
	isTrue(t, post(t, s, []byte("garbage")).status == 200)
	answer, err := do(t.Context(), http.MethodGet, s.URL()+"/", nil)
	must(t, err)
	isTrue(t, answer.status == 200 && s.Exercised("html-200") == 2)
}

// TestHandlerWithoutConnection has the handler behind something that has no connection to give away.
func TestHandlerWithoutConnection(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"connection-reset", "truncated-body"} {
		s := start(t, fakes.Options{Faults: fakes.Named(name)})
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(ask{}.make(t).body)))
		isTrue(t, w.Code == 500 && s.Exercised(name) == 0)
	}
}
