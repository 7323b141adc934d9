package main

import (
	"keyflow/drm"
	"keyflow/fakes"
	"keyflow/reports"
)

// tellCounted enters how many requests the fakes themselves saw, nothing if a server is none; by operation where the run has several.
// Tokens, preflights and the license requests beside the plan are not the plan's.
func tellCounted(streams []*stream, load *reports.Load) {
	asked := map[*fakes.Server]bool{}
	var sum int64
	by := map[string]int64{}
	for _, st := range streams {
		if st.fake == nil {
			return
		}
		if asked[st.fake] {
			continue
		}
		asked[st.fake] = true
		total, byOperation := st.fake.Count()
		sum += int64(total.Received)
		for operation, n := range byOperation {
			switch operation {
			case fakes.OperationToken, fakes.OperationPreflight:
				sum -= int64(n.Received)
			case "": // nothing that a request of the plan says
			default:
				by[string(operation)] += int64(n.Received)
			}
		}
	}
	if beside := load.Prepared; beside != nil {
		sum -= beside.Requests
		by[string(drm.KindLicense)] -= beside.Requests
	}
	load.Accounting.ServerCounted = &sum
	if len(by) > 1 {
		load.Accounting.ServerCountedBy = by
	}
}
