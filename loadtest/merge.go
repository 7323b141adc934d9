package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyflow/reports"
)

// MergeError says why reports do not belong together.
type MergeError struct {
	Runs    [2]string // the ids of two of them
	What    string    // in which they differ
	Seen    [2]string
	Problem string // instead of What and Seen
}

// Error names the runs and the difference.
func (e *MergeError) Error() string {
	if e.Problem != "" {
		return fmt.Sprintf("merge run %s: %s", e.Runs[0], e.Problem)
	}
	return fmt.Sprintf("merge runs %s and %s: they differ in %s: %s and %s", e.Runs[0], e.Runs[1], e.What, e.Seen[0], e.Seen[1])
}

// Merge adds up the reports of generators that each sent a slice of one plan, see [Plan.Slice]: counts and histograms
// without loss, seconds by due time. Objectives and verdict are judged again over all. What was measured of the
// processes adds up too: its largest values are sums, an upper bound. Reports of another command, plan, target or
// version, and one report given twice, are a *[MergeError]; other errors are of histograms.
func Merge(all []*reports.Report) (*reports.Report, error) {
	if len(all) == 0 {
		return nil, errors.New("merge: no reports")
	}
	for i, r := range all {
		if err := joins(all[0], r); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all[:i], func(other *reports.Report) bool { return sameRun(other, r) }) {
			return nil, &MergeError{Runs: [2]string{r.Run.ID}, Problem: "it is given twice"}
		}
	}
	first := all[0]
	merged := &reports.Report{Schema: reports.Schema, Tool: first.Tool, Run: first.Run, Target: first.Target}
	m := &merger{load: &reports.Load{Plan: first.Load.Plan}, operations: operations{}, wrong: tally{}}
	m.load.Plan = emptied(m.load.Plan)
	ids, interrupted := []string{}, []string{}
	for _, r := range all {
		if err := m.add(r.Load); err != nil {
			return nil, fmt.Errorf("merge run %s: %w", r.Run.ID, err)
		}
		ids = append(ids, r.Run.ID)
		if r.Run.Interrupted != "" {
			interrupted = append(interrupted, r.Run.Interrupted)
		}
		if r.Run.Started.Before(merged.Run.Started) {
			merged.Run.Started = r.Run.Started
		}
		if r.Run.Finished.After(merged.Run.Finished) {
			merged.Run.Finished = r.Run.Finished
		}
		merged.Target.URLs = union(merged.Target.URLs, r.Target.URLs)
		merged.RedactionFailed = append(merged.RedactionFailed, r.RedactionFailed...)
	}
	merged.Run.ID, merged.Run.Interrupted = strings.Join(ids, "+"), strings.Join(slices.Compact(interrupted), "; ")
	load, asked, err := m.finish(first.Load.SLOs)
	if err != nil {
		return nil, err
	}
	merged.Load, merged.Verdict = load, Verdict(load, asked, merged.Run.Interrupted)
	if len(merged.RedactionFailed) > 0 {
		merged.Verdict.Exit, merged.Verdict.State = reports.WorstExit(merged.Verdict.Exit, reports.ExitHarness), reports.Broken
	}
	return merged, nil
}

// sameRun reports whether two reports are of one run: two generators may have begun in the same second, and have the
// same seed, but not have measured the same.
func sameRun(a, b *reports.Report) bool {
	return a.Run.ID == b.Run.ID && a.Run.Seed == b.Run.Seed && a.Run.Started.Equal(b.Run.Started)
}

// joins refuses a report that is not of the same plan as the first one.
func joins(first, r *reports.Report) error {
	if r.Load == nil {
		return &MergeError{Runs: [2]string{r.Run.ID}, Problem: fmt.Sprintf("it is no load run but of keyflow %s", r.Run.Command)}
	}
	for _, same := range []struct {
		what string
		of   func(*reports.Report) string
	}{
		{"schema", func(r *reports.Report) string { return r.Schema }},
		{"command", func(r *reports.Report) string { return r.Run.Command }},
		{"version", func(r *reports.Report) string { return r.Tool.Version }},
		{"target", func(r *reports.Report) string { return r.Target.Kind }},
		{"profiles", func(r *reports.Report) string { return strings.Join(r.Target.Profiles, ", ") }},
		{"assets", func(r *reports.Report) string { return strings.Join(r.Target.Assets, ", ") }},
		{"faults", func(r *reports.Report) string { return strings.Join(r.Target.Faults, ", ") }},
		{"plan", func(r *reports.Report) string { return planText(r.Load) }},
		{"shares", func(r *reports.Report) string { return sharesText(r.Load.Shares) }},
		{"objectives", func(r *reports.Report) string { return objectivesText(r.Load.SLOs) }},
	} {
		if a, b := same.of(first), same.of(r); a != b {
			return &MergeError{Runs: [2]string{first.Run.ID, r.Run.ID}, What: same.what, Seen: [2]string{cmp.Or(a, "none"), cmp.Or(b, "none")}}
		}
	}
	return nil
}

func sharesText(shares []reports.Share) string {
	var texts []string
	for _, s := range shares {
		name := strings.Join(strings.Fields(s.Profile+" "+s.Operation+" "+s.Asset), " ")
		texts = append(texts, fmt.Sprintf("%s=%d", name, s.Weight))
	}
	return strings.Join(texts, ", ")
}

func objectivesText(slos []reports.SLO) string {
	var texts []string
	for _, s := range slos {
		texts = append(texts, s.Expression)
	}
	return strings.Join(texts, ", ")
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, text := range b {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// merger adds up load runs.
type merger struct {
	load        *reports.Load
	operations  operations
	wrong       tally // by operation
	shares      []operations
	sharesWrong []tally
	seconds     []*secondBook
	due         float64 // requests that were due in the time in which they were sent
	counted     int
	runs        int
	why         []string
}

func (m *merger) add(l *reports.Load) error {
	m.runs++
	to := m.load
	addPlan(&to.Plan, l.Plan)
	addWarmUp(to, l.WarmUp)
	m.account(l)
	to.Rate.AskedPerSec += l.Rate.AskedPerSec
	to.Rate.AchievedPerSec += l.Rate.AchievedPerSec
	to.Rate.AnsweredPerSec += l.Rate.AnsweredPerSec
	if l.Rate.Percent > 0 {
		m.due += float64(measuredBy(l)) * 100 / l.Rate.Percent
	}
	m.process(l)
	m.circumstances(l)
	addPrepared(to, l.Prepared)
	if to.Shares == nil {
		for _, s := range l.Shares {
			of := shareOf(s)
			share := of.told()
			share.Accounting.Balanced = true
			to.Shares = append(to.Shares, share)
			m.shares, m.sharesWrong = append(m.shares, operations{}), append(m.sharesWrong, tally{})
		}
	}
	err := m.operations.merge(l.Operations)
	addWrong(m.wrong, l.Operations)
	for i, s := range l.Shares {
		addAccounting(&to.Shares[i].Accounting, s.Accounting)
		err = errors.Join(err, m.shares[i].merge(s.Operations))
		addWrong(m.sharesWrong[i], s.Operations)
	}
	for _, s := range l.Seconds {
		err = errors.Join(err, m.second(s))
	}
	return err
}

// account adds the accounting of a run, and what came of it.
func (m *merger) account(l *reports.Load) {
	if m.runs == 1 {
		m.load.Accounting.Balanced = true
	}
	addAccounting(&m.load.Accounting, l.Accounting)
	if n := l.Accounting.ServerCounted; n != nil {
		m.counted++
		sum := *n
		if before := m.load.Accounting.ServerCounted; before != nil {
			sum += *before
		}
		m.load.Accounting.ServerCounted = &sum
		addCounts(&m.load.Accounting.ServerCountedBy, l.Accounting.ServerCountedBy)
	}
	for _, s := range l.Samples {
		of := func(x reports.Sample) bool {
			return x.Class == s.Class && x.Profile == s.Profile && x.Operation == s.Operation && x.Asset == s.Asset
		}
		n := 0
		for _, have := range m.load.Samples {
			if of(have) {
				n++
			}
		}
		if n < maxSamplesPerClass {
			s.Transcript = "" // it stays with the report that it is from
			m.load.Samples = append(m.load.Samples, s)
		}
	}
}

// addPrepared adds what was sent beside the plan.
func addPrepared(to *reports.Load, p *reports.Prepared) {
	switch {
	case p == nil:
	case to.Prepared == nil:
		sum := *p
		to.Prepared = &sum
	default:
		to.Prepared.Sessions += p.Sessions
		to.Prepared.Requests += p.Requests
		to.Prepared.Replaced += p.Replaced
		to.Prepared.Failed += p.Failed
	}
}

func addAccounting(to *reports.Accounting, a reports.Accounting) {
	to.Planned += a.Planned
	to.Sent += a.Sent
	to.Answered += a.Answered
	to.InFlight += a.InFlight
	to.Verified += a.Verified
	to.Unverified += a.Unverified
	to.Wrong += a.Wrong
	addCounts(&to.NotSent, a.NotSent)
	addCounts(&to.Failed, a.Failed)
	addCounts(&to.WrongBy, a.WrongBy)
	to.Balanced = to.Balanced && a.Balanced
}

// process adds what was measured of a generator.
func (m *merger) process(l *reports.Load) {
	to, from := &m.load.Generator, l.Generator
	to.WorkerBound += from.WorkerBound
	to.Starved += from.Starved
	to.Held += from.Held
	to.MintedAhead += from.MintedAhead
	to.CPUSeconds += from.CPUSeconds
	to.GCPauses += from.GCPauses
	to.GCPauseMicros += from.GCPauseMicros
	to.MaxHeapBytes += from.MaxHeapBytes
	to.VerifySeconds = max(to.VerifySeconds, from.VerifySeconds)
	if from.Limited {
		to.Limited = true
		m.why = append(m.why, fmt.Sprintf("generator %d: %s", m.runs, from.Why))
	}
	if m.load.JournalLost == nil {
		m.load.JournalLost = l.JournalLost
	}
	t, more := &m.load.Traffic, l.Traffic
	t.BytesSent += more.BytesSent
	t.BytesReceived += more.BytesReceived
	t.WireSent += more.WireSent
	t.WireReceived += more.WireReceived
	t.Connections += more.Connections
	t.ConnectionsOpen += more.ConnectionsOpen
	for _, u := range l.Usage {
		i, there := slices.BinarySearchFunc(m.load.Usage, u.At, func(have reports.Usage, at int) int { return cmp.Compare(have.At, at) })
		if !there {
			m.load.Usage = slices.Insert(m.load.Usage, i, u)
			continue
		}
		have := &m.load.Usage[i]
		have.CPUSeconds += u.CPUSeconds
		have.GCPauses += u.GCPauses
		have.GCPauseMicros += u.GCPauseMicros
		have.HeapBytes += u.HeapBytes
		have.Goroutines += u.Goroutines
		have.ConnectionsOpened += u.ConnectionsOpened
		have.ConnectionsOpen += u.ConnectionsOpen
		have.WireSent += u.WireSent
		have.WireReceived += u.WireReceived
	}
}

// merge adds the histograms of operations.
func (o operations) merge(list []reports.Operation) error {
	for _, from := range list {
		op, err := o.named(from.Name, from.Bad)
		if err != nil {
			return err
		}
		op.sent += from.Sent
		op.answered += from.Answered
		for class, n := range from.Failed {
			op.classes.addN(class, n)
		}
		for _, part := range []struct {
			to   *histogram
			from reports.Percentiles
		}{{op.latency, from.Latency}, {op.service, from.Service}, {op.lag, from.Lag}} {
			before := part.to.h.TotalCount()
			if err := part.to.merge(part.from.Histogram); err != nil {
				return fmt.Errorf("operation %s: %w", from.Name, err)
			}
			if got := part.to.h.TotalCount() - before; got != part.from.Count {
				return fmt.Errorf("operation %s: a histogram of %d values says that it has %d", from.Name, got, part.from.Count)
			}
		}
	}
	return nil
}

// second adds a second; those of one due time are one.
func (m *merger) second(s reports.Second) error {
	i, there := slices.BinarySearchFunc(m.seconds, s.At, func(b *secondBook, at int) int { return cmp.Compare(b.At, at) })
	if !there {
		m.seconds = slices.Insert(m.seconds, i, &secondBook{Second: reports.Second{At: s.At}})
	}
	return m.seconds[i].addReport(s)
}

// finish judges what was added up. The objectives of one of the runs are those of all.
func (m *merger) finish(objectives []reports.SLO) (load *reports.Load, asked bool, err error) {
	l := m.load
	l.Rate.Percent = 100
	if m.due > 0 {
		l.Rate.Percent = 100 * float64(measuredBy(l)) / m.due
	}
	l.Generator.Why = strings.Join(m.why, "; ")
	if m.counted < m.runs {
		l.Accounting.ServerCounted, l.Accounting.ServerCountedBy = nil, nil
	}
	if l.Operations, err = m.operations.report(m.wrong); err != nil {
		return nil, false, err
	}
	for i, ops := range m.shares {
		if l.Shares[i].Operations, err = ops.report(m.sharesWrong[i]); err != nil {
			return nil, false, err
		}
	}
	if err := summarize(m.seconds); err != nil {
		return nil, false, err
	}
	for _, b := range m.seconds {
		l.Seconds = append(l.Seconds, b.Second)
	}
	var slos []SLO
	for _, o := range objectives {
		if o.Implied {
			continue
		}
		slo, err := ParseSLO(o.Expression)
		if err != nil {
			return nil, false, err
		}
		slos = append(slos, slo)
	}
	l.SLOs, err = Evaluate(slos, l)
	return l, len(slos) > 0, err
}
