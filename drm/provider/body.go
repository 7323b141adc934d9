package provider

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"keyflow/drm/nearest"
)

// bodyPlan is a [Body] with its templates compiled; nil sends the key request as it is.
type bodyPlan struct {
	*Body
	json     *jsonTemplate
	form     []param
	envelope *template
	signed   bool // the token is signed JSON, which is spoilt where it is signed
}

func (b *bodyPlan) templates() []*template {
	var ts []*template
	if b.json != nil {
		ts = append(ts, b.json.templates()...)
	}
	for _, p := range b.form {
		ts = append(ts, p.value)
	}
	if b.envelope != nil {
		ts = append(ts, b.envelope)
	}
	return ts
}

// secret reports whether the body holds more than a key request.
func (b *bodyPlan) secret() bool {
	if b.Wrap == "token" {
		return true
	}
	for _, t := range b.templates() {
		if t.secret() {
			return true
		}
	}
	return false
}

// wrap puts a key request into the body.
func (b *bodyPlan) wrap(r rendering, tokens map[string]outputs, challenge []byte) ([]byte, error) {
	r.env["challenge"] = encodeChallenge(b.Encoding, challenge)
	switch b.Wrap {
	case "json":
		text, _, err := b.json.render(r)
		return text, err
	case "form":
		text, _, err := encodeQuery("?", "?", r.spoil.spoil(b.form), r.env, encodeForm)
		return []byte(strings.TrimPrefix(text, "?")), err
	case "envelope":
		text, _, err := b.envelope.evalText(r.spoil.spoilTokens(r.env, tokens))
		return []byte(text), err
	}
	value := tokens[b.Token]["value"]
	if !b.signed {
		value = r.spoil.spoilSecret(value)
	}
	return bytes.Clone(value.Reveal()), nil
}

// encodeChallenge returns what ${challenge} is: text, or numbers for bytes_array.
func encodeChallenge(encoding string, b []byte) any {
	switch encoding {
	case "hex":
		return hex.EncodeToString(b)
	case "b64url":
		return base64.RawURLEncoding.EncodeToString(b)
	case "bytes_array":
		return bytesArray(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// compressed returns the body in gzip.
func compressed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// contentTypeOf is that of a wrapped body where the profile names none.
var contentTypeOf = map[string]string{"json": contentTypeJSON, "form": contentTypeForm, "token": contentTypeJSON, "envelope": "text/xml; charset=utf-8"}

// body checks request.body and compiles it.
func (v *validator) body(tokens map[string]tokenShape) *bodyPlan {
	b := &v.p.Request.Body
	const path = "request.body"
	oneOf(v, path+".encoding", b.Encoding, "b64", "b64url", "hex", "bytes_array")
	if wraps := []string{"raw", "json", "form", "token", "envelope"}; !slices.Contains(wraps, b.Wrap) {
		oneOf(v, path+".wrap", b.Wrap, wraps...)
		return nil
	}
	for _, given := range []struct {
		key string
		has bool
	}{{"json", b.JSON != nil}, {"form", b.Form != nil}, {"token", b.Token != ""}, {"envelope", b.Envelope != nil}} {
		if own := b.Wrap == given.key; own && !given.has {
			v.bad(path+"."+given.key, "is missing: wrap is %s", b.Wrap)
		} else if !own && given.has {
			v.bad(path+"."+given.key, "belongs to wrap %s, seen %s", given.key, b.Wrap)
		}
	}
	if b.Wrap == "raw" || b.Wrap == "" {
		return nil
	}
	var challenge any = ""
	if b.Encoding == "bytes_array" {
		challenge = []int{}
	}
	before := len(v.problems)
	s := newScope(v.p.Vars, tokens, true).with("challenge", valueOf(challenge))
	if b.Encoding == "bytes_array" && (b.Form != nil || b.Envelope != nil) {
		v.bad(path+".encoding", "bytes_array is a list, which stands in JSON only: want b64, b64url or hex")
		s = newScope(v.p.Vars, tokens, true).with("challenge", valueOf(""))
	}
	out := &bodyPlan{Body: b, form: v.params(s, path+".form", b.Form, nil)}
	if b.JSON != nil {
		out.json = v.jsonTemplate(s, path+".json", b.JSON.root)
	}
	if b.Envelope != nil {
		out.envelope = v.template(s, path+".envelope", *b.Envelope, intoBytes)
	}
	if b.Token != "" {
		v.bodyToken(path+".token", b.Token, out)
	} else if len(out.templates()) > 0 && len(v.problems) == before && !out.namesChallenge() {
		v.bad(path, "the key request is nowhere in it: name ${challenge}")
	}
	return out
}

func (b *bodyPlan) namesChallenge() bool {
	for _, t := range b.templates() {
		if t.names.challenge || slices.Contains(t.names.inputs, "challenge") {
			return true
		}
	}
	return false
}

func (v *validator) bodyToken(path, id string, out *bodyPlan) {
	for i, t := range v.p.Tokens {
		if t.ID != id {
			continue
		}
		out.signed = t.Source == "signed_json"
		if t.Source != "signed_json" && t.Source != "jwt" && t.Source != "template" {
			v.bad(path, "the body is made of a token of source signed_json, jwt or template, seen %s", t.Source)
		} else if i < len(v.p.plan.tokens) && !v.p.plan.tokens[i].late() {
			v.bad(path, "the key request is nowhere in token %s: name ${input.challenge} there", id)
		}
		return
	}
	ids := make([]string, len(v.p.Tokens))
	for i, t := range v.p.Tokens {
		ids[i] = t.ID
	}
	v.bad(path, "there is no token %q: %s", id, nearest.Hint(id, ids))
}
