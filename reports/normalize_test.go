package reports

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// secondRun changes everything in a report that another run with equal results would have changed.
func secondRun(r *Report) {
	r.Run.ID, r.Run.Seed = "another", 99
	r.Run.Started = r.Run.Started.Add(time.Hour)
	r.Run.Finished = r.Run.Finished.Add(2 * time.Hour)
	for i, u := range r.Target.URLs {
		r.Target.URLs[i] = strings.Replace(u, ":41873", ":50999", 1)
	}
	for i := range r.Results {
		r.Results[i].Started = r.Run.Started
		r.Results[i].DurationMS *= 3
	}
	slices.Reverse(r.Results)
	if l := r.Load; l != nil {
		l.Rate.AchievedPerSec, l.Rate.AnsweredPerSec, l.Rate.Percent = 1, 2, 3
		l.Operations[0].Latency.P99, l.Operations[0].Service.Max, l.Operations[0].Lag.Mean = 4, 5, 6
		l.Operations[0].Latency.Histogram = "other"
		for _, s := range l.Shares {
			s.Operations[0].Latency.P99, s.Operations[0].Lag.Histogram = 8, "other"
		}
		l.Seconds = l.Seconds[1:]
		l.SLOs[0].Seen = "another"
		l.Traffic.WireSent, l.Usage = 9, nil
		if l.JournalLost != nil {
			l.JournalLost.At++
		}
		l.Generator = Generator{Limited: l.Generator.Limited, CPUSeconds: 7}
		slices.Reverse(l.Samples)
		for i := range l.Samples {
			l.Samples[i].Seq += 5
		}
	}
}

func TestNormalizeMakesEqualRunsEqual(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		a, b := build(), build()
		secondRun(b)
		if bytes.Equal(renderedJSON(t, a), renderedJSON(t, b)) {
			t.Errorf("%s: the second run does not differ", name)
		}
		Normalize(a)
		Normalize(b)
		first := renderedJSON(t, a)
		if !bytes.Equal(first, renderedJSON(t, b)) {
			t.Errorf("%s: equal runs differ after Normalize", name)
		}
		if err := Validate(first); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		Normalize(a)
		if !bytes.Equal(first, renderedJSON(t, a)) {
			t.Errorf("%s: normalizing twice is not normalizing once", name)
		}
	}
}

// TestNormalizeKeepsDifferences changes one result at a time.
func TestNormalizeKeepsDifferences(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(r *Report){
		"outcome":    func(r *Report) { r.Results[0].Outcome = Blocked },
		"reason":     func(r *Report) { r.Results[2].Reason = "other" },
		"seen":       func(r *Report) { r.Results[2].Seen = "31 bytes" },
		"duration":   func(r *Report) { r.Results[2].Expected = "a license of 3601 s" },
		"KID":        func(r *Report) { r.Results[2].Seen = "KID 10000000-0000-4000-8000-000000000001" },
		"exit":       func(r *Report) { r.Verdict.Exit = 5 },
		"version":    func(r *Report) { r.Tool.Version = "v0.2.0" },
		"digest":     func(r *Report) { r.Requirements.Digest = "00" },
		"accounting": func(r *Report) { r.Load.Accounting.Verified-- },
		"objective":  func(r *Report) { r.Load.SLOs[0].Kept = false },
		"class":      func(r *Report) { r.Load.Accounting.Failed = map[string]int64{"timeout": 1} },
		"share":      func(r *Report) { r.Load.Shares[1].Accounting.Verified-- },
		"weight":     func(r *Report) { r.Load.Shares[1].Weight++ },
	} {
		a, b := outcomesReport(), outcomesReport()
		a.Load, b.Load = loadMixReport().Load, loadMixReport().Load
		edit(b)
		Normalize(a)
		Normalize(b)
		if bytes.Equal(renderedJSON(t, a), renderedJSON(t, b)) {
			t.Errorf("%s: Normalize hides the difference", name)
		}
	}
}

func TestSteady(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"key 0123456789abcdef of KID 10000000-0000-4000-8000-000000000001":  "key ‹fingerprint› of KID 10000000-0000-4000-8000-000000000001",
		"digest 0123456789abcdef0123456789abcdef":                           "digest 0123456789abcdef0123456789abcdef",
		"‹redacted:TOKEN:0a1b2c3d›, ‹withheld›":                             "‹redacted:TOKEN›, ‹withheld›",
		"at 2026-01-02T03:04:05.678Z or 2026-01-02 03:04:05+01:00, on 2026": "at ‹time› or ‹time›, on 2026",
		"POST http://127.0.0.1:40001/x, [::1]:99, localhost:8080, host:443": "POST http://127.0.0.1:‹port›/x, [::1]:‹port›, localhost:‹port›, host:443",
	} {
		if got := steady(text); got != want {
			t.Errorf("steady(%q)\n  = %q\nwant %q", text, got, want)
		}
		if again := steady(want); again != want {
			t.Errorf("steady(%q) = %q: it is not stable", want, again)
		}
	}
}

func TestGroupsAndAreas(t *testing.T) {
	t.Parallel()
	r := outcomesReport()
	r.Results[0].Variant = "offline"
	gs := groups(canonical(r).Results)
	if len(gs) != 2 || gs[0].name() != "plain-widevine / testcard" || gs[1].name() != "plain-widevine / offline / testcard" {
		t.Fatalf("the groups are %v", gs)
	}
	var got []string
	for _, a := range gs[0].areas() {
		got = append(got, fmt.Sprint(a.Name, len(a.Results)))
	}
	if want := []string{"keys3", "license6", "renewal3", "signature3"}; !slices.Equal(got, want) {
		t.Errorf("the areas are %v, want %v", got, want)
	}
}
