package fakes

import (
	"bytes"
	"slices"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
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

	faultPRRevocationIgnored = "pr-revocation-ignored"
	faultPRRedirect          = "pr-redirect"
	faultPRRedirectEmpty     = "pr-redirect-empty"
	faultPRTransactionAny    = "pr-unknown-transaction-accepted"

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
	faultPRCacheable       = "pr-cacheable"
	faultPRSettings        = "pr-settings-inverted"
	faultPRRealTime        = "pr-real-time-missing"
	faultPROutputOrder     = "pr-output-order"
	faultPRFirstPlay       = "pr-first-play-missing"
	faultPRMinimalIntegers = "pr-minimal-integers"

	faultPRNonceOfAnother   = "pr-nonce-of-another"
	faultPRUnsigned         = "pr-response-unsigned"
	faultPRResponseDigest   = "pr-response-digest"
	faultPRSignerForeign    = "pr-response-signer-foreign"
	faultPRResponseID       = "pr-response-id-constant"
	faultPRTransactionConst = "pr-transaction-id-constant"
)

// playReadyFaults are the faults of the PlayReady server, in the order in which they act.
func playReadyFaults() []definition {
	return slices.Concat(playReadyGates(), playReadyLicenseFaults(), playReadyResponseFaults())
}

// playReadyFault is a fault in what a license challenge is answered with.
func playReadyFault(name, description string, layer Layer, spoil func(*exchange, *playReadyResponse, *drm.KID) bool) definition {
	return definition{
		Fault:         Fault{Name: name, Description: description, System: drm.PlayReady, Layer: layer, Operation: drm.KindLicense},
		spoilResponse: spoil,
	}
}

// playReadyGate is a fault that the pipeline asks for by name.
func playReadyGate(name, description string) definition {
	return playReadyFault(name, description, Protocol, nil)
}

// playReadyGates are faults in the form of refusals, and in what is refused.
func playReadyGates() []definition {
	return []definition{
		playReadyFault(faultPRFault200, "a SOAP fault comes with status 200", HTTP, nil),
		playReadyGate(faultPRFaultBare, "a SOAP fault has no detail, and with it no status code"),
		playReadyGate(faultPRFaultTalks, "the text of a SOAP fault is a stack trace"),
		playReadyGate(faultPRFaultCode, "every SOAP fault has the code 0x8004C600, whatever is wrong"),
		playReadyGate(faultPRActionQuoted, "a SOAPAction without double quotes is refused"),
		playReadyGate(faultPRDigestIgnored, "the digest of the challenge is not verified, only the signature over SignedInfo"),
		playReadyGate(faultPRSignatureIgnored, "the signature of the challenge is not verified, only the digest"),
		playReadyGate(faultPRPaddingOracle, "encrypted data with invalid padding is refused with another text and code than data that cannot be read"),
		playReadyGate(faultPRDataUnread, "encrypted data that cannot be read is answered with status 200 and nothing"),
		playReadyGate(faultPRChainIgnored, "a certificate chain is accepted whoever signed it"),
		playReadyGate(faultPRExpiryIgnored, "an expired certificate is accepted"),
		playReadyGate(faultPRRevocationIgnored, "a device with a revoked certificate gets a license"),
		playReadyGate(faultPRBindingIgnored, "the key that the signature names is trusted though it is not the device certificate's"),
		playReadyGate(faultPRVersionIgnored, "a challenge of any version is accepted"),
		playReadyGate(faultPRNonceIgnored, "a challenge whose nonce is missing, or has another length than 16 bytes, gets a license"),
		playReadyGate(faultPRRedirect, "a challenge is answered with the SOAP fault 0x8004C60D, whose RedirectUrl leads to a license"),
		playReadyGate(faultPRRedirectEmpty, "a challenge is answered with the SOAP fault 0x8004C60D, whose RedirectUrl is empty"),
		playReadyGate(faultPROptionalRefused, "a header with LUI_URL, DS_ID, CUSTOMATTRIBUTES or DECRYPTORSETUP is refused"),
		playReadyGate(faultPRHeader41, "a header of version 4.1 is refused: its KID is looked for in the text of an element"),
		playReadyGate(faultPRHeader42, "a header of version 4.2 is refused: its KID is looked for outside of KIDS"),
		playReadyGate(faultPRAlgIDRequired, "a header of version 4.3 without ALGID is refused"),
		playReadyGate(faultPRChecksumSwapped, "a right checksum is refused: the server computes it over the KID in big-endian order"),
		playReadyGate(faultPRChecksumRequired, "a header for AESCTR without checksum is refused"),
		playReadyGate(faultPRUnknownKID, "a KID that the server doesn't know gets a made-up key"),
		playReadyGate(faultPRLevelIgnored, "a device gets keys that are for a higher security level"),
		{Fault: Fault{
			Name: faultPRTransactionAny, Description: "an acknowledgement is accepted whatever transaction id it quotes",
			System: drm.PlayReady, Layer: Protocol, Operation: drm.KindAcknowledgement,
		}},
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
