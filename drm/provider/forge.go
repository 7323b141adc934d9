package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// Forgery is one way in which a token that is made here can be wrong (sheet providers.md §4.5). It follows from the
// profile's own templates, whatever the provider. Only checks ask for it.
type Forgery struct {
	// Begin and End move the times of the token by so much: those that are templates of now with a time to come, and all
	// others.
	Begin, End time.Duration
	// NoEnd leaves the times to come out.
	NoEnd bool
	// Identity is a claim, one of [Profile.TokenTraits], that gets another value.
	Identity string
	// OtherKey signs with a key that the service does not know.
	OtherKey bool
	// Unsigned says in a JWT's header that it has no signature, and has none (RFC 7519 §6).
	Unsigned bool
}

// TokenTraits say which forgeries a profile's tokens admit.
type TokenTraits struct {
	Local    bool     // a token that is sent with requests is made here
	Signed   bool     // and it is signed
	JWT      bool     // and it is a JWT
	Begins   bool     // and a time in it says from when on it is good, or when it was made
	Ends     bool     // and a time in it says until when
	Identity []string // claims that say by whom or for whom it is

	// BeginOffset is how long after the time of making the last of its beginnings lies, negative for before; EndOffset that of
	// the first of its ends.
	BeginOffset, EndOffset time.Duration
}

// TokenTraits returns what the tokens of the profile are like that are made here.
func (p *Profile) TokenTraits() TokenTraits {
	var traits TokenTraits
	if p.plan == nil {
		return traits
	}
	for _, t := range p.plan.needed {
		if !t.forgeable() {
			continue
		}
		traits.Local = true
		traits.Signed = traits.Signed || t.jwt != nil || t.signed != nil
		traits.JWT = traits.JWT || t.jwt != nil
		for _, tpl := range t.timed() {
			for _, part := range tpl.parts {
				traits.note(part)
			}
		}
		if t.jwt != nil {
			traits.Identity = append(traits.Identity, t.jwt.Identity...)
		}
		if t.signed != nil {
			traits.Identity = append(traits.Identity, t.signed.Identity...)
		}
	}
	return traits
}

// note keeps when a time of a token lies.
func (t *TokenTraits) note(p part) {
	switch {
	case p.ends() && (!t.Ends || p.offset < t.EndOffset):
		t.Ends, t.EndOffset = true, p.offset
	case p.now && !p.ends() && (!t.Begins || p.offset > t.BeginOffset):
		t.Begins, t.BeginOffset = true, p.offset
	}
}

// ForgedLease takes a lease as [Profile.Lease] does, with tokens that are wrong in one way. Those of a token service stay
// right.
func (p *Profile) ForgedLease(ctx context.Context, need Need, f Forgery) (*Lease, error) {
	lease, err := p.lease(ctx, need, &forgery{f})
	if err != nil {
		return nil, fmt.Errorf("take a lease from %s: %w", p.ID, err)
	}
	return lease, nil
}

// forgeable reports whether the token is made here, and sent with requests: what only a token service gets stays right.
func (t *tokenPlan) forgeable() bool {
	return t.sent && (t.jwt != nil || t.signed != nil || t.Source == "template")
}

// markForged works out which of the needed tokens are sent with requests, as they are or inside of others that are made here,
// and which of all are made of one that can be forged.
func (l *plan) markForged(direct []string) {
	sent := slices.Clone(direct)
	for _, t := range slices.Backward(l.needed) {
		t.sent = slices.Contains(sent, t.ID)
		if t.sent && t.http == nil && t.command == nil {
			sent = append(sent, t.names.tokens...)
		}
	}
	var forged []string
	for _, t := range l.needed {
		t.forged = t.forgeable() || slices.ContainsFunc(t.names.tokens, func(id string) bool { return slices.Contains(forged, id) })
		if t.forged {
			forged = append(forged, t.ID)
		}
	}
}

// timed returns the token's templates that name now.
func (t *tokenPlan) timed() []*template {
	return slices.DeleteFunc(t.templates(), func(tpl *template) bool { return !tpl.names.now })
}

// forgery is a [Forgery] on its way through templates; nil changes nothing.
type forgery struct{ Forgery }

// of returns the forgery as far as it is one of the token.
func (f *forgery) of(t *tokenPlan) *forgery {
	if !t.forgeable() {
		return nil
	}
	return f
}

var addedTime = regexp.MustCompile(`add\(\s*["'\x60]?\s*([+-]?[0-9][0-9a-z.]*)`)

// offsetOf returns how long after now an expression's time lies.
func offsetOf(expression string) time.Duration {
	var sum time.Duration
	for _, m := range addedTime.FindAllStringSubmatch(expression, -1) {
		d, _ := time.ParseDuration(m[1]) // the compiler has checked it
		sum += d
	}
	return sum
}

// ends reports whether a template names a time to come.
func (t *template) ends() bool { return slices.ContainsFunc(t.parts, part.ends) }

// eval evaluates a leaf of JSON.
func (f *forgery) eval(j *jsonTemplate, env map[string]any) (any, bool, error) {
	if f == nil {
		return j.leaf.eval(env)
	}
	value, drop, err := f.evalTimed(j.leaf, env)
	if text, ok := value.(string); ok && f.Identity != "" && j.path == f.Identity {
		if value = alterLast(text); value == text {
			return nil, false, fmt.Errorf("the claim %s has no other value", f.Identity)
		}
	}
	return value, drop, err
}

// evalText evaluates a token's text.
func (f *forgery) evalText(t *template, env map[string]any) (string, bool, error) {
	if f == nil {
		return t.evalText(env)
	}
	value, drop, err := f.evalTimed(t, env)
	if err != nil || drop {
		return "", drop, err
	}
	return textOf(value), false, nil
}

func (f *forgery) evalTimed(t *template, env map[string]any) (any, bool, error) {
	now, _ := env["now"].(time.Time)
	switch {
	case !t.names.now:
		return t.eval(env)
	case t.ends() && f.NoEnd && len(t.parts) == 1:
		return nil, true, nil
	case t.ends() && f.NoEnd:
		return nil, false, errors.New("a time cannot be left out of text")
	}
	begin, end := maps.Clone(env), maps.Clone(env)
	begin["now"], end["now"] = now.Add(f.Begin), now.Add(f.End)
	return t.evalWith(func(p *part) map[string]any {
		if p.ends() {
			return end
		}
		return begin
	})
}

// key returns the key to sign with: another one of the same length where that is forged.
func (f *forgery) key(right []byte) []byte {
	if f == nil || !f.OtherKey {
		return right
	}
	other := make([]byte, len(right))
	for i, b := range right {
		other[i] = b ^ 0x55
	}
	return other
}

// timesOnly returns the forgery without its claim, which is one of what is signed.
func (f *forgery) timesOnly() *forgery {
	if f == nil {
		return nil
	}
	times := *f
	times.Identity = ""
	return &times
}

// unsigned reports whether the signature is to be left out.
func (f *forgery) unsigned() bool { return f != nil && f.Unsigned }

// otherKey reports whether the key is to be another one.
func (f *forgery) otherKey() bool { return f != nil && f.OtherKey }
