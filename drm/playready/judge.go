package playready

import (
	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// Judge verifies the answer to a stored challenge of this device. request is the body that was sent. At DepthShape nothing is
// decrypted, so that neither CMAC nor keys are judged.
func (p *Platform) Judge(t drm.Ticket, request, answer []byte, depth drm.Depth) drm.Verdict {
	v := drm.Verdict{Depth: depth}
	if own := p.identity.Device(); t.Device != own {
		v.Findings = []drm.Finding{{
			Reason: ReasonUnknownDevice, Step: stepBinding, Fatal: true,
			Expected: "a request of device " + string(own), Seen: "a request of device " + string(t.Device),
		}}
		return v
	}
	sent, unreadable := storedRequest(t, request)
	if unreadable != nil {
		v.Findings = []drm.Finding{*unreadable}
		return v
	}
	return p.examine(sent, answer, depth).verdict()
}

// storedRequest reads the body of a challenge that was sent, or tells what is wrong with it.
func storedRequest(t drm.Ticket, request []byte) (pending, *drm.Finding) {
	c, err := soap.ParseChallenge(request)
	if err != nil {
		return pending{}, &drm.Finding{Reason: ReasonRequest, Step: stepBinding, Fatal: true, Expected: "a stored license challenge", Seen: err.Error()}
	}
	sent := pendingOf(c.LA, nil)
	sent.minted = t.Minted
	return sent, nil
}

// verdict is what a judge says of an examined answer.
func (x *examination) verdict() drm.Verdict {
	v := drm.Verdict{Depth: x.depth, Findings: x.findings}
	if licenses := x.licenses(); len(licenses) > 0 {
		v.Policy, v.Type, v.Start = licenses[0].Policy, licenses[0].Type, licenses[0].Start
		for _, l := range licenses {
			for _, k := range l.Keys {
				v.KIDs = append(v.KIDs, k.KID)
			}
		}
		if x.depth == drm.DepthFull {
			v.Keys = fingerprints(licenses)
		}
	}
	return v
}

func fingerprints(licenses []drm.License) map[drm.KID]drm.Fingerprint {
	keys := make(map[drm.KID]drm.Fingerprint, len(licenses))
	for _, l := range licenses {
		for _, k := range l.Keys {
			keys[k.KID] = k.Key.Fingerprint()
		}
	}
	return keys
}
