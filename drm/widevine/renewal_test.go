package widevine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Vector T7 of sheet widevine.md §16: a renewal of the license of T3, and its answer; the SIGNING key is that of T2.
const (
	vectorSigning = "2e2b4add10b0f72c750e3e3e4846289f43208e893925041e2811db155703ba5f979971210e04e977bc67236ee2d3bce9d48ffb2ee61c72603d79a65609c640b7" +
		"4f2c8233c4a421ba86849f4cfa145cfa"
	vectorRenewal = "12281a260a200a1030313233343536373839414243444546120853455353494f4e3120012800103c1800180220bce2cfaa06" +
		"3015"
	vectorRenewalMAC  = "62eacce1fb06ed2f1d0032eb6ef18fefa840545cc44c0616911b5b5c9108c74b"
	vectorDerivedMAC  = "ce8a52c4178a88ea38066557157ff2aee67acff9af2fb4a340a54570b4e64e2e"
	vectorRenewed     = "0a200a1030313233343536373839414243444546120853455353494f4e3120012801120908011000180130901c20bce2cfaa06"
	vectorRenewedMAC  = "0acc5953a14875969643667c97dce743687f58e332ce984d9b77bf32ed5ffa14"
	vectorRenewalTime = 1700000060
)

// withSigning puts the SIGNING container of T2 before the content key.
func withSigning(t testing.TB) func(l *wire.License) {
	t.Helper()
	return func(l *wire.License) {
		l.Key = append([]*wire.License_KeyContainer{{
			Iv: bytes.Repeat([]byte{0x22}, 16), Key: unhex(t, vectorSigning), Type: wire.License_KeyContainer_SIGNING.Enum(),
		}}, l.Key...)
	}
}

// licensedSession is a session that has processed the vectors' license, at the time of the vectors' renewal.
func licensedSession(t testing.TB, forge Forge, change func(l *wire.License)) *session {
	t.Helper()
	clock := drm.ClockFunc(func() time.Time { return time.Unix(vectorRenewalTime, 0) })
	s := openSession(t, NewPlatform(testIdentity(t), clock).WithForge(forge))
	p := vectorPending(t)
	p.kind = drm.KindLicense
	s.pending["vector"] = p
	a := vectorAnswer(t)
	if change != nil {
		l := vectorFields(t)
		change(l)
		sign(t, a, serialize(t, l))
	}
	o, err := s.Process(context.Background(), "vector", serialize(t, a))
	if err != nil || len(o.Findings) > 0 || len(s.Licenses()) != 1 {
		t.Fatalf("%v, %v, %d licenses", err, o, len(s.Licenses()))
	}
	return s
}

func renewal(t testing.TB, s *session, kind drm.Kind) drm.Message {
	t.Helper()
	m, err := s.Request(context.Background(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func process(t testing.TB, s *session, id drm.MessageID, body []byte) *drm.Observation {
	t.Helper()
	o, err := s.Process(context.Background(), id, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestVectorRenewal is vector T7, byte for byte: with the key of a SIGNING container, and with the derived one.
func TestVectorRenewal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		license func(l *wire.License)
		request string
		server  secret.Bytes
	}{
		"SIGNING": {withSigning(t), vectorRenewalMAC, secret.New(signingPlain()[:32])},
		"derived": {nil, vectorDerivedMAC, vectorKeys(t).Server},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := licensedSession(t, Forge{}, c.license)
			m := renewal(t, s, drm.KindRenewal)
			e, _ := parseRequest(t, m.Body)
			if !bytes.Equal(e.GetMsg(), unhex(t, vectorRenewal)) || !bytes.Equal(e.GetSignature(), unhex(t, c.request)) {
				t.Errorf("renewal %x with signature %x", e.GetMsg(), e.GetSignature())
			}
			if e.GetType() != wire.SignedMessage_LICENSE_REQUEST || m.Kind != drm.KindRenewal || m.Ticket.Kind != drm.KindRenewal || m.URL != "" || len(m.KIDs) > 0 {
				t.Errorf("message %+v in an envelope of type %v", m, e.GetType())
			}
			before := s.Licenses()
			mac := ladder.MAC(c.server, nil, unhex(t, vectorRenewed))
			if name == "SIGNING" && !bytes.Equal(mac, unhex(t, vectorRenewedMAC)) {
				t.Error("the answer's signature is not the vector's")
			}
			o := process(t, s, m.ID, serialize(t, &wire.SignedMessage{Type: wire.SignedMessage_LICENSE.Enum(), Msg: unhex(t, vectorRenewed), Signature: mac}))
			if len(o.Findings) > 0 || o.Kind != drm.KindRenewal || o.Detail.(*Answer).License.GetId().GetVersion() != 1 {
				t.Fatalf("%+v", o)
			}
			l := s.Licenses()[0]
			if !l.Policy.CanRenew || l.Start.Unix() != vectorRenewalTime || len(l.Keys) != 1 || before[0].Policy.CanRenew {
				t.Errorf("license %+v, before %+v", l, before[0])
			}
			_, next := parseRequest(t, renewal(t, s, drm.KindRenewal).Body)
			if v := next.GetContentId().GetExistingLicense().GetLicenseId().GetVersion(); v != 1 {
				t.Errorf("the next renewal has version %d", v)
			}
		})
	}
}

// signingPlain is the key of the SIGNING container of T2: 40..7f.
func signingPlain() []byte {
	plain := make([]byte, 64)
	for i := range plain {
		plain[i] = 0x40 + byte(i)
	}
	return plain
}

// renewed is the right answer to the vectors' renewal with what change does to it, signed with the key.
func renewed(t testing.TB, key secret.Bytes, change func(l *wire.License)) *wire.SignedMessage {
	t.Helper()
	l := new(wire.License)
	if err := proto.Unmarshal(unhex(t, vectorRenewed), l); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(l)
	}
	msg := serialize(t, l)
	return &wire.SignedMessage{Type: wire.SignedMessage_LICENSE.Enum(), Msg: msg, Signature: ladder.MAC(key, nil, msg)}
}

// fullLicense gives an answer a session key of its own, and signs it with what follows from that.
func fullLicense(t testing.TB, request []byte, contentKey []byte) func(a *wire.SignedMessage) {
	t.Helper()
	return func(a *wire.SignedMessage) {
		e, _ := parseRequest(t, request)
		keys := derive(t, unhex(t, vectorSession), e.GetMsg())
		l := new(wire.License)
		if err := proto.Unmarshal(a.GetMsg(), l); err != nil {
			t.Fatal(err)
		}
		l.Id.SessionId, l.Id.Version = []byte("SESSION2"), proto.Int32(0)
		l.Key = []*wire.License_KeyContainer{contentContainer(t, keys, vectorKID, contentKey)}
		a.SessionKey = vectorAnswer(t).GetSessionKey()
		a.Msg = serialize(t, l)
		a.Signature = ladder.MAC(keys.Server, nil, a.Msg)
	}
}

// TestRenewalFindings: what is wrong with an answer has its reason, and only an answer that may be used moves the session on.
func TestRenewalFindings(t *testing.T) {
	t.Parallel()
	server, client := secret.New(signingPlain()[:32]), secret.New(signingPlain()[32:])
	none := func(*wire.License) {}
	for name, c := range map[string]struct {
		kind    drm.Kind // a renewal unless it says otherwise
		key     secret.Bytes
		license func(l *wire.License)
		answer  func(a *wire.SignedMessage, request []byte)
		want    []drm.Reason
		stays   bool // the session keeps its license as it was
	}{
		"right":            {key: server, license: none},
		"derived key":      {key: vectorKeys(t).Server, want: []drm.Reason{ReasonRenewalMAC}},
		"client's key":     {key: client, want: []drm.Reason{ReasonSignature}, stays: true},
		"any key":          {key: secret.New(make([]byte, 32)), want: []drm.Reason{ReasonSignature}, stays: true},
		"signature short":  {key: server, answer: func(a *wire.SignedMessage, _ []byte) { a.Signature = a.Signature[:20] }, want: []drm.Reason{ReasonNoSignature}, stays: true},
		"core not signed":  {key: server, answer: func(a *wire.SignedMessage, _ []byte) { a.OemcryptoCoreMessage = []byte("core") }, want: []drm.Reason{ReasonSignatureCore}, stays: true},
		"request id":       {key: server, license: func(l *wire.License) { l.Id.RequestId[0] ^= 1 }, want: []drm.Reason{ReasonRequestID}, stays: true},
		"session id":       {key: server, license: func(l *wire.License) { l.Id.SessionId[0] ^= 1 }, want: []drm.Reason{ReasonSessionID}, stays: true},
		"no session id":    {key: server, license: func(l *wire.License) { l.Id.SessionId = nil }, want: []drm.Reason{ReasonSessionID}, stays: true},
		"version stays":    {key: server, license: func(l *wire.License) { l.Id.Version = proto.Int32(0) }, want: []drm.Reason{ReasonVersion}},
		"version jumps":    {key: server, license: func(l *wire.License) { l.Id.Version = proto.Int32(1<<31 - 1) }, want: []drm.Reason{ReasonVersion}},
		"no policy":        {key: server, license: func(l *wire.License) { l.Policy = nil }, want: []drm.Reason{ReasonCannotPlay}, stays: true},
		"same content key": {key: server, license: func(l *wire.License) { l.Key = append(l.Key, contentContainer(t, vectorKeys(t), vectorKID, vectorKey)) }},
		"other content key": {key: server, license: func(l *wire.License) {
			l.Key = append(l.Key, contentContainer(t, vectorKeys(t), vectorKID, random(16)))
		}, want: []drm.Reason{ReasonRenewalKey}, stays: true},
		"key of another KID": {key: server, license: func(l *wire.License) {
			l.Key = append(l.Key, contentContainer(t, vectorKeys(t), drm.KID{1}, random(16)))
		}},
		"SIGNING": {key: server, license: withSigning(t), want: []drm.Reason{ReasonRenewalSigning}},
		"KEY_CONTROL": {key: server, license: func(l *wire.License) {
			l.Key = append(l.Key, &wire.License_KeyContainer{Type: wire.License_KeyContainer_KEY_CONTROL.Enum()})
		}},
		"wrong type":                       {key: server, answer: func(a *wire.SignedMessage, _ []byte) { a.Type = wire.SignedMessage_SERVICE_CERTIFICATE.Enum() }, want: []drm.Reason{ReasonMessageType}, stays: true},
		"no license":                       {key: server, answer: func(a *wire.SignedMessage, _ []byte) { a.Msg, a.Signature = nil, ladder.MAC(server, nil, nil) }, want: []drm.Reason{ReasonLicenseParse}, stays: true},
		"session key that does not unwrap": {key: server, answer: func(a *wire.SignedMessage, _ []byte) { a.SessionKey = random(256) }, want: []drm.Reason{ReasonRenewalSession}},
		"full license": {
			key: server, answer: func(a *wire.SignedMessage, request []byte) { fullLicense(t, request, vectorKey)(a) },
			want: []drm.Reason{ReasonRenewalSession, ReasonSessionID, ReasonVersion},
		},
		"full license with another key": {
			key: server, answer: func(a *wire.SignedMessage, request []byte) { fullLicense(t, request, random(16))(a) },
			want: []drm.Reason{ReasonRenewalSession, ReasonSessionID, ReasonVersion, ReasonRenewalKey}, stays: true,
		},
		"release": {kind: drm.KindRelease, key: server, license: func(l *wire.License) { l.Policy, l.Id.Version = nil, proto.Int32(7) }},
		"release with keys": {
			kind: drm.KindRelease, key: server, want: []drm.Reason{ReasonReleaseKeys},
			license: func(l *wire.License) { l.Key = append(l.Key, contentContainer(t, vectorKeys(t), vectorKID, vectorKey)) },
		},
		"release of another": {kind: drm.KindRelease, key: server, license: func(l *wire.License) { l.Id.SessionId = nil }, want: []drm.Reason{ReasonSessionID}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := licensedSession(t, Forge{}, withSigning(t))
			if c.kind == "" {
				c.kind = drm.KindRenewal
			}
			m := renewal(t, s, c.kind)
			a := renewed(t, c.key, c.license)
			if c.answer != nil {
				c.answer(a, m.Body)
			}
			o := process(t, s, m.ID, serialize(t, a))
			if got := reasons(o.Findings); !slices.Equal(got, c.want) {
				t.Fatalf("findings %v, want %v: %v", got, c.want, o.Findings)
			}
			if (o.Fatal() != nil) != c.stays {
				t.Errorf("fatal %v", o.Fatal())
			}
			released := c.kind == drm.KindRelease && !c.stays
			if released != (len(s.Licenses()) == 0) || !released && s.Licenses()[0].Policy.CanRenew == c.stays {
				t.Errorf("licenses %+v", s.Licenses())
			}
			if _, err := s.Request(context.Background(), drm.KindRenewal); errors.Is(err, drm.ErrNoLicense) != released {
				t.Errorf("a renewal afterwards: %v", err)
			}
		})
	}
}

// TestRenewalFollowsFullLicense: after a full license in answer to a renewal its session and keys are in force.
func TestRenewalFollowsFullLicense(t *testing.T) {
	t.Parallel()
	s := licensedSession(t, Forge{}, withSigning(t))
	m := renewal(t, s, drm.KindRenewal)
	a := renewed(t, secret.New(signingPlain()[:32]), nil)
	fullLicense(t, m.Body, vectorKey)(a)
	process(t, s, m.ID, serialize(t, a))
	sent, _ := parseRequest(t, m.Body)
	next, r := parseRequest(t, renewal(t, s, drm.KindRenewal).Body)
	keys := derive(t, unhex(t, vectorSession), sent.GetMsg())
	if !bytes.Equal(next.GetSignature(), ladder.MAC(keys.Client, nil, next.GetMsg())) || string(r.GetContentId().GetExistingLicense().GetLicenseId().GetSessionId()) != "SESSION2" {
		t.Errorf("renewal %v", r)
	}
}

// TestRenewalsInFlight: answers may come in any order; the session never goes back, and each is judged by its own request.
func TestRenewalsInFlight(t *testing.T) {
	t.Parallel()
	s := licensedSession(t, Forge{}, nil)
	key := vectorKeys(t).Server
	early, second := renewal(t, s, drm.KindRenewal), renewal(t, s, drm.KindRenewal)
	version := func(v int32) []byte {
		return serialize(t, renewed(t, key, func(l *wire.License) { l.Id.Version = proto.Int32(v) }))
	}
	if o := process(t, s, second.ID, version(1)); len(o.Findings) > 0 {
		t.Errorf("second: %v", o.Findings)
	}
	third := renewal(t, s, drm.KindRenewal)
	if o := process(t, s, third.ID, version(2)); len(o.Findings) > 0 {
		t.Errorf("third: %v", o.Findings)
	}
	if o := process(t, s, early.ID, version(1)); len(o.Findings) > 0 {
		t.Errorf("the first, late: %v", o.Findings)
	}
	_, r := parseRequest(t, renewal(t, s, drm.KindRelease).Body)
	if v := r.GetContentId().GetExistingLicense().GetLicenseId().GetVersion(); v != 2 {
		t.Errorf("version %d after them", v)
	}
	if _, err := s.Process(context.Background(), early.ID, version(1)); !errors.Is(err, errUnknownMessage) {
		t.Errorf("the first again: %v", err)
	}
}

// TestRenewalOfTheLastLicense: of several licenses the last is renewed, and a release takes only its own away.
func TestRenewalOfTheLastLicense(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	for _, id := range []string{"one", "two"} {
		m := request(t, s)
		process(t, s, m.ID, answerTo(t, m.Body, func(l *wire.License) { l.Id.SessionId = []byte(id) }))
	}
	named := func() string {
		_, r := parseRequest(t, renewal(t, s, drm.KindRenewal).Body)
		return string(r.GetContentId().GetExistingLicense().GetLicenseId().GetSessionId())
	}
	if got := named(); got != "two" {
		t.Errorf("renews %q", got)
	}
	h := s.holdings[1]
	m, late := renewal(t, s, drm.KindRelease), renewal(t, s, drm.KindRenewal)
	answer := func() []byte {
		return serialize(t, renewed(t, h.keys.server, func(l *wire.License) { l.Id.RequestId, l.Id.SessionId = h.id.GetRequestId(), h.id.GetSessionId() }))
	}
	if o := process(t, s, m.ID, answer()); len(o.Findings) > 0 || len(s.Licenses()) != 1 || named() != "one" {
		t.Errorf("released: %v, %d licenses", o.Findings, len(s.Licenses()))
	}
	if o := process(t, s, late.ID, answer()); len(o.Findings) > 0 || len(s.Licenses()) != 1 || s.Licenses()[0].Policy.CanRenew {
		t.Errorf("the answer to a license that was released: %v, %+v", o.Findings, s.Licenses())
	}
}

// TestRenewalPolicy: the policy decides about the URL and the client identification, whose form is the session's.
func TestRenewalPolicy(t *testing.T) {
	t.Parallel()
	license := func(l *wire.License) {
		l.Policy.RenewalServerUrl, l.Policy.AlwaysIncludeClientId = proto.String("https://renew.test"), proto.Bool(true)
		l.LicenseStartTime = proto.Int64(vectorRenewalTime + 5) // of a client whose clock is slow
	}
	m := renewal(t, licensedSession(t, Forge{}, license), drm.KindRelease)
	_, r := parseRequest(t, m.Body)
	if m.URL != "https://renew.test" || r.GetContentId().GetExistingLicense().GetSecondsSinceStarted() != 0 || r.GetType() != wire.LicenseRequest_RELEASE {
		t.Errorf("URL %q, request %v", m.URL, r)
	}
	if _, err := chain.VerifyDevice(r.GetClientId().GetToken(), testKey(t).Public(), testNow); err != nil {
		t.Errorf("client identification: %v", err)
	}
}

// TestForgedRenewal: the parts of a renewal can be forged, and its answer is judged by the session nevertheless.
func TestForgedRenewal(t *testing.T) {
	t.Parallel()
	s := licensedSession(t, Forge{
		Request: func(r *wire.LicenseRequest) {
			r.GetContentId().GetExistingLicense().LicenseId.SessionId = []byte("other")
		},
		Sign: func(signature []byte) []byte { return signature[:20] },
	}, nil)
	for range 2 {
		m := renewal(t, s, drm.KindRenewal)
		e, r := parseRequest(t, m.Body)
		if string(r.GetContentId().GetExistingLicense().GetLicenseId().GetSessionId()) != "other" || len(e.GetSignature()) != 20 {
			t.Errorf("envelope %v", e)
		}
		if o := process(t, s, m.ID, serialize(t, renewed(t, vectorKeys(t).Server, nil))); o.Find(ReasonSessionID) != nil {
			t.Errorf("findings %v", o.Findings)
		}
	}
}

// TestJudgeRefusesRenewals: a stored renewal is never judged wrongly.
func TestJudgeRefusesRenewals(t *testing.T) {
	t.Parallel()
	s := licensedSession(t, Forge{}, nil)
	body := serialize(t, renewed(t, vectorKeys(t).Server, nil))
	for _, kind := range []drm.Kind{drm.KindRenewal, drm.KindRelease} {
		m := renewal(t, s, kind)
		v := s.platform.Judge(m.Ticket, m.Body, body, drm.DepthFull)
		if got := reasons(v.Findings); !slices.Equal(got, []drm.Reason{ReasonNeedsSession}) || !v.Findings[0].Fatal || len(v.Keys) > 0 {
			t.Errorf("%s: %+v", kind, v)
		}
	}
}
