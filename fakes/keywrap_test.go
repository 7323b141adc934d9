package fakes_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"keyflow/drm/secret"
	"keyflow/fakes"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	must(t, err)
	return b
}

const kekDigits = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"

// keyWraps are RFC 3394's test vectors, §4.1 to §4.6.
var keyWraps = []struct {
	kek          int // bytes of kekDigits
	key, wrapped string
}{
	{16, "00112233445566778899AABBCCDDEEFF", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
	{24, "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
	{32, "00112233445566778899AABBCCDDEEFF", "64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"},
	{24, "00112233445566778899AABBCCDDEEFF0001020304050607", "031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"},
	{32, "00112233445566778899AABBCCDDEEFF0001020304050607", "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
	{32, "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
		"28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
}

func TestUnwrapKey(t *testing.T) {
	t.Parallel()
	for _, v := range keyWraps {
		kek, wrapped := secret.New(unhex(t, kekDigits)[:v.kek]), unhex(t, v.wrapped)
		key, err := fakes.UnwrapKey(kek, wrapped)
		if err != nil || !strings.EqualFold(hex.EncodeToString(key.Reveal()), v.key) {
			t.Errorf("KEK of %d bytes, wrapped %s: %v", v.kek, v.wrapped, err)
		}
		for i := range wrapped {
			if _, err := fakes.UnwrapKey(kek, flip(wrapped, i)); err == nil {
				t.Errorf("KEK of %d bytes: byte %d of %d altered, and unwrapped", v.kek, i, len(wrapped))
			}
		}
		if _, err := fakes.UnwrapKey(secret.New(flip(kek.Reveal(), 0)), wrapped); err == nil {
			t.Errorf("another KEK of %d bytes unwraps", v.kek)
		}
	}
	for _, n := range []int{0, 8, 16, 23, 25} {
		if _, err := fakes.UnwrapKey(secret.New(make([]byte, 16)), make([]byte, n)); err == nil {
			t.Errorf("%d bytes unwrapped", n)
		}
	}
	if _, err := fakes.UnwrapKey(secret.New(make([]byte, 15)), make([]byte, 24)); err == nil {
		t.Error("a KEK of 15 bytes")
	}
}
