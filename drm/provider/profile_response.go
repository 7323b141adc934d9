package provider

import "keyflow/drm"

// Certificate says how the service certificate is got (sheet providers.md §1.1).
type Certificate struct {
	// Mode is same_url: asked for where licenses are; url: at a URL of its own; embedded: a file that the provider gave out;
	// none: there is one, but it is not wanted; unsupported: the service has none.
	Mode          string `yaml:"mode"`
	URL           string `yaml:"url"`
	Method        string `yaml:"method"` // of mode url: GET or POST
	File          string `yaml:"file"`
	Wrap          string `yaml:"wrap"` // inherit: request and answer are wrapped as a license's; raw
	ConsumesToken bool   `yaml:"consumes_token"`
	Cache         string `yaml:"cache"`
}

// Response says what a license looks like on the wire.
type Response struct {
	OKStatus     []int    `yaml:"ok_status"`
	ContentTypes []string `yaml:"content_types"` // empty: any
	Unwrap       []Unwrap `yaml:"unwrap"`        // empty: any body; the first that matches wins
	MaxBytes     int64    `yaml:"max_bytes"`     // of an answer's body
	// Metadata are places of request ids and the provider's own codes, for transcripts.
	Metadata map[string]Place `yaml:"metadata"`
}

// Place is where an answer holds something: a header or a value of its JSON.
type Place struct {
	From string `yaml:"from"`
	Path string `yaml:"path"`
}

// Unwrap says what the body of a good answer looks like, and where in it the license is.
type Unwrap struct {
	When   UnwrapWhen `yaml:"when"`
	As     string     `yaml:"as"`     // raw, json or soap
	Path   string     `yaml:"path"`   // in JSON
	Decode string     `yaml:"decode"` // none, b64, b64url, b64_lenient, b64+urlquery or hex
	OKIf   *OKIf      `yaml:"ok_if"`
}

// OKIf is what JSON must hold for an answer to be a license.
type OKIf struct {
	Path   string `yaml:"path"`
	Equals any    `yaml:"equals"`
}

// UnwrapWhen selects answers. An empty field matches all.
type UnwrapWhen struct {
	ContentType string   `yaml:"content_type"` // RE2
	FirstBytes  string   `yaml:"first_bytes"`  // in hexadecimal
	Status      Statuses `yaml:"status"`
	Kind        drm.Kind `yaml:"kind"` // of the request
}

// Matcher gives a class to an answer that is no license.
type Matcher struct {
	When    MatchWhen  `yaml:"when"`
	Class   ErrorClass `yaml:"class"`
	Code    *CodeFrom  `yaml:"code"`
	Message *CodeFrom  `yaml:"message"` // the provider's own words
	Retry   string     `yaml:"retry"`
}

// MatchWhen selects answers; all fields that are set must match.
type MatchWhen struct {
	Status      Statuses          `yaml:"status"`
	ContentType string            `yaml:"content_type"` // RE2
	Body        string            `yaml:"body"`         // RE2
	FirstBytes  string            `yaml:"first_bytes"`  // in hexadecimal
	Header      map[string]string `yaml:"header"`       // RE2 by name
	JSON        map[string]any    `yaml:"json"`         // RE2, number or truth value by path
	// SOAPStatus are status codes of a SOAP fault of PlayReady, e.g. 0x8004c601.
	SOAPStatus SOAPCodes `yaml:"soap_status"`
}

// CodeFrom says where an answer holds the provider's own error code or words.
type CodeFrom struct {
	From  string `yaml:"from"` // regex, json, header, or soap: the status code of a SOAP fault
	Path  string `yaml:"path"`
	Regex string `yaml:"regex"`
}

// Outcome is what a service answers in a scenario.
type Outcome struct {
	Status Statuses     `yaml:"status"`
	Class  []ErrorClass `yaml:"class"`
	// Licenses is how many licenses a good answer of PlayReady holds. Zero: not said.
	Licenses int `yaml:"licenses"`
}

// ErrorClass is what an answer that is no license means (sheet providers.md §4.2).
type ErrorClass string

// The classes of refusals and faults that a profile may name.
const (
	ErrorAuthMissing        ErrorClass = "auth_missing"
	ErrorAuthMalformed      ErrorClass = "auth_malformed"
	ErrorAuthInvalid        ErrorClass = "auth_invalid"
	ErrorAuthExpired        ErrorClass = "auth_expired"
	ErrorAuthReused         ErrorClass = "auth_reused"
	ErrorNotEntitled        ErrorClass = "not_entitled"
	ErrorKeyUnknown         ErrorClass = "key_unknown"
	ErrorRequestMalformed   ErrorClass = "request_malformed"
	ErrorRequestUnsupported ErrorClass = "request_unsupported"
	ErrorDeviceRejected     ErrorClass = "device_rejected"
	ErrorPolicyRefused      ErrorClass = "policy_refused"
	ErrorGeoRefused         ErrorClass = "geo_refused"
	ErrorRateLimited        ErrorClass = "rate_limited"
	ErrorServerTransient    ErrorClass = "server_transient"
	ErrorServerFault        ErrorClass = "server_fault"
	ErrorEdgeHTML           ErrorClass = "edge_html"
	ErrorUnclassified       ErrorClass = "unclassified"
)

func errorClasses() []ErrorClass {
	return []ErrorClass{
		ErrorAuthMissing, ErrorAuthMalformed, ErrorAuthInvalid, ErrorAuthExpired, ErrorAuthReused, ErrorNotEntitled, ErrorKeyUnknown,
		ErrorRequestMalformed, ErrorRequestUnsupported, ErrorDeviceRejected, ErrorPolicyRefused, ErrorGeoRefused, ErrorRateLimited,
		ErrorServerTransient, ErrorServerFault, ErrorEdgeHTML, ErrorUnclassified,
	}
}
