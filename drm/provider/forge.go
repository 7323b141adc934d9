package provider

import (
	"context"
	"fmt"
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
			traits.note(tpl)
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
func (t *TokenTraits) note(tpl *template) {
	offset := tpl.offset()
	switch {
	case tpl.ends() && (!t.Ends || offset < t.EndOffset):
		t.Ends, t.EndOffset = true, offset
	case !tpl.ends() && (!t.Begins || offset > t.BeginOffset):
		t.Begins, t.BeginOffset = true, offset
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

// forgeable reports whether the token is made here.
func (t *tokenPlan) forgeable() bool {
	return t.jwt != nil || t.signed != nil || t.Source == "template"
}

// timed returns the token's templates that name now.
func (t *tokenPlan) timed() []*template {
	return slices.DeleteFunc(t.templates(), func(tpl *template) bool { return !tpl.names.now })
}

// forgery is a [Forgery] on its way through templates; nil changes nothing.
type forgery struct{ Forgery }

var addedTime = regexp.MustCompile(`add\(\s*["'\x60]?\s*([+-]?[0-9][0-9a-z.]*)`)

// offset returns how long after now a template's time lies.
func (t *template) offset() time.Duration {
	var sum time.Duration
	for _, m := range addedTime.FindAllStringSubmatch(t.text, -1) {
		d, _ := time.ParseDuration(m[1]) // the template was checked when it was read
		sum += d
	}
	return sum
}

// ends reports whether a template of now is a time to come.
func (t *template) ends() bool { return t.offset() > 0 }

// eval evaluates a leaf of JSON.
func (f *forgery) eval(j *jsonTemplate, env map[string]any) (any, bool, error) {
	if f == nil {
		return j.leaf.eval(env)
	}
	value, drop, err := f.evalTimed(j.leaf, env)
	if text, ok := value.(string); ok && f.Identity != "" && j.path == f.Identity {
		value = alterLast(text)
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
	case t.ends() && f.NoEnd:
		return nil, true, nil
	case t.ends():
		return t.evalAt(env, now.Add(f.End))
	}
	return t.evalAt(env, now.Add(f.Begin))
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

// unsigned reports whether the signature is to be left out.
func (f *forgery) unsigned() bool { return f != nil && f.Unsigned }

// otherKey reports whether the key is to be another one.
func (f *forgery) otherKey() bool { return f != nil && f.OtherKey }
