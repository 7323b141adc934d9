package suites

import (
	"fmt"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/reports"
)

// DefaultSoak is how many licenses PR-LIC-07 asks a fake for unless it is told otherwise.
const DefaultSoak = 300

// playReadySoak are checks that take many licenses, or a device that an authority has revoked (sheet playready.md §14.2, §14.5).
func playReadySoak() []Check {
	return []Check{
		{
			ID: "PR-LIC-07", Title: "Coordinates always have 32 bytes: no license of a soak fails to decrypt",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.2, §7.3",
			Why:     "Big integers without their leading zeros make one license in some tens fail, on no device in particular.",
			Hint:    "Are X and Y padded on the left to 32 bytes before they are written?",
			Timeout: 10 * time.Minute,
			Kills:   []Kill{{"pr-minimal-integers", reports.Fail, playready.ReasonKeyUnwrap}},
			Run:     soak,
		},
		{
			ID: "PR-SEC-12", Title: "A revoked certificate is refused with 0x8004C065",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.5, §8.4",
			Why:   "By it a client knows that it must update itself; a license would be in the hands of a broken device.",
			Hint:  "Are the revocation lists of the server fresh, and is every certificate of the chain looked up?",
			Needs: []Need{NeedRevoked},
			Kills: []Kill{{"pr-revocation-ignored", reports.Fail, reasonAccepted}, {"pr-fault-always-600", reports.Fail, reasonFaultCode}},
			Run: func(e *Env) {
				Require(e, HaveLicense)
				x := e.refusedExchange(e.Revoked, Require(e, HaveBox))
				e.codeIs(x, "ask with a revoked device", soap.CodeDeviceRevoked)
			},
		},
	}
}

func soak(e *Env) {
	n := e.Soak
	switch {
	case n == 0 && e.Kind == Server:
		e.end(reports.Excluded, "soak", "asks for many licenses: run it with --soak N")
	case n == 0:
		n = DefaultSoak
	}
	var first drm.Finding
	failed := 0
	for i := range n {
		f := Require(e, haveXMR).Observation.Find(playready.ReasonKeyUnwrap, playready.ReasonCMAC)
		if f == nil {
			continue
		}
		if failed++; failed == 1 {
			first = *f
		}
		if failed == i+1 && failed >= min(n, allFailing) {
			e.block("decrypt a license", first) // all fail: other checks judge that
		}
	}
	if failed > 0 {
		first.Seen = fmt.Sprintf("%d of %d licenses fail; the first: %s", failed, n, first.Seen)
		e.failFor(first)
	}
	e.Note("%d licenses", n)
}

// allFailing is after how many failures without a success a soak gives up.
const allFailing = 10

// playReadyToken are the checks of the token that a provider wants with a challenge, in whichever carrier (sheet playready.md
// §14.7).
func playReadyToken() []Check {
	return []Check{{
		ID: "PR-TOK-01", Title: "A challenge whose token is missing, altered, for other content or expired is refused",
		Level: reports.Must, Source: "the provider's document, practice; sheet playready.md §14.7",
		Why:     "A license service that does not look at its tokens gives every key to everybody.",
		Hint:    "The failure names the token that was accepted: is it verified, compared with the KID, and with the clock?",
		Timeout: maxWait + DefaultTimeout,
		Needs:   []Need{NeedToken},
		Kills: []Kill{
			{"auth-not-enforced", reports.Fail, reasonAccepted},
			{"token-signature-ignored", reports.Fail, reasonAccepted},
			{"kid-not-bound", reports.Fail, reasonAccepted},
			{"expired-accepted", reports.Fail, reasonAccepted},
		},
		Run: func(e *Env) {
			Require(e, HaveLicense)
			e.refuseLease("token_missing", e.takeLease(e.firstNeed()).WithoutToken())
			e.refuseLease("token_bad_signature", e.takeLease(e.firstNeed()).WithAlteredToken())
			tokenForOtherContent(e)
			if e.Advance == nil && !e.Slow {
				e.Note("missing, altered and foreign tokens refused; an expired one is sent with --slow")
				return
			}
			expiredToken(e)
			e.Note("missing, altered, foreign and expired tokens refused")
		},
	}}
}

// grantedKIDs returns the KIDs that an answer has keys for, of either system.
func grantedKIDs(x *Exchange) []drm.KID { return append(contentKIDs(x.Answer()), licensedKIDs(x)...) }
