package widevine

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// wrapped returns a container whose key is plain, rightly padded and encrypted.
func wrapped(t *testing.T, kind wire.License_KeyContainer_KeyType, id, plain []byte) *wire.License_KeyContainer {
	t.Helper()
	c := &wire.License_KeyContainer{Id: id, Iv: random(16), Type: kind.Enum()}
	var err error
	if c.Key, err = ladder.WrapKey(vectorKeys(t).Encryption, c.Iv, secret.New(plain)); err != nil {
		t.Fatal(err)
	}
	return c
}

// unpadded returns a container whose key field decrypts to blocks as they are.
func unpadded(t *testing.T, kind wire.License_KeyContainer_KeyType, blocks []byte) *wire.License_KeyContainer {
	t.Helper()
	iv := random(16)
	return &wire.License_KeyContainer{Id: vectorKID[:], Iv: iv, Key: encryptBlocks(t, vectorKeys(t).Encryption, iv, blocks), Type: kind.Enum()}
}

const (
	signing    = wire.License_KeyContainer_SIGNING
	content    = wire.License_KeyContainer_CONTENT
	control    = wire.License_KeyContainer_KEY_CONTROL
	operator   = wire.License_KeyContainer_OPERATOR_SESSION
	entitling  = wire.License_KeyContainer_ENTITLEMENT
	oemContent = wire.License_KeyContainer_OEM_CONTENT
)

// count returns n bytes that are all different, unlike the vector's key.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(0x80 + i)
	}
	return b
}

// TestContainerFindings replaces the vector's only container.
func TestContainerFindings(t *testing.T) {
	t.Parallel()
	only := func(cs ...*wire.License_KeyContainer) func(*wire.License) {
		return func(l *wire.License) { l.Key = cs }
	}
	edit := func(f func(c *wire.License_KeyContainer)) func(*wire.License) {
		return func(l *wire.License) { f(l.Key[0]) }
	}
	unwrap, padding, length, kidLength := []drm.Reason{ReasonKeyUnwrap}, []drm.Reason{ReasonKeyPadding}, []drm.Reason{ReasonKeyLength}, []drm.Reason{ReasonKIDLength}
	runRows(t, []row{
		{name: "IV of 8 bytes", license: edit(func(c *wire.License_KeyContainer) { c.Iv = c.Iv[:8] }), want: unwrap, seen: "IV has 8 bytes"},
		{name: "no IV", license: edit(func(c *wire.License_KeyContainer) { c.Iv = nil }), want: unwrap, seen: "IV has 0 bytes"},
		{name: "no key", license: edit(func(c *wire.License_KeyContainer) { c.Key = nil }), want: unwrap, seen: "0 wrapped bytes"},
		{name: "17 wrapped bytes", license: edit(func(c *wire.License_KeyContainer) { c.Key = c.Key[:17] }), want: unwrap, seen: "17 wrapped bytes"},
		{name: "zero padding", license: only(unpadded(t, content, append(count(16), make([]byte, 16)...))), want: padding, seen: "32 decrypted bytes"},
		{name: "wrong padding byte", license: only(unpadded(t, content, append(append(count(16), bytes.Repeat([]byte{16}, 14)...), 15, 16))), want: padding, seen: "32 decrypted bytes"},
		{name: "unpadded", license: only(unpadded(t, content, count(16))), want: []drm.Reason{ReasonKeyUnpadded}, seen: "16 bytes without padding"},
		{name: "unpadded SIGNING", license: func(l *wire.License) { l.Key = append(l.Key, unpadded(t, signing, count(64))) },
			want: []drm.Reason{ReasonKeyUnpadded}, seen: "container 1: 64 bytes", keys: 1},
		{name: "key of 0 bytes", license: only(wrapped(t, content, vectorKID[:], nil)), want: length, seen: "0 bytes"},
		{name: "key of 15 bytes", license: only(wrapped(t, content, vectorKID[:], count(15))), want: length, seen: "15 bytes"},
		{name: "key of 17 bytes", license: only(wrapped(t, content, vectorKID[:], count(17))), want: length, seen: "17 bytes"},
		{name: "key of 32 bytes", license: only(wrapped(t, content, vectorKID[:], count(32))), want: length, seen: "32 bytes"},
		{name: "no KID", license: only(wrapped(t, content, nil, count(16))), want: kidLength, seen: "0 bytes"},
		{name: "KID of 1 byte", license: only(wrapped(t, content, []byte("0"), count(16))), want: kidLength, seen: "1 bytes"},
		{name: "KID of 15 bytes", license: only(wrapped(t, content, vectorKID[:15], count(16))), want: kidLength, seen: "15 bytes"},
		{name: "KID of 17 bytes", license: only(wrapped(t, content, bytes.Repeat([]byte{3}, 17), count(16))), want: kidLength, seen: "17 bytes"},
		{name: "no type", license: edit(func(c *wire.License_KeyContainer) { c.Type = nil }),
			want: []drm.Reason{ReasonKeyType, ReasonNoContentKeys}, seen: "reads as SIGNING"},
		{name: "type 99", license: only(wrapped(t, 99, vectorKID[:], count(16))), want: []drm.Reason{ReasonKeyType, ReasonNoContentKeys}, seen: "99"},
		{name: "type 0", license: only(wrapped(t, 0, vectorKID[:], count(16))), want: []drm.Reason{ReasonKeyType, ReasonNoContentKeys}, seen: "0"},
		{name: "no container", license: only(), want: []drm.Reason{ReasonNoContentKeys}, seen: "0 containers"},
		{name: "OPERATOR_SESSION only", license: only(wrapped(t, operator, vectorKID[:], count(16))), want: []drm.Reason{ReasonNoContentKeys}, seen: "1 containers"},
		{name: "SIGNING only", license: only(wrapped(t, signing, nil, count(64))), want: []drm.Reason{ReasonNoContentKeys}},
		{name: "ENTITLEMENT", license: only(wrapped(t, entitling, vectorKID[:], count(32)))},
		{name: "ENTITLEMENT of 16 bytes", license: only(wrapped(t, entitling, vectorKID[:], count(16))), want: length, seen: "16 bytes"},
	})
}

// TestNeighbours: what stands beside a good container, and what is wrong with it, leaves it usable.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	beside := func(cs ...*wire.License_KeyContainer) func(*wire.License) {
		return func(l *wire.License) { l.Key = append(cs, l.Key...) }
	}
	otherKID := bytes.Repeat([]byte{9}, 16)
	runRows(t, []row{
		{name: "second content key", license: beside(wrapped(t, content, otherKID, count(16))), keys: 2},
		{name: "second content key, bad", license: beside(wrapped(t, content, otherKID, count(15))), want: []drm.Reason{ReasonKeyLength}, seen: "container 0", keys: 1},
		{name: "empty container", license: beside(&wire.License_KeyContainer{}), want: []drm.Reason{ReasonKeyType, ReasonKeyUnwrap}, seen: "container 0", keys: 1},
		{name: "KEY_CONTROL without iv and key", license: beside(&wire.License_KeyContainer{Type: control.Enum()}), keys: 1},
		{name: "OPERATOR_SESSION", license: beside(wrapped(t, operator, otherKID, count(20))), keys: 1},
		{name: "OEM_CONTENT", license: beside(wrapped(t, oemContent, otherKID, count(16))), keys: 1},
		{name: "ENTITLEMENT", license: beside(wrapped(t, entitling, otherKID, count(32))), keys: 1},
		{name: "SIGNING", license: beside(wrapped(t, signing, nil, count(64))), keys: 1},
		{name: "SIGNING with an odd id", license: beside(wrapped(t, signing, []byte("id"), count(64))), keys: 1},
		{name: "SIGNING of 32 bytes", license: beside(wrapped(t, signing, nil, count(32))), want: []drm.Reason{ReasonKeyLength}, seen: "32 bytes", keys: 1},
		{name: "two SIGNING", license: beside(wrapped(t, signing, nil, count(64)), wrapped(t, signing, nil, count(64))),
			want: []drm.Reason{ReasonSigningKeys}, seen: "2", keys: 1},
		{name: "KID twice, one key", license: beside(wrapped(t, content, vectorKID[:], vectorKey)), keys: 2},
		{name: "KID twice, two keys", license: beside(wrapped(t, content, vectorKID[:], count(16))),
			want: []drm.Reason{ReasonKeyConflict}, seen: "containers 0 and 1 differ"},
		{name: "KID three times, two keys", license: beside(wrapped(t, content, vectorKID[:], vectorKey), wrapped(t, content, vectorKID[:], count(16))),
			want: []drm.Reason{ReasonKeyConflict}, seen: "containers 0 and 1 differ"},
		{name: "KID twice, two keys, beside another", license: beside(wrapped(t, content, vectorKID[:], count(16)), wrapped(t, content, otherKID, count(16))),
			want: []drm.Reason{ReasonKeyConflict}, seen: "containers 0 and 2 differ", keys: 1},
		{name: "content key as ENTITLEMENT and CONTENT", license: beside(wrapped(t, entitling, vectorKID[:], count(32))), keys: 1},
	})
}

// TestFindingNamesItsKID: a finding about one key bears its KID, one about the answer none.
func TestFindingNamesItsKID(t *testing.T) {
	t.Parallel()
	a := row{license: func(l *wire.License) { l.Key[0].Iv, l.Policy = nil, nil }}.build(t)
	x := row{want: []drm.Reason{ReasonKeyUnwrap, ReasonCannotPlay}}.verify(t, serialize(t, a))
	if got := x.findings[0].KID; got == nil || *got != vectorKID {
		t.Errorf("KID %v", got)
	}
	if got := x.findings[1].KID; got != nil {
		t.Errorf("KID %v of a finding about the policy", got)
	}
}

// TestUnpaddedKeyIsShown: a key without padding is not used, but checks can see it (sheet widevine.md §8.4).
func TestUnpaddedKeyIsShown(t *testing.T) {
	t.Parallel()
	a := row{license: func(l *wire.License) {
		l.Key = []*wire.License_KeyContainer{unpadded(t, content, count(16)), wrapped(t, content, bytes.Repeat([]byte{3}, 16), vectorKey)}
	}}.build(t)
	x := row{want: []drm.Reason{ReasonKeyUnpadded}, keys: 1}.verify(t, serialize(t, a))
	bare, padded := x.answer.Containers[0], x.answer.Containers[1]
	if !bare.Unpadded || bare.Usable || !bytes.Equal(bare.Key.Reveal(), count(16)) || padded.Unpadded || !padded.Usable {
		t.Errorf("containers %+v, %+v", bare, padded)
	}
}

func TestKeyInClear(t *testing.T) {
	t.Parallel()
	want := []drm.Reason{ReasonKeyInClear}
	runRows(t, []row{
		{name: "version info", answer: func(a *wire.SignedMessage) {
			a.ServiceVersionInfo = &wire.VersionInfo{LicenseSdkVersion: proto.String("17 " + string(vectorKey))}
		}, want: want, seen: "container 0"},
		{name: "unknown field", answer: func(a *wire.SignedMessage) {
			a.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 200, protowire.BytesType), vectorKey))
		}, want: want, seen: "container 0"},
		{name: "signed part", license: func(l *wire.License) { l.ProviderClientToken = vectorKey }, want: want, seen: "container 0"},
		{name: "KID is the key", license: func(l *wire.License) {
			l.Key = []*wire.License_KeyContainer{wrapped(t, content, vectorKID[:], vectorKID[:])}
		}, want: want},
		{name: "15 bytes of it", license: func(l *wire.License) { l.ProviderClientToken = vectorKey[1:] }, keys: 1},
	})
}

// TestUnknownFields: they are listed, once each, and are no finding (sheet widevine.md §4); the numbers are those that
// were captured.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	varint := func(n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
	}
	a := row{license: func(l *wire.License) {
		l.Id.ProtoReflect().SetUnknown(slices.Concat(varint(7, 0), varint(8, 31536000), varint(9, 0), varint(9, 1)))
		l.Key[0].ProtoReflect().SetUnknown(varint(20, 1))
		l.Policy.ProtoReflect().SetUnknown(varint(16, 1))
		l.ProtoReflect().SetUnknown(varint(200, 1))
	}, answer: func(a *wire.SignedMessage) { a.ProtoReflect().SetUnknown(varint(11, 0)) }}.build(t)
	x := row{keys: 1}.verify(t, serialize(t, a))
	want := []string{"SignedMessage.11", "License.200", "License.id.7", "License.id.8", "License.id.9", "License.policy.16", "License.key[0].20"}
	if !slices.Equal(x.answer.Unknown, want) {
		t.Errorf("unknown fields %v, want %v", x.answer.Unknown, want)
	}
}

// TestOtherEncodings: fields that proto2 allows to come differently do not spoil a license.
func TestOtherEncodings(t *testing.T) {
	t.Parallel()
	body := serialize(t, vectorAnswer(t))
	t.Run("repeated type", func(t *testing.T) { // the last one counts
		row{keys: 1}.verify(t, append([]byte{0x08, 0x01}, body...))
	})
	t.Run("reversed order", func(t *testing.T) {
		var reversed []byte
		for rest := body; len(rest) > 0; {
			_, _, n := protowire.ConsumeField(rest)
			reversed = append(slices.Clone(rest[:n]), reversed...)
			rest = rest[n:]
		}
		row{keys: 1}.verify(t, reversed)
	})
	t.Run("packed list in the envelope", func(t *testing.T) {
		row{keys: 1}.verify(t, append(body, 0x32, 0x00))
	})
}

// TestBounds: an answer cannot make more work than its length accounts for.
func TestBounds(t *testing.T) {
	t.Parallel()
	t.Run("containers", func(t *testing.T) {
		t.Parallel()
		a := row{license: func(l *wire.License) {
			l.Key = slices.Repeat([]*wire.License_KeyContainer{{Type: control.Enum()}, l.Key[0]}, 100_000)
		}}.build(t)
		x := row{want: []drm.Reason{ReasonLicenseParse}, seen: "200000"}.verify(t, serialize(t, a))
		if len(x.answer.Containers) != maxContainers {
			t.Errorf("%d containers decoded", len(x.answer.Containers))
		}
	})
	t.Run("as many as there may be", func(t *testing.T) {
		t.Parallel()
		a := row{license: func(l *wire.License) { l.Key = slices.Repeat(l.Key, maxContainers) }}.build(t)
		row{keys: maxContainers}.verify(t, serialize(t, a))
	})
	t.Run("unknown fields", func(t *testing.T) {
		t.Parallel()
		var raw []byte
		for n := range protowire.Number(200_000) {
			raw = protowire.AppendVarint(protowire.AppendTag(raw, 100+n%16_000, protowire.VarintType), 1)
		}
		a := vectorAnswer(t)
		a.ProtoReflect().SetUnknown(raw)
		if x := (row{keys: 1}).verify(t, serialize(t, a)); len(x.answer.Unknown) != maxUnknown {
			t.Errorf("%d unknown fields listed", len(x.answer.Unknown))
		}
	})
	t.Run("nested groups", func(t *testing.T) {
		t.Parallel()
		body := bytes.Repeat([]byte{0x5b}, 1<<20) // a group of field 11 in a group of field 11 …
		row{want: []drm.Reason{ReasonNotProtobuf}}.verify(t, body)
	})
}
