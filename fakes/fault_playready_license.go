package fakes

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// licenseFault alters every license in scope.
func licenseFault(name, description string, alter func(*exchange, *playReadyLicense)) definition {
	return playReadyFault(name, description, Protocol, func(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
		return g.each(scope, func(l *playReadyLicense) { alter(x, l) })
	})
}

// treeFault alters the objects of every license in scope.
func treeFault(name, description string, alter func(outer *xmr.Object)) definition {
	return licenseFault(name, description, func(_ *exchange, l *playReadyLicense) {
		before := l.tree
		l.tree = func(outer *xmr.Object) {
			if before != nil {
				before(outer)
			}
			alter(outer)
		}
	})
}

// playReadyLicenseFaults spoil single licenses, or which of them there are.
func playReadyLicenseFaults() []definition {
	return []definition{
		playReadyFault(faultPRDefaultKID, "a header of version 4.0 gets a license for a default KID", Protocol, defaultKID),
		playReadyFault(faultPRFirstKIDOnly, "of several KIDs only the first gets a license", Protocol, firstKIDOnly),
		playReadyFault(faultPRSameKey, "all KIDs get the first one's key", Protocol, sameKey),
		playReadyFault(faultPRKIDBigEndian, "the KID in the license is in big-endian order", Protocol, bigEndianKIDs),
		licenseFault(faultPRKeyBit, "one bit of the content key is wrong", func(_ *exchange, l *playReadyLicense) {
			wrong := bytes.Clone(l.key.Reveal())
			wrong[0] ^= 1
			l.key = secret.New(wrong)
		}),
		playReadyFault(faultPRChecksumKey, "a wrong checksum in the header is accepted, and changes the content key", Protocol, nil),
		playReadyFault(faultPRKeyTypeCTR, "keys for AES-CBC have the type of AES-CTR", Protocol, retype(xmr.KeyAESCTR)),
		playReadyFault(faultPRKeyTypeCBC, "keys for AES-CTR have the type of AES-CBC", Protocol, retype(xmr.KeyAESCBC)),
		licenseFault(faultPRDeviceKey, "the license names another device's encryption key, and is encrypted for it", deviceKeyOfAnother),
		licenseFault(faultPRIntegrity, "the integrity key is the same in every license for a KID", constantIntegrity),
		licenseFault(faultPRCMACRange, "the CMAC covers the header of the signature object too", func(_ *exchange, l *playReadyLicense) { l.longCMAC = true }),
		licenseFault(faultPROuterLength, "the length of the outer container leaves the signature out", func(_ *exchange, l *playReadyLicense) {
			l.sealed = shortenOuter
		}),
		treeFault(faultPRFlagsCleared, "objects need not be understood: their flag is not set", func(outer *xmr.Object) {
			for _, t := range []xmr.Type{xmr.TypeSecurityLevel, xmr.TypeExpiration, xmr.TypeContentKey} {
				if o := outer.Find(t); o != nil {
					o.Flags &^= xmr.FlagMustUnderstand
				}
			}
		}),
		treeFault(faultPRPlaybackMissing, "the license gives no right to play", func(outer *xmr.Object) { remove(outer, xmr.TypePlayback) }),
		treeFault(faultPRLevelMissing, "the license states no security level", func(outer *xmr.Object) { remove(outer, xmr.TypeSecurityLevel) }),
		playReadyFault(faultPRBeginZero, "the license has an end and no begin", Protocol, window(func(_ *exchange, l *playReadyLicense) { l.grant.Begin = time.Time{} })),
		playReadyFault(faultPRBeginFuture, "the license begins in ten minutes", Protocol, window(func(x *exchange, l *playReadyLicense) { l.grant.Begin = x.now.Add(10 * time.Minute) })),
		playReadyFault(faultPREndFirst, "the license ends before it begins", Protocol, window(func(_ *exchange, l *playReadyLicense) { l.grant.End = l.grant.Begin.Add(-time.Minute) })),
		playReadyFault(faultPRRightsID, "the Rights ID of a license is random", Protocol, func(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
			return !g.persistent && g.each(scope, func(l *playReadyLicense) { l.rightsID = [16]byte(random(16)) })
		}),
		playReadyFault(faultPRRightsIDZero, "all licenses but the first have a Rights ID of zeros", Protocol, furtherRightsIDsZero),
		licenseFault(faultPRSettings, "a license that may be stored says that it must stay in memory, and the other way around", func(_ *exchange, l *playReadyLicense) {
			l.grant.CannotPersist = !l.grant.CannotPersist
		}),
		playReadyFault(faultPRRealTime, "a license in memory with an end says nothing of real-time expiration", Protocol,
			where(func(l *playReadyLicense) bool { return l.grant.RealTimeExpiration }, func(_ *exchange, l *playReadyLicense) { l.grant.RealTimeExpiration = false })),
		playReadyFault(faultPRFirstPlay, "the license does not say that it ends some time after first play", Protocol,
			where(func(l *playReadyLicense) bool { return l.grant.FirstPlay > 0 }, func(_ *exchange, l *playReadyLicense) { l.grant.FirstPlay = 0 })),
		playReadyFault(faultPROutputOrder, "the output protection levels are in reverse order, which puts some outside of the allowed ones", Protocol,
			where(outputHasOrder, func(_ *exchange, l *playReadyLicense) { l.grant.Output = reversedOutput(*l.grant.Output) })),
		playReadyFault(faultPRMinimalIntegers, "in one license of 32, at random, a coordinate of the encrypted key lacks its leading zeros", Protocol, minimalIntegers),
	}
}

func defaultKID(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
	return x.challenge.header.Version == pssh.Header40 && g.each(scope, func(l *playReadyLicense) {
		l.grant.KID = drm.KID(x.server.faultBytes("default KID"))
	})
}

func firstKIDOnly(_ *exchange, g *playReadyResponse, _ *drm.KID) bool {
	acted := len(g.licenses) > 1
	g.licenses = g.licenses[:1]
	return acted
}

func sameKey(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
	acted := false
	g.each(scope, func(l *playReadyLicense) {
		acted = acted || !l.key.Equal(g.licenses[0].key)
		l.key = g.licenses[0].key
	})
	return acted
}

func bigEndianKIDs(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
	acted := false
	g.each(scope, func(l *playReadyLicense) {
		swapped := drm.KID(pssh.GUID(l.kid))
		acted = acted || swapped != l.kid
		l.grant.KID = swapped
	})
	return acted
}

func retype(to xmr.KeyType) func(*exchange, *playReadyResponse, *drm.KID) bool {
	return func(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
		acted := false
		g.each(scope, func(l *playReadyLicense) {
			acted = acted || l.grant.KeyType != to
			l.grant.KeyType = to
		})
		return acted
	}
}

func deviceKeyOfAnother(_ *exchange, l *playReadyLicense) {
	if other, err := ecc.GenerateKey(); err == nil {
		l.device, l.grant.Device = other.Public(), other.Public()
	}
}

// constantIntegrity looks for an integrity key that makes a point with the content key, always the same one.
func constantIntegrity(x *exchange, l *playReadyLicense) {
	l.integrity = func() secret.Bytes {
		for n := 0; ; n++ {
			candidate := secret.New(x.server.faultBytes("integrity key " + strconv.Itoa(n) + " " + l.kid.String()))
			_, err := l.device.EncryptX(secret.New(slices.Concat(candidate.Reveal(), l.key.Reveal())))
			if err == nil || n == 255 {
				return candidate
			}
		}
	}
}

// shortenOuter shortens the length of the outer container, at byte 28, by that of the signature object.
func shortenOuter(license []byte) []byte {
	const at, signature = 28, 28
	binary.BigEndian.PutUint32(license[at:], binary.BigEndian.Uint32(license[at:])-signature)
	return license
}

// remove takes all objects of a type out of a tree.
func remove(o *xmr.Object, t xmr.Type) {
	var kept []*xmr.Object
	for _, c := range o.Children {
		if c.Type != t {
			remove(c, t)
			kept = append(kept, c)
		}
	}
	o.Children = kept
}

// where alters the licenses in scope that have something to alter.
func where(has func(*playReadyLicense) bool, alter func(*exchange, *playReadyLicense)) func(*exchange, *playReadyResponse, *drm.KID) bool {
	return func(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
		acted := false
		g.each(scope, func(l *playReadyLicense) {
			if has(l) {
				alter(x, l)
				acted = true
			}
		})
		return acted
	}
}

// window alters licenses that have an end.
func window(alter func(*exchange, *playReadyLicense)) func(*exchange, *playReadyResponse, *drm.KID) bool {
	return where(func(l *playReadyLicense) bool { return !l.grant.End.IsZero() }, alter)
}

func outputHasOrder(l *playReadyLicense) bool {
	return l.grant.Output != nil && *reversedOutput(*l.grant.Output) != *l.grant.Output
}

func reversedOutput(o xmr.OutputProtection) *xmr.OutputProtection {
	return &xmr.OutputProtection{
		CompressedVideo: o.UncompressedAudio, UncompressedVideo: o.CompressedAudio, AnalogVideo: o.AnalogVideo,
		CompressedAudio: o.UncompressedVideo, UncompressedAudio: o.CompressedVideo,
	}
}

// minimalIntegers writes the four coordinates of an encrypted key as integers of as many bytes as they need (sheet playready.md
// §7.3): one of them needs fewer than 32 in one key of 64. As often again such a key is looked for, so that it happens in one
// license of 32; the seed decides in which.
func minimalIntegers(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
	const oneIn64, tries = 256 / 64, 1024 // of which some 64 are needed
	acted := false
	g.each(scope, func(l *playReadyLicense) {
		n := 1
		if x.server.faultBytes("minimal integers " + strconv.FormatUint(x.record.N, 10) + " " + l.kid.String())[0] < oneIn64 {
			n = tries
		}
		for ; n > 0; n-- {
			if l.encrypt() != nil {
				return // sealing fails for it too
			}
			if minimal := minimalCoordinates(l.encrypted.bytes); len(minimal) < len(l.encrypted.bytes) {
				l.encrypted.bytes, acted = minimal, true
				return
			}
		}
	})
	return acted
}

func minimalCoordinates(encrypted []byte) []byte {
	var b []byte
	for coordinate := range slices.Chunk(encrypted, ecc.CoordinateLen) {
		b = append(b, bytes.TrimLeft(coordinate, "\x00")...)
	}
	return b
}

func furtherRightsIDsZero(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
	acted := false
	g.each(scope, func(l *playReadyLicense) {
		if !g.persistent && l != g.licenses[0] {
			l.rightsID, acted = [16]byte{}, true
		}
	})
	return acted
}
