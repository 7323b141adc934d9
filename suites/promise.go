package suites

import (
	"fmt"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

// The reasons of checks of what the contract promises.
const (
	reasonProtection drm.Reason = "more-protection-than-promised"
	reasonTooShort   drm.Reason = "shorter-than-promised"
	reasonStorable   drm.Reason = "persistence-not-as-promised"
)

// promiseChecks compare licenses with what the profile says that the contract promises (sheet providers.md §7.3; DESIGN's key
// promises).
func promiseChecks() []Check {
	const source = "the contract, as the profile has it; practice; sheet providers.md §7.3"
	checks := []Check{
		{
			ID: "RW-17", Title: "A license demands no more of outputs and devices than was promised", Level: reports.Should, Source: source,
			Why:   "A player shows nothing on a screen without the HDCP version that the license demands, although it could.",
			Hint:  "Which policy does the service apply to this track, and is the profile's promise still the contract's?",
			Kills: []Kill{{"hdcp-v2-on-sd", reports.Warn, reasonProtection}},
			Run:   func(e *Env) { e.keepsPromises("protection", protectionKept) },
		},
		{
			ID: "RW-21", Title: "A license lasts at least as long as was promised", Level: reports.Should, Source: source,
			Why:   "A license that ends after seconds stops the film, and asks for new ones for ever.",
			Hint:  "Are the durations of the policy in seconds, and counted from the right moment?",
			Kills: []Kill{{"duration-7s", reports.Warn, reasonTooShort}},
			Run:   func(e *Env) { e.keepsPromises("durations", durationKept) },
		},
		{
			ID: "RW-23", Title: "A license may be stored, and renewed, exactly if that was promised", Level: reports.Should, Source: source,
			Why:   "Downloads do not play if their licenses are not stored; licenses that are stored against the contract play for ever.",
			Hint:  "Does the request ask for what the contract says, and does the service look at that?",
			Kills: []Kill{{"persist-mismatch", reports.Warn, reasonStorable}},
			Run:   func(e *Env) { e.keepsPromises("persistence", persistenceKept) },
		},
	}
	for i := range checks {
		checks[i].Scope, checks[i].Needs = ScopeTarget, []Need{NeedTrusted}
	}
	return checks
}

// granted is one key of a license, and what was promised for its track.
type granted struct {
	exchange *Exchange
	license  drm.License
	key      drm.ContentKey
	label    string
	promise  provider.Promise
}

// kept says what of a license is less than promised, "" if nothing, and whether the promise says anything of it at all.
type kept func(g granted) (f Failure, said bool)

func (e *Env) keepsPromises(what string, judge kept) {
	if len(e.Profile.Promises) == 0 {
		e.NotApplicable("the profile has no promises")
	}
	judged := 0
	for _, x := range Require(e, HaveLicenses) {
		for _, l := range x.Session.Licenses() {
			for _, k := range l.Keys {
				g := granted{exchange: x, license: l, key: k, label: e.Asset.Labels()[k.KID]}
				g.promise, _ = e.Profile.PromiseOf(g.label)
				f, said := judge(g)
				if !said {
					continue
				}
				judged++
				if f.Reason != "" {
					f.Step = fmt.Sprintf("read the license for %s, KID %s", g.label, k.KID)
					e.Fail(f)
				}
			}
		}
	}
	if judged == 0 {
		e.NotApplicable("the profile promises nothing about " + what)
	}
	e.Note("%s of %d keys as promised", what, judged)
}

// hdcpVersions are Widevine's values of HDCP, which are in the order of their strength, by their names in profiles.
var hdcpVersions = map[string]wire.HDCP{
	"none": wire.HDCP_HDCP_NONE, "v1": wire.HDCP_HDCP_V1, "v2": wire.HDCP_HDCP_V2, "v2.1": wire.HDCP_HDCP_V2_1,
	"v2.2": wire.HDCP_HDCP_V2_2, "v2.3": wire.HDCP_HDCP_V2_3,
}

func protectionKept(g granted) (f Failure, said bool) {
	if most := g.promise.SecurityLevel; most > 0 {
		said = true
		if g.key.SecurityLevel > most {
			return Failure{Reason: reasonProtection, Expected: fmt.Sprintf("a security level of at most %d", most), Seen: fmt.Sprint(g.key.SecurityLevel)}, true
		}
	}
	for _, c := range g.exchange.Answer().Containers {
		if g.promise.HDCP == "" || c.KID == nil || *c.KID != g.key.KID {
			continue
		}
		said = true
		if asked := c.Wire.GetRequiredProtection().GetHdcp(); asked > hdcpVersions[g.promise.HDCP] {
			return Failure{Reason: reasonProtection, Expected: "HDCP " + g.promise.HDCP + " at most", Seen: asked.String()}, true
		}
	}
	return Failure{}, said
}

func durationKept(g granted) (Failure, bool) {
	for _, d := range []struct {
		what           string
		promised, have time.Duration
	}{{"from its start", g.promise.License, g.license.Policy.License}, {"from first play", g.promise.Playback, g.license.Policy.Playback}} {
		if d.promised > 0 && d.have > 0 && d.have < d.promised {
			return Failure{Reason: reasonTooShort, Expected: fmt.Sprintf("%v %s, or no end", d.promised, d.what), Seen: d.have.String()}, true
		}
	}
	return Failure{}, g.promise.License > 0 || g.promise.Playback > 0
}

func persistenceKept(g granted) (Failure, bool) {
	for _, p := range []struct {
		what     string
		promised *bool
		have     bool
	}{{"stored", g.promise.Persistent, g.license.Policy.CanPersist}, {"renewed", g.promise.Renewable, g.license.Policy.CanRenew}} {
		if p.promised != nil && *p.promised != p.have {
			return Failure{Reason: reasonStorable, Expected: fmt.Sprintf("a license that may be %s: %v", p.what, *p.promised), Seen: fmt.Sprint(p.have)}, true
		}
	}
	return Failure{}, g.promise.Persistent != nil || g.promise.Renewable != nil
}
