// Package widevine is a Widevine client platform for test harnesses: it makes key requests as a device does and processes
// licenses with every check of sheet widevine.md §8. It speaks to no network and knows no server; [Platform] and its
// sessions implement the interfaces of package drm.
//
// What is wrong with an answer is a finding with a stable [drm.Reason], never an error; a session decodes all that it can
// in spite of findings and shows it in an [Answer]. Requests that deviate on purpose are made with [Forge].
package widevine

import (
	"context"
	"crypto/rsa"
	"fmt"
	"sync/atomic"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine/chain"
)

// Platform is a simulated device with one identity. It is immutable and safe for concurrent use, and implements
// [drm.Platform] and [drm.Judge].
type Platform struct {
	identity Identity
	clock    drm.Clock
	forge    Forge
	root     *rsa.PublicKey
	service  *chain.Certificate // nil in the clear
	style    RequestIDStyle
	requests *atomic.Uint64 // request ids made so far, by this platform and all that were derived from it
}

var (
	_ drm.Platform = (*Platform)(nil)
	_ drm.Judge    = (*Platform)(nil)
)

// NewPlatform returns the platform of a device: requests in the clear, desktop-style request ids, the vendor's root. clock
// gives the request times; nil is the machine's clock.
func NewPlatform(identity Identity, clock drm.Clock) *Platform {
	if clock == nil {
		clock = drm.SystemClock
	}
	return &Platform{identity: identity, clock: clock, root: chain.VendorRoot(), requests: new(atomic.Uint64)}
}

// System returns [drm.Widevine].
func (p *Platform) System() drm.System { return drm.Widevine }

// Identity returns the device that the platform simulates.
func (p *Platform) Identity() Identity { return p.identity }

// Device returns the fingerprint of the device certificate, as tickets have it.
func (p *Platform) Device() drm.Fingerprint { return p.identity.Device() }

// Clock returns the clock that request times are read from.
func (p *Platform) Clock() drm.Clock { return p.clock }

// WithRoot returns a platform that verifies service certificates under another root than the vendor's ([chain.VendorRoot],
// which nil stands for). A certificate that was verified before stays in use.
func (p *Platform) WithRoot(root *rsa.PublicKey) *Platform {
	if root == nil {
		root = chain.VendorRoot()
	}
	rooted := *p
	rooted.root = root
	return &rooted
}

// WithServerCertificate returns a platform in privacy mode (sheet §7): its license requests carry the client
// identification encrypted for the service that owns cert, with a fresh key and IV each. cert has one of the forms of
// [chain.ParseServiceCertificate] and is verified under the platform's root at the platform's time; errors wrap those of
// package chain. The platform returned is a *Platform.
func (p *Platform) WithServerCertificate(ctx context.Context, cert []byte) (drm.Platform, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("widevine service certificate: %w", err)
	}
	service, err := chain.VerifyService(cert, p.root, p.clock.Now())
	if err != nil {
		return nil, fmt.Errorf("widevine service certificate: %w", err)
	}
	private := *p
	private.service = service
	return &private, nil
}

// PrivacyMode reports whether license requests carry the client identification encrypted.
func (p *Platform) PrivacyMode() bool { return p.service != nil }

// ServiceCertificate returns the certificate that the client identification is encrypted for, nil in the clear. The caller
// must not change it.
func (p *Platform) ServiceCertificate() *chain.Certificate { return p.service }

// WithRequestIDStyle returns a platform that makes request ids of another form.
func (p *Platform) WithRequestIDStyle(style RequestIDStyle) *Platform {
	styled := *p
	styled.style = style
	return &styled
}

// WithForge returns a platform whose requests deviate as f says.
func (p *Platform) WithForge(f Forge) *Platform {
	forged := *p
	forged.forge = f
	return &forged
}

// Open starts a key session for a Widevine box, or for a W3C common box whose KIDs are put into synthesized Widevine data
// (sheet §3.3). A box of another system wraps [drm.ErrNoBox].
func (p *Platform) Open(ctx context.Context, box drm.Box, o drm.Options) (drm.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open widevine session: %w", err)
	}
	if box.SystemID != pssh.WidevineSystemID && box.SystemID != pssh.CommonSystemID {
		return nil, fmt.Errorf("open widevine session: box is for system %s: %w", box.SystemID, drm.ErrNoBox)
	}
	if o.LicenseType == "" {
		o.LicenseType = drm.Streaming
	}
	if _, ok := licenseTypes[o.LicenseType]; !ok {
		return nil, fmt.Errorf("open widevine session: license type %q is not one of streaming, offline, automatic", o.LicenseType)
	}
	return &session{platform: p, box: box, options: o, pending: map[drm.MessageID]pending{}}, nil
}

// Close releases nothing: a simulated device holds no resources.
func (p *Platform) Close() error { return nil }
