package suites

import (
	"keyflow/drm/widevine"
	"keyflow/reports"
)

// widevinePolicy are the checks of what a license allows (sheet widevine.md §18, "Policy").
func widevinePolicy() []Check {
	return []Check{{
		ID: "WV-POL-01", Title: "A granted license has a policy that allows playback",
		Level: reports.Must, Source: "schema: can_play is false by default; sheet widevine.md §18, §4.11",
		Why:   "Keys of a license without can_play must not be used: the player shows black.",
		Hint:  "Is the policy of the license filled in, and can_play set explicitly?",
		Kills: []Kill{{"wv-can-play-missing", reports.Fail, widevine.ReasonCannotPlay}},
		Run: func(e *Env) {
			x := Require(e, HaveParsed)
			e.FailOn(x.Observation, widevine.ReasonCannotPlay)
		},
	}, {
		ID: "WV-POL-04", Title: "A renewable license ends, is to be renewed before that, and says how often to try",
		Level: reports.Should, Source: "schema, practice; sheet widevine.md §18, §9",
		Why:   "A license that is renewed after its end stops playback each time; without a pause between attempts clients flood the service.",
		Hint:  "Are the durations in seconds, and does the renewal delay fit the license's duration?",
		Kills: []Kill{{"wv-renewal-delay-after-expiry", reports.Warn, reasonRenewalTimes}},
		Run:   renewalTimes,
	}}
}
