package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/chain"
	"keyflow/suites"
)

// device is a platform that makes key requests and judges their answers.
type device interface {
	drm.Platform
	drm.Judge
	drm.Recognizer
	Device() drm.Fingerprint
}

// identity is the device of --identity, of either system or of both.
type identity struct {
	widevine  *widevine.Identity
	playReady *playready.Identity
}

// The files of a Widevine identity.
const (
	fileClientID   = "client_id.bin"
	filePrivateKey = "private_key.pem"
)

const identityHint = "DIR holds client_id.bin and private_key.pem (Widevine), or certificate_chain.bin, signing_key.pem and encryption_key.pem (PlayReady), of a device that the vendor issued to you"

// loadIdentity reads the device of --identity.
func (s *setting) loadIdentity(dir string) error {
	if dir == "" {
		return nil
	}
	_, err := os.Stat(filepath.Join(dir, fileClientID))
	if hasWidevine := !errors.Is(err, fs.ErrNotExist); hasWidevine || !playready.HasIdentity(dir) {
		id, err := widevine.LoadIdentity(filepath.Join(dir, fileClientID), filepath.Join(dir, filePrivateKey))
		if err != nil {
			return usage(err, "--identity "+identityHint)
		}
		for _, part := range id.Key().Parts() {
			s.vault.Add("device-key", part)
		}
		s.identity.widevine = &id
	}
	if !playready.HasIdentity(dir) {
		return nil
	}
	id, err := playready.LoadIdentity(dir)
	if err != nil {
		return usage(err, "--identity "+identityHint)
	}
	for _, key := range []ecc.PrivateKey{id.SigningKey(), id.EncryptionKey()} {
		s.vault.Add("device-key", key.Scalar())
	}
	s.identity.playReady = &id
	return nil
}

// has reports whether the identity is of the system.
func (i identity) has(system drm.System) bool {
	if system == drm.PlayReady {
		return i.playReady != nil
	}
	return i.widevine != nil
}

// suits refuses an identity that is not of the system that a party wants.
func (i identity) suits(dir string, p party) error {
	if dir == "" || i.has(p.profile.DRM) {
		return nil
	}
	return usage(fmt.Errorf("--identity %s holds no device for %s, which profile %s is for", dir, p.profile.DRM, p.profile.ID), identityHint)
}

// devices are the platforms that speak to a server of the system, and what kind they are: the identity, or else the devices of
// the authority.
func (s *setting) devices(want string, system drm.System, clock drm.Clock) (suites.PlatformKind, []device) {
	switch {
	case want == string(suites.PlatformNone):
	case s.identity.has(system) && want != string(suites.PlatformHarness):
		return suites.PlatformIdentity, s.platforms(system, clock, true)
	case s.authority != nil:
		return suites.PlatformHarness, s.platforms(system, clock, false)
	}
	return suites.PlatformNone, nil
}

// onlookers judge answers to requests of devices that nobody here has, under the same roots as [setting.platforms].
func (s *setting) onlookers() map[drm.System]drm.Judge {
	if s.authority == nil {
		return map[drm.System]drm.Judge{drm.Widevine: widevine.NewOnlooker(nil), drm.PlayReady: playready.NewOnlooker(bcert.VendorRoot())}
	}
	return map[drm.System]drm.Judge{drm.Widevine: widevine.NewOnlooker(s.authority.RootKey()), drm.PlayReady: playready.NewOnlooker(s.authority.PlayReadyRoot())}
}

// platforms trust the authority's roots, and know its server key, if there is an authority, else the vendor's.
func (s *setting) platforms(system drm.System, clock drm.Clock, own bool) []device {
	var all []device
	if system == drm.PlayReady {
		root, server := bcert.VendorRoot(), playready.VendorServerKey()
		var ids []playready.Identity
		if s.authority != nil {
			root, server, ids = s.authority.PlayReadyRoot(), s.authority.PlayReadyServerKey(), s.authority.PlayReadyDevices()
		}
		if own {
			ids = []playready.Identity{*s.identity.playReady}
		}
		for _, id := range ids {
			all = append(all, playready.NewPlatform(id, clock).WithRoot(root).WithServerKey(server))
		}
		return all
	}
	root := chain.VendorRoot()
	var ids []widevine.Identity
	if s.authority != nil {
		root, ids = s.authority.RootKey(), s.authority.Devices()
	}
	if own {
		ids = []widevine.Identity{*s.identity.widevine}
	}
	for _, id := range ids {
		all = append(all, widevine.NewPlatform(id, clock).WithRoot(root))
	}
	return all
}
