package playready

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

// responseIDLen is the length of a response id in bytes, in every sample (sheet playready.md §8.1).
const responseIDLen = 32

// persistent reports whether a license of the answer may be stored: one that does not parse says nothing.
func (x *examination) persistent() bool {
	return slices.ContainsFunc(x.answer.Licenses, func(l License) bool { return l.XMR != nil && !l.XMR.CannotPersist })
}

// binding verifies that the answer belongs to the request (sheet §8.1): by the Rights ID of each license if all stay in memory,
// else by the response's nonce.
func (x *examination) binding() {
	if x.pending.nonce == nil {
		return // a forged request without a nonce has no answer that could belong to it
	}
	if x.persistent() {
		want := base64.StdEncoding.EncodeToString(x.pending.nonce)
		switch got := strings.Join(strings.Fields(x.answer.Body.Response.Nonce), ""); got { // white space may stand in any base64
		case want:
		case "":
			x.find(ReasonNonce, stepBinding, "the request's nonce in a response with a persistent license", "none")
		default:
			x.find(ReasonNonce, stepBinding, "the request's nonce in a response with a persistent license", fmt.Sprintf("another of %d characters", len(got)))
		}
		return
	}
	x.rightsIDs()
}

// rightsIDs compares the Rights IDs with the nonce. Of the first license it is the nonce itself; how those of further ones
// follow from it is not certain, so that all patterns that were ever told are taken.
func (x *examination) rightsIDs() {
	for i := range x.answer.Licenses {
		l := &x.answer.Licenses[i]
		if l.XMR == nil {
			continue // it has a place in the order all the same
		}
		pattern, ok := patternOf(x.pending.nonce, l.XMR.RightsID[:], i)
		switch {
		case !ok:
			x.about(l, ReasonRightsID, stepBinding, "a Rights ID from the request's nonce", "another: the license belongs to another request")
		case i > 0 && x.answer.Pattern != "" && x.answer.Pattern != pattern:
			x.answer.Pattern = NonceMixed
		case i > 0:
			x.answer.Pattern = pattern
		}
	}
}

// patternOf tells how the Rights ID of the i-th license, from 0, follows from the nonce.
func patternOf(nonce, id []byte, i int) (NoncePattern, bool) {
	switch {
	case bytes.Equal(id, addBig(nonce, i)):
		return NonceBigEndian, true
	case bytes.Equal(id, reversed(addBig(reversed(nonce), i))):
		return NonceLittleEndian, true
	case bytes.Equal(id, nonce):
		return NonceUnchanged, true
	}
	return "", false
}

// addBig adds i to bytes that are one big-endian integer, modulo its size.
func addBig(b []byte, i int) []byte {
	sum := new(big.Int).Add(new(big.Int).SetBytes(b), big.NewInt(int64(i)))
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	return sum.FillBytes(make([]byte, len(b)))
}

func reversed(b []byte) []byte {
	r := bytes.Clone(b)
	slices.Reverse(r)
	return r
}

// signature judges the response's signature (sheet §8.1): one that is there must verify, and one must be there if a license is
// persistent. A client unwraps the keys and reports the defect.
func (x *examination) signature() {
	a := x.answer.Body
	if a.Signature == nil {
		if x.persistent() {
			x.find(ReasonUnsigned, stepResponse, "a signature over a response with a persistent license", "none")
		}
		return
	}
	if n := len(a.Response.ResponseID); n != responseIDLen {
		x.find(ReasonResponseID, stepResponse, fmt.Sprintf("a ResponseID of %d bytes", responseIDLen), fmt.Sprintf("%d bytes", n))
	}
	if a.Signature.Reference != "#"+a.ID || a.ID == "" {
		x.find(ReasonDigest, stepResponse, "a reference to the LicenseResponse", fmt.Sprintf("%.60q, its Id is %.60q", a.Signature.Reference, a.ID))
	} else if !a.Signature.DigestMatches() {
		x.find(ReasonDigest, stepResponse, "the SHA-256 of the LicenseResponse", "another digest")
	}
	if key, ok := x.signer(a.Response.SigningChain); ok && !a.Signature.Verifies(key) {
		x.find(ReasonSignature, stepResponse, "a signature by the key of the response's signing certificate", "one that does not verify")
	}
}

// signer returns the key that may sign responses. A client keys on the usage and takes any type of certificate.
func (x *examination) signer(raw []byte) (key ecc.PublicKey, ok bool) {
	chain, err := bcert.Parse(raw)
	if err == nil {
		key, err = bcert.Verifier{Root: x.platform.root, Now: x.pending.minted, Memo: x.platform.signers}.VerifyResponseSigner(chain)
	}
	if err != nil {
		x.find(ReasonSigner, stepResponse, "a certificate chain to the trusted root, with a key to sign responses", err.Error())
	}
	return key, err == nil
}
