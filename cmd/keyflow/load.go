package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine"
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

Hosts other than this machine must be named with --allow-host.

Exit codes: 0 all objectives kept, 2 usage, 3 keyflow's own error, 4 the server cannot be reached, 5 incomplete,
7 an objective was missed; wrong==0 and errors==0 are always objectives unless --slo names them.`,
		Example: `  keyflow load --rate 200/s --duration 10s
  keyflow load --rate 50/s --duration 1m --slo 'p99<250ms' --slo 'errors<0.1%'
  keyflow load --rate 500/s --duration 30s --verify 10%
  keyflow load --profile DIR/plain-widevine.yaml --authority DIR --asset FOLDER`,
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
	if err := f.allowed(s.targets); err != nil {
		return err
	}
	if err := s.aim(ctx, f.platform, config); err != nil {
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

// allowed refuses load on a host that the user has not named.
func (f *loadFlags) allowed(targets []*suites.Target) error {
	for _, t := range targets {
		u, err := url.Parse(t.Profile.Request.URL)
		if err != nil {
			return usage(err, "")
		}
		if !t.Profile.Loopback() && !slices.Contains(f.allowHosts, u.Hostname()) {
			return usage(fmt.Errorf("no load on %s: it is not this machine", u.Hostname()),
				"if the service is yours and you may put load on it: --allow-host "+u.Hostname())
		}
		if t.Platform == nil {
			return usage(errors.New("load needs a platform that makes key requests"), "give --authority DIR of a keyflow fake")
		}
	}
	return nil
}

// aim fills in what is sent where and how answers are judged: the assets' boxes and the harness's devices in turn.
func (s *setting) aim(ctx context.Context, platform string, c *loadtest.Config) error {
	target := s.targets[0]
	c.Profile, c.Clock, c.Seed = target.Profile, s.clock, s.seed
	var boxes []drm.Box
	c.Expect = map[drm.KID]drm.Fingerprint{}
	for _, t := range s.targets {
		box, err := pssh.Select(t.Asset.Boxes, t.Profile.DRM)
		if err != nil {
			return usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment")
		}
		boxes = append(boxes, box)
		for _, track := range t.Asset.Tracks {
			if !track.Key.IsZero() {
				c.Expect[track.KID] = track.Key.Fingerprint()
			}
		}
	}
	var err error
	if c.Lease, err = target.Profile.Lease(ctx, provider.Need{Asset: target.Asset.Name, KIDs: target.Asset.KIDs(), Keys: target.Asset.Keys()}); err != nil {
		return harness(err)
	}
	devices := map[drm.Fingerprint]*widevine.Platform{}
	_, platforms := s.platforms(platform)
	for _, p := range platforms {
		devices[p.Identity().Device()] = p
	}
	var n atomic.Uint64
	c.Source = func(ctx context.Context) (drm.Message, error) {
		i := int(n.Add(1) - 1)
		return mint(ctx, platforms[i%len(platforms)], boxes[i/len(platforms)%len(boxes)])
	}
	c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		return devices[m.Ticket.Device].Judge(m.Ticket, m.Body, answer, d)
	}
	return nil
}

// mint makes one fresh key request in a session of its own.
func mint(ctx context.Context, p drm.Platform, box drm.Box) (drm.Message, error) {
	session, err := p.Open(ctx, box, drm.Options{})
	if err != nil {
		return drm.Message{}, err
	}
	m, err := session.Request(ctx, drm.KindLicense)
	return m, errors.Join(err, session.Close())
}

func (a *app) finishLoad(ctx context.Context, f *loadFlags, s *setting, load *reports.Load, err error) error {
	if load == nil {
		return harness(err)
	}
	if s.fake != nil {
		total, _ := s.fake.Count()
		counted := int64(total.Received)
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
