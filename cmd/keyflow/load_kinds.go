package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
)

// share returns the stream as the share of a load run. Where its requests come from is only a question with licenses.
func (st *stream) share(from supply, platforms []device) (loadtest.Share, error) {
	share := loadtest.Share{
		Profile: st.profile, Weight: st.weight, Clock: st.targets[0].Clock, Network: st.network, Kind: st.kind, Asset: st.asset, Bad: st.bad,
	}
	var err error
	switch {
	case st.kind == drm.KindCertificate:
		share.Source, err = st.certificates(platforms)
	case st.kind == drm.KindRenewal:
		share.Renewing, err = st.renewing(platforms)
	case st.bad:
		var broken []device
		if broken, err = brokenDevices(platforms); err == nil {
			share.Source, err = st.source(broken)
		}
	default:
		share.Source, err = from.source(st, platforms)
	}
	return share, err
}

// targetsOf returns the stream's targets of an asset.
func (st *stream) targetsOf(asset string) []*suites.Target {
	var targets []*suites.Target
	for _, t := range st.targets {
		if t.Asset.Name == asset {
			targets = append(targets, t)
		}
	}
	return targets
}

// turns returns who asks for what: for each session of each asset the platforms in turn.
func (st *stream) turns(platforms []device) (func() (device, suites.Ask), error) {
	asks, err := st.asks()
	if err != nil {
		return nil, err
	}
	var n atomic.Int64
	return func() (device, suites.Ask) {
		p, ask := turn(n.Add(1)-1, len(platforms), len(asks))
		return platforms[p], asks[ask]
	}, nil
}

// brokenDevices returns the devices with requests whose signature is broken.
func brokenDevices(platforms []device) ([]device, error) {
	broken := make([]device, len(platforms))
	for i, p := range platforms {
		forged, err := suites.WithBrokenSignature(p)
		if err != nil {
			return nil, harness(err)
		}
		own, ok := forged.(device)
		if !ok {
			return nil, harness(fmt.Errorf("a %T judges no answers", forged))
		}
		broken[i] = own
	}
	return broken, nil
}

// certificates mints service certificate requests. Where they do not consume a token, all of them have a lease in common.
func (st *stream) certificates(platforms []device) (loadtest.Source, error) {
	next, err := st.turns(platforms)
	if err != nil {
		return nil, err
	}
	common := &commonLease{consumed: st.profile.Certificate.ConsumesToken}
	return func(ctx context.Context) (loadtest.Fresh, error) {
		p, ask := next()
		lease, err := common.take(ctx, st.profile, ask.Need)
		if err != nil {
			return loadtest.Fresh{}, err
		}
		m, err := request(ctx, p, ask, lease.CustomData, drm.KindCertificate)
		return loadtest.Fresh{Message: m, Lease: lease}, err
	}, nil
}

// commonLease is a lease that several requests have in common. It is safe for concurrent use.
type commonLease struct {
	consumed bool // by each request: there is nothing in common then

	mu    sync.Mutex
	lease *provider.Lease
}

// take returns the lease, another one when that has expired.
func (c *commonLease) take(ctx context.Context, p *provider.Profile, need provider.Need) (*provider.Lease, error) {
	if c.consumed {
		return p.Lease(ctx, need)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease != nil && c.lease.Serves(drm.KindCertificate) {
		return c.lease, nil
	}
	var err error
	c.lease, err = p.Lease(ctx, need)
	return c.lease, err
}

// renewing gets the live sessions that a stream of renewals renews, with the client of the checks, which keeps the profile's limits.
func (st *stream) renewing(platforms []device) (*loadtest.Renewing, error) {
	next, err := st.turns(platforms)
	if err != nil {
		return nil, err
	}
	return &loadtest.Renewing{Client: st.targets[0].Client, Open: func(ctx context.Context) (loadtest.Opened, error) {
		p, ask := next()
		again := func(ctx context.Context) (*provider.Lease, error) { return st.profile.Lease(ctx, ask.Need) }
		lease, err := again(ctx)
		if err != nil {
			return loadtest.Opened{}, err
		}
		session, err := p.Open(ctx, ask.Box, drm.Options{CustomData: lease.CustomData})
		return loadtest.Opened{Session: session, Lease: lease, Again: again}, err
	}}, nil
}

// tokens returns how many leases n requests of the stream take, apart from those of their preparation.
func (st *stream) tokens(n int64) int64 {
	if st.kind == drm.KindCertificate && !st.profile.Certificate.ConsumesToken {
		return min(n, 1)
	}
	return n
}

// affordable refuses the license requests beside the plan that renewals need, where they go beyond a profile's limits or cost
// more than the user is ready to pay. It tells each stream how many they are.
func (f *loadFlags) affordable(streams, leaves []*stream, c *loadtest.Config) error {
	if !slices.ContainsFunc(leaves, func(st *stream) bool { return st.kind == drm.KindRenewal }) {
		return nil
	}
	sessions, err := c.Sessions()
	if err != nil {
		return usage(err, coarserHint)
	}
	for i, st := range leaves {
		st.prepared = sessions[i]
		if st.of != nil {
			st.of.prepared += sessions[i]
		}
	}
	var billed, beside int64
	for _, st := range streams {
		if st.targets[0].Kind != suites.Server || st.prepared == 0 {
			continue
		}
		if limit := int64(st.profile.Limits.MaxRequests); limit > 0 && st.planned+st.prepared > limit {
			return usage(fmt.Errorf("the renewals for %s need %d licenses beside the plan's %d requests, its limits.max_requests allows %d together", st.profile.ID, st.prepared, st.planned, limit),
				"a lower --rate, a shorter --duration or a smaller share of renewals")
		}
		if st.profile.Billed() {
			billed, beside = billed+st.leases, beside+st.prepared
		}
	}
	if beside > 0 && billed+beside > int64(f.budget) {
		return usage(fmt.Errorf("the plan has %d requests that each need a token that costs money, and its renewals need %d licenses beside it", billed, beside),
			fmt.Sprintf("--budget %d if you are ready to pay for them, or --stand-in", billed+beside))
	}
	return nil
}

// unpreparedExit is the exit code of a run that could not get the licenses that it was to renew.
func unpreparedExit(err *loadtest.PrepareError) int {
	var transport *provider.TransportError
	if errors.As(err, &transport) {
		return reports.ExitUnreachable
	}
	return reports.ExitIncomplete
}

// notRenewable turns the error of a run that had nothing to renew into one of usage, nil if it is another.
func notRenewable(err error) error {
	var none *loadtest.NotRenewableError
	if !errors.As(err, &none) {
		return nil
	}
	return usage(err, "the embedded fakes issue such licenses with --widevine renewable; a service of yours decides it by its policy")
}
