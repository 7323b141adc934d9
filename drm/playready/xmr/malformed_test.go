package xmr

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"keyflow/drm/playready/ecc"
)

// TestMalformed: errors name the path.
func TestMalformed(t *testing.T) {
	t.Parallel()
	tree := func() *Object {
		return Grant{KeyType: KeyAESCTR, Device: device(t).Public(), CannotPersist: true, SecurityLevel: 150}.Tree(make([]byte, ecc.CiphertextLen))
	}
	good := sealed(t, tree())
	outerLength := func(add int) []byte {
		b := bytes.Clone(good)
		binary.BigEndian.PutUint32(b[preludeLen+4:], uint32(len(b)-preludeLen+add))
		return b
	}
	edited := func(edit func(*Object)) []byte {
		o := tree()
		edit(o)
		return sealed(t, o)
	}
	body := func(typ Type, b []byte) []byte { return edited(func(o *Object) { o.Find(typ).Body = b }) }
	in := func(typ Type, children ...*Object) []byte {
		return edited(func(o *Object) { o.Find(typ).Children = append(o.Find(typ).Children, children...) })
	}
	of := func(n int) []byte { return make([]byte, n) }
	const global, playback, key = "xmr: outer container/global policy", "xmr: outer container/playback policy", "xmr: outer container/key material"
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":            {nil, "xmr: 0 bytes, a license has 24"},
		"huge":             {of(MaxLen + 1), "65537 bytes, at most 65536"},
		"magic":            {append([]byte("XMS"), good[3:]...), "does not begin with XMR"},
		"version":          {append([]byte("XMR\x00\x00\x00\x00\x02"), good[8:]...), "version 2, want 3"},
		"no outer":         {good[:preludeLen], "0 bytes left at byte 24"},
		"outer is a leaf":  {slices.Concat(good[:24], []byte{0, 1, 0, 1, 0, 0, 0, 8}), "outer container at byte 24: want the outer container"},
		"another outer":    {slices.Concat(good[:24], []byte{0, 3, 0, 2, 0, 0, 0, 8}), "global policy at byte 24: want the outer container"},
		"outer short by 8": {outerLength(-8), "xmr: outer container/signature at byte "},
		"outer long by 8":  {outerLength(8), "xmr: outer container at byte 24: length "},
		"trailing":         {append(bytes.Clone(good), 0), "1 bytes follow the outer container"},
		"length under 8": {slices.Concat(good[:24], []byte{0, 3, 0, 1, 0, 0, 0, 16, 0, 1, 0, 2, 0, 0, 0, 7}),
			"xmr: outer container/global policy at byte 32: length 7, of 8 bytes left"},
		"half a header": {slices.Concat(good[:24], []byte{0, 3, 0, 1, 0, 0, 0, 12, 0, 1, 0, 2}),
			"xmr: outer container at byte 24: 4 bytes left at byte 32"},
		"length over all": {slices.Concat(good[:24], []byte{0, 3, 0, 1, 255, 255, 255, 255}),
			"outer container at byte 24: length 4294967295, of 8"},

		"no content key": {edited(func(o *Object) { o.Find(TypeKeyMaterial).Children = nil }), "xmr: outer container at byte 24: no content key"},
		"no signature":   {tree().Append(bytes.Clone(good[:24])), "xmr: outer container at byte 24: no signature"},
		"signature is not last": {Container(TypeOuter, 1, append(parsed(t, good).Outer.Children, Leaf(0x7777, 0, nil))...).Append(bytes.Clone(good[:24])),
			"xmr: outer container at byte 24: the signature is not the last object"},
		"signature twice": {in(TypeOuter, Leaf(TypeSignature, 1, append(u16(1, 16), of(16)...))),
			"xmr: outer container/signature at byte 338: stands twice"},
		"global twice": {edited(func(o *Object) { o.Children = append(o.Children, o.Children[0]) }),
			"xmr: outer container/global policy at byte 310: stands twice"},
		"level twice": {in(TypePlayback, Leaf(TypeSecurityLevel, 1, u16(150))), playback + "/security level at byte 68: stands twice"},
		"key twice":   {in(TypeKeyMaterial, Leaf(TypeContentKey, 1, of(22))), key + "/content key at byte 310: stands twice"},
		"key elsewhere": {in(TypePlayback, Leaf(TypeContentKey, 1, of(22))),
			playback + "/content key at byte 68: stands in the wrong container"},
		"device key elsewhere": {in(TypeGlobalPolicy, Leaf(TypeDeviceKey, 1, of(68))),
			global + "/device key at byte 60: stands in the wrong container"},
		"outer in outer": {in(TypeOuter, Container(TypeOuter, 1)),
			"xmr: outer container/outer container at byte 310: stands in the wrong container"},
		"playback in global": {in(TypeGlobalPolicy, Container(TypePlayback, 0)),
			global + "/playback policy at byte 60: stands in the wrong container"},
		"signature in global": {in(TypeGlobalPolicy, Leaf(TypeSignature, 0, of(20))),
			global + "/signature at byte 60: stands in the wrong container"},
		"level is a container": {edited(func(o *Object) { o.Find(TypeSecurityLevel).Flags, o.Find(TypeSecurityLevel).Body = 3, nil }),
			global + "/security level at byte 50: flags 0003, want a leaf"},
		"playback is a leaf": {edited(func(o *Object) { o.Find(TypePlayback).Flags = 1 }),
			playback + " at byte 60: flags 0001, want a container"},
		"not known": {in(TypeGlobalPolicy, Leaf(0x7777, 1, nil)),
			global + "/object 0x7777 at byte 60: must be understood, and is not known"},
		"pseudo type": {in(TypeOuter, Container(0xFFFE, 1)),
			"xmr: outer container/object 0xfffe at byte 310: must be understood, and is not known"},
		"deep": {edited(func(o *Object) {
			for range maxDepth {
				o.Children = []*Object{Container(TypePlayback, 0, o.Children...)}
			}
		}), strings.Repeat("/playback policy", maxDepth) + " at byte 88: more than 8 levels"},
		"many objects": {in(TypePlayback, slices.Repeat([]*Object{Leaf(0x7777, 0, nil)}, maxObjects)...), playback + "/object 0x7777 at byte "},

		"key length": {edited(func(o *Object) { o.Find(TypeContentKey).Body[21]++ }),
			key + "/content key at byte 76: states a key of 129 bytes, has 128"},
		"short key": {body(TypeContentKey, of(21)), key + "/content key at byte 76: a body of 21 bytes, want 22 or more"},
		"device key": {edited(func(o *Object) { o.Find(TypeDeviceKey).Body[10] ^= 1 }),
			key + "/device key at byte 234: the point is not on P-256"},
		"device key in bits": {edited(func(o *Object) { copy(o.Find(TypeDeviceKey).Body[2:], u16(512)) }),
			"curve 1 with 512 bytes, want curve 1 with 64"},
		"curve": {edited(func(o *Object) { o.Find(TypeDeviceKey).Body[1] = 2 }), "curve 2 with 64 bytes"},
		"auxiliary keys": {in(TypeKeyMaterial, Leaf(TypeAuxiliaryKeys, 1, append(u16(2), of(20)...))),
			key + "/auxiliary keys at byte 310: states 2 keys, 40 bytes, has 20"},
		"most auxiliary keys": {in(TypeKeyMaterial, Leaf(TypeAuxiliaryKeys, 1, u16(0xFFFF))), "states 65535 keys"},
		"uplink checksum": {in(TypeKeyMaterial, Leaf(TypeUplinkKID2, 1, append(of(16), u16(1, 9)...))),
			key + "/uplink KID 2 at byte 310: states a checksum of 9 bytes, has 0"},
		"uplink X checksum": {in(TypeKeyMaterial, Leaf(TypeUplinkX, 1, append(of(16), u16(9, 0)...))),
			key + "/uplink X at byte 310: states a checksum of 9 bytes, has 0"},
		"uplink X locations": {in(TypeKeyMaterial, Leaf(TypeUplinkX, 1, append(of(16), u16(0, 1)...))), "states 1 locations, 4 bytes, has 0"},
		"signature type": {edited(func(o *Object) {
			o.Children = append(o.Children, Leaf(TypeSignature, 1, append(u16(2, 16), of(16)...)))
		}), "/signature at byte 310: type 2 with 16 bytes, want type 1 with 16"},
		"video without GUID": {in(TypePlayback, Container(TypeDigitalVideos, 1, Leaf(TypeDigitalVideo, 1, of(15)))),
			playback + "/digital video outputs/digital video output at byte 76: a body of 15 bytes, want 16 or more"},
		"enabler with data": {in(TypePlayback, Container(TypePlayEnablers, 1, Leaf(TypePlayEnabler, 1, of(17)))),
			playback + "/play enablers/play enabler at byte 76: a body of 17 bytes, want 16"},
		"level of 4 bytes": {body(TypeSecurityLevel, of(4)), global + "/security level at byte 50: a body of 4 bytes, want 2"},
		"right, length": {in(TypeOuter, Container(TypeCopy, 1, Leaf(TypeExpiration, 1, of(4)))),
			"xmr: outer container/copy policy/expiration at byte 318: a body of 4 bytes, want 8"},
		"right, not known": {in(TypeOuter, Container(TypeCopy, 1, Leaf(0x7777, 1, of(4)))),
			"xmr: outer container/copy policy/object 0x7777 at byte 318: must be understood"},
	} {
		if l, err := Parse(c.b); err == nil || l != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestBodyLengths: every leaf of a fixed length is refused when it is a byte longer or shorter, every other when it is too short.
func TestBodyLengths(t *testing.T) {
	t.Parallel()
	for typ, s := range specs {
		if s.kind == container || s.in != 0 {
			continue
		}
		license := func(n int) []byte {
			o := Grant{KeyType: KeyAESCTR, Device: device(t).Public()}.Tree(nil)
			global := o.Find(TypeGlobalPolicy)
			global.Children = []*Object{Leaf(typ, 1, make([]byte, n))}
			return sealed(t, o)
		}
		if _, err := Parse(license(s.size)); err != nil {
			t.Errorf("%s of %d bytes: %v", typ, s.size, err)
		}
		if _, err := Parse(license(s.size + 1)); err == nil && !s.andMore {
			t.Errorf("%s of %d bytes: accepted", typ, s.size+1)
		}
		if s.size == 0 {
			continue
		}
		if _, err := Parse(license(s.size - 1)); err == nil || !strings.Contains(err.Error(), "/global policy/"+typ.String()+" at byte 40: a body of") {
			t.Errorf("%s of %d bytes: %v", typ, s.size-1, err)
		}
	}
}

// TestKept: objects of which nothing or only the name is known are kept, and nothing in them counts.
func TestKept(t *testing.T) {
	t.Parallel()
	hidden := []*Object{Leaf(TypeSecurityLevel, 1, u16(3000)), Container(TypePlayback, 0), Leaf(0x7777, 1, nil)}
	o := Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 150}.Tree(nil)
	o.Children = append(o.Children[:0:0], o.Children[0], o.Children[2], // without the right to play
		Container(0x7778, 0, hidden...), Container(0x0025, 1, hidden...), Leaf(0x0025, 1, nil),
		Leaf(0x0042, 1, nil), Leaf(0x004F, 1, nil), Leaf(0xFFFD, 0, nil))
	l := parsed(t, sealed(t, o))
	if l.SecurityLevel != 150 || l.CanPlay || l.Outer.Find(0x7778).Find(TypeSecurityLevel) == nil || l.Outer.Find(0x0042) == nil {
		t.Errorf("%+v", l.Policy)
	}
	names := map[string]Type{}
	for typ := range Type(0x0100) {
		if other, twice := names[typ.String()]; twice {
			t.Errorf("%04x and %04x are both %s", uint16(typ), uint16(other), typ)
		}
		names[typ.String()] = typ
	}
}
