package fakes

import (
	"net/http"
	"sync"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// maxTransactions bounds the transaction ids that are kept, some 100 bytes each: the oldest one goes first.
const maxTransactions = 4096

// transactions are the ids that responses had and that were not acknowledged yet. The zero value is ready to use. It is safe for
// concurrent use.
type transactions struct {
	mu   sync.Mutex
	open map[string]bool
	ring []string // of all ids that were handed out last, acknowledged or not
	next int      // where the next id goes in a full ring
}

// newTransaction returns a fresh id, a GUID in lower case with hyphens.
func newTransaction() string { return drm.KID(random(len(drm.KID{}))).String() }

// add makes an id known, "" none. One that is handed out again can be acknowledged again.
func (t *transactions) add(id string) {
	if id == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[string]bool)
	}
	if len(t.ring) < maxTransactions {
		t.ring = append(t.ring, id)
	} else {
		delete(t.open, t.ring[t.next])
		t.ring[t.next] = id
		t.next = (t.next + 1) % maxTransactions
	}
	t.open[id] = true
}

// take reports whether the id was handed out and not taken since.
func (t *transactions) take(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.open[id]
	delete(t.open, id)
	return known
}

// acknowledge answers an acknowledgement (sheet playready.md §8.3). Each transaction is acknowledged once.
func (x *exchange) acknowledge() (answer, *refusal) {
	id := x.challenge.transaction
	if id == "" {
		return answer{}, x.fault(reasonMalformed, soap.CodeInvalidMessage, "the acknowledgement cannot be read")
	}
	if !x.server.transactions.take(id) && !x.acts(faultPRTransactionAny) {
		return answer{}, x.fault(reasonTransaction, soap.CodeUnknownTransactionID, "no response awaits this acknowledgement")
	}
	return answer{status: http.StatusOK, contentType: soap.ContentType, body: soap.AcknowledgementResponseBody(id)}, nil
}
