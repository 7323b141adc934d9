package pssh

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"unicode/utf16"

	"keyflow/drm/xmltree"
)

// Build returns the header in UTF-16LE, in canonical XML, from the fields but XML and Notes. A header that breaks the rules of
// its version, or that would not be read as it was given, is an [*Error].
func (h WRMHeader) Build() ([]byte, error) {
	var b strings.Builder
	b.WriteString(`<WRMHEADER xmlns="` + nsWRMHeader + `" version="` + xmltree.EscapeAttr(h.Version) + `"><DATA>`)
	h.buildKIDs(&b)
	for _, e := range []struct{ name, text string }{{"LA_URL", h.LAURL}, {"LUI_URL", h.LUIURL}, {"DS_ID", h.DomainServiceID}, {"DECRYPTORSETUP", h.DecryptorSetup}} {
		if e.text != "" {
			b.WriteString("<" + e.name + ">" + xmltree.EscapeText(e.text) + "</" + e.name + ">")
		}
	}
	if h.CustomAttributes != "" {
		b.WriteString("<CUSTOMATTRIBUTES>" + h.CustomAttributes + "</CUSTOMATTRIBUTES>")
	}
	b.WriteString("</DATA></WRMHEADER>")
	read, err := parseHeader(b.String())
	if err != nil {
		return nil, err
	}
	if !read.says(h) {
		return nil, headerError("fields that a header of version "+h.Version+" can state", "others")
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(b.String())) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	if len(out) > math.MaxUint16 {
		return nil, headerError("a header that a record can hold, of at most 65535 bytes", count(len(out), "byte"))
	}
	return out, nil
}

// says reports whether both headers have the same fields, XML and Notes apart.
func (h WRMHeader) says(other WRMHeader) bool {
	for _, x := range []*WRMHeader{&h, &other} {
		x.XML, x.Notes = "", nil
		if len(x.KIDs) == 0 {
			x.KIDs = nil
		}
	}
	return reflect.DeepEqual(h, other)
}

func (h WRMHeader) buildKIDs(b *strings.Builder) {
	if h.Version == Header40 {
		h.buildKID40(b)
		return
	}
	if len(h.KIDs) == 0 && h.LicenseRequested == "" {
		return
	}
	b.WriteString("<PROTECTINFO")
	if h.LicenseRequested != "" {
		b.WriteString(` LICENSEREQUESTED="` + xmltree.EscapeAttr(h.LicenseRequested) + `"`)
	}
	b.WriteString(">")
	list := len(h.KIDs) > 0 && h.Version != Header41
	if list {
		b.WriteString("<KIDS>")
	}
	for _, k := range h.KIDs {
		b.WriteString("<KID")
		if k.Algorithm != "" {
			b.WriteString(` ALGID="` + xmltree.EscapeAttr(k.Algorithm) + `"`)
		}
		if k.Checksum != nil {
			b.WriteString(` CHECKSUM="` + base64.StdEncoding.EncodeToString(k.Checksum) + `"`)
		}
		b.WriteString(` VALUE="` + k.value() + `"></KID>`)
	}
	if list {
		b.WriteString("</KIDS>")
	}
	b.WriteString("</PROTECTINFO>")
}

// buildKID40 writes the one KID of version 4.0; more of them make a header that is refused.
func (h WRMHeader) buildKID40(b *strings.Builder) {
	for _, k := range h.KIDs {
		b.WriteString("<PROTECTINFO><KEYLEN>" + keyLength(k.Algorithm) + "</KEYLEN><ALGID>" + xmltree.EscapeText(k.Algorithm) +
			"</ALGID></PROTECTINFO><KID>" + k.value() + "</KID>")
		if k.Checksum != nil {
			b.WriteString("<CHECKSUM>" + base64.StdEncoding.EncodeToString(k.Checksum) + "</CHECKSUM>")
		}
	}
}

func (k HeaderKID) value() string {
	guid := GUID(k.KID)
	return base64.StdEncoding.EncodeToString(guid[:])
}
