package reports

import (
	"fmt"
	"strings"
	"time"
)

// measure is one of the latencies of an operation.
type measure struct {
	Name string
	Help string
	P    Percentiles
}

func (o Operation) measures() []measure {
	return []measure{
		{"latency", "from the time a request was due: a stalled server shows", o.Latency},
		{"service time", "from the time a request was sent", o.Service},
		{"lag", "between due and sent: the generator's own delay", o.Lag},
	}
}

// leading returns the operation that stands for a run: that of licenses, or else the first. measured says that it has latencies.
func (l *Load) leading() (op Operation, measured bool) {
	for i, o := range l.Operations {
		if i == 0 || o.Name == "license" {
			op = o
		}
	}
	return op, op.Latency.Count > 0
}

// percentileNames are the columns of [Percentiles.cells].
var percentileNames = [...]string{"min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"}

// cells returns the values as texts with units; those of an empty histogram are dashes.
func (p Percentiles) cells() []string {
	values := [len(percentileNames)]float64{float64(p.Min), p.Mean, float64(p.P50), float64(p.P90), float64(p.P95), float64(p.P99), float64(p.P999), float64(p.Max)}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = "–"
		if p.Count > 0 {
			texts[i] = micros(v)
		}
	}
	return texts
}

// what names the class of a sample, and in a mix its share.
func (s Sample) what() string { return joined(s.Class, s.whose()) }

// rateLine compares in one sentence what was asked of the generator with what it did.
func rateLine(r Rate) string {
	return fmt.Sprintf("asked %s/s, achieved %s/s (%.2f %%), answered %s/s",
		digits3(r.AskedPerSec), digits3(r.AchievedPerSec), r.Percent, digits3(r.AnsweredPerSec))
}

// fact is a name and what it stands for.
type fact struct{ Name, Value string }

// Long reports whether the value wants more room than one column.
func (f fact) Long() bool { return len(f.Value) > 28 }

// facts lists what was judged, against what, and by which run; empty ones are left out.
func facts(r *Report) []fact {
	return append(append(targetFacts(r.Target), requirementFacts(r.Requirements)...), runFacts(r)...)
}

func targetFacts(t Target) []fact {
	return known(
		fact{"Target", t.Kind},
		fact{"Profiles", strings.Join(t.Profiles, ", ")},
		fact{"URLs", strings.Join(t.URLs, ", ")},
		fact{"Assets", strings.Join(t.Assets, ", ")},
		fact{"Platform", t.Platform},
		fact{"Faults", strings.Join(t.Faults, ", ")},
		fact{"Not secure", strings.Join(t.Insecure, ", ")},
	)
}

func requirementFacts(q Requirements) []fact {
	if q == (Requirements{}) {
		return nil
	}
	return known(
		fact{"Requirements", strings.TrimSpace(q.Name + " " + q.Version)},
		fact{"Digest", q.Digest},
		fact{"Size", fmt.Sprintf("%s, of which %s MUST", plural(q.Checks, "check", "checks"), count(q.Musts))},
	)
}

func runFacts(r *Report) []fact {
	fs := []fact{
		{"Run", r.Run.ID},
		{"Command", strings.TrimSpace(r.Tool.Name + " " + r.Run.Command)},
		{"Version", strings.TrimSpace(r.Tool.Version + " " + r.Tool.Go)},
	}
	if !r.Run.Started.IsZero() {
		fs = append(fs, fact{"Started", instant(r.Run.Started)})
		if d := r.Run.Finished.Sub(r.Run.Started); d >= 0 {
			fs = append(fs, fact{"Took", micros(float64(d.Microseconds()))})
		}
	}
	fs = append(fs, fact{"Seed", fmt.Sprint(r.Run.Seed)}, fact{"Exit code", fmt.Sprint(r.Verdict.Exit)})
	return known(fs...)
}

// trafficFacts tells what went over the connections, nothing for a report that does not.
func trafficFacts(t Traffic) []fact {
	if t == (Traffic{}) {
		return nil
	}
	return []fact{
		{"Bodies", bytesIEC(uint64(t.BytesSent)) + " sent, " + bytesIEC(uint64(t.BytesReceived)) + " received"},
		{"On the wire", bytesIEC(uint64(t.WireSent)) + " sent, " + bytesIEC(uint64(t.WireReceived)) + " received"},
		{"Connections", count(t.Connections) + " opened, at most " + count(t.ConnectionsOpen) + " open"},
	}
}

// lostJournal says that a run was not streamed to its end, "" if it was.
func (l *Load) lostJournal() string {
	if l.JournalLost == nil {
		return ""
	}
	return fmt.Sprintf("The run was streamed to disk up to second %s only: %s. The report is complete.", count(l.JournalLost.At), l.JournalLost.Why)
}

func generatorFacts(g Generator) []fact {
	limited := "no"
	if g.Limited {
		limited = strings.TrimSuffix("yes: "+g.Why, ": ")
	}
	pauses := count(g.GCPauses)
	if g.GCPauseMicros > 0 {
		pauses += ", together " + micros(float64(g.GCPauseMicros))
	}
	return known(
		fact{"Limited by keyflow", limited},
		fact{"Worker bound hits", count(g.WorkerBound)},
		fact{"Starved of messages", count(g.Starved)},
		fact{"Held back by the owner's limits", unlessZero(g.Held)},
		fact{"Minted ahead", count(g.MintedAhead)},
		fact{"CPU time", micros(g.CPUSeconds * 1e6)},
		fact{"GC pauses", pauses},
		fact{"Largest heap", bytesIEC(g.MaxHeapBytes)},
		fact{"Verification after the last answer", micros(g.VerifySeconds * 1e6)},
	)
}

// unlessZero is a number that is worth a line only if there is one.
func unlessZero(n int64) string {
	if n == 0 {
		return ""
	}
	return count(n)
}

// known leaves out facts that nobody stated.
func known(fs ...fact) []fact {
	var kept []fact
	for _, f := range fs {
		if f.Value != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
