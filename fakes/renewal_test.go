package fakes_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

var renewable = fakes.WidevineOptions{Renewable: true}

// signing returns the key in the license's one SIGNING container.
func (o opened) signing(t testing.TB) []byte {
	t.Helper()
	var keys [][]byte
	for _, k := range o.license.GetKey() {
		if k.Type != nil && k.GetType() == wire.License_KeyContainer_SIGNING {
			key, err := o.unwrap(k)
			must(t, err)
			keys = append(keys, key.Reveal())
		}
	}
	if len(keys) != 1 || len(keys[0]) != 64 {
		t.Fatalf("%d SIGNING containers", len(keys))
	}
	return keys[0]
}

// again is a renewal or a release of a license, written by hand from sheet widevine.md §10.
type again struct {
	kind   wire.LicenseRequest_RequestType
	id     *wire.LicenseIdentification
	time   int64
	key    []byte // of the client
	tamper func(*wire.SignedMessage)
}

func (a again) body(t testing.TB) []byte {
	t.Helper()
	m := &wire.LicenseRequest{
		ContentId: &wire.LicenseRequest_ContentIdentification{
			ContentIdVariant: &wire.LicenseRequest_ContentIdentification_ExistingLicense_{
				ExistingLicense: &wire.LicenseRequest_ContentIdentification_ExistingLicense{
					LicenseId: proto.CloneOf(a.id), SecondsSinceStarted: proto.Int64(60), SecondsSinceLastPlayed: proto.Int64(0),
				},
			},
		},
		Type: a.kind.Enum(), RequestTime: proto.Int64(a.time), ProtocolVersion: wire.ProtocolVersion_VERSION_2_1.Enum(),
	}
	msg, err := proto.Marshal(m)
	must(t, err)
	e := &wire.SignedMessage{Type: wire.SignedMessage_LICENSE_REQUEST.Enum(), Msg: msg, Signature: ladder.MAC(secret.New(a.key), nil, msg)}
	if a.tamper != nil {
		a.tamper(e)
	}
	body, err := proto.Marshal(e)
	must(t, err)
	return body
}

// renewalOf is the right renewal of a license.
func renewalOf(t testing.TB, o opened) again {
	t.Helper()
	return again{kind: wire.LicenseRequest_RENEWAL, id: o.license.GetId(), time: requestTime + 60, key: o.signing(t)[32:]}
}

func releaseOf(t testing.TB, o opened) again {
	t.Helper()
	a := renewalOf(t, o)
	a.kind = wire.LicenseRequest_RELEASE
	return a
}

// readAgain parses an answer and returns what it says, and whether the key made its signature.
func readAgain(t testing.TB, r reply, key []byte) (*wire.SignedMessage, *wire.License, bool) {
	t.Helper()
	if r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	e, l := new(wire.SignedMessage), new(wire.License)
	must(t, proto.Unmarshal(r.body, e))
	must(t, proto.Unmarshal(e.GetMsg(), l))
	return e, l, bytes.Equal(e.GetSignature(), ladder.MAC(secret.New(key), nil, e.GetMsg()))
}

// TestRenewal renews a license three times and releases it (sheet §10).
func TestRenewal(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Widevine: renewable})
	o := getLicense(t, s, ask{})
	p := o.license.GetPolicy()
	if !p.GetCanRenew() || p.GetLicenseDurationSeconds() != 7200 || p.GetRenewalDelaySeconds() != 60 || p.GetRenewalRetryIntervalSeconds() != 10 || p.RenewalServerUrl != nil {
		t.Errorf("policy %v", p)
	}
	a := renewalOf(t, o)
	for n := range int32(3) {
		a.time += 60
		r := post(t, s, a.body(t))
		e, l, signed := readAgain(t, r, o.signing(t)[:32])
		if got := fieldNumbers(t, r.body); !signed || !equal(got, 1, 2, 3) || e.GetType() != wire.SignedMessage_LICENSE {
			t.Errorf("renewal %d: signed %v, fields %v", n, signed, got)
		}
		want := proto.CloneOf(o.license.GetId())
		want.Version = proto.Int32(n + 1)
		if !proto.Equal(l.GetId(), want) || !proto.Equal(l.GetPolicy(), p) || l.GetLicenseStartTime() != a.time || len(l.GetKey()) > 0 {
			t.Errorf("renewal %d: %v", n, l)
		}
		a.id = l.GetId()
	}
	a.kind = wire.LicenseRequest_RELEASE
	for range 2 { // the answer may be lost
		_, l, signed := readAgain(t, post(t, s, a.body(t)), o.signing(t)[:32])
		if !signed || !proto.Equal(l, &wire.License{Id: a.id}) {
			t.Errorf("release: signed %v, %v", signed, l)
		}
	}
	_, counts := s.Count()
	if counts[drm.KindLicense].Answered != 1 || counts[drm.KindRenewal].Answered != 3 || counts[drm.KindRelease].Answered != 2 {
		t.Errorf("counts %v", counts)
	}
	if r := s.Requests()[1]; r.Operation != drm.KindRenewal || r.RequestID != "30313233343536373839414243444546" {
		t.Errorf("record %+v", r)
	}
}

// TestRenewalAfterALostAnswer: the same bytes, and a new request of the old version, are answered with the same version.
func TestRenewalAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Widevine: renewable})
	o := getLicense(t, s, ask{})
	a := renewalOf(t, o)
	var ids []int32
	for _, later := range []int64{0, 0, 30} {
		a.time += later
		_, l, signed := readAgain(t, post(t, s, a.body(t)), o.signing(t)[:32])
		isTrue(t, signed)
		ids = append(ids, l.GetId().GetVersion())
	}
	isTrue(t, slices.Equal(ids, []int32{1, 1, 1}))
}

// TestRenewalRefusals: nothing is told of a license to whoever does not have its keys.
func TestRenewalRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Widevine: renewable})
	mine, other := getLicense(t, s, ask{}), getLicense(t, s, ask{requestID: []byte("another request")})
	plain := start(t, fakes.Options{})
	final := getLicense(t, plain, ask{})
	finalRenewal := again{kind: wire.LicenseRequest_RENEWAL, id: final.license.GetId(), time: requestTime, key: final.keys.Client.Reveal()}
	finalRelease := finalRenewal
	finalRelease.kind = wire.LicenseRequest_RELEASE
	renewing := func(edit func(*wire.LicenseIdentification)) again {
		a := renewalOf(t, mine)
		a.id = proto.CloneOf(a.id)
		edit(a.id)
		return a
	}
	tampered := func(tamper func(*wire.SignedMessage)) again {
		a := renewalOf(t, mine)
		a.tamper = tamper
		return a
	}
	mixed := renewalOf(t, other)
	mixed.id = mine.license.GetId()
	for name, c := range map[string]struct {
		server *fakes.Server
		again  again
		reason drm.Reason
	}{
		"unknown session":        {s, renewing(func(id *wire.LicenseIdentification) { id.SessionId = randomBytes(16) }), "unknown-session"},
		"short session":          {s, renewing(func(id *wire.LicenseIdentification) { id.SessionId = []byte("short") }), "unknown-session"},
		"no session":             {s, renewing(func(id *wire.LicenseIdentification) { id.SessionId = nil }), "unknown-session"},
		"of another server":      {plain, renewalOf(t, mine), "unknown-session"},
		"flipped signature":      {s, tampered(func(m *wire.SignedMessage) { m.Signature = flip(m.GetSignature(), 0) }), "renewal-signature"},
		"no signature":           {s, tampered(func(m *wire.SignedMessage) { m.Signature = nil }), "renewal-signature"},
		"short signature":        {s, tampered(func(m *wire.SignedMessage) { m.Signature = m.GetSignature()[:20] }), "renewal-signature"},
		"changed after signing":  {s, tampered(func(m *wire.SignedMessage) { m.Msg = appendVarint(m.GetMsg(), 7, 1) }), "renewal-signature"},
		"key of another session": {s, mixed, "renewal-signature"},
		"derived key": {s, again{
			kind: wire.LicenseRequest_RENEWAL, id: mine.license.GetId(), time: requestTime, key: mine.keys.Client.Reveal(),
		}, "renewal-signature"},
		"another request_id": {s, renewing(func(id *wire.LicenseIdentification) { id.RequestId = []byte("another request") }), "license-id"},
		"version ahead":      {s, renewing(func(id *wire.LicenseIdentification) { id.Version = proto.Int32(1) }), "license-version"},
		"version below zero": {s, renewing(func(id *wire.LicenseIdentification) { id.Version = proto.Int32(-1) }), "license-version"},
		"renewal of a final": {plain, finalRenewal, "not-renewable"},
		"release of a final": {plain, finalRelease, "not-renewable"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(c.server.Requests())
			r := post(t, c.server, c.again.body(t))
			if got := c.server.Requests()[before]; r.status != 403 || got.Reason != c.reason || got.Outcome != fakes.Refused || got.Operation == drm.KindLicense {
				t.Errorf("status %d, record %+v", r.status, got)
			}
		})
	}
	released := releaseOf(t, mine)
	isTrue(t, post(t, s, released.body(t)).status == 200)
	isTrue(t, post(t, s, renewalOf(t, mine).body(t)).status == 403)
	isTrue(t, post(t, s, renewalOf(t, other).body(t)).status == 200)
}

// TestRenewablePolicies: the option makes every policy one that can be kept; without it policies say what they say.
func TestRenewablePolicies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options fakes.Options
		want    drm.Policy
	}{
		"no end":   {fakes.Options{Widevine: renewable, Policy: &drm.Policy{CanPlay: true}}, drm.Policy{License: 2 * time.Hour, RenewAfter: time.Minute, RetryEvery: 10 * time.Second}},
		"short":    {fakes.Options{Widevine: renewable, Policy: &drm.Policy{CanPlay: true, License: 40 * time.Second}}, drm.Policy{License: 40 * time.Second, RenewAfter: 20 * time.Second, RetryEvery: 10 * time.Second}},
		"its own":  {fakes.Options{Widevine: renewable, Policy: &drm.Policy{CanPlay: true, License: time.Hour, RenewAfter: time.Second, RetryEvery: 2 * time.Second}}, drm.Policy{License: time.Hour, RenewAfter: time.Second, RetryEvery: 2 * time.Second}},
		"of track": {fakes.Options{Widevine: renewable, Tracks: map[drm.KID]fakes.Track{kid0: {Policy: &drm.Policy{CanPlay: true, License: time.Hour}}}}, drm.Policy{License: time.Hour, RenewAfter: time.Minute, RetryEvery: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := getLicense(t, start(t, c.options), ask{})
			o.signing(t)
			p := o.license.GetPolicy()
			if !p.GetCanRenew() || time.Duration(p.GetLicenseDurationSeconds())*time.Second != c.want.License ||
				time.Duration(p.GetRenewalDelaySeconds())*time.Second != c.want.RenewAfter || time.Duration(p.GetRenewalRetryIntervalSeconds())*time.Second != c.want.RetryEvery {
				t.Errorf("policy %v", p)
			}
		})
	}
}

// TestPlatformRenews: the client platform and the server agree, in the clear and in privacy mode.
func TestPlatformRenews(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Widevine: renewable})
	var platform drm.Platform = widevine.NewPlatform(firstDevice(t), s.Clock()).WithRoot(s.Authority().RootKey())
	for _, private := range []bool{false, true} {
		if private {
			var err error
			platform, err = platform.WithServerCertificate(t.Context(), s.Authority().ServiceCertificate())
			must(t, err)
		}
		session, err := platform.Open(t.Context(), drm.Box{SystemID: pssh.WidevineSystemID, Data: psshData(kid0)}, drm.Options{})
		must(t, err)
		for i, kind := range []drm.Kind{drm.KindLicense, drm.KindRenewal, drm.KindRenewal, drm.KindRelease} {
			m, err := session.Request(t.Context(), kind)
			must(t, err)
			r := post(t, s, m.Body)
			o, err := session.Process(t.Context(), m.ID, r.body)
			must(t, err)
			if r.status != 200 || len(o.Findings) > 0 || (len(session.Licenses()) == 1) != (kind != drm.KindRelease) {
				t.Errorf("%d %s: status %d, %v, %d licenses", i, kind, r.status, o.Findings, len(session.Licenses()))
			}
			s.Clock().Advance(time.Minute)
		}
		if _, err := session.Request(t.Context(), drm.KindRenewal); !errors.Is(err, drm.ErrNoLicense) {
			t.Errorf("after the release: %v", err)
		}
	}
}
