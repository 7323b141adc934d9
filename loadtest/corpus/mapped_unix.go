//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package corpus

import (
	"fmt"
	"math"
	"os"
	"syscall"
)

// mapping is a file in memory: the system reads what is drawn, and drops it again when it needs the room.
type mapping []byte

func mapped(f *os.File, size int64) (data, error) {
	if size > math.MaxInt {
		return copied(f, size)
	}
	b, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	return mapping(b), nil
}

func (m mapping) slice(at int64, n int) ([]byte, error) {
	return m[at : at+int64(n) : at+int64(n)], nil
}

func (m mapping) close() error { return syscall.Munmap(m) }
