package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Fresh is a key request, and the lease that it is sent with; nil is one without limits.
type Fresh struct {
	Message drm.Message
	Lease   *provider.Lease
	Settle  Settle // nil: nobody waits for what becomes of it
	// Again gives the same key request another lease, where that of a corpus must not be wasted because a lease expired
	// before it could be used. Nil: another request is minted instead.
	Again Source
}

// Source gives one key request: a fresh one, or one of a corpus or capture. It is called by several workers at once and must obey its context.
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
	shares  []Share
	mix     Mix
	plan    Plan
	planned []int64 // requests of each share
	total   int64
	halt    *halt

	// ring has a place for each flight that may be minted ahead: flight n waits at n modulo its length, so that flights
	// are taken in the order of the plan whatever order they are minted in.
	ring    []chan *flight
	free    []chan struct{} // of each place: whether the flight that had it before has been taken
	turn    sync.Mutex      // of next
	next    int64           // to be minted
	minted  atomic.Int64
	taken   atomic.Int64
	waiting atomic.Int64 // that are due and not there
	starved atomic.Int64 // flights that were not there when they were due
	workers sync.WaitGroup

	timeout, patience time.Duration
	supplies          []*supply     // of each share
	begun             chan struct{} // closed when the run begins
	began             time.Time     // set before

	first []chan *url.URL // of the first request minted of each share
	ahead chan struct{}   // closed when all is minted that can be before the run begins
	done  sync.Once       // closes ahead

	once sync.Once
	err  *MintError // set before the halt
}

// minMinters is the least number of workers: while one waits for a token service, another tells what cannot be sent.
const minMinters = 2

func newMinter(c Config, mix Mix, total int64, h *halt) *minter {
	m := &minter{
		shares: c.Shares, mix: mix, plan: c.Plan, planned: mix.Counts(c.Plan, total), total: total, halt: h,
		ring: make([]chan *flight, c.MintAhead), first: make([]chan *url.URL, len(c.Shares)), ahead: make(chan struct{}),
		timeout: c.Timeout, patience: c.TokenPatience, supplies: newSupplies(c.Shares), begun: make(chan struct{}),
	}
	m.free = make([]chan struct{}, len(m.ring))
	for i := range m.ring {
		m.ring[i], m.free[i] = make(chan *flight, 1), make(chan struct{}, 1)
		m.free[i] <- struct{}{}
	}
	for i := range m.first {
		m.first[i] = make(chan *url.URL, 1)
	}
	if total == 0 { // the slice of a plan that has fewer requests than slices
		m.finishAhead()
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
		n, ok := m.number(ctx)
		if !ok {
			return
		}
		f, err := m.supplied(ctx, n)
		if stop := stopFor(err); stop != nil {
			f, err = m.refuse(n, stop.Reason), nil
			f.stop = stop
		}
		if err != nil {
			m.fail(n, err)
			return
		}
		select {
		case m.place(n) <- f:
		case <-ctx.Done():
			f.land(false, nil)
			return
		}
		if f.stop != nil { // what was minted before is paid for, and sent
			m.finishAhead()
			return
		}
		if f.refused != "" {
			continue
		}
		if m.minted.Add(1) == min(int64(len(m.ring)), m.total) {
			m.finishAhead()
		}
	}
}

// number returns the number of the next flight to be minted, once its place is free. It is told before the flight is minted:
// one whose lease takes its time would else find the flight of the next round in its place, which would be sent too early.
func (m *minter) number(ctx context.Context) (n int64, ok bool) {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.next >= m.total {
		return 0, false
	}
	select {
	case <-m.free[m.next%int64(len(m.free))]:
		m.next++
		return m.next - 1, true
	case <-ctx.Done():
		return 0, false
	}
}
func (m *minter) finishAhead() { m.done.Do(func() { close(m.ahead) }) }

// place returns where flight n waits.
func (m *minter) place(n int64) chan *flight { return m.ring[n%int64(len(m.ring))] }

// mint makes one flight, of the share's source if source is nil. The request is built here as well: building may sign a token, which is not the sender's work.
func (m *minter) mint(ctx context.Context, n int64, source Source) (*flight, error) {
	index := m.mix.Share(m.plan, n)
	if source == nil {
		source = m.shares[index].Source
	}
	fresh, err := source(ctx)
	if err != nil {
		return nil, err
	}
	f := &flight{message: fresh.Message, lease: fresh.Lease, settle: fresh.Settle, again: fresh.Again, seq: n, share: index, bad: m.shares[index].Bad}
	if err := m.build(f); err != nil {
		f.land(false, nil)
		return nil, err
	}
	return f, nil
}

// build makes the flight's request.
func (m *minter) build(f *flight) error {
	share := &m.shares[f.share]
	f.request = share.Profile.Build(f.lease, f.message, provider.At{Now: share.Clock.Now(), Seq: uint64(f.seq)})
	u, err := url.Parse(f.request.URL)
	if err != nil {
		return fmt.Errorf("license URL: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("license URL %q is not an absolute http or https URL", u.Redacted())
	}
	if u.User != nil {
		return fmt.Errorf("license URL %q carries credentials; they belong in a header", u.Redacted())
	}
	if allow := share.Limit.Host; allow != nil {
		if err := allow(u.Hostname()); err != nil {
			return err
		}
	}
	select {
	case m.first[f.share] <- u:
	default:
	}
	return nil
}

// target returns the URL of the first request of a share, nil if there is none before the run begins. It is called once for each.
func (m *minter) target(share int) *url.URL {
	if m.planned[share] == 0 {
		return nil
	}
	select {
	case u := <-m.first[share]:
		return u
	case <-m.ahead:
	case <-m.halt.soft.Done():
	}
	select {
	case u := <-m.first[share]:
		return u
	default:
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

// refusedURL stands in a request that the sender refuses.
const refusedURL = "http://refused.invalid/"

// take returns the plan's next flight, waiting for it if minting has not kept up. It is due by now: there are never more
// calls than requests were released. When the run is halted the flight is one to be refused.
func (m *minter) take() *flight {
	n := m.taken.Add(1) - 1
	if f := m.wait(m.place(n)); f != nil {
		select {
		case m.free[n%int64(len(m.free))] <- struct{}{}:
		default:
		}
		return f
	}
	return m.refuse(n, m.halt.reason)
}

// refuse returns a flight that the sender does not send, for a reason.
func (m *minter) refuse(n int64, reason string) *flight {
	return &flight{seq: n, share: m.mix.Share(m.plan, n), refused: reason, request: &provider.Request{Method: http.MethodPost, URL: refusedURL}}
}

// wait returns what comes to a place in the ring, nil when the run is halted.
func (m *minter) wait(place <-chan *flight) *flight {
	if m.halt.halted() {
		return nil
	}
	select {
	case f := <-place:
		return m.use(f)
	default:
	}
	m.waiting.Add(1)
	defer m.waiting.Add(-1)
	select {
	case f := <-place:
		m.starve(f)
		return m.use(f)
	case <-m.halt.soft.Done():
		m.starved.Add(1)
		return nil
	}
}

// use counts the use of the flight's lease. A flight whose lease has expired while it waited is minted anew: to send it
// would blame the server for the wait. It returns nil if the run has to be halted.
func (m *minter) use(f *flight) *flight {
	if f.stop != nil {
		m.halt.end(f.stop)
	}
	if f.refused != "" {
		return f
	}
	err := f.lease.Use(f.message.Kind)
	var stale *provider.LeaseError
	if errors.As(err, &stale) && stale.Class == provider.ErrorAuthExpired {
		m.starved.Add(1)
		number := f.seq
		f.land(false, nil)
		if f, err = m.renew(number, f.again); err == nil && f.refused == "" {
			err = f.lease.Use(f.message.Kind)
		}
		if stop := stopFor(err); stop != nil {
			m.halt.end(stop)
			return nil
		}
		if err != nil {
			if f != nil {
				f.land(false, nil)
			}
			m.fail(number, err)
			return nil
		}
	}
	if err != nil {
		f.land(false, nil)
		m.fail(f.seq, err)
		return nil
	}
	return f
}
