package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// SummaryOptions say what the terminal can do.
type SummaryOptions struct {
	Color bool // ANSI escape sequences may be written
	Width int  // columns; 0 is 100, and fewer than 40 are taken for 40
}

// summaryClip is the longest text that a summary shows of one field, in characters.
const summaryClip = 600

// shownRows is how many warnings, undecided checks and samples a summary lists.
const shownRows = 12

// Summary writes what a person wants to read at the end of a run: verdict, counts, what failed and why, what is open,
// the claim; for a load run the accounting and the latencies. What a server sent cannot control the terminal.
func Summary(w io.Writer, r *Report, o SummaryOptions) error {
	r = printable(r)
	s := &summary{color: o.Color, width: max(cmp.Or(o.Width, 100), 40)}
	s.failures(with(r.Results, Error, Fail))
	s.brief(with(r.Results, Warn, Info))
	s.brief(r.open())
	s.notJudged(r.NotJudged)
	if r.Load != nil {
		s.load(r.Load)
	}
	s.triage(r.Triage)
	s.verdict(r)
	_, err := s.WriteTo(w)
	return err
}

type summary struct {
	bytes.Buffer
	color bool
	width int
}

// The SGR codes of the colors that a summary uses: those that every terminal has, so that its theme decides.
const (
	bold = "1"
	dim  = "2"
)

func outcomeColor(o Outcome) string {
	switch o {
	case Pass:
		return "32"
	case Fail, Error:
		return "31"
	case Warn, Unverifiable, NotRun, Blocked:
		return "33"
	case Info:
		return "36"
	default:
		return dim
	}
}

func stateColor(st State) string {
	switch st {
	case Passed:
		return "32"
	case Incomplete:
		return "33"
	default:
		return "31"
	}
}

// paint colors a text if the terminal wants it.
func (s *summary) paint(text string, codes ...string) string {
	if !s.color || text == "" {
		return text
	}
	return Paint(text, codes...)
}

// Paint returns the text between the escape sequences that a terminal takes for these SGR codes.
func Paint(text string, codes ...string) string {
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[0m"
}

func (s *summary) line(text string) {
	fmt.Fprintln(&s.Buffer, strings.TrimRight(text, " "))
}

// field writes a name and a wrapped text beside it, indented.
func (s *summary) field(indent int, name, text string) {
	if text == "" {
		return
	}
	const column = 10
	left := strings.Repeat(" ", indent)
	for i, l := range wrap(clip(text, summaryClip), s.width-indent-column) {
		head := strings.Repeat(" ", column)
		if i == 0 {
			head = s.paint(fmt.Sprintf("%-*s", column, name), dim)
		}
		s.line(left + head + l)
	}
}

// failures tells each failure whole.
func (s *summary) failures(results []Result) {
	for _, res := range results {
		head := fmt.Sprintf("%s %s  %s", s.outcome(res.Outcome), s.paint(res.ID, bold), oneLine(res.Title))
		s.line(head + s.paint("  "+string(res.Level), dim))
		s.line(s.paint("  "+oneLine(place(res.Profile, res.Variant, res.Asset)), dim))
		s.field(2, "step", res.Step)
		s.field(2, "expected", res.Expected)
		s.field(2, "seen", res.Seen)
		s.field(2, "blocked", res.BlockedBy)
		s.field(2, "note", res.Note)
		s.field(2, "hint", res.Hint)
		s.field(2, "see", res.Transcript)
		s.line("")
	}
}

func (s *summary) outcome(o Outcome) string {
	return s.paint(strings.ToUpper(string(o)), bold, outcomeColor(o))
}

// brief lists results one a line, with the reason below. Undecided results that have outcome and reason in common share
// them: one thing that is wrong often blocks a dozen checks.
func (s *summary) brief(results []Result) {
	groups := byReason(results)
	for _, g := range groups[:min(len(groups), shownRows)] {
		what := s.paint(g[0].ID, bold) + "  " + oneLine(g[0].Title)
		if len(g) > 1 {
			what = count(len(g)) + " checks"
		}
		s.line(s.paint(string(g[0].Outcome), outcomeColor(g[0].Outcome)) + " " + what)
		if len(g) > 1 {
			for _, l := range wrap(idsOf(g), s.width-4) {
				s.line("    " + s.paint(l, bold))
			}
		}
		for _, l := range wrap(clip(oneLine(because(g[0])), summaryClip/3), s.width-4) {
			s.line("    " + s.paint(l, dim))
		}
	}
	if more := len(groups) - shownRows; more > 0 {
		s.line(s.paint("    and "+count(more)+" more in the report", dim))
	}
	if len(results) > 0 {
		s.line("")
	}
}

// byReason groups undecided results by outcome and reason, in the order of their first appearance. Missed requirements
// stay alone: each is a matter of its own.
func byReason(results []Result) [][]Result {
	var groups [][]Result
	index := map[[2]string]int{}
	for _, r := range results {
		key := [2]string{string(r.Outcome), because(r)}
		i, seen := index[key]
		if !seen || r.Outcome == Warn || r.Outcome == Info {
			i = len(groups)
			index[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

func idsOf(results []Result) string {
	ids := make([]string, len(results))
	for i, r := range results {
		ids[i] = r.ID
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), ", ")
}

func (s *summary) load(l *Load) {
	s.line(s.paint("rate", bold))
	s.line("  " + rateLine(l.Rate))
	for _, text := range l.Plan.stageTexts() {
		s.line("  stage " + text)
	}
	s.field(2, "warm-up", l.WarmUp.text())
	if k := l.Plan.KeyRequests; k.notFresh() {
		s.field(2, "requests", k.String())
	}
	if l.Generator.Limited {
		s.field(2, "limited", "keyflow itself was the limit: "+l.Generator.Why)
	}
	if t := l.Traffic; t != (Traffic{}) {
		s.line(fmt.Sprintf("  %s sent, %s received; %s connections opened", bytesIEC(uint64(t.WireSent)), bytesIEC(uint64(t.WireReceived)), count(t.Connections)))
	}
	s.field(2, "journal", l.lostJournal())
	s.line("")
	s.accounting(l)
	s.shares(l)
	s.latencies(l.Operations)
	s.circumstances(l)
	s.objectives(l.SLOs)
	if len(l.Samples) == 0 {
		return
	}
	s.line(s.paint("samples of bad answers", bold))
	for _, x := range l.Samples[:min(len(l.Samples), shownRows)] {
		s.line(fmt.Sprintf("  %s (request %s)", oneLine(x.what()), count(x.Seq)))
		s.field(4, "expected", x.Expected)
		s.field(4, "seen", x.Seen)
		s.field(4, "see", x.Transcript)
	}
	s.line("")
}

func (s *summary) accounting(l *Load) {
	a, word := l.Accounting, s.paint("balanced", "32")
	if !l.Balanced() {
		word = s.paint("NOT balanced", bold, "31")
	}
	s.line(s.paint("accounting", bold) + "  " + word)
	for _, b := range l.balances() {
		s.line("  " + b.String())
	}
	if n := a.serverCounted(oneLine); n != "" {
		s.line("  the server itself counted " + n)
	}
	if l.Prepared != nil {
		s.line("  " + l.Prepared.String())
	}
	for _, x := range a.losses() {
		s.line(fmt.Sprintf("  %s  %s %s", s.paint(x.What, "31"), count(x.N), oneLine(x.Reason)))
	}
	s.line("")
}

func (s *summary) latencies(ops []Operation) {
	if len(ops) == 0 {
		return
	}
	columns := []int{2, 3, 5, 6, 7} // of percentileNames: p50, p90, p99, p99.9, max
	name := 10
	for _, op := range ops {
		name = max(name, min(utf8.RuneCountInString(oneLine(op.Name)), 14))
	}
	head := pad("latency", name+16)
	for _, c := range columns {
		head += fmt.Sprintf("%10s", percentileNames[c])
	}
	s.line(s.paint(head, bold))
	for _, op := range ops {
		for _, m := range op.measures() {
			row := pad("  "+clipName(oneLine(op.Name), name)+" "+m.Name, name+16)
			cells := m.P.cells()
			for _, c := range columns {
				row += strings.Repeat(" ", max(1, 10-utf8.RuneCountInString(cells[c]))) + cells[c]
			}
			s.line(row)
		}
	}
	s.line("")
}

func (s *summary) objectives(slos []SLO) {
	if len(slos) == 0 {
		return
	}
	s.line(s.paint("objectives", bold))
	for _, o := range slos {
		word := s.paint("kept  ", "32")
		if !o.Kept {
			word = s.paint("MISSED", bold, "31")
		}
		s.line(fmt.Sprintf("  %s %s  %s", word, oneLine(o.Expression), s.paint(o.said(), dim)))
	}
	s.line("")
}

// verdict comes last: it is what is on the screen when the run is over.
func (s *summary) verdict(r *Report) {
	if len(r.RedactionFailed) > 0 {
		s.line(s.paint("REDACTION FAILED", bold, "31") + "  secrets were found in the report and withheld; do not trust it to be complete")
		s.field(2, "withheld", strings.Join(r.RedactionFailed, ", "))
		s.line("")
	}
	if r.Run.Interrupted != "" {
		s.line(s.paint("interrupted", bold, "33") + "  " + clip(oneLine(r.Run.Interrupted), summaryClip))
	}
	s.line(s.paint(strings.ToUpper(string(r.Verdict.State)), bold, stateColor(r.Verdict.State)) + "  " + clip(oneLine(r.Verdict.Summary), summaryClip))
	n := counts(r)
	words := tally(n)
	if s.color {
		words = words[:0]
		for _, o := range Outcomes() {
			if n[o] > 0 {
				words = append(words, s.paint(phrase(o, n[o]), outcomeColor(o)))
			}
		}
	}
	if len(words) > 0 {
		s.line("  " + strings.Join(words, " · "))
	}
	for _, l := range wrap(claimTitle(r.Verdict.Claim)+": "+clip(oneLine(claimText(r.Verdict.Claim)), summaryClip), s.width-2) {
		s.line("  " + s.paint(l, dim))
	}
}

// wrap breaks a text into lines of at most width characters, at spaces where there are any; line feeds stay.
func wrap(text string, width int) []string {
	width = max(width, 20)
	var lines []string
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			for utf8.RuneCountInString(word) > width {
				if line != "" {
					lines, line = append(lines, line), ""
				}
				runes := []rune(word)
				lines, word = append(lines, string(runes[:width])), string(runes[width:])
			}
			switch {
			case line == "":
				line = word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				lines, line = append(lines, line), word
			default:
				line += " " + word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

func clipName(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
