package main

import (
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// What inspect prints of a Widevine message with --json. Of wrapped keys, encrypted parts, signatures and tokens there are lengths
// and fingerprints only; what is absent is not stated, or cannot be read. Enumerations are number and name (sheet widevine.md §4).
type (
	inspectedWV struct {
		Envelope    *inspectedEnvelope    `json:"envelope,omitempty"` // none: a certificate or client by itself
		Request     *inspectedWVRequest   `json:"request,omitempty"`
		License     *inspectedWVLicense   `json:"license,omitempty"`
		Error       *inspectedWVError     `json:"error,omitempty"`
		Client      *inspectedClient      `json:"client,omitempty"` // by itself
		Certificate *inspectedServiceCert `json:"service_certificate,omitempty"`
		Unknown     []inspectedUnknown    `json:"unknown_fields,omitempty"` // at most 100
	}
	inspectedEnvelope struct {
		Type                  string            `json:"type,omitempty"` // absent reads as 1 (LICENSE_REQUEST)
		Message               int               `json:"message_bytes"`
		Signature             int               `json:"signature_bytes"`
		SessionKey            int               `json:"session_key_bytes,omitempty"` // wrapped
		SessionKeyFingerprint drm.Fingerprint   `json:"session_key_fingerprint,omitempty"`
		SessionKeyType        string            `json:"session_key_type,omitempty"`
		Core                  int               `json:"core_message_bytes,omitempty"`
		Attestation           int               `json:"remote_attestation_bytes,omitempty"`
		SDK                   string            `json:"license_sdk_version,omitempty"`
		Service               string            `json:"license_service_version,omitempty"`
		Metrics               []inspectedMetric `json:"metrics,omitempty"`
	}
	inspectedMetric struct {
		Stage  string   `json:"stage,omitempty"`
		Values []string `json:"values,omitempty"`
	}
	inspectedWVRequest struct {
		Partly            bool              `json:"partly_read,omitempty"` // what is absent may have been stated
		Type              string            `json:"type,omitempty"`        // absent reads as 1 (NEW)
		Content           *inspectedContent `json:"content,omitempty"`
		Client            *inspectedClient  `json:"client,omitempty"`
		Encrypted         *inspectedPrivacy `json:"encrypted_client,omitempty"` // privacy mode
		Time              *inspectedTime    `json:"request_time,omitempty"`
		Protocol          string            `json:"protocol_version,omitempty"` // absent reads as 20 (VERSION_2_0)
		Nonce             bool              `json:"nonce_present"`
		OldNonce          int               `json:"deprecated_nonce_bytes,omitempty"`
		SignatureVerifies *bool             `json:"signature_verifies,omitempty"` // under the device's key; absent: not known
		SignatureCovers   string            `json:"signature_covers,omitempty"`
	}
	// inspectedTime is a time in Unix seconds as it stands in a message.
	inspectedTime struct {
		Unix int64      `json:"unix_seconds"`
		UTC  *time.Time `json:"utc,omitempty"` // absent: no date of four digits
	}
	// inspectedContent says what is asked for.
	inspectedContent struct {
		Form        string              `json:"form"`
		Widevine    []inspectedWVData   `json:"pssh_data,omitempty"`
		Boxes       []inspectedBox      `json:"boxes,omitempty"` // of init data
		WebM        string              `json:"webm_key_id,omitempty"`
		InitData    string              `json:"init_data_type,omitempty"`
		Bytes       int                 `json:"init_data_bytes,omitempty"`
		LicenseType string              `json:"license_type,omitempty"` // absent reads as 1 (STREAMING)
		RequestID   string              `json:"request_id,omitempty"`   // text, or hexadecimal where it is none
		License     *inspectedLicenseID `json:"license_id,omitempty"`   // of a renewal or release
		Started     *int64              `json:"seconds_since_started,omitempty"`
		LastPlayed  *int64              `json:"seconds_since_last_played,omitempty"`
		UsageEntry  int                 `json:"usage_entry_bytes,omitempty"`
	}
	inspectedWVData struct {
		Bytes   int                `json:"bytes"`
		Data    *inspectedWidevine `json:"data,omitempty"`
		Problem string             `json:"problem,omitempty"`
	}
	// inspectedClient identifies a device: it is in the request in the clear.
	inspectedClient struct {
		Type         string                 `json:"token_type,omitempty"` // absent reads as 0 (KEYBOX)
		Token        int                    `json:"token_bytes"`
		Chain        []inspectedCert        `json:"certificates,omitempty"` // device first
		Info         []inspectedField       `json:"client_info,omitempty"`
		ClientToken  int                    `json:"provider_client_token_bytes,omitempty"`
		Counter      *uint32                `json:"license_counter,omitempty"`
		Capabilities *inspectedCapabilities `json:"capabilities,omitempty"`
		VMP          *inspectedVMP          `json:"vmp,omitempty"`
		Credentials  []string               `json:"device_credentials,omitempty"`
	}
	inspectedCapabilities struct {
		ClientToken     *bool    `json:"client_token,omitempty"`
		SessionToken    *bool    `json:"session_token,omitempty"`
		Resolution      *bool    `json:"video_resolution_constraints,omitempty"`
		MaxHDCP         string   `json:"max_hdcp_version,omitempty"`
		API             *uint32  `json:"oem_crypto_api_version,omitempty"`
		AntiRollback    *bool    `json:"anti_rollback_usage_table,omitempty"`
		SRM             *uint32  `json:"srm_version,omitempty"`
		UpdatesSRM      *bool    `json:"can_update_srm,omitempty"`
		CertificateKeys []string `json:"supported_certificate_key_types,omitempty"`
		Analog          string   `json:"analog_output_capabilities,omitempty"`
		DisablesAnalog  *bool    `json:"can_disable_analog_output,omitempty"`
		ResourceTier    *uint32  `json:"resource_rating_tier,omitempty"`
	}
	inspectedVMP struct {
		Bytes  int               `json:"bytes"`
		Signer int               `json:"signer_bytes,omitempty"`
		Files  []inspectedBinary `json:"files,omitempty"`
	}
	inspectedBinary struct {
		Name        string `json:"name"`
		Main        bool   `json:"main_executable,omitempty"`
		TestSigning bool   `json:"test_signing,omitempty"`
		Hash        int    `json:"hash_bytes"`
		Signature   int    `json:"signature_bytes"`
	}
	// inspectedPrivacy is an encrypted client identification.
	inspectedPrivacy struct {
		Provider          string          `json:"provider_id,omitempty"`
		Serial            string          `json:"service_certificate_serial,omitempty"` // hexadecimal
		SerialFingerprint drm.Fingerprint `json:"service_certificate_serial_fingerprint,omitempty"`
		ClientID          int             `json:"encrypted_client_id_bytes"`
		IV                int             `json:"iv_bytes"`
		PrivacyKey        int             `json:"encrypted_privacy_key_bytes"`
	}
	inspectedServiceCert struct {
		Form  string          `json:"form"`
		Chain []inspectedCert `json:"certificates"` // the first is the service's
	}
	// inspectedCert is a certificate. The serial numbers of devices are not told: their fingerprints are.
	inspectedCert struct {
		Type              string             `json:"type,omitempty"`
		Serial            string             `json:"serial_number,omitempty"` // hexadecimal; of services and roots
		SerialFingerprint secret.Fingerprint `json:"serial_number_fingerprint,omitempty"`
		Created           *inspectedTime     `json:"created,omitempty"`
		Expires           *inspectedTime     `json:"expires,omitempty"` // absent or 0: never
		SystemID          *uint32            `json:"system_id,omitempty"`
		TestDevice        bool               `json:"test_device,omitempty"`
		Provider          string             `json:"provider_id,omitempty"`
		Services          []string           `json:"service_types,omitempty"`
		Key               *inspectedKeyInfo  `json:"public_key,omitempty"`
		EncryptionKey     *inspectedKeyInfo  `json:"encryption_key,omitempty"`
		RootOfTrust       int                `json:"rot_id_bytes,omitempty"`
		Signature         int                `json:"signature_bytes"`
		Hash              string             `json:"hash_algorithm,omitempty"`
		SignatureVerifies *bool              `json:"signature_verifies,omitempty"` // absent: not known
		Under             string             `json:"verified_under,omitempty"`     // the key that it was verified with
		Bytes             int                `json:"bytes"`                        // of what is signed
		Fingerprint       secret.Fingerprint `json:"fingerprint,omitempty"`
	}
	inspectedKeyInfo struct {
		Algorithm   string             `json:"algorithm,omitempty"` // absent reads as 1 (RSA)
		Bytes       int                `json:"bytes"`
		Bits        int                `json:"bits,omitempty"` // of an RSA modulus; absent: no PKCS#1 key
		Fingerprint secret.Fingerprint `json:"fingerprint,omitempty"`
	}
	inspectedWVError struct {
		Code    string `json:"code,omitempty"`
		Meaning string `json:"meaning,omitempty"`
	}
)
