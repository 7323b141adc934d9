package fakes

import (
	"crypto/sha256"
	"slices"
	"sync"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Bounds of the sessions that are kept, some 400 bytes each: the oldest goes first. Of licenses that can't be renewed a few are
// kept, so that a client that tries is told what is wrong.
const (
	maxSessions      = 100_000
	maxFinalSessions = 1_000
)

// sessionID is a session_id as this server makes it.
type sessionID [sessionIDLen]byte

// session is what the server keeps of a Widevine license to renew or release it (sheet widevine.md §10).
type session struct {
	requestID [sha256.Size]byte // digest of the license's: a client chooses its length
	keys      sessionKeys
	kind      wire.LicenseType
	policy    drm.Policy
	start     int64   // Unix seconds, of the first license
	kid       drm.KID // the first granted
	version   int32   // of the last answer
	from      uint16  // the client's port
	released  bool
}

// sessionKeys are keys that a license leaves in force, one after the other: the server's and the client's MAC key, the derived
// MAC key of the server and the derived encryption key.
type sessionKeys struct{ all secret.Bytes }

// macLen is the length in bytes of each MAC key.
const macLen = 32

// newSessionKeys takes the SIGNING key's halves, the server's first, in the place of the derived keys; an empty one leaves these.
func newSessionKeys(derived ladder.Keys, signing secret.Bytes) sessionKeys {
	inForce := signing.Reveal()
	if signing.IsZero() {
		inForce = slices.Concat(derived.Server.Reveal(), derived.Client.Reveal())
	}
	return sessionKeys{secret.New(slices.Concat(inForce, derived.Server.Reveal(), derived.Encryption.Reveal()))}
}

func (k sessionKeys) part(from, to int) secret.Bytes { return secret.New(k.all.Reveal()[from:to]) }
func (k sessionKeys) server() secret.Bytes           { return k.part(0, macLen) }
func (k sessionKeys) client() secret.Bytes           { return k.part(macLen, 2*macLen) }
func (k sessionKeys) derivedServer() secret.Bytes    { return k.part(2*macLen, 3*macLen) }
func (k sessionKeys) encryption() secret.Bytes       { return k.part(3*macLen, 3*macLen+contentKeyLen) }

// sessions are the last sessions of a server. It is safe for concurrent use.
type sessions struct {
	mu   sync.Mutex
	size int
	open map[sessionID]session
	ring []sessionID
	next int // where the next id goes in a full ring
}

func newSessions(size int) *sessions {
	return &sessions{size: size, open: make(map[sessionID]session)}
}

func (s *sessions) add(id sessionID, kept session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) < s.size {
		s.ring = append(s.ring, id)
	} else {
		delete(s.open, s.ring[s.next])
		s.ring[s.next] = id
		s.next = (s.next + 1) % s.size
	}
	s.open[id] = kept
}

// find returns the session as it is now.
func (s *sessions) find(id []byte) (session, bool) {
	if len(id) != sessionIDLen {
		return session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.open[sessionID(id)]
	return kept, ok
}

// change alters a session that is still kept.
func (s *sessions) change(id []byte, alter func(*session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.open[sessionID(id)]; ok {
		alter(&kept)
		s.open[sessionID(id)] = kept
	}
}

// keep remembers the license that was just made, for its renewals.
func (x *exchange) keep(g *grant) {
	kept := session{
		requestID: sha256.Sum256(g.requestID), keys: newSessionKeys(g.derived, g.signing), kind: g.kind, policy: g.terms, from: x.from,
		start: g.start, kid: x.record.Granted[0], // a fault may have taken the keys themselves away
	}
	to := x.server.finalSessions
	if g.policy.GetCanRenew() {
		to = x.server.sessions
	}
	to.add(sessionID(g.sessionID), kept)
}
