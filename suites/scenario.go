package suites

import (
	"fmt"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// scenarioChecks judge what a profile says of cases of its provider's own (sheet providers.md §4.2, scenarios).
func scenarioChecks() []Check {
	return []Check{{
		ID: "SC-01", Title: "Each of the profile's own scenarios is answered as the profile says", Level: reports.Must, Scope: ScopeTarget,
		Source: "the provider's document, as the profile has it; sheet providers.md §4.2",
		Why:    "What a provider's service answers in cases of its own is what integrators build on.",
		Hint:   "The failure names the scenario: is it the service that has changed, or is the profile's expect wrong?",
		Needs:  []Need{NeedTrusted},
		Kills:  []Kill{{"errorcode-ignored", reports.Fail, provider.ReasonScenario}},
		Run:    scenarios,
	}}
}

func scenarios(e *Env) {
	if len(e.Profile.Scenarios) == 0 {
		e.NotApplicable("the profile has no scenarios")
	}
	Require(e, HaveLicense)
	var seen []string
	for _, s := range e.Profile.Scenarios {
		e.scenario(s)
		seen = append(seen, s.ID)
	}
	e.Note("as the profile says: %s", strings.Join(seen, ", "))
}

func (e *Env) scenario(s provider.Variant) {
	p, err := e.Profile.InScenario(s.ID)
	if err != nil {
		e.block("prepare the scenario "+s.ID, &HarnessError{err})
	}
	step := "ask in the scenario " + s.ID
	x, err := e.in(p).exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindLicense})
	if err != nil {
		e.block(step, err)
	}
	if problem := s.Expect.Unlike(x.Reply); problem != nil {
		e.Fail(Failure{Reason: problem.Reason, Step: step, Expected: problem.Expected, Seen: problem.Seen})
	}
	if n := len(x.PlayReady().Licenses); s.Expect.Licenses > 0 && n != s.Expect.Licenses {
		e.Fail(Failure{Reason: provider.ReasonScenario, Step: step, Expected: fmt.Sprintf("%d licenses, as the profile says", s.Expect.Licenses),
			Seen: fmt.Sprintf("HTTP %d with %d licenses", x.Status, n)})
	}
}
