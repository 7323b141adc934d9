package reports

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The widths of a table of shares, in characters.
const (
	shareNameWidth   = 36
	shareColumnWidth = 9
)

// shares is a table of what became of each share of a mix, with the totals below it.
func (s *summary) shares(l *Load) {
	if len(l.Shares) == 0 {
		return
	}
	columns := l.tellingColumns()
	head := pad("shares", shareNameWidth)
	for _, c := range columns {
		head += cell(shareColumns[c].name)
	}
	s.line(s.paint(head+cell("p50")+cell("p99"), bold))
	for _, share := range l.Shares {
		p50, p99 := share.latency()
		s.line(pad("  "+clipName(oneLine(share.Profile), 23)+" "+clipName(oneLine(share.System), 9), shareNameWidth) +
			shareRow(share.Accounting, columns) + cell(p50) + cell(p99))
	}
	s.line(pad("  all", shareNameWidth) + shareRow(l.Accounting, columns))
	for _, share := range l.Shares {
		for _, x := range share.Accounting.losses() {
			s.line(fmt.Sprintf("  %s  %s %s, %s", s.paint(x.What, "31"), count(x.N), oneLine(x.Reason), oneLine(share.Profile)))
		}
	}
	s.line("")
}

func cell(text string) string {
	return strings.Repeat(" ", max(1, shareColumnWidth-utf8.RuneCountInString(text))) + text
}

func shareRow(a Accounting, columns []int) string {
	row, cells := "", a.shareCells()
	for _, c := range columns {
		row += cell(cells[c])
	}
	return row
}

// tellingColumns returns which of the shareColumns a narrow table shows: those of trouble only where there is some.
func (l *Load) tellingColumns() []int {
	var columns []int
	for i, c := range shareColumns {
		trouble := c.name == "not sent" || c.name == "failed" || c.name == "unverified"
		if !trouble || c.of(l.Accounting) > 0 {
			columns = append(columns, i)
		}
	}
	return columns
}

// latency returns median and 99th percentile of the share's first operation, or dashes.
func (s Share) latency() (p50, p99 string) {
	if len(s.Operations) == 0 || s.Operations[0].Latency.Count == 0 {
		return "–", "–"
	}
	p := s.Operations[0].Latency
	return micros(float64(p.P50)), micros(float64(p.P99))
}
