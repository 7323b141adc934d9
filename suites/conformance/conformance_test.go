// Package conformance runs the suites as an ordinary Ginkgo suite, for go test and the ginkgo command: against fakes of
// its own, or against the server of the profile that KEYFLOW_PROFILE names, with the authority in KEYFLOW_AUTHORITY and the
// content in KEYFLOW_ASSET (an embedded asset's name or a folder).
package conformance_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

func TestConformance(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	// Ginkgo builds its tree before the run, so the targets come first.
	plan, err := suites.NewPlan(newTargets(t), nil, "", ginkgo.GinkgoRandomSeed())
	if err != nil {
		t.Fatal(err)
	}
	recorder := suites.NewRecorder(nil)
	suites.Describe(t.Context(), plan, recorder)
	ginkgo.RunSpecs(t, "keyflow conformance")
}

// embedded is the content that the suites run on unless KEYFLOW_ASSET names another.
const embedded = "cenc-3key"

// newTargets are the fakes' services for both systems, or the server of the profile.
func newTargets(t *testing.T) []*suites.Target {
	t.Helper()
	path := os.Getenv("KEYFLOW_PROFILE")
	if path == "" {
		_, target := matrix.StartPlayReady(t, cmp.Or(os.Getenv("KEYFLOW_ASSET"), embedded))
		return []*suites.Target{target, target.Twin}
	}
	profile, err := provider.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	target := &suites.Target{
		Kind: suites.Server, Profile: profile, Asset: openAsset(t), PlatformKind: suites.PlatformNone, Vault: secret.NewVault(),
		Client: suites.NewClient(suites.RequestTimeout), Patience: new(suites.Patience),
	}
	if dir := os.Getenv("KEYFLOW_AUTHORITY"); dir != "" {
		authority, err := fakes.ReadAuthority(dir)
		if err != nil {
			t.Fatal(err)
		}
		matrix.Trust(target, authority)
	}
	return []*suites.Target{target}
}

func openAsset(t *testing.T) *suites.Asset {
	t.Helper()
	name := cmp.Or(os.Getenv("KEYFLOW_ASSET"), embedded)
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
