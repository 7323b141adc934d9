package reports

import (
	"cmp"
	"slices"
	"strings"
)

// group is the results of one (profile, variant, asset).
type group struct {
	Profile, Variant, Asset string
	Results                 []Result
}

// groups splits results, which must be in canonical order, by (profile, variant, asset).
func groups(results []Result) []group {
	var gs []group
	for _, res := range results {
		last := len(gs) - 1
		if last < 0 || gs[last].Profile != res.Profile || gs[last].Variant != res.Variant || gs[last].Asset != res.Asset {
			gs = append(gs, group{Profile: res.Profile, Variant: res.Variant, Asset: res.Asset})
			last++
		}
		gs[last].Results = append(gs[last].Results, res)
	}
	return gs
}

// name is how reports call the group; a variant that does not exist leaves no gap.
func (g group) name() string { return place(g.Profile, g.Variant, g.Asset) }

func place(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " / ")
}

// area is a part of a group.
type area struct {
	Name    string
	Results []Result
}

// areas splits a group by area; areas are sorted by name, results keep their order.
func (g group) areas() []area {
	var as []area
	for _, res := range g.Results {
		i := slices.IndexFunc(as, func(a area) bool { return a.Name == res.Area })
		if i < 0 {
			as = append(as, area{Name: res.Area})
			i = len(as) - 1
		}
		as[i].Results = append(as[i].Results, res)
	}
	slices.SortStableFunc(as, func(a, b area) int { return cmp.Compare(a.Name, b.Name) })
	return as
}

// with returns the results that ended in one of the outcomes, in the order of the outcomes given.
func with(results []Result, outcomes ...Outcome) []Result {
	var found []Result
	for _, o := range outcomes {
		for _, res := range results {
			if res.Outcome == o {
				found = append(found, res)
			}
		}
	}
	return found
}

// counts returns the verdict's counts, or counts the results if the verdict has none.
func counts(r *Report) map[Outcome]int {
	if len(r.Verdict.Counts) > 0 {
		return r.Verdict.Counts
	}
	n := map[Outcome]int{}
	for _, res := range r.Results {
		n[res.Outcome]++
	}
	return n
}

// undecided reports whether a result leaves its requirement open: nobody can say whether the target meets it.
func undecided(o Outcome) bool { return o == Blocked || o == Unverifiable || o == NotRun }

// phrase is how sentences call a number of results of one outcome: "2 failed".
func phrase(o Outcome, n int) string {
	words := map[Outcome][2]string{
		Pass: {"passed", "passed"}, Fail: {"failed", "failed"}, Warn: {"warning", "warnings"},
		Info: {"note", "notes"}, Error: {"error", "errors"},
	}
	if w, ok := words[o]; ok {
		return plural(n, w[0], w[1])
	}
	return plural(n, string(o), string(o))
}

// tally lists the counts that are not zero, worst first.
func tally(n map[Outcome]int) []string {
	var words []string
	for _, o := range Outcomes() {
		if n[o] > 0 {
			words = append(words, phrase(o, n[o]))
		}
	}
	return words
}

// because is the one line that tells why a result is not a plain pass.
func because(res Result) string {
	text := res.Note
	switch res.Outcome {
	case Fail, Warn, Info, Error:
		text = cmp.Or(res.Seen, res.Note, res.Reason)
	case Blocked:
		if res.BlockedBy != "" {
			text = strings.TrimSuffix("blocked by "+res.BlockedBy+": "+cmp.Or(res.Note, res.Seen, res.Reason), ": ")
			break
		}
		text = cmp.Or(res.Note, res.Seen, res.Reason)
	case Pass:
		if res.Partial != "" {
			text = strings.TrimPrefix(text+"; in part: open is "+res.Partial, "; ")
		}
	case NotApplicable, Excluded, Unverifiable, NotRun:
		text = cmp.Or(res.Note, res.Seen, res.Reason)
	}
	return text
}

// claimTitle says in two words whether anything is claimed.
func claimTitle(c Claim) string {
	if c.Conformant {
		return "Conformant"
	}
	return "No claim"
}

// claimText is the claim's sentence without the words of [claimTitle] in front of it, to be shown beside them.
func claimText(c Claim) string {
	said := "no claim:"
	if c.Conformant {
		said = "conformant "
	}
	return strings.TrimSpace(strings.TrimPrefix(c.Text, said))
}
