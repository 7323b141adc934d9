package loadtest_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/loadtest"
	"keyflow/reports"
)

// slo reads an objective.
func slo(t testing.TB, text string) loadtest.SLO {
	t.Helper()
	s, err := loadtest.ParseSLO(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kept(load *reports.Load) map[string]bool {
	all := map[string]bool{}
	for _, s := range load.SLOs {
		all[s.Expression] = s.Kept
	}
	return all
}

// TestRunWarmUp has a server that refuses the first hundred requests after a while: all of the warm-up. What is measured
// behind it does not know of it, and the accounting does.
func TestRunWarmUp(t *testing.T) {
	t.Parallel()
	const cold = 300 * time.Millisecond
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 100 {
			drain(r)
			time.Sleep(cold)
			http.Error(w, "cold", http.StatusServiceUnavailable)
			return
		}
		answer(w, r)
	})
	c := config(t, s.URL, "200/s", 1500*time.Millisecond)
	c.Workers, c.WarmUp = 256, 500*time.Millisecond
	c.SLOs = []loadtest.SLO{slo(t, "errors<1"), slo(t, "license.errors.http-503==0"), slo(t, "errors==0 each 1s"), slo(t, "license.p99<1h each 1s")}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a, w := load.Accounting, load.WarmUp
	if a.Sent != 300 || a.Failed["http-503"] != 100 || a.Verified != 200 || s.seen.Load() != 300 {
		t.Errorf("got %+v, the server counted %d; want 300 sent, 100 of them refused, 200 verified", a, s.seen.Load())
	}
	if w == nil || w.DurationMS != 500 || w.Planned != 100 || w.Sent != 100 || w.Answered+sum(w.Failed) != 100 {
		t.Fatalf("got warm-up %+v, want 100 requests in 500 ms", w)
	}
	op := load.Operations[0]
	if op.Sent != 200 || op.Lag.Count != 200 || op.Answered+sum(op.Failed) != 200 {
		t.Errorf("got operation %+v, want 200 requests", op)
	}
	// Which requests the server sees as its first hundred is a matter of a few milliseconds.
	if w.Failed["http-503"] < 10 || op.Failed["http-503"] != 100-w.Failed["http-503"] {
		t.Errorf("%d requests of the warm-up were refused, %d others", w.Failed["http-503"], op.Failed["http-503"])
	}
	if len(load.SLOs) != 5 || len(load.Seconds) != 2 || load.SLOs[2].Windows == nil || load.SLOs[2].Windows.Judged != 1 || load.SLOs[3].Windows.Worst.At != 1 {
		t.Errorf("got objectives %+v over %d seconds, want one window of second 1", load.SLOs, len(load.Seconds))
	}
	if good := op.Failed["http-503"] == 0; kept(load)["errors<1"] != good || kept(load)["license.errors.http-503==0"] != good {
		t.Errorf("%d requests failed behind the warm-up, and the objectives are %+v", op.Failed["http-503"], load.SLOs)
	}
	if r := load.Rate; r.AskedPerSec != 200 || r.Percent > 100 || r.AchievedPerSec > 210 {
		t.Errorf("got rate %+v", r)
	}
	whole, err := hdr.Decode([]byte(op.Latency.Histogram))
	if err != nil || whole.TotalCount() != op.Answered {
		t.Errorf("%d latencies for %d answers behind the warm-up: %v", whole.TotalCount(), op.Answered, err)
	}
}

// TestRunWarmUpWrong counts a wrong answer wherever it comes.
func TestRunWarmUpWrong(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) <= 10 {
			drain(r)
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte("another license"))
			return
		}
		answer(w, r)
	})
	c := mixConfig(t, s.URL, s.URL, "200/s", 400*time.Millisecond)
	c.WarmUp = 200 * time.Millisecond
	c.SLOs = []loadtest.SLO{slo(t, "license.wrong<=9"), slo(t, "a.wrong==0"), slo(t, "b.license.p99<1h")}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkShares(t, load, 60, 20)
	if w := load.WarmUp; load.Accounting.Wrong != 10 || w.Wrong != 10 || w.Sent != 40 || w.Answered != 40 {
		t.Errorf("got %+v with %d wrong, want ten", w, load.Accounting.Wrong)
	}
	want := map[string]bool{"license.wrong<=9": false, "a.wrong==0": false, "b.license.p99<1h": true, "wrong==0": false, "errors==0": false}
	for text, k := range want {
		if kept(load)[text] != k {
			t.Errorf("%s: kept is %v, want %v", text, !k, k)
		}
	}
	for i, share := range load.Shares {
		if sent := []int64{30, 10}[i]; share.Operations[0].Sent != sent {
			t.Errorf("%s has %d requests behind the warm-up, want %d", share.Profile, share.Operations[0].Sent, sent)
		}
	}
}

// TestRunEndsInWarmUp is interrupted before anything was measured.
func TestRunEndsInWarmUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 20 {
			cancel()
		}
		answer(w, r)
	})
	c := config(t, s.URL, "100/s", time.Minute)
	c.WarmUp = 50 * time.Second
	c.SLOs = []loadtest.SLO{slo(t, "p99<1h"), slo(t, "rate>=1%"), slo(t, "p99<1h each 2s")}
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if load.WarmUp.Planned != 5000 || load.WarmUp.Sent != load.Accounting.Sent || load.Rate.AchievedPerSec != 0 {
		t.Errorf("got warm-up %+v of %+v at %+v", load.WarmUp, load.Accounting, load.Rate)
	}
	for _, s := range load.SLOs {
		if s.Kept != s.Implied {
			t.Errorf("%s: kept is %v though nothing was measured", s.Expression, s.Kept)
		}
	}
}

// TestRunStages sends a ramp, a spike and what follows: each stage's requests, in slices too.
func TestRunStages(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := config(t, s.URL, "1/s", time.Second)
	c.Plan, c.Workers, c.WarmUp = staged(t, "0/s..200/s@500ms,400/s@100ms,0/s@100ms,100/s@300ms"), 0, 250*time.Millisecond
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if a := load.Accounting; a.Planned != 120 || a.Verified != 120 || s.seen.Load() != 120 {
		t.Errorf("got %+v, the server counted %d; want 50 + 40 + 0 + 30", a, s.seen.Load())
	}
	want := []reports.Stage{
		{ToPerSec: 200, DurationMS: 500, Requests: 50}, {FromPerSec: 400, ToPerSec: 400, DurationMS: 100, Requests: 40},
		{DurationMS: 100}, {FromPerSec: 100, ToPerSec: 100, DurationMS: 300, Requests: 30},
	}
	if p := load.Plan; p.Shape != loadtest.ShapeStages || p.RatePerSec != 120 || p.PeakPerSec != 400 || p.DurationMS != 1000 || p.Workers != 120 || len(p.Stages) != 4 {
		t.Errorf("got plan %+v", p)
	}
	for i, stage := range load.Plan.Stages {
		if stage != want[i] {
			t.Errorf("stage %d is %+v, want %+v", i, stage, want[i])
		}
	}
	if w := load.WarmUp; w.Planned != 13 || load.Operations[0].Sent != 107 { // requests 0 to 12 of 200·t²
		t.Errorf("got warm-up %+v and %d others, want 13 and 107", w, load.Operations[0].Sent)
	}
	if asked := 107 / 0.75; load.Rate.AskedPerSec != asked || load.Rate.Percent > 100 {
		t.Errorf("got rate %+v, want %v asked", load.Rate, asked)
	}
	var sent int64
	for i := range 2 {
		part := c
		if part.Plan, err = c.Plan.Slice(i, 2); err != nil {
			t.Fatal(err)
		}
		load, err := loadtest.Run(bounded(t), part)
		if err != nil {
			t.Fatal(err)
		}
		checkBalance(t, load)
		sent += load.Accounting.Sent
	}
	if sent != 120 {
		t.Errorf("two slices sent %d requests, want 120", sent)
	}
}

func TestRunWarmUpInvalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		warmUp time.Duration
		plan   string
		slo    string
		want   string
	}{
		{-1, "10/s@1s", "p99<1s", "whole milliseconds"},
		{time.Millisecond + 1, "10/s@1s", "p99<1s", "whole milliseconds"},
		{time.Second, "10/s@1s", "p99<1s", "leaves nothing of a plan of 1s"},
		{time.Minute, "10/s@1s", "p99<1s", "leaves nothing"},
		{time.Second, "10/s@1s,0/s@1s", "p99<1s", "all requests of the plan are due within the warm-up"},
		{time.Second, "10/s@2s", "p99<1s each 3s", "1 whole seconds are measured"},
		{time.Second, "10/s@2s", "licens.p99<1s", `did you mean "license"`},
	} {
		s := serve(t, answer)
		config := config(t, s.URL, "1/s", time.Second)
		config.Plan, config.WarmUp, config.SLOs = staged(t, c.plan), c.warmUp, []loadtest.SLO{slo(t, c.slo)}
		if _, err := loadtest.Run(bounded(t), config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s, %s: got %v, want %q", c.warmUp, c.plan, c.slo, err, c.want)
		}
	}
}
