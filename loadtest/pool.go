package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// Renewing says how a share of renewals gets the live sessions that it renews. How many there are follows from what is minted
// ahead and in flight ([Config.Sessions]): each has one message on its way at a time.
type Renewing struct {
	// Open starts a session whose license was not asked for yet. It is called by several workers at once.
	Open func(ctx context.Context) (Opened, error)
	// Client sends the license requests that are beside the plan: those of the preparation, and of sessions that replace
	// others during the run. It follows no redirect.
	Client *http.Client
}

// Opened is a new key session, and the lease for its first license.
type Opened struct {
	Session drm.Session
	Lease   *provider.Lease
	// Again takes another lease for the same content, for renewals that the one before does not serve any more.
	Again func(ctx context.Context) (*provider.Lease, error)
}

// ReasonSession is that of an answer that its session could not process, which is not the server's fault.
const ReasonSession drm.Reason = "session-error"

// The bounds of a pool.
const (
	preparedAtOnce = 8 // license requests of the preparation in flight
	repairsAtOnce  = 4 // sessions that are being replaced during the run
	// failuresInRow is how often a session's renewal fails until the session is replaced. The first failure is renewed again: the
	// answer may have been lost on its way.
	failuresInRow = 2
	// repairRest is how long none is replaced after a session could not be: a server in trouble gets no more than the plan's load.
	repairRest = time.Second
)

// pool holds the live sessions of a share of renewals. A session that is not in the pool has a message on its way, from being
// minted until its answer is processed, so that nobody else touches it.
type pool struct {
	share   *Share
	timeout time.Duration
	pause   time.Duration   // between two license requests of the preparation: they come no faster than the plan's
	ctx     context.Context // ends when nothing more is sent

	free    chan *live // has room for all
	repairs chan struct{}
	group   sync.WaitGroup // of the repairs
	began   time.Time
	rest    atomic.Int64 // since began, until when no session is replaced

	sessions, requests, replaced, failed atomic.Int64
}

// live is a session that has a license.
type live struct {
	Opened
	failures int // of its renewals, in a row
}

// newPools returns the pool of each share, nil for those that renew nothing, and makes them the sources of their shares.
func newPools(c Config, mix Mix, h *halt) []*pool {
	pools := make([]*pool, len(c.Shares))
	for i, n := range c.sessions(mix) {
		if c.Shares[i].Renewing == nil {
			continue
		}
		pools[i] = &pool{share: &c.Shares[i], timeout: c.Timeout, pause: time.Duration(float64(time.Second) / c.Plan.PerSecond()), ctx: h.soft, free: make(chan *live, n), repairs: make(chan struct{}, repairsAtOnce), began: time.Now()}
		c.Shares[i].Source = pools[i].source
	}
	return pools
}

// Sessions returns for each share how many live sessions its renewals need: one for each request that is minted ahead, on its
// way or being minted, and a few that may be under repair, but not more than the plan has renewals. Each costs a license
// request before the first request is due. The error is of the configuration.
func (c Config) Sessions() ([]int64, error) {
	c, mix, err := c.prepare()
	if err != nil {
		return nil, err
	}
	return c.sessions(mix), nil
}

// sessions is [Config.Sessions] of a configuration that is complete.
func (c Config) sessions(mix Mix) []int64 {
	needed := make([]int64, len(c.Shares))
	planned := mix.Counts(c.Plan, c.Plan.Total())
	unsettled := int64(c.MintAhead + c.Workers + runtime.GOMAXPROCS(0))
	for i, s := range c.Shares {
		if s.Renewing != nil {
			needed[i] = min(planned[i], unsettled*mix.weights[i]/mix.Cycle()+2+repairsAtOnce)
		}
	}
	return needed
}

// source mints a renewal, waiting for a session that has no message on its way.
func (p *pool) source(ctx context.Context) (Fresh, error) {
	var l *live
	select {
	case l = <-p.free:
	case <-ctx.Done():
		return Fresh{}, ctx.Err()
	}
	fresh, err := p.renew(ctx, l)
	if err == nil {
		return fresh, nil
	}
	other, failed := p.acquire(ctx)
	if failed != nil {
		p.free <- l
		return Fresh{}, errors.Join(err, failed)
	}
	p.swap(l)
	if fresh, err = p.renew(ctx, other); err != nil {
		p.free <- other
	}
	return fresh, err
}

// renew asks a session for its next renewal.
func (p *pool) renew(ctx context.Context, l *live) (Fresh, error) {
	m, err := l.Session.Request(ctx, drm.KindRenewal)
	if err != nil {
		return Fresh{}, err
	}
	if m.Kind != drm.KindRenewal {
		p.forget(l, m.ID)
		return Fresh{}, fmt.Errorf("the session wants to send a %s request before it renews", m.Kind)
	}
	if !l.Lease.Serves(m.Kind) {
		lease, err := l.Again(ctx)
		if err != nil {
			p.forget(l, m.ID)
			return Fresh{}, err
		}
		l.Lease = lease
	}
	return Fresh{Message: m, Lease: l.Lease, Settle: func(e Ended) drm.Verdict { return p.settle(l, m.ID, e) }}, nil
}

// settle lets the session process the answer, whose findings are the verdict, and gives it back.
func (p *pool) settle(l *live, id drm.MessageID, e Ended) drm.Verdict {
	if e.Answer == nil {
		p.forget(l, id)
		if e.Sent {
			l.failures++
		}
		p.release(l)
		return drm.Verdict{}
	}
	verdict := drm.Verdict{Depth: drm.DepthFull}
	o, err := l.Session.Process(context.WithoutCancel(p.ctx), id, e.Answer)
	switch {
	case err != nil:
		l.failures = failuresInRow
		verdict.Findings = []drm.Finding{{Reason: ReasonSession, Step: "process the renewal", Expected: "an answer that its session can process", Seen: err.Error()}}
	case o.Fatal() != nil:
		l.failures++
		verdict.Findings = o.Findings
	default:
		l.failures = 0
		verdict.Findings = o.Findings
	}
	p.release(l)
	return verdict
}

// forget makes the session forget a message without an answer: it would keep it for ever, whatever a run's length. To the session
// the answer is empty.
func (p *pool) forget(l *live, id drm.MessageID) {
	_, _ = l.Session.Process(context.WithoutCancel(p.ctx), id, nil)
}

// release gives a session back. One whose renewals keep failing is replaced, unless as many as may be are being replaced
// already, or one could not be just now: then it is renewed again, so that a server that is away for a while never leaves the
// pool empty.
func (p *pool) release(l *live) {
	if l.failures < failuresInRow || time.Since(p.began) < time.Duration(p.rest.Load()) {
		p.free <- l
		return
	}
	select {
	case p.repairs <- struct{}{}:
		p.group.Go(func() {
			p.free <- p.repair(l)
			<-p.repairs
		})
	default:
		p.free <- l
	}
}

// repair returns a new session in the place of the old one, or that if there is none to be had.
func (p *pool) repair(l *live) *live {
	other, err := p.acquire(p.ctx)
	if err != nil {
		p.rest.Store(int64(time.Since(p.began) + repairRest))
		return l
	}
	p.swap(l)
	return other
}

// swap counts and closes a session that another one replaces.
func (p *pool) swap(l *live) {
	p.replaced.Add(1)
	p.sessions.Add(-1)
	_ = l.Session.Close() // it holds nothing but memory
}

// close ends all sessions. None is on its way any more, and the context has ended.
func (p *pool) close() {
	p.group.Wait()
	for {
		select {
		case l := <-p.free:
			_ = l.Session.Close()
		default:
			return
		}
	}
}

// preparedBalances reports whether each license request beside the plan ended in one way.
func preparedBalances(p *reports.Prepared) bool {
	return p == nil || p.Requests == p.Sessions+p.Replaced+p.Failed
}

// told returns what the pools did beside the plan, nil if there are none.
func told(pools []*pool) *reports.Prepared {
	var sum *reports.Prepared
	for _, p := range pools {
		if p == nil {
			continue
		}
		if sum == nil {
			sum = &reports.Prepared{}
		}
		sum.Sessions += p.sessions.Load()
		sum.Requests += p.requests.Load()
		sum.Replaced += p.replaced.Load()
		sum.Failed += p.failed.Load()
	}
	return sum
}
