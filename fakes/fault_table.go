package fakes

import (
	"net/http"

	"keyflow/drm"
)

// The faults. Those that the pipeline asks for by name (see exchange.acts) are its gates: a check that a real server makes
// and this one then leaves out.
const (
	faultStall             = "stall-100ms-every-second"
	faultNeverAnswers      = "never-answers"
	faultReset             = "connection-reset"
	faultEndless           = "endless-body"
	faultTruncated         = "truncated-body"
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
)

// definition is a fault and what it does. A fault has at most one of the functions; one that has none is a gate or, in the
// transport layer, acts while the answer is awaited (stall) or sent (truncated).
type definition struct {
	Fault
	// instead puts something else in the place of the whole answer.
	instead func(w http.ResponseWriter, r *http.Request, x *exchange)
	// spoil alters a license that is about to be sealed. It reports whether there was anything to alter. scope is the
	// KID that the setting names, nil for all.
	spoil func(x *exchange, g *grant, scope *drm.KID) bool
}

// definitions is the one table of all faults, in the order in which they act.
func definitions() []definition {
	type replacement = func(http.ResponseWriter, *http.Request, *exchange)
	connection := func(name, description string, instead replacement) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: Transport}, instead: instead}
	}
	page := func(name, description string, instead replacement) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: HTTP}, instead: instead}
	}
	widevine := func(name, description string, spoil func(*exchange, *grant, *drm.KID) bool) definition {
		return definition{
			Fault: Fault{Name: name, Description: description, System: drm.Widevine, Layer: Protocol, Operation: drm.KindLicense},
			spoil: spoil,
		}
	}
	return []definition{
		connection(faultStall, "every answer that falls due in the first 100 ms of a second of the server's clock waits for their end", nil),
		connection(faultNeverAnswers, "reads the request and stays silent until the client leaves or the server stops", neverAnswers),
		connection(faultReset, "reads the request, then resets the connection", resetConnection),
		connection(faultEndless, "status 200 and a body that goes on until the client leaves, up to 1 GiB", endlessBody),
		connection(faultTruncated, "announces the whole answer, sends half of it, closes the connection", nil),
		page(faultHTML, "an HTML page with status 200, as a captive portal or a login page sends", htmlPage),
		page(fault503, "status 503 with Retry-After", unavailable),

		widevine(faultChainNotVerified, "a device certificate is accepted whoever signed it, and after its expiry", nil),
		widevine(faultSigNotVerified, "the request's signature is not verified", nil),
		widevine(faultSigEmptyAccepted, "a request without signature is accepted", nil),
		widevine(faultAnyKeyAccepted, "a signature made with the key of any device that the server knows is accepted", nil),
		widevine(faultUnknownKIDServed, "a KID that the server doesn't know gets a made-up key", nil),

		widevine(faultAnotherRequest, "answers with a license made for another request of the same device", answerAnotherRequest),
		widevine(faultRequestIDConstant, "the license names the same request_id whatever was asked", constantRequestID),
		widevine(faultStartMillis, "license_start_time is in milliseconds", startInMilliseconds),
		widevine(faultCanPlayMissing, "the policy lacks can_play, which reads as false", dropCanPlay),
		widevine(faultKeyRandom, "the content keys differ from request to request", randomKeys),
		widevine(faultKeysSwapped, "two KIDs have each other's content key", swapKeys),
		widevine(faultLastKeyDropped, "the last content key is missing", dropLastKey),
		widevine(faultKIDTwice, "a KID stands in the license twice, with two different keys", repeatKID),
		widevine(faultKIDLittleEndian, "KIDs are in the byte order of a GUID", littleEndianKIDs),
		widevine(faultBadPadding, "content keys are padded with zeros instead of PKCS#7", zeroPadding),
		widevine(faultIVConstant, "the IV of the content keys is the same in every license", constantIV),
		widevine(faultSessionConstant, "the session key is the same in every license", constantSessionKey),
		widevine(faultOAEPSHA256, "the session key is wrapped with OAEP over SHA-256 instead of SHA-1", wrapWithSHA256),
		widevine(faultHMACClientKey, "the license is authenticated with the client's MAC key", signWithClientKey),
		widevine(faultWrongType, "the envelope's type is SERVICE_CERTIFICATE instead of LICENSE", wrongType),
	}
}
