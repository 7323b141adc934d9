package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// repair makes the checksums of header and file fit, so that what is behind them is reached.
func repair(b []byte) []byte {
	b = append([]byte(nil), b...)
	if len(b) < preambleLen {
		return b
	}
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], Version)
	if n := preambleLen + int64(binary.LittleEndian.Uint32(b[12:])); n+4 <= int64(len(b)) {
		binary.LittleEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
	}
	if end := len(b) - sha256.Size - len(endMagic); end > 0 {
		digest := sha256.Sum256(b[:end])
		copy(b[end:], digest[:])
		copy(b[end+sha256.Size:], endMagic)
	}
	return b
}

// FuzzOpen draws all of whatever can be opened: there are no more entries than the file says, and each is whole.
func FuzzOpen(f *testing.F) {
	path, _ := write(f, 5)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, true)
	f.Add(whole[:len(whole)-30], false)
	f.Add([]byte{}, false)
	file := filepath.Join(f.TempDir(), "fuzz.kfc")
	f.Fuzz(func(t *testing.T, b []byte, fits bool) {
		if fits {
			b = repair(b)
		}
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(context.Background(), file)
		if err != nil {
			return
		}
		defer r.Close()
		groups := make([]int, len(r.Header().Groups))
		for i := range groups {
			groups[i] = i
		}
		drawn := int64(0)
		for {
			e, err := r.Draw(groups...)
			if errors.Is(err, ErrSpent) {
				break
			}
			if drawn++; drawn > r.Info().Entries || r.Info().Entries > int64(len(b)) {
				t.Fatalf("%d entries were drawn of %d in %d bytes", drawn, r.Info().Entries, len(b))
			}
			if err == nil && (e.Ask >= len(r.Header().Groups[e.Group].Asks) || e.Message.Kind == "") {
				t.Fatalf("entry %+v", e)
			}
		}
	})
}

// FuzzEntry reads entries whose checksums fit. One that can be read can be written, and reads the same again.
func FuzzEntry(f *testing.F) {
	h := testHeader()
	for i := range int64(4) {
		e := testEntry(i)
		raw, err := appendEntry(nil, e, e.Group)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw[entryHeadLen:])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseEntry(&h, raw)
		if err != nil {
			return
		}
		again, err := appendEntry(nil, e, slices.Index(h.Groups[e.Group].Devices, e.Message.Ticket.Device))
		if err != nil {
			t.Skip(err) // longer than an entry can be
		}
		e2, err := parseEntry(&h, again[entryHeadLen:])
		if err != nil || string(e2.Message.Body) != string(e.Message.Body) || e2.Group != e.Group || e2.Ask != e.Ask || len(e2.Message.KIDs) != len(e.Message.KIDs) {
			t.Fatalf("%+v became %+v, %v", e, e2, err)
		}
	})
}
