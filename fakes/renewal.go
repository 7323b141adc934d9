package fakes

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// WidevineOptions say how the Widevine license service is set up. The zero value issues licenses as the policy says.
type WidevineOptions struct {
	// Renewable licenses may be renewed, from a minute after their start or half of their duration on, every ten seconds. One
	// without an end ends after two hours. Their sessions are kept until 100,000 newer ones are.
	Renewable bool
}

// How a license is renewed unless the policy says otherwise.
const (
	defaultRenewAfter = time.Minute
	defaultRetryEvery = 10 * time.Second
)

// applyTo makes one policy of a server's licenses.
func (o WidevineOptions) applyTo(p drm.Policy) drm.Policy {
	p.CanRenew = p.CanRenew || o.Renewable
	return p
}

// settle makes the renewal times of a license fit its duration (sheet widevine.md §9): there is an end, and the first renewal comes
// before it.
func (o WidevineOptions) settle(p drm.Policy) drm.Policy {
	if !o.Renewable || !p.CanRenew {
		return p
	}
	p.License = cmp.Or(p.License, defaultLicense)
	p.RetryEvery = cmp.Or(p.RetryEvery, defaultRetryEvery)
	if p.RenewAfter = cmp.Or(p.RenewAfter, defaultRenewAfter); p.RenewAfter >= p.License {
		p.RenewAfter = p.License / 2
	}
	return p
}

// Reasons of refusals of renewals and releases, all with status 403.
const (
	reasonUnknownSession drm.Reason = "unknown-session"   // no license of this server, or one that it has forgotten
	reasonRenewalMAC     drm.Reason = "renewal-signature" //
	reasonLicenseID      drm.Reason = "license-id"        // the request_id is not the session's
	reasonLicenseVersion drm.Reason = "license-version"   // above the session's, or not it by a fault
	reasonReleased       drm.Reason = "license-released"  // a renewal after the release
	reasonNotNow         drm.Reason = "renewal-refused"   // by a fault
)

// successor is the answer to a renewal or a release before it is serialized, for faults to alter.
type successor struct {
	session   session
	id        *wire.LicenseIdentification
	policy    *wire.License_Policy
	start     *int64
	container *wire.License_KeyContainer // by a fault
	key       secret.Bytes               // that authenticates it
}

// existing answers a renewal or a release (sheet widevine.md §10, §15 step 8). A repeated request is answered again: the client may
// have lost the answer. When a license has expired does not matter, as its policy sets no end to renewals.
func (x *exchange) existing() ([]byte, *refusal) {
	asked := x.request.message.GetContentId().GetExistingLicense().GetLicenseId()
	kept, refused := x.findSession(asked)
	if refused != nil {
		return nil, refused
	}
	renewal := x.request.operation == drm.KindRenewal
	version := asked.GetVersion() + 1
	s := &successor{session: kept, key: kept.keys.server(), id: &wire.LicenseIdentification{
		RequestId: asked.GetRequestId(), SessionId: asked.GetSessionId(), Type: kept.kind.Enum(), Version: proto.Int32(version),
	}}
	if renewal {
		s.policy, s.start = policyFor(kept.policy, kept.kind), proto.Int64(x.startTime())
	} else {
		s.id.Version = asked.Version
	}
	x.spoil(func(d definition, _ *drm.KID) bool {
		return d.spoilSuccessor != nil && d.Operation == x.request.operation && d.spoilSuccessor(x, s)
	})
	body, err := s.seal()
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, reasonInternal, "the answer could not be made")
	}
	x.server.sessions.change(asked.GetSessionId(), func(s *session) {
		if renewal {
			s.version = max(s.version, version)
		} else {
			s.released = true
		}
	})
	return body, nil
}

// findSession returns the session that a request goes on with, if it may.
func (x *exchange) findSession(asked *wire.LicenseIdentification) (session, *refusal) {
	if asked == nil {
		return session{}, refuse(http.StatusBadRequest, reasonContentID, "the content identification is no existing license")
	}
	kept, known := x.server.sessions.find(asked.GetSessionId())
	renewable := known
	if !known {
		kept, known = x.server.finalSessions.find(asked.GetSessionId())
	}
	if !known {
		if x.request.operation == drm.KindRenewal && x.acts(faultRenewalAnySession) {
			return x.madeUpSession(asked), nil
		}
		return session{}, refuse(http.StatusForbidden, reasonUnknownSession, "the license is not known")
	}
	return kept, x.mayGoOn(kept, asked, renewable)
}

// mayGoOn refuses a request that is not authentic before it says anything else of the session.
func (x *exchange) mayGoOn(kept session, asked *wire.LicenseIdentification, renewable bool) *refusal {
	deny := func(reason drm.Reason, text string) *refusal { return refuse(http.StatusForbidden, reason, text) }
	renewal := x.request.operation == drm.KindRenewal
	version := asked.GetVersion()
	switch authentic := hmac.Equal(ladder.MAC(kept.keys.client(), nil, x.request.envelope.GetMsg()), x.request.envelope.GetSignature()); {
	case !authentic && (!renewal || !x.acts(faultRenewalMACIgnored)):
		return deny(reasonRenewalMAC, "the request's signature does not verify")
	case sha256.Sum256(asked.GetRequestId()) != kept.requestID:
		return deny(reasonLicenseID, "the license is another one")
	case !renewable && (!renewal || !x.acts(faultRenewalOfFinal)):
		return deny(reasonNotRenewable, "the license is not renewable")
	case version < 0 || version > kept.version, version != kept.version && renewal && x.acts(faultRenewalVersionExact):
		return deny(reasonLicenseVersion, fmt.Sprintf("the license has version %d", kept.version))
	case kept.released && renewal && !x.acts(faultReleasedRenewed):
		return deny(reasonReleased, "the license was released")
	case kept.released && !renewal && x.acts(faultReleaseOnce):
		return refuse(http.StatusInternalServerError, reasonInternal, "the license is not there")
	case renewal && (x.acts(faultRenewalRefused) || x.from != kept.from && x.acts(faultRenewalConnection)):
		return deny(reasonNotNow, "no renewals now")
	}
	return nil
}

// madeUpSession is a fault: a license that nobody was given goes on.
func (x *exchange) madeUpSession(asked *wire.LicenseIdentification) session {
	key := secret.New(x.server.faultBytes("session"))
	keys := ladder.Keys{Encryption: key, Server: doubled(key), Client: doubled(key)}
	return session{
		keys: newSessionKeys(keys, secret.Bytes{}), kind: asked.GetType(),
		policy: x.server.widevine.settle(x.server.widevine.applyTo(x.server.policy)), start: x.startTime(), version: asked.GetVersion(),
	}
}

// doubled makes a MAC key of 16 bytes.
func doubled(key secret.Bytes) secret.Bytes {
	return secret.New(append(append([]byte(nil), key.Reveal()...), key.Reveal()...))
}

// seal serializes and authenticates the answer: without a session key, and without keys (sheet §10).
func (s *successor) seal() ([]byte, error) {
	license := &wire.License{Id: s.id, Policy: s.policy, LicenseStartTime: s.start}
	if s.container != nil {
		license.Key = append(license.Key, s.container)
	}
	msg, err := marshal.Marshal(license)
	if err != nil {
		return nil, fmt.Errorf("seal renewal: %w", err)
	}
	body, err := marshal.Marshal(&wire.SignedMessage{
		Type: wire.SignedMessage_LICENSE.Enum(), Msg: msg, Signature: ladder.MAC(s.key, nil, msg),
	})
	if err != nil {
		return nil, fmt.Errorf("seal renewal: %w", err)
	}
	return body, nil
}
