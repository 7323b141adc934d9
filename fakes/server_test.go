package fakes_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestHistoryIsExact has 200 requests at once, good and bad mixed (rows WV-CON-01 to 03): every answer is right for its
// request, and every request is in the history when its answer is there.
func TestHistoryIsExact(t *testing.T) {
	t.Parallel()
	var logged sync.Map
	s := start(t, fakes.Options{Log: func(r fakes.Record) { logged.Store(r.N, r.Outcome) }})
	devices := s.Authority().Devices()
	var group sync.WaitGroup
	for i := range 200 {
		a := ask{device: devices[i%2], requestID: fmt.Appendf(nil, "request-%d", i)}
		if i%4 == 3 {
			a.pssh = [][]byte{psshData(unknown)}
		}
		if i%3 == 0 {
			a.edit = private(t, privacy{})
		}
		group.Go(func() {
			r := a.make(t)
			answer, err := do(context.Background(), http.MethodPost, s.LicenseURL(), r.body)
			if err != nil {
				t.Error(err)
				return
			}
			if total, _ := s.Count(); total.Answered+total.Refused == 0 {
				t.Error("an answer came that isn't counted")
			}
			if i%4 == 3 {
				isTrue(t, answer.status == 404)
			} else if _, err := openLicense(r, answer.body); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		})
	}
	group.Wait()
	post(t, s, []byte{8, 4})
	total, byOperation := s.Count()
	if want := (fakes.Count{Received: 201, Answered: 151, Refused: 50}); total != want || total.InWork() != 0 {
		t.Errorf("total %+v, want %+v", total, want)
	}
	if want := (fakes.Count{Received: 200, Answered: 150, Refused: 50}); byOperation[drm.KindLicense] != want {
		t.Errorf("licenses %+v, want %+v", byOperation[drm.KindLicense], want)
	}
	if want := (fakes.Count{Received: 1, Answered: 1}); byOperation[drm.KindCertificate] != want {
		t.Errorf("certificates %+v, want %+v", byOperation[drm.KindCertificate], want)
	}
	records := s.Requests()
	for i, r := range records {
		outcome, _ := logged.Load(r.N)
		if r.N != uint64(i+1) || outcome != r.Outcome {
			t.Fatalf("record %d has number %d, logged as %v", i+1, r.N, outcome)
		}
	}
	isTrue(t, len(records) == 201)
}

func TestRecord(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early})
	r := ask{pssh: [][]byte{psshData(kid1, unknown)}, requestID: []byte{0xab, 0xcd}}.make(t)
	answer := post(t, s, r.body)
	got := s.Requests()[0]
	isTrue(t, got.N == 1 && got.Time.Equal(early.Now()) && got.Method == "POST" && got.Operation == drm.KindLicense)
	isTrue(t, got.Request == secret.FingerprintOf(r.body) && got.RequestBytes == len(r.body) && got.RequestID == "abcd")
	isTrue(t, got.Device == r.device.Device() && got.Status == 200 && got.AnswerBytes == len(answer.body))
	isTrue(t, len(got.KIDs) == 2 && got.KIDs[1] == unknown && len(got.Granted) == 1 && got.Granted[0] == kid1)
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	busy := start(t, fakes.Options{})
	for name, c := range map[string]struct {
		options fakes.Options
		want    string
	}{
		"all interfaces":    {fakes.Options{Addr: ":0"}, "loopback only"},
		"another address":   {fakes.Options{Addr: "192.0.2.1:80"}, "loopback only"},
		"a name":            {fakes.Options{Addr: "example.com:80"}, "loopback only"},
		"management":        {fakes.Options{ManagementAddr: "0.0.0.0:0"}, "loopback only"},
		"no port":           {fakes.Options{Addr: "127.0.0.1"}, "host:port"},
		"busy port":         {fakes.Options{Addr: strings.TrimPrefix(busy.URL(), "http://")}, "address already in use"},
		"short content key": {fakes.Options{Keys: map[drm.KID]secret.Bytes{kid0: secret.New([]byte("short"))}}, "has 5 bytes"},
		"body limit":        {fakes.Options{MaxBody: -1}, "body limit"},
		"policy":            {fakes.Options{Policy: &drm.Policy{License: -1}}, "negative duration"},
	} {
		c.options.Authority = authority(t, trusted)
		s, err := fakes.Start(t.Context(), c.options)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestLoopbackNames(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Addr: "localhost:0"})
	isTrue(t, strings.HasPrefix(s.URL(), "http://127.0.0.1:") && strings.HasPrefix(s.ManagementURL(), "http://127.0.0.1:"))
}

// TestStop ends servers in both ways, with a request that is never answered and an idle connection: nothing is left. It
// counts the process's goroutines and so runs alone.
func TestStop(t *testing.T) {
	a := authority(t, trusted)
	client.CloseIdleConnections()
	for name, stop := range map[string]func(*fakes.Server, context.CancelFunc) error{
		"closed":   func(s *fakes.Server, _ context.CancelFunc) error { return s.Close() },
		"canceled": func(s *fakes.Server, cancel context.CancelFunc) error { cancel(); <-s.Done(); return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s, err := fakes.Start(ctx, fakes.Options{Authority: a, Faults: fakes.Named("never-answers")})
			must(t, err)
			idle, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
			must(t, err)
			defer idle.Close()
			failed := make(chan error, 1)
			go func() {
				_, err := do(context.Background(), http.MethodPost, s.LicenseURL(), nil)
				failed <- err
			}()
			eventually(t, func() bool { return s.Exercised("never-answers") == 1 })
			must(t, stop(s, cancel))
			must(t, s.Close()) // twice is once
			if <-failed == nil {
				t.Error("a stopped server answered")
			}
			for _, url := range []string{s.URL(), s.ManagementURL()} {
				if _, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second); err == nil {
					t.Errorf("%s is still served", url)
				}
			}
			client.CloseIdleConnections()
			eventually(t, func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	c := fakes.NewClock(early)
	c.Advance(time.Hour)
	c.Advance(-time.Minute)
	isTrue(t, c.Offset() == 59*time.Minute && c.Now().Equal(early.Now().Add(59*time.Minute)))
	for range 3 {
		c.Advance(1<<63 - 1)
	}
	isTrue(t, c.Offset() == fakes.MaxClockOffset)
	for range 3 {
		c.Advance(-1 << 63)
	}
	isTrue(t, c.Offset() == -fakes.MaxClockOffset)
}

// TestDevicesOfAFreshAuthority: as many of each system as were asked for.
func TestDevicesOfAFreshAuthority(t *testing.T) {
	t.Parallel()
	s, err := fakes.Start(t.Context(), fakes.Options{Devices: 3})
	must(t, err)
	defer s.Close()
	isTrue(t, len(s.Authority().Devices()) == 3 && len(s.Authority().PlayReadyDevices()) == 3)
}
