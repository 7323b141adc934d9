package loadtest

import (
	"fmt"
	"maps"
	"slices"

	"keyflow/reports"
)

// Verdict judges a load run. asked says that the user named objectives: a generator that was the limit then leaves them
// undecided. interrupted says why the run ended early, "" if it did not.
func Verdict(l *reports.Load, asked bool, interrupted string) reports.Verdict {
	codes := []int{reports.ExitOK}
	missed := 0
	for _, s := range l.SLOs {
		if !s.Kept {
			missed++
			codes = append(codes, reports.ExitSLO)
		}
	}
	if !l.Balanced() || l.JournalLost != nil {
		codes = append(codes, reports.ExitHarness)
	}
	if interrupted != "" || asked && l.Generator.Limited {
		codes = append(codes, reports.ExitIncomplete)
	}
	v := reports.Verdict{Exit: reports.WorstExit(codes...)}
	v.State = map[int]reports.State{
		reports.ExitOK: reports.Passed, reports.ExitSLO: reports.Failed, reports.ExitIncomplete: reports.Incomplete, reports.ExitHarness: reports.Broken,
	}[v.Exit]
	a := l.Accounting
	v.Summary = fmt.Sprintf("%d planned, %d sent, %d answered, %d verified, %d wrong", a.Planned, a.Sent, a.Answered, a.Verified, a.Wrong)
	switch {
	case !l.Balanced():
		v.Summary += "; the accounting does not balance"
	case missed > 0:
		v.Summary += fmt.Sprintf("; %d of %d objectives missed", missed, len(l.SLOs))
	}
	if j := l.JournalLost; j != nil {
		v.Summary += fmt.Sprintf("; the run was streamed to disk up to second %d only: %s", j.At, j.Why)
	}
	if l.Plan.KeyRequests.Replay != nil {
		v.Summary += "; captured requests were replayed: " + reports.ReplayCaveat
	}
	if interrupted == "" {
		for _, reason := range slices.Sorted(maps.Keys(a.NotSent)) {
			v.Summary += fmt.Sprintf("; %d not sent: %s", a.NotSent[reason], reason)
		}
	}
	if l.Generator.Limited {
		v.Summary += "; keyflow itself was the limit: " + l.Generator.Why
	}
	if interrupted != "" {
		v.Summary += "; the run ended early: " + interrupted
	}
	v.Claim = reports.Claim{Text: "no claim: a load run measures, it judges no requirement"}
	return v
}
