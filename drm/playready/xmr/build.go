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

// Grant is what a simple license is to say. What is zero is not stated; the security level always is.
type Grant struct {
	KID     drm.KID
	KeyType KeyType
	Device  ecc.PublicKey // its encryption key

	CannotPersist bool
	SecurityLevel int
	Begin, End    time.Time // zero: no bound; without both there is no expiration
	Issued        time.Time
	GracePeriod   time.Duration
	FirstPlay     time.Duration
	Revocation    uint32
	Embedding     uint16

	// RealTimeExpiration is stated by an empty leaf, behind all other policies: a client was seen that takes an empty leaf to
	// hold the object after it (sheet playready.md §9.2).
	RealTimeExpiration bool

	Output                                  *OutputProtection
	AnalogVideo, DigitalAudio, DigitalVideo []Item // explicit demands, see [RequireHDCPType1] and [LimitResolution]
	PlayEnablers                            []GUID
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

// Tree returns the objects of the license, without its signature, to be altered at will and given to [Seal]. The flags are
// those of sheet playready.md §9.2: a client must understand policies and keys, but for the issue date, the grace period, the
// revocation version and the device key.
func (g Grant) Tree(encryptedKey []byte) *Object {
	guid := pssh.GUID(g.KID)
	key := append(guid[:], u16(uint16(g.KeyType), uint16(CipherECC256), uint16(len(encryptedKey)))...)
	return Container(TypeOuter, FlagMustUnderstand, g.globalPolicy(), g.playback(), Container(TypeKeyMaterial, FlagMustUnderstand,
		Leaf(TypeContentKey, FlagMustUnderstand, append(key, encryptedKey...)),
		Leaf(TypeDeviceKey, 0, append(u16(curveP256, ecc.PublicLen), g.Device[:]...))))
}

func (g Grant) globalPolicy() *Object {
	global := Container(TypeGlobalPolicy, FlagMustUnderstand)
	add := func(stated bool, t Type, flags uint16, body []byte) {
		if stated {
			global.Children = append(global.Children, Leaf(t, flags, body))
		}
	}
	add(g.CannotPersist, TypeSettings, FlagMustUnderstand, u16(settingCannotPersist))
	add(!g.Begin.IsZero() || !g.End.IsZero(), TypeExpiration, FlagMustUnderstand, append(instant(g.Begin, 0), instant(g.End, noEnd)...))
	add(!g.Issued.IsZero(), TypeIssueDate, 0, instant(g.Issued, 0))
	add(g.GracePeriod > 0, TypeGracePeriod, 0, seconds(g.GracePeriod))
	add(g.FirstPlay > 0, TypeFirstPlay, FlagMustUnderstand, seconds(g.FirstPlay))
	add(g.Revocation > 0, TypeRevocation, 0, u32(g.Revocation))
	add(g.Embedding > 0, TypeEmbedding, FlagMustUnderstand, u16(g.Embedding))
	add(true, TypeSecurityLevel, FlagMustUnderstand, u16(uint16(g.SecurityLevel)))
	add(g.RealTimeExpiration, TypeRealTimeExpiry, FlagMustUnderstand, nil)
	return global
}

func (g Grant) playback() *Object {
	playback := Container(TypePlayback, 0)
	if o := g.Output; o != nil {
		playback.Children = append(playback.Children, Leaf(TypeOutput, FlagMustUnderstand,
			u16(o.CompressedVideo, o.UncompressedVideo, o.AnalogVideo, o.CompressedAudio, o.UncompressedAudio)))
	}
	list := func(of, each Type, items []Item) {
		if len(items) == 0 {
			return
		}
		all := Container(of, FlagMustUnderstand)
		for _, i := range items {
			guid := pssh.GUID(drm.KID(i.ID))
			all.Children = append(all.Children, Leaf(each, FlagMustUnderstand, append(guid[:], i.Data...)))
		}
		playback.Children = append(playback.Children, all)
	}
	list(TypeAnalogVideos, TypeAnalogVideo, g.AnalogVideo)
	list(TypeDigitalAudios, TypeDigitalAudio, g.DigitalAudio)
	list(TypeDigitalVideos, TypeDigitalVideo, g.DigitalVideo)
	enablers := make([]Item, len(g.PlayEnablers))
	for i, id := range g.PlayEnablers {
		enablers[i].ID = id
	}
	list(TypePlayEnablers, TypePlayEnabler, enablers)
	return playback
}

// Seal returns the license of a tree: with its prelude, and with the signature under the integrity key as its last object.
func Seal(rightsID [16]byte, outer *Object, integrity secret.Bytes) ([]byte, error) {
	signature := Leaf(TypeSignature, FlagMustUnderstand, append(u16(signatureCMAC, 16), make([]byte, 16)...))
	whole := *outer
	whole.Children = append(append([]*Object(nil), outer.Children...), signature)
	b := append(append([]byte(nil), magic...), u32(Version)...)
	b = whole.Append(append(b, rightsID[:]...))
	tag, err := CMAC(integrity, b[:len(b)-signatureObjectLen])
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	copy(b[len(b)-16:], tag)
	return b, nil
}

// instant returns a time in Unix seconds; none stands for the zero time.
func instant(t time.Time, none uint32) []byte {
	if t.IsZero() {
		return u32(none)
	}
	return u32(uint32(min(max(t.Unix(), 0), noEnd-1)))
}

// seconds returns a positive duration in whole seconds, one at least.
func seconds(d time.Duration) []byte { return u32(uint32(min(max(d/time.Second, 1), noEnd-1))) }

func u16(values ...uint16) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
