package suites

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"keyflow/drm/provider"
)

// spoilt is a token that is wrong in one way.
type spoilt struct {
	what     string
	scenario string
	forgery  provider.Forgery
}

// mustRefuseForged sends requests whose tokens were made wrong, each of which must be refused.
func (e *Env) mustRefuseForged(all []spoilt) {
	e.rightToken()
	var refused []string
	for _, s := range all {
		if e.documented(s.scenario) {
			continue
		}
		e.refuseForged(s)
		refused = append(refused, s.what)
	}
	e.Note("%srefused: %s", e.beside("right token granted; "), strings.Join(refused, ", "))
}

// documented reports whether the profile says that a token that is wrong in this way is taken.
func (e *Env) documented(scenario string) bool {
	o := e.Profile.Expect[scenario]
	return o.Status.Has(http.StatusOK) && len(o.Class) == 0 // a class is that of a refusal, whatever the status
}

func (e *Env) refuseForged(s spoilt) {
	lease, err := e.Profile.ForgedLease(e.Context, e.firstNeed(), s.forgery)
	if err != nil {
		e.block("make "+s.what, err)
	}
	x := e.askWith("get an answer to a request with "+s.what, lease, nil)
	if x.Granted() {
		e.Fail(Failure{Reason: reasonAccepted, Step: "send " + s.what, Expected: wantRefusal, Seen: x.granted()})
	}
	e.refusal(x, "send "+s.what)
	e.forItsToken(s.scenario, x)
	e.asDocumented(s.scenario, x)
}

const hour = time.Hour

func tokenTimes(e *Env) {
	traits := e.localToken()
	var all []spoilt
	if traits.Ends {
		all = append(all, spoilt{"a token that has ended", provider.ScenarioTokenExpired, provider.Forgery{End: -traits.EndOffset - hour, Begin: -2 * hour}},
			spoilt{"a token without an end", provider.ScenarioTokenNoEnd, provider.Forgery{NoEnd: true}})
	}
	if traits.Begins {
		all = append(all, spoilt{"a token that has not begun", provider.ScenarioTokenNotYetValid, provider.Forgery{Begin: hour, End: 2 * hour}})
	}
	if traits.Begins && traits.Ends {
		all = append(all, spoilt{"a token that ends before it begins", provider.ScenarioTokenNotYetValid, provider.Forgery{Begin: hour}})
	}
	e.mustRefuseForged(all)
}

func tokenSigner(e *Env) {
	traits := e.localToken()
	if !traits.Signed {
		e.NotApplicable("the profile's tokens have no signature")
	}
	all := []spoilt{{"a token that is signed with another key", provider.ScenarioTokenWrongKey, provider.Forgery{OtherKey: true}}}
	if traits.JWT {
		all = append(all, spoilt{"a token that says it is not signed", provider.ScenarioTokenUnsigned, provider.Forgery{Unsigned: true}})
	}
	for _, claim := range traits.Identity {
		all = append(all, spoilt{"a token with another " + claim, provider.ScenarioTokenIdentity, provider.Forgery{Identity: claim}})
	}
	e.mustRefuseForged(all)
}

// localToken returns what the tokens are like that are made here. Those of a token service cannot be made wrong.
func (e *Env) localToken() provider.TokenTraits {
	traits := e.Profile.TokenTraits()
	if !traits.Local {
		e.NotApplicable("the provider makes the tokens: none that is wrong in this way can be had")
	}
	return traits
}

// skew is how far apart the clocks of two servers may be.
const skew = 5 * time.Second

func tokenSkew(e *Env) {
	traits := e.localToken()
	if !traits.Begins {
		e.NotApplicable("the profile's tokens do not say when they begin")
	}
	Require(e, HaveLicense)
	for _, ahead := range []time.Duration{skew, -skew} {
		step := fmt.Sprintf("send a token whose beginning is %v from now", ahead)
		lease, err := e.Profile.ForgedLease(e.Context, e.firstNeed(), provider.Forgery{Begin: ahead - traits.BeginOffset, End: ahead})
		if err != nil {
			e.block("make a token", err)
		}
		e.wantGranted(e.askWith(step, lease, nil), reasonTokenSkew, step, "a license: clocks differ by seconds")
	}
	e.refuseForged(spoilt{"a token from an hour ahead", provider.ScenarioTokenNotYetValid, provider.Forgery{Begin: hour - traits.BeginOffset, End: hour}})
	if traits.Ends {
		e.refuseForged(spoilt{"a token from an hour ago", provider.ScenarioTokenExpired, provider.Forgery{Begin: -hour - traits.EndOffset, End: -hour - traits.EndOffset}})
	}
	e.Note("5 seconds ahead and behind granted, an hour refused")
}
