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
	}}
}
