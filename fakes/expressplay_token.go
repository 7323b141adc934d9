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
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// rights are what an ExpressPlay token entitles to: the license of one KID, in one system.
type rights struct {
	system  drm.System
	kid     drm.KID
	issued  time.Time    // the token
	expires time.Time    // the token, not the license
	key     secret.Bytes // empty: the key store's

	widevineRights
	playReady playReadyRights
}

// widevineRights are those of a token for Widevine alone.
type widevineRights struct {
	level wire.License_KeyContainer_SecurityLevel
	hdcp  wire.HDCP
	plays time.Duration // from the start of playback, whole seconds; 0: unlimited
}

// A token is opaque to its bearer. It is base64 over
//
//	form (1) | IV (16) | rights, AES-256-CTR (55 or 73) | HMAC-SHA256 over all that (32)
//
// and carries the content key along, so that the server keeps no state: a token holds as long as the authority does. The form says
// for which system it is. Every token has a plus sign, a slash and an equals sign, which a client must escape in a query (sheet
// providers.md §7.2, AU-02).
const (
	tokenRightsAt   = 1 + aes.BlockSize
	commonRightsLen = 16 + 8 + 8 + 1 + contentKeyLen // as rights.bytes has them, integers in big-endian order
)

// tokenText is the encoding of tokens. It is strict, so that no two texts of the same length are one token.
var tokenText = base64.StdEncoding.Strict()

// tokenForm is how tokens of a system are told and how many bytes their rights have.
type tokenForm struct {
	id     byte
	rights int
}

func tokenFormOf(s drm.System) tokenForm {
	if s == drm.PlayReady {
		return tokenForm{2, commonRightsLen + playReadyRightsLen}
	}
	return tokenForm{1, commonRightsLen + widevineRightsLen}
}

// tagAt is where a token's HMAC begins.
func (f tokenForm) tagAt() int { return tokenRightsAt + f.rights }

// textLen is the length of a token as text.
func (f tokenForm) textLen() int { return tokenText.EncodedLen(f.tagAt() + sha256.Size) }

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

// seal makes a token, issued now. Two tokens of the same rights differ.
func (k tokenKeys) seal(r rights, now time.Time) (string, error) {
	r.issued = now
	for { // nearly always once or twice
		token := slices.Concat([]byte{tokenFormOf(r.system).id}, random(aes.BlockSize), r.bytes())
		if err := k.crypt(token); err != nil {
			return "", fmt.Errorf("make token: %w", err)
		}
		text := tokenText.EncodeToString(append(token, k.tag(token)...))
		if strings.Contains(text, "+") && strings.Contains(text, "/") {
			return text, nil
		}
	}
}

// open reads a token for a system; that of another one can't be read. If only its signature is wrong it returns the rights
// together with errTokenSignature, for the fault that doesn't look at it; with every other error there are none.
func (k tokenKeys) open(text string, system drm.System) (*rights, error) {
	form := tokenFormOf(system)
	if len(text) != form.textLen() {
		return nil, errTokenMalformed
	}
	token, err := tokenText.DecodeString(text)
	if err != nil || len(token) != form.tagAt()+sha256.Size || token[0] != form.id {
		return nil, errTokenMalformed
	}
	tagAt := form.tagAt()
	signed := hmac.Equal(token[tagAt:], k.tag(token[:tagAt]))
	if err := k.crypt(token[:tagAt]); err != nil {
		return nil, err
	}
	r, err := readRights(token[tokenRightsAt:tagAt], system)
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
	b = binary.BigEndian.AppendUint64(b, uint64(r.issued.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires.UnixNano()))
	if r.key.IsZero() {
		b = append(b, make([]byte, 1+contentKeyLen)...)
	} else {
		b = append(append(b, 1), r.key.Reveal()...)
	}
	if r.system == drm.PlayReady {
		return r.playReady.append(b)
	}
	return r.appendWidevine(b)
}

// readRights reads what rights.bytes wrote. A token without a right signature may hold anything.
func readRights(b []byte, system drm.System) (*rights, error) {
	at := func(i int) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(b[i:]))) }
	r := &rights{system: system, kid: drm.KID(b[:16]), issued: at(16), expires: at(24)}
	keyed, key, own := b[32], b[33:commonRightsLen], b[commonRightsLen:]
	if keyed == 1 {
		r.key = secret.New(key)
	}
	read := r.readWidevine
	if system == drm.PlayReady {
		read = r.playReady.read
	}
	if keyed > 1 || !read(own) {
		return nil, errTokenMalformed
	}
	return r, nil
}

const widevineRightsLen = 1 + 1 + 4

func (w widevineRights) appendWidevine(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(w.level), byte(w.hdcp)), uint32(w.plays/time.Second))
}

// readWidevine reports whether the bytes can be rights.
func (w *widevineRights) readWidevine(b []byte) bool {
	w.level, w.hdcp = wire.License_KeyContainer_SecurityLevel(b[0]), wire.HDCP(b[1])
	w.plays = time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second
	return w.level >= 1 && w.level <= wire.License_KeyContainer_HW_SECURE_ALL && w.hdcp <= wire.HDCP_HDCP_V2
}
