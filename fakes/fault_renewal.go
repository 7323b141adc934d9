package fakes

import (
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// The faults of renewals and releases (sheet widevine.md §18, "Renewal and release").
const (
	faultRenewalMACIgnored   = "wv-renewal-hmac-not-verified"
	faultRenewalAnySession   = "wv-renewal-unknown-session-extended"
	faultRenewalOfFinal      = "wv-renewal-of-final-license"
	faultRenewalVersionExact = "wv-renewal-version-exact"
	faultRenewalRefused      = "wv-renewal-refused"
	faultRenewalConnection   = "wv-renewal-same-connection"
	faultRenewalDelay        = "wv-renewal-delay-after-expiry"
	faultRenewalInitialKey   = "wv-renewal-hmac-initial-key"
	faultRenewalVersionStays = "wv-renewal-version-stays"
	faultRenewalNewSession   = "wv-renewal-new-session-id"
	faultRenewalStartStays   = "wv-renewal-start-stays"
	faultRenewalKeyChanges   = "wv-renewal-key-changes"
	faultReleaseWithKeys     = "wv-release-with-keys"
	faultReleasedRenewed     = "wv-release-then-renewed"
	faultReleaseOnce         = "wv-release-once"
)

// renewalFaults act on renewals and releases alone.
func renewalFaults() []definition {
	fault := func(name, description string, operation drm.Kind, spoil func(*exchange, *successor) bool) definition {
		return definition{
			Fault:          Fault{Name: name, Description: description, System: drm.Widevine, Layer: Protocol, Operation: operation},
			spoilSuccessor: spoil,
		}
	}
	renewal := func(name, description string, spoil func(*exchange, *successor) bool) definition {
		return fault(name, description, drm.KindRenewal, spoil)
	}
	return []definition{
		protocolFault(faultRenewalDelay, "a renewable license is to be renewed a minute after it ends", delayRenewal),
		renewal(faultRenewalMACIgnored, "a renewal's signature is not verified", nil),
		renewal(faultRenewalAnySession, "a license that the server doesn't know is renewed", nil),
		renewal(faultRenewalOfFinal, "a license that may not be renewed is renewed", nil),
		renewal(faultRenewalVersionExact, "a renewal is refused whose license isn't of the current version, as after a lost answer", nil),
		renewal(faultRenewalRefused, "renewals of a renewable license are refused with status 403", nil),
		renewal(faultRenewalConnection, "a renewal is refused that comes by another connection than the request for the license", nil),
		renewal(faultRenewalInitialKey, "a renewal is authenticated with the derived key though the license's SIGNING key replaced it", signWithInitialKey),
		renewal(faultRenewalVersionStays, "a renewed license has the version of the one before", keepVersion),
		renewal(faultRenewalNewSession, "a renewed license has another session_id", newSessionID),
		renewal(faultRenewalStartStays, "a renewed license starts when the first one did", keepStart),
		renewal(faultRenewalKeyChanges, "a renewal carries another content key for a KID of the license", changeContentKey),
		renewal(faultReleasedRenewed, "a license that was released is renewed", nil),
		fault(faultReleaseWithKeys, "a release is answered with a content key", drm.KindRelease, changeContentKey),
		fault(faultReleaseOnce, "a repeated release is answered with status 500", drm.KindRelease, nil),
	}
}

func delayRenewal(_ *exchange, g *grant, _ *drm.KID) bool {
	if !g.policy.GetCanRenew() {
		return false
	}
	g.policy.RenewalDelaySeconds = proto.Int64(g.policy.GetLicenseDurationSeconds() + 60)
	return true
}

func signWithInitialKey(_ *exchange, s *successor) bool {
	initial := s.session.keys.derivedServer()
	acted := !initial.Equal(s.key)
	s.key = initial
	return acted
}

func keepVersion(_ *exchange, s *successor) bool {
	s.id.Version = proto.Int32(s.id.GetVersion() - 1)
	return true
}

func newSessionID(_ *exchange, s *successor) bool {
	s.id.SessionId = random(sessionIDLen)
	return true
}

func keepStart(_ *exchange, s *successor) bool {
	acted := s.session.start != *s.start
	s.start = &s.session.start
	return acted
}

// changeContentKey wraps a key as the license wrapped its own.
func changeContentKey(x *exchange, s *successor) bool {
	key, iv := secret.New(x.server.faultBytes("renewed key")), random(ivLen)
	wrapped, err := ladder.WrapKey(s.session.keys.encryption(), iv, key)
	if err != nil {
		return false
	}
	s.container = &wire.License_KeyContainer{Id: s.session.kid[:], Iv: iv, Key: wrapped, Type: wire.License_KeyContainer_CONTENT.Enum()}
	return true
}
