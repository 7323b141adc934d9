package xmr

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/prf/subtle"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// KeyType says what a content key is for (sheet playready.md §9.3).
type KeyType uint16

// The key types of CENC content.
const (
	KeyAESCTR KeyType = 1
	KeyAESCBC KeyType = 5
)

// CipherType says how a content key is encrypted (sheet playready.md §9.3).
type CipherType uint16

// The cipher types. Only that of a simple license can be decrypted: how the others work is not public.
const (
	CipherChained      CipherType = 2
	CipherECC256       CipherType = 3
	CipherScalableRoot CipherType = 4
	CipherScalableLeaf CipherType = 6
)

// Version is that of every license seen.
const Version = 3

const (
	settingCannotPersist = 0x0001
	signatureCMAC        = 1
	curveP256            = 1
	signatureObjectLen   = headerLen + 4 + 16
	noEnd                = 0xFFFFFFFF
)

var magic = []byte{'X', 'M', 'R', 0}

// License is an XMR license, read.
type License struct {
	RightsID [16]byte
	Outer    *Object // the whole tree
	Raw      []byte

	KID          drm.KID
	KeyType      KeyType
	CipherType   CipherType
	EncryptedKey []byte
	DeviceKey    ecc.PublicKey // it is encrypted for; zero if the license does not say

	CannotPersist bool // it must stay in memory
	SecurityLevel int  // least one of a client; 0 if not stated
	Begin, End    time.Time
	Issued        time.Time
	FirstPlay     time.Duration     // from the start of playback
	Output        *OutputProtection // nil if not stated
	CanPlay       bool

	cmac []byte
}

// OutputProtection are the least levels of protection by kind of output.
type OutputProtection struct {
	CompressedVideo, UncompressedVideo, AnalogVideo, CompressedAudio, UncompressedAudio uint16
}

// Form names the form of the license: "simple", or a form whose key cannot be told because how it works is not public.
func (l *License) Form() string {
	switch {
	case l.Outer.Find(TypeAuxiliaryKeys) != nil, l.Outer.Find(TypeUplinkX) != nil, l.CipherType == CipherScalableRoot, l.CipherType == CipherScalableLeaf:
		return "scalable"
	case l.Outer.Find(TypeUplinkKID) != nil, l.Outer.Find(TypeUplinkKID2) != nil, l.CipherType == CipherChained:
		return "chained"
	case l.CipherType == CipherECC256:
		return "simple"
	}
	return fmt.Sprintf("cipher type %d", l.CipherType)
}

// Parse reads a license strictly: every length is exact, one outer container fills the license, and the objects that a client
// cannot do without are there once. Errors name the path to the object. It verifies no integrity, see [License.Verify].
func Parse(b []byte) (*License, error) {
	l, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("xmr: %w", err)
	}
	return l, nil
}

func parse(b []byte) (*License, error) {
	switch {
	case len(b) > MaxLen:
		return nil, fmt.Errorf("%d bytes, at most %d are read", len(b), MaxLen)
	case len(b) < preludeLen:
		return nil, fmt.Errorf("%d bytes, a license has %d before its outer container", len(b), preludeLen)
	case !bytes.Equal(b[:4], magic):
		return nil, errMagic
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != Version {
		return nil, fmt.Errorf("version %d, want %d", v, Version)
	}
	b = bytes.Clone(b)
	l := &License{RightsID: [16]byte(b[8:24]), Raw: b}
	var end int
	var err error
	if l.Outer, end, err = (&parser{buf: b}).object("", preludeLen, len(b), 1); err != nil {
		return nil, err
	}
	switch {
	case l.Outer.Type != TypeOuter || l.Outer.Flags&FlagContainer == 0:
		return nil, fmt.Errorf("%s at byte %d, want the outer container", l.Outer.Type, preludeLen)
	case end != len(b):
		return nil, fmt.Errorf("%d bytes follow the outer container", len(b)-end)
	}
	return l, l.read(l.Outer, "outer container", map[Type]bool{})
}

// once are objects that stand at most once.
var once = map[Type]bool{
	TypeGlobalPolicy: true, TypePlayback: true, TypeKeyMaterial: true, TypeContentKey: true, TypeSignature: true, TypeSettings: true,
	TypeExpiration: true, TypeDeviceKey: true, TypeSecurityLevel: true, TypeOutput: true, TypeFirstPlay: true,
}

// read takes the objects that this package knows into the license's fields.
func (l *License) read(container *Object, path string, seen map[Type]bool) error {
	for _, o := range container.Children {
		here := path + "/" + o.Type.String()
		if once[o.Type] && seen[o.Type] {
			return fmt.Errorf("%s at byte %d: stands twice", here, o.Offset)
		}
		seen[o.Type] = true
		if _, known := names[o.Type]; !known && o.Flags&FlagMustUnderstand != 0 {
			return fmt.Errorf("%s at byte %d: must be understood, and is not known", here, o.Offset)
		}
		if o.Flags&FlagContainer != 0 {
			if err := l.read(o, here, seen); err != nil {
				return err
			}
			l.CanPlay = l.CanPlay || o.Type == TypePlayback
			continue
		}
		if err := l.readLeaf(o); err != nil {
			return fmt.Errorf("%s at byte %d: %w", here, o.Offset, err)
		}
	}
	if container != l.Outer {
		return nil
	}
	switch {
	case !seen[TypeContentKey]:
		return errors.New("outer container: no content key")
	case l.cmac == nil:
		return errors.New("outer container: no signature")
	case l.Outer.Children[len(l.Outer.Children)-1].Type != TypeSignature:
		return errors.New("outer container: the signature is not the last object")
	}
	return nil
}

// bodies are the lengths in bytes of the leaves that have one.
var bodies = map[Type]int{
	TypeOutput: 10, TypeSignature: 20, TypeSettings: 2, TypeExpiration: 8, TypeIssueDate: 4, TypeGracePeriod: 4,
	TypeDeviceKey: 4 + ecc.PublicLen, TypeFirstPlay: 4, TypeRevocation: 4, TypeEmbedding: 2, TypeSecurityLevel: 2,
}

func (l *License) readLeaf(o *Object) error {
	b := o.Body
	if want, fixed := bodies[o.Type]; fixed && len(b) != want {
		return fmt.Errorf("a body of %d bytes, want %d", len(b), want)
	}
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	switch o.Type {
	case TypeContentKey:
		return l.readContentKey(b)
	case TypeSignature:
		if u16(0) != signatureCMAC || u16(2) != 16 {
			return fmt.Errorf("type %d with %d bytes, want type %d with 16", u16(0), u16(2), signatureCMAC)
		}
		l.cmac = b[4:]
	case TypeSettings:
		l.CannotPersist = u16(0)&settingCannotPersist != 0
	case TypeExpiration:
		l.Begin, l.End = moment(u32(0), 0), moment(u32(4), noEnd)
	case TypeIssueDate:
		l.Issued = moment(u32(0), 0)
	case TypeFirstPlay:
		l.FirstPlay = time.Duration(u32(0)) * time.Second
	case TypeSecurityLevel:
		l.SecurityLevel = int(u16(0))
	case TypeOutput:
		l.Output = &OutputProtection{u16(0), u16(2), u16(4), u16(6), u16(8)}
	case TypeDeviceKey:
		if u16(0) != curveP256 || u16(2) != ecc.PublicLen {
			return fmt.Errorf("curve %d with %d bytes, want curve %d with %d", u16(0), u16(2), curveP256, ecc.PublicLen)
		}
		var err error
		l.DeviceKey, err = ecc.ParsePublicKey(b[4:])
		return err
	}
	return nil
}

func (l *License) readContentKey(b []byte) error {
	const fixed = 22
	if len(b) < fixed {
		return fmt.Errorf("a body of %d bytes, want %d or more", len(b), fixed)
	}
	l.KID = pssh.KIDOfGUID([16]byte(b[:16]))
	l.KeyType, l.CipherType = KeyType(binary.BigEndian.Uint16(b[16:])), CipherType(binary.BigEndian.Uint16(b[18:]))
	if n := int(binary.BigEndian.Uint16(b[20:])); n != len(b)-fixed {
		return fmt.Errorf("states a key of %d bytes, has %d", n, len(b)-fixed)
	}
	l.EncryptedKey = b[fixed:]
	return nil
}

// moment returns the time of Unix seconds; none is the value that says that there is no bound.
func moment(seconds, none uint32) time.Time {
	if seconds == none {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// Verify reports whether the license's AES-CMAC is that under the integrity key, 16 bytes (sheet playready.md §9.5).
func (l *License) Verify(integrity secret.Bytes) bool {
	tag, err := cmac(integrity, l.Raw[:len(l.Raw)-signatureObjectLen])
	return err == nil && secret.New(tag).Equal(secret.New(l.cmac))
}

func cmac(key secret.Bytes, message []byte) ([]byte, error) {
	if key.Len() != 16 {
		return nil, fmt.Errorf("integrity key has %d bytes, want 16", key.Len())
	}
	p, err := subtle.NewAESCMACPRF(key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("compute CMAC: %w", err)
	}
	return p.ComputePRF(message, 16)
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
