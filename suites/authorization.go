package suites

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// The reasons of checks of authorization.
const (
	reasonNotAuthorization drm.Reason = "not-an-authorization-error" // refused, but not for the token
	reasonTokenEscaping    drm.Reason = "token-escaping"
	reasonTokenUsedUp      drm.Reason = "token-used-up"
	reasonTokenLife        drm.Reason = "token-life"
	reasonTokenSkew        drm.Reason = "token-skew"
	reasonVariantsDiffer   drm.Reason = "variants-differ"
)

// authorizationChecks are the checks of what a provider wants with a key request, whatever its system (sheet providers.md
// §7.2). What a token is and where it goes is the profile's; the ways to spoil it follow from the profile (§4.5).
func authorizationChecks() []Check {
	const source = "practice; sheet providers.md §7.2"
	checks := []Check{
		{
			ID: "AU-01", Title: "A request without the token, or with an empty or cut one, is refused for it", Level: reports.Must,
			Source: source,
			Why:    "A header that is silently never sent goes unnoticed as long as the service does not insist on it, and then the keys are everybody's.",
			Hint:   "Does the service insist on the token, and is its refusal one that the profile's errors know?",
			Kills:  []Kill{{"auth-not-enforced", reports.Fail, reasonAccepted}, {"customdata-missing-generic", reports.Fail, reasonNotAuthorization}},
			Leaves: leavesToken,
			Run: func(e *Env) {
				e.rightToken()
				lease := e.takeLease(e.firstNeed()) // one for all, since it may cost money: none of them presents it whole
				e.refuseForToken(provider.ScenarioTokenMissing, lease.WithoutToken())
				e.refuseForToken(provider.ScenarioTokenMissing, lease.WithEmptyToken())
				e.refuseForToken(provider.ScenarioTokenMalformed, lease.WithTruncatedToken())
			},
		},
		{
			ID: "AU-02", Title: "A token in the query is decoded once: what is percent-encoded arrives as it was", Level: reports.Must, Source: source,
			Why:   "Tokens hold +, / and =. A proxy that decodes the query twice makes a space of a +, and some tokens stop working.",
			Hint:  "Does anything before the license service decode and encode the query anew?",
			Kills: []Kill{{"query-plus-to-space", reports.Fail, reasonTokenEscaping}},
			Run:   escapedToken,
		},
		{
			ID: "AU-03", Title: "A token serves as many requests as the profile says, certificate requests included", Level: reports.Must, Source: source,
			Why: "A player asks for the service certificate first. If that uses a one-time token up, the license request that follows is refused.",
			Hint: "Does the service count certificate requests? If it is meant to, the profile's certificate.consumes_token must say so; and does " +
				"it keep the ids of used tokens?",
			Kills: []Kill{{"token-consumed-by-cert", reports.Fail, reasonTokenUsedUp}, {"token-reuse-accepted", reports.Fail, reasonAccepted}},
			Run:   tokenUses,
		},
		{
			ID: "AU-04", Title: "A token is good until its end, and refused after it", Level: reports.Must, Source: source,
			Why:     "A token that dies early fails in the second ad break; one that lives on opens the content for ever.",
			Hint:    "The failure names how long the token really lives: is it the profile's ttl that is wrong, or the service?",
			Timeout: maxWait + DefaultTimeout,
			Kills:   []Kill{{"ttl-half", reports.Fail, reasonTokenLife}, {"expired-accepted", reports.Fail, reasonAccepted}},
			Run:     tokenLife,
		},
		{
			ID: "AU-05", Title: "A token from a clock that is 5 seconds ahead or behind is accepted, one from an hour off is refused", Level: reports.Must,
			Source: source,
			Why:    "Clocks of servers differ by seconds. A service without leeway refuses tokens at random.",
			Hint:   "What leeway does the service give to nbf, iat or the like?",
			Kills: []Kill{
				{"zero-skew", reports.Fail, reasonTokenSkew}, {"expired-accepted", reports.Fail, reasonAccepted}, {"nbf-ignored", reports.Fail, reasonAccepted},
			},
			Run: tokenSkew,
		},
		{
			ID: "AU-06", Title: "A token that has ended, has not begun, ends before it begins or has no end is refused, each for what it is", Level: reports.Should,
			Source: source,
			Why:    "Each of the times that is not looked at is a way to use a token when it was not meant to be used.",
			Hint:   "The failure names the token that was accepted: which claim is not verified?",
			Kills:  []Kill{{"nbf-ignored", reports.Warn, reasonAccepted}, {"expired-accepted", reports.Warn, reasonAccepted}},
			Leaves: leavesToken,
			Run:    tokenTimes,
		},
		{
			ID: "AU-07", Title: "A token of another key, without a signature, or by or for somebody else is refused", Level: reports.Must, Source: source,
			Why:  "Whoever can write tokens has all keys.",
			Hint: "The failure names the token that was accepted: are algorithm and key the service's choice, or the token's?",
			Kills: []Kill{
				{"alg-none-ok", reports.Fail, reasonAccepted}, {"aud-ignored", reports.Fail, reasonAccepted}, {"token-signature-ignored", reports.Fail, reasonAccepted},
			},
			Leaves: leavesToken,
			Run:    tokenSigner,
		},
		{
			ID: "AU-08", Title: "A token of one KID gives no key of another", Level: reports.Must, Source: source,
			Why:   "Who may watch one film could watch all of them.",
			Hint:  "Are the KIDs of the request compared with the token's, or is any valid token enough?",
			Kills: []Kill{{"kid-not-bound", reports.Fail, reasonAccepted}},
			Run:   tokenForOtherContent,
		},
		{
			ID: "AU-09", Title: "A challenge without the custom data that the service wants gets a fault that names what is missing", Level: reports.Must, Source: source,
			Why:   "A fault of the catch-all code alone sends integrators to look for a fault in their content.",
			Hint:  "Is the fault's detail, or the code in it, one that the profile's errors know?",
			Kills: []Kill{{"customdata-missing-generic", reports.Fail, reasonNotAuthorization}, {"auth-not-enforced", reports.Fail, reasonAccepted}},
			Run: func(e *Env) {
				if !e.Profile.TokenPlaces().CustomData {
					e.NotApplicable("the token is not in custom data")
				}
				Require(e, HaveLicense)
				e.refuseForToken(provider.ScenarioTokenMissing, e.takeLease(e.firstNeed()).WithoutToken())
			},
		},
		{
			ID: "AU-10", Title: "All ways to carry the token give the same license, and in a place of nobody's it is not found", Level: reports.Should, Source: source,
			Why:  "Players differ in what they can attach: custom data is lost by newer ones, headers by older ones.",
			Hint: "The failure names the variant that is refused.",
			Kills: []Kill{
				{"customdata-ignored", reports.Warn, reasonVariantsDiffer}, {"auth-not-enforced", reports.Warn, reasonAccepted},
				{"customdata-missing-generic", reports.Warn, reasonNotAuthorization},
			},
			Run: tokenPlaces,
		},
	}
	for i := range checks {
		checks[i].Scope = ScopeTarget
		checks[i].Needs = append([]Need{NeedTrusted, NeedToken}, checks[i].Needs...)
	}
	return checks
}

// refuseForToken sends a request that must be refused for its token, with an error that the profile takes for one of
// authorization, if it knows errors at all.
func (e *Env) refuseForToken(scenario string, lease *provider.Lease) {
	x := e.refuseLease(scenario, lease)
	if !e.trusted() {
		return // refuseLease has seen that it is
	}
	if c := errorClass(x); c != "" && !isAuthorization(c) && !slices.Contains(e.Profile.Expect[scenario].Class, c) {
		e.Fail(Failure{Reason: reasonNotAuthorization, Step: stepWrongToken, Expected: "a refusal that the profile knows as one of authorization",
			Seen: fmt.Sprintf("HTTP %d of class %s", x.Status, x.Reply.Error)})
	}
}

// errorClass returns what the profile says of an answer that is no license, "" if it knows no errors.
func errorClass(x *Exchange) provider.ErrorClass {
	if x.Reply.Error == nil {
		return ""
	}
	return x.Reply.Error.Class
}

func isAuthorization(c provider.ErrorClass) bool {
	return slices.Contains([]provider.ErrorClass{
		provider.ErrorAuthMissing, provider.ErrorAuthMalformed, provider.ErrorAuthInvalid, provider.ErrorAuthExpired, provider.ErrorAuthReused,
	}, c)
}

// askWith sends a request for the asset with a lease, and perhaps something wrong about the request.
func (e *Env) askWith(step string, lease *provider.Lease, edit func(*provider.Request)) *Exchange {
	x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindLicense, lease: lease, edit: edit})
	if err != nil {
		e.block(step, err)
	}
	return x
}

// wantGranted ends the check if the answer is no license.
func (e *Env) wantGranted(x *Exchange, reason drm.Reason, step, expected string) {
	if x.Granted() {
		return
	}
	seen := fmt.Sprintf("HTTP %d without a license", x.Status)
	if err := x.Usable(); err != nil {
		seen = err.Error()
	}
	e.Fail(Failure{Reason: reason, Step: step, Expected: expected, Seen: seen})
}

// maxTokens is how many tokens a check takes in search of one with a character that must be escaped.
const maxTokens = 12

func escapedToken(e *Env) {
	const step = "send the token percent-encoded"
	places := e.Profile.TokenPlaces()
	if len(places.Query) == 0 {
		e.NotApplicable("the token is not in the query")
	}
	if x := Require(e, HaveAnswer); !x.Granted() {
		e.grantedElsewhere(x)
	}
	tries := maxTokens
	if e.Profile.Billed() && e.Kind == Server {
		tries = 1
	}
	special := false
	for range tries {
		lease := e.takeLease(e.firstNeed())
		x := e.askWith(step, lease, func(r *provider.Request) {
			special = strings.ContainsAny(r.EscapeQuery(places.Query), "+/=|")
		})
		e.wantGranted(x, reasonTokenEscaping, step, "a license, as for the same token as clients write it")
		if special {
			break
		}
	}
	if !special {
		e.Note("every character of %s percent-encoded: granted; the tokens hold no character that must be", strings.Join(places.Query, ", "))
		return
	}
	e.Note("a token with characters that must be escaped: granted with every character of it percent-encoded")
}

// grantedElsewhere fails the check if the token is taken in another place than the query, where it is not: it must have been
// changed on its way. Else the check is blocked.
func (e *Env) grantedElsewhere(refused *Exchange) {
	siblings, err := e.Profile.Siblings()
	if err != nil {
		e.block("prepare the other variants", &HarnessError{err})
	}
	for _, p := range siblings {
		if len(p.TokenPlaces().Query) > 0 {
			continue
		}
		if _, err := e.in(p).obtain(e.Platform, call{kind: drm.KindLicense}); err == nil {
			e.Fail(Failure{Reason: reasonTokenEscaping, Step: "send the token in the query", Expected: "a license, as in the variant " + p.Variant,
				Seen: fmt.Sprintf("HTTP %d without a license", refused.Status)})
		}
	}
	e.block("obtain a license", refused.Usable())
}

// in returns the environment with another variant of the profile.
func (e *Env) in(p *provider.Profile) *Env {
	other, env := *e.Target, *e
	other.Profile, other.Variant = p, p.Variant
	env.Target = &other
	return &env
}

func tokenUses(e *Env) {
	Require(e, HaveLicense)
	lease := e.takeLease(e.firstNeed())
	certificate := e.Profile.DRM == drm.Widevine && e.Profile.Certificate.Mode == "same_url"
	if certificate {
		x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindCertificate, lease: lease})
		if err != nil {
			e.block("ask for the service certificate", err)
		}
		if x.Reply.Class != provider.ClassOK {
			e.NotApplicable("the server offers no service certificate")
		}
	}
	if !e.Profile.Certificate.ConsumesToken {
		const step = "ask for a license with the token of a certificate request"
		e.wantGranted(e.askWith(step, lease, nil), reasonTokenUsedUp, step, "a license: the profile says that a certificate request uses no token up")
	}
	if !e.Profile.SingleUse() {
		e.Note("one token: certificate and license")
		return
	}
	if e.Profile.Certificate.ConsumesToken && !certificate {
		lease = e.takeLease(e.firstNeed())
		e.wantGranted(e.askWith("ask for a license", lease, nil), reasonTokenUsedUp, "ask for a license", "a license")
	}
	e.refuseForToken(provider.ScenarioTokenReused, lease)
	e.Note("a token that was used is refused")
}

// tokenPlaces asks with each of the profile's variants, and with the token in a place of nobody's.
func tokenPlaces(e *Env) {
	Require(e, HaveLicense)
	siblings, err := e.Profile.Siblings()
	if err != nil {
		e.block("prepare the other variants", &HarnessError{err})
	}
	if len(siblings) == 0 {
		e.NotApplicable("the profile has no other variant")
	}
	var same []string
	for _, p := range siblings {
		step := "ask in the variant " + p.Variant
		x, err := e.in(p).obtain(e.Platform, call{kind: drm.KindLicense})
		if err != nil {
			e.Fail(Failure{Reason: reasonVariantsDiffer, Step: step, Expected: "a license, as in the variant " + e.Variant, Seen: err.Error()})
		}
		if got, want := len(grantedKIDs(x)), len(grantedKIDs(Require(e, HaveLicense))); got != want {
			e.Fail(Failure{Reason: reasonVariantsDiffer, Step: step, Expected: fmt.Sprintf("%d keys, as in the variant %s", want, e.Variant), Seen: fmt.Sprintf("%d keys", got)})
		}
		same = append(same, p.Variant)
	}
	if slices.Contains(e.Profile.TokenPlaces().Headers, http.CanonicalHeaderKey("authorization")) {
		e.Note("the same license in %s", strings.Join(same, ", "))
		return
	}
	e.refuseForToken(provider.ScenarioTokenWrongPlace, e.takeLease(e.firstNeed()).WithMisplacedToken())
	e.Note("the same license in %s; a token in the header Authorization is not found", strings.Join(same, ", "))
}
