package provider

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"keyflow/drm/nearest"
)

func (v *validator) tokenJWT(path string, j *TokenJWT, s *scope) *jwtPlan {
	out := &jwtPlan{TokenJWT: j, key: v.signingKey(path, j.Key, s), claims: &jsonTemplate{node: &node{kind: nodeMap}}}
	oneOf(v, path+".alg", j.Alg, jwtAlgorithms...)
	if symmetric := strings.HasPrefix(j.Alg, "HS"); symmetric {
		oneOf(v, path+".key_encoding", j.KeyEncoding, "utf8", "b64", "b64url", "hex", "jwk")
	} else {
		oneOf(v, path+".key_encoding", j.KeyEncoding, "pem", "jwk")
	}
	out.header = v.params(s, path+".header", j.Header, nil)
	for i, p := range j.Header {
		if p.Name == "alg" {
			v.bad(path+".header.alg", "is the key alg of the token")
		}
		if i > 0 && j.Header[i-1].Name == p.Name {
			v.bad(join(path+".header", p.Name), "want one text, seen a list")
		}
	}
	if j.Claims == nil || j.Claims.root.kind != nodeMap || len(j.Claims.root.fields) == 0 || j.Claims.root.get("$each") != nil {
		v.bad(path+".claims", "want claims, each with its value")
		return out
	}
	out.claims = v.jsonTemplate(s, path+".claims", j.Claims.root)
	for i, name := range j.StringClaims {
		if !slices.Contains(out.claims.keys, name) {
			v.bad(fmt.Sprintf("%s.string_claims[%d]", path, i), "there is no claim %q: %s", name, nearest.Hint(name, out.claims.keys))
		}
	}
	v.identity(path+".identity", j.Identity, out.claims)
	return out
}

func (v *validator) tokenSigned(path string, j *TokenSignedJSON, s *scope) *signedPlan {
	empty := &jsonTemplate{node: &node{kind: nodeMap}}
	out := &signedPlan{TokenSignedJSON: j, key: v.signingKey(path+".sign", j.Sign.Key, s), inner: empty, outer: empty}
	oneOf(v, path+".digest", j.Digest, "sha1", "sha256")
	oneOf(v, path+".sign.alg", j.Sign.Alg, "aes_cbc", "rsa_pss", "rsa_pkcs1", "hmac")
	if strings.HasPrefix(j.Sign.Alg, "rsa") {
		oneOf(v, path+".sign.key_encoding", j.Sign.KeyEncoding, "pem", "jwk")
	} else {
		oneOf(v, path+".sign.key_encoding", j.Sign.KeyEncoding, "utf8", "b64", "b64url", "hex")
	}
	switch isCBC := j.Sign.Alg == "aes_cbc"; {
	case isCBC && j.Sign.IV == "":
		v.bad(path+".sign.iv", "is missing: the algorithm is aes_cbc")
	case !isCBC && j.Sign.IV != "":
		v.bad(path+".sign.iv", "belongs to aes_cbc")
	case isCBC:
		out.iv = v.template(s, path+".sign.iv", j.Sign.IV, intoText)
	}
	if j.Inner == nil {
		v.bad(path+".inner", "is missing: what is signed")
	} else {
		out.inner = v.jsonTemplate(s, path+".inner", j.Inner.root)
		v.identity(path+".identity", j.Identity, out.inner)
	}
	if j.Outer == nil {
		v.bad(path+".outer", "is missing: what is sent")
		return out
	}
	out.outer = v.jsonTemplate(s.with("inner_bytes", valueOf([]byte{})).with("signature", valueOf([]byte{})), path+".outer", j.Outer.root)
	for _, name := range []string{"inner_bytes", "signature"} {
		if !j.Outer.root.mentions(name) {
			v.bad(path+".outer", "names no ${%s}", name)
		}
	}
	return out
}

// signingKey checks a key: it must be a variable's that is secret.
func (v *validator) signingKey(path, text string, s *scope) *template {
	if text == "" {
		v.bad(path+".key", "is missing")
		return &template{}
	}
	t := v.template(s, path+".key", text, intoText)
	switch {
	case t == nil:
		return &template{}
	case t.constant() && !strings.HasPrefix(text, "FAKE"), !t.constant() && !t.secret():
		v.bad(path+".key", "a secret must not stand in a profile: name a variable with secret: true; only text that begins with FAKE may")
	}
	return t
}

// identity checks that claims are there.
func (v *validator) identity(path string, named []string, claims *jsonTemplate) {
	var all []string
	var walk func(j *jsonTemplate)
	walk = func(j *jsonTemplate) {
		if j.leaf != nil && j.leaf.out.Kind() == reflect.String {
			all = append(all, j.path)
		}
		for _, c := range j.children {
			walk(c)
		}
	}
	walk(claims)
	for i, name := range named {
		if !slices.Contains(all, name) {
			v.bad(fmt.Sprintf("%s[%d]", path, i), "there is no claim %q that is text: %s", name, nearest.Hint(name, all))
		}
	}
}

func (v *validator) tokenCommand(path string, c *TokenCommand, s *scope) *commandPlan {
	out := &commandPlan{TokenCommand: c, env: v.params(s, path+".env", c.Env, nil)}
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		v.bad(path+".argv", "is missing: the program and its arguments, e.g. [./token.sh, --test]")
	}
	for i, arg := range c.Argv {
		at := fmt.Sprintf("%s.argv[%d]", path, i)
		t := v.template(s, at, arg, intoText)
		if t == nil {
			continue
		}
		if t.secret() {
			v.bad(at, "arguments can be seen by every process of the machine: give secrets by stdin or env")
		}
		out.argv = append(out.argv, t)
	}
	for _, p := range c.Env {
		if !identifier.MatchString(p.Name) {
			v.bad(join(path+".env", p.Name), "want a name of letters, digits and underscores")
		}
	}
	if c.Stdin != nil {
		out.stdin = v.template(s, path+".stdin", *c.Stdin, intoBytes)
	}
	if len(c.Outputs) == 0 {
		v.bad(path+".outputs", "is missing: name at least one output")
	}
	out.outputs = v.outputs(path+".outputs", c.Outputs, "stdout", "json")
	return out
}
