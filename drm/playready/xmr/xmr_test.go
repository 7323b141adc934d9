package xmr

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"reflect"
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
		!l.CannotPersist || l.SecurityLevel != 150 || !l.CanPlay || *l.Output != (OutputProtection{400, 100, 100, 100, 100}) ||
		l.RightsID != [16]byte(unhex(t, "000102030405060708090a0b0c0d0e0f")) {
		t.Errorf("%+v", l)
	}
	integrity, content, err := l.Unwrap(device(t))
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
	if sum := sha256.Sum256(persistent); len(persistent) != 346 ||
		hex.EncodeToString(sum[:]) != "4bdc15f06ba3c5e29e58ec9d7426dde935c762c6877111ca660dc65354d4f5e6" {
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
		if tag, err := CMAC(key, unhex(t, message)); err != nil || hex.EncodeToString(tag) != want {
			t.Errorf("%x, %v; want %s", tag, err, want)
		}
	}
	if _, err := CMAC(secret.New(make([]byte, 32)), nil); err == nil {
		t.Error("a key of 32 bytes is taken")
	}
}

// TestOfficialSample rebuilds what is public of an official persistent license, sheet playready.md §13.7.
func TestOfficialSample(t *testing.T) {
	t.Parallel()
	decode := func(s string) [16]byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(b) != 16 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		return [16]byte(b)
	}
	guid, rights, tag := decode("jADgM0TEcEeYmaMh4HndNg=="), decode("a8lue4yNEECSLV7e68WoCA=="), unhex(t, "430863109c9dc97eacd3e4afb99d2e64")
	end, issued := time.Unix(0x5633A166, 0).UTC(), time.Unix(0x5633A12A, 0).UTC()
	grant := Grant{
		KID: pssh.KIDOfGUID(guid), KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 2000, End: end, Issued: issued,
		Revocation: 30, Embedding: 1,
	}
	b := sealed(t, grant.Tree(make([]byte, ecc.CiphertextLen)))
	copy(b[8:], rights[:])
	copy(b[len(b)-16:], tag)
	l := parsed(t, b)
	if len(b) != 378 || !bytes.Contains(b, guid[:]) || l.RightsID != rights || !bytes.Equal(l.cmac, tag) || l.Form() != FormSimple {
		t.Errorf("%d bytes, %+v", len(b), l)
	}
	if l.KID.String() != "33e0008c-c444-4770-9899-a321e079dd36" || l.KeyType != KeyAESCTR || l.CipherType != CipherECC256 || len(l.EncryptedKey) != 128 {
		t.Errorf("%+v", l.Keys)
	}
	want := Policy{CanPlay: true, SecurityLevel: 2000, End: end, Issued: issued, Revocation: 30, Embedding: 1}
	if !reflect.DeepEqual(l.Policy, want) || l.Outer.Find(TypeSettings) != nil {
		t.Errorf("%+v", l.Policy)
	}
}

// TestEveryBitCounts flips each bit of licenses and cuts them everywhere: the CMAC or the parser must notice (PR-LIC-03).
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	full, fullIntegrity := fullLicense(t)
	leaf := issueScalable(t, CipherScalableLeaf, 0)
	for name, c := range map[string]struct {
		license   []byte
		integrity secret.Bytes
	}{
		"simple": {vector(t), secret.New(unhex(t, integrityKey))}, "full": {full, fullIntegrity}, "scalable": {leaf.license, leaf.integrity},
	} {
		if l := parsed(t, c.license); !l.Verify(c.integrity) {
			t.Errorf("%s: does not verify untouched", name)
		}
		flags := len(c.license) - signatureObjectLen // of the signature itself: nothing covers them
		for i := range c.license {
			for bit := range 8 {
				bad := bytes.Clone(c.license)
				bad[i] ^= 1 << bit
				exempt := i == flags || i == flags+1 && 1<<bit != FlagContainer
				if l, err := Parse(bad); (err == nil && l.Verify(c.integrity)) != exempt {
					t.Errorf("%s: byte %d, bit %d: %v", name, i, bit, err)
				}
			}
			if _, err := Parse(c.license[:i]); err == nil {
				t.Errorf("%s: cut at %d: accepted", name, i)
			}
		}
	}
}
