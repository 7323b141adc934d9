package matrix_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// clientTimeout is short: faults that hang must not make the matrix slow.
const clientTimeout = 400 * time.Millisecond

// waitFor has a target's client wait for answers no longer than a fault deserves: a busy machine takes its time with others.
func waitFor(target *suites.Target, fault string) {
	target.Client.Timeout = suites.RequestTimeout
	if fault == "never-answers" {
		target.Client.Timeout = clientTimeout
	}
}

// asset is the content that the matrix runs on: it has several keys.
const asset = "cenc-3key"

func start(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.Start(t, asset)
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// shortSoak keeps the soak short where it is not what is judged; longSoak all but surely meets one license in 32.
const (
	shortSoak = 30
	longSoak  = 400
)

// cbcs is the content for checks of AES-CBC.
const cbcs = "cbcs-3key"

func startPlayReady(t *testing.T, asset string) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.StartPlayReady(t, asset)
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// startPersistent starts a fake whose PlayReady licenses may be stored, have every limit, and are to be acknowledged.
func startPersistent(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.StartPlayReadyWith(t, asset, fakes.PlayReadyOptions{Persistent: true, Acknowledgements: true}, fakes.PlayReadyTrack{
		Duration: time.Hour, FirstPlay: time.Minute,
		Output: &xmr.OutputProtection{CompressedVideo: 500, UncompressedVideo: 250, AnalogVideo: 150, CompressedAudio: 100, UncompressedAudio: 100},
	})
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// stored are the checks of licenses that may be stored, and of what else startPersistent has.
var stored = []string{"PR-NON-03", "PR-RSP-01", "PR-RSP-02", "PR-RSP-03", "PR-ACK-01", "PR-ACK-02", "PR-POL-09"}

// inMemory are the checks of licenses that stay in memory.
var inMemory = []string{"PR-NON-01", "PR-NON-02"}

// of returns the checks for targets of a system.
func of(s drm.System) []suites.Check {
	return slices.DeleteFunc(suites.All(), func(c suites.Check) bool { return !c.For(s) })
}

// startTokens starts the fakes behind ExpressPlay's host names, for checks of tokens.
func startTokens(t *testing.T, variant string) (*fakes.Server, *suites.Target) {
	t.Helper()
	standIn, target := matrix.StandIn(t, asset, "expressplay-widevine-test", variant)
	return standIn.Server(), target
}

// startPlayReadyTokens is startTokens for ExpressPlay's PlayReady services.
func startPlayReadyTokens(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	standIn, target := matrix.StandIn(t, asset, "expressplay-playready-test", playReadyVariants[1])
	return standIn.Server(), target
}

// playReadyVariants are those of its PlayReady profile.
var playReadyVariants = []string{"token-in-query", "token-in-customdata", "persistent", "rental"}

// limited are checks of licenses that have an end.
var limited = map[string]bool{"PR-POL-02": true, "PR-POL-03": true, "PR-POL-04": true, "PR-POL-08": true}

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

// onlyFor are PlayReady checks of content in one scheme.
var onlyFor = map[string]string{
	"PR-HDR-01": asset, "PR-HDR-02": asset, "PR-HDR-03": asset, "PR-HDR-06": asset, "PR-CHK-01": asset, "PR-CHK-02": asset, "PR-CHK-03": asset, "PR-HDR-05": cbcs,
}

// TestCleanRun: the fault-free fake turns nothing red. Checks of tokens, and they alone, do not apply to a plain profile, and
// those of one scheme to content in another.
func TestCleanRun(t *testing.T) {
	_, plain := start(t)
	_, ctr := startPlayReady(t, asset)
	_, cbc := startPlayReady(t, cbcs)
	_, persistent := startPersistent(t)
	targets := []*suites.Target{plain, ctr, cbc, persistent}
	for _, v := range variants {
		_, tokens := startTokens(t, v)
		targets = append(targets, tokens)
	}
	for _, v := range playReadyVariants {
		_, tokens := matrix.StandIn(t, asset, "expressplay-playready-test", v)
		targets = append(targets, tokens)
	}
	for _, target := range targets {
		stores := target == persistent || target.Variant == "persistent" || target.Variant == "rental"
		for _, c := range of(target.Profile.DRM) {
			want := reports.Pass
			switch {
			case takesToken(c) && !target.Profile.TakesToken(), onlyFor[c.ID] != "" && onlyFor[c.ID] != target.Asset.Name,
				c.ID == "PR-HTTP-02",
				slices.Contains(c.Needs, suites.NeedTwin) && target.Twin == nil,
				slices.Contains(stored, c.ID) && !stores && c.ID != "PR-POL-09",
				c.ID == "PR-POL-09" && !stores && !target.Profile.TakesToken(),
				strings.HasPrefix(c.ID, "PR-ACK") && target != persistent,
				slices.Contains(inMemory, c.ID) && stores,
				target.Profile.PerKID() && slices.Contains([]string{"PR-KID-03", "PR-KID-04", "PR-NON-02"}, c.ID),
				limited[c.ID] && target.Profile.TakesToken() && target.Variant != "rental":
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
	ctrFake, ctr := startPlayReady(t, asset)
	cbcFake, cbc := startPlayReady(t, cbcs)
	storedFake, persistent := startPersistent(t)
	prTokensFake, prTokens := startPlayReadyTokens(t)
	for _, c := range suites.All() {
		fake, target := plainFake, plain
		if c.Area() == "TR" {
			for _, at := range []served{{plainFake, plain}, {ctrFake, ctr}, {tokensFake, tokens}, {prTokensFake, prTokens}} {
				at.mustDetect(t, c)
			}
			continue
		}
		switch {
		case takesToken(c) && c.System == drm.PlayReady:
			fake, target = prTokensFake, prTokens
		case takesToken(c):
			fake, target = tokensFake, tokens
		case onlyFor[c.ID] == cbcs:
			fake, target = cbcFake, cbc
		case slices.Contains(stored, c.ID):
			fake, target = storedFake, persistent
		case c.System == drm.PlayReady:
			fake, target = ctrFake, ctr
		}
		served{fake, target}.mustDetect(t, c)
	}
}

// served is a target and the fake that serves it.
type served struct {
	fake   *fakes.Server
	target *suites.Target
}

// mustDetect runs a check against each of its own faults.
func (s served) mustDetect(t *testing.T, c suites.Check) {
	t.Helper()
	if len(c.Kills) == 0 {
		t.Errorf("%s names no fault that it detects", c.ID)
	}
	for _, k := range c.Kills {
		t.Run(c.ID+"/"+k.Fault+"/"+s.target.Profile.ID, func(t *testing.T) {
			setting := fakes.Setting{Name: k.Fault}
			if c.ID == "TR-01" && s.target.Profile.TakesToken() { // or a fault of every request would meet the token service first
				setting.Operation = fakes.OperationPreflight
			}
			if err := s.fake.SetFaults(setting); err != nil {
				t.Fatal(err)
			}
			defer s.fake.ClearFaults()
			s.target.Soak, s.target.Patience = longSoak, nil
			waitFor(s.target, k.Fault)
			before := s.fake.Exercised(k.Fault)
			r, _ := suites.Run(t.Context(), c, s.target)
			if r.Outcome != k.Outcome || r.Reason != string(k.Reason) {
				t.Errorf("%s (%s), want %s (%s): %s", r.Outcome, r.Reason, k.Outcome, k.Reason, suites.Message(r))
			}
			if s.fake.Exercised(k.Fault) == before {
				t.Error("the fake did not exercise the fault")
			}
			if r.Expected == "" || r.Seen == "" || r.Step == "" || r.Hint == "" {
				t.Errorf("the failure does not tell step, expected, seen and hint: %+v", r)
			}
		})
	}
}

// many gives the reason why a fault may fail more than five checks.
var many = map[string]string{}

// collateral are checks that a fault turns red though they do not name it, each with the reason why that is right.
var collateral = map[string]map[string]string{
	"wv-cert-other-key":   {"WV-PRV-01": "no identity can be encrypted for the server: privacy mode does not work"},
	"wv-privacy-ignored":  {"WV-CRT-05": "a client cannot tell a server that ignores encrypted ids from one that lacks the key"},
	"pr-minimal-integers": {"*": "one license in some tens does not decrypt: whichever check asks for it"},
	"pr-settings-inverted": {
		"PR-NON-01": "a license that says the opposite is judged by what it says", "PR-NON-02": "as PR-NON-01",
		"PR-NON-03": "as PR-NON-01", "PR-RSP-01": "as PR-NON-01", "PR-POL-08": "as PR-NON-01",
	},
	"pr-redirect-empty":      {"PR-SOAP-01": "there is nowhere to get a license"},
	"pr-checksum-byte-order": {"PR-SOAP-01": "the content's own headers have checksums: every valid challenge is refused"},
	"pr-checksum-required": {
		"PR-HDR-01": "the headers that these checks make have no checksum, as any header may",
		"PR-HDR-02": "as PR-HDR-01", "PR-HDR-03": "as PR-HDR-01", "PR-HDR-04": "as PR-HDR-01",
	},
	"ct-strict-415":           noLicense("whoever sends the type that the profile names gets no license"),
	"redirect-307":            noLicense("no other check follows a redirect of a key request"),
	"redirect-302-drops-body": noLicense("no other check follows a redirect of a key request"),
	"status-201":              noLicense("the profile takes no status for success but 200"),
	"resp-ct-lies":            {"PR-SOAP-01": "the profile names the type of the answers"},
	"wv-cert-alternates": {
		"WV-PRV-01": "whose turn it is decides whether the certificate's key is held",
		"WV-CRT-05": "whose turn it is decides whether the certificate's key is held",
	},
}

// noLicense is the collateral of a fault that leaves the checks of a normal answer without one.
func noLicense(why string) map[string]string {
	return map[string]string{"WV-LIC-01": why, "PR-SOAP-01": why}
}

// notKilled are faults that no check of this set names, each with the reason.
var notKilled = map[string]string{
	"stall-100ms-every-second":   "slow, not wrong: it is for load tests, where the latencies show it",
	"pr-redirect":                "a right redirect: clients follow it, and every check with them",
	"pr-first-play-missing":      "what a license must hold of first play is the provider's promise, which profiles cannot state",
	"ttl-half":                   "the checks of sheet providers.md §7.2 are not in this set yet",
	"token-consumed-by-cert":     "the checks of sheet providers.md §7.2 are not in this set yet",
	"query-plus-to-space":        "the checks of sheet providers.md §7.2 are not in this set yet",
	"customdata-ignored":         "the checks of sheet providers.md §7.2 are not in this set yet",
	"customdata-missing-generic": "the checks of sheet providers.md §7.2 are not in this set yet",
	"alg-none-ok":                "the checks of sheet providers.md §7.2 are not in this set yet",
	"zero-skew":                  "the checks of sheet providers.md §7.2 are not in this set yet",
	"nbf-ignored":                "the checks of sheet providers.md §7.2 are not in this set yet",
	"aud-ignored":                "the checks of sheet providers.md §7.2 are not in this set yet",
	"token-reuse-accepted":       "the checks of sheet providers.md §7.2 are not in this set yet",
	"raw-when-json-asked":        "the checks of sheet providers.md §7.2 are not in this set yet",
	"ep-authenticator-ignored":   "no check asks for a token with a wrong authenticator: a provider may lock the account that it guesses at",
}

// tokenFaults are those of the providers' services, which change nothing at a plain one. Those of custom data wait for the
// checks that name them.
var tokenFaults = []string{
	"ep-authenticator-ignored", "auth-not-enforced", "token-signature-ignored", "expired-accepted", "ttl-half", "kid-not-bound",
	"token-consumed-by-cert", "query-plus-to-space",
}

// TestFaultsFailOnlyWhoNamesThem runs every check against every fault. A check that does not name the fault may be
// blocked by it, but neither fail, nor warn, nor be a harness error.
func TestFaultsFailOnlyWhoNamesThem(t *testing.T) {
	if testing.Short() {
		t.Skip("all pairs take a while")
	}
	plainFake, plain := start(t)
	tokensFake, tokens := startTokens(t, variants[1])
	ctrFake, ctr := startPlayReady(t, asset)
	cbcFake, cbc := startPlayReady(t, cbcs)
	storedFake, persistent := startPersistent(t)
	prTokensFake, prTokens := startPlayReadyTokens(t)
	for _, f := range fakes.Catalogue() {
		t.Run(f.Name, func(t *testing.T) {
			at := map[*suites.Target]*fakes.Server{}
			switch {
			case slices.Contains(tokenFaults, f.Name):
				at[tokens], at[prTokens] = tokensFake, prTokensFake
			case f.System == drm.PlayReady:
				at[ctr], at[cbc], at[persistent] = ctrFake, cbcFake, storedFake
			case f.System == drm.Widevine:
				at[plain] = plainFake
			default:
				at[plain], at[ctr] = plainFake, ctrFake
				if f.Layer == fakes.HTTP {
					at[tokens], at[prTokens] = tokensFake, prTokensFake
				}
			}
			named := 0
			for target, fake := range at {
				set(t, fake, f.Name)
				named += failOnlyNamed(t, f.Name, target)
				fake.ClearFaults()
			}
			if named == 0 && notKilled[f.Name] == "" {
				t.Error("no check names this fault")
			}
		})
	}
}

// failOnlyNamed runs all checks of the target's system against a fault and returns how many name it.
func failOnlyNamed(t *testing.T, fault string, target *suites.Target) (named int) {
	t.Helper()
	target.Patience = new(suites.Patience)
	waitFor(target, fault)
	red := 0
	for _, c := range of(target.Profile.DRM) {
		r, _ := suites.Run(t.Context(), c, target)
		bad := slices.Contains([]reports.Outcome{reports.Fail, reports.Warn, reports.Info, reports.Error}, r.Outcome)
		kills := slices.ContainsFunc(c.Kills, func(k suites.Kill) bool { return k.Fault == fault })
		if kills {
			named++
		}
		if r.Outcome == reports.Fail {
			red++
		}
		if bad && !kills && collateral[fault][c.ID] == "" && collateral[fault]["*"] == "" {
			t.Errorf("%s on %s does not name the fault: %s: %s", c.ID, target.Asset.Name, r.Outcome, suites.Message(r))
		}
	}
	if red > 5 && many[fault] == "" {
		t.Errorf("the fault fails %d checks without a reason in the table", red)
	}
	return named
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
		if c.Title == "" || c.Source == "" || c.Why == "" || c.Hint == "" || c.Run == nil || c.Area() == "" || c.Scope == "" || (c.System == "") != (c.Area() == strings.Split(c.ID, "-")[0]) {
			t.Errorf("%s: a field is empty: %s", c.ID, fmt.Sprintf("%+v", c))
		}
		for _, k := range c.Kills {
			if !faults[k.Fault] {
				t.Errorf("%s names the fault %s, which the fakes do not have", c.ID, k.Fault)
			}
		}
	}
}
