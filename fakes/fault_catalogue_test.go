package fakes_test

import (
	"regexp"
	"testing"

	"keyflow/drm"
	"keyflow/fakes"
)

// TestCatalogue: every fault has a test that sees its effect, in the table of its kind.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := make(map[string]bool)
	total := len(protocolFaults) + len(privacyFaults) + len(renewalFaults) + len(malformedFaults) + len(connectionFaults) + len(transportFaults) + len(certificateFaults) + len(providerScopes) + len(allPlayReadyFaults())
	for _, f := range fakes.Catalogue() {
		if !form.MatchString(f.Name) || seen[f.Name] || f.Description == "" || f.Layer == "" {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
		tested := f.Layer != fakes.Protocol
		_, license := protocolFaults[f.Name]
		_, private := privacyFaults[f.Name]
		if license || private {
			tested = f.Layer == fakes.Protocol && f.System == drm.Widevine && f.Operation == drm.KindLicense
		}
		if c, ok := renewalFaults[f.Name]; ok {
			tested = f.Layer == fakes.Protocol && f.System == drm.Widevine && f.Operation == c.operation
		}
		if _, ok := certificateFaults[f.Name]; ok {
			tested = f.Layer == fakes.Protocol && f.System == drm.Widevine && f.Operation == drm.KindCertificate
		}
		if scope, ok := providerScopes[f.Name]; ok {
			tested = f.Layer == fakes.Protocol && f.System == scope.system && f.Operation == scope.operation && seenAtProvider(f.Name)
		}
		if h, ok := transportFaults[f.Name]; ok {
			tested = f.Layer == fakes.HTTP && f.System == "" && f.Operation == h.operation
		} else if _, ok := connectionFaults[f.Name]; !ok && f.Layer != fakes.Protocol {
			tested = false
		}
		if c, ok := allPlayReadyFaults()[f.Name]; ok {
			tested = f.System == drm.PlayReady && f.Operation == c.operation
		}
		if c, ok := malformedFaults[f.Name]; ok {
			tested = f.Layer == c.layer && f.System == c.system && f.Operation == ""
		}
		if !tested {
			t.Errorf("%s: no test sees its effect", f.Name)
		}
		if (fakes.Setting{Name: f.Name}).Validate() != nil {
			t.Errorf("%s can't be set", f.Name)
		}
	}
	if len(seen) != total {
		t.Errorf("%d faults, %d tested", len(seen), total)
	}
}
