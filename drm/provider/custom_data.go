package provider

import (
	"fmt"
	"slices"

	"keyflow/drm/secret"
)

// CustomDataError says that the custom data of a profile cannot be signed ahead of the lease.
type CustomDataError struct {
	Profile string
	Holds   string // what stands in it: a token, a secret variable, or a session's id
}

// Error names the profile and what its custom data holds.
func (e *CustomDataError) Error() string {
	return fmt.Sprintf("profile %s: its playready.custom_data holds %s, which the client signs into the key request", e.Profile, e.Holds)
}

// SignsAhead reports whether key requests can be made before there is a lease: nothing of it is signed with them, and
// nothing that is secret. The error is a *[CustomDataError].
func (p *Profile) SignsAhead() error {
	if p.plan == nil || p.plan.customData == nil {
		return nil
	}
	holds := ""
	switch n := p.plan.customData.names; {
	case len(n.tokens) > 0:
		holds = "a token"
	case n.secret:
		holds = "a secret variable"
	case slices.Contains(n.inputs, "session_id"):
		holds = "the session's id"
	default:
		return nil
	}
	return &CustomDataError{p.ID, holds}
}

// HasCustomData reports whether clients sign custom data of the profile.
func (p *Profile) HasCustomData() bool { return p.plan != nil && p.plan.customData != nil }

// CustomDataAhead returns the custom data for a need without a lease, empty for none. No token step is run. A profile that
// does not sign ahead is an error, see [Profile.SignsAhead]; so is one with custom data that is not bound.
func (p *Profile) CustomDataAhead(need Need) (secret.Bytes, error) {
	if err := p.SignsAhead(); err != nil || !p.HasCustomData() {
		return secret.Bytes{}, err
	}
	if p.bound == nil {
		return secret.Bytes{}, errUnbound
	}
	lease := &Lease{KIDs: slices.Clone(need.KIDs)}
	lease.state = &leaseState{clock: p.bound.env.Clock, tokens: map[string]outputs{}, need: need, laURL: laURLOf(need.Box)}
	err := p.addCustomData(lease)
	return lease.CustomData, err
}
