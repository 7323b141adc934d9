package loadtest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"keyflow/drm"
)

// Reasons for which a license is wrong that its own signature does not tell.
const (
	ReasonLicenseType drm.Reason = "license-type"    // another one than was asked for
	ReasonExpired     drm.Reason = "license-expired" // before it was asked for
	ReasonPolicyClass drm.Reason = "policy-class"    // other rights than the first license for the same content and profile gave
)

// clockTolerance is how far the clocks of client and server may be apart where a license ends.
const clockTolerance = time.Minute

// arrival returns what is wrong with the rights of a license on its arrival. It needs no key.
func arrival(v drm.Verdict, t drm.Ticket) *drm.Finding {
	const step = "apply the policy"
	if v.Asked != "" && v.Asked != drm.Automatic && v.Type != "" && v.Type != v.Asked {
		return &drm.Finding{Reason: ReasonLicenseType, Step: step, Expected: "a license of type " + string(v.Asked), Seen: string(v.Type)}
	}
	end := v.Start.Add(v.Policy.License)
	if !v.Start.IsZero() && v.Policy.License > 0 && !t.Minted.IsZero() && end.Before(t.Minted.Add(-clockTolerance)) {
		return &drm.Finding{
			Reason: ReasonExpired, Step: step, Expected: "a license that has not ended at " + t.Minted.UTC().Format(time.RFC3339), Seen: "ended " + end.UTC().Format(time.RFC3339),
		}
	}
	return nil
}

// policyClass is what of a policy must not change from one license to the next. How long a limit is may: it may end at a fixed time.
type policyClass struct {
	play, persist, renew                     bool
	rentalLimit, playbackLimit, licenseLimit bool
}

func classOf(p drm.Policy) policyClass {
	return policyClass{p.CanPlay, p.CanPersist, p.CanRenew, p.Rental > 0, p.Playback > 0, p.License > 0}
}

func (c policyClass) String() string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{
		{c.play, "can play"}, {c.persist, "can persist"}, {c.renew, "can renew"},
		{c.rentalLimit, "limited rental"}, {c.playbackLimit, "limited playback"}, {c.licenseLimit, "limited license"},
	} {
		if w.is {
			words = append(words, w.word)
		}
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// maxPolicies bounds the policies that are remembered.
const maxPolicies = 4096

// policies remembers the class of the first license for each content.
type policies struct {
	mu    sync.Mutex
	first map[policyKey]policyClass
}

type policyKey struct {
	share int
	kid   drm.KID // of the license's first key
}

// differs returns what is wrong with a license whose rights are of another class than those of the first for its content.
func (p *policies) differs(share int, v drm.Verdict) *drm.Finding {
	if len(v.KIDs) == 0 {
		return nil
	}
	key, class := policyKey{share, v.KIDs[0]}, classOf(v.Policy)
	p.mu.Lock()
	defer p.mu.Unlock()
	first, known := p.first[key]
	switch {
	case !known && len(p.first) < maxPolicies:
		p.first[key] = class
		return nil
	case !known || first == class:
		return nil
	}
	return &drm.Finding{
		Reason: ReasonPolicyClass, Step: "apply the policy", KID: &v.KIDs[0],
		Expected: fmt.Sprintf("the rights of the first license for KID %s: %s", v.KIDs[0], first), Seen: class.String(),
	}
}
