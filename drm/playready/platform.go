// Package playready is a PlayReady client platform for test harnesses: it makes license challenges as a device does and
// processes licenses with every duty that sheet playready.md names for a client. It speaks to no network and knows no server;
// [Platform] and its sessions implement the interfaces of package drm.
//
// What is wrong with an answer is a finding with a stable [drm.Reason], never an error; a session decodes all that it can in
// spite of findings and shows it in an [Answer]. Requests that deviate on purpose are made with [Forge].
//
// Of acknowledgements the sheet knows only what asks for them (§8.3), so a session tells the transaction id and makes none.
package playready

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/pssh"
)

// Platform is a simulated device with one identity. It is immutable and safe for concurrent use, and implements
// [drm.Platform] and [drm.Judge].
type Platform struct {
	identity Identity
	clock    drm.Clock
	forge    Forge
	root     ecc.PublicKey // that response signers' chains end at
	server   ecc.PublicKey // that session keys are encrypted for
	signers  *bcert.Memo   // of certificates that were verified before: under load each answer has the same
}

var (
	_ drm.Platform = (*Platform)(nil)
	_ drm.Judge    = (*Platform)(nil)
)

// NewPlatform returns the platform of a device that speaks to real servers: their well-known key, the vendor's root. clock gives
// the request times; nil is the machine's clock.
func NewPlatform(identity Identity, clock drm.Clock) *Platform {
	if clock == nil {
		clock = drm.SystemClock
	}
	return &Platform{identity: identity, clock: clock, root: bcert.VendorRoot(), server: VendorServerKey(), signers: &bcert.Memo{}}
}

// VendorServerKey returns the public key that challenges for real servers are encrypted for (sheet playready.md §7.3).
func VendorServerKey() ecc.PublicKey { return vendorServerKey }

var vendorServerKey = ecc.PublicKey{
	0xc8, 0xb6, 0xaf, 0x16, 0xee, 0x94, 0x1a, 0xad, 0xaa, 0x53, 0x89, 0xb4, 0xaf, 0x2c, 0x10, 0xe3, 0x56, 0xbe, 0x42, 0xaf, 0x17, 0x5e, 0xf3, 0xfa, 0xce, 0x93, 0x25, 0x4e, 0x7b, 0x0b, 0x3d, 0x9b,
	0x98, 0x2b, 0x27, 0xb5, 0xcb, 0x23, 0x41, 0x32, 0x6e, 0x56, 0xaa, 0x85, 0x7d, 0xbf, 0xd5, 0xc6, 0x34, 0xce, 0x2c, 0xf9, 0xea, 0x74, 0xfc, 0xa8, 0xf2, 0xaf, 0x59, 0x57, 0xef, 0xee, 0xa5, 0x62,
}

// System returns [drm.PlayReady].
func (p *Platform) System() drm.System { return drm.PlayReady }

// Identity returns the device that the platform simulates.
func (p *Platform) Identity() Identity { return p.identity }

// Device returns the fingerprint of the device certificate, as tickets have it.
func (p *Platform) Device() drm.Fingerprint { return p.identity.Device() }

// Clock returns the clock that request times are read from.
func (p *Platform) Clock() drm.Clock { return p.clock }

// WithRoot returns a platform that verifies response signatures under another root than the vendor's.
func (p *Platform) WithRoot(root ecc.PublicKey) *Platform {
	rooted := *p
	rooted.root = root
	return &rooted
}

// WithServerKey returns a platform that encrypts its challenges for another key than that of real servers.
func (p *Platform) WithServerKey(key ecc.PublicKey) *Platform {
	keyed := *p
	keyed.server = key
	return &keyed
}

// WithIdentity returns a platform that is the same in all but the device.
func (p *Platform) WithIdentity(i Identity) *Platform {
	other := *p
	other.identity = i
	return &other
}

// WithForge returns a platform whose requests deviate as f says.
func (p *Platform) WithForge(f Forge) *Platform {
	forged := *p
	forged.forge = f
	return &forged
}

// WithServerCertificate returns errors.ErrUnsupported: PlayReady has no service certificates.
func (p *Platform) WithServerCertificate(context.Context, []byte) (drm.Platform, error) {
	return nil, fmt.Errorf("playready service certificate: %w", errors.ErrUnsupported)
}

// Open starts a key session for a PlayReady box, whose header must be one that a client reads. A box of another system wraps
// [drm.ErrNoBox]. A license is as long as the server wants it: every license type is taken. Custom data must be text that XML can
// carry; an error does not quote it.
func (p *Platform) Open(ctx context.Context, box drm.Box, o drm.Options) (drm.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open playready session: %w", err)
	}
	if box.SystemID != pssh.PlayReadySystemID {
		return nil, fmt.Errorf("open playready session: box is for system %s: %w", box.SystemID, drm.ErrNoBox)
	}
	header, err := pssh.PlayReadyHeader(box)
	if err != nil {
		return nil, fmt.Errorf("open playready session: %w", err)
	}
	if !isText(o.CustomData.Reveal()) {
		return nil, errors.New("open playready session: custom data is no UTF-8 text, or has characters that XML cannot carry")
	}
	return &session{platform: p, header: header, options: o, pending: map[drm.MessageID]pending{}}, nil
}

// isText reports whether b is UTF-8 and made of XML's characters (XML 1.0, 2.2). A challenge with anything else would be no XML.
func isText(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
	})
}

// Close releases nothing: a simulated device holds no resources.
func (p *Platform) Close() error { return nil }
