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

// requestIDLen is the length of a desktop-style request id in bytes: raw random bytes (sheet §6.2).
const requestIDLen = 16

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
	msg       []byte // the serialized LicenseRequest as sent: the derivation context
	requestID []byte
}

type session struct {
	platform *Platform
	box      drm.Box
	options  drm.Options
	pending  map[drm.MessageID]pending
	licenses []drm.License
	closed   bool
}

// Request returns a license request. Other kinds wrap errors.ErrUnsupported.
func (s *session) Request(ctx context.Context, kind drm.Kind) (drm.Message, error) {
	if err := ctx.Err(); err != nil {
		return drm.Message{}, fmt.Errorf("make key request: %w", err)
	}
	if s.closed {
		return drm.Message{}, errClosed
	}
	if kind != drm.KindLicense {
		return drm.Message{}, fmt.Errorf("make %s request: %w", kind, errors.ErrUnsupported)
	}
	now := s.platform.clock.Now()
	body, p, err := s.build(now)
	if err != nil {
		return drm.Message{}, fmt.Errorf("make key request: %w", err)
	}
	// Not the request id: a forged request may lack one or repeat another's.
	id := drm.MessageID(hex.EncodeToString(random(requestIDLen)))
	s.pending[id] = p
	kids := pssh.KIDs(s.box)
	return drm.Message{
		ID: id, Kind: kind, Body: body, KIDs: kids,
		Ticket: drm.Ticket{
			System: drm.Widevine, Kind: kind, Device: s.platform.identity.Device(),
			Minted: now, KIDs: kids,
		},
	}, nil
}

// build makes the body of a license request in the clear (sheet §6.1).
func (s *session) build(now time.Time) ([]byte, pending, error) {
	forge, identity := s.platform.forge, s.platform.identity
	id := new(wire.ClientIdentification)
	if err := proto.Unmarshal(change(forge.ClientID, identity.clientID), id); err != nil {
		return nil, pending{}, fmt.Errorf("client identification: %w", err)
	}
	data := pssh.RequestData(s.box, true)
	requestID, nonce := random(requestIDLen), random(4)
	request := &wire.LicenseRequest{
		ClientId: id,
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
	if forge.Request != nil {
		forge.Request(request)
	}
	return s.seal(request)
}

// seal serializes, signs and wraps a request. The request id is read back because a forged one may have been replaced.
func (s *session) seal(request *wire.LicenseRequest) ([]byte, pending, error) {
	forge := s.platform.forge
	msg, err := marshal(request)
	if err != nil {
		return nil, pending{}, err
	}
	key := s.platform.identity.key
	if forge.Key.Public() != nil {
		key = forge.Key
	}
	signature, err := ladder.Sign(key.Reveal(), msg)
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
	return pending{msg: msg, requestID: request.GetContentId().GetWidevinePsshData().GetRequestId()}, nil
}

// Process takes the answer to a license request. Each request's answer is processed once (sheet §8.5 step 6).
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
	x := examine(s.platform.identity.key, p, body, drm.DepthFull)
	if license, ok := x.license(); ok {
		s.licenses = append(s.licenses, license)
	}
	return &drm.Observation{
		System: drm.Widevine, Message: id, Kind: drm.KindLicense, Findings: x.findings, Detail: &x.answer,
	}, nil
}

// Licenses returns the licenses of all answers without a fatal finding.
func (s *session) Licenses() []drm.License { return s.licenses }

// Close ends the session and forgets its keys.
func (s *session) Close() error {
	s.closed, s.licenses, s.pending = true, nil, nil
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
