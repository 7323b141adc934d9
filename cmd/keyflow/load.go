package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
)

type loadFlags struct {
	targetFlags
	planFlags
	transportFlags
	verify     string
	slos       []string
	timeout    time.Duration
	allowHosts []string
	owned      bool
	dryRun     bool
	mix        []string
	results    string
	parts      mixFlags
	corpus     string
	captureFlags
}

func (a *app) loadCommand() *cobra.Command {
	f := &loadFlags{}
	c := &cobra.Command{
		Use:   "load",
		Short: "Measure license throughput: fresh key requests at a planned rate, every answer verified",
		Long: `load mints fresh key requests ahead of time, sends them at a planned rate with vegeta, and verifies the answers
with the same code as the checks. Latency counts from the time at which a request was due, so a server that stalls
cannot hide it. Every request is accounted for: planned = sent + not sent, sent = answered + failed.

The rate is constant (--rate, --duration) or follows --stages: ramps, steps, spikes. Every stage starts afresh, with a
request at its beginning; what a plan has is the sum of its stages. The requests of --warm-up are sent, accounted for
and verified like all others, but not measured: rates, percentiles and objectives begin behind it. What fails in it is
told and is no error of an objective; a wrong answer always is.

An objective is [SHARE.][OPERATION.]METRIC, a comparison (< <= == >= >) and a value:
  p50 p99 p99.9 mean max   of latency; service.p99 of service time, lag.p99 of the generator's own delay
  errors errors.CLASS wrong   a count, or a percentage of what was sent; errors are failed and wrong answers
  rate   a percentage of what was asked, or a rate; of all requests together
OPERATION is license, certificate or another kind of message, SHARE a profile or system of a mix. With 'each 10s' behind
it, an objective of latency, errors or wrong must be kept over the whole run and in each window of ten seconds behind
the warm-up. A window has the requests that were due in it; the last one is judged if at least half of it was run.

Several profiles share the requests, equally or by the weights of --mix: which request is for which profile is fixed,
nothing is drawn. The report tells what became of each share beside the totals. Each profile's requests are divided further by
--mix-asset, by --mix-kind into licenses, service certificates and renewals, and by --bad into license requests that are right
and such with a broken signature, which must be refused: a license for one is wrong. The weights multiply. Renewals go on with
licenses that are got before the first request is due, beside the plan.

With --corpus the key requests are drawn from a file that keyflow mint wrote, each sent once; with --request captured ones are
sent again and again, those in a browser's recording with --har, which the report says: a server may answer them from a cache, and may refuse what it has seen. Their
answers are judged in full if the device that made them is at hand, else by their shape, and count as unverified then.

While it runs, it is streamed to DIR.journal beside the DIR of its report: if the process is killed, keyflow report render
makes a report of that.

Tokens that requests share are renewed ahead of their end. While a token service is down, what is due is not sent, for the
reason no-token: neither the license server nor keyflow is blamed for it. After 30 s without a token the run ends.

Hosts other than this machine must be named with --allow-host or in the profile's limits.hosts; limits and --budget end a run
that would go beyond them. What is sent where is told before the first request; --dry-run tells it and sends nothing.
Without --profile and --system it is the embedded Widevine fake, with --mix the embedded fakes of both systems.

Exit codes: 0 all objectives kept, 2 usage, 3 keyflow's own error, 4 the server cannot be reached, 5 incomplete,
7 an objective was missed; wrong==0 and errors==0 are always objectives unless --slo names them, of all requests.`,
		Example: `  keyflow load --rate 200/s --duration 10s
  keyflow load --system playready --rate 200/s --duration 10s
  keyflow load --mix widevine=3,playready=1 --rate 200/s --duration 10s
  keyflow load --mix-kind license=8,certificate=1 --bad 5% --rate 200/s --duration 10s
  keyflow load --mix widevine=3,playready=1 --mix-kind license=9,widevine:certificate=1
  keyflow load --asset cenc-1key --asset cenc-3key --mix-asset cenc-1key=3,cenc-3key=1
  keyflow load --rate 50/s --duration 1m --slo 'p99<250ms' --slo 'errors<0.1%'
  keyflow load --stages '0/s..200/s@30s,200/s@1m,500/s@5s,200/s@1m' --warm-up 30s --slo 'license.p99<250ms each 10s'
  keyflow load --rate 500/s --duration 30s --verify 10%
  keyflow load --rate 200/s --vegeta-results results.bin && vegeta report results.bin
  keyflow load --profile DIR/plain-widevine.yaml --authority DIR --asset FOLDER
  keyflow load --corpus FILE --profile DIR/plain-widevine.yaml --authority DIR --rate 500/s --duration 1m
  keyflow load --request FILE --profile PROFILE --rate 5/s
  keyflow load --rate 50/s --keep-alive=false
  keyflow load --profile FILE --authority DIR --allow-host license.example --rate 20/s --dry-run
  keyflow load --har FILE --profile PROFILE --rate 5/s
  keyflow load --profile expressplay-widevine-test --stand-in`,
		RunE: func(c *cobra.Command, _ []string) error { return a.load(c.Context(), f) },
	}
	f.targetFlags.register(c, "load")
	s := c.Flags()
	f.planFlags.register(s)
	s.StringVar(&f.verify, "verify", "all", "share of the answers to verify in full: all, none or `N%`")
	s.StringArrayVar(&f.slos, "slo", nil, "objective `EXPR` such as 'p99<250ms', 'license.p99<250ms each 10s', 'errors<0.1%', 'rate>=95%'; repeat for several")
	s.DurationVar(&f.timeout, "timeout", loadtest.DefaultTimeout, "for one request")
	f.transportFlags.register(s)
	s.StringArrayVar(&f.mix, "mix", nil, "shares of the requests by `NAME=WEIGHT,...`, the names of profiles or their systems (default: equal shares of the profiles)")
	s.StringVar(&f.corpus, "corpus", "", "draw the key requests from a `FILE` that keyflow mint wrote")
	f.captureFlags.register(s, "replay the captured key request in this `FILE`, as bytes or in base64; repeat for several", "replay the license requests in this `FILE`, an HTTP archive of a browser")
	s.IntVar(&f.devices, "devices", 0, "`N` devices take turns at making the key requests to the embedded fakes or the stand-in; a server that remembers certificates is faster with few (default 2)")
	s.StringVar(&f.results, "vegeta-results", "", "write a record of each request to this `FILE`, due times and all, for vegeta report, plot and encode")
	f.parts.register(c)
	s.StringArrayVar(&f.allowHosts, "allow-host", nil, "`HOST` that you may put load on; this machine always is, and so are those in a profile's limits.hosts")
	s.BoolVar(&f.owned, "i-own-this-service", false, "the service is yours, or you may put load on it, though its profile says prod_ack: it is shared or in production")
	s.BoolVar(&f.dryRun, "dry-run", false, "tell what would be sent where, and send nothing")
	return c
}

func (a *app) load(ctx context.Context, f *loadFlags) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	f.margin = config.Lead()
	if err := f.parts.read(config.Verify); err != nil {
		return err
	}
	from, err := f.supply(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = from.close() }() // a file that was read
	s, all, embedded, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	streams, err := f.mixed(from, all, embedded)
	if err != nil {
		return err
	}
	leaves, err := f.leaves(streams)
	if err != nil {
		return err
	}
	if err := s.keep(leaves, config.Plan); err != nil {
		return err
	}
	if err := from.prepare(s, f, streams); err != nil {
		return err
	}
	if err := f.allowed(streams, config.Plan); err != nil {
		return err
	}
	if err := s.aim(f, from, leaves, config); err != nil {
		return err
	}
	if err := config.CheckObjectives(); err != nil {
		return usage(err, "for example --slo 'license.p99<250ms each 10s'")
	}
	if err := f.affordable(streams, leaves, config); err != nil {
		return err
	}
	if err := f.ready(); err != nil {
		return err
	}
	progress := a.loadProgress(f.json)
	if f.dryRun {
		progress.tell(s, leaves, config, f.terms(streams, config))
		return nil
	}
	out, err := a.stream(f, s, config)
	if err != nil {
		return err
	}
	config.Progress = progress.update
	progress.start(s, leaves, config, f.terms(streams, config))
	evidence := newEvidence()
	config.Evidence = evidence.take
	load, err := loadtest.Run(ctx, *config)
	progress.stop()
	return a.end(out, a.finishLoad(ctx, f, s, streams, load, evidence, err))
}

// config reads the flags of the plan.
func (f *loadFlags) config() (*loadtest.Config, error) {
	plan, err := f.plan()
	if err != nil {
		return nil, err
	}
	verify, err := loadtest.ParseVerify(f.verify)
	if err != nil {
		return nil, usage(err, "for example --verify 5%")
	}
	c := &loadtest.Config{Plan: plan, WarmUp: f.warmUp, Verify: verify, Timeout: f.timeout}
	if err := f.transportFlags.set(c); err != nil {
		return nil, err
	}
	if f.timeout <= 0 {
		return nil, usage(fmt.Errorf("--timeout %v is not positive", f.timeout), "for example --timeout 10s")
	}
	if err := c.CheckWarmUp(); err != nil {
		return nil, usage(err, "for example --duration 1m --warm-up 10s")
	}
	c.SLOs, err = objectives(f.slos)
	return c, err
}

// keep makes the streams those of the run, and tells each how many of the plan's requests are its own, and each that they are
// leaves of.
func (s *setting) keep(streams []*stream, plan loadtest.Plan) error {
	weights := make([]int64, len(streams))
	s.targets = nil
	for i, st := range streams {
		weights[i] = st.weight
		s.targets = append(s.targets, st.targets...)
	}
	mix, err := loadtest.NewMix(weights...)
	if err != nil {
		return usage(err, coarserHint)
	}
	for i, n := range mix.Counts(plan, plan.Total()) {
		st := streams[i]
		st.planned, st.leases = n, st.tokens(n)
		if st.of != nil {
			st.of.planned, st.of.leases = st.of.planned+n, st.of.leases+st.leases
		}
	}
	return nil
}

// aim fills in what is sent where and how answers are judged.
func (s *setting) aim(f *loadFlags, from supply, streams []*stream, c *loadtest.Config) error {
	c.Seed, c.Expect, c.KeyRequests = s.seed, map[drm.KID]drm.Fingerprint{}, from.report()
	judges := map[judged]device{}
	for _, st := range streams {
		first := st.targets[0]
		_, platforms := s.devices(f.platform, st.profile.DRM, first.Clock)
		for _, p := range platforms {
			judges[judged{st.profile.DRM, p.Device()}] = p
		}
		share, err := st.share(from, platforms)
		if err != nil {
			return err
		}
		share.Limit = s.limit(st, f)
		c.Shares = append(c.Shares, share)
		for _, t := range st.targets {
			for _, track := range t.Asset.Tracks {
				if !track.Key.IsZero() {
					c.Expect[track.KID] = track.Key.Fingerprint()
				}
			}
		}
		// As many requests are in flight together as the strictest of the profiles allows for itself: they may all be its own.
		if limit := st.profile.Limits.MaxInFlight; first.Kind == suites.Server && limit > 0 && (c.Workers == 0 || limit < c.Workers) {
			c.Workers = limit
		}
	}
	others := s.onlookers()
	c.Judge = func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict {
		if p, known := judges[judged{m.Ticket.System, m.Ticket.Device}]; known {
			return p.Judge(m.Ticket, m.Body, answer, d)
		}
		return others[m.Ticket.System].Judge(m.Ticket, m.Body, answer, d)
	}
	return nil
}

// judged says whose answers a device judges.
type judged struct {
	system drm.System
	device drm.Fingerprint
}

// source mints the stream's key requests.
func (st *stream) source(platforms []device) (loadtest.Source, error) {
	next, err := st.turns(platforms)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (loadtest.Fresh, error) {
		p, ask := next()
		return mint(ctx, st.profile, p, ask)
	}, nil
}

// mint takes a lease, and makes one fresh key request for it in a session of its own.
func mint(ctx context.Context, profile *provider.Profile, p drm.Platform, a suites.Ask) (loadtest.Fresh, error) {
	lease, err := profile.Lease(ctx, a.Need)
	if err != nil {
		return loadtest.Fresh{}, err
	}
	m, err := request(ctx, p, a, lease.CustomData, drm.KindLicense)
	return loadtest.Fresh{Message: m, Lease: lease}, err
}

// request makes one request in a session of its own.
func request(ctx context.Context, p drm.Platform, a suites.Ask, custom secret.Bytes, kind drm.Kind) (drm.Message, error) {
	session, err := p.Open(ctx, a.Box, drm.Options{CustomData: custom})
	if err != nil {
		return drm.Message{}, err
	}
	m, err := session.Request(ctx, kind)
	return m, errors.Join(err, session.Close())
}

// turn says which device makes request k of a stream, and what it asks for: for each ask the devices in turn.
func turn(k int64, devices, asks int) (device, ask int) {
	return int(k % int64(devices)), int(k / int64(devices) % int64(asks))
}

func (a *app) finishLoad(ctx context.Context, f *loadFlags, s *setting, streams []*stream, load *reports.Load, e *evidence, err error) error {
	if load == nil {
		return harness(err)
	}
	if none := notRenewable(err); none != nil {
		return none
	}
	var elsewhere *hostError
	if load.Accounting.Sent == 0 && errors.As(err, &elsewhere) {
		return elsewhere.usage()
	}
	tellCounted(streams, load)
	r := s.report("load", f.faults)
	r.Run.Interrupted = interrupted(ctx, err)
	r.Run.Finished = time.Now().UTC()
	r.Load = load
	r.Verdict = loadtest.Verdict(load, len(f.slos) > 0, r.Run.Interrupted)
	var unreachable *loadtest.UnreachableError
	var unprepared *loadtest.PrepareError
	var stopped *loadtest.StopError
	switch {
	case errors.As(err, &stopped): // told as an interruption, and an error of nobody
	case errors.As(err, &unprepared):
		r.Verdict.Exit = reports.WorstExit(r.Verdict.Exit, unpreparedExit(unprepared))
		r.Verdict.State = reports.Incomplete
	case errors.As(err, &unreachable):
		r.Verdict.Exit = reports.WorstExit(r.Verdict.Exit, reports.ExitUnreachable)
		r.Verdict.State = reports.Incomplete
	case err != nil:
		r.Verdict.Exit, r.Verdict.State = reports.WorstExit(r.Verdict.Exit, reports.ExitHarness), reports.Broken
	}
	return a.finish(&f.targetFlags, s, r, e.transcripts)
}
