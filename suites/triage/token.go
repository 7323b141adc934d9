package triage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// jwtForm finds the claims of JSON Web Tokens (RFC 7519 §3): the middle one of three parts.
var jwtForm = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.(eyJ[A-Za-z0-9_-]+)\.`)

// maxTokens bounds the tokens of a request that are read.
const maxTokens = 20

// tokenTimes is when a token of a request is good. Nothing else of a token is read.
type tokenTimes struct {
	place               string // header or parameter of the query
	expires, from, made time.Time
}

// tokens reads the times of the tokens in the headers and the query of a request.
func tokens(r *record) []tokenTimes {
	var all []tokenTimes
	add := func(place, text string) {
		for _, m := range jwtForm.FindAllStringSubmatch(text, maxTokens) {
			if t, ok := times(m[1]); ok && len(all) < maxTokens {
				t.place = place
				all = append(all, t)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			add("header "+shortWord(name), value)
		}
	}
	query, _ := url.ParseQuery(r.url.RawQuery) // what is no query has no parameters
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range query[name] {
			add("query parameter "+shortWord(name), value)
		}
	}
	return all
}

func times(claims string) (tokenTimes, bool) {
	text, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil {
		return tokenTimes{}, false
	}
	var c struct{ Exp, Nbf, Iat json.Number }
	if json.Unmarshal(text, &c) != nil {
		return tokenTimes{}, false
	}
	return tokenTimes{expires: moment(c.Exp), from: moment(c.Nbf), made: moment(c.Iat)}, true
}

// moment reads a NumericDate (RFC 7519 §2), zero for none.
func moment(n json.Number) time.Time {
	seconds, err := n.Float64()
	if err != nil || seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// futureTolerance is how far in its future a service lets a token be made (sheet providers.md AU-05).
const futureTolerance = 5 * time.Second

// tokenProblem tells what is wrong with the times of the request's tokens when it was sent, "" for nothing that can be seen.
func tokenProblem(r *record) (reason, seen, hint string) {
	if r.Started.IsZero() {
		return "", "", ""
	}
	for _, t := range tokens(r) {
		switch late := r.Started.Sub(t.expires); {
		case !t.expires.IsZero() && late >= 0:
			return "token-expired", fmt.Sprintf("the token in %s expired %v before the request", t.place, late.Round(time.Second)),
				"get a fresh token for each license request: look at how long the token lives, at when the player takes it, and at the clocks"
		case !t.from.IsZero() && t.from.Sub(r.Started) > 0:
			return "token-not-yet-valid", fmt.Sprintf("the token in %s is good from %v after the request on (nbf)", t.place, t.from.Sub(r.Started).Round(time.Second)), "compare the clocks of who makes tokens and of this machine"
		case !t.made.IsZero() && t.made.Sub(r.Started) > futureTolerance:
			return "token-from-the-future", fmt.Sprintf("the token in %s says that it was made %v after the request (iat)", t.place, t.made.Sub(r.Started).Round(time.Second)), "compare the clocks of who makes tokens and of this machine"
		}
	}
	return "", "", ""
}
