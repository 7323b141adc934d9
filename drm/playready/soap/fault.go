package soap

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"keyflow/drm/xmltree"
)

// Code is the status code of a fault, an HRESULT.
type Code uint32

// The codes that license servers answer with (sheet §8.4; those that Microsoft's public pages name are marked *).
const (
	CodeDeviceRevoked        Code = 0x8004C065 // *
	CodeInternalError        Code = 0x8004C600 // *
	CodeInvalidMessage       Code = 0x8004C601 // *
	CodeDeviceLimitReached   Code = 0x8004C602 // *
	CodeIndivRequired        Code = 0x8004C603
	CodeServiceSpecific      Code = 0x8004C604 // *
	CodeDomainRequired       Code = 0x8004C605 // *
	CodeRenewDomain          Code = 0x8004C606 // *
	CodeUnknownMeteringID    Code = 0x8004C607
	CodeComputerLimitReached Code = 0x8004C608
	CodeProtocolFallback     Code = 0x8004C609
	CodeNotAMember           Code = 0x8004C60A // *
	CodeVersionMismatch      Code = 0x8004C60B // *
	CodeUnknownAccountID     Code = 0x8004C60C // *
	CodeProtocolRedirect     Code = 0x8004C60D // *
	CodeUnknownTransactionID Code = 0x8004C610
	CodeInvalidLicenseID     Code = 0x8004C611
	CodeMaximumLicenseID     Code = 0x8004C612
)

// meanings are those of sheet §8.4, for messages.
var meanings = map[Code]struct{ name, text string }{
	CodeDeviceRevoked:        {"DRM_E_DEVCERT_REVOKED", "the chain contains a revoked certificate"},
	CodeInternalError:        {"DRM_E_SERVER_INTERNAL_ERROR", "a failure of the server"},
	CodeInvalidMessage:       {"DRM_E_SERVER_INVALID_MESSAGE", "the challenge is malformed or does not verify"},
	CodeDeviceLimitReached:   {"DRM_E_SERVER_DEVICE_LIMIT_REACHED", "the domain is full"},
	CodeIndivRequired:        {"DRM_E_SERVER_INDIV_REQUIRED", "the client must individualize"},
	CodeServiceSpecific:      {"DRM_E_SERVER_SERVICE_SPECIFIC", "refused by the service: token, entitlement, unknown KID, security level"},
	CodeDomainRequired:       {"DRM_E_SERVER_DOMAIN_REQUIRED", "the client must join a domain"},
	CodeRenewDomain:          {"DRM_E_SERVER_RENEW_DOMAIN", "the client must renew its domain"},
	CodeUnknownMeteringID:    {"DRM_E_SERVER_UNKNOWN_METERINGID", "the metering id is not known"},
	CodeComputerLimitReached: {"DRM_E_SERVER_COMPUTER_LIMIT_REACHED", "the limit of computers is reached"},
	CodeProtocolFallback:     {"DRM_E_SERVER_PROTOCOL_FALLBACK", "the client must use the legacy protocol"},
	CodeNotAMember:           {"DRM_E_SERVER_NOT_A_MEMBER", "the client is no member of the domain"},
	CodeVersionMismatch:      {"DRM_E_SERVER_PROTOCOL_VERSION_MISMATCH", "the version of the challenge is not supported"},
	CodeUnknownAccountID:     {"DRM_E_SERVER_UNKNOWN_ACCOUNTID", "the account id is not known"},
	CodeProtocolRedirect:     {"DRM_E_SERVER_PROTOCOL_REDIRECT", "the client must ask at another URL"},
	CodeUnknownTransactionID: {"DRM_E_SERVER_UNKNOWN_TRANSACTIONID", "the transaction id is not known"},
	CodeInvalidLicenseID:     {"DRM_E_SERVER_INVALID_LICENSEID", "the license id is not valid"},
	CodeMaximumLicenseID:     {"DRM_E_SERVER_MAXIMUM_LICENSEID_EXCEEDED", "too many license ids"},
}

// String returns the code as faults have it, 0x and 8 hexadecimal digits, with its name if that is known.
func (c Code) String() string {
	text := fmt.Sprintf("0x%08X", uint32(c))
	if name := c.Name(); name != "" {
		text += " (" + name + ")"
	}
	return text
}

// Name returns the name of the code, "" for one that is not known.
func (c Code) Name() string { return meanings[c].name }

// Meaning tells in words what the code says, "" for one that is not known.
func (c Code) Meaning() string { return meanings[c].text }

// Fault is a SOAP fault of a license server (sheet §8.4). It is an error.
type Fault struct {
	FaultCode   string // of SOAP: soap:Server
	Text        string // faultstring; clients do not key on it
	Actor       string // URL of the service
	Status      string // StatusCode as sent; "" if there is none
	Code        Code   // the status code; 0 if there is none that can be read
	CustomData  string // text of the service
	RedirectURL string
}

// Error tells code and meaning, or the server's own words if there is no code.
func (f *Fault) Error() string {
	text := "SOAP fault " + f.Code.String()
	if f.Code == 0 {
		return fmt.Sprintf("SOAP fault without a status code that can be read: %.200q", f.Text)
	}
	if m := f.Code.Meaning(); m != "" {
		text += ": " + m
	}
	if f.CustomData != "" {
		text += fmt.Sprintf("; the service says %.200q", f.CustomData)
	}
	return text
}

// FaultBody writes the body of a fault, whose StatusCode follows from Code.
func FaultBody(f Fault) []byte {
	var b strings.Builder
	b.WriteString(`<soap:Fault><faultcode>` + xmltree.EscapeText(f.FaultCode) + `</faultcode><faultstring>` + xmltree.EscapeText(f.Text) + `</faultstring>`)
	element(&b, "faultactor", f.Actor)
	b.WriteString(`<detail><Exception><StatusCode>` + fmt.Sprintf("0x%08X", uint32(f.Code)) + `</StatusCode>`)
	element(&b, "CustomData", f.CustomData)
	element(&b, "RedirectUrl", f.RedirectURL)
	b.WriteString(`</Exception></detail></soap:Fault>`)
	return envelope(b.String())
}

var statusCode = regexp.MustCompile(`^0[xX]([0-9a-fA-F]{8})$`)

func isFault(n *xmltree.Node) bool { return n.Name.Local == "Fault" && n.Name.Space == nsEnvelope }

func readFault(n *xmltree.Node) (*Fault, error) {
	f := &Fault{}
	if err := texts(n, field{"faultcode", &f.FaultCode}, field{"faultstring", &f.Text}, field{"faultactor", &f.Actor}); err != nil {
		return f, err
	}
	exception := n.Path("detail", "Exception")
	if exception == nil {
		return f, nil
	}
	if err := texts(exception, field{"StatusCode", &f.Status}, field{"CustomData", &f.CustomData}, field{"RedirectUrl", &f.RedirectURL}); err != nil {
		return f, err
	}
	if m := statusCode.FindStringSubmatch(f.Status); m != nil {
		code, _ := strconv.ParseUint(m[1], 16, 32) // eight hexadecimal digits
		f.Code = Code(code)
	}
	return f, nil
}
