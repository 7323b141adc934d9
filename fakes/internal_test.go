package fakes

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorT3 makes the license of sheet widevine.md §16, T3, from T1's request and session key and T2's key: the license
// and its HMAC are the sheet's, byte for byte.
func TestVectorT3(t *testing.T) {
	t.Parallel()
	a, err := NewAuthority(context.Background(), AuthorityOptions{RootBits: 2048, Devices: 1})
	if err != nil {
		t.Fatal(err)
	}
	device := a.Devices()[0]
	kid := drm.KID(unhex(t, "000102030405060708090a0b0c0d0e0f"))
	g := &grant{
		request: unhex(t, "122a0a280a121210000102030405060708090a0b0c0d0e0f10011a103031323334353637383941424344454618012080e2"+
			"cfaa06301538f8acd19101"),
		device:    device.PublicKey(),
		requestID: []byte("0123456789ABCDEF"),
		sessionID: []byte("SESSION1"),
		kind:      wire.LicenseType_STREAMING,
		policy:    policyFor(drm.Policy{CanPlay: true, License: time.Hour}, wire.LicenseType_STREAMING),
		start:     1_700_000_000,
		scheme:    proto.Uint32(0x63656e63),
		keys: []grantedKey{{
			kid: kid, id: kid[:], key: secret.New(bytes.Repeat([]byte{0x11}, 16)), iv: bytes.Repeat([]byte{0x22}, 16),
			level: wire.License_KeyContainer_SW_SECURE_CRYPTO,
		}},
		sessionKey: secret.New(unhex(t, "000102030405060708090a0b0c0d0e0f")),
		envelope:   wire.SignedMessage_LICENSE,
	}
	body, err := g.seal()
	if err != nil {
		t.Fatal(err)
	}
	m := new(wire.SignedMessage)
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatal(err)
	}
	const license = "0a200a1030313233343536373839414243444546120853455353494f4e3120012800120908011000180030901c1a4a0a10" +
		"000102030405060708090a0b0c0d0e0f1210222222222222222222222222222222221a209695a7457ab42bd5a308377787" +
		"de50675c65129f175c957ea75ec6ddc9d9f92f200228012080e2cfaa0638e3dc959b06"
	if got := hex.EncodeToString(m.GetMsg()); got != license {
		t.Errorf("license\n%s, want\n%s", got, license)
	}
	if got := hex.EncodeToString(m.GetSignature()); got != "fd7b76a02e8c4c734d46bcf996de84668fc867436fe6bee4c2768a3c86168a90" {
		t.Errorf("HMAC %s", got)
	}
	unwrapped, err := ladder.UnwrapSessionKey(device.Key().Reveal(), m.GetSessionKey())
	if err != nil || !unwrapped.Equal(g.sessionKey) {
		t.Errorf("session key: %v", err)
	}
}

// TestVectorT4 decrypts the client id of sheet widevine.md §16, T4, as the server does.
func TestVectorT4(t *testing.T) {
	t.Parallel()
	a, err := NewAuthority(context.Background(), AuthorityOptions{RootBits: 2048, Devices: 1})
	if err != nil {
		t.Fatal(err)
	}
	key := secret.New(unhex(t, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"))
	wrapped, err := ladder.WrapSessionKey(a.service.key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := a.service.decrypt(&wire.EncryptedClientIdentification{
		EncryptedClientId:   unhex(t, "7089904d8fbb39d07418e252135466235be6ba2c71b7b8bc0bf770a3bbcbcf199e55f87f68cd26b22deaebfbbb528b38"),
		EncryptedClientIdIv: unhex(t, "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"), EncryptedPrivacyKey: wrapped,
	})
	if err != nil {
		t.Fatal(err)
	}
	clear, err := marshal.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(clear); got != "08011205544f4b454e1a170a0c636f6d70616e795f6e616d6512074861726e657373" {
		t.Errorf("client id %s", got)
	}
	if string(id.GetToken()) != "TOKEN" || id.GetClientInfo()[0].GetValue() != "Harness" {
		t.Errorf("client id %v", id)
	}
}

func TestHistoryRing(t *testing.T) {
	t.Parallel()
	h := newHistory(3)
	for range 5 {
		h.arrive()
	}
	for _, n := range []uint64{2, 1, 3, 5, 4} { // the order of outcome
		h.add(Record{N: n, Outcome: Answered, Operation: drm.KindLicense})
	}
	var kept []uint64
	for _, r := range h.since(0) {
		kept = append(kept, r.N)
	}
	if len(kept) != 3 || kept[0] != 3 || kept[1] != 4 || kept[2] != 5 {
		t.Errorf("kept %v, want the last three in the order of arrival", kept)
	}
	if got := h.since(4); len(got) != 1 || got[0].N != 5 {
		t.Errorf("since 4: %v", got)
	}
	if total, byKind := h.counts(); total != (Count{Received: 5, Answered: 5}) || byKind[drm.KindLicense] != total {
		t.Errorf("counts %+v, %+v", total, byKind)
	}
}

// TestChainCache has more chains than the cache holds, and one that is not to be trusted.
func TestChainCache(t *testing.T) {
	t.Parallel()
	a, err := NewAuthority(context.Background(), AuthorityOptions{RootBits: 2048, Devices: 1})
	if err != nil {
		t.Fatal(err)
	}
	token := func() []byte { // a new certificate each time, by its serial number
		id := new(wire.ClientIdentification)
		if err := proto.Unmarshal(a.IssueDevice(t, a.Devices()[0].Key(), func(*wire.DrmCertificate) {}).ClientID(), id); err != nil {
			t.Fatal(err)
		}
		return id.GetToken()
	}
	c, now := newChainCache(2, newWidevineChains(a).verifyNew), time.Unix(1_700_000_000, 0)
	verify := func(token []byte) *chain.Certificate {
		device, err := c.verify(token, now)
		if err != nil {
			t.Fatal(err)
		}
		return device
	}
	one, two, three := token(), token(), token()
	first := verify(one)
	verify(two)
	if verify(one) != first {
		t.Error("a known chain was verified again")
	}
	verify(three) // puts two out: one was used after it
	if len(c.entries) != 2 || c.order.Len() != 2 || verify(one) != first {
		t.Errorf("%d entries; the least recently used one should have gone", len(c.entries))
	}
	bad := bytes.Clone(one)
	bad[12] ^= 1
	for range 2 {
		if _, err := c.verify(bad, now); !errors.Is(err, chain.ErrSignature) && !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("an altered chain: %v", err)
		}
	}
}
