package loadtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"keyflow/reports"
)

// measured returns a result of 1000 requests with latencies 1 to 992 ms in two operations, 5 failed, 3 wrong, at 96 %.
func measured(t *testing.T) *reports.Load {
	t.Helper()
	parts := []*histogram{newHistogram(), newHistogram()}
	for i := 1; i <= 992; i++ {
		if err := parts[i%2].record(time.Duration(i) * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	load := &reports.Load{
		Accounting: reports.Accounting{Planned: 1000, Sent: 1000, Answered: 995, Failed: map[string]int64{"timeout": 4, "dns": 1}, Wrong: 3, Verified: 992},
		Rate:       reports.Rate{AskedPerSec: 100, AchievedPerSec: 96, Percent: 96},
	}
	for _, h := range parts {
		p, err := h.percentiles()
		if err != nil {
			t.Fatal(err)
		}
		load.Operations = append(load.Operations, reports.Operation{Name: "license", Latency: p})
	}
	return load
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	load := measured(t)
	for text, want := range map[string]bool{
		"p50<500ms":    true,
		"p50<490ms":    false,
		"p99<1s":       true,
		"p99<=0.95s":   false,
		"p99.9>980ms":  true,
		"p99.9>=2s":    false,
		"p75<750ms":    true,
		"mean<500ms":   true,
		"max<1s":       true,
		"max<900ms":    false,
		"errors==0":    false,
		"errors<=8":    true,
		"errors<8":     false,
		"errors<0.8%":  false,
		"errors<=0.8%": true,
		"errors<0.9%":  true,
		"wrong==0":     false,
		"wrong==3":     true,
		"wrong<0.3%":   false,
		"wrong<=0.3%":  true,
		"rate>=95%":    true,
		"rate>96%":     false,
		"rate>=96/s":   true,
		"rate>=5761/m": false,
		" rate >= 95%": true,
	} {
		slo, err := ParseSLO(text)
		if err != nil {
			t.Error(err)
			continue
		}
		results, err := Evaluate([]SLO{slo}, load)
		if err != nil {
			t.Fatal(err)
		}
		if r := results[0]; r.Kept != want || r.Implied || r.Expression != strings.TrimSpace(text) {
			t.Errorf("%s: got %+v, want kept=%v", text, r, want)
		}
	}
}

func TestEvaluateImplied(t *testing.T) {
	t.Parallel()
	load := measured(t)
	expressions := func(texts ...string) string {
		var slos []SLO
		for _, text := range texts {
			s, err := ParseSLO(text)
			if err != nil {
				t.Fatal(err)
			}
			slos = append(slos, s)
		}
		results, err := Evaluate(slos, load)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range results {
			text := r.Expression
			if r.Implied {
				text += " (implied)"
			}
			if !r.Kept {
				text += " missed: " + r.Seen
			}
			got = append(got, text)
		}
		return strings.Join(got, ", ")
	}
	for _, c := range []struct {
		slos []string
		want string
	}{
		{nil, "wrong==0 (implied) missed: 3, errors==0 (implied) missed: 8"},
		{[]string{"errors<1%"}, "errors<1%, wrong==0 (implied) missed: 3"},
		{[]string{"p99<1s", "wrong<=3", "errors<=8"}, "p99<1s, wrong<=3, errors<=8"},
	} {
		if got := expressions(c.slos...); got != c.want {
			t.Errorf("%v: got %s; want %s", c.slos, got, c.want)
		}
	}
}

func TestEvaluateWithoutAnswers(t *testing.T) {
	t.Parallel()
	slo, err := ParseSLO("p99<1s")
	if err != nil {
		t.Fatal(err)
	}
	results, err := Evaluate([]SLO{slo}, &reports.Load{})
	if err != nil || len(results) != 3 || results[0].Kept || results[0].Seen != "no answer" || !results[1].Kept || !results[2].Kept {
		t.Errorf("got %+v, %v", results, err)
	}
	bad := &reports.Load{Operations: []reports.Operation{{Latency: reports.Percentiles{Histogram: "?"}}}}
	if _, err := Evaluate([]SLO{slo}, bad); err == nil {
		t.Error("a broken histogram was accepted")
	}
}

func TestParseSLOErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":             "no comparison",
		"p99":          "no comparison",
		"p99=250ms":    "not a comparison",
		"p99<250":      "not a duration",
		"p99<-1s":      "not a duration",
		"p99<1%":       "not a duration",
		"p100<1s":      "not between 0 and 100",
		"p0<1s":        "not between 0 and 100",
		"q99<1s":       `no metric "q99"`,
		"p<1s":         `no metric "p"`,
		"<1s":          `no metric ""`,
		"errors<x":     "neither a count nor a percentage",
		"errors<-1":    "neither a count nor a percentage",
		"wrong==1.5":   "neither a count nor a percentage",
		"rate>=200":    "neither a percentage nor a rate",
		"latency<1s":   `no metric "latency"`,
		"errors<<1":    "neither a count nor a percentage",
		"errors=<1":    "not a comparison",
		"p99 < 250 ms": "not a duration",

		"license.q99<1s":           `no metric "q99"`,
		".p99<1s":                  "a point without a name",
		"license..p99<1s":          "a point without a name",
		"license.<1s":              `no metric ""`,
		"p99.<1s":                  `no metric "p99."`,
		"p99.x<1s":                 `no metric "p99.x"`,
		"p99.9.9<1s":               `no metric "p99.9.9"`,
		"mean.9<1s":                `mean has no "9"`,
		"wrong.bad-mac==0":         `wrong has no "bad-mac"`,
		"rate.x>=1/s":              `rate has no "x"`,
		"license.rate>=95%":        "rate is that of all requests together",
		"service.errors==0":        "errors is no service time",
		"lag.wrong==0":             "wrong is no lag",
		"errors.<1%":               `unknown class of errors ""`,
		"errors.timeuot<1%":        `did you mean "timeout"`,
		"errors.http-5033<1%":      `did you mean "http-503"`,
		"errors.http-503<1s":       "neither a count nor a percentage",
		"p99<250ms each":           "not a duration",
		"p99<250ms each x":         "not a duration",
		"p99<250ms each 500ms":     "not whole seconds",
		"p99<250ms each 1500ms":    "not whole seconds",
		"p99<250ms each 0s":        "not whole seconds",
		"p99<250ms each -1s":       "not whole seconds",
		"p99<250ms each 1000h":     "not whole seconds",
		"p99<250ms every 10s":      "not a duration",
		"rate>=95% each 10s":       "rate has no windows",
		"service.p99<1s each 10s":  "service has no windows",
		"wv.p99<1s each 10s":       "a share has no windows",
		"errors.dns<1 each 10s":    "a class of errors has no windows",
		"p99<1s each 10s each 10s": "not a duration",
	} {
		_, err := ParseSLO(text)
		var typed *SLOError
		if !errors.As(err, &typed) {
			t.Errorf("%q: got %v, want a *SLOError", text, err)
			continue
		}
		for _, part := range append(SLOMetrics(), want) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v does not say %q", text, err, part)
			}
		}
	}
}

func FuzzParseSLO(f *testing.F) {
	for _, seed := range []string{"p99<250ms", "p99.9>=1s", "errors<0.1%", "wrong==0", "rate>=95%", "rate>=190/s", "mean<1h", "max<", "p<=", "<>=",
		"license.p99<250ms each 10s", "wv.certificate.service.p99.9<1s", "lag.max<1ms", "errors.http-503<1%", "license.errors.timeout==0", "renewal.wrong==0 each 1h", "..p1<"} {
		f.Add(seed)
	}
	load := &reports.Load{
		Accounting: reports.Accounting{Sent: 3, Wrong: 1},
		Operations: []reports.Operation{{Name: "license", Sent: 3, Wrong: 1}},
		Seconds:    []reports.Second{{At: 2, Operations: []reports.SecondOperation{{Name: "license", Sent: 3, Wrong: 1}}}},
	}
	f.Fuzz(func(t *testing.T, text string) {
		slo, err := ParseSLO(text)
		if err != nil {
			var typed *SLOError
			if !errors.As(err, &typed) {
				t.Fatalf("%q: %T is not a *SLOError", text, err)
			}
			return
		}
		again, err := ParseSLO(slo.String())
		if err != nil || again != slo {
			t.Fatalf("%q is %+v, its String is %+v, %v", text, slo, again, err)
		}
		if _, err := Evaluate([]SLO{slo}, load); err != nil {
			t.Fatal(err)
		}
	})
}
