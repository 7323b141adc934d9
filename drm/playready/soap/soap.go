// Package soap is what PlayReady clients and license servers say to each other, as bytes: license challenges, license responses
// and faults in SOAP 1.1, written and read (sheet playready.md §6 to §8), and the XML that a browser's CDM wraps challenges
// in. What is signed is a string that is built once and embedded as it is, and on receipt cut out as it was sent.
//
// Nothing here decides whom to trust: the package parses strictly, within bounds, and tells what it found.
package soap

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/xmltree"
)

// ContentType is that of requests and answers alike (sheet §6).
const ContentType = "text/xml; charset=utf-8"

// The SOAP actions that keyflow deals with. In the header SOAPAction they stand in double quotes, see [ActionHeader].
const (
	ActionAcquireLicense     = nsProtocols + "/AcquireLicense"
	ActionAcknowledgeLicense = nsProtocols + "/AcknowledgeLicense"
)

// ActionHeader returns the value of the header SOAPAction for an action: it is quoted.
func ActionHeader(action string) string { return `"` + action + `"` }

// The namespaces of sheet §7.1.
const (
	nsEnvelope  = "http://schemas.xmlsoap.org/soap/envelope/"
	nsProtocols = "http://schemas.microsoft.com/DRM/2007/03/protocols"
	nsMessages  = nsProtocols + "/messages"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsCipher    = "http://www.w3.org/2001/04/xmlenc#"
)

// signedID is the Id of the element that a signature is over.
const signedID = "SignedData"

// MaxBody bounds a challenge or response, in bytes: real challenges have 5 to 20 KB (sheet §11).
const MaxBody = 1 << 20

var bounds = xmltree.Bounds{Bytes: MaxBody, Elements: 8192, Depth: 32}

// Error says what is wrong with a message: at which element, and what was expected instead.
type Error struct{ Where, Expected, Seen string }

func (e *Error) Error() string {
	text := "expected " + e.Expected + ", seen " + e.Seen
	if e.Where != "" {
		text = e.Where + ": " + text
	}
	return text
}

func bad(where, expected, seen string) *Error { return &Error{where, expected, seen} }

// wrong makes an error of the XML reader one of the message.
func wrong(where string, err error) error {
	var e *xmltree.Error
	if errors.As(err, &e) {
		return bad(where, e.Expected, e.Seen)
	}
	return err
}

// parseBody returns a SOAP 1.1 envelope and the only element in its body.
func parseBody(body []byte) (root, content *xmltree.Node, err error) {
	if root, err = xmltree.Parse(string(body), bounds); err != nil {
		return nil, nil, wrong("", err)
	}
	if root.Name.Local != "Envelope" || root.Name.Space != nsEnvelope {
		return nil, nil, bad("", "a SOAP 1.1 Envelope", describe(root))
	}
	inner, err := need(root, nsEnvelope, "Body")
	if err != nil {
		return nil, nil, err
	}
	if len(inner.Children) != 1 {
		return nil, nil, bad("Envelope/Body", "one element", fmt.Sprint(len(inner.Children)))
	}
	return root, inner.Children[0], nil
}

// describe names an element and its namespace.
func describe(n *xmltree.Node) string {
	return fmt.Sprintf("%.60s of namespace %.100q", n.Name.Local, n.Name.Space)
}

// need returns the only child of the name in a namespace; its absence is an error.
func need(parent *xmltree.Node, space, local string) (*xmltree.Node, error) {
	n, err := parent.Only(local)
	switch {
	case err != nil:
		return nil, wrong(parent.Name.Local, err)
	case n == nil:
		return nil, bad(parent.Name.Local, "an element "+local, "none")
	case n.Name.Space != space:
		return nil, bad(parent.Name.Local, local+" of namespace "+space, describe(n))
	}
	return n, nil
}

// follow goes down from an element by names of one namespace; each must be there once.
func follow(n *xmltree.Node, space string, locals ...string) (*xmltree.Node, error) {
	for _, local := range locals {
		var err error
		if n, err = need(n, space, local); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// field is a text that stands in a child element of its name.
type field struct {
	local string
	to    *string
}

// texts fills in what stands in the only child of each name, without white space around it; one that is not there is left empty.
func texts(parent *xmltree.Node, fields ...field) error {
	for _, f := range fields {
		n, err := parent.Only(f.local)
		if err != nil {
			return wrong(parent.Name.Local, err)
		}
		if n != nil {
			*f.to = strings.TrimSpace(n.Text)
		}
	}
	return nil
}

// decode reads the base64 of an element, in which XML white space may stand anywhere (sheet §7.4, §8.1).
func decode(where, text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, text))
	if err != nil {
		return nil, bad(where, "base64", fmt.Sprintf("%d characters that are none", len(text)))
	}
	return b, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Digest returns the SHA-256 of a string that is to be signed.
func Digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// SignedInfo returns the string that is signed for a digest (sheet §7.5).
func SignedInfo(digest []byte) string {
	return `<SignedInfo xmlns="` + nsSignature + `">` +
		`<CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"></CanonicalizationMethod>` +
		`<SignatureMethod Algorithm="` + nsProtocols + `#ecdsa-sha256"></SignatureMethod>` +
		`<Reference URI="#` + signedID + `"><DigestMethod Algorithm="` + nsProtocols + `#sha256"></DigestMethod>` +
		`<DigestValue>` + encode(digest) + `</DigestValue></Reference></SignedInfo>`
}

// Signature is an element Signature as it was received, and what it is over.
type Signature struct {
	Reference  string // the URI of its Reference
	Digest     []byte
	Value      []byte // r || s
	PublicKey  []byte // raw point; nil if it names none, as in responses
	SignedInfo string // as sent

	signed, info *xmltree.Node
}

// DigestMatches reports whether the digest is that of the signed element: as it was sent, or else in its expanded form, since a
// capture may have been written again with self-closing tags (sheet §7.5).
func (s *Signature) DigestMatches() bool {
	return string(Digest(s.signed.Raw())) == string(s.Digest) || string(Digest(s.signed.Expanded())) == string(s.Digest)
}

// Verifies reports whether the value is the key's signature over SignedInfo: as it was sent, or else in its expanded form.
func (s *Signature) Verifies(key ecc.PublicKey) bool {
	return key.Verify([]byte(s.SignedInfo), s.Value) || key.Verify([]byte(s.info.Expanded()), s.Value)
}

// readSignature reads the element Signature beside the signed element.
func readSignature(n, signed *xmltree.Node) (*Signature, error) {
	s := &Signature{signed: signed}
	var err error
	if s.info, err = need(n, nsSignature, "SignedInfo"); err != nil {
		return nil, err
	}
	s.SignedInfo = s.info.Raw()
	reference, err := need(s.info, nsSignature, "Reference")
	if err != nil {
		return nil, err
	}
	s.Reference = reference.Attr("URI")
	for _, f := range []struct {
		parent *xmltree.Node
		name   string
		to     *[]byte
	}{{reference, "DigestValue", &s.Digest}, {n, "SignatureValue", &s.Value}} {
		e, err := need(f.parent, nsSignature, f.name)
		if err != nil {
			return nil, err
		}
		if *f.to, err = decode(f.name, e.Text); err != nil {
			return nil, err
		}
	}
	if key := n.Path("KeyInfo", "KeyValue", "ECCKeyValue", "PublicKey"); key != nil {
		if s.PublicKey, err = decode("PublicKey", key.Text); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// signatureElement writes an element Signature. A public key is named in challenges and not in responses.
func signatureElement(signedInfo string, value, publicKey []byte) string {
	keyInfo := ""
	if publicKey != nil {
		keyInfo = `<KeyInfo xmlns="` + nsSignature + `"><KeyValue><ECCKeyValue><PublicKey>` + encode(publicKey) + `</PublicKey></ECCKeyValue></KeyValue></KeyInfo>`
	}
	return `<Signature xmlns="` + nsSignature + `">` + signedInfo + `<SignatureValue>` + encode(value) + `</SignatureValue>` + keyInfo + `</Signature>`
}

// envelope puts the content of a SOAP body into an envelope.
func envelope(content string) []byte {
	return []byte(`<?xml version="1.0" encoding="utf-8"?>` +
		`<soap:Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:soap="` + nsEnvelope + `">` +
		`<soap:Body>` + content + `</soap:Body></soap:Envelope>`)
}
