package reports

import "slices"

// The exit codes of keyflow, in one place.
const (
	ExitOK          = 0 // selected checks passed, SLOs kept
	ExitFailed      = 1 // a MUST failed
	ExitUsage       = 2 // usage or configuration
	ExitHarness     = 3 // keyflow's own error
	ExitUnreachable = 4 // the target could not be reached
	ExitIncomplete  = 5 // interrupted, unverifiable, or blocked by nothing red
	ExitRegression  = 6 // against the baseline
	ExitSLO         = 7 // an SLO was missed
)

// WorstExit returns the code that stands when several apply: 2, 3, 4, 1, 6, 7, 5, 0.
func WorstExit(codes ...int) int {
	for _, c := range []int{ExitUsage, ExitHarness, ExitUnreachable, ExitFailed, ExitRegression, ExitSLO, ExitIncomplete} {
		if slices.Contains(codes, c) {
			return c
		}
	}
	return ExitOK
}
