package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// NotRenewableError says that there is nothing to renew: a license is none that may be renewed, or the system has no renewals.
type NotRenewableError struct{ Profile string }

// Error names the profile.
func (e *NotRenewableError) Error() string {
	return fmt.Sprintf("the licenses of %s cannot be renewed: their policy does not allow it (can_renew)", e.Profile)
}

// PrepareError says that a license could not be got that was to be renewed. It is told like a failed or wrong answer of the run.
type PrepareError struct {
	Profile string
	Class   string // of a failed request, or the reason of a wrong answer
	Seen    string
	Err     error // of the transport, nil for an answer
}

// Error names profile and class.
func (e *PrepareError) Error() string {
	return fmt.Sprintf("get a license of %s to renew: %s: %s", e.Profile, e.Class, e.Seen)
}

// Unwrap returns the transport's error.
func (e *PrepareError) Unwrap() error { return e.Err }

// prepare gets the live sessions of all pools, before anything of the plan is minted. An error halts the run; there is none if it
// was halted by somebody else.
func (r *run) prepare() error {
	for _, p := range r.pools {
		if p == nil {
			continue
		}
		r.phase.Store(PhasePreparing)
		if err := p.fill(); err != nil && !r.halt.halted() {
			r.halt.stop(NotSentUnprepared)
			return err
		}
	}
	r.phase.Store(PhaseMinting)
	return nil
}

// fill gets as many sessions as the pool has room for, several at a time but at most at the plan's rate. The first error ends it.
func (p *pool) fill() error {
	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	places := make(chan struct{}, preparedAtOnce)
	began := time.Now()
	for i := range cap(p.free) {
		places <- struct{}{}
		if drm.Sleep(ctx, time.Until(began.Add(time.Duration(i)*p.pause))) != nil {
			break
		}
		group.Go(func() {
			defer func() { <-places }()
			l, err := p.acquire(ctx)
			if err != nil {
				cancel(err)
				return
			}
			p.free <- l
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// acquire gets a live session: one whose license may be renewed.
func (p *pool) acquire(ctx context.Context) (*live, error) {
	opened, err := p.share.Renewing.Open(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.license(ctx, opened); err != nil {
		return nil, errors.Join(err, opened.Session.Close())
	}
	p.sessions.Add(1)
	return &live{Opened: opened}, nil
}

// license gets the session's first license. A request that was sent and came to nothing is counted as failed.
func (p *pool) license(ctx context.Context, o Opened) error {
	m, err := o.Session.Request(ctx, drm.KindLicense)
	if err != nil {
		return err
	}
	if m.Kind != drm.KindLicense {
		return fmt.Errorf("the session wants to send a %s request before it asks for a license", m.Kind)
	}
	if err := o.Lease.Use(m.Kind); err != nil {
		return err
	}
	request := p.share.Profile.Build(o.Lease, m, provider.At{Now: p.share.Clock.Now()})
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	q, err := request.HTTP(ctx)
	if err != nil {
		return err
	}
	p.requests.Add(1)
	if err := p.exchange(ctx, o.Session, m, q); err != nil {
		p.failed.Add(1)
		return err
	}
	return nil
}

// exchange sends a license request and lets the session process the answer.
func (p *pool) exchange(ctx context.Context, s drm.Session, m drm.Message, q *http.Request) error {
	profile := p.share.Profile
	var body []byte
	response, err := p.share.Renewing.Client.Do(q) //nolint:bodyclose // ReadBody closes it
	if err == nil {
		body, err = profile.ReadBody(response)
	}
	if err != nil {
		f := transportFailure(err)
		return &PrepareError{Profile: profile.ID, Class: f.class, Seen: f.seen, Err: provider.NewTransportError(err, false)}
	}
	answer, f := read(profile, m.Kind, response.StatusCode, response.Header, body)
	if f.class != "" {
		return &PrepareError{Profile: profile.ID, Class: f.class, Seen: f.seen}
	}
	o, err := s.Process(ctx, m.ID, answer)
	if err != nil {
		return err
	}
	if fatal := o.Fatal(); fatal != nil {
		return &PrepareError{Profile: profile.ID, Class: string(fatal.Reason), Seen: fatal.Seen}
	}
	if !slices.ContainsFunc(s.Licenses(), func(l drm.License) bool { return l.Policy.CanRenew }) {
		return &NotRenewableError{profile.ID}
	}
	return nil
}
