package fakes

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Vector T7 of sheet widevine.md §16: a renewal of the license of T3, its answer, and their signatures.
const (
	vectorRenewal = "12281a260a200a1030313233343536373839414243444546120853455353494f4e3120012800103c1800180220bce2cfaa06" +
		"3015"
	vectorRenewed = "0a200a1030313233343536373839414243444546120853455353494f4e3120012801120908011000180130901c20bce2cfaa06"
)

// TestVectorT7 verifies the renewal of the sheet with the SIGNING key and with the derived one, and makes its answer, byte for byte.
func TestVectorT7(t *testing.T) {
	t.Parallel()
	signing := make([]byte, 64)
	for i := range signing {
		signing[i] = 0x40 + byte(i)
	}
	derived, err := ladder.Derive(secret.New(unhex(t, "000102030405060708090a0b0c0d0e0f")),
		unhex(t, "122a0a280a121210000102030405060708090a0b0c0d0e0f10011a103031323334353637383941424344454618012080e2cfaa06301538f8acd19101"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signing         secret.Bytes
		request, answer string // signatures
	}{
		"SIGNING": {secret.New(signing), "62eacce1fb06ed2f1d0032eb6ef18fefa840545cc44c0616911b5b5c9108c74b", "0acc5953a14875969643667c97dce743687f58e332ce984d9b77bf32ed5ffa14"},
		"derived": {secret.Bytes{}, "ce8a52c4178a88ea38066557157ff2aee67acff9af2fb4a340a54570b4e64e2e", ""},
	} {
		kept := session{requestID: sha256.Sum256([]byte("0123456789ABCDEF")), keys: newSessionKeys(derived, c.signing), kind: wire.LicenseType_STREAMING}
		body, err := marshal.Marshal(&wire.SignedMessage{Msg: unhex(t, vectorRenewal), Signature: unhex(t, c.request)})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{request: readRequest(body), server: &Server{}}
		asked := x.request.message.GetContentId().GetExistingLicense().GetLicenseId()
		if refused := x.mayGoOn(kept, asked, true); refused != nil {
			t.Errorf("%s: %+v", name, refused)
		}
		next := proto.CloneOf(asked)
		next.Version = proto.Int32(1)
		answer, err := (&successor{
			session: kept, id: next, key: kept.keys.server(), start: proto.Int64(1_700_000_060),
			policy: &wire.License_Policy{CanPlay: proto.Bool(true), CanPersist: proto.Bool(false), CanRenew: proto.Bool(true), LicenseDurationSeconds: proto.Int64(3600)},
		}).seal()
		if err != nil {
			t.Fatal(err)
		}
		m := new(wire.SignedMessage)
		if err := proto.Unmarshal(answer, m); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(m.GetMsg()); got != vectorRenewed {
			t.Errorf("%s: answer %s", name, got)
		}
		if got := hex.EncodeToString(m.GetSignature()); c.answer != "" && got != c.answer {
			t.Errorf("%s: HMAC %s", name, got)
		}
		if !kept.keys.derivedServer().Equal(derived.Server) || !kept.keys.encryption().Equal(derived.Encryption) {
			t.Errorf("%s: the derived keys are others", name)
		}
	}
}

// TestSessionsAreBounded: the oldest session goes first, and what is gone cannot be changed.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	const size, rounds = 4, 3
	s := newSessions(size)
	id := func(n int) sessionID { return sessionID{byte(n)} }
	for n := range size * rounds {
		s.add(id(n), session{kid: drm.KID{byte(n)}})
		if len(s.open) > size || len(s.ring) > size {
			t.Fatalf("%d sessions, %d places", len(s.open), len(s.ring))
		}
	}
	for n := range size * rounds {
		gone := id(n)
		s.change(gone[:], func(kept *session) { kept.version = 7 })
		kept, ok := s.find(gone[:])
		if ok != (n >= size*(rounds-1)) || ok && (kept.version != 7 || kept.kid != drm.KID{byte(n)}) {
			t.Errorf("session %d: %v, %+v", n, ok, kept)
		}
	}
	if _, ok := s.find([]byte("short")); ok {
		t.Error("a short id is known")
	}
}
