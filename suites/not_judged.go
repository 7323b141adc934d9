package suites

import (
	"slices"

	"keyflow/reports"
)

// ways are what may be given to a run that has no device that the server trusts. What was captured lets none of the checks be judged,
// but the answers' shape beside them.
var ways = []struct {
	platform PlatformKind
	give     string
}{
	{PlatformCaptured, "--har FILE or --request FILE: what a player sent; the answers are judged by their shape"},
	{PlatformIdentity, "--identity DIR: the files of a device that the vendor issued to you"},
	{PlatformHarness, "--authority DIR: for your own test server that trusts keyflow's authority"},
}

// with reports whether a check can be judged whole with a platform.
func (c Check) with(p PlatformKind) bool {
	return slices.Contains(c.Platforms(), Judges{Platform: p})
}

// needsOf are the needs that results of a reason are about, in the order of reports.
var needsOf = []struct {
	reason string
	need   Need
}{
	{reasonNoTrusted, NeedTrusted}, {reasonNoSecondDevice, NeedSecondDevice}, {reasonNoDevice, NeedDevice},
	{reasonNoIssuer, NeedIssuer}, {reasonNoRevoked, NeedRevoked},
}

// NotJudged tells what results stayed open for want of a device, and what it would take to have them judged. captured says that the
// run was given captured requests.
func NotJudged(results []reports.Result, captured bool) []reports.NotJudged {
	var all []reports.NotJudged
	for _, n := range needsOf {
		g := reports.NotJudged{Reason: n.reason, Need: string(n.need)}
		for _, r := range results {
			switch {
			case r.Reason == n.reason && (r.Outcome == reports.Unverifiable || r.Outcome == reports.Excluded):
				g.Results++
				g.Checks = append(g.Checks, r.ID)
			case r.Partial != "" && n.reason == reasonNoTrusted:
				g.Partly = append(g.Partly, r.ID)
			}
		}
		g.Checks, g.Partly = distinct(g.Checks), distinct(g.Partly)
		if len(g.Checks)+len(g.Partly) == 0 {
			continue
		}
		for _, w := range ways {
			judges := 0
			for _, id := range distinct(append(slices.Clone(g.Checks), g.Partly...)) {
				if c, err := Find(id); err == nil && c.with(w.platform) {
					judges++
				}
			}
			if judges == 0 && (w.platform != PlatformCaptured || captured || n.reason != reasonNoTrusted) {
				continue
			}
			g.Ways = append(g.Ways, reports.Way{Platform: string(w.platform), Give: w.give, Judges: judges})
		}
		all = append(all, g)
	}
	return all
}

// distinct sorts names and has each once.
func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
