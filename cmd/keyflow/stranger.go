package main

import (
	"context"

	"keyflow/drm"
	"keyflow/fakes"
)

// stranger returns a device that no server trusts, for what can be learnt from refusals. It is made for the run and thrown away.
func (s *setting) stranger(ctx context.Context, system drm.System, clock drm.Clock) (device, error) {
	if s.unknown == nil {
		authority, err := fakes.NewAuthority(ctx, fakes.AuthorityOptions{Devices: 1, RootBits: 2048})
		if err != nil {
			return nil, harness(err)
		}
		authority.AddTo(s.vault)
		s.unknown = &identity{widevine: &authority.Devices()[0], playReady: &authority.PlayReadyDevices()[0]}
	}
	own := *s
	own.identity = *s.unknown
	return own.platforms(system, clock, true)[0], nil // under the same roots as devices that are trusted
}

// addStrangers gives the targets without a device a stranger's. bare says that the user asked for none.
func (s *setting) addStrangers(ctx context.Context, bare bool) error {
	for _, t := range s.targets {
		if t.Platform != nil {
			continue
		}
		d, err := s.stranger(ctx, t.Profile.DRM, t.Clock)
		if err != nil {
			return err
		}
		t.Stranger, t.Bare = d, bare
	}
	return nil
}
