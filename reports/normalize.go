package reports

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// volatile lists what differs between two runs with equal results inside texts, and what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	// A redaction marker ends in an HMAC under a key of the run.
	{regexp.MustCompile(`‹redacted:([^:›]*):[0-9a-f]{8}›`), "‹redacted:$1›"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\b`), "‹time›"},
	// A fingerprint (drm/secret) is 16 lower-case hexadecimal digits; longer ones are digests of content and stay.
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "‹fingerprint›"},
	// Fakes listen on whatever loopback port is free.
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|\blocalhost):\d{1,5}\b`), "$1:‹port›"},
}

// Normalize changes the report in place so that two runs with equal results give equal bytes. It drops run id, seed,
// times and durations, the fingerprints, marker codes, timestamps and loopback ports inside texts, and of a load run
// whatever is measured: what is left of that are the plan, the accounting, which objectives were kept, and the classes
// of failure. Results are sorted by (profile, variant, asset, id). Versions, verdict, outcomes and reasons stay.
//
// KIDs, digests and durations inside texts stay: they tell what the content or the license says.
func Normalize(r *Report) {
	*r = *canonical(r)
	r.Run.ID, r.Run.Seed = "", 0
	r.Run.Started, r.Run.Finished = time.Time{}, time.Time{}
	for i := range r.Results {
		r.Results[i].Started, r.Results[i].DurationMS = time.Time{}, 0
	}
	editStrings(r, func(_, s string) string { return steady(s) })
	if r.Load != nil {
		r.Load.normalize()
	}
}

// steady replaces what is volatile in a text.
func steady(s string) string {
	for _, v := range volatile {
		s = v.pattern.ReplaceAllString(s, v.instead)
	}
	return s
}

// normalize drops what was measured.
func (l *Load) normalize() {
	l.Rate = Rate{AskedPerSec: l.Rate.AskedPerSec}
	if c := l.Plan.KeyRequests.Corpus; c != nil {
		c.AgeMS = 0
	}
	countsOnly(l.Operations)
	for _, s := range l.Shares {
		countsOnly(s.Operations)
	}
	l.Throttled.normalize()
	l.Tokens.normalize()
	l.Seconds = []Second{}
	if l.Prepared != nil { // how many sessions follows from the machine's processors, and how many were replaced from its speed
		l.Prepared = &Prepared{}
	}
	for i := range l.SLOs {
		l.SLOs[i].Seen = ""
		if w := l.SLOs[i].Windows; w != nil {
			w.Missed, w.Worst = 0, nil
		}
	}
	l.Generator = Generator{Limited: l.Generator.Limited}
	l.Traffic, l.Usage = Traffic{}, nil
	if l.JournalLost != nil {
		l.JournalLost.At = 0
	}
	// Which of many equal failures were kept as examples, and their number in the run, is chance.
	for i := range l.Samples {
		l.Samples[i].Seq, l.Samples[i].Transcript = 0, ""
	}
	slices.SortFunc(l.Samples, func(a, b Sample) int {
		return cmp.Or(strings.Compare(a.Class, b.Class), strings.Compare(a.whose(), b.whose()), strings.Compare(a.Expected, b.Expected), strings.Compare(a.Seen, b.Seen))
	})
	l.Samples = slices.Compact(l.Samples)
}

// countsOnly drops the times of operations.
func countsOnly(ops []Operation) {
	for i, op := range ops {
		ops[i] = Operation{
			Name: op.Name, Bad: op.Bad, Sent: op.Sent, Answered: op.Answered, Failed: op.Failed, Wrong: op.Wrong,
			Latency: Percentiles{Count: op.Latency.Count},
			Service: Percentiles{Count: op.Service.Count},
			Lag:     Percentiles{Count: op.Lag.Count},
		}
	}
}
