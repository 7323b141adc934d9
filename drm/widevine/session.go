package widevine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

var licenseTypes = map[drm.LicenseType]wire.LicenseType{
	drm.Streaming: wire.LicenseType_STREAMING,
	drm.Offline:   wire.LicenseType_OFFLINE,
	drm.Automatic: wire.LicenseType_AUTOMATIC,
}

var (
	errUnknownMessage = errors.New("message is unknown or was processed before")
	errClosed         = errors.New("session is closed")
)

// pending is what has to be kept of a sent request until its answer comes.
type pending struct {
	kind      drm.Kind
	minted    time.Time
	msg       []byte // the serialized LicenseRequest as sent: the derivation context
	requestID []byte
	asked     drm.LicenseType // "" if it is not known
	existing  *existing       // of a renewal or a release, else nil
}

type session struct {
	platform *Platform
	box      drm.Box
	options  drm.Options
	pending  map[drm.MessageID]pending
	licenses []drm.License
	holdings []*holding // one for each license, in the same order
	closed   bool
}

// Request returns a license request, a service certificate request, or the renewal or release of the license that was
// processed last. Other kinds wrap errors.ErrUnsupported. Requests may be made before others are answered: each of several
// renewals names the version that was processed last when it was made.
func (s *session) Request(ctx context.Context, kind drm.Kind) (drm.Message, error) {
	if err := ctx.Err(); err != nil {
		return drm.Message{}, fmt.Errorf("make key request: %w", err)
	}
	if s.closed {
		return drm.Message{}, errClosed
	}
	now := s.platform.clock.Now()
	var body []byte
	var p pending
	var kids []drm.KID
	var err error
	switch kind {
	case drm.KindLicense:
		body, p, err = s.build(now)
		kids = pssh.KIDs(s.box)
	case drm.KindCertificate:
		body, err = s.certificateRequest()
	case drm.KindRenewal, drm.KindRelease:
		body, p, err = s.buildExisting(kind, now)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		return drm.Message{}, fmt.Errorf("make %s request: %w", kind, err)
	}
	p.kind, p.minted = kind, now
	// Not the request id: a forged request may lack one or repeat another's.
	id := drm.MessageID(hex.EncodeToString(random(requestIDLen)))
	s.pending[id] = p
	return drm.Message{
		ID: id, Kind: kind, Body: body, KIDs: kids, URL: p.renewalURL(),
		Ticket: drm.Ticket{
			System: drm.Widevine, Kind: kind, Device: s.platform.identity.Device(),
			Minted: now, KIDs: kids,
		},
	}, nil
}

// certificateRequest makes the body of a service certificate request: the two bytes 08 04, unless forged (sheet §5.1).
func (s *session) certificateRequest() ([]byte, error) {
	envelope := &wire.SignedMessage{Type: wire.SignedMessage_SERVICE_CERTIFICATE_REQUEST.Enum()}
	if s.platform.forge.Envelope != nil {
		s.platform.forge.Envelope(envelope)
	}
	return marshal(envelope)
}

// build makes the body of a license request (sheet §6.1), its client identification in the clear or encrypted.
func (s *session) build(now time.Time) ([]byte, pending, error) {
	forge := s.platform.forge
	data := pssh.RequestData(s.box, true)
	requestID, nonce := s.platform.requestID(), random(4)
	request := &wire.LicenseRequest{
		ContentId: &wire.LicenseRequest_ContentIdentification{
			ContentIdVariant: &wire.LicenseRequest_ContentIdentification_WidevinePsshData_{
				WidevinePsshData: &wire.LicenseRequest_ContentIdentification_WidevinePsshData{
					PsshData:    [][]byte{data},
					LicenseType: licenseTypes[s.options.LicenseType].Enum(),
					RequestId:   requestID,
				},
			},
		},
		Type:            wire.LicenseRequest_NEW.Enum(),
		RequestTime:     proto.Int64(now.Unix()),
		ProtocolVersion: wire.ProtocolVersion_VERSION_2_1.Enum(),
		KeyControlNonce: proto.Uint32(binary.BigEndian.Uint32(nonce)%math.MaxInt32 + 1), // 1…2³¹−1, sheet §6.1
	}
	if err := s.platform.identify(request); err != nil {
		return nil, pending{}, fmt.Errorf("client identification: %w", err)
	}
	if forge.Request != nil {
		forge.Request(request)
	}
	return s.seal(request, s.sign)
}

// sign signs a license request with the device's key.
func (s *session) sign(msg []byte) ([]byte, error) {
	key := s.platform.identity.key
	if forged := s.platform.forge.Key; forged.Public() != nil {
		key = forged
	}
	return ladder.Sign(key.Reveal(), msg)
}

// seal serializes, signs and wraps a request. The request id is read back because a forged one may have been replaced.
func (s *session) seal(request *wire.LicenseRequest, sign func(msg []byte) ([]byte, error)) ([]byte, pending, error) {
	forge := s.platform.forge
	msg, err := marshal(request)
	if err != nil {
		return nil, pending{}, err
	}
	signature, err := sign(msg)
	if err != nil {
		return nil, pending{}, err
	}
	if forge.Tampered != nil {
		forge.Tampered(request)
		if msg, err = marshal(request); err != nil {
			return nil, pending{}, err
		}
	}
	envelope := &wire.SignedMessage{
		Type: wire.SignedMessage_LICENSE_REQUEST.Enum(), Msg: change(forge.Msg, msg), Signature: change(forge.Sign, signature),
	}
	if forge.Envelope != nil {
		forge.Envelope(envelope)
	}
	body, err := marshal(envelope)
	if err != nil {
		return nil, pending{}, err
	}
	sent, err := pendingOf(envelope.GetMsg())
	if err != nil {
		// A forged msg need not parse; no answer has the request id that it is bound to then.
		sent = pending{msg: envelope.GetMsg(), requestID: random(requestIDLen)}
	}
	return body, sent, nil
}

// pendingOf reads from a serialized LicenseRequest what its answer is judged by.
func pendingOf(msg []byte) (pending, error) {
	if len(msg) == 0 {
		return pending{}, errors.New("parse license request: it is empty")
	}
	request := new(wire.LicenseRequest)
	if err := proto.Unmarshal(msg, request); err != nil {
		return pending{}, fmt.Errorf("parse license request: %w", err)
	}
	data := request.GetContentId().GetWidevinePsshData()
	return pending{msg: msg, requestID: data.GetRequestId(), asked: askedType(data)}, nil
}

// Process takes the answer to a request of this session. Each request's answer is processed once (sheet §8.5 step 6).
func (s *session) Process(ctx context.Context, id drm.MessageID, body []byte) (*drm.Observation, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("process answer: %w", err)
	}
	if s.closed {
		return nil, errClosed
	}
	p, ok := s.pending[id]
	if !ok {
		return nil, fmt.Errorf("process answer to %s: %w", id, errUnknownMessage)
	}
	delete(s.pending, id)
	o := &drm.Observation{System: drm.Widevine, Message: id, Kind: p.kind}
	if p.kind == drm.KindCertificate {
		x := examineCertificate(s.platform.root, p.minted, body)
		o.Findings, o.Detail = x.findings, &x.answer
		return o, nil
	}
	if p.existing != nil {
		x := examineExisting(s.platform.identity.key, p, body)
		s.advance(x)
		o.Findings, o.Detail = x.findings, &x.answer
		return o, nil
	}
	x := examine(s.platform.identity.key, p, body, drm.DepthFull)
	if license, ok := x.license(); ok {
		s.licenses, s.holdings = append(s.licenses, license), append(s.holdings, x.holding(license))
	}
	o.Findings, o.Detail = x.findings, &x.answer
	return o, nil
}

// Licenses returns the licenses of all answers without a fatal finding, as they were renewed, without those released.
func (s *session) Licenses() []drm.License { return s.licenses }

// Close ends the session and forgets its keys.
func (s *session) Close() error {
	s.closed, s.licenses, s.holdings, s.pending = true, nil, nil, nil
	return nil
}

// marshal serializes in canonical field order (sheet §6.1).
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24; it ends the program instead
	return b
}
