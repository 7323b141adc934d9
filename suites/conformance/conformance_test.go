// Package conformance runs the suites as an ordinary Ginkgo suite, for go test and the ginkgo command: against fakes of
// its own, or against the server of the profile that KEYFLOW_PROFILE names, with the authority in KEYFLOW_AUTHORITY and the
// content in KEYFLOW_ASSET (an embedded asset's name or a folder).
package conformance_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
)

func TestConformance(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	// Ginkgo builds its tree before the run, so the target comes first.
	target := newTarget(t)
	plan, err := suites.NewPlan([]*suites.Target{target}, nil, "", ginkgo.GinkgoRandomSeed())
	if err != nil {
		t.Fatal(err)
	}
	recorder := suites.NewRecorder(nil)
	suites.Describe(t.Context(), plan, recorder)
	ginkgo.RunSpecs(t, "keyflow conformance")
}

func newTarget(t *testing.T) *suites.Target {
	t.Helper()
	asset := openAsset(t)
	target := &suites.Target{
		Kind: suites.Server, Asset: asset, PlatformKind: suites.PlatformNone, Vault: secret.NewVault(),
		Client: suites.NewClient(suites.RequestTimeout), Patience: new(suites.Patience),
	}
	var authority *fakes.Authority
	var err error
	if path := os.Getenv("KEYFLOW_PROFILE"); path != "" {
		if target.Profile, err = provider.Load(path); err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("KEYFLOW_AUTHORITY"); dir != "" {
			if authority, err = fakes.ReadAuthority(dir); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		authority = startFake(t, target)
	}
	if authority == nil {
		return target
	}
	authority.AddTo(target.Vault)
	target.PlatformKind = suites.PlatformHarness
	devices := authority.Devices()
	target.Platform = widevine.NewPlatform(devices[0], target.Clock)
	if len(devices) > 1 {
		target.Second = widevine.NewPlatform(devices[1], target.Clock)
	}
	return target
}

func openAsset(t *testing.T) *suites.Asset {
	t.Helper()
	name := cmp.Or(os.Getenv("KEYFLOW_ASSET"), "cenc-3key")
	open := fixtures.Open
	if name != filepath.Base(name) {
		open = fixtures.OpenDir
	}
	opened, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	asset, err := suites.LoadAsset(opened)
	if err != nil {
		t.Fatal(err)
	}
	return asset
}

func startFake(t *testing.T, target *suites.Target) *fakes.Authority {
	t.Helper()
	keys := map[drm.KID]secret.Bytes{}
	for _, track := range target.Asset.Tracks {
		keys[track.KID] = track.Key
	}
	fake, err := fakes.Start(context.WithoutCancel(t.Context()), fakes.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	if target.Profile, err = provider.Parse("fake", []byte(fake.Profile())); err != nil {
		t.Fatal(err)
	}
	target.Kind, target.Clock = suites.EmbeddedFakes, fake.Clock()
	return fake.Authority()
}
