package fakes

import (
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// maxKIDs bounds the distinct KIDs of one request; the largest real asset has some tens.
const maxKIDs = 256

// Reasons of refusals by the Widevine server, beside those of http.go. Their statuses are the sheet's (widevine.md §11).
const (
	reasonMalformed      drm.Reason = "malformed"            // 400: no SignedMessage, LicenseRequest or pssh data
	reasonEmpty          drm.Reason = "empty"                // 400: no body, or no msg
	reasonMessageType    drm.Reason = "message-type"         // 400: not a request
	reasonRequestType    drm.Reason = "request-type"         // 400: none of NEW, RENEWAL, RELEASE
	reasonNoCertificate  drm.Reason = "certificate-not-held" // 400: service certificate asked for, by a fault
	reasonNotRenewable   drm.Reason = "not-renewable"        // 403: renewal or release, see renewal.go for others of these
	reasonClientID       drm.Reason = "client-id"            // 400: not exactly one, or no device certificate
	reasonEncryptedID    drm.Reason = "encrypted-client-id"  // 400: for another service, not to be decrypted or read
	reasonChain          drm.Reason = "certificate-chain"    // 403, in-band error 1
	reasonExpired        drm.Reason = "certificate-expired"  // 403, in-band error 4
	reasonSignature      drm.Reason = "request-signature"    // 403
	reasonContentID      drm.Reason = "content-id"           // 400: no pssh data, or KIDs of another length than 16
	reasonUnknownContent drm.Reason = "unknown-content"      // 404: no KID that the server has a key for
	reasonSecurity       drm.Reason = "security-level"       // 403: keys for more secure devices only
)

// request is what a body says, as far as it could be read.
type request struct {
	operation drm.Kind
	envelope  *wire.SignedMessage
	message   *wire.LicenseRequest
	content   content
	refusal   *refusal // why reading stopped; nil if it did not
	cut       bool     // by a fault: the signature is not all there
}

// content is what a request asks for.
type content struct {
	kids       []drm.KID // distinct, in order
	contentIDs []string
	scheme     *uint32
	refusal    *refusal // what is wrong with it
}

// readRequest reads a body without judging who sent it.
func readRequest(body []byte) request {
	var r request
	if len(body) == 0 {
		r.refusal = refuse(http.StatusBadRequest, reasonEmpty, "the body is empty, want a key request")
		return r
	}
	r.envelope = new(wire.SignedMessage)
	if proto.Unmarshal(body, r.envelope) != nil {
		r.refusal = refuse(http.StatusBadRequest, reasonMalformed, "the body is no SignedMessage")
		return r
	}
	switch r.envelope.GetType() {
	case wire.SignedMessage_LICENSE_REQUEST: // also when absent (sheet §4)
	case wire.SignedMessage_SERVICE_CERTIFICATE_REQUEST:
		r.operation = drm.KindCertificate
		return r
	default:
		r.refusal = refuse(http.StatusBadRequest, reasonMessageType, fmt.Sprintf("message type %d is no request", r.envelope.GetType()))
		return r
	}
	if len(r.envelope.GetMsg()) == 0 {
		r.refusal = refuse(http.StatusBadRequest, reasonEmpty, "the message is empty, want a LicenseRequest")
		return r
	}
	r.message = new(wire.LicenseRequest)
	if proto.Unmarshal(r.envelope.GetMsg(), r.message) != nil {
		r.refusal = refuse(http.StatusBadRequest, reasonMalformed, "the message is no LicenseRequest")
		return r
	}
	r.operation, r.refusal = operationOf(r.message)
	r.content = readContent(r.message)
	return r
}

// requestID returns the request_id that the request has, or that of the license that it names.
func (r request) requestID() []byte {
	id := r.message.GetContentId()
	if existing := id.GetExistingLicense(); existing != nil {
		return existing.GetLicenseId().GetRequestId()
	}
	return id.GetWidevinePsshData().GetRequestId()
}

func operationOf(m *wire.LicenseRequest) (drm.Kind, *refusal) {
	switch m.GetType() {
	case wire.LicenseRequest_NEW:
		return drm.KindLicense, nil
	case wire.LicenseRequest_RENEWAL:
		return drm.KindRenewal, nil
	case wire.LicenseRequest_RELEASE:
		return drm.KindRelease, nil
	}
	return "", refuse(http.StatusBadRequest, reasonRequestType, fmt.Sprintf("request type %d is not known", m.GetType()))
}

// readContent collects the KIDs of all pssh data (sheet §4.5, §4.12).
func readContent(m *wire.LicenseRequest) content {
	asked := m.GetContentId().GetWidevinePsshData()
	if asked == nil {
		return content{refusal: refuse(http.StatusBadRequest, reasonContentID, "the content identification is no pssh data")}
	}
	var c content
	for _, data := range asked.GetPsshData() {
		d, err := pssh.ParseWidevineData(data)
		if err != nil {
			return content{refusal: refuse(http.StatusBadRequest, reasonContentID, "the pssh data can't be read")}
		}
		if len(d.OddKeyIDs) > 0 {
			c.refusal = refuse(http.StatusBadRequest, reasonContentID, fmt.Sprintf("a key id has %d bytes, want 16", len(d.OddKeyIDs[0])))
		}
		for _, kid := range d.KeyIDs {
			c.addKID(kid)
		}
		if len(d.ContentID) > 0 {
			c.contentIDs = append(c.contentIDs, string(d.ContentID))
		}
		if c.scheme == nil {
			c.scheme = d.ProtectionScheme
		}
	}
	return c
}

func (c *content) addKID(kid drm.KID) {
	switch {
	case slices.Contains(c.kids, kid):
	case len(c.kids) == maxKIDs:
		c.refusal = refuse(http.StatusBadRequest, reasonContentID, fmt.Sprintf("more than %d key ids", maxKIDs))
	default:
		c.kids = append(c.kids, kid)
	}
}

// respond returns the answer to a request that could be received. A provider's license service decides on the token before
// it looks at the key request.
func (x *exchange) respond() (answer, *refusal) {
	if x.token != nil {
		return x.issueToken()
	}
	a, refused := x.serve()
	if refused == nil && x.provider != nil {
		a = x.provider.answer(x, a)
	}
	return a, refused
}

// serve returns the answer to a key request, as the DRM system has it.
func (x *exchange) serve() (answer, *refusal) {
	if x.challenge != nil {
		return x.acquireLicense()
	}
	if x.provider != nil {
		if refused := x.authorize(); refused != nil {
			return answer{}, refused
		}
	}
	body, refused := x.widevine()
	return answer{status: http.StatusOK, contentType: contentTypeBinary, body: body}, refused
}

// widevine returns the protocol answer to a key request.
func (x *exchange) widevine() ([]byte, *refusal) {
	switch {
	case x.request.envelope == nil && x.acts(faultEmptyIsAsking):
		return x.serviceCertificate()
	case x.cutOff():
	case x.request.refusal != nil:
		return nil, x.request.refusal
	}
	switch {
	case x.request.operation == drm.KindCertificate:
		return x.serviceCertificate()
	case x.request.operation != drm.KindLicense:
		return x.existing()
	}
	return x.license()
}

// license goes through the rest of sheet §15: who asks, may they, what for, and the license.
func (x *exchange) license() ([]byte, *refusal) {
	who, refused := x.parties()
	if refused != nil {
		return nil, refused
	}
	if refused = x.verifySignature(who.signer); refused != nil {
		return nil, refused
	}
	keys, refused := x.resolveKeys()
	if refused != nil {
		return nil, refused
	}
	g := x.newGrant(who.recipient, keys)
	x.spoil(func(d definition, scope *drm.KID) bool { return d.spoil != nil && d.spoil(x, g, scope) })
	body, err := g.seal()
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, reasonInternal, "the license could not be made")
	}
	x.keep(g)
	return body, nil
}

// resolveKeys returns the keys that are asked for and known, in the request's order. A KID that is not known, or whose
// track wants a more secure device, is left out; if none is left the request is refused.
func (x *exchange) resolveKeys() ([]grantedKey, *refusal) {
	c := x.request.content
	if c.refusal != nil {
		return nil, c.refusal
	}
	kids := slices.Clone(c.kids)
	for _, id := range c.contentIDs {
		for _, kid := range x.server.contentIDs[id] {
			if !slices.Contains(kids, kid) {
				kids = append(kids, kid)
			}
		}
	}
	all, refused := x.termsFor(kids)
	if refused != nil {
		return nil, refused
	}
	var keys []grantedKey
	withheld := false
	for _, t := range all {
		kid, track := t.kid, x.trackOf(t)
		if !track.allows(deviceSecurity) {
			withheld = true
			continue
		}
		key, known := x.contentKey(t)
		if !known {
			if !x.acts(faultUnknownKIDServed) {
				continue
			}
			key = secret.New(x.server.faultBytes("unknown key " + kid.String()))
		}
		x.record.Granted = append(x.record.Granted, kid)
		keys = append(keys, grantedKey{
			kid: kid, id: kid[:], key: key, iv: random(ivLen), level: track.level(), hdcp: track.HDCP, label: track.Label,
		})
	}
	if len(keys) == 0 && withheld {
		return nil, refuse(http.StatusForbidden, reasonSecurity, "no key for a device of this security level")
	}
	if len(keys) == 0 {
		return nil, refuse(http.StatusNotFound, reasonUnknownContent, "no key for this content")
	}
	return keys, nil
}

// newGrant makes the license with everything in it that is fresh for each: session key, session id, IVs, signing key.
func (x *exchange) newGrant(device *chain.Certificate, keys []grantedKey) *grant {
	asked := x.request.message.GetContentId().GetWidevinePsshData()
	policy := x.policyOf(keys)
	kind := grantedType(asked.GetLicenseType(), policy)
	g := &grant{
		request:    x.request.envelope.GetMsg(),
		device:     device.Encryption,
		requestID:  asked.GetRequestId(),
		sessionID:  random(sessionIDLen),
		kind:       kind,
		terms:      policy,
		policy:     policyFor(policy, kind),
		start:      x.startTime(),
		scheme:     x.request.content.scheme,
		keys:       keys,
		sessionKey: secret.New(random(ladder.SessionKeyLen)),
		envelope:   wire.SignedMessage_LICENSE,
	}
	if policy.CanRenew {
		g.signing, g.signingIV = secret.New(random(signingKeyLen)), random(ivLen)
	}
	return g
}

// startTime is the request's time, or the server's where the request has none (sheet §4.10). Zero counts as none: some
// encoders write it, and a license that started in 1970 is over.
func (x *exchange) startTime() int64 {
	if t := x.request.message.GetRequestTime(); t > 0 {
		return t
	}
	return x.now.Unix()
}

// spoil applies the faults that alter a license, in the order of the table. alter reports whether the fault had anything to
// alter; scope is the KID that the setting names, nil for all.
func (x *exchange) spoil(alter func(d definition, scope *drm.KID) bool) {
	if len(x.faults) == 0 {
		return
	}
	for _, d := range definitions() {
		for _, a := range x.faults {
			if a.Name == d.Name && alter(d, a.KID) {
				x.acted(d.Name)
			}
		}
	}
}
