package pssh

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"keyflow/drm"
	"keyflow/drm/xmltree"
)

const (
	nsWRMHeader     = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader"
	hintWrongHeader = "the packager wrote a header that PlayReady clients refuse: check its version and settings"
)

// The versions of a PlayReady header.
const (
	Header40 = "4.0.0.0"
	Header41 = "4.1.0.0"
	Header42 = "4.2.0.0"
	Header43 = "4.3.0.0"
)

var headerVersions = []string{Header40, Header41, Header42, Header43}

// The algorithms of a PlayReady header.
const (
	AlgorithmAESCTR   = "AESCTR"
	AlgorithmAESCBC   = "AESCBC"
	AlgorithmCocktail = "COCKTAIL"
)

// WRMHeader is a PlayReady header (sheet playready.md §4).
type WRMHeader struct {
	Version string
	KIDs    []HeaderKID

	LAURL            string // license acquisition
	LUIURL           string // page for people
	DomainServiceID  string // base64 of a GUID
	CustomAttributes string // what stands inside the element, as found
	DecryptorSetup   string
	LicenseRequested string // "", true or false

	// XML is the header as found, in UTF-8: a challenge carries it as it is.
	XML string
	// Notes say where the header breaks the rules of canonical XML, so that servers that canonicalize it and servers that
	// don't would compute different digests.
	Notes []string
}

// HeaderKID is a KID and what the header says of its key.
type HeaderKID struct {
	KID       drm.KID
	Algorithm string // "" if not stated
	Checksum  []byte // nil if not stated
}

// IDs returns the KIDs.
func (h *WRMHeader) IDs() []drm.KID {
	ids := make([]drm.KID, len(h.KIDs))
	for i, k := range h.KIDs {
		ids[i] = k.KID
	}
	return ids
}

// ParseWRMHeader reads a header in UTF-16LE. A version that is not known, a document type declaration, or what breaks the rules
// of its version is an [*Error].
func ParseWRMHeader(text []byte) (*WRMHeader, error) {
	if len(text)%2 != 0 || len(text) > maxPRO {
		return nil, headerError("an even number of bytes, at most "+strconv.Itoa(maxPRO), count(len(text), "byte"))
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(text[2*i:])
	}
	return parseHeader(string(utf16.Decode(units)))
}

func headerError(expected, seen string) *Error {
	return &Error{Where: "WRMHEADER", Offset: -1, Expected: expected, Seen: seen, Hint: hintWrongHeader}
}

func parseHeader(text string) (*WRMHeader, error) {
	root, err := xmltree.Parse(text, headerBounds)
	if err != nil {
		return nil, inHeader(err)
	}
	h := &WRMHeader{XML: text, Version: root.Attr("version")}
	if root.Name != (xml.Name{Space: nsWRMHeader, Local: "WRMHEADER"}) {
		return nil, headerError("the root element WRMHEADER of "+nsWRMHeader, quote(root.Name.Local)+" of "+quote(root.Name.Space))
	}
	if !slices.Contains(headerVersions, h.Version) {
		return nil, headerError("version "+strings.Join(headerVersions, ", "), quote(h.Version))
	}
	for mark, what := range map[string]string{"/>": "an element without an end tag", "='": "an attribute in single quotes", "\r": "a carriage return", "<?": "a processing instruction"} {
		if strings.Contains(text, mark) {
			h.Notes = append(h.Notes, what+": not canonical, servers may compute another digest of it")
		}
	}
	slices.Sort(h.Notes)
	if err := h.readData(root); err != nil {
		return nil, inHeader(err)
	}
	return h, h.check()
}

// readData takes the element DATA into the header's fields.
func (h *WRMHeader) readData(root *xmltree.Node) error {
	data, err := root.Only("DATA")
	if err != nil {
		return err
	}
	if data == nil {
		if h.Version == Header40 {
			return headerError("an element DATA", "none")
		}
		return nil
	}
	for name, field := range map[string]*string{
		"LA_URL": &h.LAURL, "LUI_URL": &h.LUIURL, "DS_ID": &h.DomainServiceID, "CUSTOMATTRIBUTES": &h.CustomAttributes, "DECRYPTORSETUP": &h.DecryptorSetup,
	} {
		n, err := data.Only(name)
		switch {
		case err != nil:
			return err
		case n == nil:
			continue
		}
		*field = strings.TrimSpace(n.Text)
		if name == "CUSTOMATTRIBUTES" {
			*field = n.Inner()
		}
		if *field == "" && h.Version != Header40 {
			return headerError("content in "+name, "an empty element")
		}
	}
	if h.Version == Header40 {
		return h.readKID40(data)
	}
	return h.readKIDs(data)
}

func (h *WRMHeader) readKID40(data *xmltree.Node) error {
	info, err := data.Only("PROTECTINFO")
	if err != nil || info == nil {
		return errors.Join(err, headerError("an element PROTECTINFO", "none"))
	}
	id, err := data.Only("KID")
	if err != nil || id == nil {
		return errors.Join(err, headerError("an element KID", "none"))
	}
	algorithm, err := text(info, "ALGID")
	if err != nil {
		return err
	}
	checksum, err := text(data, "CHECKSUM")
	if err != nil {
		return err
	}
	return h.addKID(id.Text, algorithm, checksum)
}

// text returns what stands in the only child of the name, "" if there is none.
func text(parent *xmltree.Node, name string) (string, error) {
	n, err := parent.Only(name)
	if err != nil || n == nil {
		return "", err
	}
	return strings.TrimSpace(n.Text), nil
}

func (h *WRMHeader) readKIDs(data *xmltree.Node) error {
	info, err := data.Only("PROTECTINFO")
	if err != nil || info == nil {
		return err
	}
	h.LicenseRequested = info.Attr("LICENSEREQUESTED")
	parent := info
	if h.Version != Header41 {
		if parent, err = info.Only("KIDS"); err != nil || parent == nil {
			return err
		}
	}
	for _, n := range parent.Children {
		if n.Name.Local != "KID" {
			continue
		}
		if strings.TrimSpace(n.Text) != "" || len(n.Children) > 0 {
			return headerError("an empty element KID with its value in an attribute", "content in it")
		}
		if err := h.addKID(n.Attr("VALUE"), n.Attr("ALGID"), n.Attr("CHECKSUM")); err != nil {
			return err
		}
	}
	return nil
}

func (h *WRMHeader) addKID(value, algorithm, checksum string) error {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil || len(b) != lenKID {
		return headerError("a KID, base64 of 16 bytes", quote(value))
	}
	k := HeaderKID{KID: KIDOfGUID([16]byte(b)), Algorithm: algorithm}
	if checksum = strings.TrimSpace(checksum); checksum != "" {
		if k.Checksum, err = base64.StdEncoding.DecodeString(checksum); err != nil || len(k.Checksum) == 0 || len(k.Checksum) > 8 {
			return headerError("a CHECKSUM, base64 of 7 or 8 bytes", quote(checksum))
		}
	}
	if len(h.KIDs) == maxDefaultKIDs {
		return headerError(fmt.Sprintf("at most %d KIDs", maxDefaultKIDs), "more")
	}
	h.KIDs = append(h.KIDs, k)
	return nil
}

// check enforces the rules of the header's version.
func (h *WRMHeader) check() error {
	if h.Version == Header41 && len(h.KIDs) > 1 {
		return headerError("at most one KID in version "+h.Version, strconv.Itoa(len(h.KIDs)))
	}
	for _, k := range h.KIDs {
		switch {
		case k.Algorithm == "" && h.Version != Header43:
			return headerError("an ALGID", "none")
		case !slices.Contains([]string{"", AlgorithmAESCTR, AlgorithmAESCBC, AlgorithmCocktail}, k.Algorithm), k.Algorithm == AlgorithmAESCBC && h.Version != Header43:
			return headerError("an ALGID of version "+h.Version, quote(k.Algorithm))
		case k.Algorithm == AlgorithmAESCBC && k.Checksum != nil:
			return headerError("no CHECKSUM with AESCBC", "one")
		case h.Version == Header43 && k.Algorithm != h.KIDs[0].Algorithm:
			return headerError("one ALGID for all KIDs", quote(h.KIDs[0].Algorithm)+" and "+quote(k.Algorithm))
		}
	}
	if h.DecryptorSetup != "" && h.DecryptorSetup != "ONDEMAND" {
		return headerError("DECRYPTORSETUP ONDEMAND", quote(h.DecryptorSetup))
	}
	return nil
}

// headerBounds limit a header; 1 KB of it is recommended.
var headerBounds = xmltree.Bounds{Bytes: maxPRO, Elements: 4096, Depth: 16}

// inHeader makes an error on XML one on the header.
func inHeader(err error) error {
	var e *xmltree.Error
	if errors.As(err, &e) {
		return headerError(e.Expected, e.Seen)
	}
	return err
}
