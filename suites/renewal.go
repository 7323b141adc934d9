package suites

import (
	"fmt"
	"net/url"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
)

// What renewals and releases are sent for, as the steps of failures name them.
const (
	stepRenew   = "renew the license"
	stepRelease = "release the license"
)

// renewable obtains a license that may be renewed. If the one that is granted may not, the check does not apply: the answer is the
// probe.
func (e *Env) renewable(p drm.Platform) *Exchange {
	x, err := e.obtain(p, call{kind: drm.KindLicense})
	if err != nil {
		e.block(HaveLicense.Name, err)
	}
	if !x.Session.Licenses()[0].Policy.CanRenew {
		e.NotApplicable("the server's licenses have can_renew false: they are not renewed")
	}
	return x
}

// next makes the renewal or the release of the license that an exchange obtained, as its session has it now. It is sent with a fresh
// lease: the first one may be spent or old by the time.
func (e *Env) next(x *Exchange, kind drm.Kind) *Exchange {
	n := &Exchange{Session: x.Session, Lease: e.fresh(kind)}
	var err error
	if n.Message, err = n.Session.Request(e.Context, kind); err != nil {
		e.block("make a "+string(kind), &HarnessError{err})
	}
	if n.Message.URL != "" {
		n.Redirects = []string{e.renewalURL(x, n.Message.URL)}
	}
	return n
}

// fresh takes a lease for one message.
func (e *Env) fresh(kind drm.Kind) *provider.Lease {
	lease, err := e.lease(call{kind: kind})
	if err != nil {
		e.block("take a lease", err)
	}
	return lease
}

// renewalURL returns where the license's policy wants renewals sent. A secret never goes to another host than the profile's.
func (e *Env) renewalURL(x *Exchange, address string) string {
	to, err := url.Parse(address)
	from, fromErr := url.Parse(x.url)
	if err != nil || fromErr != nil || to.Scheme != from.Scheme || to.Host != from.Host {
		e.Unverifiable("renewal-url", "the policy wants renewals sent to another host than the profile's", "give that host a profile of its own")
	}
	return address
}

// deliver sends a renewal or a release and has its answer processed, whatever it is.
func (e *Env) deliver(n *Exchange, c call, step string) *Exchange {
	if err := e.walk(n, c); err != nil {
		e.block(step, err)
	}
	e.remember(n)
	return n
}

// follow delivers a renewal or a release that must be answered well, as another check judges.
func (e *Env) follow(n *Exchange, c call) *Exchange {
	step := stepOf(n)
	e.deliver(n, c, step)
	err := n.problem(notGoneOn...)
	if f := n.Observation.Fatal(); err == nil && f != nil {
		err = *f
	}
	if err != nil {
		e.block(step, err)
	}
	return n
}

func stepOf(n *Exchange) string {
	if n.Message.Kind == drm.KindRelease {
		return stepRelease
	}
	return stepRenew
}

// renewed renews the license of an exchange once.
func (e *Env) renewed(x *Exchange) *Exchange { return e.follow(e.next(x, drm.KindRenewal), call{}) }

// notGoneOn are the reasons why an answer does not go on with a license.
var notGoneOn = []drm.Reason{
	widevine.ReasonEmptyAnswer, widevine.ReasonNotProtobuf, widevine.ReasonMessageType, widevine.ReasonLicenseError, widevine.ReasonLicenseParse,
	widevine.ReasonNoSignature, widevine.ReasonSignature, widevine.ReasonSignatureCore, widevine.ReasonRequestID, widevine.ReasonSessionID,
}

// mustNotGoOn delivers a renewal that must be refused, and returns how it was.
func (e *Env) mustNotGoOn(n *Exchange, step string) string {
	e.deliver(n, call{}, "get an answer to a renewal that must be refused")
	if n.Granted() {
		e.Fail(Failure{Reason: reasonAccepted, Step: step, Expected: wantRefusal, Seen: fmt.Sprintf("HTTP %d with a renewed license", n.Status)})
	}
	return e.refusal(n, step)
}
