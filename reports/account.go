package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// balance is one line of a load run's accounting: a total and the parts that must add up to it.
type balance struct {
	Total string
	Want  int64
	Parts []part
	Holds bool
}

type part struct {
	Name string
	N    int64
}

// String is the line as an equation: planned 10 = sent 8 + not sent 2.
func (b balance) String() string {
	text := fmt.Sprintf("%s %s", b.Total, count(b.Want))
	sign := "="
	if !b.Holds {
		sign = "≠"
	}
	for _, p := range b.Parts {
		text += fmt.Sprintf(" %s %s %s", sign, p.Name, count(p.N))
		sign = "+"
	}
	return text
}

func newBalance(total string, want int64, parts ...part) balance {
	sum := int64(0)
	for _, p := range parts {
		sum += p.N
	}
	return balance{Total: total, Want: want, Parts: parts, Holds: sum == want}
}

// balances returns the three equations of [Accounting], each checked here again.
func (a Accounting) balances() []balance {
	sent := a.withFlying([]part{{"answered", a.Answered}, {"failed", total(a.Failed)}})
	return []balance{
		newBalance("planned", a.Planned, part{"sent", a.Sent}, part{"not sent", total(a.NotSent)}),
		newBalance("sent", a.Sent, sent...),
		newBalance("answered", a.Answered, part{"verified", a.Verified}, part{"unverified", a.Unverified}, part{"wrong", a.Wrong}),
	}
}

// withFlying adds the requests in flight to parts of what was sent, if there are any.
func (a Accounting) withFlying(parts []part) []part {
	if a.InFlight == 0 {
		return parts
	}
	return append(parts, part{"in flight when the journal ends", a.InFlight})
}

// holds reports whether the accounting says that it balances and does.
func (a Accounting) holds() bool { return a.Balanced && allHold(a.balances()) }

func allHold(bs []balance) bool {
	return !slices.ContainsFunc(bs, func(b balance) bool { return !b.Holds })
}

// Balanced reports whether the accounting of a run says that it balances and does, that of each share too, and whether the
// shares add up to the whole, and warm-up and operations.
func (l *Load) Balanced() bool {
	return l.Accounting.holds() && allHold(l.balances()) && allHold(l.shareBalances()) &&
		!slices.ContainsFunc(l.Shares, func(s Share) bool { return !s.Accounting.holds() })
}

// shareBalances returns the equations of a total and its shares, none for a run that is no mix.
func (l *Load) shareBalances() []balance {
	if len(l.Shares) == 0 {
		return nil
	}
	var bs []balance
	for _, column := range shareColumns {
		parts := make([]part, len(l.Shares))
		for i, s := range l.Shares {
			parts[i] = part{s.name(), column.of(s.Accounting)}
		}
		bs = append(bs, newBalance(column.name, column.of(l.Accounting), parts...))
	}
	return bs
}

// shareColumns are the counts that are told of each share.
var shareColumns = []struct {
	name string
	of   func(Accounting) int64
}{
	{"planned", func(a Accounting) int64 { return a.Planned }},
	{"not sent", func(a Accounting) int64 { return total(a.NotSent) }},
	{"sent", func(a Accounting) int64 { return a.Sent }},
	{"failed", func(a Accounting) int64 { return total(a.Failed) }},
	{"answered", func(a Accounting) int64 { return a.Answered }},
	{"unverified", func(a Accounting) int64 { return a.Unverified }},
	{"verified", func(a Accounting) int64 { return a.Verified }},
	{"wrong", func(a Accounting) int64 { return a.Wrong }},
}

// shareColumnNames are the names of [Accounting.shareCells].
func shareColumnNames() []string {
	var names []string
	for _, column := range shareColumns {
		names = append(names, column.name)
	}
	return names
}

// shareCells returns the counts as texts.
func (a Accounting) shareCells() []string {
	var cells []string
	for _, column := range shareColumns {
		cells = append(cells, count(column.of(a)))
	}
	return cells
}

// lost is one reason why requests did not come to a good answer, and how many.
type lost struct {
	What   string // "not sent", "failed" or "wrong"
	Reason string
	N      int64
}

// serverCounted tells what the fake itself counted, "" if it did not. The names of operations are escaped.
func (a Accounting) serverCounted(escape func(string) string) string {
	if a.ServerCounted == nil {
		return ""
	}
	text := count(*a.ServerCounted)
	for i, operation := range slices.Sorted(maps.Keys(a.ServerCountedBy)) {
		text += []string{": ", ", "}[min(i, 1)] + escape(operation) + " " + count(a.ServerCountedBy[operation])
	}
	return text
}

// losses lists the accounting's maps, largest first within each.
func (a Accounting) losses() []lost {
	var ls []lost
	for _, m := range []struct {
		what string
		by   map[string]int64
	}{{"not sent", a.NotSent}, {"failed", a.Failed}, {"wrong", a.WrongBy}} {
		reasons := slices.SortedFunc(maps.Keys(m.by), func(x, y string) int {
			return cmp.Or(cmp.Compare(m.by[y], m.by[x]), cmp.Compare(x, y))
		})
		for _, reason := range reasons {
			ls = append(ls, lost{m.what, reason, m.by[reason]})
		}
	}
	return ls
}

func total(by map[string]int64) int64 {
	n := int64(0)
	for _, v := range by {
		n += v
	}
	return n
}
