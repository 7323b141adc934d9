// Package matrix proves that every check can fail: its tests run checks against fakes with faults. It is the one place
// that imports suites and fakes, so the tests of suites get their fake from here too.
package matrix

import (
	"context"
	"sync"
	"testing"

	"keyflow/drm"
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
	opened, err := fixtures.Open(asset)
	if err != nil {
		tb.Fatal(err)
	}
	loaded, err := suites.LoadAsset(opened)
	if err != nil {
		tb.Fatal(err)
	}
	keys := map[drm.KID]secret.Bytes{}
	for _, track := range loaded.Tracks {
		keys[track.KID] = track.Key
	}
	shared, err := authority()
	if err != nil {
		tb.Fatal(err)
	}
	options := fakes.Options{Keys: keys, Authority: shared}
	for _, f := range faults {
		setting, err := fakes.ParseSetting(f)
		if err != nil {
			tb.Fatal(err)
		}
		options.Faults = append(options.Faults, setting)
	}
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
	target := &suites.Target{
		Kind: suites.EmbeddedFakes, Profile: profile, Asset: loaded,
		Client: suites.NewClient(suites.RequestTimeout), Clock: fake.Clock(), Vault: secret.NewVault(), Patience: new(suites.Patience),
	}
	fake.AddTo(target.Vault)
	Trust(target, fake.Authority())
	return fake, target
}

// Trust gives the target the devices of an authority as its platforms.
func Trust(target *suites.Target, authority *fakes.Authority) {
	authority.AddTo(target.Vault)
	target.PlatformKind = suites.PlatformHarness
	var platforms []drm.Platform
	for _, d := range authority.Devices() {
		platforms = append(platforms, widevine.NewPlatform(d, target.Clock).WithRoot(authority.RootKey()))
	}
	target.Platform = platforms[0]
	if len(platforms) > 1 {
		target.Second = platforms[1]
	}
}
