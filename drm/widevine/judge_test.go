package widevine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// TestJudgeIsProcess: a stored request and its answer get the same findings and the same keys as in a session.
func TestJudgeIsProcess(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	for name, change := range map[string]func(body []byte) []byte{
		"right": func(b []byte) []byte { return b },
		"cut":   func(b []byte) []byte { return b[:len(b)-1] },
		"empty": func([]byte) []byte { return nil },
		"text":  func([]byte) []byte { return []byte("<html>") },
		"late":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openSession(t, p)
			m := request(t, s)
			body := change(answerTo(t, m.Body, nil))
			verdict := p.Judge(m.Ticket, m.Body, body, drm.DepthFull)
			o, err := s.Process(context.Background(), m.ID, body)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(verdict.Findings) != fmt.Sprint(o.Findings) || verdict.Depth != drm.DepthFull {
				t.Errorf("judged %v, processed %v", verdict.Findings, o.Findings)
			}
			if len(s.Licenses()) == 0 {
				if name == "right" || len(verdict.Keys) > 0 || verdict.Policy != (drm.Policy{}) {
					t.Errorf("no license; judged %+v", verdict)
				}
				return
			}
			l := s.Licenses()[0]
			if len(verdict.Keys) != 1 || verdict.Keys[vectorKID] != l.Keys[0].Key.Fingerprint() || verdict.Policy != l.Policy || !l.Policy.CanPlay {
				t.Errorf("judged %+v, license %+v", verdict, l)
			}
		})
	}
}

// TestJudgeShape: without the private key there are no keys, but all that can be seen from outside is judged.
func TestJudgeShape(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	for _, c := range []struct {
		name    string
		license func(l *wire.License)
		answer  func(a *wire.SignedMessage)
		want    []drm.Reason
	}{
		{name: "right"},
		{name: "signature of 20 bytes", answer: func(a *wire.SignedMessage) { a.Signature = a.Signature[:20] }, want: []drm.Reason{ReasonNoSignature}},
		{name: "no session key", answer: func(a *wire.SignedMessage) { a.SessionKey = nil }, want: []drm.Reason{ReasonSessionKeyLen}},
		{name: "request id", license: func(l *wire.License) { l.Id.RequestId = nil }, want: []drm.Reason{ReasonRequestID}},
		{name: "KID", license: func(l *wire.License) { l.Key[0].Id = nil }, want: []drm.Reason{ReasonKIDLength}},
		{name: "keys", license: func(l *wire.License) { l.Key = nil }, want: []drm.Reason{ReasonNoContentKeys}},
		{name: "can_play", license: func(l *wire.License) { l.Policy.CanPlay = nil }, want: []drm.Reason{ReasonCannotPlay}},
		{name: "cannot be seen: wrong signature", answer: func(a *wire.SignedMessage) { a.Signature[0] ^= 1 }},
		{name: "cannot be seen: wrong session key", answer: func(a *wire.SignedMessage) { clear(a.SessionKey) }},
		{name: "cannot be seen: no wrapped key", license: func(l *wire.License) { l.Key[0].Key = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := new(wire.SignedMessage)
			if err := proto.Unmarshal(answerTo(t, m.Body, c.license), a); err != nil {
				t.Fatal(err)
			}
			if c.answer != nil {
				c.answer(a)
			}
			v := p.Judge(m.Ticket, m.Body, serialize(t, a), drm.DepthShape)
			if got := reasons(v.Findings); !slices.Equal(got, c.want) || v.Keys != nil || v.Depth != drm.DepthShape {
				t.Errorf("verdict %+v, want %v", v, c.want)
			}
			if c.want == nil && v.Policy.License != time.Hour {
				t.Errorf("policy %+v", v.Policy)
			}
		})
	}
}

func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	body := answerTo(t, m.Body, nil)
	other := m.Ticket
	other.Device = "0123456789abcdef"
	second := request(t, openSession(t, p))
	for _, c := range []struct {
		name    string
		ticket  drm.Ticket
		request []byte
		want    drm.Reason
	}{
		{"another device", other, m.Body, ReasonUnknownDevice},
		{"no ticket", drm.Ticket{}, m.Body, ReasonUnknownDevice},
		{"request is text", m.Ticket, []byte("<html>"), ReasonNotProtobuf},
		{"request is empty", m.Ticket, nil, ReasonNotProtobuf},
		{"request has no msg", m.Ticket, []byte{0x08, 0x01}, ReasonNotProtobuf},
		{"request's msg is text", m.Ticket, append([]byte{0x12, 4}, "text"...), ReasonNotProtobuf},
		{"another request", second.Ticket, second.Body, ReasonSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := p.Judge(c.ticket, c.request, body, drm.DepthFull)
			if len(v.Findings) == 0 || v.Findings[0].Reason != c.want || !v.Findings[0].Fatal || len(v.Keys) > 0 {
				t.Errorf("verdict %+v", v)
			}
			if f := v.Findings[0]; f.Step == "" || f.Expected == "" || f.Seen == "" {
				t.Errorf("finding is not complete: %+v", f)
			}
		})
	}
}

func TestNewIdentity(t *testing.T) {
	t.Parallel()
	token := deviceToken(t, nil)
	right := clientID(t, token)
	dual := deviceToken(t, func(d *wire.DrmCertificate) {
		d.EncryptionKey = &wire.DrmCertificate_EncryptionKey{PublicKey: secondPublicKey(t)}
	})
	for _, c := range []struct {
		name string
		id   []byte
		key  secret.RSAKey
	}{
		{"not protobuf", []byte("<html>"), testKey(t)},
		{"empty", nil, testKey(t)},
		{"keybox", serialize(t, &wire.ClientIdentification{Type: wire.ClientIdentification_KEYBOX.Enum(), Token: token}), testKey(t)},
		{"no token", clientID(t, nil), testKey(t)},
		{"no key", right, secret.RSAKey{}},
		{"another key", right, fuzzKey(t)},
		{"second key for encryption", clientID(t, dual), testKey(t)},
	} {
		if _, err := NewIdentity(c.id, c.key); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	identity, err := NewIdentity(right, testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	clear(right)
	clear(identity.ClientID())
	if p := NewPlatform(identity, nil); p.Clock() == nil || p.Identity().Device() == "" {
		t.Errorf("no clock, or device %q", p.Identity().Device())
	}
	if !identity.PublicKey().Equal(testKey(t).Public()) || !identity.Key().Reveal().Equal(testKey(t).Reveal()) {
		t.Error("keys differ")
	}
	request(t, openSession(t, NewPlatform(identity, testClock())))
}

func TestSystemClockIsRead(t *testing.T) {
	t.Parallel()
	before := time.Now().Unix()
	_, r := parseRequest(t, request(t, openSession(t, NewPlatform(testIdentity(t), nil))).Body)
	if got := r.GetRequestTime(); got < before || got > time.Now().Unix() {
		t.Errorf("request time %d, before %d", got, before)
	}
}
