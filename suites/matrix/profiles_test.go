package matrix_test

import (
	"fmt"
	"slices"
	"testing"

	"keyflow/drm/provider"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// gates are the faults of the providers' services.
var gates = slices.Concat(tokenFaults, jwtFaults, []string{"customdata-ignored", "errorcode-ignored"})

// TestEveryProfileGoesRed shows every gate to every embedded profile. A gate that acted in a variant of the profile has turned a
// check red in one.
func TestEveryProfileGoesRed(t *testing.T) {
	t.Parallel()
	for _, id := range fixtures.ProfileNames() {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			text, err := fixtures.Profile(id)
			if err != nil {
				t.Fatal(err)
			}
			p, err := provider.Parse(id, text)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for fault, red := range redUnderGates(t, p) {
				seen++
				if len(red) == 0 {
					t.Errorf("%s acted and turned nothing red", fault)
				}
			}
			if seen == 0 && p.TakesToken() {
				t.Error("no gate acted")
			}
		})
	}
}

// redUnderGates returns what was red, in any variant, by the faults that acted.
func redUnderGates(t *testing.T, p *provider.Profile) map[string][]string {
	t.Helper()
	variants := p.VariantIDs()
	if len(variants) == 0 {
		variants = []string{""}
	}
	red := map[string][]string{}
	for _, v := range variants {
		standIn, target := matrix.StandInFor(t, "cenc-1key", p, v)
		for _, fault := range gates {
			fake := standIn.Server()
			set(t, fake, fault)
			before := fake.Exercised(fault)
			found := redOnes(t, target)
			if fake.Exercised(fault) > before || len(found) > 0 {
				red[fault] = append(red[fault], found...)
			}
		}
	}
	return red
}

// redOnes returns the checks of tokens, scenarios, promises and of a license that are red on a target.
func redOnes(t *testing.T, target *suites.Target) []string {
	t.Helper()
	var red []string
	for _, c := range of(target.Profile.DRM) {
		if !slices.Contains([]string{"AU", "SC", "RW", "ATH", "TOK"}, c.Area()) && c.ID != "WV-LIC-01" && c.ID != "PR-SOAP-01" {
			continue
		}
		r, _ := suites.Run(t.Context(), c, target)
		if r.Outcome == reports.Fail || r.Outcome == reports.Warn {
			red = append(red, fmt.Sprintf("%s %s", c.ID, r.Reason))
		}
	}
	return red
}
