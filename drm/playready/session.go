package playready

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

const (
	nonceLen      = 16
	clientVersion = "10.0.16384.10011" // as a desktop client says (sheet §7.1)
)

var (
	errUnknownMessage = errors.New("message is unknown or was processed before")
	errClosed         = errors.New("session is closed")
)

// pending is what has to be kept of a sent challenge until its answer comes.
type pending struct {
	kind   drm.Kind
	minted time.Time
	nonce  []byte          // nil for a forged one that is none
	header *pssh.WRMHeader // as sent; nil for a forged one that cannot be read
}

type session struct {
	platform *Platform
	header   *pssh.WRMHeader
	options  drm.Options
	pending  map[drm.MessageID]pending
	licenses []drm.License
	awaited  []string // ids of responses that want to be acknowledged, in the order of their answers
	closed   bool
}

// Request returns a license challenge, or the acknowledgement of the first answer that asked for one and did not get it. Where
// none did, and for other kinds, the error wraps errors.ErrUnsupported. The message's header fields are those of SOAP, its URL is the
// LA_URL of the content.
//
// The body of an acknowledgement is private to keyflow's fakes, see [soap.AcknowledgementBody]: a real server is never to be sent
// one.
func (s *session) Request(ctx context.Context, kind drm.Kind) (drm.Message, error) {
	if err := ctx.Err(); err != nil {
		return drm.Message{}, fmt.Errorf("make license challenge: %w", err)
	}
	if s.closed {
		return drm.Message{}, errClosed
	}
	if kind == drm.KindAcknowledgement {
		return s.acknowledge()
	}
	if kind != drm.KindLicense {
		return drm.Message{}, fmt.Errorf("make %s request: %w", kind, errors.ErrUnsupported)
	}
	now := s.platform.clock.Now()
	body, p, err := s.build(now)
	if err != nil {
		return drm.Message{}, fmt.Errorf("make license challenge: %w", err)
	}
	p.kind, p.minted = kind, now
	return s.message(p, body, distinct(s.header.IDs()), soap.ActionAcquireLicense), nil
}

// acknowledge makes an acknowledgement.
func (s *session) acknowledge() (drm.Message, error) {
	if len(s.awaited) == 0 {
		return drm.Message{}, fmt.Errorf("make acknowledgement: no answer of this session asks for one: %w", errors.ErrUnsupported)
	}
	transaction := s.awaited[0]
	s.awaited = s.awaited[1:]
	p := pending{kind: drm.KindAcknowledgement, minted: s.platform.clock.Now()}
	return s.message(p, soap.AcknowledgementBody(transaction), nil, soap.ActionAcknowledgeLicense), nil
}

// message makes the message of a body, and keeps what its answer is judged by.
func (s *session) message(p pending, body []byte, kids []drm.KID, action string) drm.Message {
	// Not the nonce: a forged request may lack one or repeat another's.
	id := drm.MessageID(hex.EncodeToString(random(nonceLen)))
	s.pending[id] = p
	return drm.Message{
		ID: id, Kind: p.kind, Body: body, KIDs: kids, URL: s.header.LAURL,
		Header: map[string][]string{"Content-Type": {soap.ContentType}, "SOAPAction": {soap.ActionHeader(action)}},
		Ticket: drm.Ticket{System: drm.PlayReady, Kind: p.kind, Device: s.platform.identity.Device(), Minted: p.minted, KIDs: kids},
	}
}

// build makes the body of a challenge (sheet §7) and tells what its answer is judged by.
func (s *session) build(now time.Time) ([]byte, pending, error) {
	forge := s.platform.forge
	la := soap.LA{
		Version: protocolVersion(s.header.Version), Header: s.header.XML, ClientVersion: clientVersion, CustomData: s.options.CustomData,
		Nonce: base64.StdEncoding.EncodeToString(random(nonceLen)), ClientTime: strconv.FormatInt(now.Unix(), 10), KeyName: soap.ServerKeyName,
	}
	if err := s.encrypt(&la); err != nil {
		return nil, pending{}, err
	}
	if forge.LA != nil {
		forge.LA(&la)
	}
	text := la.Text()
	info := changeText(forge.Info, soap.SignedInfo(soap.Digest(text)))
	key := s.platform.identity.sign
	if !forge.Key.IsZero() {
		key = forge.Key
	}
	signature, err := key.Sign([]byte(info))
	if err != nil {
		return nil, pending{}, err
	}
	announced := key.Public()
	if forge.Announce != (ecc.PublicKey{}) {
		announced = forge.Announce
	}
	if forge.Tampered != nil {
		forge.Tampered(&la)
		text = la.Text()
	}
	body := soap.ChallengeBody(changeText(forge.Text, text), info, change(forge.Sign, signature), announced[:])
	body = change(forge.Body, body)
	if forge.Text != nil || forge.Body != nil {
		if sent, err := soap.ParseChallenge(body); err == nil { // else nobody can read it, and it does not matter
			la = sent.LA
		}
	}
	return body, pendingOf(la, s.header), nil
}

// encrypt fills in the encrypted parts: a session key that is fresh for every challenge, and the client's chain under it.
func (s *session) encrypt(la *soap.LA) error {
	forge := s.platform.forge
	server := s.platform.server
	if forge.ServerKey != (ecc.PublicKey{}) {
		server = forge.ServerKey
	}
	point, err := ecc.GenerateKey()
	if err != nil {
		return err
	}
	encrypted, x, err := server.EncryptKey(point)
	if err != nil {
		return err
	}
	key, err := soap.NewSessionKey(x)
	if err != nil {
		return err
	}
	plain := change(forge.Data, soap.ClientData(change(forge.Chain, s.platform.identity.chain.Raw)))
	data, err := key.Encrypt(plain)
	if err != nil {
		return err
	}
	la.EncryptedKey, la.EncryptedData = change(forge.Session, encrypted), change(forge.Cipher, data)
	return nil
}

// protocolVersion maps the header's version to that of the challenge (sheet §7.2).
func protocolVersion(header string) string {
	switch header {
	case pssh.Header43:
		return "5"
	case pssh.Header42:
		return "4"
	}
	return "1"
}

// pendingOf takes from what was sent what its answer is judged by. A forged challenge need not have any of it. known, or nil, is a
// header that was read before and is not read again if it is the one that was sent: that costs a seventh of a challenge.
func pendingOf(la soap.LA, known *pssh.WRMHeader) pending {
	p := pending{}
	if nonce, err := base64.StdEncoding.DecodeString(la.Nonce); err == nil && len(nonce) == nonceLen {
		p.nonce = nonce
	}
	if known != nil && known.XML == la.Header {
		p.header = known
	} else if header, err := pssh.ParseWRMHeaderXML(la.Header); err == nil {
		p.header = header
	}
	return p
}

func distinct(kids []drm.KID) []drm.KID {
	var once []drm.KID
	for _, k := range kids {
		if !slices.Contains(once, k) {
			once = append(once, k)
		}
	}
	return once
}

// Process takes the answer to a message of this session. Each message's answer is processed once. Of the answer to an acknowledgement
// a fault is a finding, and nothing else: what its body has to look like is not public.
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
	var x *examination
	if p.kind == drm.KindAcknowledgement {
		x = s.platform.examineAcknowledged(p, body)
	} else {
		x = s.platform.examine(p, body, drm.DepthFull)
		s.await(x)
	}
	s.licenses = append(s.licenses, x.licenses()...)
	return &drm.Observation{System: drm.PlayReady, Message: id, Kind: p.kind, Findings: x.findings, Detail: &x.answer}, nil
}

// await notes that an answer asks for an acknowledgement. One that cannot be used is not acknowledged.
func (s *session) await(x *examination) {
	if b := x.answer.Body; b != nil && b.Response.Transaction != "" && !slices.ContainsFunc(x.findings, func(f drm.Finding) bool { return f.Fatal }) {
		s.awaited = append(s.awaited, b.Response.Transaction)
	}
}

// Licenses returns the licenses that can be used, of all answers without a fatal finding: one for every key.
func (s *session) Licenses() []drm.License { return s.licenses }

// Close ends the session and forgets its keys.
func (s *session) Close() error {
	s.closed, s.licenses, s.pending, s.awaited = true, nil, nil, nil
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24; it ends the program instead
	return b
}
