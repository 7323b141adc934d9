package suites

import (
	"net/http"
	"sync"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Polite returns a client that keeps the limits that a service's owner has set for license and token requests together:
// it waits before a request that would come too early or be one too many at once, and ends those beyond max_requests with
// a [*provider.LimitError]. A profile without limits gets the client as it is.
func Polite(c *http.Client, l provider.Limits) *http.Client { return NewPoliteness(l).Client(c) }

// NewPoliteness returns the politeness of several clients that keep a service's limits together.
func NewPoliteness(l provider.Limits) *Politeness {
	if l.MaxRPS == 0 && l.MaxInFlight == 0 && l.MaxRequests == 0 {
		return nil
	}
	p := &Politeness{max: l.MaxRequests}
	if l.MaxRPS > 0 {
		p.interval = time.Second / time.Duration(l.MaxRPS)
	}
	if l.MaxInFlight > 0 {
		p.slots = make(chan struct{}, l.MaxInFlight)
	}
	return p
}

// Client returns a client that keeps the limits; that of no limits is the client itself.
func (p *Politeness) Client(c *http.Client) *http.Client {
	if p == nil {
		return c
	}
	polite := *c
	polite.Transport = &politeTransport{p, c.Transport}
	return &polite
}

// Politeness keeps the limits of a service. A request is in flight until its answer's head is there.
type Politeness struct {
	interval time.Duration // 0: any
	max      int           // 0: any number
	slots    chan struct{} // nil: any number at once

	mu   sync.Mutex
	due  time.Time // of the next request
	sent int
}

// politeTransport is a transport that keeps limits.
type politeTransport struct {
	*Politeness
	next http.RoundTripper
}

func (p *politeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.slots != nil {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	wait, err := p.reserve(time.Now())
	if err != nil {
		return nil, err
	}
	if err := drm.Sleep(r.Context(), wait); err != nil {
		return nil, err
	}
	return p.next.RoundTrip(r)
}

// Count counts a request that is not sent by one of the clients. It returns a [*provider.LimitError] if it would be one too
// many.
func (p *Politeness) Count() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count()
}

func (p *Politeness) count() error {
	if p.max > 0 && p.sent >= p.max {
		return &provider.LimitError{Max: p.max}
	}
	p.sent++
	return nil
}

// reserve counts a request and returns how long it has to wait.
func (p *Politeness) reserve(now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.count(); err != nil {
		return 0, err
	}
	due := p.due
	if due.Before(now) {
		due = now
	}
	p.due = due.Add(p.interval)
	return due.Sub(now), nil
}

// CloseIdleConnections closes those of the transport behind it; http.Client looks for this method.
func (p *politeTransport) CloseIdleConnections() {
	if c, ok := p.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
