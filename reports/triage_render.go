package reports

import "strings"

// triage tells each captured acquisition: a line for each exchange, and the first failing step whole.
func (s *summary) triage(t *Triage) {
	if t == nil {
		return
	}
	s.line(s.paint("captured acquisitions", bold) + "  " + oneLine(t.source()))
	for _, x := range t.All() {
		s.line("")
		s.line("  " + oneLine(x.Heading()))
		for _, e := range x.Exchanges {
			s.line("    " + oneLine(e.Heading()))
			for _, l := range wrap(clip(oneLine(e.Brief()), summaryClip), s.width-6) {
				s.line("      " + s.paint(l, dim))
			}
		}
		if x.Cause == nil {
			continue
		}
		s.line("  " + s.paint("FIRST FAILING", bold, "31") + "  " + oneLine(x.Cause.String()))
		s.field(4, "expected", x.Cause.Expected)
		s.field(4, "seen", x.Cause.Seen)
		s.field(4, "hint", x.Cause.Hint)
		for _, c := range x.Consequences[:min(len(x.Consequences), shownRows)] {
			s.field(4, "then", c)
		}
	}
	s.line("")
	s.field(2, "problem", t.Problem)
	if len(t.Replays) > 0 {
		s.field(2, "replay", replayNote)
	}
	for _, u := range t.Unjudged {
		s.field(2, "unjudged", u)
	}
	s.line("")
}

// replayNote says what a replay is worth.
const replayNote = "captured requests were sent once more: a server may refuse a request that it has seen, or answer from a cache"

func (t *Triage) source() string {
	if t.Archive == "" {
		return ""
	}
	return t.Archive + ": " + plural(t.Entries, "entry", "entries") + ", " + count(t.Others) + " not of a license service"
}

func (m *markdown) triage(t *Triage) {
	if t == nil {
		return
	}
	m.line("\n### Captured acquisitions")
	if text := t.source(); text != "" {
		m.line("\n%s", mdLine(text))
	}
	for _, x := range t.All() {
		m.line("\n#### %s\n", mdLine(x.Heading()))
		if c := x.Cause; c != nil {
			m.line("**First failing step:** %s\n", mdLine(c.String()))
			for _, f := range [][2]string{{"Expected", c.Expected}, {"Seen", c.Seen}, {"Hint", c.Hint}, {"Then", strings.Join(x.Consequences, "; ")}} {
				if f[1] != "" {
					m.line("- **%s:** %s", f[0], md(f[1]))
				}
			}
		}
		for _, e := range x.Exchanges {
			m.line("\n%s", mdLine(e.Heading()))
			m.head("Step", "Outcome", "Seen", "Expected", "Hint")
			for _, step := range e.Steps {
				m.row(mdLine(step.ID), mdLine(string(step.Outcome)), md(step.Seen), md(step.Expected), md(step.Hint))
			}
		}
	}
	if len(t.Replays) > 0 {
		m.line("\n> [!NOTE]\n> %s", mdLine(replayNote))
	}
	if t.Problem != "" {
		m.line("\n> [!WARNING]\n> %s", mdLine(t.Problem))
	}
	if len(t.Unjudged) > 0 {
		m.line("\nNot judged:\n")
		for _, u := range t.Unjudged {
			m.line("- %s", md(u))
		}
	}
}

// triageSuite has a test case for each acquisition.
func triageSuite(t *Triage) *junitSuite {
	suite := &junitSuite{Name: "triage"}
	for _, x := range t.All() {
		c := junitCase{Classname: "keyflow.triage", Name: oneLine(x.Heading())}
		if x.Cause != nil {
			c.Failure = &junitNote{
				Message: oneLine(x.Cause.String()), Type: oneLine(x.Cause.Reason),
				Text: "expected: " + x.Cause.Expected + "\nseen: " + x.Cause.Seen + "\nhint: " + x.Cause.Hint,
			}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}
