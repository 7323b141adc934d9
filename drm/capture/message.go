// Package capture recognises what was recorded between a player and a license service: the key requests, licenses and refusals
// of both DRM systems by their bytes, whatever they were wrapped in. It needs no profile and no key, and decrypts nothing.
package capture

import (
	"encoding/xml"
	"io"
	"strings"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/widevine/wire"
)

// Message is a message of a DRM system that was found in a body.
type Message struct {
	System  drm.System
	Kind    drm.Kind // what is asked for, or answered
	Answer  bool     // from the service, not to it
	Refusal bool     // an answer that says why there is no license: a Widevine LicenseError, a SOAP fault
	Body    []byte   // the message itself, without what it was wrapped in
	Wrapped string   // what it was wrapped in, outermost first; "" for nothing
}

// String tells what the message is.
func (m Message) String() string {
	text := string(m.System) + " " + string(m.Kind)
	switch {
	case m.Refusal:
		text = string(m.System) + " refusal"
	case !m.Answer:
		text += " request"
	}
	if m.Wrapped != "" {
		text += " in " + m.Wrapped
	}
	return text
}

// GoString is String.
func (m Message) GoString() string { return m.String() }

// bare recognises a message that is wrapped in nothing.
func bare(body []byte) (Message, bool) {
	if m, ok := playReady(body); ok {
		return m, true
	}
	return widevine(body)
}

// widevine recognises a SignedMessage by its type and by what its message then must be, and a service certificate without one
// (sheet widevine.md §4, §5). Any bytes may be a protobuf message by chance: what has no field that its type has is none.
func widevine(body []byte) (Message, bool) {
	m := Message{System: drm.Widevine, Body: body}
	envelope := new(wire.SignedMessage)
	if len(body) == 0 || proto.Unmarshal(body, envelope) != nil {
		return Message{}, false
	}
	inner := envelope.GetMsg()
	if envelope.Type == nil {
		return untyped(m, envelope)
	}
	switch envelope.GetType() {
	case wire.SignedMessage_LICENSE_REQUEST:
		request := new(wire.LicenseRequest)
		if len(inner) == 0 || proto.Unmarshal(inner, request) != nil || request.ContentId == nil {
			return Message{}, false
		}
		m.Kind = requestKind(request.GetType())
	case wire.SignedMessage_LICENSE:
		license := new(wire.License)
		if len(inner) == 0 || proto.Unmarshal(inner, license) != nil || license.Id == nil {
			return Message{}, false
		}
		m.Kind, m.Answer = drm.KindLicense, true
		if license.GetId().GetVersion() > 0 {
			m.Kind = drm.KindRenewal
		}
	case wire.SignedMessage_ERROR_RESPONSE:
		m.Kind, m.Answer, m.Refusal = drm.KindLicense, true, true
	case wire.SignedMessage_SERVICE_CERTIFICATE_REQUEST:
		m.Kind = drm.KindCertificate
	case wire.SignedMessage_SERVICE_CERTIFICATE:
		certificate := new(wire.SignedDrmCertificate)
		if len(inner) == 0 || proto.Unmarshal(inner, certificate) != nil || certificate.DrmCertificate == nil {
			return Message{}, false
		}
		m.Kind, m.Answer = drm.KindCertificate, true
	default:
		return Message{}, false
	}
	return m, true
}

// untyped recognises what has no type: a service certificate without an envelope (sheet widevine.md §5.2 form 2), and the request of
// an encoder that leaves defaults out (§4), which must be signed and say who asks.
func untyped(m Message, envelope *wire.SignedMessage) (Message, bool) {
	request := new(wire.LicenseRequest)
	if len(envelope.GetSignature()) > 0 && proto.Unmarshal(envelope.GetMsg(), request) == nil && request.ContentId != nil &&
		(request.ClientId != nil || request.EncryptedClientId != nil || request.GetContentId().GetExistingLicense() != nil) {
		m.Kind = requestKind(request.GetType())
		return m, true
	}
	signed, fields := new(wire.SignedDrmCertificate), new(wire.DrmCertificate)
	if proto.Unmarshal(m.Body, signed) != nil || len(signed.GetSignature()) == 0 || proto.Unmarshal(signed.GetDrmCertificate(), fields) != nil ||
		fields.GetType() != wire.DrmCertificate_SERVICE || len(fields.GetPublicKey()) == 0 {
		return Message{}, false
	}
	m.Kind, m.Answer = drm.KindCertificate, true
	return m, true
}

func requestKind(t wire.LicenseRequest_RequestType) drm.Kind {
	switch t {
	case wire.LicenseRequest_RENEWAL:
		return drm.KindRenewal
	case wire.LicenseRequest_RELEASE:
		return drm.KindRelease
	}
	return drm.KindLicense
}

// maxHead is how far into a body the root element of a PlayReady message may begin, in bytes.
const maxHead = 4 << 10

// playReady recognises PlayReady messages by how they begin, in UTF-8 or UTF-16LE: a PlayReadyKeyMessage, and a SOAP envelope
// around a challenge, a response, an acknowledgement or a fault (sheet playready.md §3, §6).
func playReady(body []byte) (Message, bool) {
	m := Message{System: drm.PlayReady, Kind: drm.KindLicense, Body: body}
	switch root, content := Outline(body); {
	case root == "PlayReadyKeyMessage":
		message, err := soap.ParseKeyMessage(body)
		if err != nil {
			return Message{}, false
		}
		m.Body, m.Wrapped = message.Challenge, root
	case root != "Envelope":
		return Message{}, false
	case content == "AcquireLicense":
	case content == "AcknowledgeLicense", content == "Acknowledgement":
		m.Kind = drm.KindAcknowledgement
	case content == "AcquireLicenseResponse":
		m.Answer = true
	case content == "AcknowledgeLicenseResponse", content == "AcknowledgementResponse":
		m.Kind, m.Answer = drm.KindAcknowledgement, true
	case content == "Fault":
		m.Answer, m.Refusal = true, true
	default:
		return Message{}, false
	}
	return m, true
}

// Outline returns the local names of an XML document's root and, if that is an Envelope, of the first element in its Body; "" for
// what the text, in UTF-8 or UTF-16LE, does not reach. It looks at start and end tags alone: the message's parser is the one to
// judge.
func Outline(body []byte) (root, content string) {
	if root, _ := outline(beginning(body, maxHead)); root != "Envelope" {
		return root, ""
	}
	return outline(beginning(body, 2*soap.MaxBody))
}

// beginning decodes the first bytes of a body, an even number of them, so that UTF-16 is not cut within a character.
func beginning(body []byte, most int) string {
	text, err := soap.DecodeText(body[:min(len(body), most)&^1])
	if err != nil {
		return ""
	}
	return strings.TrimLeft(text, " \t\r\n")
}

func outline(text string) (root, content string) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	depth, inBody := 0, false
	for {
		token, err := d.RawToken()
		if err != nil {
			return root, ""
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch depth++; {
			case depth == 1 && t.Name.Local != "Envelope":
				return t.Name.Local, ""
			case depth == 1:
				root = t.Name.Local
			case depth == 2:
				inBody = t.Name.Local == "Body"
			case depth == 3 && inBody:
				return root, t.Name.Local
			}
		case xml.EndElement:
			depth--
		}
	}
}
