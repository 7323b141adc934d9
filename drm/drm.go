// Package drm holds the words of the client key request workflow: the content's [Box] goes to a [Platform], which opens
// a [Session] and hands out a key request as a [Message]; the license server's answer goes back into the session, which
// takes the content keys out of the [License] and tells what it saw as an [Observation].
//
// The steps between the posts are pure: nothing in this package or below it (but provider leases) speaks to a network,
// so that suites and load differ only in who sends. KIDs are big-endian UUIDs everywhere.
package drm

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyflow/drm/secret"
)

// System is a DRM system that keyflow has a platform for.
type System string

// The systems, as they are spelt in profiles, flags and reports.
const (
	Widevine  System = "widevine"
	PlayReady System = "playready"
)

// Scheme is the four-character code of a common-encryption protection scheme (ISO/IEC 23001-7).
type Scheme string

// The schemes.
const (
	SchemeCENC Scheme = "cenc"
	SchemeCENS Scheme = "cens"
	SchemeCBC1 Scheme = "cbc1"
	SchemeCBCS Scheme = "cbcs"
)

// KID is a key id: a UUID in big-endian (network) byte order.
type KID [16]byte

// ParseKID reads a KID from 32 hexadecimal digits, with or without the hyphens of a UUID, in either case.
func ParseKID(s string) (KID, error) {
	var k KID
	digits := s
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return k, fmt.Errorf("KID %q: hyphens are not where a UUID has them", s)
		}
		digits = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	if len(digits) != 32 {
		return k, fmt.Errorf("KID %q: want 32 hexadecimal digits or a UUID", s)
	}
	if _, err := hex.Decode(k[:], []byte(digits)); err != nil {
		return k, fmt.Errorf("KID %q: %w", s, err)
	}
	return k, nil
}

// KIDFromBytes returns the KID in b, which must be 16 bytes in big-endian order.
func KIDFromBytes(b []byte) (KID, bool) {
	if len(b) != len(KID{}) {
		return KID{}, false
	}
	return KID(b), true
}

// String returns the KID as a lower-case UUID with hyphens.
func (k KID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", k[:4], k[4:6], k[6:8], k[8:10], k[10:])
}

// MarshalText returns [KID.String].
func (k KID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what [ParseKID] reads.
func (k *KID) UnmarshalText(b []byte) error {
	p, err := ParseKID(string(b))
	if err != nil {
		return err
	}
	*k = p
	return nil
}

// IsZero reports whether all bytes are zero.
func (k KID) IsZero() bool { return k == KID{} }

// JoinKIDs returns the KIDs as one comma-separated line, "none" if there are none.
func JoinKIDs(kids []KID) string {
	if len(kids) == 0 {
		return "none"
	}
	texts := make([]string, len(kids))
	for i, k := range kids {
		texts[i] = k.String()
	}
	return strings.Join(texts, ", ")
}

// SystemID is the UUID of a DRM system in a pssh box, in big-endian byte order.
type SystemID [16]byte

// String returns the UUID in lower case with hyphens.
func (id SystemID) String() string { return KID(id).String() }

// MarshalText returns [SystemID.String].
func (id SystemID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Box is one pssh box (ISO/IEC 23001-7, sheet widevine.md §3.1).
type Box struct {
	SystemID SystemID
	Version  uint8 // 0, or 1 with KIDs
	Flags    uint32
	KIDs     []KID  // the KID list of a version 1 box
	Data     []byte // system-specific; may be empty
	Raw      []byte // the whole box as it was found
}

// Fingerprint names a byte string without giving it away, see [secret.Fingerprint].
type Fingerprint = secret.Fingerprint

// Clock tells the time. Everything that reads a time reads it from a Clock.
type Clock interface{ Now() time.Time }

// ClockFunc makes a Clock of a function.
type ClockFunc func() time.Time

// Now calls the function.
func (f ClockFunc) Now() time.Time { return f() }

// SystemClock is the machine's clock.
var SystemClock Clock = ClockFunc(time.Now)

// Sleep waits in real time, or until the context ends; then it returns the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrNoBox is wrapped by errors that say that content has no pssh box for the wanted system.
var ErrNoBox = errors.New("no pssh box for this system")
