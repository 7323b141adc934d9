package reports

import (
	"fmt"
	"slices"
	"strings"
)

// text tells in one sentence what was missing, and how many checks stayed open for want of it.
func (n NotJudged) text() string {
	var parts []string
	if len(n.Checks) > 0 {
		parts = append(parts, plural(len(n.Checks), "check", "checks"))
	}
	if len(n.Partly) > 0 {
		parts = append(parts, fmt.Sprintf("%s that passed in part", plural(len(n.Partly), "check", "checks")))
	}
	verb := "need"
	if len(n.Checks)+len(n.Partly) == 1 {
		verb = "needs"
	}
	return fmt.Sprintf("%s %s %s", strings.Join(parts, " and "), verb, n.Need)
}

// judged tells how many of the checks a way lets be judged.
func (n NotJudged) judged(w Way) string {
	if w.Judges == len(n.Checks)+len(n.Partly) {
		return "all of them"
	}
	if w.Judges == 0 {
		return "none of them"
	}
	return fmt.Sprintf("%d of them", w.Judges)
}

// told reports whether a result's story is told by the report's NotJudged, where hundreds share it.
func (r *Report) told(res Result) bool {
	return res.Outcome == Unverifiable && slices.ContainsFunc(r.NotJudged, func(n NotJudged) bool { return n.Reason == res.Reason && slices.Contains(n.Checks, res.ID) })
}

// open returns the results that are not decided, each for a reason of its own.
func (r *Report) open() []Result {
	return slices.DeleteFunc(with(r.Results, Blocked, Unverifiable, NotRun), r.told)
}

func (s *summary) notJudged(all []NotJudged) {
	for _, n := range all {
		for i, l := range wrap(n.text(), s.width-14) {
			if i == 0 {
				s.line(s.paint("not judged", outcomeColor(Unverifiable)) + "  " + l)
				continue
			}
			s.line("            " + l)
		}
		for _, w := range n.Ways {
			s.field(4, oneLine(w.Platform), fmt.Sprintf("%s (%s)", w.Give, n.judged(w)))
		}
		s.line("")
	}
}

func (m *markdown) notJudged(all []NotJudged) {
	if len(all) == 0 {
		return
	}
	m.line("\n### Not judged here")
	for _, n := range all {
		m.line("\n%s.", md(n.text()))
		if len(n.Ways) > 0 {
			m.head("Platform", "What to give", ">Judges")
		}
		for _, w := range n.Ways {
			m.row(mdLine(w.Platform), md(w.Give), mdLine(n.judged(w)))
		}
		m.ids("not judged", n.Checks)
		m.ids("passed in part", n.Partly)
	}
}

// ids lists the ids of checks, folded away.
func (m *markdown) ids(title string, ids []string) {
	if len(ids) > 0 {
		m.line("\n<details><summary>%s %s</summary>\n\n%s\n\n</details>", plural(len(ids), "check", "checks"), title, mdLine(strings.Join(ids, ", ")))
	}
}
