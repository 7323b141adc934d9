package provider

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"keyflow/drm/secret"
)

// outputs are what a token step yielded, by name.
type outputs map[string]secret.Bytes

// TokenError says why a token step yielded nothing. Its text holds no secret.
type TokenError struct {
	Token string // its id
	Matched
	Status int   // of the token service's answer; 0: none arrived, or the source is not http
	Err    error // what is wrong beside the class; may be nil
}

func (e *TokenError) Error() string {
	text := fmt.Sprintf("token %s: %s", e.Token, &e.Matched)
	if e.Status != 0 {
		text += fmt.Sprintf(", HTTP %d", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *TokenError) Unwrap() error { return e.Err }

// mint takes a fresh token.
func (b *bound) mint(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
	in.now, in.uuid = b.env.Clock.Now(), b.newUUID()
	env := b.exprEnv(have, in)
	var values outputs
	var err error
	switch t.Source {
	case "http":
		values, err = b.ask(ctx, t, env)
	case "command":
		values, err = b.run(ctx, t, env)
	default:
		if err = b.spend(t); err == nil {
			values, err = b.local(t, rendering{env: env, forge: in.forge.of(t)})
		}
	}
	b.counts.count(t, err)
	if err != nil {
		return nil, time.Time{}, err
	}
	b.remember(t, values)
	if in.forge != nil && t.forged {
		return values, time.Time{}, nil // it must be sent however wrong its times are
	}
	expires, err := t.expires(values, in.now)
	if err != nil {
		return nil, time.Time{}, &TokenError{Token: t.ID, Matched: Matched{Class: ErrorUnclassified}, Err: err}
	}
	return values, expires, nil
}

// remember makes what a step yielded known to the vault.
func (b *bound) remember(t *tokenPlan, values outputs) {
	if t.Public {
		return
	}
	for _, name := range keysSorted(values) {
		if name == t.TTLFrom {
			continue // a time is found everywhere, and gives nothing away
		}
		b.env.Vault.Add(t.ID+"."+name, values[name])
	}
}

// spend takes one token out of the budget if it costs money.
func (b *bound) spend(t *tokenPlan) error {
	if t.CostUnit != "" && !b.env.Budget.take() {
		return &BudgetError{Token: t.ID, Unit: t.CostUnit, Spent: b.env.Budget.Spent()}
	}
	return nil
}

// expires returns when a token that was made now expires; zero: never.
func (t *tokenPlan) expires(values outputs, now time.Time) (time.Time, error) {
	switch {
	case t.TTLFrom != "":
		text := string(values[t.TTLFrom].Reveal())
		end, err := endOf(text, now)
		if err != nil {
			return time.Time{}, fmt.Errorf("its output %s is no time: want Unix seconds, RFC 3339, or + and seconds", t.TTLFrom)
		}
		return end, nil
	case t.TTL > 0:
		return now.Add(t.TTL), nil
	case t.Source == "jwt":
		return jwtEnd(values["value"]), nil
	}
	return time.Time{}, nil
}

// endOf reads a time: Unix seconds, RFC 3339, or + and seconds from now.
func endOf(text string, now time.Time) (time.Time, error) {
	if rest, relative := strings.CutPrefix(text, "+"); relative {
		seconds, err := strconv.ParseInt(rest, 10, 32)
		return now.Add(time.Duration(seconds) * time.Second), err
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	return time.Parse(time.RFC3339, text)
}

// local evaluates the sources that need no I/O but a file's.
func (b *bound) local(t *tokenPlan, r rendering) (outputs, error) {
	var value string
	var err error
	switch t.Source {
	case "static", "template":
		value, _, err = r.forge.evalText(t.value, r.env)
	case "env":
		if value = b.env.Getenv(t.Env); value == "" {
			err = fmt.Errorf("the environment variable %s is not set", t.Env)
		}
	case "file":
		return t.readFile()
	case "jwt":
		value, err = t.jwt.sign(r)
	case "signed_json":
		value, err = t.signed.sign(r)
	}
	if err == nil && len(value) < secret.MinLen && !t.Public {
		err = fmt.Errorf("is shorter than %d bytes", secret.MinLen)
	}
	if err != nil {
		return nil, t.failed(err)
	}
	return outputs{"value": secret.New([]byte(value))}, nil
}

// failed is a local token that cannot be made: the request would go without it.
func (t *tokenPlan) failed(err error) error {
	return &TokenError{Token: t.ID, Matched: Matched{Class: ErrorAuthMissing}, Err: err}
}

func (t *tokenPlan) readFile() (outputs, error) {
	f := t.File
	raw, err := readBounded(f.Path, maxSecretFile)
	if err != nil {
		return nil, t.failed(fmt.Errorf("read its file: %w", err))
	}
	if f.Format == "json" {
		values, err := takeOutputs(f.Outputs, t.located, &place{body: raw})
		if err != nil {
			return nil, t.failed(fmt.Errorf("its file: %w", err))
		}
		return values, nil
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if f.Trim {
		text = strings.TrimSpace(text)
	}
	if f.Format == "b64" {
		text, err = decodeOutput("b64", text)
	}
	if err == nil && len(text) < secret.MinLen && !t.Public {
		err = fmt.Errorf("is shorter than %d bytes", secret.MinLen)
	}
	if err != nil {
		return nil, t.failed(err)
	}
	return outputs{"value": secret.New([]byte(text))}, nil
}

// takeOutputs finds the outputs of a step in what it answered. Its errors hold nothing of the values.
func takeOutputs(named map[string]Output, at map[string]*locator, in *place) (outputs, error) {
	values := outputs{}
	for _, name := range keysSorted(named) {
		text, found := at[name].find(in)
		var err error
		if found {
			text, err = decodeOutput(named[name].Decode, text)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("output %s: %w", name, err)
		case text == "" && named[name].Required:
			return nil, fmt.Errorf("output %s is not in the answer", name)
		}
		values[name] = secret.New([]byte(text))
	}
	return values, nil
}
