package playready

import (
	"errors"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

// Capture reads a recorded license challenge of any device, the body of a request to a license server (sheet playready.md
// §7.1), in UTF-8 or UTF-16LE. Errors quote nothing of the challenge's custom data.
func Capture(recorded []byte) (drm.Captured, error) {
	text, err := soap.DecodeText(recorded)
	if err != nil {
		return drm.Captured{}, err
	}
	body := []byte(text)
	challenge, err := soap.ParseChallenge(body)
	if err != nil {
		return drm.Captured{}, errors.New("expected a license challenge in SOAP 1.1") // the reader's text may quote custom data
	}
	c := drm.Captured{System: drm.PlayReady, Kind: drm.KindLicense, Body: body, CustomData: challenge.CustomData}
	if seconds, err := strconv.ParseInt(challenge.ClientTime, 10, 64); err == nil && seconds > 0 {
		c.Made = time.Unix(seconds, 0)
	}
	if header, err := pssh.ParseWRMHeaderXML(challenge.Header); err == nil {
		c.KIDs = distinct(header.IDs())
		if box, err := pssh.PlayReadyBox(*header); err == nil {
			c.Box = box
		}
	}
	return c, nil
}

// Recognizes reports whether the device of the platform signed a challenge.
func (p *Platform) Recognizes(request []byte) bool {
	c, err := soap.ParseChallenge(request)
	return err == nil && c.DigestMatches() && c.Verifies(p.identity.sign.Public())
}

// Onlooker judges answers to challenges of devices whose keys it does not have: by their shape, whatever depth is asked
// for. Nothing is decrypted, and nothing is compared with the device. It implements [drm.Judge].
type Onlooker struct{ platform *Platform }

var _ drm.Judge = Onlooker{}

// NewOnlooker returns an onlooker that verifies response signatures under a root; the zero key is the vendor's root.
func NewOnlooker(root ecc.PublicKey) Onlooker {
	if root == (ecc.PublicKey{}) {
		root = bcert.VendorRoot()
	}
	return Onlooker{&Platform{root: root, signers: &bcert.Memo{}}}
}

// Judge judges the shape of the answer.
func (o Onlooker) Judge(t drm.Ticket, request, answer []byte, _ drm.Depth) drm.Verdict {
	sent, unreadable := storedRequest(t, request)
	if unreadable != nil {
		return drm.Verdict{Depth: drm.DepthShape, Findings: []drm.Finding{*unreadable}}
	}
	x := &examination{platform: o.platform, pending: sent, depth: drm.DepthShape, stranger: true}
	x.run(answer)
	return x.verdict()
}
