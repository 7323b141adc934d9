package fakes

import "keyflow/drm"

// The gates of ExpressPlay's services.
const (
	faultEPAuthenticator = "ep-authenticator-ignored"
	faultEPOptional      = "ep-token-optional"
	faultEPSignature     = "ep-token-signature-ignored"
	faultEPExpiry        = "ep-expiry-ignored"
	faultEPKIDNotBound   = "ep-kid-not-bound"
)

// expressPlayFaults leave out checks of ExpressPlay's token services and license services. They change nothing at the plain
// license services.
func expressPlayFaults() []definition {
	gate := func(name, description string, operation drm.Kind) definition {
		return definition{Fault: Fault{
			Name: name, Description: description, Layer: Protocol, Operation: operation, // of both systems
		}}
	}
	return []definition{
		gate(faultEPAuthenticator, "ExpressPlay: a token is issued with any customer authenticator, or none", OperationToken),
		gate(faultEPOptional, "ExpressPlay: a request without a token gets a license", drm.KindLicense),
		gate(faultEPSignature, "ExpressPlay: a token's signature, its last 32 bytes, is not verified", drm.KindLicense),
		gate(faultEPExpiry, "ExpressPlay: an expired token gets a license", drm.KindLicense),
		gate(faultEPKIDNotBound, "ExpressPlay: a token of any KID gets the keys of all", drm.KindLicense),
	}
}
