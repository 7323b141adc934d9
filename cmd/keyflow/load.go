package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
)

type loadFlags struct {
	targetFlags
	rate       string
	duration   time.Duration
	verify     string
	slos       []string
	timeout    time.Duration
	allowHosts []string
}

func (a *app) loadCommand() *cobra.Command {
	f := &loadFlags{}
	c := &cobra.Command{
		Use:   "load",
		Short: "Measure license throughput: fresh key requests at a constant rate, every answer verified",
		Long: `load mints fresh key requests ahead of time, sends them at a constant rate with vegeta, and verifies the answers
with the same code as the checks. Latency counts from the time at which a request was due, so a server that stalls
cannot hide it. Every request is accounted for: planned = sent + not sent, sent = answered + failed.

Hosts other than this machine must be named with --allow-host. Without --profile and --system it is the embedded Widevine fake.

Exit codes: 0 all objectives kept, 2 usage, 3 keyflow's own error, 4 the server cannot be reached, 5 incomplete,
7 an objective was missed; wrong==0 and errors==0 are always objectives unless --slo names them.`,
		Example: `  keyflow load --rate 200/s --duration 10s
  keyflow load --system playready --rate 200/s --duration 10s
  keyflow load --rate 50/s --duration 1m --slo 'p99<250ms' --slo 'errors<0.1%'
  keyflow load --rate 500/s --duration 30s --verify 10%
  keyflow load --profile DIR/plain-widevine.yaml --authority DIR --asset FOLDER
  keyflow load --profile expressplay-widevine-test --stand-in`,
		RunE: func(c *cobra.Command, _ []string) error { return a.load(c.Context(), f) },
	}
	f.register(c, "load")
	s := c.Flags()
	s.StringVar(&f.rate, "rate", "50/s", "requests per time: `N/s`, N/m or N/h")
	s.DurationVar(&f.duration, "duration", 10*time.Second, "how long requests are sent")
	s.StringVar(&f.verify, "verify", "all", "share of the answers to verify in full: all, none or `N%`")
	s.StringArrayVar(&f.slos, "slo", nil, "objective `EXPR` such as 'p99<250ms', 'errors<0.1%', 'rate>=95%'; repeat for several")
	s.DurationVar(&f.timeout, "timeout", loadtest.DefaultTimeout, "for one request")
	s.StringArrayVar(&f.allowHosts, "allow-host", nil, "`HOST` that you may put load on; this machine always is")
	return c
}

func (a *app) load(ctx context.Context, f *loadFlags) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	s, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := f.allowed(s.targets[0], config.Plan); err != nil {
		return err
	}
	if err := s.aim(f.platform, config); err != nil {
		return err
	}
	if err := f.ready(); err != nil {
		return err
	}
	progress := a.loadProgress(f.json)
	config.Progress = progress.update
	progress.start(s, config)
	load, err := loadtest.Run(ctx, *config)
	progress.stop()
	return a.finishLoad(ctx, f, s, load, err)
}

// config reads the flags of the plan.
func (f *loadFlags) config() (*loadtest.Config, error) {
	rate, err := loadtest.ParseRate(f.rate)
	if err != nil {
		return nil, usage(err, "for example --rate 200/s")
	}
	verify, err := loadtest.ParseVerify(f.verify)
	if err != nil {
		return nil, usage(err, "for example --verify 5%")
	}
	c := &loadtest.Config{Plan: loadtest.Plan{Rate: rate, Duration: f.duration}, Verify: verify, Timeout: f.timeout}
	if err := c.Plan.Validate(); err != nil {
		return nil, usage(err, "for example --rate 200/s --duration 10s")
	}
	if f.timeout <= 0 {
		return nil, usage(fmt.Errorf("--timeout %v is not positive", f.timeout), "for example --timeout 10s")
	}
	for _, text := range f.slos {
		slo, err := loadtest.ParseSLO(text)
		if err != nil {
			return nil, usage(err, "for example --slo 'p99<250ms'")
		}
		c.SLOs = append(c.SLOs, slo)
	}
	if len(f.profiles) > 1 {
		return nil, usage(errors.New("load takes one --profile"), "run it once for each")
	}
	return c, nil
}

// allowed refuses load that the user may not want: on a host that he has not named, beyond the limits that its owner has set,
// or with more tokens than he is ready to pay for. A stand-in is this machine and costs nothing.
func (f *loadFlags) allowed(t *suites.Target, plan loadtest.Plan) error {
	if t.Platform == nil {
		return usage(errors.New("load needs a platform that makes key requests"), "give --authority DIR of a keyflow fake, or --stand-in")
	}
	if t.Kind != suites.Server {
		return nil
	}
	for _, host := range f.unnamed(t.Profile) {
		return usage(fmt.Errorf("no load on %s: it is not this machine", host), "if the service is yours and you may put load on it: --allow-host "+host)
	}
	l := t.Profile.Limits
	switch n := plan.Total(); {
	case l.MaxRPS > 0 && plan.PerSecond() > float64(l.MaxRPS):
		return usage(fmt.Errorf("--rate %s is more than the profile's limits.max_rps of %d", f.rate, l.MaxRPS), fmt.Sprintf("--rate %d/s, or change the profile if its owner allows more", l.MaxRPS))
	case l.MaxRequests > 0 && n > int64(l.MaxRequests):
		return usage(fmt.Errorf("the plan has %d requests, the profile's limits.max_requests allows %d", n, l.MaxRequests), "a lower --rate or a shorter --duration")
	case t.Profile.Billed() && n > int64(f.budget):
		return usage(fmt.Errorf("the plan has %d requests, and each needs a token that costs money", n), fmt.Sprintf("--budget %d if you are ready to pay for them, or --stand-in", n))
	}
	return nil
}

// unnamed returns the hosts of a profile that are neither this machine nor named with --allow-host. A license host that only
// a token names is not known: the user has to name the token service.
func (f *loadFlags) unnamed(p *provider.Profile) []string {
	var hosts []string
	for _, origin := range p.Origins() {
		u, err := url.Parse(origin)
		if err != nil {
			continue // it was parsed before
		}
		host := u.Hostname()
		ip := net.ParseIP(host)
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) && !slices.Contains(f.allowHosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// aim fills in what is sent where and how answers are judged: for each session of each asset the harness's devices in turn.
func (s *setting) aim(platform string, c *loadtest.Config) error {
	first := s.targets[0]
	c.Profile, c.Clock, c.Seed, c.Workers = first.Profile, first.Clock, s.seed, first.Profile.Limits.MaxInFlight
	if first.Kind != suites.Server {
		c.Workers = 0
	}
	c.Dial, c.TLS = loadtest.Dial(first.Dial), s.tls
	var asks []suites.Ask
	c.Expect = map[drm.KID]drm.Fingerprint{}
	for _, t := range s.targets {
		if t.Profile != first.Profile { // another variant sends the same
			continue
		}
		sessions, err := t.Asks()
		if err != nil {
			return usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment")
		}
		asks = append(asks, sessions...)
		for _, track := range t.Asset.Tracks {
			if !track.Key.IsZero() {
				c.Expect[track.KID] = track.Key.Fingerprint()
			}
		}
	}
	devices := map[drm.Fingerprint]device{}
	_, platforms := s.devices(platform, first.Profile.DRM, first.Clock)
	for _, p := range platforms {
		devices[p.Device()] = p
	}
	var n atomic.Uint64
	c.Source = func(ctx context.Context) (loadtest.Fresh, error) {
		i := int(n.Add(1) - 1)
		return mint(ctx, first.Profile, platforms[i%len(platforms)], asks[i/len(platforms)%len(asks)])
	}
	c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		return devices[m.Ticket.Device].Judge(m.Ticket, m.Body, answer, d)
	}
	return nil
}

// mint takes a lease, and makes one fresh key request for it in a session of its own.
func mint(ctx context.Context, profile *provider.Profile, p drm.Platform, a suites.Ask) (loadtest.Fresh, error) {
	lease, err := profile.Lease(ctx, a.Need)
	if err != nil {
		return loadtest.Fresh{}, err
	}
	session, err := p.Open(ctx, a.Box, drm.Options{CustomData: lease.CustomData})
	if err != nil {
		return loadtest.Fresh{}, err
	}
	m, err := session.Request(ctx, drm.KindLicense)
	return loadtest.Fresh{Message: m, Lease: lease}, errors.Join(err, session.Close())
}

func (a *app) finishLoad(ctx context.Context, f *loadFlags, s *setting, load *reports.Load, err error) error {
	if load == nil {
		return harness(err)
	}
	if s.fake != nil {
		total, byOperation := s.fake.Count()
		counted := int64(total.Received - byOperation[fakes.OperationToken].Received) // tokens are not the plan's
		load.Accounting.ServerCounted = &counted
	}
	r := s.report("load", f.faults)
	r.Run.Interrupted = interrupted(ctx, err)
	r.Run.Finished = time.Now().UTC()
	r.Load = load
	r.Verdict = loadtest.Verdict(load, len(f.slos) > 0, r.Run.Interrupted)
	var unreachable *loadtest.UnreachableError
	switch {
	case errors.As(err, &unreachable):
		r.Verdict.Exit = reports.WorstExit(r.Verdict.Exit, reports.ExitUnreachable)
		r.Verdict.State = reports.Incomplete
	case err != nil:
		r.Verdict.Exit, r.Verdict.State = reports.WorstExit(r.Verdict.Exit, reports.ExitHarness), reports.Broken
	}
	return a.finish(&f.targetFlags, s, r, nil)
}
