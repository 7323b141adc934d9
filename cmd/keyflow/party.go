package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
)

// party is a bound profile and what its URLs lead to.
type party struct {
	profile *provider.Profile
	kind    suites.Kind
	client  *http.Client
	clock   drm.Clock
	fake    *fakes.Server // nil: a real server
	dial    suites.Dial   // nil: the network
	tls     *tls.Config   // nil: the system's roots
	polite  *suites.Politeness
}

// parties opens the profiles and gives each its server: the real one, a stand-in, or the embedded fakes if there is no
// profile.
func (f *targetFlags) parties(ctx context.Context, s *setting, assets []*suites.Asset) ([]party, error) {
	profiles, err := f.openProfiles()
	if err != nil {
		return nil, err
	}
	if len(profiles) == 0 {
		if f.standIn {
			return nil, usage(errors.New("--stand-in needs --profile: it stands in for that provider"), "without a profile the embedded fakes are used anyway")
		}
		return s.startFake(ctx, f, assets)
	}
	var parties []party
	var errs []error
	for _, p := range profiles {
		open := f.bind
		if f.standIn {
			open = f.standInFor
		}
		one, err := open(ctx, s, assets, p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		variants, err := variantsOf(one)
		parties, errs = append(parties, variants...), append(errs, err)
	}
	return parties, profileError(errors.Join(errs...))
}

// profileError is an error of usage, unless it says otherwise.
func profileError(err error) error {
	var known *userError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return usage(err, "keyflow list profiles shows the embedded ones; keyflow fake --export DIR writes one to start from")
}

// openProfiles reads what --profile names, and tells everything that is wrong at once.
func (f *targetFlags) openProfiles() ([]*provider.Profile, error) {
	var profiles []*provider.Profile
	var errs []error
	for _, name := range f.profiles {
		p, err := openProfile(name)
		if err == nil && !f.wants(p.DRM) {
			err = fmt.Errorf("%s is for %s, and --system asks for %s", name, p.DRM, f.system)
		}
		profiles, errs = append(profiles, p), append(errs, err)
	}
	return profiles, profileError(errors.Join(errs...))
}

// openProfile opens a profile in a file, or else the embedded one of the name. A name that looks like a file is never that
// of an embedded one.
func openProfile(name string) (*provider.Profile, error) {
	if _, err := os.Stat(name); err == nil || strings.ContainsAny(name, `/\`) || filepath.Ext(name) != "" {
		return provider.Load(name)
	}
	text, err := fixtures.Profile(name)
	if err != nil {
		return nil, err
	}
	return provider.Parse(name+" (embedded)", text)
}

// bind gives a profile what it needs of this run to speak to its real server: variables, budget, the vault that is told its
// secrets, and a client that keeps its limits.
func (f *targetFlags) bind(_ context.Context, s *setting, _ []*suites.Asset, p *provider.Profile) (party, error) {
	one, err := f.bindServer(s, p)
	if err == nil && one.profile.Billed() && f.budget < 1 {
		return party{}, fmt.Errorf("%s: its tokens cost money: --budget N allows N of them, --stand-in tries it without the provider", p.Origin)
	}
	return one, err
}

// bindServer is bind for who takes tokens within the budget only.
func (f *targetFlags) bindServer(s *setting, p *provider.Profile) (party, error) {
	config, err := p.ClientTLS()
	if err != nil {
		return party{}, err
	}
	polite := suites.NewPoliteness(p.Limits)
	environment := f.environment(s)
	environment.Timeout = f.timeout
	environment.HTTP, environment.Clock, environment.Budget = polite.Client(suites.NewClient(max(suites.RequestTimeout, f.timeout))), s.clock, s.budget
	environment.HTTPWith = func(c *tls.Config) *http.Client { return polite.Client(suites.ProfileClient(p, nil, c)) }
	bound, err := p.Bind(environment)
	if err != nil {
		return party{}, err
	}
	if bound.Address() != "" && !bound.Secure() && !f.insecure {
		return party{}, fmt.Errorf("%s: request.url is plain http beyond this machine; --insecure allows it", p.Origin)
	}
	return party{profile: bound, kind: suites.Server, client: polite.Client(suites.ProfileClient(p, nil, config)), clock: s.clock, tls: config, polite: polite}, nil
}

// environment is what every profile of the run is bound to.
func (f *targetFlags) environment(s *setting) provider.Environment {
	return provider.Environment{Vault: s.vault, Vars: f.vars, RunID: strconv.FormatInt(s.seed, 36), Margin: f.margin, Insecure: f.insecure, AllowExec: f.allowExec, Taken: s.taken}
}

// standInFor starts the fakes behind the host names of a profile. Variables without a value get one that fits; budget and
// limits do not apply.
func (f *targetFlags) standInFor(ctx context.Context, s *setting, assets []*suites.Asset, p *provider.Profile) (party, error) {
	environment := f.environment(s)
	environment.Insecure, environment.Resolve = true, inventOnce(provider.Invent)
	environment.HTTPWith = func(*tls.Config) *http.Client { return environment.HTTP } // all hosts are the stand-in
	named, err := p.Bind(environment)
	if err != nil {
		return party{}, err
	}
	options, err := f.fakeOptions(s, assets)
	if err != nil {
		return party{}, err
	}
	standIn, err := fakes.StartStandIn(context.WithoutCancel(ctx), fakes.StandInOptions{Options: options, Provider: standInName(p), System: p.DRM, Origins: named.Origins(), Account: named.Variables()})
	if err != nil {
		return party{}, usage(fmt.Errorf("profile %s: %w", p.ID, err), "there are stand-ins for "+strings.Join(standInNames(), ", ")+"; a plain profile has no tokens")
	}
	s.stops = append(s.stops, standIn.Close)
	s.adopt(standIn.Server())
	client := suites.ProfileClient(p, standIn.DialContext, standIn.TLSConfig())
	environment.HTTP, environment.Clock, environment.Budget = client, standIn.Server().Clock(), provider.NewBudget(unlimited)
	bound, err := p.Bind(environment)
	return party{
		profile: bound, kind: suites.StandIn, client: client, clock: environment.Clock, fake: standIn.Server(),
		dial: standIn.DialContext, tls: standIn.TLSConfig(),
	}, err
}

// inventOnce returns a way to make values up that makes the same one whenever it is asked for a variable.
func inventOnce(invent func(string, provider.Var) string) func(string, provider.Var) string {
	values := map[string]string{}
	return func(name string, v provider.Var) string {
		if _, known := values[name]; !known {
			values[name] = invent(name, v)
		}
		return values[name]
	}
}

// unlimited is the budget of a stand-in: its tokens cost nothing.
const unlimited = 1 << 62

// standInName is the provider that a profile is of: the first word of its id, if there is a stand-in for it, and the plain
// license server for a profile without tokens.
func standInName(p *provider.Profile) string {
	name, _, _ := strings.Cut(p.ID, "-")
	if !slices.Contains(standInNames(), name) && !p.TakesToken() {
		return "plain"
	}
	return name
}

func standInNames() []string {
	var names []string
	for _, s := range fakes.StandIns() {
		names = append(names, s.Name)
	}
	return names
}

// variantsOf returns the party once for each variant of its profile, or as it is if there are none.
func variantsOf(one party) ([]party, error) {
	ids := one.profile.VariantIDs()
	if len(ids) == 0 {
		return []party{one}, nil
	}
	var variants []party
	for _, id := range ids {
		v := one
		var err error
		if v.profile, err = one.profile.WithVariant(id); err != nil {
			return nil, err
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// fakeOptions are those of the embedded fakes and of stand-ins.
func (f *targetFlags) fakeOptions(s *setting, assets []*suites.Asset) (fakes.Options, error) {
	o := fakes.Options{Authority: s.authority, Devices: f.devices, Seed: s.seed}
	var err error
	if o.Faults, err = parseFaults(f.faults); err != nil {
		return o, err
	}
	if o.Widevine, o.PlayReady, err = issueOptions(f.widevine, f.playReady); err != nil {
		return o, err
	}
	if o.Keys, o.TrackLabels, err = keyStore(assets, f.assetKeys); err != nil {
		return o, err
	}
	return o, allKeys(assets, o.Keys)
}

// startFake starts the embedded fakes and returns them once for each system, with a profile that points at them.
func (s *setting) startFake(ctx context.Context, f *targetFlags, assets []*suites.Asset) ([]party, error) {
	o, err := f.fakeOptions(s, assets)
	if err != nil {
		return nil, err
	}
	fake, err := fakes.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, harness(err)
	}
	s.stops = append(s.stops, fake.Close)
	s.adopt(fake)
	client := suites.NewClient(suites.RequestTimeout)
	var parties []party
	for _, text := range []string{fake.Profile(), fake.PlayReadyProfile()} {
		p, err := provider.Parse("embedded fakes", []byte(text))
		if err != nil {
			return nil, harness(err)
		}
		if f.wants(p.DRM) {
			parties = append(parties, party{profile: p, kind: suites.EmbeddedFakes, client: client, clock: fake.Clock(), fake: fake})
		}
	}
	return parties, nil
}

// wants reports whether --system asks for the system, or for none in particular.
func (f *targetFlags) wants(s drm.System) bool { return f.system == "" || f.system == string(s) }

// adopt makes a fake's authority that of the run, and its secrets known to the vault.
func (s *setting) adopt(fake *fakes.Server) {
	s.authority = fake.Authority()
	fake.AddTo(s.vault)
}

func parseFaults(names []string) ([]fakes.Setting, error) {
	var settings []fakes.Setting
	for _, name := range names {
		setting, err := fakes.ParseSetting(name)
		if err != nil {
			return nil, usage(err, "keyflow list faults shows them all")
		}
		settings = append(settings, setting)
	}
	return settings, nil
}
