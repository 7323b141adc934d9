package corpus

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
)

// verify compares the file with its digest. If it differs, the error says where.
func (r *Reader) verify(ctx context.Context) error {
	hash, buffer := sha256.New(), make([]byte, 1<<20)
	in := io.NewSectionReader(r.file, 0, r.info.Bytes-sha256.Size-int64(len(endMagic)))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := in.Read(buffer)
		hash.Write(buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if hex.EncodeToString(hash.Sum(nil)) == r.info.Digest {
		return nil
	}
	whole, at, err := r.walk(r.end)
	switch {
	case err != nil:
		return err
	case at.altered || whole < r.info.Entries:
		return altered("entry %d, at byte %d, is altered: its checksum does not fit", whole+1, at.offset)
	}
	return altered("the file's index or trailer is altered: the checksum over the whole file does not fit")
}

// place is where a walk ended.
type place struct {
	offset  int64
	altered bool // by an entry that does not fit, not by the end of the file
}

// walk goes through the entries in the order of the file, up to the first that is not whole, to a zero length, or to an
// end. It returns how many were whole.
func (r *Reader) walk(end int64) (whole int64, at place, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(r.file, r.first, end-r.first), 1<<18)
	at.offset = r.first
	var raw []byte
	for {
		var head [entryHeadLen]byte
		_, err := io.ReadFull(in, head[:])
		length := binary.LittleEndian.Uint32(head[:])
		switch {
		case ended(err):
			return whole, at, nil
		case err != nil:
			return whole, at, err
		case length == 0:
			return whole, at, nil
		case length > MaxEntry:
			at.altered = true
			return whole, at, nil
		}
		raw = append(raw[:0], make([]byte, length)...)
		switch _, err := io.ReadFull(in, raw); {
		case ended(err):
			return whole, at, nil
		case err != nil:
			return whole, at, err
		case sum(head[:4], raw) != binary.LittleEndian.Uint32(head[4:]):
			at.altered = true
			return whole, at, nil
		}
		whole++
		at.offset += entryHeadLen + int64(length)
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
