package matrix_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// asset is the content that the matrix runs on: it has several keys.
const asset = "cenc-3key"

// shortSoak keeps the soak short where it is not what is judged; longSoak all but surely meets one license in 32.
const (
	shortSoak = 30
	longSoak  = 400
)

// cbcs is the content for checks of AES-CBC.
const cbcs = "cbcs-3key"

// stored are the checks of licenses that may be stored, and of what else startPersistent has.
var stored = []string{"PR-NON-03", "PR-RSP-01", "PR-RSP-02", "PR-RSP-03", "PR-ACK-01", "PR-ACK-02", "PR-POL-09"}

// inMemory are the checks of licenses that stay in memory.
var inMemory = []string{"PR-NON-01", "PR-NON-02"}

// final is the check of licenses that may not be renewed.
const final = "WV-RNW-05"

// ofRenewable reports whether a check is of licenses that may be renewed.
func ofRenewable(id string) bool {
	return id == "WV-POL-04" || strings.HasPrefix(id, "WV-RNW-") && id != final || strings.HasPrefix(id, "WV-REL-")
}

// of returns the checks for targets of a system.
func of(s drm.System) []suites.Check {
	return slices.DeleteFunc(suites.All(), func(c suites.Check) bool { return !c.For(s) })
}

// limited are checks of licenses that have an end.
var limited = map[string]bool{"PR-POL-02": true, "PR-POL-03": true, "PR-POL-04": true, "PR-POL-08": true}

// takesToken reports whether the check is for profiles that attach a token.
func takesToken(c suites.Check) bool { return slices.Contains(c.Needs, suites.NeedToken) }

// onlyFor are PlayReady checks of content in one scheme.
var onlyFor = map[string]string{
	"PR-HDR-01": asset, "PR-HDR-02": asset, "PR-HDR-03": asset, "PR-HDR-06": asset, "PR-CHK-01": asset, "PR-CHK-02": asset, "PR-CHK-03": asset, "PR-HDR-05": cbcs,
}

// applies reports whether a profile has what a check of any system is about.
func applies(id string, p *provider.Profile) bool {
	traits, places := p.TokenTraits(), p.TokenPlaces()
	promise, promised := p.PromiseOf("")
	switch id {
	case "AU-02":
		return len(places.Query) > 0
	case "AU-05", "AU-06", "AU-07":
		return traits.Local
	case "AU-09":
		return places.CustomData
	case "SC-01":
		return len(p.Scenarios) > 0
	case "RW-17":
		return promise.HDCP != "" || promise.SecurityLevel > 0
	case "RW-21":
		return promise.License > 0
	case "RW-23":
		return promised
	}
	return true
}

// TestCleanRun: the fault-free fake turns nothing red. Checks of tokens, and they alone, do not apply to a plain profile, and
// those of one scheme to content in another.
func TestCleanRun(t *testing.T) {
	_, plain := start(t)
	_, ctr := startPlayReady(t, asset)
	_, cbc := startPlayReady(t, cbcs)
	_, persistent := startPersistent(t)
	_, renewing := startRenewable(t)
	targets := []*suites.Target{plain, renewing, ctr, cbc, persistent}
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
			case takesToken(c) && !target.Profile.TakesToken(), !applies(c.ID, target.Profile), onlyFor[c.ID] != "" && onlyFor[c.ID] != target.Asset.Name,
				c.ID == "PR-HTTP-02",
				slices.Contains(c.Needs, suites.NeedTwin) && target.Twin == nil,
				slices.Contains(stored, c.ID) && !stores && c.ID != "PR-POL-09",
				c.ID == "PR-POL-09" && !stores && !target.Profile.TakesToken(),
				strings.HasPrefix(c.ID, "PR-ACK") && target != persistent,
				slices.Contains(inMemory, c.ID) && stores,
				ofRenewable(c.ID) && target != renewing, c.ID == final && target == renewing,
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
	l := newLab(t)
	for _, c := range suites.All() {
		if len(c.Kills) == 0 {
			t.Errorf("%s names no fault that it detects", c.ID)
		}
		for _, k := range c.Kills {
			for _, at := range l.where(c, k.Fault) {
				at.mustDetect(t, c, k)
			}
		}
	}
}

// mustDetect runs a check against one of its own faults.
func (s served) mustDetect(t *testing.T, c suites.Check, k suites.Kill) {
	t.Helper()
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
	"ct-strict-415":              noLicense("whoever sends the type that the profile names gets no license"),
	"redirect-307":               noLicense("no other check follows a redirect of a key request"),
	"redirect-302-drops-body":    noLicense("no other check follows a redirect of a key request"),
	"status-201":                 noLicense("the profile takes no status for success but 200"),
	"customdata-missing-generic": {"PR-TOK-01": "the profile expects an error of authorization"},
	"query-plus-to-space":        {"AU-10": "in one of the variants the token is in the query"},
	"kid-not-bound":              {"WV-PSH-05": "what the service says to a token's holder who asks for a KID that does not exist is not documented"},
	"raw-when-json-asked":        {"WV-CRT-01": "the certificate's answer has that form too", "AU-10": "in one of the variants the answer is JSON"},
	"token-consumed-by-cert":     {"WV-LIC-01": "two tokens of the same second are one"},
	"malformed-breaks-next":      {"TR-06": "it sends a request under another type right after a malformed one"},
	"resp-ct-lies":               {"PR-SOAP-01": "the profile names the type of the answers"},
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
	"stall-100ms-every-second": "slow, not wrong: it is for load tests, where the latencies show it",
	"pr-redirect":              "a right redirect: clients follow it, and every check with them",
	"pr-first-play-missing":    "what a license must hold of first play is the provider's promise, which profiles cannot state",
	"ep-authenticator-ignored": "no check asks for a token with a wrong authenticator: a provider may lock the account that it guesses at",
}

// forLoad are faults that checks are not run against, each with the reason.
var forLoad = map[string]string{
	"answer-after-3s": "slow, not wrong: it is for load with a shorter timeout; each check would take minutes",
	"answer-twice":    "which request gets the second answer is a matter of time: load counts it, a check would be red now and then",
}

// tokenFaults are those of tokens that a token service issues, jwtFaults those of tokens that are made here. None changes
// anything at a plain service.
var (
	tokenFaults = []string{
		"ep-authenticator-ignored", "auth-not-enforced", "token-signature-ignored", "expired-accepted", "ttl-half", "kid-not-bound",
		"token-consumed-by-cert", "query-plus-to-space", "customdata-missing-generic",
	}
	jwtFaults = []string{
		"auth-not-enforced", "token-signature-ignored", "expired-accepted", "ttl-half", "alg-none-ok", "zero-skew", "nbf-ignored", "aud-ignored",
		"token-reuse-accepted", "raw-when-json-asked",
	}
)

// promiseFaults are what a license can do that the contract does not say: shown where the profile has promises.
var promiseFaults = []string{"hdcp-v2-on-sd", "duration-7s", "persist-mismatch"}

// at returns where a fault is shown to all checks.
func (l *lab) at(f fakes.Fault) []served {
	var all []served
	if slices.Contains(tokenFaults, f.Name) {
		all = append(all, l.header, l.prTokens)
	}
	if slices.Contains(jwtFaults, f.Name) {
		all = append(all, l.jwt, l.once)
	}
	switch {
	case len(all) > 0:
		return all
	case f.Name == "customdata-ignored":
		return []served{l.prQuery}
	case f.Name == "errorcode-ignored":
		return []served{l.microsoft}
	case f.System == drm.PlayReady:
		return []served{l.ctr, l.cbc, l.stored}
	case slices.Contains(promiseFaults, f.Name):
		return []served{l.google}
	case ofRenewals(f):
		return []served{l.plain, l.renewing}
	case f.System == drm.Widevine:
		return []served{l.plain}
	case f.Layer == fakes.HTTP:
		return []served{l.plain, l.ctr, l.header, l.prTokens}
	}
	return []served{l.plain, l.ctr}
}

// ofRenewals reports whether a fault is one of renewable licenses, or of what is sent for them.
func ofRenewals(f fakes.Fault) bool {
	return f.Operation == drm.KindRenewal || f.Operation == drm.KindRelease || f.Name == "wv-renewal-delay-after-expiry"
}

var (
	full       = flag.Bool("full", false, "run every check against every fault, not a sample")
	sampleSeed = flag.Uint64("sample-seed", 0, "seed of the sample; 0 is a random one")
)

// sampled is how many checks that do not name a fault run against it where not all do.
const sampled = 20

// TestFaultsFailOnlyWhoNamesThem runs the checks that name a fault, and a sample of the others or all, against every fault. A check
// that does not name the fault may be blocked by it, but neither fail, nor warn, nor be a harness error.
func TestFaultsFailOnlyWhoNamesThem(t *testing.T) {
	if testing.Short() {
		t.Skip("the matrix takes a while")
	}
	for *sampleSeed == 0 {
		*sampleSeed = rand.Uint64()
	}
	t.Logf("sample seed %d", *sampleSeed)
	random := rand.New(rand.NewPCG(*sampleSeed, 0))
	l := newLab(t)
	for _, f := range fakes.Catalogue() {
		t.Run(f.Name, func(t *testing.T) {
			if why := forLoad[f.Name]; why != "" {
				t.Skip(why)
			}
			named := 0
			for _, at := range l.at(f) {
				set(t, at.fake, f.Name)
				named += failOnlyNamed(t, f.Name, at.target, random)
				at.fake.ClearFaults()
			}
			if named == 0 && notKilled[f.Name] == "" {
				t.Error("no check names this fault")
			}
		})
	}
}

// names reports whether a check names a fault.
func names(c suites.Check, fault string) bool {
	return slices.ContainsFunc(c.Kills, func(k suites.Kill) bool { return k.Fault == fault })
}

// chosen returns the checks of a system that name a fault, and some of the others.
func chosen(s drm.System, fault string, random *rand.Rand) []suites.Check {
	all := of(s)
	if *full {
		return all
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	others := 0
	return slices.DeleteFunc(all, func(c suites.Check) bool {
		if names(c, fault) {
			return false
		}
		others++
		return others > sampled
	})
}

// failOnlyNamed runs checks of the target's system against a fault and returns how many name it.
func failOnlyNamed(t *testing.T, fault string, target *suites.Target, random *rand.Rand) (named int) {
	t.Helper()
	target.Patience = new(suites.Patience)
	waitFor(target, fault)
	red := 0
	for _, c := range chosen(target.Profile.DRM, fault, random) {
		r, _ := suites.Run(t.Context(), c, target)
		bad := slices.Contains([]reports.Outcome{reports.Fail, reports.Warn, reports.Info, reports.Error}, r.Outcome)
		kills := names(c, fault)
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
