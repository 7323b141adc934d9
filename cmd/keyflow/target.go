package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
)

// setting is a run's targets and what has to be ended after it.
type setting struct {
	targets   []*suites.Target
	authority *fakes.Authority
	identity  *widevine.Identity // nil without --identity
	fake      *fakes.Server      // nil with a profile
	vault     *secret.Vault
	clock     drm.Clock
	seed      int64
	started   time.Time
}

// close ends the embedded fakes.
func (s *setting) close() {
	if s.fake != nil {
		_ = s.fake.Close() // nothing depends on how a fake on loopback ends
	}
}

// prepare reads everything that the flags name and starts the embedded fakes. All errors are of usage or configuration.
func (f *targetFlags) prepare(ctx context.Context) (*setting, error) {
	s := &setting{vault: secret.NewVault(), clock: drm.SystemClock, seed: f.seed, started: time.Now()}
	if s.seed == 0 {
		s.seed = int64(rand.Uint32()) //nolint:gosec // a seed of order and faults, no secret
	}
	if err := f.consistent(); err != nil {
		return nil, err
	}
	assets, err := f.assets()
	if err != nil {
		return nil, err
	}
	if f.authority != "" {
		if s.authority, err = fakes.ReadAuthority(f.authority); err != nil {
			return nil, usage(err, "keyflow fake --export DIR writes an authority")
		}
	}
	if err := s.loadIdentity(f.identity); err != nil {
		return nil, err
	}
	profiles, err := f.loadProfiles(s)
	if err != nil {
		return nil, err
	}
	if err := oneKey(profiles, assets); err != nil {
		return nil, err
	}
	if len(profiles) == 0 {
		p, err := s.startFake(ctx, f, assets)
		if err != nil {
			return nil, err
		}
		profiles = []*provider.Profile{p}
	}
	if s.authority != nil {
		s.authority.AddTo(s.vault)
	}
	s.addTargets(f, profiles, assets)
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
	kinds := []string{"", string(suites.PlatformNone), string(suites.PlatformIdentity), string(suites.PlatformHarness)}
	switch {
	case !slices.Contains(kinds, f.platform):
		return usage(fmt.Errorf("unknown platform %q: %s", f.platform, nearest.Hint(f.platform, kinds[1:])), "keyflow check --help tells what each platform needs")
	case len(f.profiles) > 0 && len(f.faults) > 0:
		return usage(errors.New("--fault is for the embedded fakes, not for the server of a profile"), "start a fake with the fault in another process: keyflow fake --fault NAME --export DIR")
	case len(f.profiles) > 0 && f.assetKeys != "":
		return usage(errors.New("--asset-keys is for the embedded fakes, the server of a profile has its own keys"), "give the file to the fake: keyflow fake --asset-keys FILE")
	case len(f.profiles) > 0 && f.platform == string(suites.PlatformHarness) && f.authority == "":
		return usage(errors.New("--platform harness needs --authority DIR: the server must trust its devices"), "keyflow fake --export DIR writes an authority")
	case f.platform == string(suites.PlatformIdentity) && f.identity == "":
		return usage(errors.New("--platform identity needs --identity DIR"), "DIR holds client_id.bin and private_key.pem of a device that the vendor issued to you")
	case len(f.profiles) == 0 && f.identity != "" && f.authority == "":
		return usage(errors.New("--identity needs --profile: the embedded fakes trust no device of a vendor"), "name your license server with --profile FILE")
	case f.assetKeys != "" && len(f.asset) == 0:
		return usage(errors.New("--asset-keys needs --asset FOLDER: embedded assets have their keys"), "")
	}
	return nil
}

// loadProfiles reads the profiles and gives them what they need of this run: variables, budget, and the vault that is told
// their secrets.
func (f *targetFlags) loadProfiles(s *setting) ([]*provider.Profile, error) {
	paths := f.profiles
	if env := os.Getenv("KEYFLOW_PROFILE"); len(paths) == 0 && env != "" {
		paths = []string{env}
	}
	var profiles []*provider.Profile
	var errs []error
	environment := provider.Environment{
		Vault: s.vault, HTTP: suites.NewClient(suites.RequestTimeout), Clock: s.clock, Budget: provider.NewBudget(f.budget), Insecure: f.insecure,
	}
	for _, path := range paths {
		p, err := provider.Load(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p.DRM != drm.Widevine {
			errs = append(errs, fmt.Errorf("%s: drm %s: there is no platform for it", path, p.DRM))
		}
		if p, err = p.Bind(environment); err != nil {
			errs = append(errs, err)
			continue
		}
		if p.Address() != "" && !p.Secure() && !f.insecure {
			errs = append(errs, fmt.Errorf("%s: request.url is plain http beyond this machine; --insecure allows it", path))
		}
		if p.Billed() && f.budget < 1 {
			errs = append(errs, fmt.Errorf("%s: its tokens cost money: --budget N allows N of them", path))
		}
		variants, err := variantsOf(p)
		profiles, errs = append(profiles, variants...), append(errs, err)
	}
	if errors.Join(errs...) != nil {
		return nil, usage(errors.Join(errs...), "keyflow fake --export DIR writes a profile to start from")
	}
	return profiles, nil
}

// variantsOf returns the variants of a profile, or the profile itself if it has none.
func variantsOf(p *provider.Profile) ([]*provider.Profile, error) {
	ids := p.VariantIDs()
	if len(ids) == 0 {
		return []*provider.Profile{p}, nil
	}
	var variants []*provider.Profile
	for _, id := range ids {
		v, err := p.WithVariant(id)
		if err != nil {
			return nil, err
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// oneKey refuses assets with several keys for profiles that take a lease per KID: a check walks one session per asset.
func oneKey(profiles []*provider.Profile, assets []*suites.Asset) error {
	for _, p := range profiles {
		for _, a := range assets {
			if n := len(a.KIDs()); p.PerKID() && n > 1 {
				return usage(fmt.Errorf("profile %s takes a token for one KID, asset %s has %d", p.ID, a.Name, n), "give assets with one key, for example --asset cenc-1key")
			}
		}
	}
	return nil
}

// assets opens what --asset names.
func (f *targetFlags) assets() ([]*suites.Asset, error) {
	var opened []fixtures.Asset
	var err error
	if len(f.asset) == 0 {
		if opened, err = fixtures.Assets(); err != nil {
			return nil, harness(err)
		}
	}
	for _, name := range f.asset {
		a, err := openAsset(name)
		if err != nil {
			return nil, usage(err, "keyflow list assets shows the embedded ones; a folder must hold one MPD and its segments")
		}
		opened = append(opened, a)
	}
	var assets []*suites.Asset
	for _, a := range opened {
		asset, err := suites.LoadAsset(a)
		if err != nil {
			return nil, usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment")
		}
		assets = append(assets, asset)
	}
	return assets, nil
}

// openAsset opens a folder, the folder of an MPD, or an embedded asset. A name with a path separator is never one of those.
func openAsset(name string) (fixtures.Asset, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir() && strings.EqualFold(filepath.Ext(name), ".mpd"):
		return fixtures.OpenDir(filepath.Dir(name))
	case err == nil && info.IsDir(), strings.ContainsAny(name, `/\`):
		return fixtures.OpenDir(name)
	default:
		return fixtures.Open(name)
	}
}

// startFake starts the embedded fakes and returns a profile that points at them.
func (s *setting) startFake(ctx context.Context, f *targetFlags, assets []*suites.Asset) (*provider.Profile, error) {
	o := fakes.Options{Authority: s.authority, Seed: s.seed}
	var err error
	if o.Faults, err = parseFaults(f.faults); err != nil {
		return nil, err
	}
	if o.Keys, o.TrackLabels, err = keyStore(assets, f.assetKeys); err != nil {
		return nil, err
	}
	if err := allKeys(assets, o.Keys); err != nil {
		return nil, err
	}
	if s.fake, err = fakes.Start(context.WithoutCancel(ctx), o); err != nil {
		return nil, harness(err)
	}
	s.authority, s.clock = s.fake.Authority(), s.fake.Clock()
	s.fake.AddTo(s.vault)
	p, err := provider.Parse("embedded fakes", []byte(s.fake.Profile()))
	if err != nil {
		return nil, harness(err)
	}
	return p, nil
}

// allKeys refuses assets that the embedded fakes could not serve: every check would end in their refusal.
func allKeys(assets []*suites.Asset, keys map[drm.KID]secret.Bytes) error {
	for _, a := range assets {
		lacking := slices.DeleteFunc(a.KIDs(), func(kid drm.KID) bool { return !keys[kid].IsZero() })
		if len(lacking) > 0 {
			return usage(fmt.Errorf("asset %s: the embedded fakes have no key for KID %s", a.Name, drm.JoinKIDs(lacking)),
				"give them the content's keys with --asset-keys FILE, or test the real server with --profile FILE")
		}
	}
	return nil
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

// keyStore is what a fake serves: the keys of the embedded assets, and of a file.
func keyStore(assets []*suites.Asset, file string) (map[drm.KID]secret.Bytes, map[drm.KID]string, error) {
	keys, labels := map[drm.KID]secret.Bytes{}, map[drm.KID]string{}
	for _, a := range assets {
		for _, t := range a.Tracks {
			if labels[t.KID] == "" { // tracks that share a key have the first one's label
				labels[t.KID] = t.Label
			}
			if !t.Key.IsZero() {
				keys[t.KID] = t.Key
			}
		}
	}
	if file == "" {
		return keys, labels, nil
	}
	more, err := readKeys(file)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(keys, more)
	return keys, labels, nil
}

func readKeys(file string) (map[drm.KID]secret.Bytes, error) {
	const hint = "one KID:KEY a line, 32 hexadecimal digits each; # starts a comment"
	r, err := os.Open(file)
	if err != nil {
		return nil, usage(fmt.Errorf("read asset keys: %w", err), hint)
	}
	defer r.Close()
	keys, err := fixtures.ReadKeys(r)
	if err != nil {
		return nil, usage(fmt.Errorf("read asset keys %s: %w", file, err), hint)
	}
	return keys, nil
}

// addTargets makes a target of every profile and asset.
func (s *setting) addTargets(f *targetFlags, profiles []*provider.Profile, assets []*suites.Asset) {
	kind := suites.Server
	if s.fake != nil {
		kind = suites.EmbeddedFakes
	}
	platformKind, platforms := s.platforms(f.platform)
	client := suites.NewClient(suites.RequestTimeout)
	for _, p := range profiles {
		patience := new(suites.Patience)
		for _, a := range assets {
			t := &suites.Target{Kind: kind, Profile: p, Variant: p.Variant, Asset: a, PlatformKind: platformKind, Client: client, Clock: s.clock, Vault: s.vault, Patience: patience}
			if len(platforms) > 0 {
				t.Platform = platforms[0]
				if len(platforms) > 1 {
					t.Second = platforms[1]
				}
			}
			s.targets = append(s.targets, t)
		}
	}
}

// loadIdentity reads the device of --identity.
func (s *setting) loadIdentity(dir string) error {
	if dir == "" {
		return nil
	}
	id, err := widevine.LoadIdentity(filepath.Join(dir, "client_id.bin"), filepath.Join(dir, "private_key.pem"))
	if err != nil {
		return usage(err, "--identity DIR holds client_id.bin (client id blob) and private_key.pem of a device that the vendor issued to you")
	}
	for _, part := range id.Key().Parts() {
		s.vault.Add("device-key", part)
	}
	s.identity = &id
	return nil
}

// platforms are the devices that speak to the server, and what kind they are: the identity, or else those of the authority.
// Service certificates are verified under the authority's root if there is one, else under the vendor's.
func (s *setting) platforms(want string) (suites.PlatformKind, []*widevine.Platform) {
	kind := suites.PlatformNone
	var devices []widevine.Identity
	switch {
	case want == string(suites.PlatformNone):
	case s.identity != nil && want != string(suites.PlatformHarness):
		kind, devices = suites.PlatformIdentity, []widevine.Identity{*s.identity}
	case s.authority != nil:
		kind, devices = suites.PlatformHarness, s.authority.Devices()
	}
	root := chain.VendorRoot()
	if s.authority != nil {
		root = s.authority.RootKey()
	}
	var ps []*widevine.Platform
	for _, d := range devices {
		ps = append(ps, widevine.NewPlatform(d, s.clock).WithRoot(root))
	}
	return kind, ps
}

// report starts a report on the targets.
func (s *setting) report(command string, faults []string) *reports.Report {
	r := &reports.Report{
		Schema: reports.Schema, Tool: tool(),
		Run:    reports.Run{ID: fmt.Sprintf("%s-%s", command, s.started.UTC().Format("20060102T150405Z")), Command: command, Started: s.started.UTC(), Seed: s.seed},
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
	}
	return r
}
