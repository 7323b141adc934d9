package soap

import (
	"fmt"

	"keyflow/drm/xmltree"
)

// Challenge is a license challenge as it was received (sheet §7.1).
type Challenge struct {
	LA
	Text string // the element LA as sent
	Signature
}

// ChallengeBody writes the body of a license challenge: an element LA, the string that was signed for it, the signature, r || s,
// and the raw point of the key that made it.
func ChallengeBody(la, signedInfo string, signature, publicKey []byte) []byte {
	return envelope(`<AcquireLicense xmlns="` + nsProtocols + `"><challenge><Challenge xmlns="` + nsMessages + `">` +
		la + signatureElement(signedInfo, signature, publicKey) + `</Challenge></challenge></AcquireLicense>`)
}

// ParseChallenge reads the body of a license challenge (sheet §11, step 2). There must be one LA, one Signature and one element
// with the Id SignedData, the LA, anywhere in it: what is verified is what is read. Nothing is verified here. Errors are an
// [*Error].
func ParseChallenge(body []byte) (*Challenge, error) {
	c, err := ReadChallenge(body)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ReadChallenge does what [ParseChallenge] does, and returns with an error what it read before that, or nil: to be shown, never to
// be acted upon. Where it is not clear which LA was signed, there is nothing to be shown.
func ReadChallenge(body []byte) (*Challenge, error) {
	root, top, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	if top.Name.Local != "AcquireLicense" || top.Name.Space != nsProtocols {
		return nil, bad("Envelope/Body", "AcquireLicense of namespace "+nsProtocols, describe(top))
	}
	lower, err := need(top, nsProtocols, "challenge")
	if err != nil {
		return nil, err
	}
	upper, err := need(lower, nsMessages, "Challenge")
	if err != nil {
		return nil, err
	}
	la, err := need(upper, nsProtocols, "LA")
	if err != nil {
		return nil, err
	}
	element, unsigned := need(upper, nsSignature, "Signature")
	if unsigned == nil {
		if err := once(root, la); err != nil {
			return nil, err
		}
	}
	c := &Challenge{Text: la.Raw()}
	if c.LA, err = readLA(la); err != nil {
		return c, err
	}
	if unsigned != nil {
		return c, unsigned
	}
	signature, err := readSignature(element, la)
	if err != nil {
		return c, err
	}
	if signature.Reference != "#"+signedID {
		return c, bad("Reference", "URI #"+signedID, fmt.Sprintf("%.60q", signature.Reference))
	}
	if signature.PublicKey == nil {
		return c, bad("Signature", "a PublicKey", "none")
	}
	c.Signature = *signature
	return c, nil
}

// once refuses a second LA or Signature wherever it hides, and an Id that is not the LA's alone: the defence against signature
// wrapping (sheet §11, steps 2 and 3).
func once(root, la *xmltree.Node) error {
	las, signatures, ids := 0, 0, 0
	root.Walk(func(n *xmltree.Node) {
		switch {
		case n.Name.Local == "LA" && n.Name.Space == nsProtocols:
			las++
		case n.Name.Local == "Signature" && n.Name.Space == nsSignature:
			signatures++
		}
		for _, a := range n.Attrs {
			if a.Value == signedID && (a.Name.Local == "Id" || a.Name.Local == "ID" || a.Name.Local == "id") {
				ids++
			}
		}
	})
	switch {
	case las != 1:
		return bad("Envelope", "one LA", fmt.Sprint(las))
	case signatures != 1:
		return bad("Envelope", "one Signature", fmt.Sprint(signatures))
	case ids != 1 || la.Attr("Id") != signedID:
		return bad("Envelope", "one element with the Id "+signedID+", the LA", fmt.Sprintf("%d, and %.60q at the LA", ids, la.Attr("Id")))
	}
	return nil
}
