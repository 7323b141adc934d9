package pssh

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm/xmltree"
)

// maxHeaderKIDs is the number of KIDs that a header may have; 15 KiB hold some 90.
const maxHeaderKIDs = 128

// onDemand is the only value of DECRYPTORSETUP.
const onDemand = "ONDEMAND"

// readData takes the element DATA into the header's fields.
func (h *WRMHeader) readData(root *xmltree.Node) *Error {
	data, err := only(root, "DATA")
	if err != nil {
		return err
	}
	if data == nil {
		if h.Version == Header40 {
			return headerError("an element DATA", "none")
		}
		return nil
	}
	if err := h.readInformation(data); err != nil {
		return err
	}
	info, err := only(data, "PROTECTINFO")
	switch {
	case err != nil:
		return err
	case h.Version == Header40:
		return h.readKID40(data, info)
	}
	h.skipped(data, "KID", "CHECKSUM")
	if info == nil {
		return nil
	}
	return h.readKIDs(info)
}

// only returns the only child of the name in the header's namespace, nil if there is none. CUSTOMATTRIBUTES may be in any: it
// often undeclares the default namespace on itself.
func only(parent *xmltree.Node, name string) (*xmltree.Node, *Error) {
	var found *xmltree.Node
	for _, n := range parent.Children {
		if n.Name.Local != name || n.Name.Space != nsWRMHeader && name != "CUSTOMATTRIBUTES" {
			continue
		}
		if found != nil {
			return nil, headerError("one element "+name, "more")
		}
		found = n
	}
	return found, nil
}

// content returns the text of the only child of the name, which is there only if n is not nil.
func content(parent *xmltree.Node, name string) (text string, n *xmltree.Node, err *Error) {
	if n, err = only(parent, name); err != nil || n == nil {
		return "", nil, err
	}
	if len(n.Children) > 0 {
		return "", nil, headerError("text alone in "+name, "an element "+quote(n.Children[0].Name.Local))
	}
	return strings.Trim(n.Text, spaces), n, nil
}

// skipped notes children that are of other versions of the header: as unknown elements they are skipped.
func (h *WRMHeader) skipped(parent *xmltree.Node, names ...string) {
	for _, n := range parent.Children {
		if slices.Contains(names, n.Name.Local) && n.Name.Space == nsWRMHeader {
			h.note(n.Name.Local + " in " + parent.Name.Local + " is not of version " + h.Version + ": skipped")
		}
	}
}

func (h *WRMHeader) note(text string) {
	if !slices.Contains(h.Notes, text) {
		h.Notes = append(h.Notes, text)
	}
}

// readInformation reads the children of DATA that all versions have, and DECRYPTORSETUP. From 4.1 on they must not be empty.
func (h *WRMHeader) readInformation(data *xmltree.Node) *Error {
	elements := []struct {
		name  string
		field *string
	}{{"LA_URL", &h.LAURL}, {"LUI_URL", &h.LUIURL}, {"DS_ID", &h.DomainServiceID}, {"DECRYPTORSETUP", &h.DecryptorSetup}}
	if h.Version == Header40 {
		h.skipped(data, "DECRYPTORSETUP")
		elements = elements[:3]
	}
	for _, e := range elements {
		text, n, err := content(data, e.name)
		switch {
		case err != nil:
			return err
		case n != nil && text == "" && h.Version != Header40:
			return headerError("content in "+e.name, "an empty element")
		}
		*e.field = text
	}
	custom, err := only(data, "CUSTOMATTRIBUTES")
	switch {
	case err != nil:
		return err
	case custom != nil && strings.Trim(custom.Inner(), spaces) == "" && h.Version != Header40:
		return headerError("content in CUSTOMATTRIBUTES", "an empty element")
	case custom != nil:
		h.CustomAttributes = custom.Inner()
	}
	h.information()
	return nil
}

// information notes values that clients carry along unread and that are of no use as they are.
func (h *WRMHeader) information() {
	for _, e := range []struct{ name, text string }{{"LA_URL", h.LAURL}, {"LUI_URL", h.LUIURL}} {
		if u, err := url.Parse(e.text); e.text != "" && (err != nil || !u.IsAbs() || u.Host == "") {
			h.note(e.name + " " + quote(e.text) + " is no absolute URL")
		}
	}
	if id, err := base64.StdEncoding.DecodeString(compact(h.DomainServiceID)); h.DomainServiceID != "" && (err != nil || len(id) != lenKID) {
		h.note("DS_ID " + quote(h.DomainServiceID) + " is not base64 of a GUID")
	}
}

// readKID40 reads the one KID of version 4.0, which has elements where later versions have attributes.
func (h *WRMHeader) readKID40(data, info *xmltree.Node) *Error {
	value, kid, err := content(data, "KID")
	switch {
	case info == nil:
		return headerError("an element PROTECTINFO", "none")
	case err != nil:
		return err
	case kid == nil:
		return headerError("an element KID", "none")
	}
	h.skipped(info, "KID", "KIDS")
	h.skippedRequest(info)
	algorithm, _, err := content(info, "ALGID")
	if err != nil {
		return err
	}
	length, _, err := content(info, "KEYLEN")
	if err != nil {
		return err
	}
	checksum, _, err := content(data, "CHECKSUM")
	if err != nil {
		return err
	}
	if err := h.addKID(value, algorithm, checksum); err != nil {
		return err
	}
	if want := keyLength(algorithm); length != want {
		return headerError("KEYLEN "+want+" with ALGID "+algorithm, quote(length))
	}
	return nil
}

// keyLength returns the KEYLEN of version 4.0, in bytes.
func keyLength(algorithm string) string {
	if algorithm == AlgorithmCocktail {
		return strconv.Itoa(lenKeyCocktail)
	}
	return "16"
}

// readKIDs reads the KIDs of the versions from 4.1 on.
func (h *WRMHeader) readKIDs(info *xmltree.Node) *Error {
	parent, foreign := info, "KIDS"
	if h.Version != Header41 {
		kids, err := only(info, "KIDS")
		if err != nil {
			return err
		}
		parent, foreign = kids, "KID"
	}
	h.skipped(info, "KEYLEN", "ALGID", foreign)
	if requested, ok := info.Lookup("LICENSEREQUESTED"); h.Version != Header43 {
		h.skippedRequest(info)
	} else if ok {
		if requested != "true" && requested != "false" {
			return headerError("LICENSEREQUESTED true or false", quote(requested))
		}
		h.LicenseRequested = requested
	}
	if parent == nil {
		return nil
	}
	for _, n := range parent.Children {
		if n.Name.Local != "KID" || n.Name.Space != nsWRMHeader {
			continue
		}
		if err := h.readKID(n); err != nil {
			return err
		}
	}
	if parent != info && len(h.KIDs) == 0 {
		return headerError("one or more KID elements in KIDS", "none")
	}
	return nil
}

// skippedRequest notes an attribute that only version 4.3 has.
func (h *WRMHeader) skippedRequest(info *xmltree.Node) {
	if _, ok := info.Lookup("LICENSEREQUESTED"); ok {
		h.note("LICENSEREQUESTED is not of version " + h.Version + ": skipped")
	}
}

func (h *WRMHeader) readKID(n *xmltree.Node) *Error {
	if n.Inner() != "" {
		return headerError("an empty element KID with its value in an attribute", "content in it")
	}
	value, _ := n.Lookup("VALUE")
	algorithm, hasAlgorithm := n.Lookup("ALGID")
	checksum, hasChecksum := n.Lookup("CHECKSUM")
	switch {
	case hasAlgorithm && algorithm == "":
		return headerError("an ALGID", `""`)
	case hasChecksum && strings.Trim(checksum, spaces) == "":
		return headerError("a CHECKSUM", quote(checksum))
	}
	return h.addKID(value, algorithm, checksum)
}

// addKID adds a KID of what the header says of it; an empty algorithm or checksum is not stated.
func (h *WRMHeader) addKID(value, algorithm, checksum string) *Error {
	if len(h.KIDs) == maxHeaderKIDs {
		return headerError(fmt.Sprintf("at most %d KIDs", maxHeaderKIDs), "more")
	}
	b, err := base64.StdEncoding.DecodeString(compact(value))
	if err != nil || len(b) != lenKID {
		return headerError("a KID, base64 of 16 bytes", quote(value))
	}
	k := HeaderKID{KID: KIDOfGUID([16]byte(b)), Algorithm: algorithm}
	if err := k.checkAlgorithm(h.Version); err != nil {
		return err
	}
	if checksum = compact(checksum); checksum != "" {
		if k.Checksum, err = base64.StdEncoding.DecodeString(checksum); err != nil {
			return headerError("a CHECKSUM in base64", quote(checksum))
		}
	}
	if slices.Contains(h.IDs(), k.KID) {
		h.note("KID " + k.KID.String() + " is there more than once")
	}
	h.KIDs = append(h.KIDs, k)
	return k.checkChecksum()
}

func (k HeaderKID) checkAlgorithm(version string) *Error {
	allowed := []string{AlgorithmAESCTR, AlgorithmCocktail}
	if version == Header43 {
		allowed = append(allowed, AlgorithmAESCBC, "")
	}
	switch {
	case slices.Contains(allowed, k.Algorithm):
		return nil
	case k.Algorithm == "":
		return headerError("an ALGID, which only version "+Header43+" may leave out", "none")
	}
	return headerError("an ALGID of version "+version, quote(k.Algorithm))
}

func (k HeaderKID) checkChecksum() *Error {
	var want []int // lengths in bytes
	switch {
	case k.Checksum == nil:
		return nil
	case k.Algorithm == AlgorithmAESCBC:
		return headerError("no CHECKSUM with AESCBC", "one")
	case k.Algorithm == AlgorithmAESCTR:
		want = []int{lenChecksumCTR}
	case k.Algorithm == AlgorithmCocktail:
		want = []int{lenChecksumCocktail}
	default:
		want = []int{lenChecksumCocktail, lenChecksumCTR}
	}
	if slices.Contains(want, len(k.Checksum)) {
		return nil
	}
	return headerError(fmt.Sprintf("a CHECKSUM of %d bytes", want[len(want)-1]), count(len(k.Checksum), "byte"))
}

// check enforces the rules on all KIDs together.
func (h *WRMHeader) check() *Error {
	if h.Version == Header41 && len(h.KIDs) > 1 {
		return headerError("at most one KID in version "+h.Version, strconv.Itoa(len(h.KIDs)))
	}
	for _, k := range h.KIDs {
		if h.Version == Header43 && k.Algorithm != h.KIDs[0].Algorithm {
			return headerError("one ALGID for all KIDs", quote(h.KIDs[0].Algorithm)+" and "+quote(k.Algorithm))
		}
	}
	if h.DecryptorSetup != "" && h.DecryptorSetup != onDemand {
		return headerError("DECRYPTORSETUP "+onDemand, quote(h.DecryptorSetup))
	}
	return nil
}
