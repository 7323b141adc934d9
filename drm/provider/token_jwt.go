package provider

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"keyflow/drm/secret"
)

// jwtAlgorithms are those that a profile may name (RFC 7518 §3.1).
var jwtAlgorithms = []string{"HS256", "HS384", "HS512", "ES256", "RS256", "PS256"}

// jwtPlan is a [TokenJWT] with its templates compiled.
type jwtPlan struct {
	*TokenJWT
	key    *template
	header []param
	claims *jsonTemplate
}

func (j *jwtPlan) templates() []*template {
	ts := []*template{j.key}
	for _, p := range j.header {
		ts = append(ts, p.value)
	}
	return append(ts, j.claims.templates()...)
}

// sign returns the token in its compact form. The claims stand in the profile's order.
func (j *jwtPlan) sign(r rendering) (string, error) {
	key, err := j.signingKey(r)
	if err != nil {
		return "", err
	}
	alg := j.Alg
	if r.forge.unsigned() {
		alg = jwt.SigningMethodNone.Alg()
	}
	header := []string{`"alg":"` + alg + `"`}
	for _, p := range j.header {
		value, drop, err := p.value.evalText(r.env)
		if err != nil || drop {
			return "", fmt.Errorf("its header %s: has no value", p.name)
		}
		header = append(header, fmt.Sprintf(`"%s":"%s"`, jsonInside(p.name), jsonInside(value)))
	}
	claims, err := j.claims.renderAsText(r, j.StringClaims)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte("{"+strings.Join(header, ",")+"}")) + "." + enc.EncodeToString(claims)
	signature := []byte(nil)
	if !r.forge.unsigned() {
		if signature, err = jwt.GetSigningMethod(j.Alg).Sign(text, key); err != nil {
			return "", errKeyForm // the library's error may tell of the key
		}
	}
	return text + "." + enc.EncodeToString(signature), nil
}

func (j *jwtPlan) signingKey(r rendering) (any, error) {
	text, _, err := j.key.evalText(r.env)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(j.Alg, "HS") {
		read := func(text string) ([]byte, error) { return decodeKey(j.KeyEncoding, text) }
		if j.KeyEncoding == "jwk" {
			read = symmetricJWK
		}
		key, err := read(text)
		return r.forge.key(key), err
	}
	key, err := privateKey(j.KeyEncoding, text)
	if err == nil && r.forge.otherKey() {
		key, err = otherPrivateKey(key)
	}
	return key, err
}

// jwtEnd returns the time in a JWT's claim exp, zero if it has none. Other claims may have forms that the library refuses.
func jwtEnd(token secret.Bytes) time.Time {
	parts := strings.Split(string(token.Reveal()), ".")
	var claims struct {
		Exp *jwt.NumericDate `json:"exp"`
	}
	if text, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)]); err != nil || json.Unmarshal(text, &claims) != nil || claims.Exp == nil {
		return time.Time{}
	}
	return claims.Exp.Time
}
