package suites

import (
	"encoding/base64"

	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/reports"
)

// playReadyNonce are the checks of how an answer is bound to its request (sheet playready.md §14.4).
func playReadyNonce() []Check {
	return []Check{
		{
			ID: "PR-NON-01", Title: "The Rights ID of a license that stays in memory is the request's nonce",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.4, §8.1",
			Why:   "Clients refuse any other: it keeps recorded licenses from being played again.",
			Hint:  "Is the Rights ID copied from LicenseNonce, or made up as for persistent licenses?",
			Kills: []Kill{{"pr-rights-id-random", reports.Fail, playready.ReasonRightsID}},
			Run: func(e *Env) {
				x := Require(e, haveXMR)
				if !x.PlayReady().Licenses[0].XMR.CannotPersist {
					e.NotApplicable("the server's license may be stored: the response's nonce binds it")
				}
				e.FailOn(x.Observation, playready.ReasonRightsID)
			},
		},
		{
			ID: "PR-NON-02", Title: "The Rights IDs of further licenses that stay in memory follow from the nonce",
			Level: reports.Should, Source: "an earlier revision of Microsoft's documents; sheet playready.md §14.4, §8.1",
			Why:   "Clients that go by it refuse the licenses of all tracks but the first.",
			Hint:  "The i-th license has nonce + i; the nonce itself, and an addition in little-endian order, are taken too.",
			Kills: []Kill{{"pr-further-rights-ids-zero", reports.Warn, playready.ReasonRightsID}},
			Run:   furtherRightsIDs,
		},
		{
			ID: "PR-NON-04", Title: "A challenge whose nonce is missing, too short or not base64 is refused",
			Level: reports.Should, Source: "protocol necessity; sheet playready.md §14.4",
			Why:   "A license without a nonce can be recorded and played again.",
			Hint:  "Is the nonce's presence and length verified before the license is issued?",
			Kills: []Kill{{"pr-nonce-ignored", reports.Warn, reasonAccepted}},
			Run: func(e *Env) {
				nonce := func(text string) playready.Forge {
					return playready.Forge{LA: func(la *soap.LA) { la.Nonce = text }}
				}
				e.mustRefuseChallenge(nonce(""), nonce(base64.StdEncoding.EncodeToString([]byte("too short"))), nonce("!!!! no base64 !!!!"))
			},
		},
		{
			ID: "PR-RSP-04", Title: "A response has version 1 and its elements are in their namespaces",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.4, §8.1",
			Why:   "Clients look elements up by namespace: a License in no namespace is none.",
			Hint:  "Is the response put together as text from a template that lost an xmlns?",
			Kills: []Kill{{"pr-license-namespace", reports.Fail, playready.ReasonForm}},
			Run: func(e *Env) {
				x := Require(e, Step[*Exchange]{"read the answer", func(e *Env) (*Exchange, error) {
					x := Require(e, HaveAnswer)
					return x, x.problem(playready.ReasonEmptyAnswer, playready.ReasonNotSOAP)
				}})
				e.FailOn(x.Observation, playready.ReasonForm)
			},
		},
	}
}

func furtherRightsIDs(e *Env) {
	x := Require(e, haveGranted(e.severalKIDs()))
	Require(e, Step[*Exchange]{"read the licenses", func(*Env) (*Exchange, error) {
		if err := x.problem(playready.ReasonLicenseParse); err != nil {
			return x, err
		}
		for _, f := range x.Observation.Findings { // the first license is another check's
			if f.Reason == playready.ReasonRightsID && f.KID != nil && *f.KID == x.PlayReady().Licenses[0].XMR.KID {
				return x, f
			}
		}
		return x, nil
	}})
	for _, l := range x.PlayReady().Licenses {
		if !l.XMR.CannotPersist {
			e.NotApplicable("the server's licenses may be stored: the response's nonce binds them")
		}
	}
	e.FailOn(x.Observation, playready.ReasonRightsID)
	e.Note("%d licenses: %s", len(x.PlayReady().Licenses), x.PlayReady().Pattern)
}
