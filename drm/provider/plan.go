package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// plan is a profile with its templates compiled. It is immutable.
type plan struct {
	url, contentType *template
	certificateURL   *template // nil: that of licenses
	customData       *template // of PlayReady; nil for none
	query, headers   []param
	body             *bodyPlan    // nil: the key request as it is
	tokens           []*tokenPlan // all, in order
	needed           []*tokenPlan // those that the request uses, in order
	matchers         []matcher
	unwrap           []unwrapRule
	metadata         map[string]*locator
	all              names // of the request and the needed tokens
	dynamic          bool  // the request is more than a constant URL and content type
}

// param is a query parameter, header or form field with its template.
type param struct {
	name   string
	value  *template
	secret bool

	spoilt tampering
}

// tokenPlan is a [Token] with its templates compiled.
type tokenPlan struct {
	*Token
	value   *template
	http    *httpPlan
	jwt     *jwtPlan
	signed  *signedPlan
	command *commandPlan
	located map[string]*locator // the outputs of a JSON file
	names   names
	client  *http.Client // of a bound profile

	sent, forged bool // see markForged
}

// templates returns those of the source.
func (t *tokenPlan) templates() []*template {
	switch {
	case t.value != nil:
		return []*template{t.value}
	case t.http != nil:
		return t.http.templates()
	case t.jwt != nil:
		return t.jwt.templates()
	case t.signed != nil:
		return t.signed.templates()
	case t.command != nil:
		return t.command.templates()
	}
	return nil
}

// late reports whether the token is made when a request is built, because it names the key request.
func (t *tokenPlan) late() bool { return t.names.namesChallenge() }

// finish works out what the request needs.
func (l *plan) finish(p *Profile) {
	for _, t := range l.requestTemplates() {
		l.all.merge(t.names)
		l.dynamic = l.dynamic || !t.constant()
	}
	if l.body != nil {
		l.dynamic = true
		if l.body.Token != "" {
			l.all.tokens = append(l.all.tokens, l.body.Token)
		}
	}
	l.dynamic = l.dynamic || l.customData != nil || len(l.query)+len(l.headers)+len(p.Vars)+len(p.Tokens) > 0
	direct := slices.Clone(l.all.tokens)
	for _, t := range slices.Backward(l.tokens) {
		if slices.Contains(l.all.tokens, t.ID) {
			l.needed = append([]*tokenPlan{t}, l.needed...)
			l.all.merge(t.names)
		}
	}
	l.markForged(direct)
}

func (l *plan) requestTemplates() []*template {
	var ts []*template
	for _, t := range []*template{l.url, l.contentType, l.certificateURL, l.customData} {
		if t != nil {
			ts = append(ts, t)
		}
	}
	for _, p := range append(slices.Clone(l.query), l.headers...) {
		ts = append(ts, p.value)
	}
	if l.body != nil {
		ts = append(ts, l.body.templates()...)
	}
	return ts
}

// usage returns the variables and tokens that the request needs.
func (p *Profile) usage() names {
	var n names
	n.merge(p.plan.all)
	return n
}

func (p *Profile) dynamic() bool { return p.plan != nil && p.plan.dynamic }

// PerKID reports whether one lease entitles to one KID only: a template names input.kid. Such a profile takes one lease and
// one session per KID, see [Profile.Sessions].
func (p *Profile) PerKID() bool { return p.plan != nil && slices.Contains(p.plan.all.inputs, "kid") }

// Sessions cuts a need into what one lease and one session serve each: its KIDs one by one if a lease entitles to one KID
// only, else the need as it is.
func (p *Profile) Sessions(n Need) []Need {
	if !p.PerKID() || len(n.KIDs) < 2 {
		return []Need{n}
	}
	needs := make([]Need, len(n.KIDs))
	for i := range n.KIDs {
		needs[i] = n
		needs[i].KIDs = n.KIDs[i : i+1 : i+1]
	}
	return needs
}

// Billed reports whether a lease needs a token that costs money.
func (p *Profile) Billed() bool {
	return p.plan != nil && slices.ContainsFunc(p.plan.needed, func(t *tokenPlan) bool { return t.CostUnit != "" })
}

// queryEncoding says how parameters are written.
type queryEncoding string

const (
	encodeForm     queryEncoding = "form"
	encodePercent  queryEncoding = "percent"
	encodeVerbatim queryEncoding = "verbatim"
)

// SingleUse reports whether a token serves one request only.
func (p *Profile) SingleUse() bool {
	return p.plan != nil && slices.ContainsFunc(p.plan.needed, func(t *tokenPlan) bool { return t.SingleUse })
}

// encodeQuery appends parameters to a URL in their order. shown is the same with the templates of secret values instead
// of the values.
func encodeQuery(address, shown string, ps []param, env map[string]any, how queryEncoding) (string, string, error) {
	for _, p := range ps {
		value, drop, err := p.text(env)
		if err != nil {
			return "", "", err
		}
		if drop {
			continue
		}
		if how == encodeVerbatim && strings.ContainsFunc(p.name+value, outsideURL) {
			return "", "", fmt.Errorf("query parameter %s holds what cannot stand in a URL", p.name)
		}
		address += separator(address) + how.escape(p.name) + "=" + how.escape(value)
		if p.secret {
			shown += separator(shown) + p.name + "=" + p.value.text
		} else {
			shown += separator(shown) + how.escape(p.name) + "=" + how.escape(value)
		}
	}
	return address, shown, nil
}

// outsideURL reports whether a character would end a URL's query, or break the request line.
func outsideURL(c rune) bool { return c <= ' ' || c == '#' || c >= 0x7f }

func separator(address string) string {
	switch {
	case strings.HasSuffix(address, "?"), strings.HasSuffix(address, "&"):
		return ""
	case strings.Contains(address, "?"):
		return "&"
	}
	return "?"
}

func (how queryEncoding) escape(s string) string {
	switch how {
	case encodeVerbatim:
		return s
	case encodePercent:
		return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	return url.QueryEscape(s)
}
