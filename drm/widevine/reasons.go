package widevine

import "keyflow/drm"

// The reasons of findings, in the order in which a client meets them (sheet widevine.md §8.5). They are stable: the fault
// matrix, baselines and scripts compare them.
const (
	ReasonNotProtobuf    drm.Reason = "not-a-signed-message"   // the body does not parse as SignedMessage
	ReasonEmptyAnswer    drm.Reason = "empty-answer"           //
	ReasonMessageType    drm.Reason = "message-type"           // neither what was asked for nor an error
	ReasonLicenseError   drm.Reason = "license-error"          // an in-band refusal
	ReasonSessionKeyType drm.Reason = "session-key-type"       //
	ReasonSessionKeyLen  drm.Reason = "session-key-length"     // of the wrapped key
	ReasonSessionKey     drm.Reason = "session-key"            // OAEP decryption does not work, or yields no 16 bytes
	ReasonNoSignature    drm.Reason = "license-signature-form" // absent or not 32 bytes
	ReasonSignature      drm.Reason = "license-signature"      // does not verify
	ReasonSignatureCore  drm.Reason = "license-signature-core" // verifies over msg only although a core message is there
	ReasonLicenseParse   drm.Reason = "license-parse"          //
	ReasonRequestID      drm.Reason = "request-id"             // belongs to another request
	ReasonKeyUnwrap      drm.Reason = "key-unwrap"             // IV or wrapped length make unwrapping impossible
	ReasonKeyPadding     drm.Reason = "key-padding"            // not PKCS#7
	ReasonKeyUnpadded    drm.Reason = "key-unpadded"           // a plausible key without padding
	ReasonKeyLength      drm.Reason = "key-length"             //
	ReasonKIDLength      drm.Reason = "kid-length"             // the container's id is not 16 bytes
	ReasonKeyType        drm.Reason = "key-type"               // absent or unknown
	ReasonKeyConflict    drm.Reason = "kid-with-two-keys"      //
	ReasonKeyInClear     drm.Reason = "key-in-clear"           // an unwrapped key stands in the answer
	ReasonNoContentKeys  drm.Reason = "no-content-keys"        //
	ReasonSigningKeys    drm.Reason = "signing-keys"           // more than one
	ReasonCannotPlay     drm.Reason = "can-play"               // policy absent or can_play false
	ReasonNegativeTime   drm.Reason = "negative-duration"      //
	ReasonUnknownDevice  drm.Reason = "unknown-device"         // a ticket of another device
)

// The reasons of findings about the answer to a renewal or a release (sheet widevine.md §10), besides those of any answer. What
// the sheet calls uncertain is not fatal.
const (
	ReasonRenewalSession drm.Reason = "renewal-session-key" // a full license with a session key of its own
	ReasonRenewalMAC     drm.Reason = "renewal-mac-key"     // signed with the derived key although a SIGNING container replaced it
	ReasonSessionID      drm.Reason = "session-id"          // belongs to another session
	ReasonVersion        drm.Reason = "license-version"     // not one more than the request's
	ReasonRenewalKey     drm.Reason = "renewal-key"         // a content key differs from the license's
	ReasonRenewalSigning drm.Reason = "renewal-signing-key" // a SIGNING container, which is not used
	ReasonReleaseKeys    drm.Reason = "release-keys"        // content keys in the answer to a release
	ReasonNeedsSession   drm.Reason = "needs-session"       // a stored request that only its own session can judge
)

// The reasons of findings about a service certificate (sheet widevine.md §5.2, §5.3), besides those of any answer.
const (
	ReasonCertificateForm        drm.Reason = "certificate-form"          // bare, unsigned, or copies that differ
	ReasonCertificateParse       drm.Reason = "certificate-parse"         //
	ReasonCertificateSignature   drm.Reason = "certificate-signature"     // does not verify under the root
	ReasonCertificateType        drm.Reason = "certificate-type"          // not SERVICE
	ReasonCertificateProvider    drm.Reason = "certificate-provider"      // no provider_id or no serial_number
	ReasonCertificateKey         drm.Reason = "certificate-key"           // not RSA in PKCS#1, or below 2048 bits
	ReasonCertificateNotYetValid drm.Reason = "certificate-not-yet-valid" // created in the future
	ReasonCertificateExpired     drm.Reason = "certificate-expired"       //
)
