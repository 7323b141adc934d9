package corpus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"time"

	"keyflow/drm"
)

// kinds are the numbers of kinds in the file, less one.
var kinds = []drm.Kind{drm.KindLicense, drm.KindCertificate, drm.KindRenewal, drm.KindRelease, drm.KindAcknowledgement}

// appendEntry appends the entry as it stands in the file, with length and CRC.
func appendEntry(b []byte, e Entry, device int) ([]byte, error) {
	kind := slices.Index(kinds, e.Message.Kind)
	if kind < 0 {
		return nil, fmt.Errorf("a message of kind %q has no number", e.Message.Kind)
	}
	start := len(b)
	b = append(b, make([]byte, entryHeadLen)...)
	b = append(b, byte(kind+1), byte(e.Group))
	b = binary.LittleEndian.AppendUint16(b, uint16(e.Ask))
	b = binary.LittleEndian.AppendUint16(b, uint16(device))
	b = binary.LittleEndian.AppendUint64(b, uint64(nanos(e.Message.Ticket.Minted)))
	b = binary.LittleEndian.AppendUint64(b, uint64(nanos(e.Message.Ticket.LeaseExpires)))
	if len(e.Message.KIDs) > math.MaxUint16 || headers(e.Message.Header) > math.MaxUint16 {
		return nil, errors.New("more KIDs or header fields than an entry can have")
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Message.KIDs)))
	for _, k := range e.Message.KIDs {
		b = append(b, k[:]...)
	}
	var err error
	if b, err = appendText(b, e.Message.URL); err != nil {
		return nil, err
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(headers(e.Message.Header)))
	for _, name := range slices.Sorted(maps.Keys(e.Message.Header)) {
		for _, value := range e.Message.Header[name] {
			for _, text := range []string{name, value} {
				if b, err = appendText(b, text); err != nil {
					return nil, err
				}
			}
		}
	}
	b = append(b, e.Message.Body...)
	length := len(b) - start - entryHeadLen
	if length > MaxEntry {
		return nil, fmt.Errorf("a key request of %d bytes is longer than the %d that an entry can have", length, MaxEntry)
	}
	head := b[start:]
	binary.LittleEndian.PutUint32(head, uint32(length))
	binary.LittleEndian.PutUint32(head[4:], sum(head[:4], head[entryHeadLen:]))
	return b, nil
}

// sum is the CRC of an entry's length and of what follows it.
func sum(length, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, rest)
}

func headers(h map[string][]string) int {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n
}

func appendText(b []byte, text string) ([]byte, error) {
	if len(text) > math.MaxUint16 {
		return nil, fmt.Errorf("a hint of %d bytes is longer than an entry can have", len(text))
	}
	return append(binary.LittleEndian.AppendUint16(b, uint16(len(text))), text...), nil
}

// nanos is 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

var errShort = errors.New("it ends within a field")

// fields reads an entry's fields in turn. After the first that does not fit it returns zeros.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) take(n int) []byte {
	if f.err != nil || n > len(f.rest) {
		f.err, f.rest = errShort, nil
		return make([]byte, n)
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) number(bytes int) uint64 {
	var b [8]byte
	copy(b[:], f.take(bytes))
	return binary.LittleEndian.Uint64(b[:])
}

func (f *fields) text() string {
	n := int(f.number(2))
	if f.err != nil || n > len(f.rest) {
		f.err = errShort
		return ""
	}
	return string(f.take(n))
}

// parseEntry reads what follows an entry's CRC. The body is a slice of it.
func parseEntry(h *Header, raw []byte) (Entry, error) {
	f := &fields{rest: raw}
	kind, group, ask, device := int(f.number(1)), int(f.number(1)), int(f.number(2)), int(f.number(2))
	minted, expires := int64(f.number(8)), int64(f.number(8))
	kids := int(f.number(2))
	switch {
	case f.err != nil:
		return Entry{}, f.err
	case kind < 1 || kind > len(kinds):
		return Entry{}, fmt.Errorf("it has the unknown kind %d", kind)
	case group >= len(h.Groups):
		return Entry{}, fmt.Errorf("it is of group %d, and the header has %d", group, len(h.Groups))
	case ask >= len(h.Groups[group].Asks) || device >= len(h.Groups[group].Devices):
		return Entry{}, fmt.Errorf("it is of ask %d and device %d, and its group has %d and %d", ask, device, len(h.Groups[group].Asks), len(h.Groups[group].Devices))
	case kids*len(drm.KID{}) > len(f.rest):
		return Entry{}, errShort
	}
	m := drm.Message{Kind: kinds[kind-1]}
	for range kids {
		m.KIDs = append(m.KIDs, drm.KID(f.take(len(drm.KID{}))))
	}
	m.URL = f.text()
	for range f.number(2) {
		name, value := f.text(), f.text()
		if f.err != nil {
			break
		}
		if m.Header == nil {
			m.Header = map[string][]string{}
		}
		m.Header[name] = append(m.Header[name], value)
	}
	if f.err != nil {
		return Entry{}, f.err
	}
	m.Body = f.rest
	g := h.Groups[group]
	m.Ticket = drm.Ticket{
		System: g.System, Kind: m.Kind, Device: g.Devices[device], Minted: instant(minted), LeaseExpires: instant(expires), KIDs: m.KIDs,
	}
	return Entry{Message: m, Group: group, Ask: ask}, nil
}
