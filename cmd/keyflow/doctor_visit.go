package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/suites"
	"keyflow/suites/doctor"
)

// visit is one look at a profile, prepared.
type visit struct {
	setting  *setting
	base     *provider.Profile   // as it was read
	variants []*provider.Profile // bound; those to be rendered, the first goes through the hops
	party    party
	asset    *suites.Asset
	visit    *doctor.Case
	device   string // in words
	server   string
}

// defaultDoctorAsset is the content of the canned key request: it has one key.
const defaultDoctorAsset = "cenc-1key"

// visit reads and binds everything that the flags name. All errors are of usage or configuration.
func (f *doctorFlags) visit(ctx context.Context) (*visit, error) {
	taken := doctor.NewTaken()
	v := &visit{setting: &setting{
		vault: secret.NewVault(), budget: provider.NewBudget(f.budget), clock: drm.SystemClock, seed: int64(rand.Uint32()), //nolint:gosec // a seed of faults, no secret
		started: time.Now(), fakes: map[*provider.Profile]*fakes.Server{}, taken: taken.Note,
	}}
	profiles, err := f.openProfiles()
	if err != nil {
		return nil, err
	}
	v.base = profiles[0]
	canned := len(f.asset) == 0
	if canned {
		f.asset = []string{defaultDoctorAsset}
	}
	assets, err := f.assets()
	if err != nil {
		return nil, err
	}
	v.asset = assets[0]
	if f.authority != "" {
		if v.setting.authority, err = fakes.ReadAuthority(f.authority); err != nil {
			return nil, usage(err, "keyflow fake --export DIR writes an authority")
		}
	}
	if err := v.setting.loadIdentity(f.identity); err != nil {
		return nil, err
	}
	if v.party, err = f.doctorParty(ctx, v.setting, assets, v.base); err != nil {
		v.setting.close()
		return nil, profileError(err)
	}
	if err := v.finish(ctx, f, taken, canned); err != nil {
		v.setting.close()
		return nil, err
	}
	return v, nil
}

// doctorParty binds the profile: to nobody, to the stand-in or to its real server. Programs of tokens do not keep it from being
// bound: package doctor runs none without leave.
func (f *doctorFlags) doctorParty(ctx context.Context, s *setting, assets []*suites.Asset, p *provider.Profile) (party, error) {
	own := f.targetFlags
	own.allowExec = true
	switch {
	case f.offline:
		return own.bindNobody(s, p)
	case f.standIn:
		return own.standInFor(ctx, s, assets, p)
	}
	return own.bindServer(s, p)
}

// bindNobody binds a profile for rendering: variables without a value get one that fits, and nothing can be sent.
func (f *targetFlags) bindNobody(s *setting, p *provider.Profile) (party, error) {
	nobody := &http.Client{Transport: silence{}}
	environment := f.environment(s)
	environment.Insecure, environment.Resolve, environment.HTTP, environment.Clock = true, inventOnce(p.Invent), nobody, s.clock
	environment.HTTPWith = func(*tls.Config) *http.Client { return nobody }
	bound, err := p.Bind(environment)
	return party{profile: bound, kind: suites.Server, client: nobody, clock: s.clock}, err
}

// silence is a transport that sends nothing.
type silence struct{}

func (silence) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("offline: nothing is sent")
}

// finish chooses variants and device, and makes the case.
func (v *visit) finish(ctx context.Context, f *doctorFlags, taken *doctor.Taken, canned bool) error {
	var err error
	if v.variants, err = doctor.Variants(v.party.profile); err != nil {
		return usage(err, "")
	}
	if f.variant != "" {
		one, err := v.party.profile.WithVariant(f.variant)
		if err != nil {
			return usage(err, "keyflow list profiles shows the variants")
		}
		v.variants = []*provider.Profile{one}
	}
	platform, trusted, err := v.choose(ctx, f)
	if err != nil {
		return err
	}
	v.server = string(v.party.kind)
	if f.offline {
		v.server = "none: nothing is sent"
	}
	if v.setting.authority != nil {
		v.setting.authority.AddTo(v.setting.vault)
	}
	asks, err := (&suites.Target{Profile: v.variants[0], Asset: v.asset}).Asks()
	if err != nil {
		return usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment; --asset names other content")
	}
	client := *v.party.client
	client.Timeout = 0 // each hop has a context that ends in time
	v.visit = &doctor.Case{
		Profile: v.variants[0], Platform: platform, Ask: asks[0], Canned: canned, Trusted: trusted, StandIn: v.party.kind == suites.StandIn,
		Client: &client, TLS: v.party.tls, Dial: v.party.dial, Clock: v.party.clock, Vault: v.setting.vault, Origins: f.origins,
		Timeout: f.timeout, Budget: f.budget, AllowExec: f.allowExec, Taken: taken,
	}
	return nil
}

// choose returns the device that the key request is of, and whether the server trusts it. Without one it is a device of an authority
// that is made for the purpose and thrown away.
func (v *visit) choose(ctx context.Context, f *doctorFlags) (drm.Platform, bool, error) {
	s, system := v.setting, v.base.DRM
	if err := s.identity.suits(f.identity, v.party); err != nil {
		return nil, false, err
	}
	kind, devices := s.devices("", system, v.party.clock)
	switch kind {
	case suites.PlatformIdentity:
		v.device = "of --identity"
	case suites.PlatformHarness:
		v.device = "of the authority that the server trusts"
	default:
		v.device = "keyflow's own, made for this run: a real service will refuse it"
		stranger, err := s.stranger(ctx, system, v.party.clock)
		return stranger, false, err
	}
	return devices[0], true, nil
}

// document begins a document with everything that is known before something is sent.
func (v *visit) document(ctx context.Context, f *doctorFlags) *doctor.Document {
	p := v.variants[0]
	d := &doctor.Document{
		Schema: doctor.Schema, Tool: tool(), Mode: doctor.ModeHops,
		Profile: &doctor.About{
			ID: p.ID, Title: p.Title, System: p.DRM, Origin: p.Origin, Variant: p.Variant, URL: p.Request.URL, Server: v.server, Device: v.device,
			Asset: v.asset.Name, KIDs: v.visit.Ask.Need.KIDs, Billed: p.Billed(), Docs: p.Docs,
		},
		Variables: p.Explained(), Settings: doctor.SettingsOf(v.variants),
	}
	if f.offline {
		d.Mode = doctor.ModeOffline
	}
	if !f.standIn {
		d.Insecure = p.Insecurities()
	}
	for _, variant := range v.variants {
		one := *v.visit
		one.Profile = variant
		d.Requests = append(d.Requests, one.Render(ctx)...)
	}
	return d
}

// compare compares the profile's requests with the golden ones.
func (v *visit) compare(ctx context.Context, d *doctor.Document) {
	ids := make([]string, len(v.variants))
	for i, p := range v.variants {
		ids[i] = p.Variant
	}
	unbound, err := doctor.Variants(v.base)
	if err != nil {
		return // they were bound before
	}
	for _, p := range unbound {
		if !slices.Contains(ids, p.Variant) {
			continue
		}
		if c, ok := doctor.CompareGolden(ctx, p, v.setting.vault); ok {
			d.Golden = append(d.Golden, c)
		}
	}
}

// knownOf returns the embedded fakes as what self checks run against.
func knownOf(s *setting) doctor.Known {
	return doctor.Known{Targets: s.targets, Spoil: func(fault string) error {
		var settings []fakes.Setting
		if fault != "" {
			settings = fakes.Named(fault)
		}
		for _, fake := range s.fakes {
			if err := fake.SetFaults(settings...); err != nil {
				return fmt.Errorf("set fault: %w", err)
			}
		}
		return nil
	}}
}
