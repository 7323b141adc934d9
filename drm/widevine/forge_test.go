package widevine

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// shape is what a server sees of a request when all that is fresh in it is taken out.
type shape struct {
	envelope, request string // without msg and signature; without request id and nonce
	signed            bool   // by the device
	signatureLen      int
}

func shapeOf(t *testing.T, body []byte) shape {
	t.Helper()
	envelope, r := parseRequest(t, body)
	s := shape{
		signed:       ladder.Verify(testKey(t).Public(), envelope.GetMsg(), envelope.GetSignature()) == nil,
		signatureLen: len(envelope.GetSignature()),
	}
	envelope.Msg, envelope.Signature = nil, nil
	r.KeyControlNonce = nil
	if asked := r.GetContentId().GetWidevinePsshData(); asked != nil {
		asked.RequestId = nil
	}
	s.envelope, s.request = string(serialize(t, envelope)), string(serialize(t, r))
	return s
}

func invert(b []byte) []byte { // in place, which a forge may do
	for i := range b {
		b[i] ^= 0xff
	}
	return b
}

// TestForge: each field of a Forge changes what it says and nothing else, and leaves the platform it was given to alone.
func TestForge(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	untampered := shapeOf(t, request(t, openSession(t, p)).Body)
	if !untampered.signed {
		t.Fatal("the untampered request is not signed by the device")
	}
	versioned := func(msg []byte) []byte { return append(msg, 0x30, 22) } // protocol_version again: the last one counts
	for _, c := range []struct {
		name  string
		forge Forge
		want  func(s *shape)
	}{
		{"zero", Forge{}, func(*shape) {}},
		{"client identification", Forge{ClientID: func(id []byte) []byte {
			copy(id, append([]byte{0x08, 0x00}, id[2:]...))
			return id
		}}, func(s *shape) {
			s.request = edit(t, s.request, func(r *wire.LicenseRequest) { r.ClientId.Type = wire.ClientIdentification_KEYBOX.Enum() })
		}},
		{"request", Forge{Request: func(r *wire.LicenseRequest) { r.RequestTime = proto.Int64(7) }},
			func(s *shape) {
				s.request = edit(t, s.request, func(r *wire.LicenseRequest) { r.RequestTime = proto.Int64(7) })
			}},
		{"key", Forge{Key: fuzzKey(t)}, func(s *shape) { s.signed, s.signatureLen = false, 128 }},
		{"msg", Forge{Msg: versioned}, func(s *shape) {
			s.signed = false
			s.request = edit(t, s.request, func(r *wire.LicenseRequest) { r.ProtocolVersion = wire.ProtocolVersion_VERSION_2_2.Enum() })
		}},
		{"signature", Forge{Sign: invert}, func(s *shape) { s.signed = false }},
		{"no signature", Forge{Sign: func([]byte) []byte { return nil }}, func(s *shape) { s.signed, s.signatureLen = false, 0 }},
		{"envelope", Forge{Envelope: func(e *wire.SignedMessage) { e.Type = nil }}, func(s *shape) { s.envelope = "" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			forged := p.WithForge(c.forge)
			want := untampered
			c.want(&want)
			if got := shapeOf(t, request(t, openSession(t, forged)).Body); got != want {
				t.Errorf("got  %#v\nwant %#v", got, want)
			}
			if got := shapeOf(t, request(t, openSession(t, p)).Body); got != untampered {
				t.Errorf("the platform changed: %#v", got)
			}
		})
	}
}

// edit changes a serialized request.
func edit(t *testing.T, request string, change func(r *wire.LicenseRequest)) string {
	t.Helper()
	r := new(wire.LicenseRequest)
	if err := proto.Unmarshal([]byte(request), r); err != nil {
		t.Fatal(err)
	}
	change(r)
	return string(serialize(t, r))
}

// TestForgedRequestsCanBeAnswered: an answer is judged by what was really sent.
func TestForgedRequestsCanBeAnswered(t *testing.T) {
	t.Parallel()
	setID := func(id []byte) func(r *wire.LicenseRequest) {
		return func(r *wire.LicenseRequest) { r.GetContentId().GetWidevinePsshData().RequestId = id }
	}
	for name, f := range map[string]Forge{
		"zero":            {},
		"request id":      {Request: setID([]byte("a"))},
		"no request id":   {Request: setID(nil)},
		"msg after":       {Msg: func(msg []byte) []byte { return append(msg, 0x30, 22) }},
		"msg in envelope": {Envelope: func(e *wire.SignedMessage) { e.Msg = append(e.Msg, 0x30, 22) }},
		"signature":       {Sign: invert},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := testPlatform(t).WithForge(f)
			s := openSession(t, p)
			first, second := request(t, s), request(t, s) // with equal request ids, if the forge says so
			for i, m := range []drm.Message{first, second} {
				body := answerTo(t, m.Body, nil)
				if v := p.Judge(m.Ticket, m.Body, body, drm.DepthFull); len(v.Findings) > 0 {
					t.Errorf("judged: %v", v.Findings)
				}
				if o, err := s.Process(context.Background(), m.ID, body); err != nil || len(o.Findings) > 0 || len(s.Licenses()) != i+1 {
					t.Fatalf("message %d: %v, %+v", i, err, o)
				}
			}
		})
	}
}

// TestForgedRequestsThatDoNotParse are sent as they are, and no answer is right for them.
func TestForgedRequestsThatDoNotParse(t *testing.T) {
	t.Parallel()
	for name, msg := range map[string][]byte{"text": []byte("<html>"), "empty": {}} {
		p := testPlatform(t).WithForge(Forge{Msg: func([]byte) []byte { return msg }})
		s := openSession(t, p)
		m := request(t, s)
		envelope := new(wire.SignedMessage)
		if err := proto.Unmarshal(m.Body, envelope); err != nil || !bytes.Equal(envelope.GetMsg(), msg) {
			t.Fatalf("%s: %v, msg %q", name, err, envelope.GetMsg())
		}
		l := vectorFields(t)
		l.Id.RequestId = nil
		session := unhex(t, vectorSession)
		keys := derive(t, session, msg)
		l.Key[0] = contentContainer(t, keys, vectorKID, vectorKey)
		wrappedKey, err := ladder.WrapSessionKey(testKey(t).Public(), secret.New(session))
		if err != nil {
			t.Fatal(err)
		}
		answer := &wire.SignedMessage{Type: wire.SignedMessage_LICENSE.Enum(), Msg: serialize(t, l), SessionKey: wrappedKey}
		answer.Signature = ladder.MAC(keys.Server, nil, answer.Msg)
		o, err := s.Process(context.Background(), m.ID, serialize(t, answer))
		if err != nil || !slices.Equal(reasons(o.Findings), []drm.Reason{ReasonRequestID}) || len(s.Licenses()) > 0 {
			t.Errorf("%s: %v, %+v", name, err, o)
		}
	}
	s := openSession(t, testPlatform(t).WithForge(Forge{ClientID: func([]byte) []byte { return []byte("<html>") }}))
	if _, err := s.Request(context.Background(), drm.KindLicense); err == nil {
		t.Error("a client identification that does not parse was sent")
	}
}
