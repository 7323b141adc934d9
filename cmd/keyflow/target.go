package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
)

// setting is a run's targets and what has to be ended after it.
type setting struct {
	targets   []*suites.Target
	authority *fakes.Authority
	identity  identity                                 // of --identity
	unknown   *identity                                // a device that no server trusts; nil until it is wanted
	fakes     map[*provider.Profile]*fakes.Server      // behind each profile; none for a real server
	polite    map[*provider.Profile]*suites.Politeness // of a real server's token and license requests
	stops     []func() error                           // of the fakes
	budget    *provider.Budget
	vault     *secret.Vault
	clock     drm.Clock                                         // of the machine
	taken     func(token string, took time.Duration, err error) // see [provider.Environment]; nil tells nobody
	seed      int64
	started   time.Time
}

// close ends the fakes.
func (s *setting) close() {
	for _, stop := range s.stops {
		_ = stop() // nothing depends on how a fake on loopback ends
	}
}

// fromEnvironment takes the profile that the environment names if no flag names one.
func (f *targetFlags) fromEnvironment() {
	if env := os.Getenv("KEYFLOW_PROFILE"); len(f.profiles) == 0 && env != "" {
		f.profiles = []string{env}
	}
}

// begin reads assets, authority and identity. All errors are of usage or configuration.
func (f *targetFlags) begin() (*setting, []*suites.Asset, error) {
	s := &setting{vault: secret.NewVault(), budget: provider.NewBudget(f.budget), clock: drm.SystemClock, seed: f.seed, started: time.Now(), fakes: map[*provider.Profile]*fakes.Server{}, polite: map[*provider.Profile]*suites.Politeness{}}
	if s.seed == 0 {
		s.seed = int64(rand.Uint32()) //nolint:gosec // a seed of order and faults, no secret
	}
	f.fromEnvironment()
	if err := f.consistent(); err != nil {
		return nil, nil, err
	}
	assets, err := f.assets()
	if err != nil {
		return nil, nil, err
	}
	if f.authority != "" {
		if s.authority, err = fakes.ReadAuthority(f.authority); err != nil {
			return nil, nil, usage(err, "keyflow fake --export DIR writes an authority")
		}
	}
	return s, assets, s.loadIdentity(f.identity)
}

// prepare reads everything that the flags name and starts the embedded fakes. All errors are of usage or configuration.
func (f *targetFlags) prepare(ctx context.Context) (*setting, error) {
	s, assets, err := f.begin()
	if err != nil {
		return nil, err
	}
	parties, err := f.parties(ctx, s, assets)
	if err != nil {
		s.close()
		return nil, err
	}
	if s.authority != nil {
		s.authority.AddTo(s.vault)
	}
	for _, p := range parties {
		if err := s.identity.suits(f.identity, p); err != nil {
			s.close()
			return nil, err
		}
	}
	s.addTargets(f, parties, assets)
	return s, nil
}

// ready reports whether the report can be written, before a long run that would be lost with it.
func (f *targetFlags) ready() error {
	if err := reports.CheckDir(f.out); err != nil {
		return usage(err, "name another directory with --out")
	}
	return nil
}

// consistent refuses flags that contradict each other.
func (f *targetFlags) consistent() error {
	kinds := []string{"", string(suites.PlatformNone), string(suites.PlatformCaptured), string(suites.PlatformIdentity), string(suites.PlatformHarness)}
	real := len(f.profiles) > 0 && !f.standIn
	systems := []string{string(drm.Widevine), string(drm.PlayReady)}
	switch {
	case f.system != "" && !slices.Contains(systems, f.system):
		return usage(fmt.Errorf("unknown system %q: %s", f.system, nearest.Hint(f.system, systems)), "for example --system playready")
	case !slices.Contains(kinds, f.platform):
		return usage(fmt.Errorf("unknown platform %q: %s", f.platform, nearest.Hint(f.platform, kinds[1:])), "keyflow check --help tells what each platform needs")
	case f.standIn && f.identity != "":
		return usage(errors.New("--identity is for a real server: a stand-in trusts the devices of its own authority"), "leave out --identity or --stand-in")
	case real && len(f.faults) > 0:
		return usage(errors.New("--fault is for the embedded fakes and --stand-in, not for a real server"), "start a fake with the fault in another process: keyflow fake --fault NAME --export DIR")
	case real && len(f.widevine) > 0:
		return usage(errors.New("--widevine is for the embedded fakes and --stand-in, not for a real server"), "start a fake of that kind in another process: keyflow fake --widevine NAME --export DIR")
	case real && len(f.playReady) > 0:
		return usage(errors.New("--playready is for the embedded fakes and --stand-in, not for a real server"), "start a fake of that kind in another process: keyflow fake --playready NAME --export DIR")
	case devicesInRange(f.devices) != nil:
		return devicesInRange(f.devices)
	case f.devices > 0 && (f.authority != "" || f.identity != "" || real):
		return usage(errors.New("--devices is for the embedded fakes and --stand-in, whose authority is made for the run"), "keyflow fake --devices N --export DIR makes an authority with N devices, for --authority DIR")
	case f.soak < 0:
		return usage(fmt.Errorf("--soak %d is not a number of licenses", f.soak), "for example --soak 5000")
	case real && f.assetKeys != "":
		return usage(errors.New("--asset-keys is for the embedded fakes, the server of a profile has its own keys"), "give the file to the fake: keyflow fake --asset-keys FILE")
	case real && f.platform == string(suites.PlatformHarness) && f.authority == "":
		return usage(errors.New("--platform harness needs --authority DIR: the server must trust its devices"), "keyflow fake --export DIR writes an authority")
	case f.platform == string(suites.PlatformIdentity) && f.identity == "":
		return usage(errors.New("--platform identity needs --identity DIR"), identityHint)
	case len(f.profiles) == 0 && f.identity != "" && f.authority == "":
		return usage(errors.New("--identity needs --profile: the embedded fakes trust no device of a vendor"), "name your license server with --profile FILE")
	case f.assetKeys != "" && len(f.asset) == 0:
		return usage(errors.New("--asset-keys needs --asset FOLDER: embedded assets have their keys"), "")
	}
	return nil
}

// addTargets makes a target of every party and asset.
func (s *setting) addTargets(f *targetFlags, parties []party, assets []*suites.Asset) {
	for _, p := range parties {
		kind, devices := s.devices(f.platform, p.profile.DRM, p.clock)
		patience := new(suites.Patience)
		for _, a := range assets {
			t := &suites.Target{
				Kind: p.kind, Profile: p.profile, Variant: p.profile.Variant, Asset: a, PlatformKind: kind,
				Client: p.client, Dial: p.dial, TLS: p.tls, Clock: p.clock, Vault: s.vault, Patience: patience, Slow: f.slow, Soak: f.soak,
			}
			s.polite[p.profile] = p.polite
			if p.fake != nil {
				s.fakes[p.profile] = p.fake
				t.Advance = p.fake.Clock().Advance
			}
			if kind == suites.PlatformHarness && p.profile.DRM == drm.PlayReady {
				t.Issue, t.Revoked = s.authority.Issuer(s.vault, p.clock), s.authority.RevokedPlayReady(p.clock)
			}
			if len(devices) > 0 {
				t.Platform = devices[0]
				if len(devices) > 1 {
					t.Second = devices[1]
				}
			}
			s.targets = append(s.targets, t)
		}
	}
	suites.Pair(s.targets)
}

// run says which run it is.
func (s *setting) run(command string) reports.Run {
	return reports.Run{ID: fmt.Sprintf("%s-%s", command, s.started.UTC().Format("20060102T150405Z")), Command: command, Started: s.started.UTC(), Seed: s.seed}
}

// report starts a report on the targets.
func (s *setting) report(command string, faults []string) *reports.Report {
	r := &reports.Report{
		Schema: reports.Schema, Tool: tool(), Run: s.run(command),
		Target: reports.Target{Kind: string(s.targets[0].Kind), Platform: string(s.targets[0].PlatformKind), Faults: faults},
	}
	add := func(list *[]string, text string) {
		if !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	for _, t := range s.targets {
		add(&r.Target.Profiles, t.Profile.ID)
		add(&r.Target.URLs, t.Profile.Request.URL)
		add(&r.Target.Assets, t.Asset.Name)
		if t.Kind == suites.Server {
			for _, what := range t.Profile.Insecurities() {
				add(&r.Target.Insecure, what)
			}
		}
	}
	return r
}
