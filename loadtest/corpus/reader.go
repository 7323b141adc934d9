package corpus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Reader draws the entries of a corpus, each once. It is safe for concurrent use. The file must not become shorter while it
// is open.
type Reader struct {
	header *Header
	info   Info
	file   *os.File
	data   data
	first  int64 // offset of the first entry
	end    int64 // offset of the trailer
	starts []int64
	next   []atomic.Int64 // by group: of the entry to be drawn
}

// data gives bytes of a file.
type data interface {
	// slice returns n bytes from an offset, which must be within the file.
	slice(at int64, n int) ([]byte, error)
	close() error
}

// Open opens a corpus and reads all of it once: a file that was cut or altered is refused with an *[Error]. That takes a
// second or two for a gigabyte; the context ends it.
func Open(ctx context.Context, path string) (*Reader, error) { return open(ctx, path, mapped) }

func open(ctx context.Context, path string, bytesOf func(*os.File, int64) (data, error)) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open corpus: %w", err)
	}
	r := &Reader{file: f}
	if err = r.load(ctx, bytesOf); err != nil {
		return nil, errors.Join(fmt.Errorf("corpus %s: %w", path, err), r.Close())
	}
	return r, nil
}

func (r *Reader) load(ctx context.Context, bytesOf func(*os.File, int64) (data, error)) error {
	stat, err := r.file.Stat()
	if err != nil {
		return err
	}
	if !stat.Mode().IsRegular() {
		return &Error{ReasonForeign, "it is no regular file", hintMint}
	}
	r.info.Bytes = stat.Size()
	if err := r.readHeader(); err != nil {
		return err
	}
	if err := r.readTrailer(); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	r.next = make([]atomic.Int64, len(r.header.Groups))
	r.data, err = bytesOf(r.file, r.info.Bytes)
	return err
}

// at reads n bytes from an offset. Less than that is an error.
func (r *Reader) at(offset, n int64) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(r.file, offset, n), b)
	return b, err
}

func (r *Reader) readHeader() error {
	head, err := r.at(0, min(preambleLen, r.info.Bytes))
	if err != nil {
		return err
	}
	length, err := preamble(head)
	if err != nil {
		return err
	}
	r.first = preambleLen + int64(length) + 4
	if r.first > r.info.Bytes {
		return r.cut(0)
	}
	if head, err = r.at(0, r.first); err != nil {
		return err
	}
	r.header, err = parseHeader(head)
	return err
}

// cut says that the file ends without a trailer, after a number of whole entries.
func (r *Reader) cut(whole int64) *Error {
	return &Error{ReasonCut, fmt.Sprintf("the file has no trailer: minting was not finished, or the file was cut, after %d whole entries; they are not used, since nothing says how many there were to be", whole), hintAgain}
}

// readTrailer reads everything after the entries but the index itself, which is read where it is needed.
func (r *Reader) readTrailer() error {
	groups := int64(len(r.header.Groups))
	length := groups*offsetLen + tailLen
	start := r.info.Bytes - length
	if start < r.first+4 {
		return r.unfinished()
	}
	b, err := r.at(start, length)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(b, []byte(endMagic)) {
		return r.unfinished()
	}
	f := &fields{rest: b}
	indexed := uint64(0)
	for range groups {
		n := f.number(offsetLen)
		if n > uint64(start)/offsetLen {
			return altered("the file's trailer is altered: it counts %d entries of a group", n)
		}
		r.starts = append(r.starts, int64(indexed))
		r.info.ByGroup = append(r.info.ByGroup, int64(n))
		indexed += n
	}
	end, entries := f.number(8), f.number(8)
	r.info.Oldest, r.info.Newest = instant(int64(f.number(8))), instant(int64(f.number(8)))
	r.info.Digest = hex.EncodeToString(f.take(sha256.Size))
	switch {
	case entries != indexed:
		return altered("the file's trailer is altered: it counts %d entries and has an index of %d", entries, indexed)
	case end < uint64(r.first) || end > uint64(start)-4 || uint64(start)-4-end != indexed*offsetLen:
		return altered("the file's trailer is altered, or bytes are missing from its middle: an index of %d entries does not fit", indexed)
	case entries == 0:
		return &Error{ReasonEmpty, "the corpus holds no entries", hintMint}
	}
	r.info.Entries, r.end = int64(entries), int64(end)
	return nil
}

// unfinished tells of a file without a trailer how many entries it has.
func (r *Reader) unfinished() error {
	whole, at, err := r.walk(r.info.Bytes)
	if err != nil {
		return err
	}
	if at.altered {
		return altered("the file has no trailer, and entry %d, at byte %d, is altered", whole+1, at.offset)
	}
	return r.cut(whole)
}

// Header says for whom the corpus was minted. It must not be changed.
func (r *Reader) Header() *Header { return r.header }

// Info tells what is known of the whole corpus.
func (r *Reader) Info() Info { return r.info }

// Left returns how many entries of some groups can still be drawn.
func (r *Reader) Left(groups ...int) int64 {
	var n int64
	for _, g := range groups {
		n += max(0, r.info.ByGroup[g]-r.next[g].Load())
	}
	return n
}

// Draw returns the next entry of the first of the groups that has one left. No entry is ever returned twice. When there is
// none left the error is [ErrSpent]; an *[Error] says that the file was changed since it was opened.
func (r *Reader) Draw(groups ...int) (Entry, error) {
	for _, g := range groups {
		if r.next[g].Load() >= r.info.ByGroup[g] {
			continue
		}
		if n := r.next[g].Add(1) - 1; n < r.info.ByGroup[g] {
			return r.entry(g, n)
		}
	}
	return Entry{}, ErrSpent
}

// entry returns entry n of a group.
func (r *Reader) entry(group int, n int64) (Entry, error) {
	offset, err := r.offset(group, n)
	if err != nil {
		return Entry{}, err
	}
	head, err := r.data.slice(offset, entryHeadLen)
	if err != nil {
		return Entry{}, fmt.Errorf("read corpus: %w", err)
	}
	length := int64(binary.LittleEndian.Uint32(head))
	if length < 1 || length > MaxEntry || length > r.end-offset-entryHeadLen {
		return Entry{}, altered("the entry at byte %d is altered: it claims to have %d bytes", offset, length)
	}
	raw, err := r.data.slice(offset+entryHeadLen, int(length))
	if err != nil {
		return Entry{}, fmt.Errorf("read corpus: %w", err)
	}
	if sum(head[:4], raw) != binary.LittleEndian.Uint32(head[4:]) {
		return Entry{}, altered("the entry at byte %d is altered: its checksum does not fit", offset)
	}
	e, err := parseEntry(r.header, raw)
	switch {
	case err != nil:
		return Entry{}, altered("the entry at byte %d cannot be read: %v", offset, err)
	case e.Group != group:
		return Entry{}, altered("the entry at byte %d is of group %d, the index has it in group %d", offset, e.Group, group)
	}
	return e, nil
}

// offset returns where entry n of a group is. Offsets ascend, so that no entry stands in the index twice.
func (r *Reader) offset(group int, n int64) (int64, error) {
	back := min(n, 1) // whether there is one before
	at := r.end + 4 + (r.starts[group]+n-back)*offsetLen
	b, err := r.data.slice(at, int(1+back)*offsetLen)
	if err != nil {
		return 0, fmt.Errorf("read corpus: %w", err)
	}
	before, offset := uint64(0), binary.LittleEndian.Uint64(b[back*offsetLen:])
	if back > 0 {
		before = binary.LittleEndian.Uint64(b)
	}
	if offset <= before || offset < uint64(r.first) || offset > uint64(r.end)-entryHeadLen {
		return 0, altered("the index is altered: entry %d of group %d cannot be at byte %d", n, group, offset)
	}
	return int64(offset), nil
}

// Close closes the file. Bodies that were drawn must not be used any more.
func (r *Reader) Close() error {
	err := r.file.Close()
	if r.data != nil {
		err = errors.Join(r.data.close(), err)
	}
	return err
}
