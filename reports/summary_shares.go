package reports

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The widths of a table of shares, in characters.
const (
	shareNameWidth   = 36 // at least
	sharePartWidth   = 40 // of operation and asset, at most
	shareColumnWidth = 9
)

// row is what a table of shares calls a share.
func (s Share) row() string {
	name := "  " + clipName(oneLine(s.Profile), 23) + " " + clipName(oneLine(s.System), 9)
	if part := joined(s.Operation, s.Asset); part != "" {
		name += " " + clipName(oneLine(part), sharePartWidth)
	}
	return name
}

// shares is a table of what became of each share of a mix, with the totals below it.
func (s *summary) shares(l *Load) {
	if len(l.Shares) == 0 {
		return
	}
	columns := l.tellingColumns()
	width := shareNameWidth
	for _, share := range l.Shares {
		width = max(width, utf8.RuneCountInString(share.row())+1)
	}
	head := pad("shares", width)
	for _, c := range columns {
		head += cell(shareColumns[c].name)
	}
	s.line(s.paint(head+cell("p50")+cell("p99"), bold))
	for _, share := range l.Shares {
		p50, p99 := share.latency()
		s.line(pad(share.row(), width) +
			shareRow(share.Accounting, columns) + cell(p50) + cell(p99))
	}
	s.line(pad("  all", width) + shareRow(l.Accounting, columns))
	for _, share := range l.Shares {
		for _, x := range share.Accounting.losses() {
			s.line(fmt.Sprintf("  %s  %s %s, %s", s.paint(x.What, "31"), count(x.N), oneLine(x.Reason), oneLine(share.name())))
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
