package fakes

import (
	"slices"
	"sync"
	"time"

	"keyflow/drm"
)

// maxHistory bounds the records that a server keeps, about 5 MB; the counts go on beyond it.
const maxHistory = 10_000

// Outcome is what became of one request.
type Outcome string

// The outcomes. Every request that was read ends in exactly one of them.
const (
	Answered Outcome = "answered" // a protocol answer was sent with status 200, or leave to a preflight with 204, be it spoilt by a fault
	Refused  Outcome = "refused"  // a status of 400 or above was sent, or 200 by a fault of PlayReady or a provider's way
	Broken   Outcome = "broken"   // a fault put something else than an answer in its place
)

// Record is what a server remembers of one request. It holds no secret: no key, no token, no header and no body.
type Record struct {
	N            uint64          `json:"n"`                      // from 1, in the order of arrival
	Time         time.Time       `json:"time"`                   // of arrival, by the server's clock
	Elapsed      time.Duration   `json:"elapsed_ns"`             // from arrival to just before the answer is sent
	Method       string          `json:"method"`                 // as sent, at most 16 characters
	System       drm.System      `json:"system,omitempty"`       // "" where the path is of none
	Operation    drm.Kind        `json:"operation,omitempty"`    // "" where the request doesn't say
	Request      drm.Fingerprint `json:"request,omitempty"`      // of the body
	RequestBytes int             `json:"request_bytes"`          // of the body, as far as it was read
	RequestID    string          `json:"request_id,omitempty"`   // PlayReady: the nonce; lower-case hexadecimal, of the first 64 bytes
	Device       drm.Fingerprint `json:"device,omitempty"`       // of the device certificate, once its chain is verified
	KIDs         []drm.KID       `json:"kids,omitempty"`         // asked for
	Granted      []drm.KID       `json:"granted,omitempty"`      // the license's KIDs, before any fault
	Status       int             `json:"status,omitempty"`       // 0 where no HTTP answer was made
	AnswerBytes  int             `json:"answer_bytes,omitempty"` // of the body as planned
	Outcome      Outcome         `json:"outcome"`
	Reason       drm.Reason      `json:"reason,omitempty"` // of a refusal
	Faults       []string        `json:"faults,omitempty"` // that acted on this request
}

// Count counts requests by outcome. Received less the other three are still in work.
type Count struct {
	Received uint64 `json:"received"`
	Answered uint64 `json:"answered"`
	Refused  uint64 `json:"refused"`
	Broken   uint64 `json:"broken"`
}

// InWork returns the requests that have no outcome yet.
func (c Count) InWork() uint64 { return c.Received - c.Answered - c.Refused - c.Broken }

func (c *Count) add(o Outcome) {
	switch o {
	case Answered:
		c.Answered++
	case Refused:
		c.Refused++
	case Broken:
		c.Broken++
	}
}

// history keeps the last records and exact counts of all requests. It is safe for concurrent use.
type history struct {
	mu      sync.Mutex
	size    int
	records []Record // a ring once it is full
	next    int      // where the next record goes in a full ring
	total   Count
	byKind  map[drm.Kind]Count
}

func newHistory(size int) *history {
	return &history{size: size, byKind: make(map[drm.Kind]Count)}
}

// arrive counts a request and returns its number.
func (h *history) arrive() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total.Received++
	return h.total.Received
}

// add keeps a finished request. It must be called before the answer's first byte is sent, so that a client that has an
// answer finds it counted.
func (h *history) add(r Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total.add(r.Outcome)
	kind := h.byKind[r.Operation]
	kind.Received++
	kind.add(r.Outcome)
	h.byKind[r.Operation] = kind
	if len(h.records) < h.size {
		h.records = append(h.records, r)
		return
	}
	h.records[h.next] = r
	h.next = (h.next + 1) % h.size
}

// since returns the kept records whose number is above n, in the order of arrival.
func (h *history) since(n uint64) []Record {
	h.mu.Lock()
	kept := slices.DeleteFunc(slices.Clone(h.records), func(r Record) bool { return r.N <= n })
	h.mu.Unlock()
	slices.SortFunc(kept, func(a, b Record) int {
		if a.N < b.N {
			return -1
		}
		return 1
	})
	return kept
}

// counts returns the totals, and those of finished requests by operation.
func (h *history) counts() (Count, map[drm.Kind]Count) {
	h.mu.Lock()
	defer h.mu.Unlock()
	byKind := make(map[drm.Kind]Count, len(h.byKind))
	for k, c := range h.byKind {
		byKind[k] = c
	}
	return h.total, byKind
}
