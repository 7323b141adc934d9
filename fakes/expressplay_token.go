package fakes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// rights are what an ExpressPlay token entitles to: the license of one KID.
type rights struct {
	kid     drm.KID
	expires time.Time // of the token, not of the license
	level   wire.License_KeyContainer_SecurityLevel
	hdcp    wire.HDCP
	plays   time.Duration // from the start of playback, whole seconds; 0: unlimited
	key     secret.Bytes  // empty: the key store's
}

// A token is opaque to its bearer. It is base64url over
//
//	version (1) | IV (16) | rights, AES-256-CTR (47) | HMAC-SHA256 over all that (32)
//
// and carries the content key along, so that the server keeps no state: a token holds as long as the authority does. The
// lengths leave no unused bit in the text, so that no two texts are one token.
const (
	tokenVersion   = 1
	tokenRightsAt  = 1 + aes.BlockSize
	tokenRightsLen = 16 + 8 + 1 + 1 + 4 + 1 + contentKeyLen // as rights.bytes has them, integers in big-endian order
	tokenTagAt     = tokenRightsAt + tokenRightsLen
	tokenLen       = tokenTagAt + sha256.Size
	tokenTextLen   = tokenLen / 3 * 4
)

var (
	errTokenMalformed = errors.New("the token can't be read")
	errTokenSignature = errors.New("the token's signature does not verify")
)

// tokenKeys are what tokens are encrypted and authenticated with; they follow from the authority's secret.
type tokenKeys struct{ encryption, authentication secret.Bytes }

func newTokenKeys(a *Authority) tokenKeys {
	return tokenKeys{
		encryption:     secret.New(a.derive("expressplay token encryption", nil)),
		authentication: secret.New(a.derive("expressplay token authentication", nil)),
	}
}

// seal makes a token. Two tokens of the same rights differ.
func (k tokenKeys) seal(r rights) (string, error) {
	token := slices.Concat([]byte{tokenVersion}, random(aes.BlockSize), r.bytes())
	if err := k.crypt(token); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(append(token, k.tag(token)...)), nil
}

// open reads a token. If only its signature is wrong it returns the rights together with errTokenSignature, for the fault
// that doesn't look at it; with every other error there are none.
func (k tokenKeys) open(text string) (*rights, error) {
	if len(text) != tokenTextLen {
		return nil, errTokenMalformed
	}
	token, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(token) != tokenLen || token[0] != tokenVersion {
		return nil, errTokenMalformed
	}
	signed := hmac.Equal(token[tokenTagAt:], k.tag(token[:tokenTagAt]))
	if err := k.crypt(token[:tokenTagAt]); err != nil {
		return nil, err
	}
	r, err := readRights(token[tokenRightsAt:tokenTagAt])
	if err == nil && !signed {
		err = errTokenSignature
	}
	return r, err
}

// crypt encrypts or decrypts the rights in place.
func (k tokenKeys) crypt(token []byte) error {
	block, err := aes.NewCipher(k.encryption.Reveal())
	if err != nil {
		return err
	}
	cipher.NewCTR(block, token[1:tokenRightsAt]).XORKeyStream(token[tokenRightsAt:], token[tokenRightsAt:])
	return nil
}

func (k tokenKeys) tag(token []byte) []byte {
	h := hmac.New(sha256.New, k.authentication.Reveal())
	h.Write(token)
	return h.Sum(nil)
}

func (r rights) bytes() []byte {
	b := slices.Clone(r.kid[:])
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires.UnixNano()))
	b = append(b, byte(r.level), byte(r.hdcp))
	b = binary.BigEndian.AppendUint32(b, uint32(r.plays/time.Second))
	if r.key.IsZero() {
		return append(b, make([]byte, 1+contentKeyLen)...)
	}
	return append(append(b, 1), r.key.Reveal()...)
}

// readRights reads what rights.bytes wrote. A token without a right signature may hold anything.
func readRights(b []byte) (*rights, error) {
	r := &rights{
		kid:     drm.KID(b[:16]),
		expires: time.Unix(0, int64(binary.BigEndian.Uint64(b[16:]))),
		level:   wire.License_KeyContainer_SecurityLevel(b[24]),
		hdcp:    wire.HDCP(b[25]),
		plays:   time.Duration(binary.BigEndian.Uint32(b[26:])) * time.Second,
	}
	if r.level < 1 || r.level > wire.License_KeyContainer_HW_SECURE_ALL || r.hdcp > wire.HDCP_HDCP_V2 || b[30] > 1 {
		return nil, errTokenMalformed
	}
	if b[30] == 1 {
		r.key = secret.New(b[31:])
	}
	return r, nil
}
