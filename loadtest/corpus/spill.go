package corpus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// spill keeps the offsets of entries, each with its group, in a file until the trailer is written.
type spill struct {
	file *os.File
	out  *bufio.Writer
}

const spilledLen = 1 + offsetLen

func newSpill(dir, pattern string) (*spill, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return &spill{f, bufio.NewWriterSize(f, 1<<16)}, nil
}

func (s *spill) add(group int, at int64) error {
	var b [spilledLen]byte
	b[0] = byte(group)
	binary.LittleEndian.PutUint64(b[1:], uint64(at))
	_, err := s.out.Write(b[:])
	return err
}

// each calls f with the offsets of a group, in their order.
func (s *spill) each(group int, f func(at uint64) error) error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(s.file, 1<<16)
	for {
		var b [spilledLen]byte
		if _, err := io.ReadFull(in, b[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if int(b[0]) != group {
			continue
		}
		if err := f(binary.LittleEndian.Uint64(b[1:])); err != nil {
			return err
		}
	}
}

func (s *spill) remove() error {
	_ = s.file.Close() // it is not wanted any more
	return os.Remove(s.file.Name())
}
