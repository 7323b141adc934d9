package suites

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// SetVersion is the version of the requirement set; it changes when a check is added, dropped or changes its level.
const SetVersion = "0.8"

// All returns every check, sorted by id.
func All() []Check {
	all := slices.Concat(widevineChecks(), playReadyChecks(), authorizationChecks(), promiseChecks(), scenarioChecks(), transportChecks())
	slices.SortFunc(all, func(a, b Check) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// widevineChecks fills in what all Widevine checks share: the system, the target's scope, and a device, which the server trusts
// unless the check says that any will do.
func widevineChecks() []Check {
	checks := slices.Concat(widevineCertificate(), widevineLicense(), widevineKeys(), widevinePSSH(), widevinePrivacy(),
		widevineSignature(), widevinePolicy(), widevineToken(), widevineRenewal(), widevineRelease(), widevineRobustness())
	for i := range checks {
		c := &checks[i]
		c.System, c.Scope = drm.Widevine, ScopeTarget
		c.needDevice()
	}
	return checks
}

// playReadyChecks fills in what all PlayReady checks share, as widevineChecks does.
func playReadyChecks() []Check {
	checks := slices.Concat(playReadyHeaders(), playReadyKIDs(), playReadyLicense(), playReadyPolicy(), playReadyNonce(),
		playReadySecurity(), playReadySOAP(), playReadyKeys(), playReadyResponse(), playReadyTerms(), playReadySoak(), playReadyToken(), playReadyXML())
	for i := range checks {
		c := &checks[i]
		c.System, c.Scope = drm.PlayReady, ScopeTarget
		c.needDevice()
	}
	return checks
}

// needDevice has a check need a device that the server trusts, if it is not content with any.
func (c *Check) needDevice() {
	if !slices.Contains(c.Needs, NeedDevice) {
		c.Needs = append([]Need{NeedTrusted}, c.Needs...)
	}
}

// capabilities say what a service must have for the checks of an area, or for one check, to apply to it.
var capabilities = map[string]string{
	"WV-CRT": provider.CapabilityCertificate, "WV-PRV": provider.CapabilityPrivacy,
	"PR-RSP": provider.CapabilityPersistent, "PR-ACK": provider.CapabilityPersistent, "PR-NON-03": provider.CapabilityPersistent,
	"PR-KID-03": provider.CapabilityMultiKey, "PR-KID-04": provider.CapabilityMultiKey,
	"TR-01": provider.CapabilityCORS, "TR-02": provider.CapabilityCORS, "TR-03": provider.CapabilityCORS,
}

// capabilityOf returns what a service must have for the check to apply to it, "" for nothing.
func capabilityOf(c Check) string {
	if name := capabilities[c.ID]; name != "" {
		return name
	}
	return capabilities[c.ID[:strings.LastIndex(c.ID, "-")]]
}

// Find returns the check with the id.
func Find(id string) (Check, error) {
	all := All()
	for _, c := range all {
		if c.ID == strings.ToUpper(id) {
			return c, nil
		}
	}
	return Check{}, fmt.Errorf("unknown check %q: %s", id, nearest.Hint(id, ids(all)))
}

// Select returns the checks whose id matches one of the globs (as in path.Match, e.g. WV-KEY-*), all checks if there are
// no globs. A glob that matches nothing is an error: a selection that is silently empty would look green.
func Select(all []Check, globs []string) ([]Check, error) {
	if len(globs) == 0 {
		return all, nil
	}
	chosen := map[string]bool{}
	for _, glob := range globs {
		hit := false
		for _, c := range all {
			match, err := path.Match(strings.ToUpper(glob), c.ID)
			if err != nil {
				return nil, fmt.Errorf("id pattern %q: %w", glob, err)
			}
			if match {
				chosen[c.ID], hit = true, true
			}
		}
		if !hit {
			return nil, fmt.Errorf("no check matches %q: %s", glob, nearest.Hint(glob, ids(all)))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(c Check) bool { return !chosen[c.ID] }), nil
}

func ids(checks []Check) []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.ID
	}
	return names
}

// Requirements describes the versioned set that a claim speaks of: the checks that judge a target.
func Requirements(checks []Check) reports.Requirements {
	r := reports.Requirements{Name: "keyflow", Version: SetVersion}
	h := sha256.New()
	for _, c := range checks {
		if c.Scope == ScopeSelf {
			continue
		}
		r.Checks++
		if c.Level == reports.Must {
			r.Musts++
		}
		fmt.Fprintf(h, "%s\x00%s\x00%s\n", c.ID, c.Level, c.Title)
	}
	r.Digest = hex.EncodeToString(h.Sum(nil))
	return r
}
