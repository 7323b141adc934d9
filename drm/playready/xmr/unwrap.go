package xmr

import (
	"crypto/aes"
	"crypto/subtle"
	"errors"
	"fmt"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

// The forms of licenses that have a name, see [License.Form].
const (
	FormSimple   = "simple"
	FormScalable = "scalable"
	FormChained  = "chained"
)

// ErrForm is wrapped by the errors of licenses whose form is not known well enough to take their keys out.
var ErrForm = errors.New("how its keys are wrapped is not known")

// ErrDecrypt is wrapped by the errors of encrypted keys that are no ElGamal ciphertext, or one that the device's key cannot open.
var ErrDecrypt = errors.New("the encrypted key does not decrypt")

// Form names the form of the license: [FormSimple], [FormScalable], [FormChained], or another by its cipher type. A license
// that names the root of a chain is chained whatever else it has.
func (l *License) Form() string {
	switch {
	case l.Uplink != nil, l.CipherType == CipherChained:
		return FormChained
	case l.Auxiliary != nil, l.UplinkX != nil, l.CipherType == CipherScalableRoot, l.CipherType == CipherScalableLeaf:
		return FormScalable
	case l.CipherType == CipherECC256:
		return FormSimple
	}
	return fmt.Sprintf("cipher type %d", l.CipherType)
}

// Unwrap takes the integrity key and the content key, 16 bytes each, out of the license with the device's encryption key.
//
// Those of a simple license are not verified: a caller asks [License.Verify], and can thus tell a wrong key from a wrong CMAC.
// How those of scalable licenses are derived is known from one source only (sheet playready.md §9.6), so that they count only
// if the CMAC verifies under the integrity key. Otherwise, and for licenses of other forms, the error wraps [ErrForm] and
// names the form. If the encrypted key does not decrypt, it wraps [ErrDecrypt].
func (l *License) Unwrap(device ecc.PrivateKey) (integrity, content secret.Bytes, err error) {
	switch l.Form() {
	case FormSimple:
		var x secret.Bytes
		if x, err = decrypt(device, l.EncryptedKey); err == nil {
			integrity, content, err = SplitKey(x)
		}
	case FormScalable:
		integrity, content, err = l.unwrapScalable(device)
	default:
		err = l.formError("no derivation is public")
	}
	if err != nil {
		return secret.Bytes{}, secret.Bytes{}, fmt.Errorf("xmr: unwrap content key: %w", err)
	}
	return integrity, content, nil
}

func (l *License) formError(format string, args ...any) error {
	form := l.Form()
	if form == FormScalable || form == FormChained {
		form = fmt.Sprintf("%s license, cipher type %d", form, l.CipherType)
	}
	return fmt.Errorf("%s: %w: %s", form, ErrForm, fmt.Sprintf(format, args...))
}

func decrypt(device ecc.PrivateKey, ciphertext []byte) (secret.Bytes, error) {
	x, err := device.Decrypt(ciphertext)
	if err != nil {
		return x, fmt.Errorf("%w: %w", ErrDecrypt, err)
	}
	return x, nil
}

// SplitKey cuts the X coordinate of a simple license's decrypted point into integrity key and content key, 16 bytes each
// (sheet playready.md §9.4).
func SplitKey(x secret.Bytes) (integrity, content secret.Bytes, err error) {
	if x.Len() != ecc.CoordinateLen {
		return integrity, content, fmt.Errorf("x has %d bytes, want %d", x.Len(), ecc.CoordinateLen)
	}
	b := x.Reveal()
	return secret.New(b[:16]), secret.New(b[16:]), nil
}

// Lengths of what follows the ElGamal pair in a scalable leaf's encrypted key, in bytes.
const (
	secondaryLen = 16
	leafPartLen  = 32
)

// unwrapScalable is sheet playready.md §9.6. The first auxiliary key is taken: how another is chosen is not public.
func (l *License) unwrapScalable(device ecc.PrivateKey) (integrity, content secret.Bytes, err error) {
	n := len(l.EncryptedKey)
	switch {
	case l.CipherType != CipherScalableRoot && l.CipherType != CipherScalableLeaf:
		err = l.formError("want cipher type %d or %d", CipherScalableRoot, CipherScalableLeaf)
	case len(l.Auxiliary) == 0:
		err = l.formError("no auxiliary key")
	case l.CipherType == CipherScalableRoot && n != ecc.CiphertextLen && n != ecc.CiphertextLen+secondaryLen:
		err = l.formError("an encrypted key of %d bytes, want %d or %d", n, ecc.CiphertextLen, ecc.CiphertextLen+secondaryLen)
	case l.CipherType == CipherScalableLeaf && n != ecc.CiphertextLen+secondaryLen+leafPartLen:
		err = l.formError("an encrypted key of %d bytes, want %d", n, ecc.CiphertextLen+secondaryLen+leafPartLen)
	}
	if err != nil {
		return integrity, content, err
	}
	x, err := decrypt(device, l.EncryptedKey[:ecc.CiphertextLen])
	if err != nil {
		return integrity, content, err
	}
	integrity, content = interleaved(x)
	if l.CipherType == CipherScalableLeaf {
		rest := l.EncryptedKey[ecc.CiphertextLen:]
		integrity, content, err = leafKeys(content, l.Auxiliary[0].Key, rest[:secondaryLen], rest[secondaryLen:])
	}
	if err == nil && !l.Verify(integrity) {
		err = l.formError("its CMAC does not verify under the key that the experimental derivation gives")
	}
	return integrity, content, err
}

// interleaved takes the X coordinate of a scalable license's point apart: bytes at even indexes are the integrity key, those
// at odd indexes the content key.
func interleaved(x secret.Bytes) (integrity, content secret.Bytes) {
	b := x.Reveal()
	ci, ck := make([]byte, len(b)/2), make([]byte, len(b)/2)
	for i := range ci {
		ci[i], ck[i] = b[2*i], b[2*i+1]
	}
	return secret.New(ci), secret.New(ck)
}

// mixture is the constant that the content key of a scalable license is mixed with.
var mixture = [16]byte{0x7E, 0xE9, 0xED, 0x4A, 0xF7, 0x73, 0x22, 0x4F, 0x00, 0xB8, 0xEA, 0x7E, 0xFB, 0x02, 0x7C, 0xBB}

// leafKeys derives the keys of a scalable leaf from the content key ck of its point, an auxiliary key, the secondary material
// and the leaf part of its encrypted key.
func leafKeys(ck secret.Bytes, auxiliary [16]byte, secondary, part []byte) (integrity, content secret.Bytes, err error) {
	u, t, err := leafWraps(ck, auxiliary, secondary)
	if err != nil {
		return integrity, content, err
	}
	inner, err := encryptBlocks(u, part)
	if err != nil {
		return integrity, content, err
	}
	both, err := encryptBlocks(t, inner.Reveal())
	if err != nil {
		return integrity, content, err
	}
	return SplitKey(both)
}

// leafWraps returns the two keys that the leaf part is wrapped in: u = E(E(ck, ck xor mixture), auxiliary), t = E(ck, secondary).
func leafWraps(ck secret.Bytes, auxiliary [16]byte, secondary []byte) (u, t secret.Bytes, err error) {
	prime, err := mixed(ck)
	if err != nil {
		return u, t, err
	}
	if u, err = encryptBlocks(prime, auxiliary[:]); err != nil {
		return u, t, err
	}
	t, err = encryptBlocks(ck, secondary)
	return u, t, err
}

func mixed(ck secret.Bytes) (secret.Bytes, error) {
	b := make([]byte, len(mixture))
	subtle.XORBytes(b, ck.Reveal(), mixture[:])
	return encryptBlocks(ck, b)
}

// encryptBlocks encrypts each block of 16 bytes on its own, with AES-128.
func encryptBlocks(key secret.Bytes, plain []byte) (secret.Bytes, error) {
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("derive key: %w", err)
	}
	out := make([]byte, len(plain))
	for at := 0; at < len(plain); at += aes.BlockSize {
		block.Encrypt(out[at:at+aes.BlockSize], plain[at:at+aes.BlockSize])
	}
	return secret.New(out), nil
}
