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
	Scenarios   []Variant          `yaml:"scenarios"`
	Redirects   Redirects          `yaml:"redirects"`
	Retry       Retry              `yaml:"retry"`
	TLS         map[string]TLS     `yaml:"tls"`
	RequestTLS  string             `yaml:"request_tls"` // the name in TLS of what license requests are sent with
	// Capabilities say what the service does not have, by [Capabilities]; what is not named it may have.
	Capabilities map[string]bool `yaml:"capabilities"`
	// Promises are what the contract says of licenses, by track label; "" or "*" is every track.
	Promises map[string]Promise `yaml:"promises"`
	Limits   Limits             `yaml:"limits"`
	Secrets  Secrets            `yaml:"secrets"`

	// Origin is the file that the profile was read from, for messages.
	Origin string `yaml:"-"`
	// Variant is the id of the variant that was merged in, "" for the profile as written.
	Variant string `yaml:"-"`

	plan   *plan               // nil for a profile that was not parsed: it is sent as it stands
	tree   *node               // the document, with a variant's patch merged in
	patch  *node               // of the variant; nil for the profile as written
	merged map[string]*Profile // by variant
	cases  map[string]*Profile // by scenario
	// siblings are the variants of the profile that this is a variant of, by id; variants are their ids in order.
	siblings map[string]*Profile
	variants []string
	bound    *bound
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

// Endpoint says where a key request goes, and how it is dressed.
type Endpoint struct {
	Method string `yaml:"method"`
	URL    string `yaml:"url"` // after Bind with its variables filled in, unless they are secret
	Query  Params `yaml:"query"`
	// QueryEncoding is form: a space is +; percent: a space is %20; verbatim: names and values stand as the templates make
	// them, for queries with a syntax of their own.
	QueryEncoding string   `yaml:"query_encoding"`
	Headers       Params   `yaml:"headers"`
	ContentType   string   `yaml:"content_type"`
	Accept        string   `yaml:"accept"`   // of Accept; empty: none
	Compress      string   `yaml:"compress"` // none or gzip
	Body          Body     `yaml:"body"`
	Timeout       Timeouts `yaml:"timeout"`
}

// Body says how a key request is wrapped.
type Body struct {
	Wrap     string  `yaml:"wrap"`     // raw, json, form, token or envelope
	Encoding string  `yaml:"encoding"` // of ${challenge}: b64, b64url, hex or bytes_array
	JSON     *Data   `yaml:"json"`
	Form     Params  `yaml:"form"`
	Token    string  `yaml:"token"`    // the id of the signed_json token that is the body
	Envelope *string `yaml:"envelope"` // any text, such as XML
}

// Timeouts bound an exchange. Zero: the run's own.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`
	FirstByte time.Duration `yaml:"first_byte"` // from the end of the request to the head of the answer
	Total     time.Duration `yaml:"total"`
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
	Format   string `yaml:"format"` // text: as it stands; b64: its base64
}

// Variant is another way to send the same request, as a merge patch (RFC 7396); or, as a scenario, a case of the provider's own
// with the answer that it must get.
type Variant struct {
	ID    string `yaml:"id"`
	Patch Data   `yaml:"patch"`
	// Expect is what a scenario is answered with. A variant is answered with a license.
	Expect Outcome `yaml:"expect"`
}

// Redirects say which redirects of a license request are followed. Whatever they say, a secret never goes to another host.
type Redirects struct {
	Policy string `yaml:"policy"` // none, follow_307_308 or any
	Max    int    `yaml:"max"`
	// KeepHeadersCrossOrigin sends the headers that are not secret to another host too.
	KeepHeadersCrossOrigin bool `yaml:"keep_headers_cross_origin"`
}

// Retry says which refusals are tried again, where their matcher says backoff.
type Retry struct {
	Max              int          `yaml:"max"` // retries; zero: none
	Classes          []ErrorClass `yaml:"classes"`
	Backoff          Backoff      `yaml:"backoff"` // first and longest pause, e.g. 200ms..5s
	HonourRetryAfter bool         `yaml:"honour_retry_after"`
}

// TLS is how one service is spoken to.
type TLS struct {
	CAFile     string   `yaml:"ca_file"`     // PEM; instead of the system's roots
	ClientCert string   `yaml:"client_cert"` // PEM file
	ClientKey  string   `yaml:"client_key"`  // PEM file
	ServerName string   `yaml:"server_name"`
	Min        string   `yaml:"min"`        // 1.2 or 1.3
	PinSHA256  []string `yaml:"pin_sha256"` // base64 of SHA-256 of a SubjectPublicKeyInfo of the chain (RFC 7469 §2.4)
	Insecure   bool     `yaml:"insecure"`   // certificates are not verified; needs the run's leave
}

// Promise is what the contract says of licenses for one kind of track. Zero: nothing.
type Promise struct {
	HDCP          string        `yaml:"hdcp"`           // at most this: none, v1, v2, v2.1, v2.2 or v2.3
	License       time.Duration `yaml:"license"`        // at least this long
	Playback      time.Duration `yaml:"playback"`       // at least this long
	Persistent    *bool         `yaml:"persistent"`     // may, or may not, be stored
	Renewable     *bool         `yaml:"renewable"`      //
	SecurityLevel int           `yaml:"security_level"` // at most this: Widevine 1 to 5, PlayReady 150 to 3000
}

// Secrets name the query parameters and headers that are secret whatever their templates name.
type Secrets struct {
	Query   []string `yaml:"query"`
	Headers []string `yaml:"headers"`
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
