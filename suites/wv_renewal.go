package suites

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

const (
	reasonRenewalTimes drm.Reason = "renewal-times" // of the policy: they do not fit together
	reasonStartStays   drm.Reason = "start-stays"   // a renewed license starts when the first one did
	reasonVersions     drm.Reason = "versions"      // two answers to one renewal differ
)

// widevineRenewal are the checks of renewals (sheet widevine.md §18, "Renewal and release"). Where licenses are not renewable they do
// not apply, but the one that wants a renewal refused then.
func widevineRenewal() []Check {
	const source = "schema; sheet widevine.md §18, §10"
	return []Check{
		{
			ID: "WV-RNW-01", Title: "A renewal is answered with a license message of the same request_id and session_id, signed with the server's MAC key",
			Level: reports.Must, Source: source + " (which key, after a SIGNING container, and a session key in the answer: SHOULD, as uncertain)",
			Why:  "A client drops the renewal of another session, or one that it cannot verify, and playback ends with the license.",
			Hint: "Is the state of the first license found again: ids, and the keys that it left in force?",
			Kills: []Kill{
				{"wv-renewal-refused", reports.Fail, provider.ReasonStatus},
				{"wv-renewal-new-session-id", reports.Fail, widevine.ReasonSessionID},
				{"wv-renewal-hmac-initial-key", reports.Warn, widevine.ReasonRenewalMAC},
			},
			Run: renewalAnswered,
		},
		{
			ID: "WV-RNW-02", Title: "The license's version grows by one with each renewal",
			Level: reports.Should, Source: source,
			Why:   "By it client and server know which license was processed last.",
			Hint:  "Is it counted from the version in the request?",
			Kills: []Kill{{"wv-renewal-version-stays", reports.Warn, widevine.ReasonVersion}},
			Run: func(e *Env) {
				x := e.renewable(e.Platform)
				for range threeRenewals {
					e.FailOn(e.renewed(x).Observation, widevine.ReasonVersion)
				}
				e.Note("%d renewals", threeRenewals)
			},
		},
		{
			ID: "WV-RNW-03", Title: "A renewal with a wrong signature, or none, is refused",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §10",
			Why:   "Whoever sees a session_id could keep its license alive.",
			Hint:  "Is the HMAC verified, with the client's MAC key of the session, before anything is answered?",
			Kills: []Kill{{"wv-renewal-hmac-not-verified", reports.Fail, reasonAccepted}},
			Run:   renewalTampered,
		},
		{
			ID: "WV-RNW-04", Title: "A renewal of an unknown session, or of another client's, is refused",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §10",
			Why:  "A server that renews what it never granted, or grants one client's license to another, has no control of its licenses.",
			Hint: "Is the session looked up, and are the keys those of the session that the request names?",
			Kills: []Kill{
				{"wv-renewal-unknown-session-extended", reports.Fail, reasonAccepted},
				{"wv-renewal-hmac-not-verified", reports.Fail, reasonAccepted},
			},
			Run: renewalOfAnother,
		},
		{
			ID: "WV-RNW-05", Title: "A renewal is refused where the license has can_renew false",
			Level: reports.Should, Source: source,
			Why:   "The policy ends the license; a renewal would make it last as long as a client likes.",
			Hint:  "Is the policy of the session looked at when it is renewed?",
			Kills: []Kill{{"wv-renewal-of-final-license", reports.Warn, reasonAccepted}},
			Run: func(e *Env) {
				x := Require(e, HaveLicense)
				if x.Session.Licenses()[0].Policy.CanRenew {
					e.NotApplicable("the server's licenses have can_renew true")
				}
				e.Note("license granted; its renewal refused with %s", e.mustNotGoOn(e.next(x, drm.KindRenewal), stepRenew))
			},
		},
		{
			ID: "WV-RNW-06", Title: "A renewed license starts anew",
			Level: reports.Should, Source: source,
			Why:   "With the old start it is over when the first license would have been, renewed or not.",
			Hint:  "Is license_start_time the time of the renewal?",
			Kills: []Kill{{"wv-renewal-start-stays", reports.Warn, reasonStartStays}},
			Run:   renewalStartsAnew,
		},
		{
			ID: "WV-RNW-07", Title: "A renewal changes no content key",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §10",
			Why:   "The content is not encrypted again: with another key it turns to noise.",
			Hint:  "Does the renewal carry keys at all? It needs none.",
			Kills: []Kill{{"wv-renewal-key-changes", reports.Fail, widevine.ReasonRenewalKey}},
			Run: func(e *Env) {
				n := e.deliver(e.next(e.renewable(e.Platform), drm.KindRenewal), call{}, stepRenew)
				if err := n.problem(notGoneOn...); err != nil {
					e.block(stepRenew, err)
				}
				e.FailOn(n.Observation, widevine.ReasonRenewalKey)
				e.Note("%d key containers in the renewal", len(n.Answer().Containers))
			},
		},
		{
			ID: "WV-RNW-08", Title: "Renewals are answered on any connection",
			Level: reports.Should, Source: "practice; sheet widevine.md §18, §10",
			Why:   "A minute later the client has another connection, and behind a load balancer another node.",
			Hint:  "Do all nodes share the sessions?",
			Kills: []Kill{{"wv-renewal-same-connection", reports.Warn, provider.ReasonStatus}},
			Run:   renewalElsewhere,
		},
		{
			ID: "WV-RNW-09", Title: "A renewal that is sent again, because its answer got lost, is answered again with the same version",
			Level: reports.Should, Source: "protocol necessity, uncertain; sheet widevine.md §18, §10",
			Why:   "Otherwise one lost answer ends the session for good: the client can only ask for the version that it has.",
			Hint:  "Does the server demand the current version, where the one before must do too?",
			Kills: []Kill{{"wv-renewal-version-exact", reports.Warn, provider.ReasonStatus}},
			Run:   renewalRepeated,
		},
	}
}

// threeRenewals is how often WV-RNW-02 renews, and on how many connections WV-RNW-08 does.
const threeRenewals = 3

// failOnGoingOn ends the check if the answer does not go on with the license.
func (e *Env) failOnGoingOn(n *Exchange) { e.failOnProblem(n, notGoneOn...) }

func renewalAnswered(e *Env) {
	x := e.renewable(e.Platform)
	n := e.deliver(e.next(x, drm.KindRenewal), call{}, stepRenew)
	e.failOnGoingOn(n)
	if f := n.Observation.Find(widevine.ReasonRenewalMAC, widevine.ReasonRenewalSession); f != nil {
		e.Fail(Failure{Reason: f.Reason, Step: f.Step, Expected: f.Expected, Seen: f.Seen, Level: reports.Should})
	}
	e.Note("renewed to version %d", n.Answer().License.GetId().GetVersion())
}

// spoiltFrom returns the device with a forge that a check switches on once the license is there.
func (e *Env) spoiltFrom(on *bool, f widevine.Forge) *widevine.Platform {
	return e.device().WithForge(widevine.Forge{
		Request: func(r *wire.LicenseRequest) {
			if *on && f.Request != nil {
				f.Request(r)
			}
		},
		Sign: func(signature []byte) []byte {
			if *on && f.Sign != nil {
				return f.Sign(signature)
			}
			return signature
		},
	})
}

func renewalTampered(e *Env) {
	var how string
	for _, sign := range []func([]byte) []byte{flip, func([]byte) []byte { return nil }} {
		on := false
		x := e.renewable(e.spoiltFrom(&on, widevine.Forge{Sign: sign}))
		e.renewed(x)
		on = true
		how = e.mustNotGoOn(e.next(x, drm.KindRenewal), stepTampered)
	}
	e.Note("untampered twin renewed; refused with %s", how)
}

func renewalOfAnother(e *Env) {
	another := e.renewable(e.Platform).Answer().License.GetId()
	random := make([]byte, max(len(another.GetSessionId()), 16))
	_, _ = rand.Read(random) // crypto/rand never fails
	var how string
	for _, c := range []struct {
		step string
		edit func(id *wire.LicenseIdentification)
	}{
		{"renew a session that does not exist", func(id *wire.LicenseIdentification) { id.SessionId = random }},
		{"renew another client's session", func(id *wire.LicenseIdentification) { proto.Reset(id); proto.Merge(id, another) }},
	} {
		on := false
		x := e.renewable(e.spoiltFrom(&on, widevine.Forge{Request: func(r *wire.LicenseRequest) { c.edit(r.GetContentId().GetExistingLicense().GetLicenseId()) }}))
		e.renewed(x)
		on = true
		how = e.mustNotGoOn(e.next(x, drm.KindRenewal), c.step)
	}
	e.Note("the client's own session renewed; others refused with %s", how)
}

// renewalPause is how long a license is used before WV-RNW-06 renews it: starts are in whole seconds.
const renewalPause = 2 * time.Second

func renewalStartsAnew(e *Env) {
	x := e.renewable(e.Platform)
	first := x.Session.Licenses()[0].Start
	defer e.passUntil(e.clock().Now().Add(renewalPause), "for another second of the license's start")()
	e.renewed(x)
	if start := x.Session.Licenses()[0].Start; !start.After(first) {
		e.Fail(Failure{Reason: reasonStartStays, Step: "read the renewed license", Expected: "a start after the first license's, " + stamp(first), Seen: stamp(start)})
	}
}

// renewalElsewhere renews on connections that are used once.
func renewalElsewhere(e *Env) {
	x := e.renewable(e.Platform)
	client := *e.Client
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		e.NotApplicable("the target's client has connections that cannot be told apart")
	}
	once := transport.Clone()
	once.DisableKeepAlives = true
	client.Transport = once
	e.renewed(x)
	for range threeRenewals {
		e.failOnGoingOn(e.deliver(e.next(x, drm.KindRenewal), call{client: &client}, stepRenew))
	}
	e.Note("%d renewals on as many connections", threeRenewals)
}

func renewalRepeated(e *Env) {
	x := e.renewable(e.Platform)
	e.renewed(x)
	lost, later := e.next(x, drm.KindRenewal), e.next(x, drm.KindRenewal)
	if err := e.post(lost, call{}); err != nil {
		e.block(stepRenew, err)
	}
	if len(lost.Reply.Problems) > 0 {
		p := lost.Reply.Problems[0]
		e.block(stepRenew, drm.Finding{Reason: p.Reason, Step: stepHTTP, Expected: p.Expected, Seen: p.Seen})
	}
	lost.Lease = e.fresh(drm.KindRenewal) // a token that is good for one message is spent
	const expected = "the answer to a renewal once more"
	versions := map[int32]bool{}
	for _, n := range []*Exchange{lost, later} { // the same bytes, then a new request of the old version
		e.deliver(n, call{}, "send the renewal again")
		e.failOnGoingOn(n)
		versions[n.Answer().License.GetId().GetVersion()] = true
	}
	if len(versions) > 1 {
		e.Fail(Failure{Reason: reasonVersions, Step: "send the renewal again", Expected: expected + ", of the same version", Seen: fmt.Sprintf("%d versions", len(versions))})
	}
	e.Note("answered again, to the same bytes and to a new request")
}
