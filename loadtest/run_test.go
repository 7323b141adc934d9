package loadtest_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
)

// bounded returns a context that ends well after any of these runs.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestRunAccountsForEveryRequest(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "500/s", 1200*time.Millisecond)
	var last loadtest.Progress
	c.Progress = func(p loadtest.Progress) { last = p }
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a := load.Accounting
	if a.Planned != 600 || a.Sent != 600 || a.Answered != 600 || a.Verified != 600 || s.seen.Load() != 600 {
		t.Errorf("got %+v, the server counted %d; want 600 of each", a, s.seen.Load())
	}
	if len(load.Seconds) != 2 || load.Seconds[0].Due != 500 || load.Seconds[1].Due != 100 {
		t.Errorf("got seconds %+v, want 500 and 100 requests due", load.Seconds)
	}
	if load.Rate.AskedPerSec != 500 || load.Rate.AchievedPerSec < 100 || load.Rate.Percent > 100 {
		t.Errorf("got rate %+v", load.Rate)
	}
	for _, slo := range load.SLOs {
		if !slo.Implied || !slo.Kept {
			t.Errorf("got SLO %+v, want the implied ones, kept", slo)
		}
	}
	if last.Phase != loadtest.PhaseDone || last.Planned != 600 || last.Sent != 600 || last.Answered != 600 || last.Judged != 600 || last.Minted != 600 {
		t.Errorf("got last progress %+v", last)
	}
	if g := load.Generator; g.MintedAhead != 600 || g.MaxHeapBytes == 0 || g.Limited != (g.Why != "") {
		t.Errorf("got generator %+v", g)
	}
	if want := (reports.Plan{Shape: "constant", RatePerSec: 500, DurationMS: 1200, Requests: 600, Verify: "all", Workers: 32, KeyRequests: reports.KeyRequests{Source: reports.Fresh}}); !reflect.DeepEqual(load.Plan, want) {
		t.Errorf("got plan %+v, want %+v", load.Plan, want)
	}
	checkHistograms(t, load)
}

// checkHistograms merges the seconds' histograms and compares them with the operation's.
func checkHistograms(t *testing.T, load *reports.Load) {
	t.Helper()
	if len(load.Operations) != 1 || load.Operations[0].Name != "license" {
		t.Fatalf("got operations %+v, want license", load.Operations)
	}
	op := load.Operations[0]
	whole, err := hdr.Decode([]byte(op.Latency.Histogram))
	if err != nil {
		t.Fatal(err)
	}
	merged := hdr.New(1, loadtest.HistogramMax.Microseconds(), 3)
	for _, s := range load.Seconds {
		part, err := hdr.Decode([]byte(s.Histogram))
		if err != nil {
			t.Fatal(err)
		}
		if dropped := merged.Merge(part); dropped != 0 {
			t.Errorf("%d values of second %d were dropped", dropped, s.At)
		}
	}
	if !merged.Equals(whole) || whole.TotalCount() != op.Latency.Count || whole.ValueAtPercentile(99) != op.Latency.P99 {
		t.Error("the seconds' histograms do not merge into the operation's")
	}
	if op.Latency.Max < op.Service.Min || op.Latency.P50 < op.Lag.Min {
		t.Errorf("got latency %+v, service %+v, lag %+v", op.Latency, op.Service, op.Lag)
	}
}

func TestRunSlices(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "301/s", 500*time.Millisecond)
	whole := c.Plan
	loads := make([]*reports.Load, 3)
	var wg sync.WaitGroup
	for i := range loads {
		part := c
		var err error
		if part.Plan, err = whole.Slice(i, len(loads)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			load, err := loadtest.Run(bounded(t), part)
			if err != nil {
				t.Error(err)
			}
			loads[i] = load
		})
	}
	wg.Wait()
	var planned, verified int64
	for _, load := range loads {
		checkBalance(t, load)
		planned += load.Accounting.Planned
		verified += load.Accounting.Verified
	}
	if want := whole.Total(); planned != want || verified != want || s.seen.Load() != want {
		t.Errorf("%d planned, %d verified, %d counted by the server; want %d", planned, verified, s.seen.Load(), want)
	}
}

func TestRunSendsWhatTheProfileBuilds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	bodies, bad := map[string]int{}, map[string]bool{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		for name := range r.Header {
			if name != "Content-Type" && name != "Content-Length" && name != "User-Agent" {
				bad[name] = true
			}
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/octet-stream" {
			bad[r.Method+" "+r.Header.Get("Content-Type")] = true
		}
		mu.Unlock()
		answer(w, r)
	})
	c := config(t, s.URL, "200/s", 500*time.Millisecond)
	mint := c.Shares[0].Source
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		m, err := mint(ctx)
		mu.Lock()
		bodies[string(m.Message.Body)]++
		mu.Unlock()
		return m, err
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if len(bad) > 0 {
		t.Errorf("the server saw %v", bad)
	}
	if len(bodies) != 100 {
		t.Errorf("%d different requests were minted, want 100", len(bodies))
	}
}

func TestRunWarmsConnections(t *testing.T) {
	t.Parallel()
	var conns, early atomic.Int64
	s := &server{}
	s.Server = newUnstarted(func(w http.ResponseWriter, r *http.Request) {
		if s.seen.Add(1) == 1 {
			early.Store(conns.Load())
		}
		answer(w, r)
	}, func() { conns.Add(1) })
	s.StartTLS()
	t.Cleanup(s.Close)
	c := config(t, s.URL, "200/s", 300*time.Millisecond)
	c.Workers = 8
	c.Shares[0].Network = &loadtest.Network{TLS: trust(s.Server)}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if load.Accounting.Verified != 60 || early.Load() != 8 || conns.Load() != 8 {
		t.Errorf("%d verified, %d connections before the first request, %d in all; want 60, 8, 8", load.Accounting.Verified, early.Load(), conns.Load())
	}
}

func TestRunCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 50 {
			cancel()
		}
		answer(w, r)
	})
	c := config(t, s.URL, "200/s", 10*time.Second)
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a := load.Accounting
	if a.Planned != 2000 || a.Sent < 50 || a.Sent > 1000 || a.NotSent[loadtest.NotSentInterrupted] != 2000-a.Sent || s.seen.Load() != a.Sent || a.Answered != a.Sent {
		t.Errorf("got %+v, the server counted %d", a, s.seen.Load())
	}
	if load.Rate.Percent < 50 {
		t.Errorf("got rate %+v: what was not due when the run was interrupted counts", load.Rate)
	}
	if a.Verified != a.Answered {
		t.Errorf("%d of %d answers were verified", a.Verified, a.Answered)
	}
}

func TestRunCancelledWithRequestsInFlight(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var n atomic.Int64
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 4 {
			cancel()
		}
		drain(r)
		<-r.Context().Done() // never answers
	})
	c := config(t, s.URL, "100/s", 10*time.Second)
	c.Workers = 4
	c.Grace = 50 * time.Millisecond
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a := load.Accounting
	if a.Sent != 4 || a.Failed[string(provider.ReasonInterrupted)] != 4 || a.NotSent[loadtest.NotSentInterrupted] != 996 || s.seen.Load() != 4 {
		t.Errorf("got %+v, the server counted %d; want 4 interrupted", a, s.seen.Load())
	}
}

func TestRunCancelledBeforeItBegins(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	load, err := loadtest.Run(ctx, config(t, s.URL, "100/s", time.Second))
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 0 || a.NotSent[loadtest.NotSentInterrupted] != 100 || s.seen.Load() != 0 {
		t.Errorf("got %+v", a)
	}
}

// TestRunCancelledWhileStarved ends the run when requests have been released that cannot be sent for want of a message.
func TestRunCancelledWhileStarved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	s := serve(t, answer)
	c := config(t, s.URL, "1000/s", 10*time.Second)
	c.MintAhead, c.Workers = 3, 4
	mint := c.Shares[0].Source
	var n atomic.Int64
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		if n.Add(1) > 3 {
			time.AfterFunc(200*time.Millisecond, cancel)
			<-ctx.Done()
			return loadtest.Fresh{}, ctx.Err()
		}
		return mint(ctx)
	}
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Sent != 3 || a.NotSent[loadtest.NotSentInterrupted] != 9997 || s.seen.Load() != 3 {
		t.Errorf("got %+v, the server counted %d; want 3 sent", a, s.seen.Load())
	}
	if load.Generator.Starved == 0 {
		t.Error("no starved request was counted")
	}
}

// TestRunEmptySlice has more generators than requests.
func TestRunEmptySlice(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "7/s", time.Second)
	var err error
	if c.Plan, err = c.Plan.Slice(7, 8); err != nil {
		t.Fatal(err)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Planned != 0 || s.seen.Load() != 0 || load.Generator.Limited {
		t.Errorf("got %+v, generator %+v", a, load.Generator)
	}
}

func TestRunVerifiesASample(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	half, err := loadtest.ParseVerify("50%")
	if err != nil {
		t.Fatal(err)
	}
	for _, verify := range []loadtest.Verify{half, loadtest.VerifyNone} {
		c := config(t, s.URL, "1000/s", 300*time.Millisecond)
		c.Verify = verify
		var calls, full atomic.Int64
		c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
			calls.Add(1)
			if d == drm.DepthFull {
				full.Add(1)
			}
			return judge(m, answer, d)
		}
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		checkBalance(t, load)
		a := load.Accounting
		if a.Verified != full.Load() || a.Unverified != 300-full.Load() || load.Plan.Verify != verify.String() {
			t.Errorf("%s: got %+v, judged %d, %d in full", verify, a, calls.Load(), full.Load())
		}
		if verify == half && (calls.Load() != 300 || full.Load() < 100 || full.Load() > 200) || verify == loadtest.VerifyNone && calls.Load() != 0 {
			t.Errorf("%s: %d answers were judged, %d in full", verify, calls.Load(), full.Load())
		}
	}
}

// TestRunVerificationCannotKeepUp has a judge that waits until the attack is over, behind a queue for eight answers.
func TestRunVerificationCannotKeepUp(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	over := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 50 {
			close(over)
		}
		answer(w, r)
	})
	c := config(t, s.URL, "200/s", 250*time.Millisecond)
	c.VerifyBytes = 8 << 10
	ctx := bounded(t)
	c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		select {
		case <-over:
		case <-ctx.Done():
		}
		return judge(m, answer, d)
	}
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a := load.Accounting
	if a.Answered != 50 || a.Unverified < 20 || a.Verified < 7 || a.Wrong != 0 {
		t.Errorf("got %+v", a)
	}
	if g := load.Generator; !g.Limited || !strings.Contains(g.Why, "unverified") {
		t.Errorf("got generator %+v, want limited by verification", g)
	}
}

func TestRunMintFails(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	broken := errors.New("no device left")
	for _, after := range []int64{0, 40} {
		c := config(t, s.URL, "200/s", 2*time.Second)
		c.MintAhead = 10
		mint := c.Shares[0].Source
		var n atomic.Int64
		c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
			if n.Add(1) > after {
				return loadtest.Fresh{}, broken
			}
			return mint(ctx)
		}
		load, err := loadtest.Run(bounded(t), c)
		var typed *loadtest.MintError
		if !errors.As(err, &typed) || !errors.Is(err, broken) || typed.Number < after {
			t.Fatalf("got %v, want a *MintError", err)
		}
		checkBalance(t, load)
		if a := load.Accounting; a.Sent > after || a.NotSent[loadtest.NotSentMint] != 400-a.Sent {
			t.Errorf("after %d: got %+v", after, a)
		}
	}
}

func TestRunStarved(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "400/s", 250*time.Millisecond)
	c.MintAhead = 5
	mint := c.Shares[0].Source
	var n atomic.Int64
	gate := make(chan struct{})
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		if n.Add(1) > 20 { // the rest is minted 200 ms after the 20th
			select {
			case <-gate:
			case <-ctx.Done():
				return loadtest.Fresh{}, ctx.Err()
			}
		} else if n.Load() == 20 {
			time.AfterFunc(200*time.Millisecond, func() { close(gate) })
		}
		return mint(ctx)
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	lag := load.Operations[0].Lag
	if g := load.Generator; g.Starved == 0 || !g.Limited || g.MintedAhead != 5 {
		t.Errorf("got generator %+v, want starved", g)
	}
	if lag.Max < 50_000 || load.Operations[0].Latency.Max < lag.Max {
		t.Errorf("got lag %+v, latency %+v: waiting for a minted request does not show", lag, load.Operations[0].Latency)
	}
}

// TestRunShowsAStall stops the server for 100 ms of a second. A single worker hides that from the service time, as a capped
// vegeta would; latency from the due time shows what each request would have seen.
func TestRunShowsAStall(t *testing.T) {
	t.Parallel()
	const from, until = 400 * time.Millisecond, 500 * time.Millisecond
	var once sync.Once
	var began time.Time
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { began = time.Now() })
		if at := time.Since(began); at >= from && at < until {
			<-time.After(until - at)
		}
		answer(w, r)
	})
	c := config(t, s.URL, "500/s", time.Second)
	c.Workers = 1
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	truth := hdr.New(1, 1_000_000, 3)
	for i := range c.Plan.Total() {
		var stall time.Duration
		if due := c.Plan.Due(i); due >= from && due < until {
			stall = until - due
		}
		if err := truth.RecordValue(stall.Microseconds()); err != nil {
			t.Fatal(err)
		}
	}
	want := truth.ValueAtPercentile(99)
	op := load.Operations[0]
	if op.Latency.P99 < want*9/10 {
		t.Errorf("latency p99 is %d µs, the truth is at least %d µs", op.Latency.P99, want)
	}
	if op.Service.P99 > op.Latency.P99/2 {
		t.Errorf("service p99 is %d µs beside a latency of %d µs: the worker did not hide the stall", op.Service.P99, op.Latency.P99)
	}
	if g := load.Generator; g.WorkerBound == 0 || !g.Limited {
		t.Errorf("got generator %+v, want the worker bound hit", g)
	}
}

func TestRunConfiguration(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*loadtest.Config){
		"plan":     func(c *loadtest.Config) { c.Plan.Duration = 0 },
		"shares":   func(c *loadtest.Config) { c.Shares = nil },
		"weight":   func(c *loadtest.Config) { c.Shares[0].Weight = 0 },
		"cycle":    func(c *loadtest.Config) { c.Shares = append(c.Shares, c.Shares[0]); c.Shares[1].Weight = 1000 },
		"profile":  func(c *loadtest.Config) { c.Shares[0].Profile = nil },
		"limit":    func(c *loadtest.Config) { c.Shares[0].Profile = &provider.Profile{} },
		"source":   func(c *loadtest.Config) { c.Shares[0].Source = nil },
		"judge":    func(c *loadtest.Config) { c.Judge = nil },
		"verify":   func(c *loadtest.Config) { c.Verify = -1 },
		"workers":  func(c *loadtest.Config) { c.Workers = -1 },
		"ahead":    func(c *loadtest.Config) { c.MintAhead = -1 },
		"timeout":  func(c *loadtest.Config) { c.Timeout = -1 },
		"grace":    func(c *loadtest.Config) { c.Grace = -1 },
		"queue":    func(c *loadtest.Config) { c.VerifyBytes = -1 },
		"an SLO":   func(c *loadtest.Config) { c.SLOs = make([]loadtest.SLO, 1) },
		"workers+": func(c *loadtest.Config) { c.Workers = 1 << 20 },
	} {
		c := config(t, "http://127.0.0.1:1", "100/s", time.Second)
		change(&c)
		if load, err := loadtest.Run(context.Background(), c); err == nil || load != nil {
			t.Errorf("%s: got %v, want an error and no result", name, err)
		}
	}
	for _, url := range []string{"http://", "ftp://127.0.0.1/", "/license", "http://user:secret@127.0.0.1/", "http://%zz/"} {
		var typed *loadtest.MintError
		if _, err := loadtest.Run(bounded(t), config(t, url, "100/s", time.Second)); !errors.As(err, &typed) {
			t.Errorf("%s: got %v, want a *MintError", url, err)
		}
	}
}
