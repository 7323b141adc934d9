package provider

import (
	"net/url"
	"slices"
	"strings"
)

// plan is a profile with its templates compiled. It is immutable.
type plan struct {
	url, contentType *template
	customData       *template // of PlayReady; nil for none
	query, headers   []param
	tokens           []*tokenPlan // all, in order
	needed           []*tokenPlan // those that the request uses, in order
	matchers         []matcher
	unwrap           []unwrapRule
	all              names // of the request and the needed tokens
	dynamic          bool  // the request is more than a constant URL and content type
}

// param is a query parameter, header or form field with its template.
type param struct {
	name   string
	value  *template
	secret bool

	altered bool // see tampering
}

// tokenPlan is a [Token] with its templates compiled.
type tokenPlan struct {
	*Token
	value *template
	http  *httpPlan
	names names
}

// finish works out what the request needs.
func (l *plan) finish(p *Profile) {
	for _, t := range l.requestTemplates() {
		l.all.merge(t.names)
		l.dynamic = l.dynamic || !t.constant()
	}
	l.dynamic = l.dynamic || l.customData != nil || len(l.query)+len(l.headers)+len(p.Vars)+len(p.Tokens) > 0
	for _, t := range slices.Backward(l.tokens) {
		if slices.Contains(l.all.tokens, t.ID) {
			l.needed = append([]*tokenPlan{t}, l.needed...)
			l.all.merge(t.names)
		}
	}
}

func (l *plan) requestTemplates() []*template {
	var ts []*template
	for _, t := range []*template{l.url, l.contentType, l.customData} {
		if t != nil {
			ts = append(ts, t)
		}
	}
	for _, p := range append(slices.Clone(l.query), l.headers...) {
		ts = append(ts, p.value)
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

// encodeQuery appends parameters to a URL in their order. shown is the same with the templates of secret values instead
// of the values.
func encodeQuery(address, shown string, ps []param, env map[string]any, percent bool) (string, string, error) {
	for _, p := range ps {
		value, drop, err := p.text(env)
		if err != nil {
			return "", "", err
		}
		if drop {
			continue
		}
		address += separator(address) + escape(p.name, percent) + "=" + escape(value, percent)
		if p.secret {
			shown += separator(shown) + p.name + "=" + p.value.text
		} else {
			shown += separator(shown) + escape(p.name, percent) + "=" + escape(value, percent)
		}
	}
	return address, shown, nil
}

func separator(address string) string {
	switch {
	case strings.HasSuffix(address, "?"), strings.HasSuffix(address, "&"):
		return ""
	case strings.Contains(address, "?"):
		return "&"
	}
	return "?"
}

func escape(s string, percent bool) string {
	s = url.QueryEscape(s)
	if percent {
		return strings.ReplaceAll(s, "+", "%20")
	}
	return s
}
