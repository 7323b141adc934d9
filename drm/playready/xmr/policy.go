package xmr

import (
	"encoding/binary"
	"time"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

const (
	settingCannotPersist = 0x0001
	noEnd                = 0xFFFFFFFF
)

// Policy is what a license allows and demands (sheet playready.md §9.2). What a license does not state is zero, or nil where
// zero is a statement; [License.States] tells what is stated as zero from what is not stated.
type Policy struct {
	CanPlay       bool   // the license has the right to play
	CannotPersist bool   // it must stay in memory
	Settings      uint16 // all bits, CannotPersist among them
	SecurityLevel int    // least one of a client: 150, 2000, 3000

	Begin, End         time.Time // zero: no bound
	Issued             time.Time
	FirstPlay          time.Duration // until the end, from the start of playback
	GracePeriod        time.Duration
	RemovalDate        time.Time
	RealTimeExpiration bool // it ends during playback too

	Output                                  *OutputProtection
	AnalogVideo, DigitalAudio, DigitalVideo []Item // explicit demands on outputs
	PlayEnablers                            []GUID

	CopyEnablers []GUID
	MoveEnabler  *uint32
	CopyCount    *uint32

	Revocation uint32 // version of the revocation information that the client must have
	Embedding  uint16 // behavior
	SourceID   *uint32
	Domain     *Domain
	MeteringID []byte // 16 bytes
	SecureStop []byte // 16 bytes, a metering id
	Metadata   []Item
}

// OutputProtection are the least levels of protection by kind of output.
type OutputProtection struct {
	CompressedVideo, UncompressedVideo, AnalogVideo, CompressedAudio, UncompressedAudio uint16
}

// Item is a GUID with data whose layout depends on it: an explicit demand on outputs, or policy metadata.
type Item struct {
	ID   GUID
	Data []byte
}

// Domain names the domain of devices that a license is for.
type Domain struct {
	Account  [16]byte
	Revision uint32
}

// GUID is a GUID in big-endian order, that of its text. In a license it stands in GUID order, which the sheet presumes
// (playready.md §9.2).
type GUID [16]byte

// String returns the GUID in lower case with hyphens.
func (g GUID) String() string { return drm.KID(g).String() }

// MarshalText returns [GUID.String].
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// The well-known GUIDs of outputs and play enablers (sheet playready.md §9.2).
var (
	HDCPType1                = GUID{0xAB, 0xB2, 0xC6, 0xF1, 0xE6, 0x63, 0x46, 0x25, 0xA9, 0x45, 0x97, 0x2D, 0x17, 0xB2, 0x31, 0xE7} // digital video
	MaxResolution            = GUID{0x96, 0x45, 0xE8, 0x31, 0xE0, 0x1D, 0x4F, 0xFF, 0x83, 0x42, 0x0A, 0x72, 0x0E, 0x3E, 0x02, 0x8F} // digital video
	SCMS                     = GUID{0x6D, 0x5C, 0xFA, 0x59, 0xC2, 0x50, 0x44, 0x26, 0x93, 0x0E, 0xFA, 0xC7, 0x2C, 0x8F, 0xCF, 0xA6} // digital audio
	AGCColorStripe           = GUID{0xC3, 0xFD, 0x11, 0xC6, 0xF8, 0xB7, 0x4D, 0x20, 0xB0, 0x08, 0x1D, 0xB1, 0x7D, 0x61, 0xF2, 0xDA} // analog video
	CGMSA                    = GUID{0x76, 0x0A, 0xE7, 0x55, 0x68, 0x2A, 0x41, 0xE0, 0xB1, 0xB3, 0xDC, 0xDF, 0x83, 0x6A, 0x73, 0x06} // analog video
	UnknownOutput            = GUID{0x78, 0x66, 0x27, 0xD8, 0xC2, 0xA6, 0x44, 0xBE, 0x8F, 0x88, 0x08, 0xAE, 0x25, 0x5B, 0x01, 0xA7} // play enabler
	ConstrainedUnknownOutput = GUID{0xB6, 0x21, 0xD9, 0x1F, 0xED, 0xCC, 0x40, 0x35, 0x8D, 0x4B, 0xDC, 0x71, 0x76, 0x0D, 0x43, 0xE9} // play enabler
	AirPlay                  = GUID{0x5A, 0xBF, 0x0F, 0x0D, 0xDC, 0x29, 0x4B, 0x82, 0x99, 0x82, 0xFD, 0x8E, 0x57, 0x52, 0x5B, 0xFC} // play enabler
)

// RequireHDCPType1 demands HDCP with content stream type 1 of digital video outputs.
func RequireHDCPType1() Item { return Item{HDCPType1, u32(1)} }

// LimitResolution limits digital video outputs to a resolution in pixels.
func LimitResolution(width, height uint32) Item {
	return Item{MaxResolution, append(u32(height), u32(width)...)}
}

// Resolution returns the limit that [LimitResolution] sets, and false if the item sets none.
func (i Item) Resolution() (width, height uint32, ok bool) {
	if i.ID != MaxResolution || len(i.Data) != 8 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(i.Data[4:]), binary.BigEndian.Uint32(i.Data), true
}

// body is the body of a leaf, whose length has been checked.
type body []byte

func (b body) u16(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }

func (b body) u32(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }

func (b body) number() *uint32 {
	n := b.u32(0)
	return &n
}

func (b body) seconds() time.Duration { return time.Duration(b.u32(0)) * time.Second }

func (b body) guid() GUID { return GUID(pssh.KIDOfGUID([16]byte(b))) }

func (b body) addTo(items *[]Item) { *items = append(*items, Item{b.guid(), b[16:]}) }

// moment returns the time of Unix seconds; none is the value that says that there is none.
func moment(seconds, none uint32) time.Time {
	if seconds == none {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
