package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"keyflow/reports"
	"keyflow/suites"
)

// checkProgress tells what a check run is about to do, and each result as it comes.
type checkProgress struct {
	w     io.Writer
	color bool
	plan  *suites.Plan
	done  int
}

// checkProgress writes to standard output, or to standard error where that is taken by the JSON report.
func (a *app) checkProgress(p *suites.Plan, json bool) *checkProgress {
	if json {
		return &checkProgress{w: a.err, color: isTerminal(a.err), plan: p}
	}
	return &checkProgress{w: a.out, color: a.color, plan: p}
}

func (p *checkProgress) start(s *setting) {
	t := s.targets[0]
	fmt.Fprintf(p.w, "keyflow %s: %d checks on %s: %s, %s, platform %s, seed %d\n\n",
		version(), len(p.plan.Selected), targets(len(s.targets)), t.Kind, strings.Join(servers(s.targets), ", "), t.PlatformKind, s.seed)
}

func (p *checkProgress) result(r reports.Result) {
	p.done++
	total := p.plan.Total()
	where := ""
	if len(p.plan.Targets) > 1 {
		where = strings.TrimRight("  "+r.Asset+"  "+r.Variant, " ")
	}
	why := ""
	if r.Outcome == reports.Excluded || r.Outcome == reports.NotApplicable {
		why = ": " + r.Note // the summary only counts these
	}
	fmt.Fprintf(p.w, "[%*d/%d] %s %-9s%s  %s%s (%.0f ms)\n", len(fmt.Sprint(total)), p.done, total, p.paint(r.Outcome), r.ID, where, r.Title, why, r.DurationMS)
}

// servers names the profiles of the targets with their license URLs, each once.
func servers(targets []*suites.Target) []string {
	var names []string
	for _, t := range targets {
		if name := t.Profile.ID + " at " + t.Profile.Request.URL; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func targets(n int) string {
	if n == 1 {
		return "1 target"
	}
	return fmt.Sprintf("%d targets", n)
}

func (p *checkProgress) paint(o reports.Outcome) string {
	text := string(o)
	pad := strings.Repeat(" ", max(0, 7-len(text)))
	code := sgrYellow
	switch o {
	case reports.Pass:
		code = sgrGreen
	case reports.Fail, reports.Error:
		code = sgrRed
	}
	return paint(p.color, code, text) + pad
}
