package reports

import "slices"

// plan tells a plan that is more than a rate for a time.
func (m *markdown) plan(l *Load) {
	if len(l.Plan.Stages) == 0 && l.WarmUp == nil {
		return
	}
	m.line("\n### Plan")
	m.head("", "")
	for _, f := range planFacts(l) {
		m.row(f.Name, md(f.Value))
	}
}

// operations tells what became of each of several operations.
func (m *markdown) operations(l *Load) {
	if len(l.Operations) < 2 {
		return
	}
	head := []string{"Operation"}
	for _, name := range operationColumns() {
		head = append(head, ">"+name)
	}
	m.head(head...)
	for _, op := range l.Operations {
		m.row(append([]string{mdLine(op.Name)}, op.countCells()...)...)
	}
}

func (m *markdown) objectives(l *Load) {
	m.line("\n### Objectives")
	head := []string{"Objective", "Kept", "Seen"}
	if l.windowed() {
		head = append(head, "Windows")
	}
	m.head(append(head, "")...)
	for _, s := range l.SLOs {
		cells := []string{mdLine(s.Expression), map[bool]string{true: "✅ yes", false: "❌ no"}[s.Kept], mdLine(s.Seen)}
		if l.windowed() {
			cells = append(cells, mdLine(s.Windows.text()))
		}
		m.row(slices.Concat(cells, []string{map[bool]string{true: "always checked"}[s.Implied]})...)
	}
}
