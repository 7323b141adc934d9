package widevine

import "keyflow/drm"

// Judge verifies the answer to a stored request of this device. request is the body that was sent. A service certificate
// is judged in full at any depth, under the platform's root and at the time when the ticket was minted. The answer to a
// renewal or a release cannot be judged ([ReasonNeedsSession]): the keys that authenticate it are its session's.
func (p *Platform) Judge(t drm.Ticket, request, answer []byte, depth drm.Depth) drm.Verdict {
	v := drm.Verdict{Depth: depth}
	if t.Device != p.identity.Device() {
		v.Findings = []drm.Finding{{
			Reason: ReasonUnknownDevice, Step: stepSessionKey, Fatal: true,
			Expected: "a request of device " + string(p.identity.Device()), Seen: "a request of device " + string(t.Device),
		}}
		return v
	}
	if t.Kind == drm.KindRenewal || t.Kind == drm.KindRelease {
		v.Findings = []drm.Finding{{
			Reason: ReasonNeedsSession, Step: stepSignature, Fatal: true,
			Expected: "the session that holds the license", Seen: "a stored " + string(t.Kind) + ", which only its own session can judge",
		}}
		return v
	}
	if t.Kind == drm.KindCertificate {
		return judgeCertificate(p.root, t, answer, depth)
	}
	_, sent, unreadable := storedRequest(request)
	if unreadable != nil {
		v.Findings = []drm.Finding{*unreadable}
		return v
	}
	return examine(p.identity.key, sent, answer, depth).verdict()
}

// verdict is what a judge says of an examined answer.
func (x *examination) verdict() drm.Verdict {
	v := drm.Verdict{Depth: x.depth, Findings: x.findings}
	if license, ok := x.license(); ok {
		v.Policy = license.Policy
		if x.depth == drm.DepthFull {
			v.Keys = fingerprints(license)
		}
	}
	return v
}

func fingerprints(l drm.License) map[drm.KID]drm.Fingerprint {
	keys := make(map[drm.KID]drm.Fingerprint, len(l.Keys))
	for _, k := range l.Keys {
		keys[k.KID] = k.Key.Fingerprint()
	}
	return keys
}
