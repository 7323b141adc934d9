package pssh

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Build returns the header in UTF-16LE, in canonical XML, from the fields but XML and Notes. A header that breaks the rules of
// its version is an [*Error].
func (h WRMHeader) Build() ([]byte, error) {
	var b strings.Builder
	b.WriteString(`<WRMHEADER xmlns="` + nsWRMHeader + `" version="` + h.Version + `"><DATA>`)
	h.buildKIDs(&b)
	for _, e := range []struct{ name, text string }{{"LA_URL", h.LAURL}, {"LUI_URL", h.LUIURL}, {"DS_ID", h.DomainServiceID}, {"DECRYPTORSETUP", h.DecryptorSetup}} {
		if e.text != "" {
			b.WriteString("<" + e.name + ">" + escapeText(e.text) + "</" + e.name + ">")
		}
	}
	if h.CustomAttributes != "" {
		b.WriteString("<CUSTOMATTRIBUTES>" + h.CustomAttributes + "</CUSTOMATTRIBUTES>")
	}
	b.WriteString("</DATA></WRMHEADER>")
	if _, err := parseHeader(b.String()); err != nil {
		return nil, err
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(b.String())) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out, nil
}

func (h WRMHeader) buildKIDs(b *strings.Builder) {
	if h.Version == Header40 {
		h.buildKID40(b)
		return
	}
	b.WriteString("<PROTECTINFO")
	if h.LicenseRequested != "" {
		b.WriteString(` LICENSEREQUESTED="` + escapeText(h.LicenseRequested) + `"`)
	}
	b.WriteString(">")
	if h.Version != Header41 {
		b.WriteString("<KIDS>")
	}
	for _, k := range h.KIDs {
		b.WriteString("<KID")
		if k.Algorithm != "" {
			b.WriteString(` ALGID="` + escapeText(k.Algorithm) + `"`)
		}
		if k.Checksum != nil {
			b.WriteString(` CHECKSUM="` + base64.StdEncoding.EncodeToString(k.Checksum) + `"`)
		}
		b.WriteString(` VALUE="` + k.value() + `"></KID>`)
	}
	if h.Version != Header41 {
		b.WriteString("</KIDS>")
	}
	b.WriteString("</PROTECTINFO>")
}

// buildKID40 writes the one KID of version 4.0; more of them make a header that is refused.
func (h WRMHeader) buildKID40(b *strings.Builder) {
	for _, k := range h.KIDs {
		length := "16"
		if k.Algorithm == AlgorithmCocktail {
			length = "7"
		}
		b.WriteString("<PROTECTINFO><KEYLEN>" + length + "</KEYLEN><ALGID>" + escapeText(k.Algorithm) + "</ALGID></PROTECTINFO><KID>" + k.value() + "</KID>")
		if k.Checksum != nil {
			b.WriteString("<CHECKSUM>" + base64.StdEncoding.EncodeToString(k.Checksum) + "</CHECKSUM>")
		}
	}
}

func (k HeaderKID) value() string {
	guid := GUID(k.KID)
	return base64.StdEncoding.EncodeToString(guid[:])
}

var textEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// escapeText escapes text for an element or an attribute in double quotes.
func escapeText(s string) string { return textEscapes.Replace(s) }
