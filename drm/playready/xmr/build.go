package xmr

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// Grant is what a simple license is to say.
type Grant struct {
	KID           drm.KID
	KeyType       KeyType
	Device        ecc.PublicKey // its encryption key
	CannotPersist bool
	SecurityLevel int
	Begin, End    time.Time // zero: no bound; without both there is no expiration
	Issued        time.Time // zero: not stated
	FirstPlay     time.Duration
	Output        *OutputProtection
}

// EncryptKey draws an integrity key and encrypts it with the content key, 16 bytes, for the device (sheet playready.md §9.4).
func EncryptKey(device ecc.PublicKey, content secret.Bytes) (encrypted []byte, integrity secret.Bytes, err error) {
	if content.Len() != 16 {
		return nil, secret.Bytes{}, fmt.Errorf("content key has %d bytes, want 16", content.Len())
	}
	for range 256 { // half of all draws are the X coordinate of a point
		ci := make([]byte, 16)
		_, _ = rand.Read(ci) // never fails since Go 1.24
		encrypted, err = device.EncryptX(secret.New(append(ci, content.Reveal()...)))
		if !errors.Is(err, ecc.ErrNoPoint) {
			return encrypted, secret.New(ci[:16:16]), err
		}
	}
	return nil, secret.Bytes{}, err
}

// Tree returns the objects of the license, without its signature. Leaves that a client cannot ignore must be understood.
func (g Grant) Tree(encryptedKey []byte) *Object {
	global := Container(TypeGlobalPolicy, FlagMustUnderstand)
	add := func(t Type, flags uint16, body []byte) {
		global.Children = append(global.Children, Leaf(t, flags, body))
	}
	if g.CannotPersist {
		add(TypeSettings, FlagMustUnderstand, u16(settingCannotPersist))
	}
	if !g.Begin.IsZero() || !g.End.IsZero() {
		add(TypeExpiration, FlagMustUnderstand, append(u32(seconds(g.Begin, 0)), u32(seconds(g.End, noEnd))...))
	}
	if !g.Issued.IsZero() {
		add(TypeIssueDate, 0, u32(seconds(g.Issued, 0)))
	}
	if g.FirstPlay > 0 {
		add(TypeFirstPlay, FlagMustUnderstand, u32(uint32(g.FirstPlay/time.Second)))
	}
	add(TypeSecurityLevel, FlagMustUnderstand, u16(uint16(g.SecurityLevel)))
	playback := Container(TypePlayback, 0)
	if o := g.Output; o != nil {
		playback.Children = append(playback.Children, Leaf(TypeOutput, FlagMustUnderstand,
			u16(o.CompressedVideo, o.UncompressedVideo, o.AnalogVideo, o.CompressedAudio, o.UncompressedAudio)))
	}
	guid := pssh.GUID(g.KID)
	key := append(guid[:], u16(uint16(g.KeyType), uint16(CipherECC256), uint16(len(encryptedKey)))...)
	return Container(TypeOuter, FlagMustUnderstand, global, playback, Container(TypeKeyMaterial, FlagMustUnderstand,
		Leaf(TypeContentKey, FlagMustUnderstand, append(key, encryptedKey...)),
		Leaf(TypeDeviceKey, 0, append(u16(curveP256, ecc.PublicLen), g.Device[:]...))))
}

// Seal returns the license of a tree: with its prelude, and with the signature under the integrity key as its last object.
func Seal(rightsID [16]byte, outer *Object, integrity secret.Bytes) ([]byte, error) {
	signature := Leaf(TypeSignature, FlagMustUnderstand, append(u16(signatureCMAC, 16), make([]byte, 16)...))
	whole := *outer
	whole.Children = append(append([]*Object(nil), outer.Children...), signature)
	b := append(append([]byte(nil), magic...), u32(Version)...)
	b = whole.Append(append(b, rightsID[:]...))
	tag, err := cmac(integrity, b[:len(b)-signatureObjectLen])
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	copy(b[len(b)-16:], tag)
	return b, nil
}

func seconds(t time.Time, none uint32) uint32 {
	if t.IsZero() {
		return none
	}
	return uint32(min(max(t.Unix(), 0), noEnd-1))
}

func u16(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
