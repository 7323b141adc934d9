package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fixtures"
	"keyflow/loadtest"
	"keyflow/loadtest/corpus"
	"keyflow/reports"
	"keyflow/suites"
)

type mintFlags struct {
	targetFlags
	count int64
	file  string
	mix   []string
	force bool
}

// maxMinted bounds the entries of a corpus.
const maxMinted = 100_000_000

func (a *app) mintCommand() *cobra.Command {
	f := &mintFlags{}
	c := &cobra.Command{
		Use:   "mint",
		Short: "Write a corpus of key requests for load --corpus",
		Long: `mint makes key requests ahead of a load run, on all processors, and writes them into one file: to make one costs a signature,
which is more than to send it. keyflow load --corpus FILE sends each once, in another process or on another machine, and judges
the answers with the same devices: those of an --authority that both have, or of an --identity.

Nothing is sent, and no token is taken: the load run takes a fresh one for each request. A profile whose token is signed into
the request (playready.custom_data) has no corpus. The file holds no secret; its requests are dated, and a server may refuse
them as old one day.

Which request is for which profile, asset and device follows from its number. An interrupt keeps the requests made so far as
FILE.partial, a whole corpus of its own.

Exit codes: 0 written, 2 usage, 3 keyflow's own error or a full disk, 5 interrupted.`,
		Example: `  keyflow fake --export DIR                 and in another terminal:
  keyflow mint --authority DIR --count 30000 --out requests.corpus
  keyflow load --corpus requests.corpus --profile DIR/plain-widevine.yaml --authority DIR --rate 500/s --duration 1m
  keyflow mint --authority DIR --mix widevine=3,playready=1 --count 40000 --out requests.corpus`,
		RunE: func(c *cobra.Command, _ []string) error { return a.mint(c.Context(), f) },
	}
	s := c.Flags()
	s.Int64Var(&f.count, "count", 0, "how many key requests: `N`")
	s.StringVar(&f.file, "out", "", "`FILE` to write")
	s.BoolVar(&f.force, "force", false, "replace the file if it is there")
	s.StringArrayVar(&f.profiles, "profile", nil, "provider profile: the `NAME` of an embedded one or a YAML file; repeat for several (default: the embedded fakes')")
	s.StringArrayVar(&f.mix, "mix", nil, "shares of the requests by `NAME=WEIGHT,...`, the names of profiles or their systems (default: equal shares of the profiles)")
	s.StringArrayVar(&f.asset, "asset", nil, "DASH content: the `NAME` of an embedded asset, a folder, or an MPD in one; repeat for several (default: all embedded ones)")
	s.StringVar(&f.system, "system", "", "the DRM system: widevine or playready (default: that of the profile, without one widevine)")
	s.StringVar(&f.platform, "platform", "", "what makes the requests: identity or harness (default: identity with --identity, else harness)")
	s.StringVar(&f.authority, "authority", "", "`DIR` with the authority that keyflow fake --export wrote")
	s.StringVar(&f.identity, "identity", "", "`DIR` with the device that the vendor issued to you, see keyflow load --help")
	s.StringToStringVar(&f.vars, "var", nil, "`NAME=VALUE` of a variable of the profile that is no secret; repeat for several")
	s.BoolVar(&f.json, "json", false, "print the result as JSON on standard output")
	return c
}

func (a *app) mint(ctx context.Context, f *mintFlags) error {
	if err := f.possible(); err != nil {
		return err
	}
	s, assets, err := f.begin()
	if err != nil {
		return err
	}
	defer s.close()
	streams, err := f.streams(s, assets)
	if err != nil {
		return err
	}
	job, err := f.job(s, streams)
	if err != nil {
		return err
	}
	w, err := corpus.Create(f.file, job.header)
	if err != nil {
		return usage(err, "name a file in a directory that can be written")
	}
	began := time.Now()
	progress := a.mintProgress(f.json, f.count)
	progress.start(f, streams)
	err = w.Fill(ctx, f.count, runtime.GOMAXPROCS(0), func(ctx context.Context, i int64) (corpus.Entry, error) {
		e, err := job.entry(ctx, i)
		progress.minted.Add(1)
		return e, err
	})
	progress.stop()
	return a.finishMint(ctx, f, job, w, time.Since(began), err)
}

// possible refuses flags that no corpus can come of.
func (f *mintFlags) possible() error {
	switch {
	case f.count < 1 || f.count > maxMinted:
		return usage(fmt.Errorf("--count %d is not between 1 and %d", f.count, maxMinted), "as many as rate times duration of the load run, for example --count 30000 for 500/s in a minute")
	case f.file == "":
		return usage(errors.New("mint needs --out FILE"), "for example --out requests.corpus")
	case f.authority == "" && f.identity == "":
		return usage(errors.New("mint needs devices that the load run has too, or nobody could judge the answers"), "keyflow fake --export DIR writes an --authority DIR; --identity DIR has a device that the vendor issued to you")
	case f.platform == string(suites.PlatformNone), f.platform == string(suites.PlatformCaptured):
		return usage(fmt.Errorf("--platform %s makes no key requests", f.platform), "leave it out")
	}
	if info, err := os.Lstat(f.file); err == nil && info.IsDir() {
		return usage(fmt.Errorf("--out %s is a directory", f.file), "name a file, for example "+filepath.Join(f.file, "requests.corpus"))
	} else if err == nil && !f.force {
		return usage(fmt.Errorf("--out %s: %w", f.file, corpus.ErrExists), "--force replaces it")
	}
	return nil
}

// streams are the profiles that requests are minted for, with their weights. No profile needs its secrets or tokens for that.
func (f *mintFlags) streams(s *setting, assets []*suites.Asset) ([]*stream, error) {
	profiles, err := f.openProfiles()
	if err != nil {
		return nil, err
	}
	embedded := len(profiles) == 0
	if embedded {
		for _, name := range []string{"plain-widevine", "plain-playready"} {
			text, err := fixtures.Profile(name)
			if err != nil {
				return nil, harness(err)
			}
			p, err := provider.Parse(name+" (embedded)", text)
			if err != nil {
				return nil, harness(err)
			}
			if f.wants(p.DRM) {
				profiles = append(profiles, p)
			}
		}
	}
	var all []*stream
	for _, p := range profiles {
		st, err := f.stream(s, assets, p)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
		if err := distinct(all); err != nil {
			return nil, err
		}
	}
	if f.mix != nil {
		return mixOf(f.mix, all)
	}
	if embedded {
		all = all[:1]
	}
	return all, nil
}

// stream is the traffic for one profile: as under load that of its first variant.
func (f *mintFlags) stream(s *setting, assets []*suites.Asset, p *provider.Profile) (*stream, error) {
	if p.HasCustomData() && p.SignsAhead() == nil {
		environment := f.environment(s)
		environment.Clock = s.clock
		bound, err := p.Bind(environment)
		if err != nil {
			return nil, profileError(err)
		}
		p = bound
	}
	one := party{profile: p, kind: suites.Server, clock: s.clock}
	if err := s.identity.suits(f.identity, one); err != nil {
		return nil, err
	}
	parties, err := variantsOf(one)
	if err != nil {
		return nil, profileError(err)
	}
	before := len(s.targets)
	s.addTargets(&f.targetFlags, parties[:1], assets)
	st := s.streams(s.targets[before:])[0]
	if err := st.profile.SignsAhead(); err != nil {
		return nil, usage(fmt.Errorf("%w: it would be written into the file", err), "keyflow load without --corpus mints such requests as it goes, with fresh tokens")
	}
	return st, nil
}

// job makes the entries of a corpus by their numbers.
type job struct {
	header  corpus.Header
	mix     loadtest.Mix
	streams []*stream
	devices [][]device     // of each stream
	asks    [][]suites.Ask // of each stream
}

func (f *mintFlags) job(s *setting, streams []*stream) (*job, error) {
	weights := make([]int64, len(streams))
	j := &job{streams: streams, header: corpus.Header{Tool: version(), Created: time.Now().UTC()}}
	if s.authority != nil {
		j.header.Authority = string(s.authority.Fingerprint())
	}
	for i, st := range streams {
		weights[i] = st.weight
		_, devices := s.devices(f.platform, st.profile.DRM, s.clock)
		if len(devices) == 0 {
			return nil, usage(fmt.Errorf("there is no device for %s", st.name()), "give --authority DIR or --identity DIR")
		}
		asks, err := st.asks()
		if err != nil {
			return nil, err
		}
		g := corpus.Group{Profile: st.profile.ID, System: st.profile.DRM, Weight: st.weight}
		for _, d := range devices {
			g.Devices = append(g.Devices, d.Device())
		}
		for _, a := range asks {
			g.Asks = append(g.Asks, corpus.AskOf(a.Need))
		}
		j.header.Groups = append(j.header.Groups, g)
		j.devices, j.asks = append(j.devices, devices), append(j.asks, asks)
	}
	var err error
	if j.mix, err = loadtest.NewMix(weights...); err != nil {
		return nil, usage(err, "smaller weights, for example --mix widevine=3,playready=1")
	}
	for i, n := range j.mix.Counts(loadtest.Plan{}, f.count) {
		streams[i].planned = n
	}
	return j, nil
}

// entry makes entry i.
func (j *job) entry(ctx context.Context, i int64) (corpus.Entry, error) {
	group := j.mix.Share(loadtest.Plan{}, i)
	before := j.mix.Counts(loadtest.Plan{}, i)[group]
	d, a := turn(before, len(j.devices[group]), len(j.asks[group]))
	ask := j.asks[group][a]
	custom, err := j.streams[group].profile.CustomDataAhead(ask.Need)
	var m drm.Message
	if err == nil {
		m, err = request(ctx, j.devices[group][d], ask, custom, drm.KindLicense)
	}
	if err != nil {
		return corpus.Entry{}, fmt.Errorf("mint key request %d, for %s of asset %s: %w", i, j.streams[group].profile.ID, ask.Need.Asset, err)
	}
	return corpus.Entry{Message: m, Group: group, Ask: a}, nil
}

// finishMint gives the file its name, or that of a partial corpus, or removes it.
func (a *app) finishMint(ctx context.Context, f *mintFlags, j *job, w *corpus.Writer, took time.Duration, failed error) error {
	r := mintResult{File: f.file, Planned: f.count, Authority: j.header.Authority, Created: j.header.Created, Seconds: took.Seconds()}
	if failed != nil && ctx.Err() != nil {
		r.File, r.Interrupted, failed = f.file+".partial", "interrupt", nil
		a.exit = reports.ExitIncomplete
		if w.Entries() == 0 {
			return errors.Join(&userError{reports.ExitIncomplete, errors.New("interrupted before the first key request was written"), "nothing is left of it"}, w.Abort())
		}
	}
	var info corpus.Info
	if failed == nil {
		info, failed = w.Commit(r.File, f.force || r.Interrupted != "")
	}
	if failed != nil {
		entries := w.Entries()
		return errors.Join(mintError(failed, entries), w.Abort())
	}
	r.Info = info
	for i, st := range j.streams {
		r.Groups = append(r.Groups, mintedGroup{st.profile.ID, st.profile.DRM, st.weight, info.ByGroup[i]})
	}
	return a.printMinted(f, r)
}

// mintError tells a disk that cannot be written from requests that cannot be made.
func mintError(err error, entries int64) error {
	var file *os.PathError
	switch {
	case errors.Is(err, corpus.ErrExists):
		return usage(err, "--force replaces it")
	case errors.As(err, &file):
		return &userError{reports.ExitHarness, fmt.Errorf("%w; %d entries had been written, nothing is left of them", err, entries), "make room on the disk, or name a file on another one with --out; a request takes about 2 KB for Widevine and 6 KB for PlayReady"}
	}
	return harness(err)
}
