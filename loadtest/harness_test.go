package loadtest_test

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
)

// The harness speaks a protocol of its own: a key request is a number of eight bytes, a license is "license" and the
// same number.

var (
	kidA = drm.KID{0xa0, 1}
	kidB = drm.KID{0xb0, 2}
)

func profile(url string) *provider.Profile {
	return &provider.Profile{
		ID: "test", DRM: drm.Widevine, Request: provider.Endpoint{URL: url, ContentType: "application/octet-stream"},
		Response: provider.Response{OKStatus: []int{200}, MaxBytes: 4 << 10},
	}
}

// source mints fresh requests.
func source() loadtest.Source {
	var n atomic.Uint64
	return func(context.Context) (loadtest.Fresh, error) {
		return loadtest.Fresh{Message: drm.Message{Kind: drm.KindLicense, Body: binary.BigEndian.AppendUint64(nil, n.Add(1)), KIDs: []drm.KID{kidA}}}, nil
	}
}

func judge(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
	v := drm.Verdict{Depth: d}
	if string(answer) != "license"+string(m.Body) {
		v.Findings = []drm.Finding{{Reason: "wrong-request", Expected: "an answer to this request", Seen: "another one", Fatal: true}}
	}
	if d == drm.DepthFull {
		v.Keys = map[drm.KID]drm.Fingerprint{kidA: "a", kidB: "b"}
	}
	return v
}

// answer is a license server that is always right.
func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(append([]byte("license"), body...))
}

// server counts the requests that arrive.
type server struct {
	*httptest.Server
	seen atomic.Int64
}

func serve(t testing.TB, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func config(t testing.TB, url, rate string, d time.Duration) loadtest.Config {
	t.Helper()
	return loadtest.Config{
		Plan: plan(t, rate, d), Shares: []loadtest.Share{{Profile: profile(url), Source: source(), Weight: 1}}, Judge: judge,
		Expect: map[drm.KID]drm.Fingerprint{kidA: "a"}, Workers: 32, Seed: 1,
	}
}

func sum(m map[string]int64) int64 {
	var n int64
	for _, v := range m {
		n += v
	}
	return n
}

// checkBalance fails the test unless the result accounts for every request.
func checkBalance(t *testing.T, load *reports.Load) {
	t.Helper()
	a := load.Accounting
	if !a.Balanced || a.Planned != a.Sent+sum(a.NotSent) || a.Sent != a.Answered+sum(a.Failed) ||
		a.Answered != a.Verified+a.Unverified+a.Wrong || a.Wrong != sum(a.WrongBy) {
		t.Errorf("the accounting does not balance: %+v", a)
	}
	var sent, answered, failed, wrong int64
	for _, s := range load.Seconds {
		sent, answered, failed, wrong = sent+s.Sent, answered+s.Answered, failed+s.Failed, wrong+s.Wrong
	}
	if sent != a.Sent || answered != a.Answered || failed != sum(a.Failed) || wrong != a.Wrong {
		t.Errorf("the seconds have %d sent, %d answered, %d failed, %d wrong; the accounting is %+v", sent, answered, failed, wrong, a)
	}
	var warm reports.WarmUp
	if load.WarmUp != nil {
		warm = *load.WarmUp
	}
	lags, sent, answered, failed, wrong := warm.Sent, warm.Sent, warm.Answered, sum(warm.Failed), int64(0)
	for _, op := range load.Operations {
		lags += op.Lag.Count
		sent, answered, failed, wrong = sent+op.Sent, answered+op.Answered, failed+sum(op.Failed), wrong+op.Wrong
	}
	if lags != a.Sent || sent != a.Sent || answered != a.Answered || failed != sum(a.Failed) || wrong != a.Wrong {
		t.Errorf("operations and warm-up have %d lags, %d sent, %d answered, %d failed, %d wrong; the accounting is %+v", lags, sent, answered, failed, wrong, a)
	}
}

// quoting has requests that hold a text.
func quoting(s loadtest.Source, text string) loadtest.Source {
	return func(ctx context.Context) (loadtest.Fresh, error) {
		f, err := s(ctx)
		f.Message.Body = append(f.Message.Body, text...)
		return f, err
	}
}

// quotingJudge finds every answer wrong, and says what it has seen.
func quotingJudge(_ drm.Message, answer []byte, d drm.Depth) drm.Verdict {
	return drm.Verdict{Depth: d, Findings: []drm.Finding{{Reason: "quoted", Expected: "something else", Seen: string(answer), Fatal: true}}}
}
