package main

import "keyflow/drm"

// What inspect prints of a Widevine license with --json. Keys are never unwrapped: the fingerprints are of their wrapped bytes.
type (
	inspectedWVLicense struct {
		Partly        bool                `json:"partly_read,omitempty"` // what is absent may have been stated
		ID            *inspectedLicenseID `json:"id,omitempty"`
		Policy        *inspectedWVPolicy  `json:"policy,omitempty"`
		Start         *inspectedTime      `json:"license_start_time,omitempty"`
		Attested      *bool               `json:"remote_attestation_verified,omitempty"`
		ClientToken   int                 `json:"provider_client_token_bytes,omitempty"`
		Scheme        string              `json:"protection_scheme,omitempty"`
		SRM           string              `json:"srm_requirement,omitempty"` // HDCPDATA with a version, or what else there is
		SRMUpdate     int                 `json:"srm_update_bytes,omitempty"`
		Verification  string              `json:"platform_verification_status,omitempty"`
		GroupIDs      []string            `json:"group_ids,omitempty"`
		Keys          []inspectedKeyBox   `json:"keys"`
		KeyContainers int                 `json:"key_containers"` // all of them; at most 1000 are shown
	}
	inspectedLicenseID struct {
		RequestID    string `json:"request_id,omitempty"` // text, or hexadecimal where it is none
		SessionID    string `json:"session_id,omitempty"` // the same
		PurchaseID   int    `json:"purchase_id_bytes,omitempty"`
		Type         string `json:"type,omitempty"` // absent reads as 1 (STREAMING)
		Version      *int32 `json:"version,omitempty"`
		SessionToken int    `json:"provider_session_token_bytes,omitempty"`
	}
	// inspectedWVPolicy has durations in seconds; 0 is without a limit.
	inspectedWVPolicy struct {
		CanPlay         *bool  `json:"can_play,omitempty"`
		CanPersist      *bool  `json:"can_persist,omitempty"`
		CanRenew        *bool  `json:"can_renew,omitempty"`
		Rental          *int64 `json:"rental_duration_seconds,omitempty"`
		Playback        *int64 `json:"playback_duration_seconds,omitempty"`
		License         *int64 `json:"license_duration_seconds,omitempty"`
		Recovery        *int64 `json:"renewal_recovery_duration_seconds,omitempty"`
		RenewalURL      string `json:"renewal_server_url,omitempty"` // without the values of its query
		RenewalDelay    *int64 `json:"renewal_delay_seconds,omitempty"`
		RetryInterval   *int64 `json:"renewal_retry_interval_seconds,omitempty"`
		RenewWithUsage  *bool  `json:"renew_with_usage,omitempty"`
		IncludeClientID *bool  `json:"always_include_client_id,omitempty"`
		GracePeriod     *int64 `json:"play_start_grace_period_seconds,omitempty"`
		SoftPlayback    *bool  `json:"soft_enforce_playback_duration,omitempty"`
		SoftRental      *bool  `json:"soft_enforce_rental_duration,omitempty"` // absent reads as true
	}
	// inspectedKeyBox is a key container.
	inspectedKeyBox struct {
		Partly       bool                  `json:"partly_read,omitempty"` // what is absent may have been stated
		Type         string                `json:"type,omitempty"`        // absent reads as 1 (SIGNING)
		KID          *drm.KID              `json:"kid,omitempty"`
		OddID        string                `json:"odd_id,omitempty"` // hexadecimal, if it is no KID
		IV           int                   `json:"iv_bytes"`
		Key          int                   `json:"wrapped_key_bytes"`
		Fingerprint  drm.Fingerprint       `json:"wrapped_key_fingerprint,omitempty"`
		Means        string                `json:"wrapped_key_means,omitempty"` // what its length says
		Level        string                `json:"security_level,omitempty"`    // absent reads as 1 (SW_SECURE_CRYPTO)
		Track        string                `json:"track_label,omitempty"`
		Required     *inspectedProtection  `json:"required_protection,omitempty"`
		Requested    *inspectedProtection  `json:"requested_protection,omitempty"`
		Control      *inspectedControl     `json:"key_control,omitempty"`
		Permissions  []string              `json:"operator_session_key_permissions,omitempty"`
		Constraints  []inspectedConstraint `json:"video_resolution_constraints,omitempty"`
		AntiRollback *bool                 `json:"anti_rollback_usage_table,omitempty"`
		Remarks      []string              `json:"remarks,omitempty"`
	}
	inspectedProtection struct {
		HDCP           string `json:"hdcp,omitempty"`
		CGMS           string `json:"cgms_flags,omitempty"`
		SRMRule        string `json:"hdcp_srm_rule,omitempty"`
		DisableAnalog  *bool  `json:"disable_analog_output,omitempty"`
		DisableDigital *bool  `json:"disable_digital_output,omitempty"`
	}
	inspectedControl struct {
		Block int `json:"key_control_block_bytes"`
		IV    int `json:"iv_bytes"`
	}
	inspectedConstraint struct {
		Min      *uint32              `json:"min_resolution_pixels,omitempty"`
		Max      *uint32              `json:"max_resolution_pixels,omitempty"`
		Required *inspectedProtection `json:"required_protection,omitempty"`
	}
)
