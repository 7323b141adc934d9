package loadtest_test

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
)

// share is one of a test's mix: a profile of its own, and key requests that begin with a letter of its own.
func share(id, url string, weight int64) loadtest.Share {
	p := profile(url)
	p.ID, p.DRM = id, drm.System("system-"+id)
	var n atomic.Uint64
	return loadtest.Share{Profile: p, Weight: weight, Source: func(context.Context) (loadtest.Fresh, error) {
		body := binary.BigEndian.AppendUint64([]byte(id), n.Add(1))
		return loadtest.Fresh{Message: drm.Message{Kind: drm.KindLicense, Body: body, KIDs: []drm.KID{kidA}, Ticket: drm.Ticket{System: p.DRM}}}, nil
	}}
}

// mixConfig is a run of 3 requests for a to 1 for b.
func mixConfig(t testing.TB, a, b, rate string, d time.Duration) loadtest.Config {
	t.Helper()
	c := config(t, a, rate, d)
	c.Shares = []loadtest.Share{share("a", a, 3), share("b", b, 1)}
	return c
}

// checkShares fails the test unless the shares have these numbers of planned requests and add up to the whole.
func checkShares(t *testing.T, load *reports.Load, planned ...int64) {
	t.Helper()
	checkBalance(t, load)
	if len(load.Shares) != len(planned) || !load.Balanced() {
		t.Fatalf("got %d shares, balanced: %v; want %d", len(load.Shares), load.Balanced(), len(planned))
	}
	for i, s := range load.Shares {
		if s.Accounting.Planned != planned[i] {
			t.Errorf("%s: %d requests are planned, want %d", s.Profile, s.Accounting.Planned, planned[i])
		}
		if s.System != "system-"+s.Profile {
			t.Errorf("share %s is of system %s", s.Profile, s.System)
		}
	}
}

// TestRunMix sends the requests of two profiles to two servers.
func TestRunMix(t *testing.T) {
	t.Parallel()
	a, b := serve(t, answer), serve(t, answer)
	c := mixConfig(t, a.URL, b.URL, "400/s", time.Second)
	var systems sync.Map
	c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		if m.Ticket.System != drm.System("system-"+string(m.Body[:1])) {
			t.Errorf("the judge of %q got a ticket for %s", m.Body[:1], m.Ticket.System)
		}
		systems.Store(m.Ticket.System, true)
		return judge(m, answer, d)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 300, 100)
	if a.seen.Load() != 300 || b.seen.Load() != 100 {
		t.Errorf("the servers counted %d and %d, want 300 and 100", a.seen.Load(), b.seen.Load())
	}
	for _, s := range load.Shares {
		if s.Accounting.Verified != s.Accounting.Planned || len(s.Operations) != 1 || s.Operations[0].Latency.Count != s.Accounting.Planned || s.Operations[0].Latency.P99 == 0 {
			t.Errorf("%s: got %+v", s.Profile, s)
		}
	}
	if _, both := systems.Load(drm.System("system-b")); !both {
		t.Error("the judge saw no answer of the second share")
	}
	if g := load.Generator; g.MintedAhead != 400 {
		t.Errorf("%d requests were minted ahead, want all", g.MintedAhead)
	}
}

// TestRunMixOrder looks at the order in which requests are sent, one at a time: it is that of the mix, though the requests
// of one share take far longer to mint than those of the other.
func TestRunMixOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got strings.Builder
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		got.WriteByte(body[0])
		mu.Unlock()
		_, _ = w.Write(append([]byte("license"), body...))
	})
	for slice, want := range []string{"aaba", "abaa", "baaa", "aaab", "aaba", "abaa", "baaa", "aaab"} {
		c := mixConfig(t, s.URL, s.URL, "1600/s", 200*time.Millisecond)
		c.Workers, c.MintAhead = 1, 8
		mint := c.Shares[0].Source
		var n atomic.Int64
		c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
			if n.Add(1)%5 == 0 {
				<-time.After(3 * time.Millisecond)
			}
			return mint(ctx)
		}
		var err error
		if c.Plan, err = c.Plan.Slice(slice, 8); err != nil {
			t.Fatal(err)
		}
		got.Reset()
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		checkShares(t, load, 30, 10)
		if got.String() != strings.Repeat(want, 10) {
			t.Errorf("slice %d: the server saw %s, want %s over and over", slice, got.String(), want)
		}
	}
}

// TestRunMixClassifies gives each share a profile of its own for its answers: another bound, another status.
func TestRunMixClassifies(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/b" {
			w.WriteHeader(http.StatusAccepted)
		}
		answer(w, r)
	})
	c := mixConfig(t, s.URL+"/a", s.URL+"/b", "200/s", 200*time.Millisecond)
	c.Shares = append(c.Shares, share("c", s.URL+"/c", 1))
	c.Shares[1].Profile.Response.OKStatus = []int{202}
	c.Shares[2].Profile.Response.MaxBytes = 3
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 24, 8, 8)
	for i, want := range []reports.Accounting{
		{Planned: 24, Sent: 24, Answered: 24, Verified: 24},
		{Planned: 8, Sent: 8, Answered: 8, Verified: 8},
		{Planned: 8, Sent: 8, Failed: map[string]int64{string(provider.ReasonTooLarge): 8}},
	} {
		got := load.Shares[i].Accounting
		if got.Sent != want.Sent || got.Answered != want.Answered || got.Verified != want.Verified || !maps.Equal(got.Failed, want.Failed) {
			t.Errorf("%s: got %+v, want %+v", load.Shares[i].Profile, got, want)
		}
	}
	if len(load.Samples) != 3 || load.Samples[0].Profile != "c" {
		t.Errorf("got samples %+v, want three of c", load.Samples)
	}
}

// TestRunMixWrong has a server that answers one share wrong, and both are sampled.
func TestRunMixWrong(t *testing.T) {
	t.Parallel()
	a, b := serve(t, answer), serve(t, body(200, "application/octet-stream", "license of somebody else"))
	c := mixConfig(t, a.URL, b.URL, "400/s", 500*time.Millisecond)
	var err error
	if c.Verify, err = loadtest.ParseVerify("50%"); err != nil {
		t.Fatal(err)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 150, 50)
	good, bad := load.Shares[0].Accounting, load.Shares[1].Accounting
	if good.Wrong != 0 || good.Verified == 0 || good.Unverified == 0 || bad.Wrong != 50 || bad.WrongBy["wrong-request"] != 50 || bad.Verified != 0 {
		t.Errorf("got %+v and %+v, want the whole second share wrong", good, bad)
	}
	if v := loadtest.Verdict(load, false, ""); v.Exit != reports.ExitSLO {
		t.Errorf("got exit code %d", v.Exit)
	}
	load.Shares[0].Accounting.Planned++ // what the renderers would show as not balanced
	if v := loadtest.Verdict(load, false, ""); v.Exit != reports.ExitHarness || !strings.Contains(v.Summary, "does not balance") {
		t.Errorf("a share is off, and the exit code is %d: %s", v.Exit, v.Summary)
	}
}

// TestRunMixWarmsConnections counts what each server sees before the first request: connections to both, and not more
// together than there are workers.
func TestRunMixWarmsConnections(t *testing.T) {
	t.Parallel()
	servers := make([]*server, 2)
	conns := make([]atomic.Int64, 2)
	early := make([]int64, 2)
	var first sync.Once
	for i := range servers {
		s := &server{}
		s.Server = newUnstarted(func(w http.ResponseWriter, r *http.Request) {
			first.Do(func() { early[0], early[1] = conns[0].Load(), conns[1].Load() })
			s.seen.Add(1)
			answer(w, r)
		}, func() { conns[i].Add(1) })
		s.StartTLS()
		t.Cleanup(s.Close)
		servers[i] = s
	}
	c := mixConfig(t, servers[0].URL, servers[1].URL, "200/s", 300*time.Millisecond)
	c.Workers = 8
	for i, s := range servers { // certificates of two authorities: each share needs its own network
		c.Shares[i].Network = &loadtest.Network{TLS: trust(s.Server)}
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 45, 15)
	if !slices.Equal(early, []int64{6, 2}) {
		t.Errorf("%v connections were open before the first request, want 6 and 2", early)
	}
	if load.Accounting.Verified != 60 || conns[0].Load() > 8 || conns[1].Load() > 8 {
		t.Errorf("%d verified, %d and %d connections", load.Accounting.Verified, conns[0].Load(), conns[1].Load())
	}
}

// TestRunMixSharesConnections has both shares on one host: they have the workers' connections in common.
func TestRunMixSharesConnections(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	s := &server{}
	s.Server = newUnstarted(answer, func() { conns.Add(1) })
	s.Start()
	t.Cleanup(s.Close)
	c := mixConfig(t, s.URL+"/a", s.URL+"/b", "400/s", 300*time.Millisecond)
	c.Workers = 6
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 90, 30)
	if conns.Load() != 6 {
		t.Errorf("%d connections, want 6", conns.Load())
	}
}

// TestRunMixUnreachable has nobody at the second share's host.
func TestRunMixUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	gone := serve(t, answer)
	gone.Close()
	load, err := loadtest.Run(bounded(t), mixConfig(t, s.URL, gone.URL, "200/s", time.Second))
	if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(gone.URL, "http://")) {
		t.Errorf("got %v, want an error that names %s", err, gone.URL)
	}
	checkShares(t, load, 150, 50)
	if a := load.Shares[1].Accounting; a.NotSent[loadtest.NotSentUnreachable] != 50 || s.seen.Load() != 0 {
		t.Errorf("got %+v, the other server counted %d", a, s.seen.Load())
	}
}

// TestRunMixCancelled ends a run early: what was sent has the mix, and the rest is accounted for share by share.
func TestRunMixCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 90 {
			cancel()
		}
		answer(w, r)
	})
	c := mixConfig(t, s.URL, s.URL, "400/s", 10*time.Second)
	c.MintAhead = 10 // less than a cycle of the mix below would have
	c.Shares[0].Weight, c.Shares[1].Weight = 13, 4
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	mix, err := loadtest.NewMix(13, 4)
	if err != nil {
		t.Fatal(err)
	}
	planned := mix.Counts(c.Plan, 4000)
	checkShares(t, load, planned...)
	sent := mix.Counts(c.Plan, load.Accounting.Sent)
	for i, s := range load.Shares {
		// Requests that were on their way to a worker when the run was halted are refused.
		if off := s.Accounting.Sent - sent[i]; off < -2 || off > 2 || s.Accounting.NotSent[loadtest.NotSentInterrupted] != planned[i]-s.Accounting.Sent {
			t.Errorf("%s: got %+v, want about %d of %d sent", s.Profile, s.Accounting, sent[i], load.Accounting.Sent)
		}
	}
	if load.Generator.MintedAhead != 17 {
		t.Errorf("%d requests were minted ahead, want a whole cycle of 17", load.Generator.MintedAhead)
	}
}

// TestRunMixMintFails has one share that cannot mint any more.
func TestRunMixMintFails(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := mixConfig(t, s.URL, s.URL, "200/s", time.Second)
	c.MintAhead = 4
	mint := c.Shares[1].Source
	var n atomic.Int64
	c.Shares[1].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		if n.Add(1) > 10 {
			return loadtest.Fresh{}, io.ErrUnexpectedEOF
		}
		return mint(ctx)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err == nil {
		t.Error("got no error")
	}
	checkShares(t, load, 150, 50)
	if a := load.Shares[1].Accounting; a.Sent > 10 || a.NotSent[loadtest.NotSentMint] != 50-a.Sent {
		t.Errorf("got %+v", a)
	}
}
