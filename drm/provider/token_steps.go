package provider

import (
	"net/url"
	"slices"
)

// TokenStep is a token step that a profile's requests need, as far as it is known before it is taken.
type TokenStep struct {
	ID       string
	Source   string
	CostUnit string   // "" if it costs nothing
	TLS      string   // the name of its configuration in Profile.TLS; "" for none of its own
	Endpoint *url.URL // of source http; nil where only another token tells it
	Late     bool     // made anew with each request, here
	Names    []string // ids of the tokens that it is made of
}

// Remote reports whether the step asks somebody else: a service or a program.
func (s TokenStep) Remote() bool { return s.Source == "http" || s.Source == "command" }

// TokenSteps returns the steps that the requests of a bound profile need, in the order in which they are taken.
func (p *Profile) TokenSteps() []TokenStep {
	var steps []TokenStep
	if p.plan == nil || p.bound == nil {
		return steps
	}
	for _, t := range p.plan.needed {
		step := TokenStep{ID: t.ID, Source: t.Source, CostUnit: t.CostUnit, Late: t.late(), Names: slices.Compact(slices.Sorted(slices.Values(t.names.tokens)))}
		if t.http != nil {
			step.TLS = t.http.TLS
			step.Endpoint = p.tokenEndpoint(t)
		}
		steps = append(steps, step)
	}
	return steps
}

// tokenEndpoint returns where a token is asked for, without the query; nil if that follows from another token or from the content.
func (p *Profile) tokenEndpoint(t *tokenPlan) *url.URL {
	if n := t.http.url.names; len(n.tokens) > 0 || len(n.inputs) > 0 {
		return nil
	}
	address, _, err := t.http.url.evalText(p.bound.exprEnv(nil, inputs{}))
	if err != nil {
		return nil
	}
	u, err := parseEndpoint(address)
	if err != nil {
		return nil
	}
	if t.http.url.secret() {
		u.Path, u.RawPath = "/", ""
	}
	u.RawQuery, u.Fragment = "", ""
	return u
}
