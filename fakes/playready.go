package fakes

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

// playReadyPath is where the PlayReady license server is.
const playReadyPath = "/playready/rightsmanager.asmx"

const (
	licenseNonceLen = 16        // bytes (sheet playready.md §7.1)
	maxClockSkew    = time.Hour // that a client's clock may be off (sheet §9.7)
)

// PlayReadyOptions say how the PlayReady license service is set up. The zero value is as most servers are.
type PlayReadyOptions struct {
	// Persistent licenses may be stored; a track may say otherwise, see [PlayReadyTrack].
	Persistent bool
	// SignAll signs every response, as server SDKs from 4.7 on can, not only those with a persistent license. It then has
	// LicenseNonce, ResponseID and the signer's chain, and Rights IDs are as they are without (sheet playready.md §8.1).
	SignAll bool
	// Acknowledgements asks for one with every response, and takes those that [soap.AcknowledgementBody] writes (sheet §8.3).
	Acknowledgements bool
	// RevocationInfo hands out [Authority.PlayReadyRevocationList] with every response (sheet §8.2).
	RevocationInfo bool
	// StrictVersions wants a challenge for a header of version 4.2 to have version 4 or above, and for 4.3 version 5 (sheet §7.2).
	StrictVersions bool
}

// Reasons of refusals by the PlayReady server, beside those of http.go and those of the Widevine server that mean the same.
const (
	reasonMediaType   drm.Reason = "media-type"       // 415: not text/xml in UTF-8
	reasonAction      drm.Reason = "soap-action"      // another one than AcquireLicense
	reasonDigest      drm.Reason = "request-digest"   // the LA was changed after it was signed
	reasonEncrypted   drm.Reason = "encrypted-data"   // cannot be decrypted, or holds no certificate chain
	reasonSigningKey  drm.Reason = "signing-key"      // not that of the leaf certificate
	reasonVersion     drm.Reason = "protocol-version" //
	reasonNonce       drm.Reason = "license-nonce"    // missing, or not base64 of 16 bytes
	reasonClientTime  drm.Reason = "client-time"      // missing, no number, or more than an hour off
	reasonHeader      drm.Reason = "header"           // a WRMHEADER that cannot be read, or one without a KID
	reasonChecksum    drm.Reason = "checksum"         // of another key than the KID's
	reasonRevoked     drm.Reason = "device-revoked"   // the revocation list has a certificate of the device's chain
	reasonRedirect    drm.Reason = "redirect"         // by a fault: the client is to ask at another URL
	reasonTransaction drm.Reason = "transaction-id"   // of an acknowledgement: no response has it, or it was acknowledged
)

// challenge is a license challenge, as far as it could be read (sheet playready.md §11, steps 1 and 2).
type challenge struct {
	*soap.Challenge                 // nil if it cannot be read
	header          *pssh.WRMHeader // nil if it cannot be read
	action          string          // the header SOAPAction as sent
	nonce           []byte          // nil if it is not base64
	clientTime      time.Time       // once it has been accepted
	transaction     string          // that an acknowledgement quotes, "" if it cannot be read or is none
	elsewhere       string          // absolute URL for a fault to redirect to; "" if the request was redirected there
}

// bareAction returns the SOAP action without its quotes.
func (c *challenge) bareAction() string { return strings.Trim(c.action, `"`) }

// blanks takes out the XML white space that may stand in base64 (sheet playready.md §7.4) and that a decoder does not skip.
var blanks = strings.NewReplacer(" ", "", "\t", "")

// versions of a challenge that are accepted (sheet playready.md §7.2).
var versions = []string{"1", "2", "3", "4", "5"}

// receiveChallenge reads a request to the PlayReady license server. What it refuses does not reach SOAP.
func (x *exchange) receiveChallenge(r *http.Request, body []byte) *refusal {
	x.challenge = &challenge{action: strings.TrimSpace(r.Header.Get("SOAPAction"))}
	x.challenge.elsewhere = elsewhere(r)
	if x.challenge.bareAction() == soap.ActionAcknowledgeLicense {
		var err error
		if x.challenge.transaction, err = soap.ParseAcknowledgement(body); err == nil {
			x.record.Operation = drm.KindAcknowledgement
			return nil
		}
	}
	parsed, err := soap.ParseChallenge(body)
	if err != nil {
		return nil // a SOAP fault
	}
	x.challenge.Challenge = parsed
	x.record.Operation = drm.KindLicense
	if nonce, err := base64.StdEncoding.DecodeString(blanks.Replace(parsed.Nonce)); err == nil {
		x.challenge.nonce, x.record.RequestID = nonce, shortHex(nonce)
	}
	if x.challenge.header, err = pssh.ParseWRMHeaderXML(parsed.Header); err != nil {
		return nil
	}
	for _, kid := range x.challenge.header.IDs() {
		if !slices.Contains(x.record.KIDs, kid) {
			x.record.KIDs = append(x.record.KIDs, kid)
		}
	}
	return nil
}

// acquireLicense answers a license challenge, in the order of sheet playready.md §11, or an acknowledgement.
func (x *exchange) acquireLicense() (answer, *refusal) {
	if x.server.playReady.Acknowledgements && x.challenge.bareAction() == soap.ActionAcknowledgeLicense {
		return x.acknowledge()
	}
	if refused := x.readable(); refused != nil {
		return answer{}, refused
	}
	if refused := x.verifyDigest(); refused != nil {
		return answer{}, refused
	}
	device, refused := x.playReadyDevice()
	if refused != nil {
		return answer{}, refused
	}
	if refused := x.acceptable(); refused != nil {
		return answer{}, refused
	}
	if refused := x.redirect(); refused != nil {
		return answer{}, refused
	}
	if x.provider != nil { // digest and signature, and whose they are, have been verified (sheet playready.md §14.7, PR-TOK-02)
		if refused := x.authorize(); refused != nil {
			return answer{}, refused
		}
	}
	keys, refused := x.headerKeys(device)
	if refused != nil {
		return answer{}, refused
	}
	g := x.newResponse(keys)
	x.spoil(func(d definition, scope *drm.KID) bool { return d.spoilResponse != nil && d.spoilResponse(x, g, scope) })
	body, err := g.seal()
	if err != nil {
		return answer{}, x.fault(reasonInternal, soap.CodeInternalError, "the license could not be made")
	}
	x.server.transactions.add(g.response.Transaction)
	return answer{status: http.StatusOK, contentType: g.contentType, cache: g.cache, body: body}, nil
}

// readable is what is left of steps 1 and 2: the SOAP action, and whether the challenge could be read.
func (x *exchange) readable() *refusal {
	action := x.challenge.action
	bare := x.challenge.bareAction()
	if action != "" && bare != soap.ActionAcquireLicense || action == bare && action != "" && x.acts(faultPRActionQuoted) {
		return x.fault(reasonAction, soap.CodeInvalidMessage, "SOAPAction is not that of AcquireLicense")
	}
	if x.challenge.Challenge == nil {
		return x.fault(reasonMalformed, soap.CodeInvalidMessage, "the challenge cannot be read")
	}
	return nil
}

// verifyDigest is the part of step 3 that needs no certificate: what was read is what was signed.
func (x *exchange) verifyDigest() *refusal {
	if !x.challenge.DigestMatches() && !x.acts(faultPRDigestIgnored) {
		return x.fault(reasonDigest, soap.CodeInvalidMessage, "the digest of the challenge does not match")
	}
	return nil
}

// acceptable is step 6: version, nonce and clock.
func (x *exchange) acceptable() *refusal {
	c := x.challenge
	tooLow := x.server.playReady.StrictVersions && c.Version < leastVersion(c.header)
	if (tooLow || !slices.Contains(versions, c.Version)) && !x.acts(faultPRVersionIgnored) {
		return x.fault(reasonVersion, soap.CodeVersionMismatch, "the version of the challenge is not supported")
	}
	if len(c.nonce) != licenseNonceLen && !x.acts(faultPRNonceIgnored) {
		return x.fault(reasonNonce, soap.CodeInvalidMessage, "LicenseNonce is not base64 of 16 bytes")
	}
	seconds, err := strconv.ParseInt(c.ClientTime, 10, 64)
	if err != nil {
		return x.fault(reasonClientTime, soap.CodeInvalidMessage, "ClientTime is no number of seconds")
	}
	c.clientTime = time.Unix(seconds, 0)
	if skew := c.clientTime.Sub(x.now).Abs(); skew > maxClockSkew {
		return x.fault(reasonClientTime, soap.CodeServiceSpecific, "the client's clock is more than an hour off")
	}
	return nil
}

// leastVersion is that of a challenge for a header, by a strict server (sheet playready.md §7.2).
func leastVersion(h *pssh.WRMHeader) string {
	switch {
	case h != nil && h.Version == pssh.Header43:
		return "5"
	case h != nil && h.Version == pssh.Header42:
		return "4"
	}
	return versions[0]
}

// playReadyService returns the URL of the license service that was asked, for the actor of its faults.
func (x *exchange) playReadyService() string {
	if x.provider != nil {
		return x.asked
	}
	return x.server.URL() + playReadyPath
}

// faultDetail is what a fault without a status code lacks.
var faultDetail = regexp.MustCompile(`<detail>.*</detail>`)

// fault refuses a challenge with a SOAP fault (sheet playready.md §8.4). Its text names neither keys nor tokens; what a client
// may show to its user goes with code 0x8004C604 as custom data.
func (x *exchange) fault(reason drm.Reason, code soap.Code, text string) *refusal {
	return x.faultOf(reason, soap.Fault{Text: text, Code: code})
}

// faultOf refuses a challenge with what a fault says beyond its form. The faults in that form are of license challenges alone.
func (x *exchange) faultOf(reason drm.Reason, f soap.Fault) *refusal {
	text := f.Text
	f.FaultCode, f.Actor = "soap:Server", x.playReadyService()
	if f.Code == soap.CodeServiceSpecific {
		f.CustomData = text
	}
	page := &answer{status: http.StatusInternalServerError, contentType: soap.ContentType}
	refused := &refusal{status: page.status, reason: reason, text: text, page: page}
	if x.record.Operation == drm.KindAcknowledgement {
		page.body = soap.FaultBody(f)
		return refused
	}
	if f.Code != soap.CodeInternalError && x.acts(faultPRFaultCode) {
		f.Code = soap.CodeInternalError
	}
	if x.acts(faultPRFaultTalks) {
		f.Text = "System.Web.Services.Protocols.SoapException: " + text + " at Service.RightsManager.AcquireLicense(XmlNode challenge) in D:\\service\\rightsmanager.asmx.cs:line 42"
	}
	page.body = soap.FaultBody(f)
	if x.acts(faultPRFault200) {
		page.status, refused.status = http.StatusOK, http.StatusOK
	}
	if x.acts(faultPRFaultBare) {
		page.body = faultDetail.ReplaceAll(page.body, nil)
	}
	return refused
}
