package suites

import (
	"fmt"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/reports"
)

// widevineRelease are the checks of releases (sheet widevine.md §18, "Renewal and release"), of licenses that may be renewed.
func widevineRelease() []Check {
	return []Check{
		{
			ID: "WV-REL-01", Title: "A release is acknowledged with the license's ids, signed, and without content keys",
			Level: reports.Should, Source: "schema, uncertain; sheet widevine.md §18, §10",
			Why:   "Without the acknowledgement a client keeps the license, and asks again and again.",
			Hint:  "Is a release taken for a license request?",
			Kills: []Kill{{"wv-release-with-keys", reports.Warn, widevine.ReasonReleaseKeys}},
			Run: func(e *Env) {
				n := e.deliver(e.next(e.renewable(e.Platform), drm.KindRelease), call{}, stepRelease)
				e.failOnGoingOn(n)
				e.FailOn(n.Observation, widevine.ReasonReleaseKeys)
			},
		},
		{
			ID: "WV-REL-02", Title: "A license that was released is not renewed",
			Level: reports.Should, Source: "practice; sheet widevine.md §18",
			Why:   "Who gives a license back to free a place among the customer's devices would keep it nevertheless.",
			Hint:  "Does the server keep that the session is over?",
			Kills: []Kill{{"wv-release-then-renewed", reports.Warn, reasonAccepted}},
			Run: func(e *Env) {
				x := e.renewable(e.Platform)
				e.renewed(x)
				release, renewal := e.next(x, drm.KindRelease), e.next(x, drm.KindRenewal)
				e.follow(release, call{})
				e.Note("renewed before the release; refused after it with %s", e.mustNotGoOn(renewal, "renew a released license"))
			},
		},
		{
			ID: "WV-REL-03", Title: "A repeated release is acknowledged again",
			Level: reports.Should, Source: "practice; sheet widevine.md §18",
			Why:   "A client whose acknowledgement got lost releases again, until it gets one.",
			Hint:  "Is the session deleted with the first release?",
			Kills: []Kill{{"wv-release-once", reports.Warn, provider.ReasonStatus}},
			Run: func(e *Env) {
				x := e.renewable(e.Platform)
				first, again := e.next(x, drm.KindRelease), e.next(x, drm.KindRelease)
				e.follow(first, call{})
				e.failOnGoingOn(e.deliver(again, call{}, "release the license again"))
			},
		},
	}
}

// renewalTimes judges WV-POL-04.
func renewalTimes(e *Env) {
	p := e.renewable(e.Platform).Session.Licenses()[0].Policy
	seen := fmt.Sprintf("license_duration %v, renewal_delay %v, renewal_retry_interval %v", p.License, p.RenewAfter, p.RetryEvery)
	if p.License <= 0 || p.RenewAfter >= p.License || p.RetryEvery < time.Second {
		e.Fail(Failure{Reason: reasonRenewalTimes, Step: "apply the policy", Seen: seen,
			Expected: "a license_duration, a renewal_delay below it and a renewal_retry_interval above 0"})
	}
	e.Note("%s", seen)
}
