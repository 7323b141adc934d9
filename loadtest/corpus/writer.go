package corpus

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"keyflow/drm"
)

// Writer writes a corpus in one stream. Its memory does not grow with the number of entries: the index waits in a file of
// its own. It is not safe for concurrent use.
//
// Until [Writer.Commit] the file has another name, in the same directory, which [Writer.Abort] removes. After an error
// nothing but Abort is of use.
type Writer struct {
	header  Header
	devices []map[drm.Fingerprint]int // by group
	file    *os.File
	index   *spill
	hash    hash.Hash
	out     *bufio.Writer // into file and hash
	at      int64         // bytes written so far
	counts  []int64       // by group
	oldest  time.Time
	newest  time.Time
	entry   []byte
}

// Create begins a corpus that is to be named path. Files that it makes are for their owner only.
func Create(path string, h Header) (*Writer, error) {
	head, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	w := &Writer{header: h, hash: sha256.New(), counts: make([]int64, len(h.Groups))}
	for _, g := range h.Groups {
		of := map[drm.Fingerprint]int{}
		for i, d := range g.Devices {
			of[d] = i
		}
		w.devices = append(w.devices, of)
	}
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if w.file, err = os.CreateTemp(dir, name+".*.partial"); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if w.index, err = newSpill(dir, name+".*.index"); err == nil {
		w.out = bufio.NewWriterSize(io.MultiWriter(w.file, w.hash), 1<<18)
		err = w.write(head)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("corpus: %w", err), w.Abort())
	}
	return w, nil
}

func (w *Writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.at += int64(n)
	return err
}

// Add writes one entry. The message's device must be one of its group's.
func (w *Writer) Add(e Entry) error {
	if e.Group < 0 || e.Group >= len(w.header.Groups) || e.Ask < 0 || e.Ask >= len(w.header.Groups[e.Group].Asks) {
		return fmt.Errorf("corpus entry: the header has no ask %d of group %d", e.Ask, e.Group)
	}
	t := e.Message.Ticket
	device, known := w.devices[e.Group][t.Device]
	if system := w.header.Groups[e.Group].System; !known || t.System != system {
		return fmt.Errorf("corpus entry: group %d is of %s and has not the %s device %s", e.Group, system, t.System, t.Device)
	}
	var err error
	if w.entry, err = appendEntry(w.entry[:0], e, device); err != nil {
		return fmt.Errorf("corpus entry: %w", err)
	}
	if err := w.index.add(e.Group, w.at); err != nil {
		return fmt.Errorf("write corpus: %w", err)
	}
	if err := w.write(w.entry); err != nil {
		return fmt.Errorf("write corpus: %w", err)
	}
	w.counts[e.Group]++
	if w.oldest.IsZero() || t.Minted.Before(w.oldest) {
		w.oldest = t.Minted
	}
	if t.Minted.After(w.newest) {
		w.newest = t.Minted
	}
	return nil
}

// Entries returns how many there are so far.
func (w *Writer) Entries() int64 {
	var n int64
	for _, c := range w.counts {
		n += c
	}
	return n
}

// Commit writes the trailer, makes sure that the disk has everything, and gives the file its name. Without replace a file of
// that name is an error that is [ErrExists]. A corpus without entries is one as well.
func (w *Writer) Commit(path string, replace bool) (Info, error) {
	info := Info{Entries: w.Entries(), ByGroup: slices.Clone(w.counts), Oldest: w.oldest, Newest: w.newest}
	if info.Entries == 0 {
		return info, errors.New("corpus: no entries were written")
	}
	digest, err := w.trailer(info)
	if err != nil {
		return info, fmt.Errorf("write corpus: %w", err)
	}
	info.Digest, info.Bytes = digest, w.at
	err = errors.Join(w.file.Sync(), w.file.Close())
	if err != nil {
		return info, fmt.Errorf("write corpus: %w", err)
	}
	if _, err := os.Lstat(path); err == nil && !replace {
		return info, fmt.Errorf("corpus %s: %w", path, ErrExists)
	}
	if err := os.Rename(w.file.Name(), path); err != nil {
		return info, fmt.Errorf("write corpus: %w", err)
	}
	w.file = nil
	return info, w.Abort()
}

// trailer writes everything after the entries and returns the digest.
func (w *Writer) trailer(info Info) (string, error) {
	start := w.at
	if err := w.write(make([]byte, 4)); err != nil {
		return "", err
	}
	for group := range w.counts {
		if err := w.index.each(group, func(at uint64) error { return w.write(binary.LittleEndian.AppendUint64(nil, at)) }); err != nil {
			return "", err
		}
	}
	var tail []byte
	for _, n := range append(slices.Clone(w.counts), start, info.Entries, nanos(info.Oldest), nanos(info.Newest)) {
		tail = binary.LittleEndian.AppendUint64(tail, uint64(n))
	}
	if err := errors.Join(w.write(tail), w.out.Flush()); err != nil {
		return "", err
	}
	digest := w.hash.Sum(nil)
	err := errors.Join(w.write(digest), w.write([]byte(endMagic)), w.out.Flush())
	return hex.EncodeToString(digest), err
}

// Abort removes what was written under another name than that of the corpus. After Commit it does nothing.
func (w *Writer) Abort() error {
	var errs []error
	if w.file != nil {
		_ = w.file.Close() // it may be closed, and it is not wanted
		errs = append(errs, os.Remove(w.file.Name()))
		w.file = nil
	}
	if w.index != nil {
		errs = append(errs, w.index.remove())
		w.index = nil
	}
	return errors.Join(errs...)
}
