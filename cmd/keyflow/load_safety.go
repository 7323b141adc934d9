package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/suites"
)

// allowed refuses load that the user may not want: on a host that he has not named, on a service that is not his, beyond the
// limits that its owner has set, or with more tokens than he is ready to pay for. A profile's limits are for its own share. A
// stand-in is this machine and costs nothing.
func (f *loadFlags) allowed(streams []*stream, plan loadtest.Plan) error {
	var sum, billed int64
	for _, st := range streams {
		sum += st.weight
	}
	for _, st := range streams {
		if st.targets[0].Platform == nil && f.corpus == "" && !f.captured() {
			return usage(errors.New("load needs a platform that makes key requests"), "give --authority DIR of a keyflow fake, or --stand-in")
		}
		if !st.real() {
			continue
		}
		for _, host := range hosts(st.profile) {
			if err := f.mayLoad(st.profile, host); err != nil {
				return err.usage()
			}
		}
		if st.profile.Limits.ProdAck && !f.owned {
			return usage(fmt.Errorf("no load on the service of %s: its profile says limits.prod_ack, it is shared or in production", st.profile.ID),
				"if it is yours, or its owner agrees: --i-own-this-service; --stand-in tries the profile without the provider")
		}
		if err := st.within(plan.Peak() * float64(st.weight) / float64(sum)); err != nil {
			return err
		}
		if st.profile.Billed() {
			billed += st.leases
		}
	}
	if billed > int64(f.budget) {
		return usage(fmt.Errorf("the plan has %d requests that each need a token that costs money", billed), fmt.Sprintf("--budget %d if you are ready to pay for them, or --stand-in", billed))
	}
	return nil
}

// real reports whether a stream leads to a real server: what its owner allows is asked for then.
func (st *stream) real() bool { return st.targets[0].Kind == suites.Server }

// within refuses a share that goes beyond the limits of its profile; rate is in requests per second.
func (st *stream) within(rate float64) error {
	l := st.profile.Limits
	fresh, shared := st.profile.TokenRequests()
	requests := st.planned + st.leases*int64(fresh) + int64(shared)
	switch {
	case l.MaxRPS > 0 && rate > float64(l.MaxRPS):
		return usage(fmt.Errorf("%s would get %.4g requests a second, its limits.max_rps allows %d", st.profile.ID, rate, l.MaxRPS),
			"a lower rate or a smaller share, or change the profile if its owner allows more")
	case l.MaxRequests > 0 && st.planned > int64(l.MaxRequests):
		return usage(fmt.Errorf("the plan has %d requests for %s, its limits.max_requests allows %d", st.planned, st.profile.ID, l.MaxRequests),
			"a lower rate, a shorter duration or a smaller share")
	case l.MaxRequests > 0 && requests > int64(l.MaxRequests):
		return usage(fmt.Errorf("the plan has %d requests for %s and %d for its tokens, its limits.max_requests allows %d together", st.planned, st.profile.ID, requests-st.planned, l.MaxRequests),
			"a lower rate, a shorter duration or a smaller share")
	}
	return nil
}

// hostError says that a host may not get load.
type hostError struct{ host string }

func (e *hostError) Error() string {
	return fmt.Sprintf("no load on %s: it is not this machine", e.host)
}

func (e *hostError) usage() error {
	return usage(e, fmt.Sprintf("if the service is yours and you may put load on it: --allow-host %s, or limits.hosts of its profile", e.host))
}

// hosts returns the hosts that a profile names. A license host that only a token names is not known before there is one.
func hosts(p *provider.Profile) []string {
	var all []string
	for _, origin := range p.Origins() {
		if u, err := url.Parse(origin); err == nil && !slices.Contains(all, u.Hostname()) {
			all = append(all, u.Hostname())
		}
	}
	return all
}

// mayLoad returns why a host may not get load from a profile: it is neither this machine, nor named with --allow-host or in the
// profile's limits.
func (f *loadFlags) mayLoad(p *provider.Profile, host string) *hostError {
	if f.leave(p, host) == "" {
		return &hostError{host}
	}
	return nil
}

// leave says by whose leave a host gets load, "" if there is none.
func (f *loadFlags) leave(p *provider.Profile, host string) string {
	ip := net.ParseIP(host)
	same := func(named string) bool { return strings.EqualFold(named, host) }
	switch {
	case host == "localhost" || ip != nil && ip.IsLoopback():
		return "this machine"
	case slices.ContainsFunc(f.allowHosts, same):
		return "--allow-host"
	case slices.ContainsFunc(p.Limits.Hosts, same):
		return "limits.hosts of " + p.ID
	}
	return ""
}

// limit is what a stream may send whatever the plan says.
func (s *setting) limit(st *stream, f *loadFlags) loadtest.Limit {
	if !st.real() {
		return loadtest.Limit{}
	}
	return loadtest.Limit{
		PerSecond: st.profile.Limits.MaxRPS,
		Count:     s.polite[st.profile].Count,
		Host: func(host string) error {
			if err := f.mayLoad(st.profile, host); err != nil {
				return err
			}
			return nil
		},
	}
}

// terms tells what a run is about to do to whom, one line each: who reads it can still press Ctrl-C.
func (f *loadFlags) terms(streams []*stream, c *loadtest.Config) []string {
	return []string{
		"hosts        " + strings.Join(f.hostTerms(streams), ", "),
		fmt.Sprintf("connections  %s; timeout %v", connectionTerms(c), c.Timeout),
		"cost         " + f.costTerms(streams),
	}
}

func connectionTerms(c *loadtest.Config) string {
	if c.NewConnections {
		return fmt.Sprintf("a new one for each request, at most %d in flight", c.Connections())
	}
	return fmt.Sprintf("%d, and as many requests in flight", c.Connections())
}

func (f *loadFlags) hostTerms(streams []*stream) []string {
	var all []string
	add := func(text string) {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	for _, st := range streams {
		for _, host := range hosts(st.profile) {
			switch {
			case st.real():
				add(fmt.Sprintf("%s (%s)", host, f.leave(st.profile, host)))
			case st.network != nil:
				add(host + " (stand-in on this machine)")
			default:
				add(host + " (this machine)")
			}
		}
	}
	return all
}

func (f *loadFlags) costTerms(streams []*stream) string {
	var tokens int64
	var units []string
	for _, st := range streams {
		if !st.real() || !st.profile.Billed() {
			continue
		}
		tokens += st.leases
		for _, unit := range st.profile.CostUnits() {
			if !slices.Contains(units, unit) {
				units = append(units, unit)
			}
		}
	}
	if len(units) == 0 {
		return "nothing: no token of this run costs money"
	}
	return fmt.Sprintf("a token for each of %d requests, billed by %s; the run ends when --budget %d is spent", tokens, strings.Join(units, ", "), f.budget)
}
