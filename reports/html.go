package reports

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// htmlClip is the longest text shown in full, in characters; report.json has all of it.
const htmlClip = 4000

// openFailures is how many failures are shown unfolded.
const openFailures = 20

var (
	//go:embed report.html.tmpl
	htmlText string
	//go:embed style.css
	htmlStyle string

	htmlPage = template.Must(template.New("report").Funcs(template.FuncMap{
		"clip":    func(s string) string { return clip(s, htmlClip) },
		"count":   count[int64],
		"micros":  micros,
		"ms":      func(ms float64) string { return micros(ms * 1000) },
		"dash":    orDash,
		"slug":    slug,
		"lacking": NotJudged.text,
		"judged":  NotJudged.judged,
		"cells":   Accounting.shareCells,
		"counts":  Operation.countCells,
		"windows": (*SLOWindows).text,
		"counted": func(a Accounting) string { return a.serverCounted(oneLine) },
		"name":    Share.name,
		"triaged": func(s TriageSession) Outcome {
			if s.Cause != nil {
				return Fail
			}
			return Pass
		},
		"replayNote": func() string { return replayNote },
		"whose":      Sample.whose,
		"losses":     Accounting.losses,
		"because":    because,
		"place":      func(r Result) string { return place(r.Profile, r.Variant, r.Asset) },
		"link":       transcriptLink,
		"lower":      func(l Level) string { return strings.ToLower(string(l)) },
		"inc":        func(i int) int { return i + 1 },
		"list":       func(label string, results []Result) listing { return listing{label, results} },
		"stateIcon": func(s State) string {
			return map[State]string{Passed: "pass", Failed: "fail", Incomplete: "unverifiable", Broken: "error"}[s]
		},
	}).Parse(htmlText))
)

// page is what the template shows.
type page struct {
	*Report
	Style      template.CSS
	Title      string
	ClaimTitle string
	ClaimText  string
	Chips      []chip
	Failures   []failure
	Warnings   []Result
	Open       []Result
	Groups     []groupView
	Target     []fact
	Set        []fact
	RunFacts   []fact
	LoadView   *loadView
}

// chip is one count beside the verdict.
type chip struct {
	Outcome Outcome
	N       int
	Href    template.URL
}

type failure struct {
	Result
	Unfolded bool
}

// listing is a table of results that need attention.
type listing struct {
	Label   string
	Results []Result
}

type groupView struct {
	Name     string
	Tally    []chip
	Areas    []area
	Unfolded bool
}

type loadView struct {
	*Load
	Plan         []fact
	Tiles        []tile
	Balances     []balance
	Holds        bool
	Losses       []lost
	Percentiles  []string
	Rows         []latencyRow
	ShareRows    []latencyRow
	ShareColumns []string
	ShareSums    []balance
	ShareLosses  bool // some share has requests without a good answer
	Charts       []chart
	Windowed     bool     // some objective was judged by windows
	CountColumns []string // of operations; none if there is only one
	Generator    []fact
	Limited      bool
	LimitedWhy   string
	ServerDiffer bool
	Lost         string // why the run was not streamed to its end
}

// tile is one figure that sums up a load run.
type tile struct {
	Label, Value, Note string
	Bad                bool
}

type latencyRow struct {
	Profile   string // of a share, and its asset
	Operation string
	Span      int // rows of the operation, 0 but for its first
	Measure   measure
	Cells     []string
}

func latencyRows(profile string, ops []Operation) []latencyRow {
	var rows []latencyRow
	for _, op := range ops {
		ms := op.measures()
		for i, m := range ms {
			row := latencyRow{Profile: profile, Operation: op.Name, Measure: m, Cells: m.P.cells()}
			if i == 0 {
				row.Span = len(ms)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// RenderHTML writes the report as one self-contained page: no script, no external asset, light and dark.
func RenderHTML(w io.Writer, r *Report) error {
	r = printable(r)
	n := counts(r)
	p := page{
		Style:  template.CSS(htmlStyle), //nolint:gosec // it is embedded; nobody else writes it
		Report: r, ClaimTitle: claimTitle(r.Verdict.Claim), ClaimText: claimText(r.Verdict.Claim),
		Title:    "keyflow " + cmp.Or(r.Run.Command, "report") + ": " + string(r.Verdict.State),
		Warnings: with(r.Results, Warn, Info), Open: r.open(),
		Target: targetFacts(r.Target), Set: requirementFacts(r.Requirements), RunFacts: runFacts(r),
	}
	if len(n) > 0 {
		p.Chips = chips(n)
	}
	for i, res := range with(r.Results, Error, Fail) {
		p.Failures = append(p.Failures, failure{res, i < openFailures})
	}
	gs := groups(r.Results)
	for _, g := range gs {
		own := map[Outcome]int{}
		for _, res := range g.Results {
			own[res.Outcome]++
		}
		p.Groups = append(p.Groups, groupView{Name: cmp.Or(g.name(), "keyflow"), Tally: chips(own), Areas: g.areas(), Unfolded: len(gs) <= 12})
	}
	if r.Load != nil {
		p.LoadView = newLoadView(r.Load)
	}
	return htmlPage.Execute(w, p)
}

// chips lists all outcomes: that nothing was blocked is worth saying, too.
func chips(n map[Outcome]int) []chip {
	sections := map[Outcome]template.URL{
		Error: "#failures", Fail: "#failures", Warn: "#warnings", Info: "#warnings",
		Blocked: "#open", Unverifiable: "#open", NotRun: "#open",
	}
	var cs []chip
	for _, o := range Outcomes() {
		cs = append(cs, chip{o, n[o], cmp.Or(sections[o], "#results")})
	}
	return cs
}

// slug makes a class name of one of keyflow's words.
func slug(word any) string { return strings.ReplaceAll(strings.ToLower(fmt.Sprint(word)), " ", "-") }

// transcriptLink returns where a transcript is, or "" if the text is no name that [Write] would have given: a report
// read from a file must not link to anywhere else.
func transcriptLink(path string) string {
	name, ok := strings.CutPrefix(path, TranscriptDir+"/")
	if !ok || !transcriptName.MatchString(name) {
		return ""
	}
	return path
}

func newLoadView(l *Load) *loadView {
	v := &loadView{
		Load: l, Plan: planFacts(l), Tiles: tiles(l), Balances: l.balances(), Holds: l.Balanced(),
		Losses: l.Accounting.losses(), Percentiles: percentileNames[:], Charts: charts(l), Generator: append(generatorFacts(l.Generator), trafficFacts(l.Traffic)...),
		Limited: l.Generator.Limited, LimitedWhy: l.Generator.Why,
	}
	v.Windowed = l.windowed()
	if len(l.Operations) > 1 {
		v.CountColumns = operationColumns()
	}
	v.Lost = l.lostJournal()
	if n := l.Accounting.ServerCounted; n != nil {
		v.ServerDiffer = *n != l.Accounting.Sent
	}
	v.Rows = latencyRows("", l.Operations)
	v.ShareColumns, v.ShareSums = shareColumnNames(), l.shareBalances()
	for _, s := range l.Shares {
		v.ShareRows = append(v.ShareRows, latencyRows(s.subject(), s.Operations)...)
		v.ShareLosses = v.ShareLosses || len(s.Accounting.losses()) > 0
	}
	return v
}

// tiles sums a load run up in a few figures.
func tiles(l *Load) []tile {
	a := l.Accounting
	failed := total(a.Failed)
	missed := 0
	for _, s := range l.SLOs {
		if !s.Kept {
			missed++
		}
	}
	ts := []tile{
		{Label: "Achieved rate", Value: digits3(l.Rate.AchievedPerSec) + "/s", Note: "of " + digits3(l.Rate.AskedPerSec) + "/s asked", Bad: l.Generator.Limited},
		{Label: "Answered", Value: count(a.Answered), Note: "of " + count(a.Planned) + " planned", Bad: a.Answered != a.Planned},
		{Label: "Verified", Value: count(a.Verified), Note: count(a.Wrong) + " wrong, " + count(a.Unverified) + " unverified", Bad: a.Wrong > 0},
		{Label: "Failed", Value: count(failed), Note: count(total(a.NotSent)) + " not sent", Bad: failed > 0 || total(a.NotSent) > 0},
	}
	if op, measured := l.leading(); measured {
		ts = append(ts, tile{Label: "p99 latency", Value: micros(float64(op.Latency.P99)), Note: op.Name + ", median " + micros(float64(op.Latency.P50))})
	}
	return append(ts, tile{Label: "Objectives kept", Value: count(len(l.SLOs) - missed), Note: "of " + count(len(l.SLOs)), Bad: missed > 0})
}
