// Package provider holds provider profiles: where a key request goes, what is attached to it, and how the answer is
// unwrapped and read. A provider is data, a YAML file; there is no Go code per provider.
//
// [Load] reads a profile strictly: everything wrong with it is told at once, with file, line and the nearest valid name.
// [Profile.Bind] gives it an environment: variables, a vault, a client for token services, a budget. The steps between the
// posts, [Profile.Build] and [Profile.Read], are pure; only [Profile.Lease] does I/O.
package provider

import (
	"time"

	"keyflow/drm"
)

// Version is the profile schema that this package reads, the value of the key "profile".
const Version = 1

// Profile is one provider for one DRM system (sheet providers.md §4). A leaf that holds ${…} is a template.
type Profile struct {
	Version     int                `yaml:"profile"`
	ID          string             `yaml:"id"`
	DRM         drm.System         `yaml:"drm"`
	Title       string             `yaml:"title"`
	Docs        []string           `yaml:"docs"` // URLs of the provider's public documents
	Certainty   string             `yaml:"certainty"`
	Vars        map[string]Var     `yaml:"vars"`
	Tokens      []Token            `yaml:"tokens"`
	Request     Endpoint           `yaml:"request"`
	PlayReady   PlayReady          `yaml:"playready"`
	Certificate Certificate        `yaml:"certificate"`
	Response    Response           `yaml:"response"`
	Errors      []Matcher          `yaml:"errors"` // the first that matches wins
	Expect      map[string]Outcome `yaml:"expect"` // by scenario id; the oracle of the suites
	Variants    []Variant          `yaml:"variants"`
	CORS        CORS               `yaml:"cors"`
	Limits      Limits             `yaml:"limits"`
	Secrets     Secrets            `yaml:"secrets"`

	// Origin is the file that the profile was read from, for messages.
	Origin string `yaml:"-"`
	// Variant is the id of the variant that was merged in, "" for the profile as written.
	Variant string `yaml:"-"`

	plan   *plan // nil for a profile that was not parsed: it is sent as it stands
	merged map[string]*Profile
	bound  *bound
}

// Var is what an integrator fills in. A secret comes from the environment or a file and nowhere else.
type Var struct {
	Default  any    `yaml:"default"` // text, whole number or truth value; its type is the variable's
	Required bool   `yaml:"required"`
	Secret   bool   `yaml:"secret"`
	Env      string `yaml:"env"`
	File     string `yaml:"file"`
	Pattern  string `yaml:"pattern"` // RE2
	Enum     []any  `yaml:"enum"`
	Help     string `yaml:"help"`
}

// Token is one step that yields outputs for the request; its outputs are secret. Steps may name the outputs of those
// above them. The sources static, env and file have one output, "value".
type Token struct {
	ID        string        `yaml:"id"`
	Source    string        `yaml:"source"`
	Scope     string        `yaml:"scope"` // how long one value may be shared: run, content, session or request
	TTL       time.Duration `yaml:"ttl"`   // zero: it does not expire
	SingleUse bool          `yaml:"single_use"`
	CostUnit  string        `yaml:"cost_unit"` // not empty: each is billed
	Value     string        `yaml:"value"`
	Env       string        `yaml:"env"`
	File      *TokenFile    `yaml:"file"`
	HTTP      *TokenHTTP    `yaml:"http"`
}

// TokenFile is a token in a file: text, whose last line break is taken off, or base64 of it.
type TokenFile struct {
	Path   string `yaml:"path"`
	Format string `yaml:"format"`
}

// TokenHTTP is a request to a token service. Redirects are never followed.
type TokenHTTP struct {
	Method       string            `yaml:"method"`
	URL          string            `yaml:"url"`
	Query        Params            `yaml:"query"`
	Headers      Params            `yaml:"headers"`
	Form         Params            `yaml:"form"`
	JSON         *Data             `yaml:"json"`
	Raw          *string           `yaml:"raw"`
	ContentType  string            `yaml:"content_type"`
	AcceptStatus Statuses          `yaml:"accept_status"`
	Redirects    string            `yaml:"redirects"`
	Outputs      map[string]Output `yaml:"outputs"`
	Errors       []Matcher         `yaml:"errors"`
}

// Output says where a token service's answer holds a value. Of a regex the first group counts, or else all of it.
type Output struct {
	From     string `yaml:"from"`
	Path     string `yaml:"path"` // of JSON, e.g. $.token; of a header, its name
	Regex    string `yaml:"regex"`
	Decode   string `yaml:"decode"`
	Required bool   `yaml:"required"`
}

// Endpoint says where a key request goes.
type Endpoint struct {
	Method        string `yaml:"method"`
	URL           string `yaml:"url"` // after Bind with its variables filled in, unless they are secret
	Query         Params `yaml:"query"`
	QueryEncoding string `yaml:"query_encoding"` // form: a space is +; percent: a space is %20
	Headers       Params `yaml:"headers"`
	ContentType   string `yaml:"content_type"`
}

// PlayReady is what a profile of that system has besides.
type PlayReady struct {
	SOAPAction string     `yaml:"soap_action"` // of a license challenge, with the double quotes that belong to it
	CustomData CustomData `yaml:"custom_data"`
}

// CustomData is text for the license service that the client signs together with its challenge: it is made when the lease is
// taken (sheet providers.md §1.2).
type CustomData struct {
	Template string `yaml:"template"`
	Format   string `yaml:"format"` // text: as it stands
}

// Certificate says how the service certificate is got (sheet providers.md §1.1).
type Certificate struct {
	Mode          string `yaml:"mode"`
	ConsumesToken bool   `yaml:"consumes_token"`
	Cache         string `yaml:"cache"`
}

// Response says what a license looks like on the wire.
type Response struct {
	OKStatus     []int    `yaml:"ok_status"`
	ContentTypes []string `yaml:"content_types"` // empty: any
	Unwrap       []Unwrap `yaml:"unwrap"`        // empty: any body; the first that matches wins
	MaxBytes     int64    `yaml:"max_bytes"`     // of an answer's body
}

// Unwrap says what the body of a good answer looks like.
type Unwrap struct {
	When UnwrapWhen `yaml:"when"`
	As   string     `yaml:"as"`
}

// UnwrapWhen selects answers. An empty field matches all.
type UnwrapWhen struct {
	FirstBytes string   `yaml:"first_bytes"` // in hexadecimal
	Kind       drm.Kind `yaml:"kind"`        // of the request
}

// Matcher gives a class to an answer that is no license.
type Matcher struct {
	When  MatchWhen  `yaml:"when"`
	Class ErrorClass `yaml:"class"`
	Code  *CodeFrom  `yaml:"code"`
	Retry string     `yaml:"retry"`
}

// MatchWhen selects answers; all fields that are set must match.
type MatchWhen struct {
	Status      Statuses `yaml:"status"`
	ContentType string   `yaml:"content_type"` // RE2
	Body        string   `yaml:"body"`         // RE2
	// SOAPStatus are status codes of a SOAP fault of PlayReady, e.g. 0x8004c601.
	SOAPStatus SOAPCodes `yaml:"soap_status"`
}

// CodeFrom says where an answer holds the provider's own error code.
type CodeFrom struct {
	From  string `yaml:"from"` // regex, json, header, or soap: the status code of a SOAP fault
	Path  string `yaml:"path"`
	Regex string `yaml:"regex"`
}

// Outcome is what a service answers in a scenario.
type Outcome struct {
	Status Statuses     `yaml:"status"`
	Class  []ErrorClass `yaml:"class"`
}

// Variant is another way to send the same request, as a merge patch (RFC 7396).
type Variant struct {
	ID    string `yaml:"id"`
	Patch Data   `yaml:"patch"`
}

// Limits are what the owner of the service allows. Zero: no limit.
type Limits struct {
	MaxRPS      int  `yaml:"max_rps"`
	MaxInFlight int  `yaml:"max_in_flight"`
	MaxRequests int  `yaml:"max_requests"`
	ProdAck     bool `yaml:"prod_ack"` // load needs the user's express consent
}

// Secrets name the query parameters and headers that are secret whatever their templates name.
type Secrets struct {
	Query   []string `yaml:"query"`
	Headers []string `yaml:"headers"`
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

// VariantIDs returns the ids of the profile's variants, in its order.
func (p *Profile) VariantIDs() []string {
	ids := make([]string, len(p.Variants))
	for i, v := range p.Variants {
		ids[i] = v.ID
	}
	return ids
}

// GomegaString returns the profile's id and variant: what it is bound to, a live HTTP client among it, must not be walked
// through to print a failed assertion.
func (p Profile) GomegaString() string { return "profile " + p.ID + " variant " + p.Variant }
