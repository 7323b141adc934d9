package fakes

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// The faults of the PlayReady server.
const (
	faultPRFault200         = "pr-fault-200"
	faultPRFaultBare        = "pr-fault-without-code"
	faultPRFaultTalks       = "pr-fault-stack-trace"
	faultPRFaultCode        = "pr-fault-always-600"
	faultPRActionQuoted     = "pr-action-quoted-only"
	faultPRDigestIgnored    = "pr-digest-not-verified"
	faultPRSignatureIgnored = "pr-signature-not-verified"
	faultPRChainIgnored     = "pr-chain-not-verified"
	faultPRExpiryIgnored    = "pr-expiry-ignored"
	faultPRBindingIgnored   = "pr-signing-key-not-bound"
	faultPRVersionIgnored   = "pr-version-ignored"
	faultPRHeader41         = "pr-header-41-refused"
	faultPRHeader42         = "pr-header-42-refused"
	faultPRAlgIDRequired    = "pr-algid-required"
	faultPRChecksumSwapped  = "pr-checksum-byte-order"
	faultPRChecksumRequired = "pr-checksum-required"
	faultPRUnknownKID       = "pr-unknown-kid-served"
	faultPRLevelIgnored     = "pr-device-level-ignored"
	faultPRPaddingOracle    = "pr-padding-told"
	faultPRDataUnread       = "pr-encrypted-data-unread"
	faultPRNonceIgnored     = "pr-nonce-ignored"
	faultPROptionalRefused  = "pr-optional-elements-refused"

	faultPRDefaultKID      = "pr-default-kid"
	faultPRFirstKIDOnly    = "pr-first-kid-only"
	faultPRSameKey         = "pr-same-key-for-all"
	faultPRKIDBigEndian    = "pr-kid-big-endian"
	faultPRKeyBit          = "pr-key-bit-flipped"
	faultPRChecksumKey     = "pr-checksum-changes-key"
	faultPRKeyTypeCTR      = "pr-key-type-always-ctr"
	faultPRKeyTypeCBC      = "pr-key-type-always-cbc"
	faultPRDeviceKey       = "pr-device-key-of-another"
	faultPRIntegrity       = "pr-integrity-key-constant"
	faultPRCMACRange       = "pr-cmac-range"
	faultPROuterLength     = "pr-outer-length"
	faultPRFlagsCleared    = "pr-must-understand-cleared"
	faultPRPlaybackMissing = "pr-playback-missing"
	faultPRLevelMissing    = "pr-security-level-missing"
	faultPRBeginZero       = "pr-begin-missing"
	faultPRBeginFuture     = "pr-begin-in-future"
	faultPREndFirst        = "pr-end-before-begin"
	faultPRRightsID        = "pr-rights-id-random"
	faultPRRightsIDZero    = "pr-further-rights-ids-zero"
	faultPRNamespace       = "pr-license-namespace"
	faultPRContentType     = "pr-content-type"
)

// playReadyFaults are the faults of the PlayReady server, in the order in which they act.
func playReadyFaults() []definition {
	fault := func(name, description string, layer Layer, spoil func(*exchange, *playReadyResponse, *drm.KID) bool) definition {
		return definition{
			Fault:         Fault{Name: name, Description: description, System: drm.PlayReady, Layer: layer, Operation: drm.KindLicense},
			spoilResponse: spoil,
		}
	}
	gate := func(name, description string) definition { return fault(name, description, Protocol, nil) }
	license := func(name, description string, alter func(*exchange, *playReadyLicense)) definition {
		return fault(name, description, Protocol, func(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
			return g.each(scope, func(l *playReadyLicense) { alter(x, l) })
		})
	}
	tree := func(name, description string, alter func(*exchange, *xmr.Object)) definition {
		return license(name, description, func(x *exchange, l *playReadyLicense) {
			before := l.tree
			l.tree = func(outer *xmr.Object) {
				if before != nil {
					before(outer)
				}
				alter(x, outer)
			}
		})
	}
	return []definition{
		fault(faultPRFault200, "a SOAP fault comes with status 200", HTTP, nil),
		gate(faultPRFaultBare, "a SOAP fault has no detail, and with it no status code"),
		gate(faultPRFaultTalks, "the text of a SOAP fault is a stack trace"),
		gate(faultPRFaultCode, "every SOAP fault has the code 0x8004C600, whatever is wrong"),
		gate(faultPRActionQuoted, "a SOAPAction without double quotes is refused"),
		gate(faultPRDigestIgnored, "the digest of the challenge is not verified, only the signature over SignedInfo"),
		gate(faultPRSignatureIgnored, "the signature of the challenge is not verified, only the digest"),
		gate(faultPRPaddingOracle, "encrypted data with invalid padding is refused with another text and code than data that cannot be read"),
		gate(faultPRDataUnread, "encrypted data that cannot be read is answered with status 200 and nothing"),
		gate(faultPRChainIgnored, "a certificate chain is accepted whoever signed it"),
		gate(faultPRExpiryIgnored, "an expired certificate is accepted"),
		gate(faultPRBindingIgnored, "the key that the signature names is trusted though it is not the device certificate's"),
		gate(faultPRVersionIgnored, "a challenge of any version is accepted"),
		gate(faultPRNonceIgnored, "a challenge whose nonce is missing, or has another length than 16 bytes, gets a license"),
		gate(faultPROptionalRefused, "a header with LUI_URL, DS_ID, CUSTOMATTRIBUTES or DECRYPTORSETUP is refused"),
		gate(faultPRHeader41, "a header of version 4.1 is refused: its KID is looked for in the text of an element"),
		gate(faultPRHeader42, "a header of version 4.2 is refused: its KID is looked for outside of KIDS"),
		gate(faultPRAlgIDRequired, "a header of version 4.3 without ALGID is refused"),
		gate(faultPRChecksumSwapped, "a right checksum is refused: the server computes it over the KID in big-endian order"),
		gate(faultPRChecksumRequired, "a header for AESCTR without checksum is refused"),
		gate(faultPRUnknownKID, "a KID that the server doesn't know gets a made-up key"),
		gate(faultPRLevelIgnored, "a device gets keys that are for a higher security level"),

		fault(faultPRDefaultKID, "a header of version 4.0 gets a license for a default KID", Protocol, defaultKID),
		fault(faultPRFirstKIDOnly, "of several KIDs only the first gets a license", Protocol, firstKIDOnly),
		fault(faultPRSameKey, "all KIDs get the first one's key", Protocol, sameKey),
		fault(faultPRKIDBigEndian, "the KID in the license is in big-endian order", Protocol, bigEndianKIDs),
		license(faultPRKeyBit, "one bit of the content key is wrong", func(_ *exchange, l *playReadyLicense) {
			wrong := bytes.Clone(l.key.Reveal())
			wrong[0] ^= 1
			l.key = secret.New(wrong)
		}),
		fault(faultPRChecksumKey, "a wrong checksum in the header is accepted, and changes the content key", Protocol, nil),
		fault(faultPRKeyTypeCTR, "keys for AES-CBC have the type of AES-CTR", Protocol, retype(xmr.KeyAESCTR)),
		fault(faultPRKeyTypeCBC, "keys for AES-CTR have the type of AES-CBC", Protocol, retype(xmr.KeyAESCBC)),
		license(faultPRDeviceKey, "the license names another device's encryption key, and is encrypted for it", deviceKeyOfAnother),
		license(faultPRIntegrity, "the integrity key is the same in every license for a KID", constantIntegrity),
		license(faultPRCMACRange, "the CMAC covers the header of the signature object too", func(_ *exchange, l *playReadyLicense) { l.longCMAC = true }),
		license(faultPROuterLength, "the length of the outer container leaves the signature out", func(_ *exchange, l *playReadyLicense) {
			l.sealed = shortenOuter
		}),
		tree(faultPRFlagsCleared, "objects need not be understood: their flag is not set", func(_ *exchange, outer *xmr.Object) {
			for _, t := range []xmr.Type{xmr.TypeSecurityLevel, xmr.TypeExpiration, xmr.TypeContentKey} {
				if o := outer.Find(t); o != nil {
					o.Flags &^= xmr.FlagMustUnderstand
				}
			}
		}),
		tree(faultPRPlaybackMissing, "the license gives no right to play", func(_ *exchange, outer *xmr.Object) { remove(outer, xmr.TypePlayback) }),
		tree(faultPRLevelMissing, "the license states no security level", func(_ *exchange, outer *xmr.Object) { remove(outer, xmr.TypeSecurityLevel) }),
		fault(faultPRBeginZero, "the license has an end and no begin", Protocol, window(func(_ *exchange, l *playReadyLicense) { l.grant.Begin = time.Time{} })),
		fault(faultPRBeginFuture, "the license begins in ten minutes", Protocol, window(func(x *exchange, l *playReadyLicense) { l.grant.Begin = x.now.Add(10 * time.Minute) })),
		fault(faultPREndFirst, "the license ends before it begins", Protocol, window(func(_ *exchange, l *playReadyLicense) { l.grant.End = l.grant.Begin.Add(-time.Minute) })),
		fault(faultPRRightsID, "the Rights ID of a license is random", Protocol, func(_ *exchange, g *playReadyResponse, scope *drm.KID) bool {
			return !g.persistent && g.each(scope, func(l *playReadyLicense) { l.rightsID = [16]byte(random(16)) })
		}),
		fault(faultPRRightsIDZero, "all licenses but the first have a Rights ID of zeros", Protocol, furtherRightsIDsZero),
		fault(faultPRNamespace, "the element License is in no namespace", Protocol, func(_ *exchange, g *playReadyResponse, _ *drm.KID) bool {
			g.text = func(text string) string { return strings.ReplaceAll(text, "<License>", `<License xmlns="">`) }
			return true
		}),
		fault(faultPRContentType, "the response is of type application/octet-stream", HTTP, func(_ *exchange, g *playReadyResponse, _ *drm.KID) bool {
			g.contentType = contentTypeBinary
			return true
		}),
	}
}

// each calls alter for the licenses in scope and reports whether it did for any.
func (g *playReadyResponse) each(scope *drm.KID, alter func(*playReadyLicense)) bool {
	acted := false
	for _, l := range g.licenses {
		if scope == nil || l.kid == *scope {
			alter(l)
			acted = true
		}
	}
	return acted
}

// actsOn is [exchange.acts] for a gate in which every KID is looked at on its own.
func (x *exchange) actsOn(name string, kid drm.KID) bool {
	if !slices.ContainsFunc(x.faults, func(a *armed) bool { return a.Name == name && (a.KID == nil || *a.KID == kid) }) {
		return false
	}
	x.acted(name)
	return true
}

// headerFaults refuses headers that a faulty server cannot read, nil without a fault.
func (x *exchange) headerFaults(h *pssh.WRMHeader) *refusal {
	algorithmMissing := slices.ContainsFunc(h.KIDs, func(k pssh.HeaderKID) bool { return k.Algorithm == "" })
	checksumMissing := slices.ContainsFunc(h.KIDs, func(k pssh.HeaderKID) bool { return k.Checksum == nil && k.Algorithm == pssh.AlgorithmAESCTR })
	switch {
	case h.Version == pssh.Header41 && x.acts(faultPRHeader41), h.Version == pssh.Header42 && x.acts(faultPRHeader42),
		algorithmMissing && x.acts(faultPRAlgIDRequired), h.LUIURL+h.DomainServiceID+h.CustomAttributes+h.DecryptorSetup != "" && x.acts(faultPROptionalRefused):
		return x.fault(reasonHeader, soap.CodeInvalidMessage, "the header of the content cannot be read")
	case checksumMissing && x.acts(faultPRChecksumRequired):
		return x.fault(reasonChecksum, soap.CodeInvalidMessage, "the header has no checksum")
	}
	return nil
}

// changedKey is a fault: a key that follows from the checksum of the header.
func changedKey(key secret.Bytes, checksum []byte) secret.Bytes {
	changed := bytes.Clone(key.Reveal())
	for i := range changed {
		changed[i] ^= checksum[i%len(checksum)]
	}
	return secret.New(changed)
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

// window alters licenses that have an end.
func window(alter func(*exchange, *playReadyLicense)) func(*exchange, *playReadyResponse, *drm.KID) bool {
	return func(x *exchange, g *playReadyResponse, scope *drm.KID) bool {
		acted := false
		g.each(scope, func(l *playReadyLicense) {
			if !l.grant.End.IsZero() {
				alter(x, l)
				acted = true
			}
		})
		return acted
	}
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
