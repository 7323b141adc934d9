package widevine

import (
	"crypto/rsa"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
)

// Onlooker judges answers to requests of devices whose keys it does not have: by their shape, whatever depth is asked for.
// Whether a license can be decrypted, or is signed, it cannot tell. It implements [drm.Judge].
type Onlooker struct{ root *rsa.PublicKey }

var _ drm.Judge = Onlooker{}

// NewOnlooker returns an onlooker that verifies service certificates under a root; nil is the vendor's.
func NewOnlooker(root *rsa.PublicKey) Onlooker {
	if root == nil {
		root = chain.VendorRoot()
	}
	return Onlooker{root}
}

// Judge judges the shape of a license. A service certificate is judged in full, as by [Platform.Judge].
func (o Onlooker) Judge(t drm.Ticket, request, answer []byte, depth drm.Depth) drm.Verdict {
	if t.Kind == drm.KindCertificate {
		return judgeCertificate(o.root, t, answer, depth)
	}
	envelope, sent, unreadable := storedRequest(request)
	if unreadable != nil {
		return drm.Verdict{Depth: drm.DepthShape, Findings: []drm.Finding{*unreadable}}
	}
	// A wrapped session key is as long as the device's modulus, and so is the device's signature.
	x := newExamination(len(envelope.GetSignature()), sent, answer, drm.DepthShape)
	x.run()
	return x.verdict()
}

// judgeCertificate judges a service certificate, which needs no device, in full.
func judgeCertificate(root *rsa.PublicKey, t drm.Ticket, answer []byte, depth drm.Depth) drm.Verdict {
	return drm.Verdict{Depth: depth, Findings: examineCertificate(root, t.Minted, answer).findings}
}

// storedRequest reads the body of a license request that was sent, or tells what is wrong with it.
func storedRequest(request []byte) (*wire.SignedMessage, pending, *drm.Finding) {
	envelope := new(wire.SignedMessage)
	err := proto.Unmarshal(request, envelope)
	var sent pending
	if err == nil {
		sent, err = pendingOf(envelope.GetMsg())
	}
	if err != nil {
		return nil, pending{}, &drm.Finding{Reason: ReasonNotProtobuf, Step: stepParse, Fatal: true, Expected: "a stored key request", Seen: err.Error()}
	}
	return envelope, sent, nil
}
