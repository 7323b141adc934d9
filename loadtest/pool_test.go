package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/loadtest"
	"keyflow/reports"
)

// The sessions of the tests speak a protocol of their own: a license request is "new ID", a renewal "renew ID VERSION"; the
// answer to either is "license ID VERSION", with the next version.

// holder is such a session. It complains when it is used by two at once, or has more than one message on its way.
type holder struct {
	t       *testing.T
	id      string
	final   bool // its license cannot be renewed
	busy    atomic.Bool
	pending string // id of the message on its way
	version int
	closed  bool
}

func (h *holder) enter() func() {
	if !h.busy.CompareAndSwap(false, true) {
		h.t.Errorf("session %s is used by two at once", h.id)
	}
	return func() { h.busy.Store(false) }
}

func (h *holder) Request(_ context.Context, k drm.Kind) (drm.Message, error) {
	defer h.enter()()
	if h.pending != "" || h.closed {
		h.t.Errorf("session %s: asked for a %s while %q is on its way, closed %v", h.id, k, h.pending, h.closed)
	}
	body := "new " + h.id
	if k == drm.KindRenewal {
		body = fmt.Sprintf("renew %s %d", h.id, h.version)
	}
	h.pending = body
	return drm.Message{ID: drm.MessageID(body), Kind: k, Body: []byte(body)}, nil
}

func (h *holder) Process(_ context.Context, id drm.MessageID, body []byte) (*drm.Observation, error) {
	defer h.enter()()
	if string(id) != h.pending {
		h.t.Errorf("session %s: answer to %q, %q is on its way", h.id, id, h.pending)
	}
	h.pending = ""
	o := &drm.Observation{Message: id}
	if string(body) != fmt.Sprintf("license %s %d", h.id, h.version+1) {
		o.Findings = []drm.Finding{{Reason: "license-version", Fatal: true, Expected: "the next version", Seen: string(body)}}
		return o, nil
	}
	h.version++
	return o, nil
}

func (h *holder) Licenses() []drm.License {
	return []drm.License{{Policy: drm.Policy{CanRenew: !h.final}}}
}

func (h *holder) Close() error {
	h.closed = true
	return nil
}

// renewals is the server, and what it knows of the sessions.
type renewals struct {
	mu       sync.Mutex
	versions map[string]int
	news     int64
	renewed  int64
	holders  []*holder
	answer   func(w http.ResponseWriter, id string, version int) bool // nil, or true: it answered in the place of the server
}

func (s *renewals) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var id string
	var version int
	if n, _ := fmt.Sscanf(string(b), "renew %s %d", &id, &version); n == 2 {
		s.renewed++
		if s.answer != nil && s.answer(w, id, version) {
			return
		}
		if version > s.versions[id] || version < s.versions[id]-1 {
			w.WriteHeader(http.StatusConflict)
			return
		}
	} else {
		id = strings.TrimPrefix(string(b), "new ")
		s.news++
		if s.answer != nil && s.answer(w, id, 0) {
			return
		}
	}
	s.versions[id] = version + 1
	_, _ = fmt.Fprintf(w, "license %s %d", id, version+1)
}

// renewConfig is a run of 3 licenses to 1 renewal.
func renewConfig(t *testing.T, s *renewals, rate string, d time.Duration) loadtest.Config {
	t.Helper()
	s.versions = map[string]int{}
	license, renewal := serve(t, answer), serve(t, s.ServeHTTP)
	c := config(t, license.URL, rate, d)
	c.Shares[0].Weight, c.Shares[0].Kind = 3, drm.KindLicense
	c.Shares = append(c.Shares, loadtest.Share{Profile: profile(renewal.URL), Weight: 1, Kind: drm.KindRenewal, Renewing: &loadtest.Renewing{
		Client: renewal.Client(),
		Open: func(context.Context) (loadtest.Opened, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			h := &holder{t: t, id: fmt.Sprintf("s%d", len(s.holders))}
			s.holders = append(s.holders, h)
			return loadtest.Opened{Session: h}, nil
		},
	}})
	return c
}

// checkPrepared holds what the run tells of its sessions against what the server and the sessions saw.
func checkPrepared(t *testing.T, s *renewals, load *reports.Load) {
	t.Helper()
	checkBalance(t, load)
	p := load.Prepared
	if p == nil || !load.Balanced() || p.Requests != p.Sessions+p.Replaced+p.Failed || p.Requests != s.news {
		t.Fatalf("prepared %+v, the server saw %d license requests; balanced: %v", p, s.news, load.Balanced())
	}
	if a := load.Shares[1].Accounting; a.Sent != s.renewed {
		t.Errorf("%d renewals were sent, the server saw %d", a.Sent, s.renewed)
	}
	for _, h := range s.holders {
		if !h.closed || strings.HasPrefix(h.pending, "renew") {
			t.Errorf("session %s is left closed %v, with %q on its way", h.id, h.closed, h.pending)
		}
	}
}

// TestRunRenewals renews a bounded number of sessions over and over: each goes on from version to version.
func TestRunRenewals(t *testing.T) {
	t.Parallel()
	for name, verify := range map[string]loadtest.Verify{"all": loadtest.VerifyAll, "none": loadtest.VerifyNone, "a few": loadtest.VerifyNone - 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &renewals{}
			c := renewConfig(t, s, "800/s", time.Second)
			c.Workers, c.MintAhead, c.Verify = 8, 16, verify
			needed, err := c.Sessions()
			if err != nil {
				t.Fatal(err)
			}
			load, err := loadtest.Run(bounded(t), c)
			if err != nil {
				t.Fatal(err)
			}
			checkPrepared(t, s, load)
			a := load.Shares[1].Accounting
			if a.Answered != 200 || a.Wrong != 0 || verify == loadtest.VerifyNone && a.Unverified != 200 || verify != loadtest.VerifyNone && a.Verified != 200 {
				t.Errorf("got %+v", a)
			}
			if needed[0] != 0 || load.Prepared.Sessions != needed[1] || needed[1] < 6 || needed[1] > 60 || load.Prepared.Replaced != 0 {
				t.Errorf("prepared %+v, needed %v", load.Prepared, needed)
			}
			versions := 0
			for _, h := range s.holders {
				if h.version != s.versions[h.id] {
					t.Errorf("session %s has version %d, the server %d", h.id, h.version, s.versions[h.id])
				}
				versions += h.version - 1
			}
			if versions != 200 {
				t.Errorf("the sessions went on %d times, want 200", versions)
			}
		})
	}
}

// TestRunRenewalsOneWorker has one request on its way at a time: a renewal that waits for a session must not keep the others from
// being sent, or the session would never come back.
func TestRunRenewalsOneWorker(t *testing.T) {
	t.Parallel()
	s := &renewals{}
	c := renewConfig(t, s, "400/s", 500*time.Millisecond)
	c.Workers, c.MintAhead = 1, 1
	c.Shares[0].Weight, c.Shares[1].Weight = 1, 9
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkPrepared(t, s, load)
	if a := load.Accounting; a.Verified != 200 {
		t.Errorf("got %+v", a)
	}
}

// TestRunRenewalsFail has renewals refused, lost and answered wrong now and then: the session renews again with the version that
// it has.
func TestRunRenewalsFail(t *testing.T) {
	t.Parallel()
	var n int
	s := &renewals{}
	s.answer = func(w http.ResponseWriter, id string, version int) bool {
		if version == 0 {
			return false
		}
		switch n++; n % 20 {
		case 5:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 10: // the answer is lost: the server is a version ahead
			s.versions[id] = version + 1
			w.Header().Set("Content-Length", "100")
			return true
		case 15:
			_, _ = fmt.Fprintf(w, "license %s %d", id, version)
			return true
		}
		return false
	}
	c := renewConfig(t, s, "800/s", time.Second)
	c.Workers, c.MintAhead = 8, 16
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkPrepared(t, s, load)
	a := load.Shares[1].Accounting
	if a.Failed["http-503"] != 10 || sum(a.Failed) != 20 || a.Wrong != 10 || a.WrongBy["license-version"] != 10 || a.Verified != 170 {
		t.Errorf("got %+v", a)
	}
}

// TestRunRenewalsReplaced has a server that forgets each session once it is renewed three times: others take their places.
func TestRunRenewalsReplaced(t *testing.T) {
	t.Parallel()
	s := &renewals{}
	s.answer = func(w http.ResponseWriter, _ string, version int) bool {
		if version > 3 {
			w.WriteHeader(http.StatusForbidden)
		}
		return version > 3
	}
	c := renewConfig(t, s, "800/s", time.Second)
	c.Workers, c.MintAhead = 8, 16
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkPrepared(t, s, load)
	if a := load.Shares[1].Accounting; load.Prepared.Replaced == 0 || a.Failed["http-403"] < 2*load.Prepared.Replaced || a.Verified < 60 || load.Prepared.Failed != 0 {
		t.Errorf("prepared %+v, got %+v", load.Prepared, a)
	}
}

// TestRunRenewalsAway has a server that grants nothing any more after the preparation: the run goes on to its end, and its sessions
// stay.
func TestRunRenewalsAway(t *testing.T) {
	t.Parallel()
	s := &renewals{}
	s.answer = func(w http.ResponseWriter, _ string, version int) bool {
		away := s.renewed > 0 || version > 0
		if away {
			w.WriteHeader(http.StatusBadGateway)
		}
		return away
	}
	c := renewConfig(t, s, "800/s", 500*time.Millisecond)
	c.Workers, c.MintAhead = 8, 16
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkPrepared(t, s, load)
	if a := load.Shares[1].Accounting; a.Failed["http-502"] != 100 || load.Prepared.Failed == 0 || load.Prepared.Failed > 8 || load.Prepared.Replaced != 0 {
		t.Errorf("prepared %+v, got %+v", load.Prepared, a)
	}
}

// TestRunRenewalsUnprepared cannot get a license to renew: nothing is sent, and the error says why.
func TestRunRenewalsUnprepared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*loadtest.Config, *renewals)
		class  string // of a PrepareError, "" for another error
	}{
		"final": {change: func(c *loadtest.Config, _ *renewals) {
			open := c.Shares[1].Renewing.Open
			c.Shares[1].Renewing.Open = func(ctx context.Context) (loadtest.Opened, error) {
				o, err := open(ctx)
				h, ok := o.Session.(*holder)
				h.final = ok
				return o, err
			}
		}},
		"refused": {class: "http-403", change: func(_ *loadtest.Config, s *renewals) {
			s.answer = func(w http.ResponseWriter, _ string, _ int) bool {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
		}},
		"wrong": {class: "license-version", change: func(_ *loadtest.Config, s *renewals) {
			s.answer = func(w http.ResponseWriter, _ string, _ int) bool {
				_, _ = io.WriteString(w, "license of another")
				return true
			}
		}},
		"away": {class: "connection-refused", change: func(c *loadtest.Config, _ *renewals) { c.Shares[1].Profile.Request.URL = "http://127.0.0.1:1" }},
		"no lease": {change: func(c *loadtest.Config, _ *renewals) {
			c.Shares[1].Renewing.Open = func(context.Context) (loadtest.Opened, error) { return loadtest.Opened{}, io.ErrUnexpectedEOF }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &renewals{}
			config := renewConfig(t, s, "200/s", 200*time.Millisecond)
			c.change(&config, s)
			load, err := loadtest.Run(bounded(t), config)
			var unprepared *loadtest.PrepareError
			var final *loadtest.NotRenewableError
			if err == nil || errors.As(err, &unprepared) != (c.class != "") || errors.As(err, &final) != (name == "final") {
				t.Fatalf("got error %v", err)
			}
			if unprepared != nil && unprepared.Class != c.class {
				t.Errorf("got class %s, want %s", unprepared.Class, c.class)
			}
			checkBalance(t, load)
			if want := map[string]int64{loadtest.NotSentUnprepared: 40}; !maps.Equal(load.Accounting.NotSent, want) || load.Prepared.Sessions != 0 {
				t.Errorf("got %+v, prepared %+v", load.Accounting, load.Prepared)
			}
		})
	}
}

// TestRunRenewalsInterrupted ends the run during the preparation.
func TestRunRenewalsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	s := &renewals{answer: func(http.ResponseWriter, string, int) bool { cancel(); return false }}
	load, err := loadtest.Run(ctx, renewConfig(t, s, "200/s", time.Second))
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if p := load.Prepared; load.Accounting.NotSent[loadtest.NotSentInterrupted] != 200 || p.Requests < s.news || p.Requests != p.Sessions+p.Failed {
		t.Errorf("got %+v, prepared %+v, the server saw %d", load.Accounting, p, s.news)
	}
}
