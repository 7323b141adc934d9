package fakes

import "keyflow/drm"

// The gates of the providers' services, by their bare names in sheet providers.md §7.2.
const (
	faultEPAuthenticator  = "ep-authenticator-ignored"
	faultNotEnforced      = "auth-not-enforced"
	faultTokenSignature   = "token-signature-ignored"
	faultAlgNone          = "alg-none-ok"
	faultExpired          = "expired-accepted"
	faultHalfLife         = "ttl-half"
	faultZeroSkew         = "zero-skew"
	faultNotBeforeIgnored = "nbf-ignored"
	faultAudience         = "aud-ignored"
	faultKIDNotBound      = "kid-not-bound"
	faultReplay           = "token-reuse-accepted"
	faultConsumed         = "token-consumed-by-cert"
	faultQueryPlus        = "query-plus-to-space"
	faultCustomData       = "customdata-ignored"
	faultMissingGeneric   = "customdata-missing-generic"
	faultRawForJSON       = "raw-when-json-asked"
	faultErrorCode        = "errorcode-ignored" // not of the sheet
)

// providerFaults leave out checks of the providers' services, or make ones that they don't. Each acts at every provider that has
// what it is about; none changes anything at the plain license services.
func providerFaults() []definition {
	gate := func(name, description string, operation drm.Kind, system drm.System) definition {
		return definition{Fault: Fault{
			Name: name, Description: description, System: system, Layer: Protocol, Operation: operation,
		}}
	}
	const every = "" // certificate requests too, where a provider wants a token with them
	return []definition{
		gate(faultEPAuthenticator, "ExpressPlay: a token is issued with any customer authenticator, or none", OperationToken, ""),
		gate(faultNotEnforced, "a request without a token gets a license", every, ""),
		gate(faultTokenSignature, "a token's signature is not verified", every, ""),
		gate(faultAlgNone, "a JWT of algorithm none is accepted with any signature, or none", every, ""),
		gate(faultExpired, "an expired token gets a license", every, ""),
		gate(faultHalfLife, "a token is taken for expired after half of its life", every, ""),
		gate(faultZeroSkew, "a token is refused whose issue or begin is even one second after the server's clock", every, ""),
		gate(faultNotBeforeIgnored, "a token gets a license before it begins to hold", every, ""),
		gate(faultAudience, "what a token says of the customer that it is of is not compared with the account", every, ""),
		gate(faultKIDNotBound, "a token of any KID gets the keys of all", drm.KindLicense, ""),
		gate(faultReplay, "DRMtoday: a token is accepted more than once", every, ""),
		gate(faultConsumed, "a certificate request uses the token of the later license request up", drm.KindCertificate, drm.Widevine),
		gate(faultQueryPlus, "a token in the query is percent-decoded once more, so that its plus signs become spaces", drm.KindLicense, ""),
		gate(faultCustomData, "custom data is not looked at for a token", drm.KindLicense, drm.PlayReady),
		gate(faultMissingGeneric, "the SOAP fault for a missing token does not say what is missing", drm.KindLicense, drm.PlayReady),
		gate(faultRawForJSON, "DRMtoday: answers come raw where JSON was asked for", every, drm.Widevine),
		gate(faultErrorCode, "Microsoft's test server: an error that the query asks for is left out", drm.KindLicense, drm.PlayReady),
	}
}
