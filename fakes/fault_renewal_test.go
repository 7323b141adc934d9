package fakes_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// renewing is what the test of a fault of renewals sees: a license that was granted without the fault, and the server with it.
type renewing struct {
	server  *fakes.Server
	license opened
}

// answered sends a request that the fault acts on and returns the answer, which the key must have signed.
func (r renewing) answered(t *testing.T, a again, key []byte) *wire.License {
	t.Helper()
	_, l, signed := readAgain(t, post(t, r.server, a.body(t)), key)
	isTrue(t, signed)
	return l
}

func (r renewing) serverKey(t *testing.T) []byte { return r.license.signing(t)[:32] }

func refusedOnce(t *testing.T, r renewing, a again, status int) {
	t.Helper()
	if got := post(t, r.server, a.body(t)); got.status != status {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

// otherKey reports whether an answer has a content key for kid0 that is not the license's.
func (r renewing) otherKey(t *testing.T, l *wire.License) {
	t.Helper()
	if len(l.GetKey()) != 1 || !bytes.Equal(l.GetKey()[0].GetId(), kid0[:]) {
		t.Fatalf("keys %v", l.GetKey())
	}
	key, err := r.license.unwrap(l.GetKey()[0])
	must(t, err)
	isTrue(t, key.Len() == 16 && !key.Equal(r.server.Authority().ContentKey(kid0)))
}

// renewalFaults has for every fault of renewals and releases what is seen with it.
var renewalFaults = map[string]struct {
	operation drm.Kind
	final     bool                       // the license may not be renewed
	before    func(*testing.T, renewing) // the fault is set
	check     func(*testing.T, renewing)
}{
	"wv-renewal-hmac-not-verified": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		a := renewalOf(t, r.license)
		a.key = make([]byte, 32)
		isTrue(t, r.answered(t, a, r.serverKey(t)).GetId().GetVersion() == 1)
		a.kind = wire.LicenseRequest_RELEASE
		refusedOnce(t, r, a, 403)
	}},
	"wv-renewal-unknown-session-extended": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		a := renewalOf(t, r.license)
		a.id = proto.CloneOf(a.id)
		a.id.SessionId = randomBytes(16)
		_, l, _ := readAgain(t, post(t, r.server, a.body(t)), nil)
		isTrue(t, l.GetPolicy().GetCanPlay() && bytes.Equal(l.GetId().GetSessionId(), a.id.GetSessionId()))
		a.kind = wire.LicenseRequest_RELEASE
		refusedOnce(t, r, a, 403)
	}},
	"wv-renewal-of-final-license": {operation: drm.KindRenewal, final: true, check: func(t *testing.T, r renewing) {
		a := again{kind: wire.LicenseRequest_RENEWAL, id: r.license.license.GetId(), time: requestTime, key: r.license.keys.Client.Reveal()}
		isTrue(t, r.answered(t, a, r.license.keys.Server.Reveal()).GetId().GetVersion() == 1)
		a.kind = wire.LicenseRequest_RELEASE
		refusedOnce(t, r, a, 403)
	}},
	"wv-renewal-version-exact": {
		operation: drm.KindRenewal,
		before:    func(t *testing.T, r renewing) { r.answered(t, renewalOf(t, r.license), r.serverKey(t)) },
		check:     func(t *testing.T, r renewing) { refusedOnce(t, r, renewalOf(t, r.license), 403) },
	},
	"wv-renewal-refused": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		refusedOnce(t, r, renewalOf(t, r.license), 403)
		r.answered(t, releaseOf(t, r.license), r.serverKey(t))
	}},
	"wv-renewal-delay-after-expiry": {operation: drm.KindLicense, check: func(t *testing.T, r renewing) {
		p := r.license.license.GetPolicy()
		isTrue(t, p.GetRenewalDelaySeconds() == p.GetLicenseDurationSeconds()+60)
	}},
	"wv-renewal-same-connection": {
		operation: drm.KindRenewal,
		before:    func(*testing.T, renewing) { client.CloseIdleConnections() },
		check:     func(t *testing.T, r renewing) { refusedOnce(t, r, renewalOf(t, r.license), 403) },
	},
	"wv-renewal-hmac-initial-key": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		r.answered(t, renewalOf(t, r.license), r.license.keys.Server.Reveal())
	}},
	"wv-renewal-version-stays": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		isTrue(t, r.answered(t, renewalOf(t, r.license), r.serverKey(t)).GetId().GetVersion() == 0)
	}},
	"wv-renewal-new-session-id": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		id := r.answered(t, renewalOf(t, r.license), r.serverKey(t)).GetId().GetSessionId()
		isTrue(t, len(id) == 16 && !bytes.Equal(id, r.license.license.GetId().GetSessionId()))
	}},
	"wv-renewal-start-stays": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		isTrue(t, r.answered(t, renewalOf(t, r.license), r.serverKey(t)).GetLicenseStartTime() == requestTime)
	}},
	"wv-renewal-key-changes": {operation: drm.KindRenewal, check: func(t *testing.T, r renewing) {
		r.otherKey(t, r.answered(t, renewalOf(t, r.license), r.serverKey(t)))
	}},
	"wv-release-with-keys": {operation: drm.KindRelease, check: func(t *testing.T, r renewing) {
		r.otherKey(t, r.answered(t, releaseOf(t, r.license), r.serverKey(t)))
	}},
	"wv-release-then-renewed": {
		operation: drm.KindRenewal,
		before:    func(t *testing.T, r renewing) { r.answered(t, releaseOf(t, r.license), r.serverKey(t)) },
		check:     func(t *testing.T, r renewing) { r.answered(t, renewalOf(t, r.license), r.serverKey(t)) },
	},
	"wv-release-once": {
		operation: drm.KindRelease,
		before:    func(t *testing.T, r renewing) { r.answered(t, releaseOf(t, r.license), r.serverKey(t)) },
		check:     func(t *testing.T, r renewing) { refusedOnce(t, r, releaseOf(t, r.license), 500) },
	},
}

// TestRenewalFaults: every fault does what it says to renewals and releases, is counted then, and does nothing to a license.
func TestRenewalFaults(t *testing.T) {
	t.Parallel()
	for name, c := range renewalFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Widevine: fakes.WidevineOptions{Renewable: !c.final}, Faults: fakes.Named(name)})
			r := renewing{s, getLicense(t, s, ask{pssh: [][]byte{psshData(kid0)}})}
			if c.before != nil {
				c.before(t, r)
			}
			if n := s.Exercised(name); (n != 0) != (c.operation == drm.KindLicense) {
				t.Fatalf("exercised %d times too early", n)
			}
			c.check(t, r)
			if n := s.Exercised(name); n != 1 {
				t.Errorf("exercised %d times", n)
			}
		})
	}
}

// TestRenewalFaultsNotExercised: what a fault would change is as it would be already.
func TestRenewalFaultsNotExercised(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Widevine: renewable})
	for _, name := range []string{
		"wv-renewal-hmac-not-verified", "wv-renewal-unknown-session-extended", "wv-renewal-of-final-license", "wv-renewal-version-exact",
		"wv-renewal-start-stays", "wv-release-then-renewed", "wv-release-with-keys", "wv-release-once",
	} {
		must(t, s.SetFaults(fakes.Named(name)...))
		o := getLicense(t, s, ask{})
		a := renewalOf(t, o)
		a.time = requestTime
		_, _, signed := readAgain(t, post(t, s, a.body(t)), o.signing(t)[:32])
		if !signed || s.Exercised(name) != 0 {
			t.Errorf("%s: signed %v, exercised %d times", name, signed, s.Exercised(name))
		}
	}
}

// FuzzRenewal posts renewals that are signed well and say anything: no session but the license's own goes on.
func FuzzRenewal(f *testing.F) {
	s := start(f, fakes.Options{Widevine: renewable})
	o := getLicense(f, s, ask{})
	key := secret.New(o.signing(f)[32:])
	for _, kind := range []wire.LicenseRequest_RequestType{wire.LicenseRequest_RENEWAL, wire.LicenseRequest_RELEASE} {
		a := renewalOf(f, o)
		a.kind = kind
		e := new(wire.SignedMessage)
		must(f, proto.Unmarshal(a.body(f), e))
		f.Add(e.GetMsg())
		a.id = &wire.LicenseIdentification{SessionId: []byte("0123456789abcdef"), Version: proto.Int32(1 << 30)}
		must(f, proto.Unmarshal(a.body(f), e))
		f.Add(e.GetMsg())
	}
	f.Add([]byte{0x18, 2})
	f.Add([]byte{0x18, 3, 0x12, 4, 0x1a, 2, 0x0a, 0})
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) == 0 || len(msg) > 4096 {
			return
		}
		body, err := proto.Marshal(&wire.SignedMessage{Msg: msg, Signature: ladder.MAC(key, nil, msg)})
		must(t, err)
		r := post(t, s, body)
		if r.status != 200 {
			isTrue(t, r.status >= 400 && r.status < 500)
			return
		}
		sent, got := new(wire.LicenseRequest), new(wire.License)
		must(t, proto.Unmarshal(msg, sent))
		e := new(wire.SignedMessage)
		must(t, proto.Unmarshal(r.body, e))
		must(t, proto.Unmarshal(e.GetMsg(), got))
		id := sent.GetContentId().GetExistingLicense().GetLicenseId()
		own := o.license.GetId()
		if !bytes.Equal(id.GetSessionId(), own.GetSessionId()) || !bytes.Equal(id.GetRequestId(), own.GetRequestId()) || !bytes.Equal(got.GetId().GetSessionId(), own.GetSessionId()) {
			t.Errorf("answered %v with %v", id, got)
		}
	})
}
