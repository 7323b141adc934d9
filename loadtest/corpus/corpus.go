// Package corpus holds key requests that were minted ahead of a load run, with what is needed to send them and to judge
// their answers in another process: a file that is written in one stream, checked when it is opened, mapped rather than
// loaded, and of which each entry is drawn once.
//
// No secret is in it. A request is signed and its client identification may be encrypted, but tokens are not of it: the
// lease of an entry is taken when it is drawn. Who mints must refuse what would sign a token into the request.
//
// # Format, version 1
//
// Numbers are little-endian. A CRC is CRC-32C (Castagnoli).
//
//	offset  bytes
//	     0  8   "KEYFLOWC"
//	     8  2   version: 1
//	    10  2   0
//	    12  4   H: length of the header, at most [MaxHeader]
//	    16  H   the header: a [Header] as JSON
//	  16+H  4   CRC of all bytes before it
//
// Entries follow, in the order in which they were minted:
//
//	 0  4   L: length of what follows the CRC, from 1 to [MaxEntry]
//	 4  4   CRC of the 4 bytes of L and of what follows
//	 8  1   kind: 1 license, 2 certificate, 3 renewal, 4 release, 5 acknowledgement
//	 9  1   group: index into the header's
//	10  2   ask: index into the header's
//	12  2   device: index into the header's
//	14  8   minted: Unix time in nanoseconds
//	22  8   end of the lease that it was minted with, likewise; 0 for none
//	30  2   number of KIDs that the request asks for
//	    16  of each: KID, big-endian
//	     2  length of the URL hint
//	        URL hint
//	     2  number of header hints: pairs of name and value
//	        of each: 2 bytes length and name, 2 bytes length and value
//	        the body, up to L
//
// The trailer ends the file:
//
//	 4  0: a length that no entry has
//	 8  of each entry of the first group: its offset in the file, ascending; then those of the second group, and so on
//	 8  of each group: the number of its entries
//	 8  offset of the trailer
//	 8  number of entries
//	 8  when the oldest entry was minted: Unix time in nanoseconds
//	 8  when the newest was
//	32  SHA-256 of all bytes before it: the corpus's digest
//	 8  "CWOLFYEK"
//
// A file without a trailer was not finished, or cut. It is refused as a whole, although each entry before the cut could be
// told from its CRC: nothing says how many there were to be, and to mint anew costs minutes.
package corpus

import (
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
)

// Version is the version of the format that this package writes and reads.
const Version = 1

// The bounds of a corpus.
const (
	MaxHeader  = 4 << 20 // bytes
	MaxEntry   = 1 << 20 // bytes
	MaxGroups  = 1 << 8
	MaxAsks    = 1 << 16 // of a group
	MaxDevices = 1 << 16 // of a group
)

const (
	magic    = "KEYFLOWC"
	endMagic = "CWOLFYEK"

	preambleLen  = 16
	entryHeadLen = 8            // length and CRC
	tailLen      = 4*8 + 32 + 8 // of the trailer: what follows the counts of the groups
	offsetLen    = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header says for whom a corpus was minted.
type Header struct {
	Tool      string    `json:"tool"` // keyflow's version
	Created   time.Time `json:"created"`
	Authority string    `json:"authority,omitempty"` // fingerprint of the one whose devices made the requests
	Groups    []Group   `json:"groups"`
}

// Group is the part of a corpus that belongs to one profile.
type Group struct {
	Profile string     `json:"profile"`
	System  drm.System `json:"system"`
	Weight  int64      `json:"weight"` // beside those of the other groups
	Asks    []Ask      `json:"asks"`
	// Devices are the fingerprints of those that made the requests, as tickets have them: only who has a device can judge
	// the answers to its requests in full.
	Devices []drm.Fingerprint `json:"devices"`
}

// Ask is what the requests of a session ask for, and what a lease for them is wanted for. Content keys are not of it.
type Ask struct {
	Asset     string             `json:"asset"`
	KIDs      []drm.KID          `json:"kids"`          // that are wanted
	Box       []byte             `json:"box,omitempty"` // the whole pssh box
	ContentID []byte             `json:"content_id,omitempty"`
	Labels    map[drm.KID]string `json:"labels,omitempty"` // of tracks
}

// AskOf returns what of a need goes into a corpus.
func AskOf(n provider.Need) Ask {
	return Ask{Asset: n.Asset, KIDs: n.KIDs, Box: n.Box.Raw, ContentID: n.ContentID, Labels: n.Labels}
}

// Need returns the need without content keys. The error says that the box cannot be read.
func (a Ask) Need() (provider.Need, error) {
	n := provider.Need{Asset: a.Asset, KIDs: a.KIDs, ContentID: a.ContentID, Labels: a.Labels}
	if len(a.Box) == 0 {
		return n, nil
	}
	boxes, _, err := pssh.Parse(a.Box, pssh.Lenient)
	if err != nil {
		return n, fmt.Errorf("asset %s: %w", a.Asset, err)
	}
	if len(boxes) != 1 {
		return n, fmt.Errorf("asset %s: expected one pssh box, seen %d", a.Asset, len(boxes))
	}
	n.Box = boxes[0]
	return n, nil
}

// Entry is one key request of a corpus. Group is an index into the header's, Ask one into the group's.
type Entry struct {
	// Message has no id. The body that a [Reader] returns is a slice of the file: it must not be changed, and not be used
	// after the reader was closed.
	Message drm.Message
	Group   int
	Ask     int
}

// Info is what is known of a whole corpus.
type Info struct {
	Digest         string    `json:"digest"` // SHA-256, hexadecimal
	Entries        int64     `json:"entries"`
	ByGroup        []int64   `json:"-"` // in the order of the header
	Bytes          int64     `json:"bytes"`
	Oldest, Newest time.Time `json:"-"` // when they were minted
}

// Reason names in a stable form why a file is refused.
type Reason string

// The reasons.
const (
	ReasonEmpty   Reason = "empty"      // no byte, or no entry
	ReasonForeign Reason = "no-corpus"  // another kind of file
	ReasonVersion Reason = "version"    // of the format
	ReasonCut     Reason = "no-trailer" // minting was not finished, or the file was cut
	ReasonAltered Reason = "altered"    // a checksum or an index does not fit
)

// Error says why a file is no corpus to be used.
type Error struct {
	Reason  Reason
	Problem string // in words, for a user
	Hint    string // what to do about it
}

// Error returns the problem.
func (e *Error) Error() string { return e.Problem }

// The hints of errors.
const (
	hintMint  = "keyflow mint --out FILE writes a corpus"
	hintAgain = "mint it again, or copy it again from where it was minted"
)

func altered(format string, args ...any) *Error {
	return &Error{ReasonAltered, fmt.Sprintf(format, args...), hintAgain}
}

// ErrSpent says that every entry that may be drawn has been.
var ErrSpent = errors.New("every entry of the corpus has been drawn")

// ErrExists says that there is a file of the name that a corpus is to have.
var ErrExists = errors.New("the file is there already")
