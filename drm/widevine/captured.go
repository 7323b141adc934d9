package widevine

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Capture reads a recorded license request, or service certificate request, of any device (sheet widevine.md §5.1, §6.1). A
// renewal or release belongs to a license that it does not hold: the error is errors.ErrUnsupported then.
func Capture(body []byte) (drm.Captured, error) {
	envelope := new(wire.SignedMessage)
	if err := proto.Unmarshal(body, envelope); err != nil || envelope.Type == nil {
		return drm.Captured{}, errors.New("expected a SignedMessage (protobuf), seen " + describe(body))
	}
	c := drm.Captured{System: drm.Widevine, Body: body}
	switch envelope.GetType() {
	case wire.SignedMessage_SERVICE_CERTIFICATE_REQUEST:
		c.Kind = drm.KindCertificate
		return c, nil
	case wire.SignedMessage_LICENSE_REQUEST:
	default:
		return drm.Captured{}, fmt.Errorf("expected a license or certificate request, seen type %d (%v)", envelope.GetType(), envelope.GetType())
	}
	if _, err := pendingOf(envelope.GetMsg()); err != nil {
		return drm.Captured{}, err
	}
	request := new(wire.LicenseRequest)
	if err := proto.Unmarshal(envelope.GetMsg(), request); err != nil {
		return drm.Captured{}, fmt.Errorf("parse license request: %w", err)
	}
	if t := request.GetType(); t != wire.LicenseRequest_NEW {
		return drm.Captured{}, fmt.Errorf("it is a %v of a license that was given before: %w", t, errors.ErrUnsupported)
	}
	c.Kind = drm.KindLicense
	if request.GetRequestTime() > 0 {
		c.Made = time.Unix(request.GetRequestTime(), 0)
	}
	c.Box = capturedBox(request.GetContentId())
	c.KIDs = pssh.KIDs(c.Box)
	return c, nil
}

// capturedBox makes the box again that the request is for, zero if it holds none of its data.
func capturedBox(id *wire.LicenseRequest_ContentIdentification) drm.Box {
	if init := id.GetInitData(); init.GetInitDataType() == wire.LicenseRequest_ContentIdentification_InitData_CENC && len(init.GetInitData()) > 0 {
		boxes, _, err := pssh.Parse(init.GetInitData(), pssh.Lenient)
		if err != nil {
			return drm.Box{}
		}
		if box, err := pssh.Select(boxes, drm.Widevine); err == nil {
			return box
		}
		return drm.Box{}
	}
	data := id.GetWidevinePsshData().GetPsshData()
	if len(data) == 0 {
		return drm.Box{}
	}
	box := drm.Box{SystemID: pssh.WidevineSystemID, Data: data[0]}
	raw, err := pssh.Build(box)
	if err != nil {
		return drm.Box{}
	}
	box.Raw = raw
	return box
}

// Recognizes reports whether the device of the platform signed a license request, whose client identification may be
// encrypted.
func (p *Platform) Recognizes(request []byte) bool {
	envelope := new(wire.SignedMessage)
	return proto.Unmarshal(request, envelope) == nil && envelope.GetType() == wire.SignedMessage_LICENSE_REQUEST &&
		ladder.Verify(p.identity.PublicKey(), envelope.GetMsg(), envelope.GetSignature()) == nil
}
