package provider

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what a provider's document asks for
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// errKeyLength says that a key or an initialization vector cannot be used. It holds nothing of it.
var errKeyLength = errors.New("a key or an initialization vector has a wrong length")

// cryptoFilters make tokens of other forms than JWT (sheet providers.md §4.4). Keys and initialization vectors are paths, of
// bytes or of text, whose bytes in UTF-8 count: var.KEY | unhex makes bytes of hexadecimal digits.
func cryptoFilters() []filter {
	type b = []byte
	digest := []any{new(func(b) b), new(func(string) b)}
	keyed := []any{new(func(b, b) b), new(func(b, string) b), new(func(string, b) b), new(func(string, string) b)}
	return []filter{
		{"sha1", digest, onEither(func(v []byte) []byte { sum := sha1.Sum(v); return sum[:] })}, //nolint:gosec // see above
		{"sha256", digest, onEither(func(v []byte) []byte { sum := sha256.Sum256(v); return sum[:] })},
		{"hmac_sha256", keyed, withKeys(1, func(v []byte, keys [][]byte) ([]byte, error) {
			mac := hmac.New(sha256.New, keys[0])
			mac.Write(v)
			return mac.Sum(nil), nil
		})},
		{"aes_cbc", []any{
			new(func(b, b, b) b), new(func(b, b, string) b), new(func(b, string, b) b), new(func(b, string, string) b),
			new(func(string, b, b) b), new(func(string, b, string) b), new(func(string, string, b) b), new(func(string, string, string) b),
		}, withKeys(2, func(v []byte, keys [][]byte) ([]byte, error) { return encryptCBC(v, keys[0], keys[1]) })},
		{"kw_wrap", keyed[:2], withKeys(1, func(v []byte, keys [][]byte) ([]byte, error) { return wrapKey(v, keys[0]) })},
	}
}

func asBytes(v any) ([]byte, error) {
	switch b := v.(type) {
	case []byte:
		return b, nil
	case string:
		return []byte(b), nil
	}
	return nil, fmt.Errorf("want bytes or text, seen %T", v)
}

func onEither(f func([]byte) []byte) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		b, err := asBytes(args[0])
		if err != nil {
			return nil, err
		}
		return f(b), nil
	}
}

func withKeys(n int, f func(v []byte, keys [][]byte) ([]byte, error)) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		if len(args) != n+1 {
			return nil, fmt.Errorf("want %d arguments, seen %d", n, len(args)-1)
		}
		all := make([][]byte, len(args))
		for i, a := range args {
			var err error
			if all[i], err = asBytes(a); err != nil {
				return nil, err
			}
		}
		return f(all[0], all[1:])
	}
}

// encryptCBC encrypts with AES in CBC mode and PKCS #7 padding.
func encryptCBC(plain, key, iv []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil || len(iv) != aes.BlockSize {
		return nil, errKeyLength
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	out := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	return out, nil
}

// wrapKey wraps a key of whole 8-byte blocks, two at least, as RFC 3394 §2.2.1 has it. Nothing stays nothing.
func wrapKey(key, kek []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, nil
	}
	block, err := aes.NewCipher(kek)
	if err != nil || len(key)%8 != 0 || len(key) < 16 {
		return nil, errKeyLength
	}
	out := append(bytes.Repeat([]byte{0xa6}, 8), key...)
	var work [aes.BlockSize]byte
	n := len(key) / 8
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(work[:8], out[:8])
			copy(work[8:], out[8*i:8*i+8])
			block.Encrypt(work[:], work[:])
			binary.BigEndian.PutUint64(out[:8], binary.BigEndian.Uint64(work[:8])^uint64(n*j+i))
			copy(out[8*i:], work[8:])
		}
	}
	return out, nil
}
