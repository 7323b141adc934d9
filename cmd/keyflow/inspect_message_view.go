package main

import (
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
)

// What inspect prints of a message with --json; for Widevine see inspect_widevine_view.go. Of custom data, nonces, encrypted parts and wrapped keys there are
// lengths only, in bytes; of what is not there, there is none.
type (
	inspectedMessage struct {
		Name        string             `json:"name"`
		Kind        string             `json:"kind"`
		Bytes       int                `json:"bytes"`
		Wrapped     string             `json:"wrapped_in,omitempty"` // outermost first
		Widevine    *inspectedWV       `json:"widevine,omitempty"`
		Request     *inspectedRequest  `json:"request,omitempty"`
		Response    *inspectedResponse `json:"response,omitempty"`
		Fault       *inspectedFault    `json:"fault,omitempty"`
		License     *inspectedLicense  `json:"license,omitempty"`
		Transaction string             `json:"acknowledged_transaction_id,omitempty"`
		Notes       []string           `json:"notes,omitempty"`
		Problems    []string           `json:"problems,omitempty"`

		err   error // the first of the problems
		roots []namedRoot
	}
	inspectedRequest struct {
		Wrapped           bool                `json:"wrapped"` // in a PlayReadyKeyMessage
		HTTPHeader        []inspectedField    `json:"http_headers,omitempty"`
		Challenge         int                 `json:"challenge_bytes,omitempty"`
		Version           string              `json:"la_version,omitempty"`
		Header            *inspectedPlayReady `json:"header,omitempty"`
		ClientVersion     string              `json:"client_version,omitempty"`
		ClientTime        string              `json:"client_time,omitempty"` // as sent
		ClientTimeUTC     *time.Time          `json:"client_time_utc,omitempty"`
		NoncePresent      *bool               `json:"nonce_present,omitempty"` // absent: not known
		Nonce             int                 `json:"nonce_bytes,omitempty"`
		CustomData        int                 `json:"custom_data_bytes,omitempty"`
		RevocationLists   []inspectedList     `json:"revocation_lists,omitempty"`
		KeyName           string              `json:"key_name,omitempty"`
		EncryptedKey      int                 `json:"encrypted_key_bytes,omitempty"`
		EncryptedData     int                 `json:"encrypted_data_bytes,omitempty"`
		DigestMatches     *bool               `json:"digest_matches,omitempty"`     // absent: not known
		SignatureVerifies *bool               `json:"signature_verifies,omitempty"` // under the key that it names
		SigningKey        string              `json:"signing_key,omitempty"`        // its first bytes
	}
	inspectedField struct {
		Name   string `json:"name"`
		Value  string `json:"value"`
		Hidden int    `json:"hidden_bytes,omitempty"` // length of a value that may be secret and is left out
	}
	inspectedList struct {
		ID      string `json:"id"` // GUID, or the text that is none
		Version string `json:"version,omitempty"`
		Bytes   int    `json:"bytes,omitempty"`
	}
	inspectedResponse struct {
		Version         string              `json:"version,omitempty"`
		Odd             []string            `json:"odd,omitempty"`
		Signed          *bool               `json:"signed,omitempty"`         // absent: not known
		DigestMatches   *bool               `json:"digest_matches,omitempty"` // absent: not signed, or not known
		ResponseID      int                 `json:"response_id_bytes,omitempty"`
		SigningChain    int                 `json:"signing_chain_bytes,omitempty"`
		NoncePresent    *bool               `json:"nonce_present,omitempty"` // absent: not known
		Nonce           int                 `json:"nonce_bytes,omitempty"`
		Transaction     string              `json:"transaction_id,omitempty"`
		CustomData      int                 `json:"custom_data_bytes,omitempty"`
		RevocationLists []inspectedList     `json:"revocation_lists,omitempty"`
		Licenses        []*inspectedLicense `json:"licenses"`
	}
	inspectedFault struct {
		Code        string `json:"code,omitempty"`
		OddStatus   string `json:"odd_status_code,omitempty"` // as sent, if it is no code
		Name        string `json:"code_name,omitempty"`
		Meaning     string `json:"meaning,omitempty"`
		FaultCode   string `json:"soap_fault_code,omitempty"`
		Text        string `json:"text"` // its first 200 characters
		TextLength  int    `json:"text_characters"`
		Actor       string `json:"actor,omitempty"`
		RedirectURL string `json:"redirect_url,omitempty"`
		CustomData  int    `json:"custom_data_bytes,omitempty"`
	}
	// inspectedLicense is without a KID if its key cannot be read.
	inspectedLicense struct {
		Bytes        int              `json:"bytes"`
		RightsID     string           `json:"rights_id,omitempty"` // hexadecimal
		KID          *drm.KID         `json:"kid,omitempty"`
		KeyType      string           `json:"key_type,omitempty"`
		CipherType   string           `json:"cipher_type,omitempty"`
		Form         string           `json:"form,omitempty"`
		EncryptedKey int              `json:"encrypted_key_bytes,omitempty"`
		DeviceKey    string           `json:"device_key,omitempty"` // its first bytes
		Auxiliary    int              `json:"auxiliary_keys,omitempty"`
		Root         *drm.KID         `json:"root_kid,omitempty"` // of a chain or of scalable licenses
		Policy       *inspectedPolicy `json:"policy,omitempty"`
		Unread       []inspectedObj   `json:"unread_objects,omitempty"`
		Problem      string           `json:"problem,omitempty"`
	}
	// inspectedPolicy has what the license states; what is absent is not stated.
	inspectedPolicy struct {
		Play          *bool               `json:"play,omitempty"` // absent: not known
		Settings      *uint16             `json:"settings,omitempty"`
		CannotPersist *bool               `json:"cannot_persist,omitempty"` // absent: not known
		SecurityLevel *int                `json:"security_level,omitempty"`
		Expiration    *inspectedSpan      `json:"expiration,omitempty"`
		Issued        *time.Time          `json:"issued,omitempty"`
		FirstPlay     *int64              `json:"expire_after_first_play_seconds,omitempty"`
		GracePeriod   *int64              `json:"grace_period_seconds,omitempty"`
		RemovalDate   *time.Time          `json:"removal_date,omitempty"`
		RealTime      bool                `json:"real_time_expiration,omitempty"`
		Output        *inspectedOutput    `json:"output_protection,omitempty"`
		AnalogVideo   []inspectedItem     `json:"analog_video,omitempty"`
		DigitalAudio  []inspectedItem     `json:"digital_audio,omitempty"`
		DigitalVideo  []inspectedItem     `json:"digital_video,omitempty"`
		PlayEnablers  []inspectedItem     `json:"play_enablers,omitempty"`
		CopyEnablers  []inspectedItem     `json:"copy_enablers,omitempty"`
		MoveEnabler   *uint32             `json:"move_enabler,omitempty"`
		CopyCount     *uint32             `json:"copy_count,omitempty"`
		Revocation    *uint32             `json:"revocation_version,omitempty"`
		Embedding     *uint16             `json:"embedding_behavior,omitempty"`
		SourceID      *uint32             `json:"source_id,omitempty"`
		Domain        *inspectedDomain    `json:"domain,omitempty"`
		MeteringID    string              `json:"metering_id,omitempty"` // hexadecimal
		SecureStop    string              `json:"secure_stop,omitempty"` // hexadecimal
		Metadata      []inspectedMetadata `json:"metadata,omitempty"`
	}
	inspectedSpan struct {
		Begin *time.Time `json:"begin"` // null: no bound
		End   *time.Time `json:"end"`
	}
	inspectedOutput struct {
		CompressedVideo   uint16 `json:"compressed_video"`
		UncompressedVideo uint16 `json:"uncompressed_video"`
		AnalogVideo       uint16 `json:"analog_video"`
		CompressedAudio   uint16 `json:"compressed_audio"`
		UncompressedAudio uint16 `json:"uncompressed_audio"`
	}
	// inspectedItem is a demand on outputs, or an enabler, which has no data.
	inspectedItem struct {
		ID    xmr.GUID `json:"id"`
		Name  string   `json:"name,omitempty"`
		Data  string   `json:"data,omitempty"`  // hexadecimal, its first 32 bytes
		Bytes int      `json:"bytes,omitempty"` // of data
		Means string   `json:"means,omitempty"` // what the data says
	}
	inspectedMetadata struct {
		ID    xmr.GUID `json:"id"`
		Bytes int      `json:"bytes"`
	}
	inspectedDomain struct {
		Account  string `json:"account"` // hexadecimal
		Revision uint32 `json:"revision"`
	}
	inspectedObj struct {
		Type  string `json:"type"` // number in hexadecimal
		Name  string `json:"name,omitempty"`
		Flags string `json:"flags"`
		Bytes int    `json:"bytes"` // its header's 8 included
	}
)
