package bcert

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
)

// maxDepth is how many certificates a chain may have (sheet playready.md §10, rule 8).
const maxDepth = 6

// The reasons why a chain is not trusted.
const (
	ReasonDepth         drm.Reason = "chain-too-deep"
	ReasonRoot          drm.Reason = "chain-root"           // it ends at another root
	ReasonSignature     drm.Reason = "chain-signature"      // a certificate's signature does not verify
	ReasonIssuer        drm.Reason = "chain-issuer"         // a certificate is not signed by the next one's keys
	ReasonUsage         drm.Reason = "chain-issuer-usage"   // the issuer may not issue such certificates
	ReasonDigest        drm.Reason = "chain-digest"         // the digest is not that of the first key
	ReasonExpired       drm.Reason = "chain-expired"        //
	ReasonSecurityLevel drm.Reason = "chain-security-level" // it rises from parent to child
	ReasonLeaf          drm.Reason = "chain-leaf"           // the leaf is not of the type, or lacks a key
)

// VerifyError says why a chain is not trusted.
type VerifyError struct {
	Reason      drm.Reason
	Certificate int // from the leaf, 0
	Text        string
}

func (e *VerifyError) Error() string {
	return fmt.Sprintf("certificate %d: %s: %s", e.Certificate, e.Reason, e.Text)
}

// issuerUsage is what an issuer's key must be allowed for a leaf of a type; every certificate above the leaf needs it.
func issuerUsage(leaf Type) (Usage, bool) {
	u, ok := map[Type]Usage{
		TypePC: UsageIssuerDevice, TypeDevice: UsageIssuerDevice, TypeApplication: UsageIssuerApplication,
		TypeCRLSigner: UsageIssuerCRL, TypeServer: UsageIssuerServer,
	}[leaf]
	return u, ok
}

// Verify verifies the chain from root to leaf (sheet playready.md §10, rules 1 to 8 and 11). Its error is a [*VerifyError].
func (c *Chain) Verify(root ecc.PublicKey, now time.Time) error {
	if n := len(c.Certificates); n > maxDepth {
		return &VerifyError{ReasonDepth, n - 1, fmt.Sprintf("%d certificates, at most %d", n, maxDepth)}
	}
	last := len(c.Certificates) - 1
	if c.Certificates[last].Issuer != root {
		return &VerifyError{ReasonRoot, last, "is not signed by the trusted root"}
	}
	for i := last; i >= 0; i-- {
		if err := c.verifyOne(i, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) verifyOne(i int, now time.Time) error {
	cert := c.Certificates[i]
	fail := func(reason drm.Reason, format string, args ...any) error {
		return &VerifyError{reason, i, fmt.Sprintf(format, args...)}
	}
	if !cert.Issuer.Verify(cert.Raw[:cert.SignedLen], cert.Signature) {
		return fail(ReasonSignature, "the signature does not verify")
	}
	if sha256.Sum256(cert.Keys[0].Public[:]) != cert.Digest {
		return fail(ReasonDigest, "the digest is not that of the first key")
	}
	if !cert.Expires.IsZero() && !now.Before(cert.Expires) {
		return fail(ReasonExpired, "expired at %s", cert.Expires.Format(time.RFC3339))
	}
	if i+1 == len(c.Certificates) {
		return nil
	}
	parent := c.Certificates[i+1]
	at := slices.IndexFunc(parent.Keys, func(k Key) bool { return k.Public == cert.Issuer })
	if at < 0 {
		return fail(ReasonIssuer, "is not signed by a key of the certificate above it")
	}
	want, known := issuerUsage(c.Leaf().Type)
	usages := parent.Keys[at].Usages
	if may := slices.Contains(usages, UsageIssuerAll) || known && slices.Contains(usages, want); !may {
		return fail(ReasonUsage, "the key above it may not issue certificates of type %d", c.Leaf().Type)
	}
	if parent.SecurityLevel != 0 && cert.SecurityLevel > parent.SecurityLevel {
		return fail(ReasonSecurityLevel, "security level %d under one of %d", cert.SecurityLevel, parent.SecurityLevel)
	}
	return nil
}

// VerifyDevice is [Chain.Verify] for the chain of a client: its leaf is a device, PC or application with a key to sign and
// one to encrypt for, which are returned.
func (c *Chain) VerifyDevice(root ecc.PublicKey, now time.Time) (sign, encrypt ecc.PublicKey, err error) {
	if err := c.Verify(root, now); err != nil {
		return sign, encrypt, err
	}
	leaf := c.Leaf()
	sign, signs := leaf.Key(UsageSign)
	encrypt, encrypts := leaf.Key(UsageEncrypt)
	switch {
	case !slices.Contains([]Type{TypePC, TypeDevice, TypeApplication}, leaf.Type):
		return sign, encrypt, &VerifyError{ReasonLeaf, 0, fmt.Sprintf("type %d is no client", leaf.Type)}
	case !signs || !encrypts:
		return sign, encrypt, &VerifyError{ReasonLeaf, 0, "lacks a key to sign or one to encrypt for"}
	}
	return sign, encrypt, nil
}
