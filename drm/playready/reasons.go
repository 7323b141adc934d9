package playready

import "keyflow/drm"

// The reasons of findings, in the order in which a client meets them (sheet playready.md §8, §9.5). They are stable: the fault
// matrix, baselines and scripts compare them.
const (
	ReasonEmptyAnswer   drm.Reason = "empty-answer"
	ReasonNotSOAP       drm.Reason = "not-a-license-response" // the body is no SOAP response that can be read
	ReasonFault         drm.Reason = "soap-fault"             // a refusal with a status code
	ReasonForm          drm.Reason = "response-form"          // another version or namespace than the due one
	ReasonNoLicense     drm.Reason = "no-license"             //
	ReasonLicenseParse  drm.Reason = "license-parse"          // no XMR license
	ReasonLicenseForm   drm.Reason = "license-form"           // scalable, chained or unknown: its key cannot be told
	ReasonKeyUnwrap     drm.Reason = "key-unwrap"             // the encrypted key does not decrypt
	ReasonDeviceKey     drm.Reason = "device-key"             // the license is for another device, or does not say for which
	ReasonCMAC          drm.Reason = "license-cmac"           // does not verify
	ReasonKeyType       drm.Reason = "key-type"               // not that of the header's algorithm
	ReasonKeyConflict   drm.Reason = "kid-with-two-keys"      //
	ReasonCannotPlay    drm.Reason = "can-play"               // no right to play
	ReasonSecurityLevel drm.Reason = "security-level"         // above that of the device
	ReasonNotYetValid   drm.Reason = "license-not-yet-valid"  //
	ReasonExpired       drm.Reason = "license-expired"        //
	ReasonWindow        drm.Reason = "license-window"         // ends before it begins, or when it does
	ReasonRightsID      drm.Reason = "rights-id"              // of a license that stays in memory: not from the request's nonce
	ReasonNonce         drm.Reason = "license-nonce"          // of a response with a persistent license: not the request's
	ReasonUnsigned      drm.Reason = "response-unsigned"      // though it has a persistent license
	ReasonResponseID    drm.Reason = "response-id"            // not 32 bytes
	ReasonDigest        drm.Reason = "response-digest"        // does not match, or refers to something else
	ReasonSignature     drm.Reason = "response-signature"     // does not verify
	ReasonSigner        drm.Reason = "response-signer"        // its chain does not verify, or may not sign responses
	ReasonUnknownDevice drm.Reason = "unknown-device"         // a ticket of another device
	ReasonRequest       drm.Reason = "stored-request"         // the stored request cannot be read
)
