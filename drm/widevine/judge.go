package widevine

import (
	"slices"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

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
		v.Policy, v.Type, v.Asked = license.Policy, license.Type, x.pending.asked
		if x.answer.License.LicenseStartTime != nil {
			v.Start = license.Start
		}
		v.KIDs = x.contentKIDs()
		if x.depth == drm.DepthFull {
			v.Keys = fingerprints(license)
		}
	}
	return v
}

// contentKIDs returns the KIDs of the content keys that the license names, each once, in its order.
func (x *examination) contentKIDs() []drm.KID {
	var kids []drm.KID
	for _, c := range x.answer.Containers {
		t, _ := c.Type()
		if c.KID != nil && (t == wire.License_KeyContainer_CONTENT || t == wire.License_KeyContainer_ENTITLEMENT) && !slices.Contains(kids, *c.KID) {
			kids = append(kids, *c.KID)
		}
	}
	return kids
}

// askedType returns the license type that a request asks for, "" for none that is known.
func askedType(data *wire.LicenseRequest_ContentIdentification_WidevinePsshData) drm.LicenseType {
	if data == nil {
		return ""
	}
	switch data.GetLicenseType() {
	case wire.LicenseType_STREAMING:
		return drm.Streaming
	case wire.LicenseType_OFFLINE:
		return drm.Offline
	case wire.LicenseType_AUTOMATIC:
		return drm.Automatic
	}
	return ""
}

func fingerprints(l drm.License) map[drm.KID]drm.Fingerprint {
	keys := make(map[drm.KID]drm.Fingerprint, len(l.Keys))
	for _, k := range l.Keys {
		keys[k.KID] = k.Key.Fingerprint()
	}
	return keys
}
