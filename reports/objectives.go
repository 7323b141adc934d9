package reports

import (
	"fmt"
	"slices"
)

// windowed reports whether any objective was judged by windows.
func (l *Load) windowed() bool {
	return slices.ContainsFunc(l.SLOs, func(s SLO) bool { return s.Windows != nil })
}

// text tells how an objective fared by windows, "" for one without.
func (w *SLOWindows) text() string {
	switch {
	case w == nil:
		return ""
	case w.Judged == 0:
		return fmt.Sprintf("no window of %d\u00a0s could be judged", w.Seconds)
	}
	text := fmt.Sprintf("%s of %s of %d\u00a0s missed", count(w.Missed), plural(w.Judged, "window", "windows"), w.Seconds)
	if w.Worst != nil {
		text += ", " + w.Worst.text()
	}
	return text
}

func (w *SLOWindow) text() string {
	return fmt.Sprintf("the worst seen %s from %s to %s\u00a0s", orDash(oneLine(w.Seen)), count(w.At), count(w.At+w.Seconds))
}

// said is what an objective saw, over the whole run and by windows.
func (s SLO) said() string {
	text := "seen " + orDash(oneLine(s.Seen))
	if s.Windows != nil {
		text += "; " + s.Windows.text()
	}
	return text
}

// countCells are the counts of an operation under [operationColumns].
func (o Operation) countCells() []string {
	return []string{count(o.Sent), count(o.Answered), count(total(o.Failed)), count(o.Wrong)}
}

// operationColumns are the names of [Operation.countCells].
func operationColumns() []string { return []string{"sent", "answered", "failed", "wrong"} }
