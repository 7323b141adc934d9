package provider

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// TokenView is what may be told of a token that a lease holds: lengths, and of a JWT the names of its parts and its times.
type TokenView struct {
	ID      string       `json:"id"`
	Outputs []OutputView `json:"outputs"`
}

// OutputView is what may be told of one output of a token step.
type OutputView struct {
	Name  string   `json:"name"`
	Bytes int      `json:"bytes"`
	JWT   *JWTView `json:"jwt,omitempty"` // nil for what is no JWT
}

// JWTView is what may be told of a JSON Web Token (RFC 7519): no value of a claim but times.
type JWTView struct {
	Alg    string   `json:"alg"`
	Header []string `json:"header"` // names
	Claims []string `json:"claims"` // names
	// Begins is the latest time before which the token says it is not good, Ends the earliest after which it is not; Issued when
	// it was made.
	Issued *time.Time `json:"issued,omitempty"`
	Begins *time.Time `json:"begins,omitempty"`
	Ends   *time.Time `json:"ends,omitempty"`
}

// Tokens returns what may be told of the lease's tokens, in order of id. Those that are made with each request are not among
// them.
func (l *Lease) Tokens() []TokenView {
	if l == nil || l.state == nil {
		return nil
	}
	var views []TokenView
	for _, id := range slices.Sorted(maps.Keys(l.state.tokens)) {
		v := TokenView{ID: id, Outputs: []OutputView{}}
		for _, name := range keysSorted(l.state.tokens[id]) {
			value := l.state.tokens[id][name]
			v.Outputs = append(v.Outputs, OutputView{Name: name, Bytes: value.Len(), JWT: viewJWT(string(value.Reveal()))})
		}
		views = append(views, v)
	}
	return views
}

// Claims that hold times: those of RFC 7519 §4.1, and those of a License Service Message (sheet providers.md §2.2).
var (
	beginClaims = []string{"nbf", "begin_date"}
	endClaims   = []string{"exp", "expiration_date"}
)

// viewJWT looks into a JWT in its compact form, with or without a scheme word before it; nil if the text is none.
func viewJWT(text string) *JWTView {
	text = text[strings.LastIndexByte(text, ' ')+1:]
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil
	}
	header, claims := jwtPart(parts[0]), jwtPart(parts[1])
	if header == nil || claims == nil {
		return nil
	}
	v := &JWTView{Header: keysSorted(header), Claims: keysSorted(claims)}
	v.Alg, _ = header["alg"].(string)
	if !slices.Contains(jwtAlgorithms, v.Alg) {
		v.Alg = "other"
	}
	v.Issued = timeOf(claims["iat"])
	for _, name := range beginClaims {
		if at := timeOf(claims[name]); at != nil && (v.Begins == nil || at.After(*v.Begins)) {
			v.Begins = at
		}
	}
	for _, name := range endClaims {
		if at := timeOf(claims[name]); at != nil && (v.Ends == nil || at.Before(*v.Ends)) {
			v.Ends = at
		}
	}
	return v
}

func jwtPart(text string) map[string]any {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	members, _ := decodeJSON(raw).(map[string]any)
	return members
}

// maxUnix is the last second of the year 9999: what is beyond is no time.
const maxUnix = 253402300799

// timeOf reads a time: seconds since 1970, as a number, or RFC 3339.
func timeOf(claim any) *time.Time {
	var at time.Time
	switch c := claim.(type) {
	case json.Number:
		seconds, err := c.Float64()
		if err != nil || seconds < 0 || seconds > maxUnix {
			return nil
		}
		at = time.Unix(int64(seconds), 0)
	case string:
		var err error
		if at, err = time.Parse(time.RFC3339, c); err != nil {
			return nil
		}
	default:
		return nil
	}
	at = at.UTC()
	return &at
}
