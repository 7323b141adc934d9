package loadtest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// encoded is a histogram of n times.
func encoded(t *testing.T, n int, d time.Duration) string {
	t.Helper()
	h := newHistogram()
	for range n {
		if err := h.record(d); err != nil {
			t.Fatal(err)
		}
	}
	text, err := h.encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// windowed is a run of 13 seconds, of which the first is warm-up: 10 licenses of 20 ms in each, in the 2nd, 3rd, 8th and 9th
// 100 ms; in the 6th second 4 fail and in the 7th none is answered; from the 5th on also one certificate of 300 ms.
func windowed(t *testing.T) *reports.Load {
	t.Helper()
	load := &reports.Load{WarmUp: &reports.WarmUp{DurationMS: 900, Planned: 9, Sent: 9, Answered: 9}}
	for at := range 13 {
		license := reports.SecondOperation{Name: "license", Sent: 10, Answered: 10, Histogram: encoded(t, 10, 20*time.Millisecond)}
		switch at {
		case 2, 3, 8, 9:
			license.Histogram = encoded(t, 10, 100*time.Millisecond)
		case 6:
			license.Answered, license.Failed, license.Histogram = 6, 4, encoded(t, 6, 20*time.Millisecond)
		case 7:
			license.Answered, license.Failed, license.Histogram = 0, 10, ""
		case 11:
			license.Wrong = 2
		}
		second := reports.Second{At: at, Due: 10, Sent: 10}
		if at >= 5 {
			second.Operations = []reports.SecondOperation{{Name: "certificate", Sent: 1, Answered: 1, Histogram: encoded(t, 1, 300*time.Millisecond)}, license}
		} else {
			second.Histogram, license.Histogram = license.Histogram, ""
			second.Operations = []reports.SecondOperation{license}
		}
		load.Seconds = append(load.Seconds, second)
	}
	return load
}

func TestWindows(t *testing.T) {
	t.Parallel()
	load := windowed(t)
	for _, c := range []struct {
		slo    string
		judged int
		missed int
		worst  string
	}{
		{"license.p50<50ms each 1s", 12, 5, "no answer at 7 for 1"},
		{"license.p50<50ms each 2s", 6, 1, "100.031ms at 7 for 2"}, // in 1–2 half are of 20 ms
		{"license.max<50ms each 2s", 6, 4, "100.031ms at 1 for 2"}, // 1–2, 3–4, 7–8, 9–10
		{"license.p99<50ms each 5s", 2, 2, "100.031ms at 1 for 5"}, // 1–5, 6–10; two of five seconds are left
		{"license.p99<50ms each 4s", 3, 3, "100.031ms at 1 for 4"}, // 1–4, 5–8, 9–12
		{"license.p99<50ms each 8s", 2, 2, "100.031ms at 1 for 8"}, // 1–8, 9–12: half of eight
		{"license.p99<50ms each 9s", 1, 1, "100.031ms at 1 for 9"}, // 1–9; three of nine are left
		{"license.p99>=15ms each 1s", 12, 1, "no answer at 7 for 1"},
		{"certificate.p99<1s each 1s", 8, 0, "300.031ms at 5 for 1"}, // no certificate before
		{"certificate.p99<1s each 4s", 2, 0, "300.031ms at 5 for 4"},
		{"max<200ms each 4s", 3, 2, "300.031ms at 5 for 4"},
		{"mean<1s each 12s", 1, 0, "67.7"},
		{"errors==0 each 3s", 4, 3, "10 at 7 for 3"}, // 4–6, 7–9, and 10–12 with the wrong ones
		{"errors<=4 each 1s", 12, 1, "10 at 7 for 1"},
		{"license.errors<50% each 1s", 12, 1, "100.000% at 7 for 1"},
		{"errors<50% each 1s", 12, 1, "90.909% at 7 for 1"},
		{"wrong==0 each 4s", 3, 1, "2 at 9 for 4"},
		{"certificate.wrong==0 each 1s", 8, 0, "0 at 5 for 1"},
		{"renewal.errors==0 each 1s", 0, 0, ""},
	} {
		slo, err := ParseSLO(c.slo)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := slo.windows(load)
		if err != nil {
			t.Fatal(err)
		}
		worst := ""
		if got.Worst != nil {
			worst = fmt.Sprintf("%s at %d for %d", got.Worst.Seen, got.Worst.At, got.Worst.Seconds)
		}
		if got.Judged != c.judged || got.Missed != c.missed || !strings.HasPrefix(worst, c.worst) || (c.worst == "") != (worst == "") {
			t.Errorf("%s: %d windows, %d missed, the worst %q; want %d, %d, %q", c.slo, got.Judged, got.Missed, worst, c.judged, c.missed, c.worst)
		}
	}
}

// TestWindowsDecide keeps an objective over the whole run and misses it in a window, the other way round, and without any.
func TestWindowsDecide(t *testing.T) {
	t.Parallel()
	load := windowed(t)
	load.Accounting = reports.Accounting{Sent: 147, Failed: map[string]int64{"dns": 14}, Wrong: 2}
	for text, want := range map[string]string{
		"errors<20%":           "true 11.594%",
		"errors<20% each 12s":  "true 11.594% 0 of 1",
		"errors<20% each 1s":   "false 11.594% 2 of 12",
		"errors<10% each 12s":  "false 11.594% 1 of 1",
		"errors<100 each 600s": "false 16 0 of 0",
	} {
		slo, err := ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		results, err := Evaluate([]SLO{slo}, load)
		if err != nil {
			t.Fatal(err)
		}
		r := results[0]
		got := fmt.Sprint(r.Kept, " ", r.Seen)
		if r.Windows != nil {
			got += fmt.Sprintf(" %d of %d", r.Windows.Missed, r.Windows.Judged)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	load.Seconds[4].Histogram = "?"
	slo, err := ParseSLO("errors<100 each 1s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate([]SLO{slo}, load); err != nil {
		t.Errorf("counts need no histogram: %v", err)
	}
	slo, err = ParseSLO("p99<1s each 1s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate([]SLO{slo}, load); err == nil {
		t.Error("a broken histogram was accepted")
	}
}

// TestEvaluateSelection has licenses and certificates in two shares, with a warm-up.
func TestEvaluateSelection(t *testing.T) {
	t.Parallel()
	times := func(n int, d time.Duration) reports.Percentiles {
		return reports.Percentiles{Count: int64(n), Histogram: encoded(t, n, d)}
	}
	ms := time.Millisecond
	licenses := reports.Operation{
		Name: "license", Sent: 100, Answered: 90, Failed: map[string]int64{"http-503": 8, "timeout": 2}, Wrong: 3,
		Latency: times(92, 40*ms), Service: times(92, 30*ms), Lag: times(100, 10*ms),
	}
	certificates := reports.Operation{Name: "certificate", Sent: 10, Answered: 10, Latency: times(10, 5*ms), Service: times(10, 4*ms), Lag: times(10, ms)}
	more := reports.Operation{Name: "license", Sent: 10, Answered: 10, Latency: times(10, 200*ms), Service: times(10, 190*ms), Lag: times(10, 20*ms)}
	all := licenses
	all.Sent, all.Answered, all.Latency = 110, 100, times(102, 60*ms)
	load := &reports.Load{
		WarmUp:     &reports.WarmUp{Sent: 30, Answered: 20, Failed: map[string]int64{"http-503": 9, "dns": 1}, Wrong: 1},
		Accounting: reports.Accounting{Sent: 150, Answered: 130, Failed: map[string]int64{"http-503": 17, "timeout": 2, "dns": 1}, Wrong: 3},
		Rate:       reports.Rate{AchievedPerSec: 12, Percent: 97},
		Operations: []reports.Operation{certificates, all},
		Shares: []reports.Share{
			{Profile: "a.v2", System: "widevine", Operations: []reports.Operation{certificates, licenses}},
			{Profile: "b", System: "playready", Operations: []reports.Operation{more}},
		},
	}
	for text, want := range map[string]string{
		"license.max<61ms":            "true 60.031ms",
		"certificate.p95<5ms":         "false 5.003ms",
		"max>=1ms":                    "true 60.031ms",
		"service.max<1s":              "true 30.015ms",
		"license.service.p99<1s":      "true 30.015ms",
		"lag.mean<=10ms":              "true 9.185454ms",
		"certificate.lag.max<1s":      "true 1ms",
		"renewal.p99<1s":              "false no answer",
		"renewal.errors==0":           "false no request",
		"renewal.wrong==0":            "false no request",
		"a.v2.license.p50<50ms":       "true 40.031ms",
		"a.v2.p50<50ms":               "true 40.031ms",
		"widevine.certificate.p50<1s": "true 5.003ms",
		"b.p50<50ms":                  "false 200.063ms",
		"playready.service.max<1s":    "true 190.079ms",
		"b.certificate.p50<50ms":      "false no answer",
		"c.p50<50ms":                  "false no answer",
		"errors<100":                  "true 13",
		"errors<10%":                  "false 10.833%", // of 120 behind the warm-up
		"wrong<=2.5%":                 "true 2.500%",
		"errors.http-503<=8":          "true 8",
		"errors.dns==0":               "true 0",
		"license.errors.timeout<1.9%": "true 1.818%",
		"license.errors==13":          "true 13",
		"license.wrong==3":            "true 3",
		"certificate.errors==0":       "true 0",
		"b.errors==0":                 "true 0",
		"a.v2.errors.http-503<=8%":    "true 7.273%",
		"rate>=95%":                   "true 97.000%",
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
		if got := fmt.Sprint(results[0].Kept, " ", results[0].Seen); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		// An objective of a part does not stand for that of the whole.
		named := map[bool]int{true: 2, false: 3}[!slo.selective() && slo.class == "" && (slo.metric == metricErrors || slo.metric == metricWrong)]
		if len(results) != named {
			t.Errorf("%s: %d objectives were judged, want %d", text, len(results), named)
		}
	}
	load.Accounting.Sent = 30
	slo, err := ParseSLO("rate>=95%")
	if err != nil {
		t.Fatal(err)
	}
	if results, err := Evaluate([]SLO{slo}, load); err != nil || results[0].Kept || results[0].Seen != seenNoRequest {
		t.Errorf("a rate of nothing: %+v, %v", results[0], err)
	}
}

func TestCheckObjectives(t *testing.T) {
	t.Parallel()
	share := func(id string, system drm.System) Share {
		return Share{Profile: &provider.Profile{ID: id, DRM: system}}
	}
	mix := []Share{share("plain-widevine", drm.Widevine), share("plain-playready", drm.PlayReady)}
	for _, c := range []struct {
		slo    string
		warmUp time.Duration
		shares []Share
		want   string
	}{
		{"p99<1s", 0, mix[:1], ""},
		{"license.p99<1s", 0, mix[:1], ""},
		{"plain-widevine.p99<1s", 0, mix, ""},
		{"playready.license.p99<1s", 0, mix, ""},
		{"plain-widevine.p99<1s", 0, mix[:1], "leave the name out"},
		{"widevine.p99<1s", 0, mix[:1], "leave the name out"},
		{"licence.p99<1s", 0, mix, `unknown operation or share "licence": did you mean "license"?`},
		{"plain-playredy.p99<1s", 0, mix, `did you mean "plain-playready"?`},
		{"license.plain-widevine.p99<1s", 0, mix, `unknown operation or share "license.plain-widevine"`},
		{"p99<1s each 10s", 0, mix, ""},
		{"p99<1s each 19s", 0, mix, ""}, // of 9.5 s: ten seconds
		{"p99<1s each 21s", 0, mix, "10 whole seconds are measured, less than half a window"},
		{"p99<1s each 10s", 5001 * time.Millisecond, mix, "4 whole seconds are measured"},
		{"p99<1s each 10s", 5 * time.Second, mix, ""},
	} {
		slo, err := ParseSLO(c.slo)
		if err != nil {
			t.Fatal(err)
		}
		config := Config{Plan: Plan{Rate: Rate{Freq: 1, Per: time.Second}, Duration: 9500 * time.Millisecond}, WarmUp: c.warmUp, Shares: c.shares, SLOs: []SLO{slo}}
		err = config.CheckObjectives()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s behind %s: got %v, want %q", c.slo, c.warmUp, err, c.want)
		}
	}
	if err := (Config{SLOs: make([]SLO, 1)}).CheckObjectives(); err == nil {
		t.Error("an objective that says nothing was accepted")
	}
}

func TestSLOText(t *testing.T) {
	t.Parallel()
	slo, err := ParseSLO(" plain-widevine.license.service.p99.9 <= 1.5s ")
	if err != nil {
		t.Fatal(err)
	}
	want := SLO{
		share: "plain-widevine", kind: drm.KindLicense, time: timeService, metric: metricPercentile, percentile: 99.9,
		operator: "<=", value: 1.5e6, unit: unitMicros, text: "plain-widevine.license.service.p99.9 <= 1.5s",
	}
	if slo != want {
		t.Errorf("got %+v, want %+v", slo, want)
	}
	slo, err = ParseSLO("license.errors<0.5%  each  1m30s")
	if err != nil {
		t.Fatal(err)
	}
	want = SLO{kind: drm.KindLicense, metric: metricErrors, operator: "<", value: 0.5, unit: unitPercent, window: 90 * time.Second, text: slo.text}
	if slo != want {
		t.Errorf("got %+v, want %+v", slo, want)
	}
	text, err := slo.MarshalText()
	var back SLO
	if err != nil || back.UnmarshalText(text) != nil || !reflect.DeepEqual(back, slo) {
		t.Errorf("got %+v, want %+v", back, slo)
	}
}
