package provider

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"keyflow/drm/secret"
)

// Invented is a token that a rehearsed lease holds in the place of a real one.
type Invented struct {
	Token string `json:"token"`
	Why   string `json:"why"`
}

// Rehearse takes a lease without any I/O beyond this machine's files and environment: in the place of what a service or a program
// would yield, and of a token that cannot be made here, stand invented values, which are told. Nothing is billed. Requests that
// are built with it are for the eyes; they must not be sent.
func (p *Profile) Rehearse(need Need) (*Lease, []Invented, error) {
	var invented []Invented
	urls := p.urlOutputs()
	lease, err := p.leaseBy(context.Background(), need, nil, func(_ context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
		why := "it is asked for when requests are sent"
		if t.http == nil && t.command == nil {
			in.now, in.uuid = p.bound.env.Clock.Now(), p.bound.newUUID()
			values, err := p.bound.local(t, rendering{env: p.bound.exprEnv(have, in)})
			if err == nil {
				p.bound.remember(t, values)
				return values, time.Time{}, nil
			}
			why = err.Error()
			var failed *TokenError
			if errors.As(err, &failed) && failed.Err != nil {
				why = failed.Err.Error()
			}
		}
		invented = append(invented, Invented{t.ID, why})
		return t.invent(urls), time.Time{}, nil
	})
	if err != nil {
		return nil, invented, fmt.Errorf("rehearse a lease from %s: %w", p.ID, err)
	}
	return lease, invented, nil
}

// tokenFirst finds the output of a token that a URL starts with.
var tokenFirst = regexp.MustCompile(`^\$\{\s*token\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)`)

// urlOutputs returns which outputs of tokens are URLs, as TOKEN.OUTPUT: a URL's template starts with them.
func (p *Profile) urlOutputs() map[string]bool {
	found := map[string]bool{}
	if p.plan == nil {
		return found
	}
	urls := []*template{p.plan.url, p.plan.certificateURL}
	for _, t := range p.plan.tokens {
		if t.http != nil {
			urls = append(urls, t.http.url)
		}
	}
	for _, u := range urls {
		if u == nil {
			continue
		}
		if m := tokenFirst.FindStringSubmatch(u.text); m != nil {
			found[m[1]+"."+m[2]] = true
		}
	}
	return found
}

// invent returns outputs of the right names.
func (t *tokenPlan) invent(urls map[string]bool) outputs {
	values := outputs{}
	for _, name := range t.outputNames() {
		value := "FAKE-" + t.ID + "-" + name
		switch {
		case name == t.TTLFrom:
			value = "+300"
		case urls[t.ID+"."+name]:
			value = "https://named-by-token-" + hostLabel(t.ID) + ".invalid/"
		}
		values[name] = secret.New([]byte(value))
	}
	return values
}

var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// hostLabel makes an id fit for a host name.
func hostLabel(id string) string { return notLabel.ReplaceAllString(strings.ToLower(id), "-") }

// varFirst finds the variable that a URL starts with.
var varFirst = regexp.MustCompile(`^\$\{\s*var\.([A-Za-z0-9_]+)`)

// Invent returns what [Invent] does, and for a variable that a URL of the profile starts with, and whose pattern leaves it open, a
// URL: a profile can be rendered then without any value.
func (p *Profile) Invent(name string, v Var) string {
	urls := []string{p.Request.URL, p.Certificate.URL}
	for _, t := range p.Tokens {
		if t.HTTP != nil {
			urls = append(urls, t.HTTP.URL)
		}
	}
	for _, u := range urls {
		if m := varFirst.FindStringSubmatch(u); v.Required && m != nil && m[1] == name && v.Pattern == "" && len(v.Enum) == 0 {
			return "https://" + hostLabel(name) + ".invalid/"
		}
	}
	return Invent(name, v)
}
