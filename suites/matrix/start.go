// Package matrix proves that every check can fail: its tests run checks against fakes with faults. It is the one place
// that imports suites and fakes, so the tests of suites get their fake from here too.
package matrix

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
)

// authority is shared by all fakes of a test process: making its keys takes longer than most tests.
var authority = sync.OnceValues(func() (*fakes.Authority, error) {
	return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{})
})

// Start starts a fake with the keys of an embedded asset and with faults (as [fakes.ParseSetting] reads them), and returns
// it with a target that points at it. Both end with the test.
func Start(tb testing.TB, asset string, faults ...string) (*fakes.Server, *suites.Target) {
	tb.Helper()
	return StartWidevineWith(tb, asset, fakes.WidevineOptions{}, faults...)
}

// StartWidevineWith is [Start] with options of the Widevine service.
func StartWidevineWith(tb testing.TB, asset string, o fakes.WidevineOptions, faults ...string) (*fakes.Server, *suites.Target) {
	tb.Helper()
	loaded, options := prepare(tb, asset, faults)
	options.Widevine = o
	// The test's own context ends before its cleanups, which would cut off what they still ask of the fake.
	fake, err := fakes.Start(context.WithoutCancel(tb.Context()), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = fake.Close() })
	profile, err := provider.Parse("fake", []byte(fake.Profile()))
	if err != nil {
		tb.Fatal(err)
	}
	return fake, target(fake, loaded, profile, suites.NewClient(suites.RequestTimeout))
}

// StartPlayReady is [Start] with a target for the fake's PlayReady service, whose twin is the one for Widevine.
func StartPlayReady(tb testing.TB, asset string, faults ...string) (*fakes.Server, *suites.Target) {
	tb.Helper()
	fake, twin := Start(tb, asset, faults...)
	profile, err := provider.Parse("fake", []byte(fake.PlayReadyProfile()))
	if err != nil {
		tb.Fatal(err)
	}
	t := target(fake, twin.Asset, profile, twin.Client)
	suites.Pair([]*suites.Target{t, twin})
	return fake, t
}

// StartPlayReadyWith is [StartPlayReady] with options of that service, and the same terms for every key.
func StartPlayReadyWith(tb testing.TB, asset string, o fakes.PlayReadyOptions, terms fakes.PlayReadyTrack) (*fakes.Server, *suites.Target) {
	tb.Helper()
	loaded, options := prepare(tb, asset, nil)
	options.PlayReady, options.Tracks = o, map[drm.KID]fakes.Track{}
	for _, kid := range loaded.KIDs() {
		options.Tracks[kid] = fakes.Track{PlayReady: terms}
	}
	fake, err := fakes.Start(context.WithoutCancel(tb.Context()), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = fake.Close() })
	profile, err := provider.Parse("fake", []byte(fake.PlayReadyProfile()))
	if err != nil {
		tb.Fatal(err)
	}
	return fake, target(fake, loaded, profile, suites.NewClient(suites.RequestTimeout))
}

// StandIn starts the stand-in for a provider, and returns it with a target that is the embedded profile of the id in a
// variant, "" for none. Both end with the test.
func StandIn(tb testing.TB, asset, id, variant string, faults ...string) (*fakes.StandIn, *suites.Target) {
	tb.Helper()
	text, err := fixtures.Profile(id)
	if err != nil {
		tb.Fatal(err)
	}
	profile, err := provider.Parse(id, text)
	if err != nil {
		tb.Fatal(err)
	}
	return StandInFor(tb, asset, profile, variant, faults...)
}

// StandInFor is [StandIn] for a profile of one's own.
func StandInFor(tb testing.TB, asset string, profile *provider.Profile, variant string, faults ...string) (*fakes.StandIn, *suites.Target) {
	tb.Helper()
	loaded, options := prepare(tb, asset, faults)
	values := map[string]string{}
	environment := provider.Environment{
		Budget: provider.NewBudget(1 << 30), Getenv: func(string) string { return "" },
		Resolve: func(name string, v provider.Var) string { // the same value whenever the profile is bound
			if _, known := values[name]; !known {
				values[name] = provider.Invent(name, v)
			}
			return values[name]
		},
	}
	named, err := profile.Bind(environment)
	if err != nil {
		tb.Fatal(err)
	}
	name, _, _ := strings.Cut(profile.ID, "-")
	standIn, err := fakes.StartStandIn(context.WithoutCancel(tb.Context()), fakes.StandInOptions{
		Options: options, Provider: name, System: profile.DRM, Origins: named.Origins(), Account: named.Variables(),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = standIn.Close() })
	fake := standIn.Server()
	t := target(fake, loaded, profile, suites.NewClientVia(suites.RequestTimeout, standIn.DialContext, standIn.TLSConfig()))
	t.Kind, t.Variant, t.Dial, t.TLS = suites.StandIn, variant, standIn.DialContext, standIn.TLSConfig()
	environment.Vault, environment.HTTP, environment.Clock = t.Vault, t.Client, t.Clock
	if t.Profile, err = profile.Bind(environment); err == nil {
		t.Profile, err = t.Profile.WithVariant(variant)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return standIn, t
}

// prepare opens an embedded asset and makes the options of a fake that has its keys.
func prepare(tb testing.TB, asset string, faults []string) (*suites.Asset, fakes.Options) {
	tb.Helper()
	opened, err := fixtures.Open(asset)
	if err != nil {
		tb.Fatal(err)
	}
	loaded, err := suites.LoadAsset(opened)
	if err != nil {
		tb.Fatal(err)
	}
	shared, err := authority()
	if err != nil {
		tb.Fatal(err)
	}
	options := fakes.Options{Keys: loaded.Keys(), Authority: shared}
	for _, f := range faults {
		setting, err := fakes.ParseSetting(f)
		if err != nil {
			tb.Fatal(err)
		}
		options.Faults = append(options.Faults, setting)
	}
	return loaded, options
}

// strangers is an authority that no fake trusts.
var strangers = sync.OnceValues(func() (*fakes.Authority, error) {
	return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{Devices: 1, RootBits: 2048})
})

// Bare returns the target as a user has it who was issued no device: with a stranger's, under the roots of the fake.
func Bare(tb testing.TB, trusting *suites.Target, authority *fakes.Authority) *suites.Target {
	tb.Helper()
	others, err := strangers()
	if err != nil {
		tb.Fatal(err)
	}
	others.AddTo(trusting.Vault)
	t := *trusting
	t.PlatformKind, t.Platform, t.Second, t.Twin, t.Issue, t.Revoked, t.Bare = suites.PlatformNone, nil, nil, nil, nil, nil, true
	if t.Profile.DRM == drm.PlayReady {
		t.Stranger = playready.NewPlatform(others.PlayReadyDevices()[0], t.Clock).WithRoot(authority.PlayReadyRoot()).WithServerKey(authority.PlayReadyServerKey())
		return &t
	}
	t.Stranger = widevine.NewPlatform(others.Devices()[0], t.Clock).WithRoot(authority.RootKey())
	return &t
}

func target(fake *fakes.Server, asset *suites.Asset, profile *provider.Profile, client *http.Client) *suites.Target {
	t := &suites.Target{
		Kind: suites.EmbeddedFakes, Profile: profile, Asset: asset, Client: client,
		Clock: fake.Clock(), Advance: fake.Clock().Advance, Vault: secret.NewVault(), Patience: new(suites.Patience),
	}
	fake.AddTo(t.Vault)
	Trust(t, fake.Authority())
	return t
}

// Trust gives the target the devices of an authority as its platforms, and lets it issue others.
func Trust(target *suites.Target, authority *fakes.Authority) {
	authority.AddTo(target.Vault)
	target.PlatformKind = suites.PlatformHarness
	var platforms []drm.Platform
	if target.Profile.DRM == drm.PlayReady {
		target.Issue = authority.Issuer(target.Vault, target.Clock)
		target.Revoked = authority.RevokedPlayReady(target.Clock)
		for _, d := range authority.PlayReadyDevices() {
			platforms = append(platforms, playready.NewPlatform(d, target.Clock).WithRoot(authority.PlayReadyRoot()).WithServerKey(authority.PlayReadyServerKey()))
		}
	} else {
		for _, d := range authority.Devices() {
			platforms = append(platforms, widevine.NewPlatform(d, target.Clock).WithRoot(authority.RootKey()))
		}
	}
	target.Platform = platforms[0]
	if len(platforms) > 1 {
		target.Second = platforms[1]
	}
}
