package loadtest_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/loadtest"
	"keyflow/reports"
)

// slicesOf runs the slices of one plan side by side and returns their reports.
func slicesOf(t *testing.T, n int) (all []*reports.Report, whole loadtest.Plan) {
	t.Helper()
	s := serve(t, badDays())
	c := mixConfig(t, s.URL, s.URL, "151/s", 2*time.Second)
	c.Timeout = time.Second
	c.WarmUp = 300 * time.Millisecond
	slo, err := loadtest.ParseSLO("p50<10s each 1s")
	if err != nil {
		t.Fatal(err)
	}
	c.SLOs = []loadtest.SLO{slo}
	all = make([]*reports.Report, n)
	var wg sync.WaitGroup
	for i := range all {
		part := c
		if part.Plan, err = c.Plan.Slice(i, n); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			load, err := loadtest.Run(bounded(t), part)
			if err != nil {
				t.Error(err)
			}
			all[i] = &reports.Report{
				Schema: reports.Schema, Run: reports.Run{ID: "load-1", Command: "load", Seed: int64(i)}, Load: load,
				Target: reports.Target{Kind: "server", Profiles: []string{"a", "b"}}, Verdict: loadtest.Verdict(load, true, ""),
			}
		})
	}
	wg.Wait()
	return all, c.Plan
}

func TestMergeIsTheWhole(t *testing.T) {
	t.Parallel()
	all, whole := slicesOf(t, 3)
	r, err := loadtest.Merge(all)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, r.Load)
	a := r.Load.Accounting
	if a.Planned != whole.Total() || a.Sent != whole.Total() || !r.Load.Balanced() || len(r.Load.Shares) != 2 {
		t.Errorf("got %+v of %d", a, whole.Total())
	}
	if p := r.Load.Plan; p.Requests != whole.Total() || p.RatePerSec < 150.99 || p.RatePerSec > 151.01 || r.Load.Rate.Percent > 101 || r.Load.Rate.Percent <= 0 {
		t.Errorf("got plan %+v, rate %+v", p, r.Load.Rate)
	}
	for _, s := range r.Load.Seconds {
		if begin := time.Duration(s.At) * time.Second; s.Due != whole.Before(begin+time.Second)-whole.Before(begin) {
			t.Errorf("%d are due in second %d", s.Due, s.At)
		}
	}
	want := hdr.New(1, loadtest.HistogramMax.Microseconds(), 3)
	var failed int64
	for _, part := range all {
		failed += sum(part.Load.Accounting.Failed)
		h, err := hdr.Decode([]byte(part.Load.Operations[0].Latency.Histogram))
		if err != nil {
			t.Fatal(err)
		}
		want.Merge(h)
	}
	op := r.Load.Operations[0].Latency
	got, err := hdr.Decode([]byte(op.Histogram))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equals(want) || op.P99 != want.ValueAtPercentile(99) || sum(a.Failed) != failed || failed == 0 {
		t.Errorf("the latencies are not those of the parts: %+v", op)
	}
	if w := r.Load.WarmUp; w == nil || w.Planned != whole.Before(300*time.Millisecond) || w.Sent != w.Planned {
		t.Errorf("got warm-up %+v", w)
	}
	if len(r.Load.SLOs) != 3 || !r.Load.SLOs[0].Kept || r.Load.SLOs[1].Kept || r.Verdict.Exit != reports.ExitSLO {
		t.Errorf("got %+v, %+v", r.Load.SLOs, r.Verdict)
	}
	// In any order, and in steps, it is the same.
	two, err := loadtest.Merge([]*reports.Report{all[2], all[0]})
	if err != nil {
		t.Fatal(err)
	}
	if two.Load.Accounting.Planned+all[1].Load.Accounting.Planned != a.Planned {
		t.Errorf("got %+v", two.Load.Accounting)
	}
	back, err := loadtest.Merge([]*reports.Report{all[2], all[1], all[0]})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Load.Accounting, a) || !reflect.DeepEqual(back.Load.Seconds, r.Load.Seconds) || !reflect.DeepEqual(back.Load.Operations, r.Load.Operations) {
		t.Error("the order of the reports matters")
	}
}

func TestMergeRefusesWhatIsNotOfOnePlan(t *testing.T) {
	t.Parallel()
	all, _ := slicesOf(t, 2)
	for name, edit := range map[string]func(r *reports.Report){
		"no load run": func(r *reports.Report) { r.Load = nil },
		"given twice": func(r *reports.Report) { r.Run = all[0].Run },
		"schema":      func(r *reports.Report) { r.Schema = "keyflow-report/2" },
		"command":     func(r *reports.Report) { r.Run.Command = "check" },
		"version":     func(r *reports.Report) { r.Tool.Version = "2" },
		"profiles":    func(r *reports.Report) { r.Target.Profiles = []string{"a"} },
		"plan":        func(r *reports.Report) { r.Load.Plan.DurationMS++ },
		"plan: ":      func(r *reports.Report) { r.Load.Plan.RatePerSec++ },
		"warm-up":     func(r *reports.Report) { r.Load.WarmUp = nil },
		"shares":      func(r *reports.Report) { r.Load.Shares[0].Weight = 1; r.Load.Shares[1].Weight = 3 },
		"objectives":  func(r *reports.Report) { r.Load.SLOs = r.Load.SLOs[1:] },
	} {
		second := *all[1]
		load := *second.Load
		load.Shares = append([]reports.Share(nil), load.Shares...)
		second.Load = &load
		edit(&second)
		_, err := loadtest.Merge([]*reports.Report{all[0], &second})
		var not *loadtest.MergeError
		if !errors.As(err, &not) || !strings.Contains(err.Error(), strings.TrimSuffix(name, ": ")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := *all[1].Load
	broken.Operations = []reports.Operation{{Name: "license", Latency: reports.Percentiles{Count: 7, Histogram: "HISTFAAAAA=="}}}
	if _, err := loadtest.Merge([]*reports.Report{all[0], {Schema: reports.Schema, Run: reports.Run{ID: "x", Command: "load"}, Target: all[0].Target, Load: &broken}}); err == nil {
		t.Error("a broken histogram is merged")
	}
	if _, err := loadtest.Merge(nil); err == nil {
		t.Error("nothing is merged")
	}
}
