package provider

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what a provider's document asks for
	"crypto/sha256"
	"errors"
	"hash"
	"maps"
)

// signedPlan is a [TokenSignedJSON] with its templates compiled.
type signedPlan struct {
	*TokenSignedJSON
	inner, outer *jsonTemplate
	key, iv      *template
}

func (s *signedPlan) templates() []*template {
	ts := append([]*template{s.key}, s.inner.templates()...)
	if s.iv != nil {
		ts = append(ts, s.iv)
	}
	return append(ts, s.outer.templates()...)
}

// sign makes the inner JSON, signs its bytes and returns the outer JSON.
func (s *signedPlan) sign(r rendering) (string, error) {
	inner, _, err := s.inner.render(r)
	if err != nil {
		return "", err
	}
	signature, err := s.signature(r, inner)
	if err != nil {
		return "", err
	}
	out := rendering{env: maps.Clone(r.env), forge: r.forge.timesOnly()}
	out.env["inner_bytes"], out.env["signature"] = inner, signature
	if r.spoil != untampered {
		out.env["signature"] = r.spoil.spoilSignature(signature)
	}
	text, _, err := s.outer.render(out)
	return string(text), err
}

func (s *signedPlan) signature(r rendering, inner []byte) ([]byte, error) {
	text, _, err := s.key.evalText(r.env)
	if err != nil {
		return nil, err
	}
	algorithm, digest := s.digest()
	digest.Write(inner)
	sum := digest.Sum(nil)
	if s.Sign.Alg == "rsa_pss" || s.Sign.Alg == "rsa_pkcs1" {
		return s.signRSA(r, text, algorithm, sum)
	}
	key, err := decodeKey(s.Sign.KeyEncoding, text)
	if err != nil {
		return nil, err
	}
	key = r.forge.key(key)
	if s.Sign.Alg == "hmac" {
		mac := hmac.New(func() hash.Hash { _, h := s.digest(); return h }, key)
		mac.Write(inner)
		return mac.Sum(nil), nil
	}
	ivText, _, err := s.iv.evalText(r.env)
	if err != nil {
		return nil, err
	}
	iv, err := decodeKey(s.Sign.KeyEncoding, ivText)
	if err != nil {
		return nil, errors.New("its initialization vector has not the form that key_encoding names")
	}
	return encryptCBC(sum, key, iv)
}

func (s *signedPlan) signRSA(r rendering, text string, algorithm crypto.Hash, sum []byte) ([]byte, error) {
	key, err := privateKey(s.Sign.KeyEncoding, text)
	if err == nil && r.forge.otherKey() {
		key, err = otherPrivateKey(key)
	}
	if err != nil {
		return nil, err
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		return nil, errKeyForm
	}
	var options crypto.SignerOpts = algorithm
	if s.Sign.Alg == "rsa_pss" {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: algorithm}
	}
	return key.Sign(rand.Reader, sum, options)
}

func (s *signedPlan) digest() (crypto.Hash, hash.Hash) {
	if s.Digest == "sha1" {
		return crypto.SHA1, sha1.New() //nolint:gosec // see above
	}
	return crypto.SHA256, sha256.New()
}
