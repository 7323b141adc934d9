package suites

import (
	"fmt"
	"sync"

	"keyflow/drm/provider"
)

// patienceLimit is how many timeouts in a row end the patience with a server.
const patienceLimit = 3

// Patience keeps a run against a server that never answers from taking the number of checks times the timeout: after
// three timeouts in a row nothing more is sent, and every further request ends at once with the timeout seen. It is safe
// for concurrent use; a nil Patience has no end.
type Patience struct {
	mu   sync.Mutex
	row  int
	last *provider.TransportError
}

// note counts an exchange that ended with err, nil for a whole answer.
func (p *Patience) note(err *provider.TransportError) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || err.Reason != provider.ReasonTimeout {
		p.row = 0
		return
	}
	p.row++
	p.last = err
}

// spent returns the error to end a request with that is not worth sending, nil if it is.
func (p *Patience) spent() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.row < patienceLimit {
		return nil
	}
	gaveUp := *p.last
	gaveUp.Seen = fmt.Sprintf("%s, %d times in a row; nothing more was sent", p.last.Seen, p.row)
	return &gaveUp
}
