package suites

import (
	"fmt"
	"time"

	"keyflow/drm/provider"
)

// lifeSteps is how often the life of a token that ends too early is halved to find out how long it is.
const lifeSteps = 5

// tokenLife sends tokens shortly before their end, which must be granted, and after it. Tokens that are made here are made as
// if they were older; for others time passes.
func tokenLife(e *Env) {
	Require(e, HaveLicense)
	lease := e.takeLease(e.firstNeed())
	if lease.Expires.IsZero() {
		e.NotApplicable("the profile's tokens have no ttl: they do not expire")
	}
	life := lease.Expires.Sub(e.clock().Now()).Round(time.Second)
	if traits := e.Profile.TokenTraits(); traits.Ends {
		e.localLife(life, traits)
		return
	}
	e.lifeGoesBy(life, lease)
}

// localLife judges tokens that are made here: one of a token's age is made with its times moved into the past.
func (e *Env) localLife(life time.Duration, traits provider.TokenTraits) {
	aged := func(age time.Duration) *Exchange {
		lease, err := e.Profile.ForgedLease(e.Context, e.firstNeed(), provider.Forgery{End: -age, Begin: -age})
		if err != nil {
			e.block("make a token", err)
		}
		return e.askWith(fmt.Sprintf("send a token that is %v old", age), lease, nil)
	}
	late := life * 9 / 10
	if x := aged(late); !x.Granted() {
		good, bad := time.Duration(0), late
		for range lifeSteps {
			if middle := (good + bad) / 2; aged(middle).Granted() {
				good = middle
			} else {
				bad = middle
			}
		}
		e.shortLife(life, late, fmt.Sprintf("refused; it lives between %v and %v", good.Round(time.Second), bad.Round(time.Second)))
	}
	e.refuseForged(spoilt{
		fmt.Sprintf("a token that ended %v ago", expiryMargin), provider.ScenarioTokenExpired,
		provider.Forgery{End: -traits.EndOffset - expiryMargin, Begin: -traits.EndOffset - expiryMargin},
	})
	e.Note("granted %v after it was made, refused %v after its end", late, expiryMargin)
}

func (e *Env) shortLife(life, age time.Duration, seen string) {
	e.Fail(Failure{Reason: reasonTokenLife, Step: fmt.Sprintf("send a token that is %v old", age),
		Expected: fmt.Sprintf("a license: the token lives %v", life), Seen: seen})
}

// lifeGoesBy judges tokens of a token service: it waits, see [Env.passUntil].
func (e *Env) lifeGoesBy(life time.Duration, lease *provider.Lease) {
	late := life * 9 / 10
	restore := e.passUntil(lease.Expires.Add(late-life), forToken)
	x := e.askWith("send a token shortly before its end", lease, nil)
	restore()
	if !x.Granted() {
		e.shortLife(life, late, fmt.Sprintf("HTTP %d without a license", x.Status))
	}
	lease = e.takeLease(e.firstNeed())
	defer e.passUntil(lease.Expires.Add(expiryMargin), forToken)()
	e.refuseForToken(provider.ScenarioTokenExpired, lease)
	e.Note("granted %v after it was made, refused %v after its end", late, expiryMargin)
}
