package suites

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/reports"
)

// widevineToken are the checks of the token that a provider wants with a key request (sheet widevine.md §18,
// "Authorization"). What a token is and where it goes is the profile's; the checks spoil it without knowing the provider.
func widevineToken() []Check {
	const source = "the provider's document, practice; sheet widevine.md §18"
	checks := []Check{
		{
			ID: "WV-ATH-01", Title: "A key request without the token is refused", Level: reports.Must, Source: source,
			Why:    "A license service that takes requests without a token gives every key to everybody.",
			Hint:   "Is authorization switched off in this environment, or skipped when query and header are empty?",
			Kills:  []Kill{{"auth-not-enforced", reports.Fail, reasonAccepted}},
			Leaves: leavesToken,
			Run: func(e *Env) {
				e.mustRefuseToken("token_missing", (*provider.Lease).WithoutToken)
			},
		},
		{
			ID: "WV-ATH-02", Title: "A key request with an expired token is refused", Level: reports.Must, Source: source,
			Why:     "A token that leaked, or was bought for one evening, must not open the content for ever.",
			Hint:    "Does the server compare the token's end with its own clock, in the same unit?",
			Timeout: maxWait + DefaultTimeout,
			Kills:   []Kill{{"expired-accepted", reports.Fail, reasonAccepted}},
			Leaves:  leavesToken,
			Run:     expiredToken,
		},
		{
			ID: "WV-ATH-03", Title: "A token for other content gives no key for this content", Level: reports.Must, Source: source,
			Why:   "Who may watch one film could watch all of them.",
			Hint:  "Are the KIDs of the request compared with the token's, or is any valid token enough?",
			Kills: []Kill{{"kid-not-bound", reports.Fail, reasonAccepted}},
			Run:   tokenForOtherContent,
		},
		{
			ID: "WV-ATH-04", Title: "A key request with an altered token is refused", Level: reports.Must,
			Source: "protocol necessity; sheet widevine.md §18",
			Why:    "If the signature is not verified everybody can write tokens.",
			Hint:   "Is the token only decoded, or verified too?",
			Kills:  []Kill{{"token-signature-ignored", reports.Fail, reasonAccepted}},
			Leaves: leavesToken,
			Run: func(e *Env) {
				e.mustRefuseToken("token_bad_signature", (*provider.Lease).WithAlteredToken)
			},
		},
	}
	for i := range checks {
		checks[i].Needs = append(checks[i].Needs, NeedToken)
	}
	return checks
}

// firstNeed is what the first session needs.
func (e *Env) firstNeed() provider.Need { return Require(e, haveAsks)[0].Need }

// takeLease takes a lease for the first session, and counts no use.
func (e *Env) takeLease(need provider.Need) *provider.Lease {
	lease, err := e.take(need)
	if err != nil {
		e.block("take a lease", err)
	}
	return lease
}

// mustRefuseToken sends a request with a right token, which must be granted, and then one with a spoilt token, which must be
// refused in the way that the profile expects in the scenario.
func (e *Env) mustRefuseToken(scenario string, spoil func(*provider.Lease) *provider.Lease) {
	e.rightToken()
	e.refuseLease(scenario, spoil(e.takeLease(e.firstNeed())))
}

// stepWrongToken is the step that a wrong token is sent in.
const stepWrongToken = "send a key request that has no right token" //nolint:gosec // the name of a step, no credential

// refuseLease sends a request that must be refused for its lease, and returns the exchange.
func (e *Env) refuseLease(scenario string, lease *provider.Lease) *Exchange {
	const step = stepWrongToken
	x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindLicense, lease: lease})
	if err != nil {
		e.block("get an answer to a key request that has no right token", err)
	}
	if x.Granted() {
		e.Fail(Failure{Reason: reasonAccepted, Step: step, Expected: wantRefusal,
			Seen: x.granted()})
	}
	how := e.refusal(x, step)
	e.forItsToken(scenario, x)
	e.asDocumented(scenario, x)
	e.Note("%srefused with %s", e.beside("right token granted; "), how)
	return x
}

// asDocumented notes where a refusal is another one than the profile says.
func (e *Env) asDocumented(scenario string, x *Exchange) {
	if p := e.Profile.Unexpected(scenario, x.Reply); p != nil {
		e.Miss(Failure{Reason: p.Reason, Level: reports.Should, Step: stepWrongToken, Expected: p.Expected, Seen: p.Seen,
			Hint: "Correct the server, or the profile's expect." + scenario + "."})
	}
}

const (
	// expiryMargin is how long after a token's end it is sent: longer than clocks are apart.
	expiryMargin = time.Minute
	// maxWait bounds how long a check waits in real time.
	maxWait = 15 * time.Minute
)

func expiredToken(e *Env) {
	e.rightToken()
	lease := e.takeLease(e.firstNeed())
	if lease.Expires.IsZero() {
		e.NotApplicable("the profile's tokens have no ttl: they do not expire")
	}
	defer e.passUntil(lease.Expires.Add(expiryMargin), forToken)()
	e.refuseLease("token_expired", lease)
}

// forToken is what checks of a token's end wait for.
const forToken = "for a token to expire"

// passUntil lets time pass: that of a fake at once, real time only with --slow. what is what the check waits for. The function it
// returns takes a fake's clock back.
func (e *Env) passUntil(end time.Time, what string) (restore func()) {
	wait := end.Sub(e.clock().Now())
	switch {
	case e.Advance != nil:
		e.Advance(wait)
		return func() { e.Advance(-wait) }
	case !e.Slow:
		e.end(reports.Excluded, "slow", fmt.Sprintf("waits %v %s: run it with --slow", wait.Round(time.Second), what))
	case wait > maxWait:
		e.Unverifiable("slow", fmt.Sprintf("the token lives %v, longer than the %v that a check may wait", wait.Round(time.Second), maxWait),
			"ask the provider for tokens with a shorter life")
	}
	if err := drm.Sleep(e.Context, wait); err != nil {
		e.block("wait "+what, err)
	}
	return func() {}
}

func tokenForOtherContent(e *Env) {
	first := e.firstNeed()
	if !e.Profile.TokenNamesContent() {
		e.NotApplicable("the profile's token does not say for which KIDs it is")
	}
	if len(first.KIDs) == 0 {
		e.NotApplicable("the KIDs of the content are not known")
	}
	own := first.KIDs[0]
	other := e.otherContent(own)
	box := Require(e, boxOf(own))
	need := first
	need.KIDs = []drm.KID{own}
	Require(e, Step[*Exchange]{"obtain a license for one KID", func(e *Env) (*Exchange, error) {
		x, err := e.exchange(e.Platform, box, call{kind: drm.KindLicense, need: &need})
		if err != nil {
			return nil, err
		}
		return x, x.Usable()
	}})
	x, err := e.exchange(e.Platform, box, call{kind: drm.KindLicense, lease: e.takeLease(other)})
	if err != nil {
		e.block("get an answer to a key request with a token for other content", err)
	}
	const step = "send a key request with a token for other content"
	switch {
	case x.Granted() && slices.Contains(grantedKIDs(x), own):
		e.Fail(Failure{Reason: reasonAccepted, Step: step, Expected: wantRefusal + ", or a license without the KID",
			Seen: fmt.Sprintf("HTTP %d with a key for KID %s and a token for %s", x.Status, own, other.KIDs[0])})
	case x.Granted():
		e.Note("right token granted; token for other content: a license without the KID")
	default:
		how := e.refusal(x, step)
		e.asDocumented(provider.ScenarioTokenOtherContent, x)
		e.Note("right token granted; token for other content refused with %s", how)
	}
}

// otherContent is what a token for other content is taken for: another KID of the asset, or else a KID and, if the asset's
// keys are known too, a key that exist nowhere.
func (e *Env) otherContent(own drm.KID) provider.Need {
	need := provider.Need{Asset: e.Asset.Name, Keys: e.Asset.Keys(), Labels: e.Asset.Labels()}
	for _, kid := range e.Asset.KIDs() {
		if kid != own {
			need.KIDs = []drm.KID{kid}
			return need
		}
	}
	var kid drm.KID
	_, _ = rand.Read(kid[:]) // never fails since Go 1.24
	need.Asset, need.KIDs = need.Asset+" (other content)", []drm.KID{kid}
	if len(need.Keys) > 0 {
		need.Keys = map[drm.KID]secret.Bytes{kid: secret.New([]byte(rand.Text())[:16])}
	}
	return need
}

// boxOf gets a box that asks for one KID: the asset's own if it has no other KID.
func boxOf(kid drm.KID) Step[drm.Box] {
	return Step[drm.Box]{"make a pssh box for one KID", func(e *Env) (drm.Box, error) {
		if len(e.Asset.KIDs()) == 1 {
			return Require(e, HaveBox), nil
		}
		if e.Profile.DRM == drm.PlayReady {
			return pssh.PlayReadyBox(pssh.WRMHeader{Version: e.multiVersion(), KIDs: []pssh.HeaderKID{{KID: kid, Algorithm: e.algorithm()}}})
		}
		return drm.Box{SystemID: pssh.IDOf(drm.Widevine), Data: pssh.Synthesize([]drm.KID{kid})}, nil
	}}
}
