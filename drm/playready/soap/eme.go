package soap

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"keyflow/drm/secret"
	"keyflow/drm/xmltree"
)

// KeyMessage is what a browser's CDM hands to the application: a challenge, and the HTTP headers to send it with (sheet §6.1).
type KeyMessage struct {
	Challenge []byte // SOAP
	Header    []HeaderField
	Wrapped   bool // it came in a PlayReadyKeyMessage; some clients hand out the bare challenge
}

// HeaderField is one HTTP header field of a key message.
type HeaderField struct{ Name, Value string }

// Bytes returns the key message as the legacy key system hands it out: a PlayReadyKeyMessage in UTF-16LE.
func (m KeyMessage) Bytes() []byte {
	var b strings.Builder
	b.WriteString(`<PlayReadyKeyMessage type="LicenseAcquisition"><LicenseAcquisition Version="1">` +
		`<Challenge encoding="base64encoded">` + encode(m.Challenge) + `</Challenge><HttpHeaders>`)
	for _, h := range m.Header {
		b.WriteString(`<HttpHeader><name>` + xmltree.EscapeText(h.Name) + `</name><value>` + xmltree.EscapeText(h.Value) + `</value></HttpHeader>`)
	}
	b.WriteString(`</HttpHeaders></LicenseAcquisition></PlayReadyKeyMessage>`)
	return utf16LE(b.String())
}

// maxHeaderFields bounds those of a key message.
const maxHeaderFields = 32

// ParseKeyMessage reads what a CDM handed out, in all forms that are seen: a PlayReadyKeyMessage or the bare challenge, in
// UTF-16LE or UTF-8. A header field "Content" is Content-Type: one CDM shortens it so. Errors are an [*Error].
func ParseKeyMessage(b []byte) (KeyMessage, error) {
	text, err := DecodeText(b)
	if err != nil {
		return KeyMessage{}, err
	}
	root, err := xmltree.Parse(text, bounds)
	if err != nil {
		return KeyMessage{}, wrong("", err)
	}
	if root.Name.Local == "Envelope" {
		return KeyMessage{Challenge: []byte(text)}, nil
	}
	acquisition := root.Path("LicenseAcquisition")
	if root.Name.Local != "PlayReadyKeyMessage" || acquisition == nil {
		return KeyMessage{}, bad("", "a PlayReadyKeyMessage with a LicenseAcquisition, or a SOAP Envelope", describe(root))
	}
	challenge, err := acquisition.Only("Challenge")
	if err != nil || challenge == nil {
		return KeyMessage{}, bad("LicenseAcquisition", "one Challenge", "none or several")
	}
	m := KeyMessage{Wrapped: true}
	if m.Challenge, err = decode("Challenge", challenge.Text); err != nil {
		return m, err
	}
	fields := acquisition.Path("HttpHeaders")
	if fields == nil {
		return m, nil
	}
	for _, f := range fields.All("HttpHeader") {
		if len(m.Header) == maxHeaderFields {
			return m, bad("HttpHeaders", fmt.Sprintf("at most %d", maxHeaderFields), "more")
		}
		m.Header = append(m.Header, readHeaderField(f))
	}
	return m, nil
}

func readHeaderField(n *xmltree.Node) HeaderField {
	var f HeaderField
	if name := n.Path("name"); name != nil {
		f.Name = strings.TrimSpace(name.Text)
	}
	if value := n.Path("value"); value != nil {
		f.Value = strings.TrimSpace(value.Text)
	}
	if f.Name == "Content" {
		f.Name = "Content-Type"
	}
	return f
}

// CDMData returns the XML by which an application gives its custom data to a CDM, in UTF-8 (sheet §6.1). It holds a secret.
func CDMData(custom secret.Bytes) []byte {
	return []byte(`<PlayReadyCDMData type="LicenseAcquisition"><LicenseAcquisition version="1.0" Proactive="false">` +
		`<CustomData encoding="base64encoded">` + base64.StdEncoding.EncodeToString(utf16LE(string(custom.Reveal()))) +
		`</CustomData></LicenseAcquisition></PlayReadyCDMData>`)
}

// DecodeText returns in UTF-8 what is UTF-16LE, with or without a byte order mark, or UTF-8. Errors are an [*Error].
func DecodeText(b []byte) (string, error) {
	if len(b) > 2*MaxBody {
		return "", bad("", fmt.Sprintf("at most %d bytes", 2*MaxBody), fmt.Sprint(len(b)))
	}
	wide := bytes.HasPrefix(b, []byte{0xFF, 0xFE}) || len(b) > 1 && b[1] == 0
	if !wide {
		return strings.TrimPrefix(string(b), "\ufeff"), nil
	}
	if len(b)%2 != 0 {
		return "", bad("", "UTF-16, an even number of bytes", fmt.Sprint(len(b)))
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff"), nil
}

func utf16LE(text string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}
