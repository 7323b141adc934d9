package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// markdownClip is the longest text shown, in characters: a CI job summary may hold one megabyte.
const markdownClip = 1000

// markdownSpecial are the characters that a backslash makes ordinary.
const markdownSpecial = "\\`*_[]|~#$!"

// markdownEscape makes any text one line of plain text in GitHub's dialect: no markup, no mention, no automatic link.
var markdownEscape = func() *strings.Replacer {
	pairs := []string{"&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "&#64;", "://", "&#58;//", "www.", "www&#46;", "\n", "<br>"}
	for _, c := range markdownSpecial {
		pairs = append(pairs, string(c), "\\"+string(c))
	}
	return strings.NewReplacer(pairs...)
}()

func md(s string) string { return markdownEscape.Replace(clip(strings.TrimSpace(s), markdownClip)) }

// mdLine is md for places where a text must stay on its line.
func mdLine(s string) string { return md(oneLine(s)) }

// RenderMarkdown writes the report for a CI job summary: verdict and counts, then what failed, then the rest in tables.
func RenderMarkdown(w io.Writer, r *Report) error {
	r = printable(r)
	m := &markdown{}
	m.verdict(r)
	m.triage(r.Triage)
	m.failures(r)
	m.table("Warnings", "Seen", with(r.Results, Warn, Info))
	m.table("Not decided", "Why", r.open())
	m.notJudged(r.NotJudged)
	m.rest(r)
	if r.Load != nil {
		m.load(r.Load)
	}
	m.facts(r)
	_, err := m.WriteTo(w)
	return err
}

type markdown struct{ bytes.Buffer }

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(&m.Buffer, format+"\n", args...) }

// row writes one row of a table; cells are escaped already.
func (m *markdown) row(cells ...string) { m.line("| %s |", strings.Join(cells, " | ")) }

// head writes the head of a table; a name that starts with > is aligned to the right.
func (m *markdown) head(names ...string) {
	rules := make([]string, len(names))
	for i, n := range names {
		rules[i] = "---"
		if rest, ok := strings.CutPrefix(n, ">"); ok {
			names[i], rules[i] = rest, "--:"
		}
	}
	m.line("")
	m.row(names...)
	m.row(rules...)
}

func (m *markdown) verdict(r *Report) {
	signs := map[State]string{Passed: "✅", Failed: "❌", Incomplete: "⚠️", Broken: "💥"}
	m.line("## %s keyflow %s: %s", signs[r.Verdict.State], mdLine(r.Run.Command), mdLine(string(r.Verdict.State)))
	m.line("")
	m.line("%s", md(r.Verdict.Summary))
	m.line("")
	m.line("**%s:** %s", claimTitle(r.Verdict.Claim), md(claimText(r.Verdict.Claim)))
	if len(r.RedactionFailed) > 0 {
		m.line("")
		m.line("> [!CAUTION]")
		m.line("> The last gate found secrets and withheld: %s. Do not trust this report to be complete.", mdLine(strings.Join(r.RedactionFailed, ", ")))
	}
	if r.Run.Interrupted != "" {
		m.line("")
		m.line("> [!WARNING]")
		m.line("> The run ended early: %s", mdLine(r.Run.Interrupted))
	}
	n := counts(r)
	if len(n) == 0 {
		return
	}
	var names, values []string
	for _, o := range Outcomes() {
		names, values = append(names, ">"+string(o)), append(values, count(n[o]))
	}
	m.head(names...)
	m.row(values...)
}

func (m *markdown) failures(r *Report) {
	failed := with(r.Results, Error, Fail)
	if len(failed) == 0 {
		return
	}
	m.line("\n### Failures")
	for _, res := range failed {
		m.line("\n#### %s %s", mdLine(res.ID), mdLine(res.Title))
		m.line("\n%s · %s · %s · %s\n", mdLine(string(res.Outcome)), mdLine(string(res.Level)), mdLine(place(res.Profile, res.Variant, res.Asset)), mdLine(res.Source))
		for _, f := range [][2]string{
			{"Step", res.Step}, {"Expected", res.Expected}, {"Seen", res.Seen}, {"Reason", res.Reason}, {"Blocked by", res.BlockedBy},
			{"Note", res.Note}, {"Hint", res.Hint}, {"Transcript", res.Transcript},
		} {
			if f[1] != "" {
				m.line("- **%s:** %s", f[0], md(f[1]))
			}
		}
	}
}

// table writes results that are neither failures nor passes.
func (m *markdown) table(title, why string, results []Result) {
	if len(results) == 0 {
		return
	}
	m.line("\n### %s", title)
	m.head("Outcome", "Level", "Check", "Where", why, "Hint")
	for _, res := range results {
		m.row(mdLine(string(res.Outcome)), mdLine(string(res.Level)), mdLine(res.ID+" "+res.Title),
			mdLine(place(res.Profile, res.Variant, res.Asset)), md(because(res)), md(res.Hint))
	}
}

// rest writes what needs nobody's attention, folded away.
func (m *markdown) rest(r *Report) {
	results := with(r.Results, NotApplicable, Excluded, Pass)
	if len(results) == 0 {
		return
	}
	m.line("\n<details><summary>%s passed, not applicable or excluded</summary>", plural(len(results), "check", "checks"))
	m.head("Outcome", "Level", "Check", "Where", "Note", ">Time")
	for _, res := range results {
		m.row(mdLine(string(res.Outcome)), mdLine(string(res.Level)), mdLine(res.ID+" "+res.Title),
			mdLine(place(res.Profile, res.Variant, res.Asset)), md(because(res)), micros(res.DurationMS*1000))
	}
	m.line("\n</details>")
}

func (m *markdown) load(l *Load) {
	m.plan(l)
	m.line("\n### Accounting")
	verdict := "Every request is accounted for."
	if !l.Balanced() {
		verdict = "**Not balanced:** requests are unaccounted for."
	}
	m.line("\n%s", verdict)
	m.line("")
	for _, b := range l.balances() {
		m.line("- %s", b)
	}
	if n := l.Accounting.serverCounted(mdLine); n != "" {
		m.line("- the server itself counted %s", n)
	}
	if l.Prepared != nil {
		m.line("- %s", l.Prepared)
	}
	if losses := l.Accounting.losses(); len(losses) > 0 {
		m.head("What", "Why", ">Requests")
		for _, x := range losses {
			m.row(x.What, mdLine(x.Reason), count(x.N))
		}
	}
	m.operations(l)
	m.shares(l)
	m.objectives(l)
	m.line("\n### Latency")
	m.line("\n%s", md(rateLine(l.Rate)))
	if k := l.Plan.KeyRequests; k.notFresh() {
		m.line("\n> [!NOTE]\n> Key requests: %s", mdLine(k.String()))
	}
	if l.Generator.Limited {
		m.line("\n> [!WARNING]\n> keyflow itself was the limit: %s", mdLine(l.Generator.Why))
	}
	if lost := l.lostJournal(); lost != "" {
		m.line("\n> [!CAUTION]\n> %s", mdLine(lost))
	}
	for _, f := range trafficFacts(l.Traffic) {
		m.line("\n%s: %s", f.Name, md(f.Value))
	}
	m.head(latencyHead("Operation")...)
	for _, op := range l.Operations {
		m.latencies(op, mdLine(op.Name))
	}
	if len(l.Shares) > 0 {
		m.head(latencyHead("Profile", "Operation")...)
	}
	for _, s := range l.Shares {
		for _, op := range s.Operations {
			m.latencies(op, mdLine(s.subject()), mdLine(op.Name))
		}
	}
	m.circumstances(l)
	m.samples(l)
}

// latencyHead are the columns of latencies, behind those that say whose they are.
func latencyHead(whose ...string) []string {
	names := append(slices.Clone(whose), "Measure", ">Count")
	for _, p := range percentileNames {
		names = append(names, ">"+p)
	}
	return names
}

func (m *markdown) latencies(op Operation, whose ...string) {
	for _, ms := range op.measures() {
		cells := append(slices.Clone(whose), ms.Name, count(ms.P.Count))
		m.row(append(cells, ms.P.cells()...)...)
	}
}

// shares tells what became of each share of a mix, and the totals that they add up to.
func (m *markdown) shares(l *Load) {
	if len(l.Shares) == 0 {
		return
	}
	m.line("\n### Shares")
	head := []string{"System", "Profile", ">weight"}
	for _, name := range shareColumnNames() {
		head = append(head, ">"+name)
	}
	m.head(head...)
	for _, s := range l.Shares {
		m.row(append([]string{mdLine(s.System), mdLine(s.name()), count(s.Weight)}, s.Accounting.shareCells()...)...)
	}
	m.row(append([]string{"all", "", ""}, l.Accounting.shareCells()...)...)
	losses := false
	for _, s := range l.Shares {
		for _, x := range s.Accounting.losses() {
			if !losses {
				m.head("Profile", "What", "Why", ">Requests")
				losses = true
			}
			m.row(mdLine(s.name()), x.What, mdLine(x.Reason), count(x.N))
		}
	}
}

func (m *markdown) samples(l *Load) {
	if len(l.Samples) == 0 {
		return
	}
	m.line("\n### Samples of bad answers")
	head, shown := []string{"Class", ">Request", "Expected", "Seen"}, slices.ContainsFunc(l.Samples, func(s Sample) bool { return s.Transcript != "" })
	if shown {
		head = append(head, "Transcript")
	}
	m.head(head...)
	for _, s := range l.Samples {
		row := []string{mdLine(s.what()), count(s.Seq), md(s.Expected), md(s.Seen)}
		if shown {
			row = append(row, mdLine(s.Transcript))
		}
		m.row(row...)
	}
}

func (m *markdown) facts(r *Report) {
	m.line("\n<details><summary>Target and run</summary>")
	m.head("", "")
	for _, f := range facts(r) {
		m.row(f.Name, md(f.Value))
	}
	if missing := r.Verdict.Claim.Missing; len(missing) > 0 {
		m.row("Missing for a claim", md(strings.Join(missing, ", ")))
	}
	m.line("\n</details>")
}
