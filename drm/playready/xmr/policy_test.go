package xmr

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

var begin = time.Unix(1_700_000_000, 0).UTC()

// fullGrant states everything that a grant can state.
func fullGrant(t testing.TB) Grant {
	return Grant{
		KID: drm.KID{1, 2, 3, 4, 5, 6, 7, 8}, KeyType: KeyAESCBC, Device: device(t).Public(), CannotPersist: true, SecurityLevel: 3000,
		Begin: begin, End: begin.Add(time.Hour), Issued: begin.Add(time.Minute), GracePeriod: 30 * time.Minute, FirstPlay: 48 * time.Hour,
		Revocation: 30, Embedding: 1, RealTimeExpiration: true, Output: &OutputProtection{500, 250, 150, 100, 200},
		AnalogVideo: []Item{{CGMSA, u32(3)}}, DigitalAudio: []Item{{SCMS, nil}},
		DigitalVideo: []Item{RequireHDCPType1(), LimitResolution(1920, 1080)}, PlayEnablers: []GUID{AirPlay, UnknownOutput},
	}
}

func sealed(t testing.TB, o *Object) []byte {
	t.Helper()
	b, err := Seal([16]byte{9}, o, secret.New(make([]byte, 16)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// extras are the policies that a license may have and a grant does not state.
func extras(global, outer *Object) {
	guid, metering := pssh.GUID(drm.KID{0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8}), bytes.Repeat([]byte{0x16}, 16)
	global.Children = append(global.Children,
		Leaf(TypeMeteringID, 1, metering), Leaf(TypeSourceID, 1, u32(0)), Leaf(TypeDomainID, 1, append(bytes.Repeat([]byte{0x29}, 16), u32(7)...)),
		Leaf(TypeMetadata, 0, append(guid[:], 1, 2, 3)), Leaf(TypeMetadata, 0, guid[:]), Leaf(TypeRemovalDate, 1, u32(0x60000000)),
		Leaf(TypeSecureStop, 1, bytes.Repeat([]byte{0x5A}, 16)), Leaf(0x005D, 1, []byte{1}), Leaf(0x7777, 0, []byte{1}))
	outer.Children = append(outer.Children, Container(TypeCopy, 1,
		Leaf(TypeMoveEnabler, 1, u32(2)), Leaf(TypeCopyEnabler, 1, guid[:]), Leaf(TypeCopyCount, 1, u32(0))))
}

// fullLicense has every policy that is read.
func fullLicense(t testing.TB) (license []byte, integrity secret.Bytes) {
	t.Helper()
	encrypted, integrity, err := EncryptKey(device(t).Public(), secret.New(unhex(t, contentKey)))
	if err != nil {
		t.Fatal(err)
	}
	tree := fullGrant(t).Tree(encrypted)
	extras(tree.Find(TypeGlobalPolicy), tree)
	b, err := Seal([16]byte{9}, tree, integrity)
	if err != nil {
		t.Fatal(err)
	}
	return b, integrity
}

func pointer(n uint32) *uint32 { return &n }

// TestPolicies states every policy and reads it again.
func TestPolicies(t *testing.T) {
	t.Parallel()
	b, integrity := fullLicense(t)
	l, grant := parsed(t, b), fullGrant(t)
	id := GUID{0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8}
	want := Policy{
		CanPlay: true, CannotPersist: true, Settings: 1, SecurityLevel: 3000, Begin: grant.Begin, End: grant.End, Issued: grant.Issued,
		FirstPlay: grant.FirstPlay, GracePeriod: grant.GracePeriod, RemovalDate: time.Unix(0x60000000, 0).UTC(), RealTimeExpiration: true,
		Output: grant.Output, AnalogVideo: grant.AnalogVideo, DigitalAudio: []Item{{SCMS, []byte{}}}, DigitalVideo: grant.DigitalVideo,
		PlayEnablers: grant.PlayEnablers, CopyEnablers: []GUID{id}, MoveEnabler: pointer(2), CopyCount: pointer(0), Revocation: 30, Embedding: 1,
		SourceID: pointer(0), Domain: &Domain{[16]byte(bytes.Repeat([]byte{0x29}, 16)), 7}, MeteringID: bytes.Repeat([]byte{0x16}, 16),
		SecureStop: bytes.Repeat([]byte{0x5A}, 16), Metadata: []Item{{id, []byte{1, 2, 3}}, {id, []byte{}}},
	}
	if !reflect.DeepEqual(l.Policy, want) {
		t.Errorf("read\n%+v, want\n%+v", l.Policy, want)
	}
	if l.KID != grant.KID || l.KeyType != KeyAESCBC || l.DeviceKey != grant.Device || !l.Verify(integrity) {
		t.Errorf("%+v", l.Keys)
	}
	if _, content, err := l.Unwrap(device(t)); err != nil || !content.Equal(secret.New(unhex(t, contentKey))) {
		t.Errorf("another content key, %v", err)
	}
	if guid := pssh.GUID(grant.KID); !bytes.Contains(b, guid[:]) || bytes.Contains(b, grant.KID[:]) {
		t.Error("the KID is not in GUID order")
	}
	if width, height, ok := l.DigitalVideo[1].Resolution(); !ok || width != 1920 || height != 1080 {
		t.Errorf("resolution %d × %d, %v", width, height, ok)
	}
	if _, _, ok := l.DigitalVideo[0].Resolution(); ok {
		t.Error("HDCP type 1 is a resolution")
	}
	for _, kept := range []Type{0x005D, 0x7777} {
		if o := l.Outer.Find(kept); o == nil || len(o.Body) != 1 {
			t.Errorf("%s: %+v", kept, o)
		}
	}
}

// TestFlags: must-understand is set where sheet playready.md §9.2 says so (PR-LIC-09).
func TestFlags(t *testing.T) {
	t.Parallel()
	outer := parsed(t, sealed(t, fullGrant(t).Tree(make([]byte, 128)))).Outer
	for _, c := range []struct {
		flags uint16
		types []Type
	}{
		{0, []Type{TypeIssueDate, TypeGracePeriod, TypeRevocation, TypeDeviceKey}},
		{FlagMustUnderstand, []Type{
			TypeSettings, TypeExpiration, TypeFirstPlay, TypeEmbedding, TypeSecurityLevel, TypeRealTimeExpiry, TypeOutput, TypeAnalogVideo,
			TypeDigitalAudio, TypeDigitalVideo, TypePlayEnabler, TypeContentKey, TypeSignature,
		}},
		{FlagContainer, []Type{TypePlayback}},
		{FlagContainer | FlagMustUnderstand, []Type{
			TypeOuter, TypeGlobalPolicy, TypeKeyMaterial, TypeAnalogVideos, TypeDigitalAudios, TypeDigitalVideos, TypePlayEnablers,
		}},
	} {
		for _, typ := range c.types {
			if o := outer.Find(typ); o == nil || o.Flags != c.flags {
				t.Errorf("%s: %+v, want flags %d", typ, o, c.flags)
			}
		}
	}
	if global := outer.Find(TypeGlobalPolicy).Children; global[len(global)-1].Type != TypeRealTimeExpiry {
		t.Error("an object follows the empty leaf")
	}
}

// TestBounds: what is not stated is absent, and numbers that the license has no room for stay within their object.
func TestBounds(t *testing.T) {
	t.Parallel()
	l := parsed(t, sealed(t, Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 150}.Tree(nil)))
	if want := (Policy{CanPlay: true, SecurityLevel: 150}); !reflect.DeepEqual(l.Policy, want) || len(l.Outer.Find(TypeGlobalPolicy).Children) != 1 {
		t.Errorf("%+v, want %+v", l.Policy, want)
	}
	far := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	l = parsed(t, sealed(t, Grant{
		KeyType: KeyAESCTR, Device: device(t).Public(), Begin: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), End: far, FirstPlay: time.Millisecond,
		GracePeriod: 1 << 62,
	}.Tree(nil)))
	last := time.Unix(noEnd-1, 0).UTC()
	if !l.Begin.IsZero() || !l.End.Equal(last) || l.FirstPlay != time.Second || l.GracePeriod != (noEnd-1)*time.Second {
		t.Errorf("%+v", l.Policy)
	}
	l = parsed(t, sealed(t, Grant{KeyType: KeyAESCTR, Device: device(t).Public(), Begin: begin}.Tree(nil)))
	if body := l.Outer.Find(TypeExpiration).Body; !l.Begin.Equal(begin) || !l.End.IsZero() || !bytes.Equal(body[4:], []byte{255, 255, 255, 255}) {
		t.Errorf("%+v", l.Policy)
	}
}

// TestOtherRights: what restricts a right to copy, execute or read is no policy of playback, and does not stand twice by it.
func TestOtherRights(t *testing.T) {
	t.Parallel()
	for _, right := range []Type{TypeCopy, TypeExecute, TypeRead} {
		tree := Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 150}.Tree(nil)
		tree.Children = append(tree.Children, Container(right, 1,
			Leaf(TypeSecurityLevel, 1, u16(3000)), Leaf(TypeExpiration, 1, make([]byte, 8)), Leaf(TypeOutput, 1, make([]byte, 10)),
			Container(TypeDigitalVideos, 1, Leaf(TypeDigitalVideo, 1, HDCPType1[:])), Leaf(TypeCopyCount, 1, u32(5))))
		l := parsed(t, sealed(t, tree))
		if want := (Policy{CanPlay: true, SecurityLevel: 150, CopyCount: pointer(5)}); !reflect.DeepEqual(l.Policy, want) {
			t.Errorf("%s: %+v", right, l.Policy)
		}
	}
	tree := Grant{Device: device(t).Public()}.Tree(nil)
	tree.Children = []*Object{tree.Children[0], tree.Children[2]}
	if parsed(t, sealed(t, tree)).CanPlay {
		t.Error("can play without the right to")
	}
}

// TestGUIDs compares the named GUIDs with their texts in sheet playready.md §9.2, and their bytes in a license.
func TestGUIDs(t *testing.T) {
	t.Parallel()
	for text, id := range map[string]GUID{
		"abb2c6f1-e663-4625-a945-972d17b231e7": HDCPType1, "9645e831-e01d-4fff-8342-0a720e3e028f": MaxResolution,
		"6d5cfa59-c250-4426-930e-fac72c8fcfa6": SCMS, "c3fd11c6-f8b7-4d20-b008-1db17d61f2da": AGCColorStripe,
		"760ae755-682a-41e0-b1b3-dcdf836a7306": CGMSA, "786627d8-c2a6-44be-8f88-08ae255b01a7": UnknownOutput,
		"b621d91f-edcc-4035-8d4b-dc71760d43e9": ConstrainedUnknownOutput, "5abf0f0d-dc29-4b82-9982-fd8e57525bfc": AirPlay,
	} {
		if marshalled, err := id.MarshalText(); id.String() != text || string(marshalled) != text || err != nil {
			t.Errorf("%s, want %s", id, text)
		}
	}
	b := sealed(t, Grant{Device: device(t).Public(), DigitalVideo: []Item{RequireHDCPType1(), LimitResolution(1280, 720)}}.Tree(nil))
	for _, want := range []string{
		"00010059" + "0000001c" + "f1c6b2ab63e62546a945972d17b231e7" + "00000001",
		"00010059" + "00000020" + "31e845961de0ff4f83420a720e3e028f" + "000002d0" + "00000500",
	} {
		if !bytes.Contains(b, unhex(t, want)) {
			t.Errorf("no %s in %x", want, b)
		}
	}
}
