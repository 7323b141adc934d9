package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Fresh is a key request that was never sent, and the lease that it is sent with; nil is one without limits.
type Fresh struct {
	Message drm.Message
	Lease   *provider.Lease
}

// Source mints one fresh key request. It is called by several workers at once and must obey its context.
type Source func(ctx context.Context) (Fresh, error)

// MintError says that the source had no key request to give. It is the harness's own error, not the server's.
type MintError struct {
	Number int64 // of the request within the run, from 0, in minting order
	Err    error
}

// Error names the request.
func (e *MintError) Error() string { return fmt.Sprintf("mint key request %d: %v", e.Number, e.Err) }

// Unwrap returns the source's error.
func (e *MintError) Unwrap() error { return e.Err }

// minter mints the plan's requests ahead of the attack into a bounded ring, each exactly once.
type minter struct {
	source  Source
	profile *provider.Profile
	clock   drm.Clock
	total   int64
	halt    *halt

	ring    chan *flight
	next    atomic.Int64
	minted  atomic.Int64
	starved atomic.Int64 // flights that were not there when they were due
	workers sync.WaitGroup

	first chan *url.URL // of the first request minted
	ahead chan struct{} // closed when the ring has been full, or everything is minted

	once sync.Once
	err  *MintError // set before the halt
}

func newMinter(c Config, total int64, h *halt) *minter {
	m := &minter{
		source: c.Source, profile: c.Profile, clock: c.Clock, total: total, halt: h,
		ring: make(chan *flight, c.MintAhead), first: make(chan *url.URL, 1), ahead: make(chan struct{}),
	}
	if total == 0 { // the slice of a plan that has fewer requests than slices
		close(m.ahead)
	}
	return m
}

// start launches n workers. They end when everything is minted or the run is halted; wait for them with workers.Wait.
func (m *minter) start(n int) {
	for range n {
		m.workers.Go(func() { m.work(m.halt.soft) })
	}
}

func (m *minter) work(ctx context.Context) {
	for ctx.Err() == nil {
		n := m.next.Add(1) - 1
		if n >= m.total {
			return
		}
		f, err := m.mint(ctx, n)
		if err != nil {
			m.fail(n, err)
			return
		}
		select {
		case m.ring <- f:
		case <-ctx.Done():
			return
		}
		if m.minted.Add(1) == min(int64(cap(m.ring)), m.total) {
			close(m.ahead)
		}
	}
}

// mint makes one flight. The request is built here as well: building may sign a token, which is not the sender's work.
func (m *minter) mint(ctx context.Context, n int64) (*flight, error) {
	fresh, err := m.source(ctx)
	if err != nil {
		return nil, err
	}
	request := m.profile.Build(fresh.Lease, fresh.Message, provider.At{Now: m.clock.Now(), Seq: uint64(n)})
	u, err := url.Parse(request.URL)
	if err != nil {
		return nil, fmt.Errorf("license URL: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("license URL %q is not an absolute http or https URL", u.Redacted())
	}
	if u.User != nil {
		return nil, fmt.Errorf("license URL %q carries credentials; they belong in a header", u.Redacted())
	}
	select {
	case m.first <- u:
	default:
	}
	return &flight{message: fresh.Message, lease: fresh.Lease, request: request, number: n}, nil
}

// target returns the URL of the first request, nil if there will be none. It is called once.
func (m *minter) target() *url.URL {
	if m.total == 0 {
		return nil
	}
	select {
	case u := <-m.first:
		return u
	case <-m.halt.soft.Done():
		return nil
	}
}

// fail halts the run for the first error that is not the halt's own doing.
func (m *minter) fail(n int64, err error) {
	if m.halt.halted() {
		return
	}
	m.once.Do(func() {
		m.err = &MintError{n, err}
		m.halt.stop(NotSentMint)
	})
}

// take returns the next flight, waiting for it if minting has not kept up. It returns nil when the run is halted.
func (m *minter) take() *flight {
	if m.halt.halted() {
		return nil
	}
	select {
	case f := <-m.ring:
		return m.use(f)
	default:
	}
	m.starved.Add(1)
	select {
	case f := <-m.ring:
		return m.use(f)
	case <-m.halt.soft.Done():
		return nil
	}
}

// use counts the use of the flight's lease. A flight whose lease has expired while it waited is minted anew: to send it
// would blame the server for the wait.
func (m *minter) use(f *flight) *flight {
	err := f.lease.Use(f.message.Kind)
	var stale *provider.LeaseError
	if errors.As(err, &stale) && stale.Class == provider.ErrorAuthExpired {
		m.starved.Add(1)
		number := f.number
		if f, err = m.mint(m.halt.soft, number); err == nil {
			err = f.lease.Use(f.message.Kind)
		}
		if err != nil {
			m.fail(number, err)
			return nil
		}
	}
	if err != nil {
		m.fail(f.number, err)
		return nil
	}
	return f
}
