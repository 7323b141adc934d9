package reports

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

func renderJUnit(t *testing.T, r *Report) junitSuites {
	t.Helper()
	var out bytes.Buffer
	if err := RenderJUnit(&out, r); err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(out.Bytes()) {
		t.Error("the XML is not valid UTF-8")
	}
	var suites junitSuites
	d := xml.NewDecoder(&out)
	d.Strict = true
	if err := d.Decode(&suites); err != nil {
		t.Fatal(err)
	}
	return suites
}

// TestJUnitCounts reads every golden report back and counts.
func TestJUnitCounts(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		all := renderJUnit(t, build())
		var tests, failures, errs, skipped int
		for _, s := range all.Suites {
			var f, e, k int
			for _, c := range s.Cases {
				ends := 0
				for _, end := range []*junitNote{c.Failure, c.Error, c.Skipped} {
					if end != nil {
						ends++
					}
				}
				if ends > 1 || c.Name == "" || c.Classname == "" {
					t.Errorf("%s: case %q of class %q has %d ends", name, c.Name, c.Classname, ends)
				}
				switch {
				case c.Failure != nil:
					f++
				case c.Error != nil:
					e++
				case c.Skipped != nil:
					k++
				}
			}
			if s.Tests != len(s.Cases) || s.Failures != f || s.Errors != e || s.Skipped != k {
				t.Errorf("%s: suite %q says %d tests, %d failures, %d errors, %d skipped; it has %d, %d, %d, %d", name, s.Name,
					s.Tests, s.Failures, s.Errors, s.Skipped, len(s.Cases), f, e, k)
			}
			tests, failures, errs, skipped = tests+s.Tests, failures+f, errs+e, skipped+k
		}
		if all.Tests != tests || all.Failures != failures || all.Errors != errs || all.Skipped != skipped {
			t.Errorf("%s: the totals are wrong: %+v", name, all)
		}
	}
}

// TestJUnitMapsOutcomes looks at the element that each outcome becomes.
func TestJUnitMapsOutcomes(t *testing.T) {
	t.Parallel()
	want := map[Outcome]string{
		Pass: "pass", Warn: "pass", Info: "pass", Fail: "failure", Error: "error",
		Blocked: "skipped", Unverifiable: "skipped", NotRun: "skipped", NotApplicable: "skipped", Excluded: "skipped",
	}
	all := renderJUnit(t, outcomesReport())
	if len(all.Suites) != 1 || all.Suites[0].Name != "plain-widevine / testcard" {
		t.Fatalf("the suites are %+v", all.Suites)
	}
	seen := map[Outcome]bool{}
	for _, c := range all.Suites[0].Cases {
		outcome := Outcome(property(c, "outcome"))
		seen[outcome] = true
		got := "pass"
		switch {
		case c.Failure != nil:
			got = "failure"
		case c.Error != nil:
			got = "error"
		case c.Skipped != nil:
			got = "skipped"
			if len(c.Skipped.Message) <= len(outcome)+2 {
				t.Errorf("%s: skipped without a reason: %q", c.Name, c.Skipped.Message)
			}
		}
		if got != want[outcome] {
			t.Errorf("%s became %s, want %s", outcome, got, want[outcome])
		}
		if (outcome == Warn || outcome == Info) && !strings.Contains(c.Out, string(outcome)+":") {
			t.Errorf("%s: system-out is %q", c.Name, c.Out)
		}
		if property(c, "level") == "" || property(c, "source") == "" {
			t.Errorf("%s has the properties %+v", c.Name, c.Properties)
		}
	}
	for _, o := range Outcomes() {
		if !seen[o] {
			t.Errorf("no case ended in %s", o)
		}
	}
	c := all.Suites[0].Cases[6] // in the order of ids
	if c.Name != "WV-LIC-04 id.request_id equals the request's, byte for byte" || c.Classname != "plain-widevine.license" {
		t.Errorf("the case is %q of class %q", c.Name, c.Classname)
	}
	for _, part := range []string{"step: judge the answer", "expected: 3132333435363738", "seen: the id", "hint: Look", "transcript: transcripts/"} {
		if !strings.Contains(c.Failure.Text, part) {
			t.Errorf("the failure does not tell %q: %s", part, c.Failure.Text)
		}
	}
}

func property(c junitCase, name string) string {
	if c.Properties == nil {
		return ""
	}
	for _, p := range c.Properties.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// TestJUnitIsNeverGreenWithoutAPass takes one thing after another away from a passed run.
func TestJUnitIsNeverGreenWithoutAPass(t *testing.T) {
	t.Parallel()
	if all := renderJUnit(t, passedReport()); all.Failures+all.Errors != 0 {
		t.Fatalf("a passed run is red: %+v", all)
	}
	for name, c := range map[string]struct {
		edit func(r *Report)
		want string // name of the errored case
	}{
		"blocked MUST":      {func(r *Report) { r.Results[0].Outcome = Blocked }, incompleteCase},
		"unverifiable MUST": {func(r *Report) { r.Results[0].Outcome = Unverifiable }, incompleteCase},
		"MUST not run":      {func(r *Report) { r.Results[0].Outcome = NotRun }, incompleteCase},
		"verdict":           {func(r *Report) { r.Verdict.State, r.Verdict.Exit = Incomplete, 5 }, incompleteCase},
		"interrupted":       {func(r *Report) { r.Run.Interrupted = "signal" }, incompleteCase},
		"regression":        {func(r *Report) { r.Verdict.State, r.Verdict.Exit = Failed, 6 }, "keyflow: run failed, exit code 6"},
		"exit code":         {func(r *Report) { r.Verdict.Exit = 4 }, "keyflow: run passed, exit code 4"},
		"redaction":         {func(r *Report) { r.RedactionFailed = []string{"results[0].seen"} }, "keyflow: redaction failed"},
		"nothing at all":    {func(r *Report) { *r = *emptyReport() }, incompleteCase},
	} {
		r := passedReport()
		c.edit(r)
		all := renderJUnit(t, r)
		found := false
		for _, s := range all.Suites {
			for _, tc := range s.Cases {
				found = found || tc.Name == c.want && tc.Error != nil && tc.Error.Message != ""
			}
		}
		if !found || all.Errors == 0 {
			t.Errorf("%s: no errored case %q in %+v", name, c.want, all)
		}
	}
	r := passedReport() // a SHOULD may stay open
	r.Results[0].Level, r.Results[0].Outcome = Should, Unverifiable
	if all := renderJUnit(t, r); all.Errors != 0 || all.Skipped != 1 {
		t.Errorf("an unverifiable SHOULD made the run red: %+v", all)
	}
}

// TestJUnitLoad looks at objectives and accounting.
func TestJUnitLoad(t *testing.T) {
	t.Parallel()
	good, bad, mix := renderJUnit(t, loadReport()), renderJUnit(t, loadMissedReport()), renderJUnit(t, loadMixReport())
	if good.Tests != 4 || good.Failures+good.Errors != 0 {
		t.Errorf("the good run is %+v", good)
	}
	if bad.Failures != 3 || bad.Suites[0].Cases[0].Error == nil {
		t.Errorf("the bad run is %+v", bad.Suites[0])
	}
	if mix.Tests != 7 || mix.Failures != 2 || mix.Errors != 1 { // the error is the interruption
		t.Errorf("the mixed run is %+v", mix)
	}
	unbalanced := loadMixReport()
	unbalanced.Load.Shares[1].Accounting.Verified--
	if got := renderJUnit(t, unbalanced).Suites[0].Cases; got[0].Error == nil || got[1].Error != nil || got[2].Error == nil {
		t.Errorf("the accounting of the mixed run is %+v", got[:3])
	}
}

// TestJUnitSurvivesAnyText reads hostile strings back.
func TestJUnitSurvivesAnyText(t *testing.T) {
	t.Parallel()
	all := renderJUnit(t, hostileReport())
	want := strings.Join(strings.Fields(visible(hostile)), " ")
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			if c.Failure != nil && c.Failure.Type != "slo" && strings.Join(strings.Fields(c.Failure.Type), " ") != want {
				t.Errorf("the reason came back as %q, want %q", c.Failure.Type, want)
			}
		}
	}
}
