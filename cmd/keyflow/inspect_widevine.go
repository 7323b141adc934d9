package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm/capture"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// The kinds of Widevine messages.
const (
	kindWVRequest     = "Widevine license request"
	kindWVRenewal     = "Widevine renewal request"
	kindWVRelease     = "Widevine release request"
	kindWVLicense     = "Widevine license"
	kindWVError       = "Widevine error response"
	kindWVCertRequest = "Widevine service certificate request"
	kindWVCertificate = "Widevine service certificate"
	kindWVBare        = "Widevine certificate"           // without an envelope, and not of a service
	kindWVClient      = "Widevine client identification" // as a device's file client_id.bin has it
	kindWVOther       = "Widevine message"
)

const hintWidevine = "give the whole body as it was sent: the bytes of a SignedMessage, or their base64"

// namedRoot is a root key that certificates are verified under.
type namedRoot struct {
	name string
	key  *rsa.PublicKey
}

// namedRoots are the vendor's root, and that of the authority in the folder, if one is given.
func namedRoots(authority string) ([]namedRoot, error) {
	roots := []namedRoot{{"the vendor's root", chain.VendorRoot()}}
	if authority == "" {
		return roots, nil
	}
	a, err := fakes.ReadAuthority(authority)
	if err != nil {
		return nil, usage(err, "name a folder that keyflow fake --export has written")
	}
	return append(roots, namedRoot{"the authority's root", a.RootKey()}), nil
}

// maxListed is how many items of a stranger's list are shown.
const maxListed = 100

// spoiltWidevine reports whether data looks like a Widevine message that cannot be read as a whole: it begins as a SignedMessage of
// a known type does, with a field of one after it, or is a certificate by itself.
func spoiltWidevine(data []byte) bool {
	if len(data) > capture.MaxBody || len(data) < 2 {
		return false
	}
	if data[0] != 8 { // field 1, type
		return data[0] == 10 && certified(data)
	}
	_, known := wire.SignedMessage_Type_name[int32(data[1])]
	if len(data) == 2 {
		return known
	}
	number, kind := data[2]>>3, data[2]&7
	return known && number >= 2 && number <= 11 && (kind == 0 || kind == 2)
}

// readWidevine reads a message, whatever is wrong with it.
func (v *inspectedMessage) readWidevine(data []byte) {
	wv := &inspectedWV{}
	v.Widevine, v.Kind = wv, kindWVOther
	if c := clientID(data); c != nil {
		v.Kind = kindWVClient
		wv.Client, _ = v.clientView(c)
		wv.unknown("ClientIdentification", c.ProtoReflect())
		return
	}
	if data[0] == 10 { // field 1 of bytes: SignedDrmCertificate.drm_certificate
		v.Kind = kindWVBare
		v.readServiceCertificate(data, data)
		return
	}
	e := new(wire.SignedMessage)
	if err := readProto(data, e); err != nil {
		v.problem(fmt.Errorf("SignedMessage: %w", err))
	}
	wv.Envelope = envelopeView(e)
	wv.unknown("SignedMessage", e.ProtoReflect())
	msg := e.GetMsg()
	switch e.GetType() { // absent reads as a request
	case wire.SignedMessage_LICENSE_REQUEST:
		v.Kind = kindWVRequest
		v.readLicenseRequest(e)
	case wire.SignedMessage_LICENSE:
		v.Kind = kindWVLicense
		v.readLicense(msg)
	case wire.SignedMessage_ERROR_RESPONSE:
		v.Kind = kindWVError
		v.readLicenseError(msg)
	case wire.SignedMessage_SERVICE_CERTIFICATE_REQUEST:
		v.Kind = kindWVCertRequest
		if len(msg) > 0 {
			v.note("the request has a message of %d bytes, other clients send none", len(msg))
		}
	case wire.SignedMessage_SERVICE_CERTIFICATE:
		v.Kind = kindWVCertificate
		v.readServiceCertificate(data, msg)
	}
}

// clientID reads a client identification by itself, nil if data is none: it begins as a SignedMessage does, and has a device's
// certificate where that has a request.
func clientID(data []byte) *wire.ClientIdentification {
	c := new(wire.ClientIdentification)
	if proto.Unmarshal(data, c) != nil || c.GetType() != wire.ClientIdentification_DRM_DEVICE_CERTIFICATE || !certified(c.GetToken()) {
		return nil
	}
	return c
}

// certified reports whether data is a certificate, whoever signed it.
func certified(data []byte) bool {
	signed, fields := new(wire.SignedDrmCertificate), new(wire.DrmCertificate)
	return proto.Unmarshal(data, signed) == nil && proto.Unmarshal(signed.GetDrmCertificate(), fields) == nil &&
		fields.Type != nil && len(fields.GetPublicKey()) > 0
}

// problemIn takes down what cannot be read of a part.
func (v *inspectedMessage) problemIn(part string, err error) {
	if err != nil {
		v.problem(fmt.Errorf("%s: %w", part, err))
	}
}

// errNoMessage says that the envelope is empty.
var errNoMessage = errors.New("there is none: msg is absent or empty")

func envelopeView(e *wire.SignedMessage) *inspectedEnvelope {
	v := &inspectedEnvelope{
		Type: enumStated(e.Type), Message: len(e.GetMsg()), Signature: len(e.GetSignature()),
		SessionKey: len(e.GetSessionKey()), SessionKeyFingerprint: secret.FingerprintOf(e.GetSessionKey()), SessionKeyType: enumStated(e.SessionKeyType),
		Core: len(e.GetOemcryptoCoreMessage()), Attestation: len(e.GetRemoteAttestation()),
		SDK: e.GetServiceVersionInfo().GetLicenseSdkVersion(), Service: e.GetServiceVersionInfo().GetLicenseServiceVersion(),
	}
	for _, m := range e.GetMetricData()[:min(len(e.GetMetricData()), maxListed)] {
		metric := inspectedMetric{Stage: m.GetStageName()}
		for _, value := range m.GetMetricData()[:min(len(m.GetMetricData()), maxListed)] {
			metric.Values = append(metric.Values, fmt.Sprintf("%s %d µs", value.GetType(), value.GetValue()))
		}
		v.Metrics = append(v.Metrics, metric)
	}
	return v
}

// errorMeanings are those of sheet widevine.md §4.14.
var errorMeanings = map[wire.LicenseError_Code]string{
	wire.LicenseError_INVALID_DRM_DEVICE_CERTIFICATE: "the service does not accept the device's certificate",
	wire.LicenseError_REVOKED_DRM_DEVICE_CERTIFICATE: "the device's certificate has been revoked",
	wire.LicenseError_SERVICE_UNAVAILABLE:            "the service cannot answer at the moment",
	wire.LicenseError_EXPIRED_DRM_DEVICE_CERTIFICATE: "the device's certificate has expired",
}

func (v *inspectedMessage) readLicenseError(msg []byte) {
	e := new(wire.LicenseError)
	v.problemIn("LicenseError", readProto(msg, e))
	if len(msg) == 0 {
		v.problemIn("LicenseError", errNoMessage)
	}
	v.Widevine.Error = &inspectedWVError{Code: enumStated(e.ErrorCode), Meaning: errorMeanings[e.GetErrorCode()]}
	if e.ErrorCode == nil {
		v.Widevine.Error.Meaning = ""
	}
	v.Widevine.unknown("LicenseError", e.ProtoReflect())
}

// timeView returns a time that is stated.
func timeView[N int64 | uint32](seconds *N) *inspectedTime {
	if seconds == nil {
		return nil
	}
	t := &inspectedTime{Unix: int64(*seconds)}
	if t.Unix >= 0 && t.Unix <= maxUnix {
		utc := time.Unix(t.Unix, 0).UTC()
		t.UTC = &utc
	}
	return t
}

// maxID is how many bytes of an id are shown: request ids have 16 or 32 (sheet widevine.md §6.2).
const maxID = 64

// idText returns an id as text, or in hexadecimal where it is none.
func idText(id []byte) string {
	if len(id) > maxID {
		return readable(id[:maxID]) + fmt.Sprintf("… (%d bytes)", len(id))
	}
	return readable(id)
}
