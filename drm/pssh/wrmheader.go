package pssh

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"unicode"
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
	CustomAttributes string // what stands inside the element, as found; its own attributes are in XML only
	DecryptorSetup   string // "" or ONDEMAND
	LicenseRequested string // "", true or false

	// XML is the header as found, in UTF-8, without what may stand before and behind its root element: a challenge carries it
	// as it is.
	XML string
	// Notes tell what is odd but readable, above all where the header breaks the rules of canonical XML, so that servers that
	// canonicalize it and servers that don't would compute different digests.
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

// ParseWRMHeader reads a header in UTF-16LE, as a PlayReady object has it. A version that is not known, a document type
// declaration, or what breaks the rules of its version is an [*Error].
func ParseWRMHeader(text []byte) (*WRMHeader, error) {
	h, err := parseUTF16(text)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// ParseWRMHeaderXML reads a header in UTF-8, as a challenge carries it: the element alone, which declares its namespaces itself.
// For the rest it does what [ParseWRMHeader] does.
func ParseWRMHeaderXML(text string) (*WRMHeader, error) {
	h, err := parseHeader(text)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// headerBounds limit a header; 1 KB of it is recommended. A character of two bytes in UTF-16 has up to three in UTF-8.
var headerBounds = xmltree.Bounds{Bytes: maxPRO / 2 * 3, Elements: 4096, Depth: 16}

func headerError(expected, seen string) *Error {
	return &Error{Where: "WRMHEADER", Offset: -1, Expected: expected, Seen: seen, Hint: hintWrongHeader}
}

// inHeader makes an error on XML one on the header.
func inHeader(err error) *Error {
	e := headerError("well-formed XML", printable(err.Error()))
	var xmlError *xmltree.Error
	if errors.As(err, &xmlError) {
		e.Expected, e.Seen = xmlError.Expected, printable(xmlError.Seen)
	}
	return e
}

func parseUTF16(text []byte) (*WRMHeader, *Error) {
	s, err := decodeUTF16(text)
	if err != nil {
		return nil, err
	}
	return parseHeader(s)
}

// decodeUTF16 decodes UTF-16LE. A surrogate without its twin is an error: a challenge could not carry it as found.
func decodeUTF16(text []byte) (string, *Error) {
	switch {
	case len(text) > maxPRO:
		return "", headerError("at most "+count(maxPRO, "byte"), count(len(text), "byte"))
	case len(text)%2 != 0:
		return "", headerError("UTF-16, an even number of bytes", count(len(text), "byte"))
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(text[2*i:])
	}
	for i := 0; i < len(units); i++ {
		if !utf16.IsSurrogate(rune(units[i])) {
			continue
		}
		if i+1 == len(units) || utf16.DecodeRune(rune(units[i]), rune(units[i+1])) == unicode.ReplacementChar {
			err := headerError("UTF-16", "half of a surrogate pair")
			err.Offset = int64(2 * i)
			return "", err
		}
		i++
	}
	return string(utf16.Decode(units)), nil
}

func parseHeader(text string) (*WRMHeader, *Error) {
	text, notes := afterProlog(text)
	if strings.HasPrefix(text, "<?") || strings.HasPrefix(text, "\ufeff") { // xmltree would take another prolog
		return nil, headerError("the root element WRMHEADER", quote(text))
	}
	root, err := xmltree.Parse(text, headerBounds)
	if err != nil {
		return nil, inHeader(err)
	}
	if root.Name != (xml.Name{Space: nsWRMHeader, Local: "WRMHEADER"}) {
		return nil, headerError("the root element WRMHEADER of "+nsWRMHeader, quote(root.Name.Local)+" of "+quote(root.Name.Space))
	}
	h := &WRMHeader{XML: root.Raw(), Version: root.Attr("version"), Notes: notes}
	if !slices.Contains(headerVersions, h.Version) {
		return nil, headerError("version "+strings.Join(headerVersions, ", "), quote(h.Version))
	}
	if h.XML != text {
		h.note("white space or comments around the root element" + notCanonical)
	}
	h.Notes = append(h.Notes, uncanonical(root)...)
	if err := h.readData(root); err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// afterProlog returns the text without byte order mark and XML declaration, which a header must not have, with a note on each.
// What encoding the declaration names does not matter: the text is decoded already.
func afterProlog(text string) (rest string, notes []string) {
	if after, ok := strings.CutPrefix(text, "\ufeff"); ok {
		text, notes = after, append(notes, "a byte order mark"+notCanonical)
	}
	if declaration, after, ok := strings.Cut(text, "?>"); ok && len(declaration) > len(xmlTarget) && declaration[:len(xmlTarget)] == xmlTarget &&
		strings.IndexByte(spaces, declaration[len(xmlTarget)]) >= 0 {
		text, notes = strings.TrimLeft(after, spaces), append(notes, "an XML declaration"+notCanonical)
	}
	return text, notes
}

const xmlTarget = "<?xml"
