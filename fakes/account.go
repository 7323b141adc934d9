package fakes

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"keyflow/drm/secret"
)

// credential is one thing that a provider issues its customers with, and the form in which it does.
type credential struct {
	name   string
	hidden bool // it is a secret
	form   string
	decode func(text string) ([]byte, error) // nil: the text counts
}

// account is what a customer was issued with, by name and decoded.
type account struct {
	values map[string]secret.Bytes
	hidden map[string][]secret.Bytes // the secrets among them, as text and decoded
}

func (a account) text(name string) string        { return string(a.values[name].Reveal()) }
func (a account) bytes(name string) secret.Bytes { return a.values[name] }

var errForm = errors.New("another form")

// plainName is a credential that is no secret.
func plainName(name string) credential { return credential{name: name, form: "a text"} }

// hexSecret is a secret of n bytes in hexadecimal digits; 0 are 16 or more.
func hexSecret(name string, n int) credential {
	form := fmt.Sprintf("%d hexadecimal digits", 2*n)
	if n == 0 {
		form = "32 or more hexadecimal digits"
	}
	return credential{name, true, form, func(text string) ([]byte, error) {
		b, err := hex.DecodeString(text)
		if n > 0 && len(b) != n || len(b) < 16 {
			err = errForm
		}
		return b, err
	}}
}

// base64Secret is a secret of 16 or more bytes in base64.
func base64Secret(name string) credential {
	return credential{name, true, "base64 of 16 or more bytes", func(text string) ([]byte, error) {
		b, err := base64.StdEncoding.DecodeString(text)
		if len(b) < 16 {
			err = errForm
		}
		return b, err
	}}
}

// account reads what a customer was given. Errors name what is missing or ill-formed, and never its value.
func (r role) account(given map[string]secret.Bytes) (account, error) {
	a := account{map[string]secret.Bytes{}, map[string][]secret.Bytes{}}
	var errs []error
	for _, c := range r.credentials {
		text := given[c.name]
		if text.IsZero() {
			errs = append(errs, fmt.Errorf("the account of %s lacks %s: want %s", r.Name, c.name, c.form))
			continue
		}
		value := text
		if c.decode != nil {
			b, err := c.decode(string(text.Reveal()))
			if err != nil {
				errs = append(errs, fmt.Errorf("the account of %s: %s is not %s", r.Name, c.name, c.form))
				continue
			}
			value = secret.New(b)
		}
		a.values[c.name] = value
		if c.hidden {
			a.hidden[c.name] = []secret.Bytes{text, value}
		}
	}
	return a, errors.Join(errs...)
}

// addTo makes the secrets known to the vault.
func (a account) addTo(vault *secret.Vault) {
	for name, values := range a.hidden {
		for _, v := range values {
			vault.Add("account-"+name, v)
		}
	}
}
