package matrix_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// clientTimeout is short: faults that hang must not make the matrix slow.
const clientTimeout = 400 * time.Millisecond

// asset is the content that the matrix runs on: it has several keys.
const asset = "cenc-3key"

func start(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.Start(t, asset)
	target.Client, target.Patience = suites.NewClient(clientTimeout), nil
	return fake, target
}

// startTokens starts the fakes behind ExpressPlay's host names, for checks of tokens.
func startTokens(t *testing.T, variant string) (*fakes.Server, *suites.Target) {
	t.Helper()
	standIn, target := matrix.StandIn(t, asset, "expressplay-widevine-test", variant)
	return standIn.Server(), target
}

// variants are the ways to attach ExpressPlay's token.
var variants = []string{"token-in-query", "token-in-header"}

// takesToken reports whether the check is for profiles that attach a token.
func takesToken(c suites.Check) bool { return slices.Contains(c.Needs, suites.NeedToken) }

func set(t *testing.T, fake *fakes.Server, fault string) {
	t.Helper()
	if err := fake.SetFaults(fakes.Named(fault)...); err != nil {
		t.Fatal(err)
	}
}

// TestCleanRun: the fault-free fake turns nothing red. Checks of tokens, and they alone, do not apply to a plain profile.
func TestCleanRun(t *testing.T) {
	_, plain := start(t)
	targets := []*suites.Target{plain}
	for _, v := range variants {
		_, tokens := startTokens(t, v)
		targets = append(targets, tokens)
	}
	for _, target := range targets {
		for _, c := range suites.All() {
			want := reports.Pass
			if takesToken(c) && target == plain {
				want = reports.NotApplicable
			}
			if r, _ := suites.Run(t.Context(), c, target); r.Outcome != want {
				t.Errorf("%s on %s %s: %s: %s", c.ID, r.Profile, r.Variant, r.Outcome, suites.Message(r))
			}
		}
	}
}

// TestEveryCheckCanFail runs each check against each of its own faults: outcome and reason must be those that it names,
// and the fake must have exercised the fault.
func TestEveryCheckCanFail(t *testing.T) {
	plainFake, plain := start(t)
	tokensFake, tokens := startTokens(t, variants[0])
	for _, c := range suites.All() {
		fake, target := plainFake, plain
		if takesToken(c) {
			fake, target = tokensFake, tokens
		}
		if len(c.Kills) == 0 {
			t.Errorf("%s names no fault that it detects", c.ID)
		}
		for _, k := range c.Kills {
			t.Run(c.ID+"/"+k.Fault, func(t *testing.T) {
				set(t, fake, k.Fault)
				before := fake.Exercised(k.Fault)
				r, _ := suites.Run(t.Context(), c, target)
				if r.Outcome != k.Outcome || r.Reason != string(k.Reason) {
					t.Errorf("%s (%s), want %s (%s): %s", r.Outcome, r.Reason, k.Outcome, k.Reason, suites.Message(r))
				}
				if fake.Exercised(k.Fault) == before {
					t.Error("the fake did not exercise the fault")
				}
				if r.Expected == "" || r.Seen == "" || r.Step == "" || r.Hint == "" {
					t.Errorf("the failure does not tell step, expected, seen and hint: %+v", r)
				}
			})
		}
	}
}

// many gives the reason why a fault may fail more than five checks.
var many = map[string]string{}

// collateral are checks that a fault turns red though they do not name it, each with the reason why that is right.
var collateral = map[string]map[string]string{
	"wv-cert-other-key":  {"WV-PRV-01": "no identity can be encrypted for the server: privacy mode does not work"},
	"wv-privacy-ignored": {"WV-CRT-05": "a client cannot tell a server that ignores encrypted ids from one that lacks the key"},
	"wv-cert-alternates": {
		"WV-PRV-01": "whose turn it is decides whether the certificate's key is held",
		"WV-CRT-05": "whose turn it is decides whether the certificate's key is held",
	},
}

// notKilled are faults that no check of this set names, each with the reason.
var notKilled = map[string]string{
	"stall-100ms-every-second": "slow, not wrong: it is for load tests, where the latencies show it",
	"ep-authenticator-ignored": "no check asks for a token with a wrong authenticator: a provider may lock the account that it guesses at",
}

// TestFaultsFailOnlyWhoNamesThem runs every check against every fault. A check that does not name the fault may be
// blocked by it, but neither fail, nor warn, nor be a harness error.
func TestFaultsFailOnlyWhoNamesThem(t *testing.T) {
	if testing.Short() {
		t.Skip("all pairs take a while")
	}
	plainFake, plain := start(t)
	tokensFake, tokens := startTokens(t, variants[1])
	for _, f := range fakes.Catalogue() {
		t.Run(f.Name, func(t *testing.T) {
			fake, target := plainFake, plain
			if strings.HasPrefix(f.Name, "ep-") {
				fake, target = tokensFake, tokens
			}
			target.Patience = new(suites.Patience)
			set(t, fake, f.Name)
			named, red := 0, 0
			for _, c := range suites.All() {
				r, _ := suites.Run(t.Context(), c, target)
				bad := slices.Contains([]reports.Outcome{reports.Fail, reports.Warn, reports.Info, reports.Error}, r.Outcome)
				kills := slices.ContainsFunc(c.Kills, func(k suites.Kill) bool { return k.Fault == f.Name })
				if kills {
					named++
				}
				if r.Outcome == reports.Fail {
					red++
				}
				if bad && !kills && collateral[f.Name][c.ID] == "" {
					t.Errorf("%s does not name the fault: %s: %s", c.ID, r.Outcome, suites.Message(r))
				}
			}
			if named == 0 && notKilled[f.Name] == "" {
				t.Error("no check names this fault")
			}
			if red > 5 && many[f.Name] == "" {
				t.Errorf("the fault fails %d checks without a reason in the table", red)
			}
		})
	}
}

// TestRegistry: ids are unique, and every field that a reader relies on is filled in.
func TestRegistry(t *testing.T) {
	faults := map[string]bool{}
	for _, f := range fakes.Catalogue() {
		faults[f.Name] = true
	}
	seen := map[string]bool{}
	for _, c := range suites.All() {
		if seen[c.ID] {
			t.Errorf("%s stands twice", c.ID)
		}
		seen[c.ID] = true
		if c.Title == "" || c.Source == "" || c.Why == "" || c.Hint == "" || c.Run == nil || c.Area() == "" || c.System == "" || c.Scope == "" {
			t.Errorf("%s: a field is empty: %s", c.ID, fmt.Sprintf("%+v", c))
		}
		for _, k := range c.Kills {
			if !faults[k.Fault] {
				t.Errorf("%s names the fault %s, which the fakes do not have", c.ID, k.Fault)
			}
		}
	}
}
