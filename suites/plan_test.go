package suites_test

import (
	"strings"
	"testing"

	"keyflow/reports"
	"keyflow/suites"
)

func TestSelect(t *testing.T) {
	all := suites.All()
	for _, c := range []struct {
		globs []string
		want  int
		err   string
	}{
		{nil, len(all), ""},
		{[]string{"WV-LIC-01"}, 1, ""},
		{[]string{"wv-lic-01", "WV-LIC-0[1-3]"}, 3, ""},
		{[]string{"*"}, len(all), ""},
		{[]string{"WV-LIC-99"}, 0, `did you mean "WV-LIC-0`},
		{[]string{"WV-LIC-01", "XX-*"}, 0, `no check matches "XX-*"`},
		{[]string{"["}, 0, "syntax error"},
	} {
		got, err := suites.Select(all, c.globs)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.globs, err, c.err)
			}
			continue
		}
		if err != nil || len(got) != c.want {
			t.Errorf("%q: %d checks, %v; want %d", c.globs, len(got), err, c.want)
		}
	}
	if _, err := suites.Find("wv-key-07"); err != nil {
		t.Error(err)
	}
	if _, err := suites.Find("WV-KEY-77"); err == nil || !strings.Contains(err.Error(), "did you mean") {
		t.Errorf("unknown id: %v", err)
	}
}

func TestNewPlanLabels(t *testing.T) {
	tgt, _ := target(t)
	for _, c := range []struct {
		labels string
		want   func(suites.Check) bool
	}{
		{"SHOULD", func(c suites.Check) bool { return c.Level == reports.Should }},
		{"MUST && SIG", func(c suites.Check) bool { return c.Level == reports.Must && c.Area() == "SIG" }},
		{"WV-LIC-03", func(c suites.Check) bool { return c.ID == "WV-LIC-03" }},
		{"!SIG && widevine", func(c suites.Check) bool { return c.Area() != "SIG" }},
	} {
		p, err := suites.NewPlan([]*suites.Target{tgt}, nil, c.labels, 1)
		if err != nil {
			t.Errorf("%q: %v", c.labels, err)
			continue
		}
		chosen := map[string]bool{}
		for _, s := range p.Selected {
			chosen[s.ID] = true
		}
		for _, s := range p.Set {
			if chosen[s.ID] != c.want(s) {
				t.Errorf("%q: %s selected: %v", c.labels, s.ID, chosen[s.ID])
			}
		}
	}
	for _, labels := range []string{"(", "NONE"} {
		if _, err := suites.NewPlan([]*suites.Target{tgt}, nil, labels, 1); err == nil {
			t.Errorf("label filter %q was accepted", labels)
		}
	}
}

// TestVerdict holds one mixture of outcomes a row, and the exit code and claim that follow.
func TestVerdict(t *testing.T) {
	tgt, _ := target(t)
	plan, err := suites.NewPlan([]*suites.Target{tgt}, nil, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	must := func(o reports.Outcome) reports.Result {
		return reports.Result{ID: "WV-LIC-01", Level: reports.Must, Outcome: o, Note: "stated"}
	}
	should := func(o reports.Outcome) reports.Result {
		return reports.Result{ID: "WV-LIC-09", Level: reports.Should, Outcome: o}
	}
	unreachable := must(reports.Blocked)
	unreachable.Reason = "connection-refused"
	silent := must(reports.NotApplicable)
	silent.Note = ""
	for _, c := range []struct {
		name        string
		results     []reports.Result
		interrupted string
		strict      bool
		exit        int
		conformant  bool
	}{
		{"all pass", []reports.Result{must(reports.Pass), should(reports.Pass)}, "", false, 0, true},
		{"a SHOULD missed", []reports.Result{must(reports.Pass), should(reports.Warn)}, "", false, 0, true},
		{"a SHOULD missed, strict", []reports.Result{must(reports.Pass), should(reports.Warn)}, "", true, 1, true},
		{"a MUST missed", []reports.Result{must(reports.Fail), must(reports.Pass)}, "", false, 1, false},
		{"blocked by something red", []reports.Result{must(reports.Fail), must(reports.Blocked)}, "", false, 1, false},
		{"blocked by nothing red", []reports.Result{must(reports.Pass), must(reports.Blocked)}, "", false, 5, false},
		{"unverifiable", []reports.Result{must(reports.Pass), must(reports.Unverifiable)}, "", false, 5, false},
		{"not run", []reports.Result{must(reports.Pass), must(reports.NotRun)}, "interrupted by the user", false, 5, false},
		{"interrupted after a failure", []reports.Result{must(reports.Fail), must(reports.NotRun)}, "interrupted by the user", false, 1, false},
		{"excluded MUST", []reports.Result{must(reports.Pass), must(reports.Excluded)}, "", false, 0, false},
		{"not applicable with a reason", []reports.Result{must(reports.Pass), must(reports.NotApplicable)}, "", false, 0, true},
		{"not applicable without a reason", []reports.Result{must(reports.Pass), silent}, "", false, 0, false},
		{"only a SHOULD missed", []reports.Result{should(reports.Warn)}, "", false, 0, true},
		{"nothing judged", []reports.Result{must(reports.Excluded), must(reports.NotApplicable)}, "", false, 5, false},
		{"harness error", []reports.Result{must(reports.Fail), must(reports.Error)}, "", false, 3, false},
		{"unreachable", []reports.Result{must(reports.Fail), unreachable}, "", false, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan.Strict = c.strict
			v := suites.Verdict(plan, c.results, c.interrupted)
			if v.Exit != c.exit || v.Claim.Conformant != c.conformant {
				t.Errorf("exit %d, claim %q; want %d, conformant %v", v.Exit, v.Claim.Text, c.exit, c.conformant)
			}
			if v.Claim.Conformant == strings.HasPrefix(v.Claim.Text, "no claim") {
				t.Errorf("claim %v says %q", v.Claim.Conformant, v.Claim.Text)
			}
		})
	}
}

func TestRequirements(t *testing.T) {
	all := suites.All()
	whole, part := suites.Requirements(all), suites.Requirements(all[1:])
	if whole.Digest == part.Digest || whole.Checks != len(all) || whole.Musts == 0 || whole.Musts >= whole.Checks {
		t.Errorf("requirements %+v and %+v", whole, part)
	}
}
