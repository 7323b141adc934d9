package main

import (
	"crypto/rsa"
	"encoding/hex"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

func (v *inspectedMessage) readLicenseRequest(e *wire.SignedMessage) {
	q := new(wire.LicenseRequest)
	err := readProto(e.GetMsg(), q)
	v.problemIn("LicenseRequest", err)
	if len(e.GetMsg()) == 0 {
		v.problemIn("LicenseRequest", errNoMessage)
		return
	}
	switch q.GetType() {
	case wire.LicenseRequest_RENEWAL:
		v.Kind = kindWVRenewal
	case wire.LicenseRequest_RELEASE:
		v.Kind = kindWVRelease
	}
	r := &inspectedWVRequest{
		Partly: err != nil, Type: enumStated(q.Type), Time: timeView(q.RequestTime), Protocol: enumStated(q.ProtocolVersion),
		Nonce: q.KeyControlNonce != nil, OldNonce: len(q.GetKeyControlNonceDeprecated()),
	}
	v.Widevine.Request = r
	v.Widevine.unknown("LicenseRequest", q.ProtoReflect())
	if q.ContentId != nil {
		r.Content = v.contentView(q.GetContentId())
	}
	if q.EncryptedClientId != nil {
		r.Encrypted = privacyView(q.GetEncryptedClientId())
	}
	if q.ClientId != nil {
		var key *rsa.PublicKey
		r.Client, key = v.clientView(q.GetClientId())
		if v.Kind == kindWVRequest && key != nil && v.err == nil { // others have an HMAC (sheet widevine.md §10)
			r.SignatureVerifies, r.SignatureCovers = requestSignature(key, e)
		}
	}
	switch {
	case q.ClientId != nil && q.EncryptedClientId != nil:
		v.note("the client is identified in the clear and encrypted: a request has one of both")
	case q.ClientId == nil && q.EncryptedClientId == nil && v.Kind == kindWVRequest && !r.Partly:
		v.note("the request does not say who asks: there is no client_id, clear or encrypted")
	}
}

// requestSignature verifies a request under its device's key: over msg, or over the core message and msg (sheet widevine.md §6.5).
func requestSignature(key *rsa.PublicKey, e *wire.SignedMessage) (verifies *bool, covers string) {
	right, msg := true, e.GetMsg()
	if ladder.Verify(key, msg, e.GetSignature()) == nil {
		return &right, "msg"
	}
	if core := e.GetOemcryptoCoreMessage(); len(core) > 0 {
		if ladder.Verify(key, append(append([]byte(nil), core...), msg...), e.GetSignature()) == nil {
			return &right, "core message and msg"
		}
	}
	right = false
	return &right, ""
}

func privacyView(e *wire.EncryptedClientIdentification) *inspectedPrivacy {
	serial := e.GetServiceCertificateSerialNumber()
	return &inspectedPrivacy{
		Provider: e.GetProviderId(), Serial: serialText(serial), SerialFingerprint: serialFingerprint(serial),
		ClientID: len(e.GetEncryptedClientId()), IV: len(e.GetEncryptedClientIdIv()), PrivacyKey: len(e.GetEncryptedPrivacyKey()),
	}
}

// serialText returns a serial number in hexadecimal; they have 16 bytes or so.
func serialText(serial []byte) string {
	return hex.EncodeToString(serial[:min(len(serial), maxID)])
}

// serialFingerprint returns the fingerprint of a serial number, "" for one that is so short that it could be guessed from it.
func serialFingerprint(serial []byte) drm.Fingerprint {
	if len(serial) < secret.MinLen {
		return ""
	}
	return secret.FingerprintOf(serial)
}

// contentView tells what a request asks for. Of several variants the last counts, as for any reader of protobuf (sheet widevine.md
// §4.5).
func (v *inspectedMessage) contentView(c *wire.LicenseRequest_ContentIdentification) *inspectedContent {
	switch {
	case c.GetWidevinePsshData() != nil:
		p := c.GetWidevinePsshData()
		view := &inspectedContent{Form: contentPSSH, LicenseType: enumStated(p.LicenseType), RequestID: idText(p.GetRequestId())}
		for _, data := range p.GetPsshData()[:min(len(p.GetPsshData()), maxListed)] {
			view.Widevine = append(view.Widevine, psshDataView(data))
		}
		if n := len(p.GetPsshData()); n != 1 {
			v.note("the request has the data of %d pssh boxes, clients send that of one", n)
		}
		return view
	case c.GetWebmKeyId() != nil:
		w := c.GetWebmKeyId()
		return &inspectedContent{Form: "WebM key id", WebM: idText(w.GetHeader()), LicenseType: enumStated(w.LicenseType), RequestID: idText(w.GetRequestId())}
	case c.GetExistingLicense() != nil:
		l := c.GetExistingLicense()
		view := &inspectedContent{Form: contentExisting, Started: l.SecondsSinceStarted, LastPlayed: l.SecondsSinceLastPlayed, UsageEntry: len(l.GetSessionUsageTableEntry())}
		if l.LicenseId != nil {
			view.License = licenseIDView(l.GetLicenseId())
		}
		return view
	case c.GetInitData() != nil:
		d := c.GetInitData()
		view := &inspectedContent{
			Form: "init data", InitData: enumStated(d.InitDataType), Bytes: len(d.GetInitData()),
			LicenseType: enumStated(d.LicenseType), RequestID: idText(d.GetRequestId()),
		}
		if found, err := pssh.Find("init_data", d.GetInitData()); err == nil { // else it is Data alone, or WebM
			for _, f := range found.Found[:min(len(found.Found), maxListed)] {
				view.Boxes = append(view.Boxes, boxView(f))
			}
		}
		return view
	}
	return &inspectedContent{Form: "none that is known"}
}

func psshDataView(data []byte) inspectedWVData {
	view := inspectedWVData{Bytes: len(data)}
	if len(data) == 0 {
		return view
	}
	var err error
	if view.Data, err = widevineView(pssh.Box{Data: data}); err != nil {
		view.Problem = err.Error()
	}
	return view
}

func licenseIDView(id *wire.LicenseIdentification) *inspectedLicenseID {
	return &inspectedLicenseID{
		RequestID: idText(id.GetRequestId()), SessionID: idText(id.GetSessionId()), PurchaseID: len(id.GetPurchaseId()),
		Type: enumStated(id.Type), Version: id.Version, SessionToken: len(id.GetProviderSessionToken()),
	}
}

// The forms of content that more than one place asks for.
const (
	contentPSSH     = "pssh data"
	contentExisting = "existing license" // of renewals and releases
)
