package provider

import "time"

// Token is one step that yields outputs for the request; they are secret unless it is public. Steps may name the outputs of
// those above them. All sources but http, command and JSON files have one output, "value". A local token that names
// input.challenge is made anew for each request.
type Token struct {
	ID        string        `yaml:"id"`
	Source    string        `yaml:"source"`
	Scope     string        `yaml:"scope"` // how long one value may be shared: run, content, session or request
	TTL       time.Duration `yaml:"ttl"`   // zero: it does not expire
	SingleUse bool          `yaml:"single_use"`
	CostUnit  string        `yaml:"cost_unit"` // not empty: each is billed
	// Public says that the outputs are no secrets.
	Public bool `yaml:"public"`
	// TTLFrom names the output that holds the end: Unix seconds, a time of RFC 3339, or + and seconds.
	TTLFrom string `yaml:"ttl_from"`
	// RefreshBefore is how long before its end a shared token is replaced.
	RefreshBefore time.Duration    `yaml:"refresh_before"`
	Value         string           `yaml:"value"` // of the sources static and template
	Env           string           `yaml:"env"`
	File          *TokenFile       `yaml:"file"`
	HTTP          *TokenHTTP       `yaml:"http"`
	JWT           *TokenJWT        `yaml:"jwt"`
	Command       *TokenCommand    `yaml:"command"`
	SignedJSON    *TokenSignedJSON `yaml:"signed_json"`
}

// TokenFile is a token in a file: text, whose last line break is taken off, base64 of it, or JSON with outputs.
type TokenFile struct {
	Path    string            `yaml:"path"`
	Format  string            `yaml:"format"` // text, b64 or json
	Trim    bool              `yaml:"trim"`   // takes all space around it off
	Outputs map[string]Output `yaml:"outputs"`
}

// TokenHTTP is a request to a token service.
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
	Redirects    string            `yaml:"redirects"` // none, same_origin, or any as long as nothing secret goes elsewhere
	TLS          string            `yaml:"tls"`       // the name of one of the profile's tls
	Outputs      map[string]Output `yaml:"outputs"`
	Errors       []Matcher         `yaml:"errors"`
}

// Output says where a token service's answer holds a value. Of a regex the first group counts, or else all of it.
type Output struct {
	From     string `yaml:"from"`
	Path     string `yaml:"path"` // of JSON, e.g. $.token; of XML, e.g. /answer/token; of a header or URL parameter, its name
	Regex    string `yaml:"regex"`
	Decode   string `yaml:"decode"`
	Required bool   `yaml:"required"`
}

// TokenJWT is a JSON Web Token (RFC 7519) that is made here.
type TokenJWT struct {
	Alg          string   `yaml:"alg"`
	Key          string   `yaml:"key"`
	KeyEncoding  string   `yaml:"key_encoding"` // utf8, b64, b64url, hex, pem or jwk
	Header       Params   `yaml:"header"`       // beside alg
	Claims       *Data    `yaml:"claims"`
	StringClaims []string `yaml:"string_claims"` // these are written as JSON inside of text
	// Identity are the claims, such as iss or message.aud, that say by whom and for whom the token is: a service must refuse
	// others.
	Identity []string `yaml:"identity"`
}

// TokenCommand is a program that makes a token. It runs only with the run's leave, without a shell.
type TokenCommand struct {
	Argv    []string          `yaml:"argv"`
	Stdin   *string           `yaml:"stdin"`
	Env     Params            `yaml:"env"` // beside PATH, all that it gets
	Timeout time.Duration     `yaml:"timeout"`
	Outputs map[string]Output `yaml:"outputs"`
}

// TokenSignedJSON is JSON that is made once and signed as the bytes that it has then (sheet providers.md §2.14).
type TokenSignedJSON struct {
	Inner    *Data    `yaml:"inner"`
	Digest   string   `yaml:"digest"` // sha1 or sha256
	Sign     Signing  `yaml:"sign"`
	Outer    *Data    `yaml:"outer"`    // may name inner_bytes and signature
	Identity []string `yaml:"identity"` // as that of a [TokenJWT], of inner
}

// Signing is how bytes are signed.
type Signing struct {
	Alg         string `yaml:"alg"` // aes_cbc (of the digest), rsa_pss, rsa_pkcs1 or hmac
	Key         string `yaml:"key"`
	KeyEncoding string `yaml:"key_encoding"` // utf8, b64, b64url, hex or pem
	IV          string `yaml:"iv"`           // of aes_cbc, encoded as the key
}
