package fakes

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// hashes are those of the algorithms of JWTs with shared keys (RFC 7518 §3.2).
var hashes = map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}

// jwt is a JSON Web Token in compact form (RFC 7519, RFC 7515 §7.1), as far as it could be read without a key.
type jwt struct {
	header, claims members
	signed         string // what the signature is over
	signature      []byte
}

// readJWT reads a token. Unused bits of base64 and line ends within are no part of one.
func readJWT(text string) (jwt, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || strings.ContainsAny(text, "\r\n") {
		return jwt{}, false
	}
	var decoded [3][]byte
	for i, p := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return jwt{}, false
		}
	}
	header, err1 := readMembers(decoded[0])
	claims, err2 := readMembers(decoded[1])
	typed := !header.has("typ") || strings.EqualFold(header.text("typ"), "JWT")
	// Names that a service does not know it should ignore (RFC 7515 §4); here a client with a misspelt one has to notice.
	known := header.only("alg", "typ", "kid", "cty")
	return jwt{header, claims, parts[0] + "." + parts[1], decoded[2]}, err1 == nil && err2 == nil && typed && known
}

// openJWT reads a token that must be signed with a key, by one of the algorithms.
func (x *exchange) openJWT(text string, key secret.Bytes, algorithms ...string) (jwt, *flaw) {
	t, ok := readJWT(text)
	if !ok {
		return t, flawMalformed
	}
	algorithm := t.header.text("alg")
	switch {
	case strings.EqualFold(algorithm, "none") && x.acts(faultAlgNone):
		return t, nil
	case !slices.Contains(algorithms, algorithm):
		return t, flawAlgorithm
	}
	h := hmac.New(hashes[algorithm], key.Reveal())
	h.Write([]byte(t.signed))
	if !hmac.Equal(h.Sum(nil), t.signature) && !x.acts(faultTokenSignature) {
		return t, flawSignature
	}
	return t, nil
}
