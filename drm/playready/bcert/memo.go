package bcert

import (
	"crypto/sha256"
	"sync"
)

// maxMemo is how many signatures a memo holds before it forgets them all.
const maxMemo = 4096

// Memo remembers which certificates' signatures verified, by a digest of all that goes into the verification, so that a
// server that sees the same devices again spares the arithmetic. Everything else is checked every time. Only certificates
// under a trusted root get in, so strangers cannot fill it. The zero value is ready to use, and a nil one remembers nothing;
// both are safe for concurrent use.
type Memo struct {
	mu    sync.RWMutex
	known map[[sha256.Size]byte]struct{}
}

// key returns the digest of issuer key, signature and signed bytes; the first two have a fixed length.
func (m *Memo) key(c *Certificate) (sum [sha256.Size]byte) {
	if m == nil {
		return sum
	}
	h := sha256.New()
	h.Write(c.Issuer[:])
	h.Write(c.Signature)
	h.Write(c.Raw[:c.SignedLen])
	h.Sum(sum[:0])
	return sum
}

func (m *Memo) has(sum [sha256.Size]byte) bool {
	if m == nil {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.known[sum]
	return ok
}

func (m *Memo) add(sum [sha256.Size]byte) {
	if m == nil || m.has(sum) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMemo {
		m.known = map[[sha256.Size]byte]struct{}{}
	}
	m.known[sum] = struct{}{}
}
