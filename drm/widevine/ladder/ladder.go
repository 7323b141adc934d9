// Package ladder is the key ladder of the Widevine license protocol: session key, derived keys, license signature,
// wrapped content keys (sheet widevine.md §6.1, §8). Client and fake server both use it; that they can't be wrong together
// is the work of the sheet's test vectors (§16), which were made with other code.
package ladder

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // prescribed by the protocol (sheet §6.1, §8.1)
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/prf/subtle"

	"keyflow/drm/secret"
)

// SessionKeyLen is the length of a session key in bytes (sheet §8.1).
const SessionKeyLen = 16

// MACLen is the length of a license signature in bytes.
const MACLen = sha256.Size

// Keys are what a session key and a license request derive to (sheet §8.2).
type Keys struct {
	Encryption secret.Bytes // 16 bytes, unwraps key containers
	Server     secret.Bytes // 32 bytes, authenticates what the server sends
	Client     secret.Bytes // 32 bytes, authenticates renewals and releases
}

// Derive computes the keys from the session key and the serialized LicenseRequest exactly as it was signed. The
// context is label ‖ 00 ‖ request ‖ length in bits (32 bits, big-endian), each block CMAC(key, counter ‖ context).
func Derive(sessionKey secret.Bytes, request []byte) (Keys, error) {
	if sessionKey.Len() != SessionKeyLen {
		return Keys{}, fmt.Errorf("derive keys: session key has %d bytes, want %d", sessionKey.Len(), SessionKeyLen)
	}
	prf, err := subtle.NewAESCMACPRF(sessionKey.Reveal())
	if err != nil {
		return Keys{}, fmt.Errorf("derive keys: %w", err)
	}
	derive := func(context []byte, counters ...byte) (secret.Bytes, error) {
		var out []byte
		for _, c := range counters {
			context[0] = c
			block, err := prf.ComputePRF(context, aes.BlockSize)
			if err != nil {
				return secret.Bytes{}, fmt.Errorf("derive keys: %w", err)
			}
			out = append(out, block...)
		}
		return secret.New(out), nil
	}
	encryption := derivationContext("ENCRYPTION", request, 128)
	authentication := derivationContext("AUTHENTICATION", request, 512)
	var k Keys
	var errs [3]error
	k.Encryption, errs[0] = derive(encryption, 1)
	k.Server, errs[1] = derive(authentication, 1, 2)
	k.Client, errs[2] = derive(authentication, 3, 4)
	return k, errors.Join(errs[:]...)
}

// derivationContext leaves room for the counter in its first byte.
func derivationContext(label string, request []byte, bits uint32) []byte {
	c := make([]byte, 0, 1+len(label)+1+len(request)+4)
	c = append(c, 0)
	c = append(c, label...)
	c = append(c, 0)
	c = append(c, request...)
	return binary.BigEndian.AppendUint32(c, bits)
}

// MAC returns the HMAC-SHA256 over core ‖ msg (sheet §8.3); core is nil where no core message is sent.
func MAC(key secret.Bytes, core, msg []byte) []byte {
	h := hmac.New(sha256.New, key.Reveal())
	h.Write(core)
	h.Write(msg)
	return h.Sum(nil)
}

// Sign signs a license request as a device does: RSASSA-PSS with SHA-1, MGF1-SHA-1 and a salt of 20 bytes (sheet §6.1).
func Sign(key *rsa.PrivateKey, msg []byte) ([]byte, error) {
	digest := sha1.Sum(msg)
	sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA1, digest[:], pss())
	if err != nil {
		return nil, fmt.Errorf("sign %d bytes: %w", len(msg), err)
	}
	return sig, nil
}

// Verify checks a signature made as [Sign] makes it.
func Verify(key *rsa.PublicKey, msg, signature []byte) error {
	digest := sha1.Sum(msg)
	return rsa.VerifyPSS(key, crypto.SHA1, digest[:], signature, pss())
}

// SignedPKCS1v15 reports whether the signature is RSASSA-PKCS1-v1_5 with SHA-1 or SHA-256 (RFC 8017 §8.2): a usual mistake,
// and always refused.
func SignedPKCS1v15(key *rsa.PublicKey, msg, signature []byte) bool {
	one, two := sha1.Sum(msg), sha256.Sum256(msg)
	return rsa.VerifyPKCS1v15(key, crypto.SHA1, one[:], signature) == nil ||
		rsa.VerifyPKCS1v15(key, crypto.SHA256, two[:], signature) == nil
}

func pss() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: sha1.Size, Hash: crypto.SHA1}
}

// WrapSessionKey encrypts a session key, or a privacy key, for the owner of key: RSAES-OAEP with SHA-1, MGF1-SHA-1 and an
// empty label (sheet §7, §8.1).
func WrapSessionKey(key *rsa.PublicKey, sessionKey secret.Bytes) ([]byte, error) {
	out, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, sessionKey.Reveal(), nil)
	if err != nil {
		return nil, fmt.Errorf("wrap session key: %w", err)
	}
	return out, nil
}

// UnwrapSessionKey undoes [WrapSessionKey]. The plaintext's length is the caller's to check.
func UnwrapSessionKey(key *rsa.PrivateKey, wrapped []byte) (secret.Bytes, error) {
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, wrapped, nil)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap session key: %w", err)
	}
	return secret.New(plain), nil
}

// WrapKey encrypts a key for a key container: AES-128-CBC with PKCS#7 padding (sheet §8.4). The IV has 16 bytes.
func WrapKey(encryption secret.Bytes, iv []byte, key secret.Bytes) ([]byte, error) {
	pad := aes.BlockSize - key.Len()%aes.BlockSize
	padded := append(slices.Clone(key.Reveal()), make([]byte, pad)...)
	for i := key.Len(); i < len(padded); i++ {
		padded[i] = byte(pad)
	}
	mode, err := cbc(encryption, iv, cipher.NewCBCEncrypter)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	mode.CryptBlocks(padded, padded)
	return padded, nil
}

// ErrPadding is returned by [UnwrapKey] when the decrypted bytes do not end in valid PKCS#7 padding.
var ErrPadding = errors.New("PKCS#7 padding is not valid")

// UnwrapKey undoes [WrapKey]. With [ErrPadding] it returns the decrypted bytes as they are, for the caller to tell an
// unpadded key (sheet §8.4) from a wrong one.
func UnwrapKey(encryption secret.Bytes, iv, wrapped []byte) (secret.Bytes, error) {
	if len(wrapped) == 0 || len(wrapped)%aes.BlockSize != 0 {
		return secret.Bytes{}, fmt.Errorf("unwrap key: %d wrapped bytes, want a positive multiple of %d", len(wrapped), aes.BlockSize)
	}
	mode, err := cbc(encryption, iv, cipher.NewCBCDecrypter)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrap key: %w", err)
	}
	plain := make([]byte, len(wrapped))
	mode.CryptBlocks(plain, wrapped)
	n := int(plain[len(plain)-1])
	if n < 1 || n > aes.BlockSize {
		return secret.New(plain), ErrPadding
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return secret.New(plain), ErrPadding
		}
	}
	return secret.New(plain[:len(plain)-n]), nil
}

func cbc(key secret.Bytes, iv []byte, mode func(cipher.Block, []byte) cipher.BlockMode) (cipher.BlockMode, error) {
	if len(iv) != aes.BlockSize {
		return nil, fmt.Errorf("IV has %d bytes, want %d", len(iv), aes.BlockSize)
	}
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil, err
	}
	return mode(block, iv), nil
}
