package suites

import (
	"fmt"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// Verdict judges the results of a plan: the exit code by the selected checks, the claim by the whole requirement set.
// interrupted says why the run ended early, "" if it did not; exits are codes that apply beside those of the results.
func Verdict(p *Plan, results []reports.Result, interrupted string, exits ...int) reports.Verdict {
	v := reports.Verdict{Counts: map[reports.Outcome]int{}}
	for _, r := range results {
		v.Counts[r.Outcome]++
	}
	v.Exit = reports.WorstExit(append(exits, exitCode(p, results, v.Counts, interrupted))...)
	v.State = stateOf(v.Exit)
	v.Claim = claim(p, results)
	v.Summary = summary(p, v, interrupted)
	return v
}

func exitCode(p *Plan, results []reports.Result, counts map[reports.Outcome]int, interrupted string) int {
	codes := []int{reports.ExitOK}
	if counts[reports.Error] > 0 {
		codes = append(codes, reports.ExitHarness)
	}
	red := counts[reports.Fail] > 0 || p.Strict && counts[reports.Warn] > 0
	if red {
		codes = append(codes, reports.ExitFailed)
	}
	// A run that judged nothing has shown nothing, whatever kept its checks from it.
	nothing := !red && counts[reports.Pass]+counts[reports.Warn]+counts[reports.Info] == 0
	if interrupted != "" || nothing || counts[reports.NotRun]+counts[reports.Unverifiable] > 0 || counts[reports.Blocked] > 0 && !red {
		codes = append(codes, reports.ExitIncomplete)
	}
	if slices.ContainsFunc(results, unreachable) {
		codes = append(codes, reports.ExitUnreachable)
	}
	return reports.WorstExit(codes...)
}

// unreachable reports whether the check ended because the server was not there.
func unreachable(r reports.Result) bool {
	return r.Outcome == reports.Blocked && (&provider.TransportError{Reason: drm.Reason(r.Reason)}).Unreachable()
}

func stateOf(exit int) reports.State {
	switch exit {
	case reports.ExitOK:
		return reports.Passed
	case reports.ExitFailed, reports.ExitRegression, reports.ExitSLO:
		return reports.Failed
	case reports.ExitHarness:
		return reports.Broken
	default:
		return reports.Incomplete
	}
}

// claim says "conformant" only if every MUST of the set ran and passed on every target, or is not applicable for a stated
// reason.
func claim(p *Plan, results []reports.Result) reports.Claim {
	var c reports.Claim
	passed, notApplicable := 0, 0
	for _, r := range results {
		switch {
		case r.Level != reports.Must:
		case r.Outcome == reports.Pass && r.Partial != "":
			c.Missing = append(c.Missing, fmt.Sprintf("%s on %s %s: passed in part", r.ID, r.Profile, r.Asset))
		case r.Outcome == reports.Pass:
			passed++
		case r.Outcome == reports.NotApplicable && r.Note != "":
			notApplicable++
		default:
			c.Missing = append(c.Missing, fmt.Sprintf("%s on %s %s: %s", r.ID, r.Profile, r.Asset, r.Outcome))
		}
	}
	set := Requirements(p.Set)
	name := fmt.Sprintf("keyflow's requirement set %s (%s…)", set.Version, set.Digest[:12])
	if len(c.Missing) > 0 {
		c.Text = fmt.Sprintf("no claim: %d of %d MUST results of %s did not run and pass", len(c.Missing), len(c.Missing)+passed+notApplicable, name)
		return c
	}
	c.Conformant = true
	c.Text = fmt.Sprintf("conformant to %s: %d MUST results passed, %d not applicable; not a certification by Google or Microsoft", name, passed, notApplicable)
	return c
}

func summary(p *Plan, v reports.Verdict, interrupted string) string {
	total := 0
	var parts []string
	for _, o := range reports.Outcomes() {
		if n := v.Counts[o]; n > 0 && o != reports.Pass {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
		total += v.Counts[o]
	}
	text := fmt.Sprintf("%d of %d checks passed", v.Counts[reports.Pass], total)
	if len(p.Targets) > 1 {
		text += fmt.Sprintf(" on %d targets", len(p.Targets))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if interrupted != "" {
		text += "; the run ended early: " + interrupted
	}
	return text
}
