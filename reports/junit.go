package reports

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// incompleteCase is the name of the test case that keeps an incomplete run from looking green.
const incompleteCase = "keyflow: run incomplete"

// The JUnit elements, in the order in which consumers' schemas want them.
type (
	junitSuites struct {
		XMLName  xml.Name      `xml:"testsuites"`
		Name     string        `xml:"name,attr"`
		Tests    int           `xml:"tests,attr"`
		Failures int           `xml:"failures,attr"`
		Errors   int           `xml:"errors,attr"`
		Skipped  int           `xml:"skipped,attr"`
		Time     string        `xml:"time,attr"`
		Suites   []*junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr,omitempty"`
		Cases     []junitCase `xml:"testcase"`
		seconds   float64
	}
	junitCase struct {
		Classname  string           `xml:"classname,attr"`
		Name       string           `xml:"name,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Skipped    *junitNote       `xml:"skipped"`
		Error      *junitNote       `xml:"error"`
		Failure    *junitNote       `xml:"failure"`
		Out        string           `xml:"system-out,omitempty"`
		seconds    float64
	}
	junitProperties struct {
		Properties []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitNote struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// RenderJUnit writes the report as JUnit XML: one test suite per (profile, variant, asset), one test case per check,
// one test case per objective of a load run. A run whose verdict is not "passed" never looks green, even if nothing
// failed: a suite with a MUST that stayed open, and a run that is red for a reason of its own, get an errored case.
func RenderJUnit(w io.Writer, r *Report) error {
	r = printable(r)
	all := &junitSuites{Name: oneLine("keyflow " + r.Run.Command)}
	for _, g := range groups(r.Results) {
		all.Suites = append(all.Suites, checkSuite(g))
	}
	if r.Load != nil {
		all.Suites = append(all.Suites, loadSuite(r))
	}
	if r.Triage != nil && len(r.Triage.All()) > 0 {
		all.Suites = append(all.Suites, triageSuite(r.Triage))
	}
	all.sum(r.Run.Started)
	if all.Failures+all.Errors == 0 || r.Run.Interrupted != "" {
		if c := runCase(r); c != nil {
			all.Suites = append(all.Suites, &junitSuite{Name: "keyflow", Cases: []junitCase{*c}})
			all.sum(r.Run.Started)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// sum counts cases and adds up times.
func (all *junitSuites) sum(started time.Time) {
	all.Tests, all.Failures, all.Errors, all.Skipped = 0, 0, 0, 0
	seconds := 0.0
	for _, s := range all.Suites {
		s.sum(started)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		seconds += s.seconds
	}
	all.Time = junitTime(seconds)
}

func (s *junitSuite) sum(started time.Time) {
	s.Tests, s.Failures, s.Errors, s.Skipped, s.seconds = len(s.Cases), 0, 0, 0, 0
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Time = junitTime(c.seconds)
		s.seconds += c.seconds
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	s.Time = junitTime(s.seconds)
	if !started.IsZero() {
		s.Timestamp = started.UTC().Format("2006-01-02T15:04:05")
	}
}

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }

func checkSuite(g group) *junitSuite {
	s := &junitSuite{Name: cmp.Or(g.name(), "keyflow")}
	var open []Result
	for _, res := range g.Results {
		s.Cases = append(s.Cases, checkCase(res))
		if res.Level == Must && undecided(res.Outcome) {
			open = append(open, res)
		}
	}
	s.sum(time.Time{})
	if len(open) > 0 && s.Failures+s.Errors == 0 {
		s.Cases = append(s.Cases, openCase(g.Profile, open))
	}
	return s
}

// openCase is the errored case of a suite in which nothing failed but MUSTs stayed open.
func openCase(profile string, open []Result) junitCase {
	var lines []string
	for _, res := range open {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", res.ID, res.Outcome, because(res)))
	}
	return junitCase{
		Classname: cmp.Or(profile, "keyflow") + ".run", Name: incompleteCase,
		Error: &junitNote{
			Message: plural(len(open), "MUST was", "MUSTs were") + " not decided", Type: "incomplete", Text: strings.Join(lines, "\n"),
		},
	}
}

func checkCase(res Result) junitCase {
	c := junitCase{
		Classname:  cmp.Or(res.Profile, "keyflow") + "." + cmp.Or(res.Area, "check"),
		Name:       strings.TrimSpace(res.ID + " " + res.Title),
		Properties: properties(res),
		seconds:    res.DurationMS / 1000,
	}
	note := &junitNote{Message: cmp.Or(oneLine(because(res)), string(res.Outcome)), Type: cmp.Or(res.Reason, string(res.Outcome))}
	switch res.Outcome {
	case Fail:
		note.Text = story(res)
		c.Failure = note
	case Warn, Info:
		c.Out = fmt.Sprintf("%s: %s was missed\n%s", res.Outcome, res.Level, story(res))
	case Blocked, Unverifiable, NotRun, NotApplicable, Excluded:
		note.Message, note.Type = oneLine(strings.TrimSuffix(string(res.Outcome)+": "+because(res), ": ")), ""
		c.Skipped = note
	case Pass:
		c.Out = res.Note
	default: // Error, and any word that this version does not know
		note.Text = story(res)
		c.Error = note
	}
	return c
}

func properties(res Result) *junitProperties {
	ps := &junitProperties{}
	for _, p := range []junitProperty{
		{"outcome", string(res.Outcome)}, {"level", string(res.Level)}, {"source", res.Source}, {"reason", res.Reason},
		{"step", res.Step}, {"blocked_by", res.BlockedBy}, {"transcript", res.Transcript},
	} {
		if p.Value != "" {
			ps.Properties = append(ps.Properties, p)
		}
	}
	return ps
}

// story tells a result line by line.
func story(res Result) string {
	var lines []string
	for _, l := range [][2]string{
		{"step", res.Step}, {"expected", res.Expected}, {"seen", res.Seen}, {"blocked by", res.BlockedBy},
		{"note", res.Note}, {"hint", res.Hint}, {"source", res.Source}, {"transcript", res.Transcript},
	} {
		if l[1] != "" {
			lines = append(lines, l[0]+": "+l[1])
		}
	}
	return strings.Join(lines, "\n")
}

// loadSuite holds a load run's objectives, its accounting, and that of each share.
func loadSuite(r *Report) *junitSuite {
	l := r.Load
	class := cmp.Or(strings.Join(r.Target.Profiles, "+"), "keyflow") + ".load"
	s := &junitSuite{Name: "load"}
	accounting := junitCase{Classname: class, Name: "accounting balances"}
	var lines []string
	for _, b := range l.balances() {
		lines = append(lines, b.String())
	}
	for _, b := range l.shareBalances() {
		lines = append(lines, b.String())
	}
	accounting.Out = strings.Join(lines, "\n")
	if !l.Balanced() {
		accounting.Error = &junitNote{Message: "requests are unaccounted for", Type: "unbalanced", Text: accounting.Out}
	}
	s.Cases = append(s.Cases, accounting)
	for _, share := range l.Shares {
		s.Cases = append(s.Cases, shareCase(class, share))
	}
	for _, slo := range l.SLOs {
		c := junitCase{Classname: class, Name: slo.Expression, Out: "seen: " + slo.Seen}
		if slo.Windows != nil {
			c.Out += "\nwindows: " + slo.Windows.text()
		}
		if !slo.Kept {
			c.Failure = &junitNote{Message: slo.said(), Type: "slo", Text: c.Out}
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

// shareCase tells the accounting of one share of a mix. Whether its answers were good is a matter of the objectives.
func shareCase(class string, s Share) junitCase {
	c := junitCase{Classname: class, Name: oneLine("accounting balances: " + s.System + " " + s.name())}
	var lines []string
	for _, b := range s.Accounting.balances() {
		lines = append(lines, b.String())
	}
	for _, x := range s.Accounting.losses() {
		lines = append(lines, fmt.Sprintf("%s: %s %s", x.What, count(x.N), x.Reason))
	}
	for _, op := range s.Operations {
		if op.Latency.Count > 0 {
			lines = append(lines, fmt.Sprintf("%s latency: p50 %s, p99 %s", op.Name, micros(float64(op.Latency.P50)), micros(float64(op.Latency.P99))))
		}
	}
	c.Out = strings.Join(lines, "\n")
	if !s.Accounting.holds() {
		c.Error = &junitNote{Message: "requests are unaccounted for", Type: "unbalanced", Text: c.Out}
	}
	return c
}

// runCase is the errored case of a run that is not good although no check says so, nil for a run that is.
func runCase(r *Report) *junitCase {
	c := &junitCase{Classname: "keyflow.run", Name: incompleteCase, Error: &junitNote{Message: oneLine(r.Verdict.Summary), Type: string(r.Verdict.State)}}
	switch {
	case len(r.RedactionFailed) > 0:
		c.Name = "keyflow: redaction failed"
		c.Error.Text = "withheld:\n" + strings.Join(r.RedactionFailed, "\n")
	case r.Run.Interrupted != "":
		c.Error.Message = "interrupted: " + oneLine(r.Run.Interrupted)
	case r.Verdict.State == Incomplete:
	case r.Verdict.State != Passed || r.Verdict.Exit != 0:
		c.Name = fmt.Sprintf("keyflow: run %s, exit code %d", r.Verdict.State, r.Verdict.Exit)
	default:
		return nil
	}
	return c
}
