package fakes

import (
	"errors"
	"fmt"
	"time"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

// leastSecure is the number of the lowest device security level, L3.
const leastSecure = 3

// deviceSecurity is the security level of every device that the fakes trust: harness devices are software, L3.
const deviceSecurity = leastSecure

// Track says how the key of one KID is granted. The zero value is as every other key.
type Track struct {
	// Label is the track label, such as HD; "": none.
	Label string
	// Level is the security level in the key's container, 1 to 5 (sheet widevine.md §4.10); 0 is 1, SW_SECURE_CRYPTO.
	Level wire.License_KeyContainer_SecurityLevel
	// MinSecurity is the lowest security level of a device that gets the key: 1 (L1, the highest) to 3 (L3); 0: any. The
	// devices of an [Authority] are L3. A key that a device may not have is left out of the license, and a request that
	// asks for no other is refused with status 403.
	MinSecurity int
	// HDCP is what the key's container requires of outputs; 0 requires nothing.
	HDCP wire.HDCP
	// PlayReady is how PlayReady clients are granted the key; what stands above but the label, and the policy, is Widevine's.
	PlayReady PlayReadyTrack
	// Policy is that of licenses with the key, nil: the server's. A license with keys of several policies has the
	// strictest: a permission that all of them give, the shortest of each duration, the first renewal URL.
	Policy *drm.Policy
}

func (t Track) validate() error {
	var errs []error
	if _, known := wire.License_KeyContainer_SecurityLevel_name[int32(t.Level)]; !known && t.Level != 0 {
		errs = append(errs, fmt.Errorf("security level %d, want 1 to 5", t.Level))
	}
	if t.MinSecurity < 0 || t.MinSecurity > leastSecure {
		errs = append(errs, fmt.Errorf("device security level %d, want 1 to %d", t.MinSecurity, leastSecure))
	}
	if _, known := wire.HDCP_name[int32(t.HDCP)]; !known {
		errs = append(errs, fmt.Errorf("HDCP version %d is not known", t.HDCP))
	}
	errs = append(errs, t.PlayReady.validate())
	if t.Policy != nil && negative(*t.Policy) {
		errs = append(errs, errors.New("the policy has a negative duration"))
	}
	return errors.Join(errs...)
}

// allows reports whether a device of the security level, 1 to 3, may have the key.
func (t Track) allows(device int) bool { return t.MinSecurity == 0 || device <= t.MinSecurity }

func (t Track) level() wire.License_KeyContainer_SecurityLevel {
	if t.Level == 0 {
		return wire.License_KeyContainer_SW_SECURE_CRYPTO
	}
	return t.Level
}

// tracks puts labels into tracks that have none.
func tracks(labels map[drm.KID]string, given map[drm.KID]Track) map[drm.KID]Track {
	all := make(map[drm.KID]Track, len(labels)+len(given))
	for kid, label := range labels {
		all[kid] = Track{Label: label}
	}
	for kid, t := range given {
		if t.Label == "" {
			t.Label = labels[kid]
		}
		if t.Policy != nil {
			t.Policy = new(*t.Policy)
		}
		all[kid] = t
	}
	return all
}

// policyOf returns the policy of a license with the keys.
func (s *Server) policyOf(keys []grantedKey) drm.Policy {
	var p drm.Policy
	for i, k := range keys {
		own := s.policy
		if t := s.tracks[k.kid]; t.Policy != nil {
			own = *t.Policy
		}
		own = s.widevine.applyTo(own)
		if i == 0 {
			p = own
			continue
		}
		p = stricter(p, own)
	}
	return p
}

// stricter returns what both policies allow.
func stricter(a, b drm.Policy) drm.Policy {
	p := drm.Policy{
		CanPlay: a.CanPlay && b.CanPlay, CanPersist: a.CanPersist && b.CanPersist, CanRenew: a.CanRenew && b.CanRenew,
		Rental: shorter(a.Rental, b.Rental), Playback: shorter(a.Playback, b.Playback), License: shorter(a.License, b.License),
		RenewAfter: shorter(a.RenewAfter, b.RenewAfter), RetryEvery: shorter(a.RetryEvery, b.RetryEvery),
		RenewalURL: a.RenewalURL,
	}
	if p.RenewalURL == "" {
		p.RenewalURL = b.RenewalURL
	}
	return p
}

// shorter returns the shorter of two durations of which 0 is unlimited.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func negative(p drm.Policy) bool {
	return min(p.Rental, p.Playback, p.License, p.RenewAfter, p.RetryEvery) < 0
}
