package fakes

import (
	"net/http"
	"slices"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

// The faults. Those that the pipeline asks for by name (see exchange.acts) are its gates: a check that a real server makes
// and this one then leaves out.
const (
	faultStall             = "stall-100ms-every-second"
	faultLate              = "answer-after-3s"
	faultNeverAnswers      = "never-answers"
	faultReset             = "connection-reset"
	faultEndless           = "endless-body"
	faultTruncated         = "truncated-body"
	faultTwice             = "answer-twice"
	faultHTML              = "html-200"
	fault503               = "refuse-with-503"
	faultChainNotVerified  = "wv-chain-not-verified"
	faultSigNotVerified    = "wv-signature-not-verified"
	faultSigEmptyAccepted  = "wv-empty-signature-accepted"
	faultAnyKeyAccepted    = "wv-any-known-key-accepted"
	faultUnknownKIDServed  = "wv-unknown-kid-served"
	faultAnotherRequest    = "wv-answer-of-another-request"
	faultRequestIDConstant = "wv-request-id-constant"
	faultStartMillis       = "wv-start-time-milliseconds"
	faultCanPlayMissing    = "wv-can-play-missing"
	faultKeyRandom         = "wv-key-random-per-request"
	faultKeysSwapped       = "wv-keys-swapped"
	faultLastKeyDropped    = "wv-last-key-dropped"
	faultKIDTwice          = "wv-kid-twice-two-keys"
	faultKIDLittleEndian   = "wv-kid-little-endian"
	faultBadPadding        = "wv-key-bad-padding"
	faultIVConstant        = "wv-iv-constant"
	faultSessionConstant   = "wv-session-key-constant"
	faultOAEPSHA256        = "wv-session-key-oaep-sha256"
	faultHMACClientKey     = "wv-license-hmac-client-key"
	faultWrongType         = "wv-answer-wrong-type"
	// Those of sheet providers.md §7.3.
	faultHDCP        = "hdcp-v2-on-sd"
	faultDuration    = "duration-7s"
	faultPersistence = "persist-mismatch"

	faultCertRefused     = "wv-cert-refused"
	faultCertWrongType   = "wv-cert-wrong-type"
	faultCertLengthExact = "wv-cert-length-exact"
	faultCertBitFlipped  = "wv-cert-bit-flipped"
	faultCertForeignRoot = "wv-cert-foreign-root"
	faultCertPKCS1v15    = "wv-cert-pkcs1v15"
	faultCertTypeDevice  = "wv-cert-type-device"
	faultCertSPKIKey     = "wv-cert-spki-key"
	faultCertNoProvider  = "wv-cert-no-provider"
	faultCertExpired     = "wv-cert-expired"
	faultCertOtherKey    = "wv-cert-other-key"
	faultCertAlternates  = "wv-cert-alternates"

	faultPrivacyIgnored       = "wv-privacy-ignored"
	faultPrivacySerialIgnored = "wv-privacy-serial-ignored"
	faultPrivacyPadding500    = "wv-privacy-padding-500"
	faultPrivacyBothIDs       = "wv-privacy-both-ids"
	faultAnonymousLicense     = "wv-anonymous-license"
	faultPrivacyDecrypted     = "wv-privacy-decrypted-context"
)

// definition is a fault and what it does. A fault has at most one of the functions; one that has none is a gate or, in the
// transport layer, acts while the answer is awaited (stall, late) or sent (truncated, twice).
type definition struct {
	Fault
	// instead puts something else in the place of the whole answer.
	instead func(w http.ResponseWriter, r *http.Request, x *exchange)
	// certificate makes what is handed out in the place of the service certificate.
	certificate func(a *Authority) (*wire.SignedDrmCertificate, error)
	inTurn      bool // the certificate is handed out every other time only
	// spoil alters a license that is about to be sealed. It reports whether there was anything to alter. scope is the
	// KID that the setting names, nil for all.
	spoil func(x *exchange, g *grant, scope *drm.KID) bool
	// spoilSuccessor is that of the answer to a renewal or a release.
	spoilSuccessor func(x *exchange, s *successor) bool
	// spoilResponse is that of a PlayReady response.
	spoilResponse func(x *exchange, g *playReadyResponse, scope *drm.KID) bool
}

// definitions is the one table of all faults, in the order in which they act.
func definitions() []definition {
	return slices.Concat(connectionFaults(), transportFaults(), malformedFaults(), certificateFaults(), providerFaults(), gateFaults(), licenseFaults(), renewalFaults(), playReadyFaults())
}

func connectionFaults() []definition {
	type replacement = func(http.ResponseWriter, *http.Request, *exchange)
	connection := func(name, description string, instead replacement) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: Transport}, instead: instead}
	}
	page := func(name, description string, instead replacement) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: HTTP}, instead: instead}
	}
	return []definition{
		connection(faultStall, "every answer that falls due in the first 100 ms of a second of the server's clock waits for their end", nil),
		connection(faultLate, "every answer comes three seconds late", nil),
		connection(faultNeverAnswers, "reads the request and stays silent until the client leaves or the server stops", neverAnswers),
		connection(faultReset, "reads the request, then resets the connection", resetConnection),
		connection(faultEndless, "status 200 and a body that goes on until the client leaves, up to 1 GiB", endlessBody),
		connection(faultTruncated, "announces the whole answer, sends half of it, closes the connection", nil),
		connection(faultTwice, "sends the answer twice on the connection and none to a request that follows there", nil),
		page(faultHTML, "an HTML page with status 200, as a captive portal or a login page sends", htmlPage),
		page(fault503, "status 503 with Retry-After", unavailable),
	}
}

// certificateFaults are what can be wrong with the answer to a service certificate request.
func certificateFaults() []definition {
	certificate := func(name, description string, issue func(*Authority) (*wire.SignedDrmCertificate, error)) definition {
		return definition{
			Fault:       Fault{Name: name, Description: description, System: drm.Widevine, Layer: Protocol, Operation: drm.KindCertificate},
			certificate: issue,
		}
	}
	alternates := certificate(faultCertAlternates, "two service certificates in turn, only the first of which belongs to the server's key", ofAnotherKey)
	alternates.inTurn = true
	return []definition{
		certificate(faultCertRefused, "a request for the service certificate is refused with status 400", nil),
		certificate(faultCertLengthExact, "a request for the service certificate is accepted in its 2-byte form only", nil),
		certificate(faultCertWrongType, "the service certificate comes in an envelope of type LICENSE", nil),
		certificate(faultCertBitFlipped, "one bit of the service certificate is flipped after signing", flipBit),
		certificate(faultCertForeignRoot, "the service certificate is signed by a key that isn't the root's", signByModel),
		certificate(faultCertPKCS1v15, "the service certificate is signed with PKCS#1 v1.5 instead of PSS", signPKCS1v15),
		certificate(faultCertTypeDevice, "the service certificate is of type DEVICE", ofTypeDevice),
		certificate(faultCertSPKIKey, "the service certificate's public key is a SubjectPublicKeyInfo instead of PKCS#1", withSPKI),
		certificate(faultCertNoProvider, "the service certificate has no provider_id", withoutProvider),
		certificate(faultCertExpired, "the service certificate has expired", expiredYesterday),
		certificate(faultCertOtherKey, "the server doesn't hold the private key of the service certificate", ofAnotherKey),
		alternates,
	}
}

// protocolFault is a fault in what a license request is answered with.
func protocolFault(name, description string, spoil func(*exchange, *grant, *drm.KID) bool) definition {
	return definition{
		Fault: Fault{Name: name, Description: description, System: drm.Widevine, Layer: Protocol, Operation: drm.KindLicense},
		spoil: spoil,
	}
}

// gateFaults leave out a check that a real server makes, or make one that it doesn't.
func gateFaults() []definition {
	gate := func(name, description string) definition { return protocolFault(name, description, nil) }
	return []definition{
		gate(faultPrivacyIgnored, "an encrypted client id is taken for none: status 400 in privacy mode"),
		gate(faultPrivacySerialIgnored, "a client id that is encrypted for another certificate, by provider or serial, is accepted"),
		gate(faultPrivacyPadding500, "an encrypted client id is refused with status 500 for its padding, with 403 for its content"),
		gate(faultPrivacyBothIDs, "a clear and an encrypted client id are accepted: the former's device signs, the latter's gets the license"),
		gate(faultAnonymousLicense, "a request without any client id gets a license"),
		gate(faultChainNotVerified, "a device certificate is accepted whoever signed it, and after its expiry"),
		gate(faultSigNotVerified, "the request's signature is not verified"),
		gate(faultSigEmptyAccepted, "a request without signature is accepted"),
		gate(faultAnyKeyAccepted, "a signature made with the key of any device that the server knows is accepted"),
		gate(faultUnknownKIDServed, "a KID that the server doesn't know gets a made-up key"),
	}
}

// licenseFaults spoil the license itself.
func licenseFaults() []definition {
	return []definition{
		protocolFault(faultPrivacyDecrypted, "a license in privacy mode is derived from the request with the decrypted client id", deriveFromDecrypted),
		protocolFault(faultAnotherRequest, "answers with a license made for another request of the same device", answerAnotherRequest),
		protocolFault(faultRequestIDConstant, "the license names the same request_id whatever was asked", constantRequestID),
		protocolFault(faultStartMillis, "license_start_time is in milliseconds", startInMilliseconds),
		protocolFault(faultCanPlayMissing, "the policy lacks can_play, which reads as false", dropCanPlay),
		protocolFault(faultKeyRandom, "the content keys differ from request to request", randomKeys),
		protocolFault(faultKeysSwapped, "two KIDs have each other's content key", swapKeys),
		protocolFault(faultLastKeyDropped, "the last content key is missing", dropLastKey),
		protocolFault(faultKIDTwice, "a KID stands in the license twice, with two different keys", repeatKID),
		protocolFault(faultKIDLittleEndian, "KIDs are in the byte order of a GUID", littleEndianKIDs),
		protocolFault(faultBadPadding, "content keys are padded with zeros instead of PKCS#7", zeroPadding),
		protocolFault(faultIVConstant, "the IV of the content keys is the same in every license", constantIV),
		protocolFault(faultSessionConstant, "the session key is the same in every license", constantSessionKey),
		protocolFault(faultOAEPSHA256, "the session key is wrapped with OAEP over SHA-256 instead of SHA-1", wrapWithSHA256),
		protocolFault(faultHMACClientKey, "the license is authenticated with the client's MAC key", signWithClientKey),
		protocolFault(faultHDCP, "every key demands HDCP 2 of outputs", demandHDCP),
		protocolFault(faultDuration, "the license lasts seven seconds", sevenSeconds),
		protocolFault(faultPersistence, "the license may be stored if it should not be, and not if it should", invertPersistence),
		protocolFault(faultWrongType, "the envelope's type is SERVICE_CERTIFICATE instead of LICENSE", wrongType),
	}
}
