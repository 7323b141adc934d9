package xmr

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// simpleLicense is the vector of sheet playready.md §13.6.
const simpleLicense = "WE1SAAAAAAMAAQIDBAUGBwgJCgsMDQ4PAAMAAQAAAUwAAwACAAAAHAABAA0AAAAKAAEAAQA0AAAACgCWAAIABAAAABoAAQAFAAAAEgGQAGQAZABkAGQAAwAJAAAA8gABAAoAAACeq5HgCTj40kGeNVhTH9GexwABAAMAgKlKIEQEbc3H40EGu9nVks57oCy5skLriXlEyITiCFqmFmqKga0TV5cy+dp8FCkXQDF2U+O0hUUIa3CA4IxrF0OySXwrJLbHS5G1EN9Afm5V+U1oapGMUf4aRAcLQLhQdYD8mfrqfvrLJLdskiFOHqsKCOWr/aJKQf0+TUW7HFeUAAAAKgAAAEwAAQBAErjl+vo7ftgnFYSAdAbmF7fROMEX6QyILXjKUKvnv/OorbHTySlddnLQYcEAMoUrmlSCI3aCQQfaDz5JbdTmKwABAAsAAAAcAAEAEGzZTrbacSXt6amHiyOXCYI="

const (
	deviceScalar = "ad3fcfc71cee9c24b26acb6731869e26ea953a4fc3ce32775d5da25b11fb3621"
	integrityKey = "212ff4de210070a8b23cb30933f832a7"
	contentKey   = "9cb061164b7013eaefcc7d6d18424c2c"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func vector(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(simpleLicense)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func device(t testing.TB) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.NewPrivateKey(unhex(t, deviceScalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parsed(t testing.TB, b []byte) *License {
	t.Helper()
	l, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSimpleLicense reads, decrypts and verifies the vector, and builds it again.
func TestSimpleLicense(t *testing.T) {
	t.Parallel()
	l := parsed(t, vector(t))
	kid, err := drm.ParseKID("09e091ab-f838-41d2-9e35-58531fd19ec7")
	if err != nil {
		t.Fatal(err)
	}
	if l.KID != kid || l.KeyType != KeyAESCTR || l.CipherType != CipherECC256 || l.Form() != "simple" || l.DeviceKey != device(t).Public() ||
		!l.CannotPersist || l.SecurityLevel != 150 || !l.CanPlay || *l.Output != (OutputProtection{400, 100, 100, 100, 100}) || l.RightsID != [16]byte(unhex(t, "000102030405060708090a0b0c0d0e0f")) {
		t.Errorf("%+v", l)
	}
	x, err := device(t).Decrypt(l.EncryptedKey)
	if err != nil {
		t.Fatal(err)
	}
	integrity, content, err := SplitKey(x)
	if err != nil || !integrity.Equal(secret.New(unhex(t, integrityKey))) || !content.Equal(secret.New(unhex(t, contentKey))) {
		t.Errorf("keys differ from the vector's: %v", err)
	}
	if !l.Verify(integrity) || l.Verify(content) || hex.EncodeToString(l.cmac) != "6cd94eb6da7125ede9a9878b23970982" {
		t.Errorf("CMAC %x", l.cmac)
	}
	grant := Grant{KID: kid, KeyType: KeyAESCTR, Device: device(t).Public(), CannotPersist: true, SecurityLevel: 150, Output: l.Output}
	again, err := Seal(l.RightsID, grant.Tree(l.EncryptedKey), integrity)
	if err != nil || !bytes.Equal(again, l.Raw) {
		t.Errorf("built again: %v\n%x\n%x", err, again, l.Raw)
	}
	grant.CannotPersist = false // the license of sheet playready.md §13.12
	persistent, err := Seal([16]byte(unhex(t, "101112131415161718191a1b1c1d1e1f")), grant.Tree(l.EncryptedKey), integrity)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(persistent); len(persistent) != 346 || hex.EncodeToString(sum[:]) != "4bdc15f06ba3c5e29e58ec9d7426dde935c762c6877111ca660dc65354d4f5e6" {
		t.Errorf("persistent license: %d bytes, SHA-256 %x", len(persistent), sum)
	}
	if p := parsed(t, persistent); p.CannotPersist || hex.EncodeToString(p.cmac) != "519ad8a0cbd2dde3fe1508895dfeac48" {
		t.Errorf("persistent license: CMAC %x", p.cmac)
	}
}

// TestCMAC is RFC 4493's empty message (sheet playready.md §13.10) and its 40-byte one.
func TestCMAC(t *testing.T) {
	t.Parallel()
	key := secret.New(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"))
	for message, want := range map[string]string{
		"": "bb1d6929e95937287fa37d129b756746",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411": "dfa66747de9ae63030ca32611497c827",
	} {
		if tag, err := cmac(key, unhex(t, message)); err != nil || hex.EncodeToString(tag) != want {
			t.Errorf("%x, %v; want %s", tag, err, want)
		}
	}
	if _, err := cmac(secret.New(make([]byte, 32)), nil); err == nil {
		t.Error("a key of 32 bytes is taken")
	}
}

// TestEveryByteCounts flips each byte of the license: the CMAC or the parser must notice (PR-LIC-03).
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	good := vector(t)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		flags := i == len(good)-signatureObjectLen || i == len(good)-signatureObjectLen+1 // of the signature itself, which nothing covers
		if l, err := Parse(bad); err == nil && !flags && l.Verify(secret.New(unhex(t, integrityKey))) {
			t.Errorf("byte %d can be changed", i)
		}
		if _, err := Parse(good[:i]); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_700_000_000, 0).UTC()
	grant := Grant{
		KID: drm.KID{1, 2, 3, 4, 5, 6, 7, 8}, KeyType: KeyAESCBC, Device: device(t).Public(), SecurityLevel: 2000,
		Begin: begin, End: begin.Add(time.Hour), Issued: begin.Add(time.Minute), FirstPlay: 48 * time.Hour,
	}
	encrypted, integrity, err := EncryptKey(device(t).Public(), secret.New(unhex(t, contentKey)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Seal([16]byte{9}, grant.Tree(encrypted), integrity)
	if err != nil {
		t.Fatal(err)
	}
	l := parsed(t, b)
	if l.KID != grant.KID || l.KeyType != KeyAESCBC || !l.Begin.Equal(begin) || !l.End.Equal(grant.End) || !l.Issued.Equal(grant.Issued) ||
		l.FirstPlay != grant.FirstPlay || l.SecurityLevel != 2000 || l.CannotPersist || l.Output != nil || !l.Verify(integrity) {
		t.Errorf("%+v", l)
	}
	x, err := device(t).Decrypt(l.EncryptedKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, content, _ := SplitKey(x); !content.Equal(secret.New(unhex(t, contentKey))) {
		t.Error("another content key")
	}
	guid := pssh.GUID(grant.KID)
	if !bytes.Contains(b, guid[:]) || bytes.Contains(b, grant.KID[:]) {
		t.Error("the KID is not in GUID order")
	}
}

// TestMalformed: errors name the path.
func TestMalformed(t *testing.T) {
	t.Parallel()
	encrypted := make([]byte, 128)
	tree := func() *Object {
		return Grant{KeyType: KeyAESCTR, Device: device(t).Public(), CannotPersist: true, SecurityLevel: 150}.Tree(encrypted)
	}
	sealed := func(o *Object) []byte {
		b, err := Seal([16]byte{}, o, secret.New(make([]byte, 16)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	edited := func(edit func(*Object)) []byte {
		o := tree()
		edit(o)
		return sealed(o)
	}
	outerShort := sealed(tree())
	binary.BigEndian.PutUint32(outerShort[preludeLen+4:], uint32(len(outerShort)-preludeLen-8))
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"magic":            {append([]byte("XMS"), sealed(tree())[3:]...), "does not begin with XMR"},
		"outer length":     {outerShort, "outer container"},
		"trailing":         {append(sealed(tree()), 0), "1 bytes follow the outer container"},
		"level of 4 bytes": {edited(func(o *Object) { o.Find(TypeSecurityLevel).Body = make([]byte, 4) }), "outer container/global policy/security level at byte 50: a body of 4 bytes, want 2"},
		"no content key":   {edited(func(o *Object) { o.Find(TypeKeyMaterial).Children = o.Find(TypeKeyMaterial).Children[1:] }), "no content key"},
		"key length":       {edited(func(o *Object) { o.Find(TypeContentKey).Body[21]++ }), "states a key of 129 bytes, has 128"},
		"twice":            {edited(func(o *Object) { o.Children = append(o.Children, o.Children[0]) }), "global policy at byte 310: stands twice"},
		"not known":        {edited(func(o *Object) { o.Children = append(o.Children, Leaf(0x7777, FlagMustUnderstand, nil)) }), "object 0x7777 at byte"},
		"device key":       {edited(func(o *Object) { o.Find(TypeDeviceKey).Body[10] ^= 1 }), "device key at byte"},
		"deep": {edited(func(o *Object) {
			for range maxDepth {
				o.Children = []*Object{Container(TypePlayback, 0, o.Children...)}
			}
		}), "levels"},
		"version": {append([]byte("XMR\x00\x00\x00\x00\x02"), sealed(tree())[8:]...), "version 2, want 3"},
	} {
		if _, err := Parse(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if l := parsed(t, edited(func(o *Object) { o.Children = append(o.Children, Leaf(0x7777, 0, []byte{1})) })); l.Outer.Find(0x7777) == nil {
		t.Error("an unknown object was dropped")
	}
	for form, o := range map[string]*Object{"scalable": Leaf(TypeAuxiliaryKeys, 1, make([]byte, 22)), "chained": Leaf(TypeUplinkKID2, 1, make([]byte, 20))} {
		if l := parsed(t, edited(func(outer *Object) { outer.Children = append(outer.Children, o) })); l.Form() != form {
			t.Errorf("form %s, want %s", l.Form(), form)
		}
	}
	if _, _, err := EncryptKey(device(t).Public(), secret.New(make([]byte, 15))); err == nil || errors.Is(err, ecc.ErrNoPoint) {
		t.Errorf("a content key of 15 bytes: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	good := vector(f)
	f.Add(good)
	f.Add(good[:100])
	f.Add(append(bytes.Clone(good[:32]), good[24:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Outer.Append(bytes.Clone(b[:preludeLen])), b) {
			t.Error("the tree is not the license")
		}
		l.Verify(secret.New(make([]byte, 16)))
	})
}
