package provider

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// tampering says how a lease's token is spoilt on its way into a request. Only checks ask for that.
type tampering int

const (
	untampered     tampering = iota
	tokenLeftOut             // no query parameter and no header that names a token
	tokenAltered             // the last character of each is another one
	tokenEmptied             // each is there and holds nothing
	tokenTruncated           // the second half of each is missing
	tokenMisplaced           // it is in the header Authorization instead
)

// misplaced is the header that a misplaced token is in.
const misplaced = "Authorization"

// TakesToken reports whether requests carry a token: in a query parameter, a header or PlayReady's custom data, or else in the
// URL.
func (p *Profile) TakesToken() bool { return p.plan != nil && p.plan.carriesToken() }

// WithoutToken returns the lease for requests that leave the token out, and are otherwise the same (sheet providers.md
// §4.5, "drop").
func (l *Lease) WithoutToken() *Lease { return l.tampered(tokenLeftOut) }

// WithAlteredToken returns the lease for requests whose token has another last character, which is of the signature in
// every signed form of a token (sheet providers.md §4.5, "flip last signature bit").
func (l *Lease) WithAlteredToken() *Lease { return l.tampered(tokenAltered) }

// WithEmptyToken returns the lease for requests whose token is there and empty (sheet providers.md §4.5, "empty").
func (l *Lease) WithEmptyToken() *Lease { return l.tampered(tokenEmptied) }

// WithTruncatedToken returns the lease for requests with the first half of the token (sheet providers.md §4.5, "truncate").
func (l *Lease) WithTruncatedToken() *Lease { return l.tampered(tokenTruncated) }

// WithMisplacedToken returns the lease for requests whose token is in the header Authorization, as a Bearer's, instead of where
// it belongs (sheet providers.md §4.5, "token in the wrong place").
func (l *Lease) WithMisplacedToken() *Lease { return l.tampered(tokenMisplaced) }

// TokenPlaces say where requests carry a token.
type TokenPlaces struct {
	Query, Headers        []string // names
	Body, CustomData, URL bool
}

// TokenPlaces returns where requests carry a token.
func (p *Profile) TokenPlaces() TokenPlaces {
	var places TokenPlaces
	if p.plan == nil {
		return places
	}
	for _, q := range p.plan.query {
		if len(q.value.names.tokens) > 0 {
			places.Query = append(places.Query, q.name)
		}
	}
	for _, h := range p.plan.headers {
		if len(h.value.names.tokens) > 0 {
			places.Headers = append(places.Headers, h.name)
		}
	}
	places.Body, places.CustomData = p.plan.bodyCarries(), p.plan.customCarries()
	places.URL = p.plan.url != nil && len(p.plan.url.names.tokens) > 0
	return places
}

// TokenNamesContent reports whether a token depends on what is to be licensed.
func (p *Profile) TokenNamesContent() bool {
	return p.plan != nil && slices.ContainsFunc(p.plan.needed, func(t *tokenPlan) bool {
		return slices.ContainsFunc(t.names.inputs, func(name string) bool {
			return name == "kid" || name == "kids" || name == "keys" || name == "content_id" || name == "pssh"
		})
	})
}

func (l *Lease) tampered(how tampering) *Lease {
	spoilt := *l
	spoilt.tampering = how
	if l.state != nil && l.state.customToken {
		spoilt.CustomData = how.spoilSecret(l.CustomData)
		spoilt.misplacedToken = l.CustomData
	}
	return &spoilt
}

// leavesOut reports whether what carries a token is not sent at all.
func (how tampering) leavesOut() bool { return how == tokenLeftOut || how == tokenMisplaced }

// spoilText does to a token what is done where its carrier stays.
func (how tampering) spoilText(text string) string {
	switch how {
	case tokenAltered:
		return alterLast(text)
	case tokenEmptied:
		return ""
	case tokenTruncated:
		return text[:len(text)/2]
	}
	return text
}

// spoilSecret does to custom data what is done to parameters.
func (how tampering) spoilSecret(text secret.Bytes) secret.Bytes {
	switch {
	case how == untampered:
		return text
	case how.leavesOut():
		return secret.Bytes{}
	}
	return secret.New([]byte(how.spoilText(string(text.Reveal()))))
}

// spoilTokens returns the environment with what the tampering makes of the tokens.
func (how tampering) spoilTokens(env map[string]any, tokens map[string]outputs) map[string]any {
	if how == untampered {
		return env
	}
	spoilt := map[string]any{}
	for id, values := range tokens {
		own := outputs{}
		for name, value := range values {
			own[name] = how.spoilSecret(value)
		}
		spoilt[id] = own.clear()
	}
	env = maps.Clone(env)
	env["token"] = spoilt
	return env
}

// spoilSignature does to the signature of signed JSON what is done to parameters.
func (how tampering) spoilSignature(signature []byte) []byte {
	switch {
	case how.leavesOut(), how == tokenEmptied:
		return nil
	case how == tokenTruncated:
		return signature[:len(signature)/2]
	case how == tokenAltered:
		altered := slices.Clone(signature)
		altered[len(altered)-1] ^= 0x80
		return altered
	}
	return signature
}

func (l *plan) carriesToken() bool {
	return len(l.carriers()) > 0 || l.customCarries() || l.bodyCarries() || l.url != nil && len(l.url.names.tokens) > 0
}

// bodyCarries reports whether the body holds a token.
func (l *plan) bodyCarries() bool {
	return l.body != nil && (l.body.Token != "" || slices.ContainsFunc(l.body.templates(), func(t *template) bool { return len(t.names.tokens) > 0 }))
}

func (l *plan) customCarries() bool { return l.customData != nil && len(l.customData.names.tokens) > 0 }

// carriers are the query parameters and headers that name a token.
func (l *plan) carriers() []param {
	return slices.DeleteFunc(slices.Concat(l.query, l.headers), func(p param) bool { return len(p.value.names.tokens) == 0 })
}

// misplace returns the token of the request's first carrier, for another place; empty if it has none of its own.
func (l *plan) misplace(env map[string]any, lease *Lease) (string, error) {
	for _, p := range l.carriers() {
		value, _, err := p.value.evalText(env)
		return value, err
	}
	return string(lease.misplacedToken.Reveal()), nil
}

// spoil returns the parameters as the tampering wants them.
func (how tampering) spoil(ps []param) []param {
	spoilt := make([]param, 0, len(ps))
	for _, p := range ps {
		carries := len(p.value.names.tokens) > 0
		if carries && how.leavesOut() {
			continue
		}
		if carries {
			p.spoilt = how
		}
		spoilt = append(spoilt, p)
	}
	return spoilt
}

// spoilURL does to a URL what is done to parameters, for a profile whose token is in the URL that a token step yields.
func (how tampering) spoilURL(address string) (string, error) {
	if how.leavesOut() {
		bare, _, found := strings.Cut(address, "?")
		if !found {
			return "", errors.New("the token is in the path of the license URL and cannot be left out")
		}
		return bare, nil
	}
	value := strings.LastIndexAny(address, "=/") + 1
	return address[:value] + how.spoilEscaped(address[value:]), nil
}

// spoilEscaped spoils a part of a URL, of which the percent escapes stay what they are unless all of it goes.
func (how tampering) spoilEscaped(text string) string {
	if how != tokenAltered {
		return how.spoilText(text)
	}
	masked := escapes.ReplaceAllString(text, "\x00\x00\x00")
	altered := []byte(alterLast(masked))
	for i := range altered {
		if altered[i] == 0 {
			altered[i] = text[i]
		}
	}
	return string(altered)
}

var escapes = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// text evaluates the parameter.
func (p param) text(env map[string]any) (value string, drop bool, err error) {
	value, drop, err = p.value.evalText(env)
	value = p.spoilt.spoilText(value)
	return value, drop, err
}

const (
	hexDigits = "0123456789abcdefABCDEF"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// minHexRun is how many digits of base64 are hexadecimal by chance only once in 5000.
const minHexRun = 8

// alterLast changes the highest bit of the last digit of a text's last run of digits: hexadecimal if all of a long run are, else
// base64. Lower bits of a last base64 digit may be unused: another text would be the same token, or none. In base64 that has + and
// / the last run may be short, and hexadecimal by chance.
func alterLast(text string) string {
	at := strings.LastIndexAny(text, base64URL)
	if at < 0 {
		return text
	}
	run := text[strings.LastIndexFunc(text[:at], func(r rune) bool { return !strings.ContainsRune(base64URL, r) })+1 : at+1]
	digits, last := base64URL, text[at]
	if len(run) >= minHexRun && strings.Trim(run, hexDigits) == "" {
		digits, last = hexDigits[:16], last|0x20 // in lower case; a number stays what it is
	}
	i := strings.IndexByte(digits, last)
	return text[:at] + string(digits[(i+len(digits)/2)%len(digits)]) + text[at+1:]
}
