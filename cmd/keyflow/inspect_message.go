package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

// The kinds of PlayReady messages.
const (
	kindRequest  = "PlayReady key request"
	kindResponse = "PlayReady response"
	kindFault    = "PlayReady fault"
	kindLicense  = "PlayReady license"
	kindReceipt  = "PlayReady acknowledgement"
	kindReceived = "PlayReady answer to an acknowledgement"
)

// messageHints say what to give instead of a message that cannot be read.
var messageHints = map[string]string{
	kindRequest:  "give the CDM's message, or the whole body of the request to the license server, as it was sent",
	kindResponse: "give the whole body of the server's answer, as it was sent",
	kindFault:    "give the whole body of the server's answer, as it was sent",
	kindLicense:  "give a whole XMR license: its bytes, or the text of an element License in base64",
	kindReceipt:  "give the whole body of the request to the license server, as it was sent",
	kindReceived: "give the whole body of the server's answer, as it was sent",
}

// errCustomData says why a message is no XML. What else is wrong with it, and what its custom data is, is not told.
var errCustomData = errors.New("CustomData: expected text, seen what makes the message no XML")

const hintCustomData = "escape & and < in custom data as &amp; and &lt;, and send it in UTF-8"

// messageKind recognises PlayReady messages by how they begin, in UTF-8 or UTF-16LE: a PlayReadyKeyMessage, a SOAP envelope around
// a license challenge, a license response, an acknowledgement or a fault, and a license, raw or in base64. It is "" for anything
// else.
func messageKind(data []byte) string {
	if bytes.HasPrefix(data, []byte("XMR\x00")) || bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("WE1S")) {
		return kindLicense
	}
	root, content := capture.Outline(data)
	if root == "PlayReadyKeyMessage" {
		return kindRequest
	}
	return map[string]string{
		"AcquireLicense": kindRequest, "AcquireLicenseResponse": kindResponse, "Fault": kindFault, "AcknowledgeLicense": kindReceipt,
		"Acknowledgement": kindReceipt, "AcknowledgeLicenseResponse": kindReceived, "AcknowledgementResponse": kindReceived,
	}[content]
}

// newMessage recognises a message of either system in data, bare or wrapped, and reads it. It is nil if there is none.
func newMessage(name string, data []byte, roots []namedRoot) *inspectedMessage {
	v := &inspectedMessage{Name: name, Bytes: len(data), roots: roots}
	if v.Kind = messageKind(data); v.Kind != "" { // these may be spoilt, and hold header fields
		v.read(data)
		return v
	}
	m, found := capture.Find(data)
	switch {
	case found && m.System == drm.PlayReady:
		v.Wrapped, v.Kind = m.Wrapped, messageKind(m.Body)
		v.read(m.Body)
	case found:
		v.Wrapped = m.Wrapped
		v.readWidevine(m.Body)
	case spoiltWidevine(data):
		v.readWidevine(data)
	default:
		raw, wrapping := unwrapText(data)
		if !spoiltWidevine(raw) {
			return nil
		}
		v.Wrapped = wrapping
		v.readWidevine(raw)
	}
	return v
}

// unwrapText decodes a text in hexadecimal digits or in base64, which may be cut off anywhere; nil if it is neither.
func unwrapText(data []byte) (raw []byte, wrapping string) {
	if len(data) > 2*capture.MaxBody {
		return nil, ""
	}
	text := strings.TrimRight(strings.TrimSpace(string(data)), "=")
	if b, err := hex.DecodeString(text[:len(text)&^1]); err == nil {
		return b, "hex"
	}
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	if b, err := base64.RawStdEncoding.DecodeString(text); err == nil {
		return b, "base64"
	}
	return nil, ""
}

// inspectMessage shows a message.
func (a *app) inspectMessage(v *inspectedMessage, asJSON bool) error {
	if asJSON {
		if err := a.printJSON(v); err != nil {
			return err
		}
	} else {
		a.printMessage(v)
	}
	if v.err == nil {
		return nil
	}
	hint := orElse(messageHints[v.Kind], hintWidevine)
	var p *pssh.Error
	switch {
	case errors.Is(v.err, errCustomData):
		hint = hintCustomData
	case errors.As(v.err, &p) && p.Hint != "":
		hint = p.Hint
	}
	return usage(fmt.Errorf("read %s in %q: %w", v.Kind, v.Name, v.err), hint)
}

// problem takes down what cannot be read. The first one is the command's error.
func (v *inspectedMessage) problem(err error) {
	if err == nil {
		return
	}
	if v.err == nil {
		v.err = err
	}
	v.Problems = append(v.Problems, err.Error())
}

func (v *inspectedMessage) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

func (v *inspectedMessage) read(data []byte) {
	raw := bytes.HasPrefix(data, []byte("XMR\x00"))
	text := ""
	if !raw {
		var err error
		if text, err = soap.DecodeText(data); err != nil {
			v.problem(err)
			return
		}
	}
	switch v.Kind {
	case kindRequest:
		v.readRequest(text)
	case kindResponse, kindFault:
		v.readAnswer(text)
	case kindReceipt, kindReceived:
		v.readReceipt(text)
	case kindLicense:
		if !raw {
			var err error
			if data, err = unbase64(text); err != nil {
				v.problem(fmt.Errorf("expected the license in base64: %w", err))
				return
			}
		}
		var err error
		v.License, err = licenseView(data)
		v.problem(err)
	}
}

// readReceipt reads the acknowledgement of keyflow's own fakes; the body of others is not public (sheet playready.md §8.3).
func (v *inspectedMessage) readReceipt(text string) {
	if _, content := capture.Outline([]byte(text)); !strings.HasPrefix(content, "Acknowledgement") {
		v.note("the body of an acknowledgement is not public: it is not read")
		return
	}
	transaction, err := soap.ParseAcknowledgement([]byte(text))
	if v.Kind == kindReceived {
		transaction, _, err = soap.ParseAcknowledgementAnswer([]byte(text))
	}
	v.Transaction = transaction
	v.problem(err)
}

// unbase64 decodes base64 with or without padding, in which white space may stand anywhere.
func unbase64(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
}

func (v *inspectedMessage) readRequest(text string) {
	message := soap.KeyMessage{Challenge: []byte(text)}
	if root, _ := capture.Outline([]byte(text)); root != "Envelope" {
		var err error
		if message, err = soap.ParseKeyMessage([]byte(text)); err != nil {
			v.problem(fmt.Errorf("PlayReadyKeyMessage: %w", err))
		}
		message.Wrapped = true
	}
	r := &inspectedRequest{Wrapped: message.Wrapped, Challenge: len(message.Challenge)}
	v.Request = r
	for _, h := range message.Header {
		r.HTTPHeader = append(r.HTTPHeader, shownField(h.Name, h.Value))
	}
	if message.Challenge == nil {
		return
	}
	c, custom, err := sparingly(message.Challenge, soap.ReadChallenge)
	v.problem(err)
	if c == nil {
		r.CustomData = max(custom, 0)
		return
	}
	v.readLA(r, c.LA, whole(err))
	if custom >= 0 {
		r.CustomData = custom
	}
	if c.SignedInfo == "" {
		return
	}
	if custom < 0 { // else it is not known whether it does
		matches := c.DigestMatches()
		r.DigestMatches = &matches
	}
	key, err := ecc.ParsePublicKey(c.PublicKey)
	verifies := err == nil && c.Verifies(key)
	r.SignatureVerifies = &verifies
	if err == nil {
		r.SigningKey = key.String()
	} else {
		v.note("the key that the signature names is no point of P-256: %v", err)
	}
}

// credentials are the names of header fields and parameters that hold what proves who asks.
var credentials = regexp.MustCompile(`(?i)authori[sz]ation|cookie|token|secret|api-?key|customdata|drm-?message`)

// readLA takes over what was read of an LA, which need not be the whole of it.
func (v *inspectedMessage) readLA(r *inspectedRequest, la soap.LA, whole bool) {
	r.Version, r.ClientVersion, r.KeyName = la.Version, la.ClientVersion, la.KeyName
	r.CustomData, r.EncryptedKey, r.EncryptedData = la.CustomData.Len(), len(la.EncryptedKey), len(la.EncryptedData)
	if la.Header != "" {
		if h, err := pssh.ParseWRMHeaderXML(la.Header); err != nil {
			v.problem(err)
		} else {
			r.Header = headerView(h)
		}
	}
	r.ClientTime = la.ClientTime
	if t, ok := unixText(la.ClientTime); ok {
		r.ClientTimeUTC = &t
	} else if la.ClientTime != "" {
		v.note("ClientTime is not a number of Unix seconds")
	}
	if whole || la.Nonce != "" {
		r.NoncePresent, r.Nonce = v.nonce(la.Nonce)
	}
	for _, l := range la.RevocationLists {
		r.RevocationLists = append(r.RevocationLists, inspectedList{ID: listID(l.ID), Version: l.Version})
	}
}

// nonce tells whether there is a nonce and how many bytes it has.
func (v *inspectedMessage) nonce(text string) (present *bool, n int) {
	there := text != ""
	b, err := unbase64(text)
	switch {
	case err != nil:
		v.note("LicenseNonce is not base64")
		return &there, 0
	case there && len(b) != nonceLen:
		v.note("LicenseNonce has %d bytes, want %d", len(b), nonceLen)
	}
	return &there, len(b)
}

// nonceLen is the length of a nonce in bytes (sheet playready.md §7.1).
const nonceLen = 16

var (
	customDataStart = regexp.MustCompile(`<(?:[\w.-]+:)?CustomData(?:\s+(?:[^<>]*[^<>/])?)?>`)
	customDataEnd   = regexp.MustCompile(`</(?:[\w.-]+:)?CustomData\s*>`)
)

// sparingly reads a message. If it is not one, it is read again without its custom data: what remains can be shown, and the error,
// which quotes what it stumbled over, cannot quote a token. custom is the length of the custom data that was left out, as it stands
// in the message, or -1 if none was.
func sparingly[T any](body []byte, read func([]byte) (*T, error)) (message *T, custom int, err error) {
	message, err = read(body)
	start := customDataStart.FindIndex(body)
	if err == nil || message != nil || start == nil {
		return message, -1, err
	}
	end := len(body)
	if ends := customDataEnd.FindAllIndex(body[start[1]:], -1); ends != nil {
		end = start[1] + ends[len(ends)-1][0]
	}
	rest := append(bytes.Clone(body[:start[1]]), body[end:]...)
	if message, err = read(rest); err == nil {
		err = errCustomData
	}
	return message, end - start[1], err
}

// whole reports whether all of a message was read, but for its custom data.
func whole(err error) bool { return err == nil || errors.Is(err, errCustomData) }
