package bcert

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
)

// MaxDepth is how many certificates a chain may have (sheet playready.md §10, rule 8).
const MaxDepth = 6

// The reasons why a chain is not trusted, with the rule of sheet playready.md §10 that says so.
const (
	ReasonRoot          drm.Reason = "chain-root"           // it ends at another root (2)
	ReasonSignature     drm.Reason = "chain-signature"      // a certificate's signature does not verify (3)
	ReasonIssuer        drm.Reason = "chain-issuer"         // a certificate is not signed by a key of the next one (4)
	ReasonIssuerType    drm.Reason = "chain-issuer-type"    // a certificate above the leaf is no issuer (4)
	ReasonUsage         drm.Reason = "chain-issuer-usage"   // the issuer may not issue such certificates (4)
	ReasonDigest        drm.Reason = "chain-digest"         // the digest is not that of the first key (5)
	ReasonExpired       drm.Reason = "chain-expired"        // (6)
	ReasonSecurityLevel drm.Reason = "chain-security-level" // it rises from parent to child (7)
	ReasonDepth         drm.Reason = "chain-too-deep"       // (8)
	ReasonRevoked       drm.Reason = "chain-revoked"        // (9)
	ReasonLeaf          drm.Reason = "chain-leaf"           // the leaf is not of the type, or lacks a key (10)
	ReasonAttribute     drm.Reason = "chain-attribute"      // an attribute that must be understood is not known (11)
)

// VerifyError says why a chain, or the revocation list that it signs, is not trusted.
type VerifyError struct {
	Reason      drm.Reason
	Certificate int // from the leaf, 0
	Text        string
}

func (e *VerifyError) Error() string {
	return fmt.Sprintf("certificate %d: %s: %s", e.Certificate, e.Reason, e.Text)
}

// Verifier verifies chains by the rules of sheet playready.md §10. The errors of its methods are or wrap a [*VerifyError]. It
// is a value: a server makes one for every request, with its clock's time and the lists that are in force.
type Verifier struct {
	Root    ecc.PublicKey
	Now     time.Time
	Revoked map[[sha256.Size]byte]bool // see [Revoked]; nil: nothing is revoked
	Memo    *Memo                      // spares signatures that were verified before; nil: every one is verified anew
}

// Verify verifies the chain from root to leaf, whatever the leaf is: rules 1 to 9 and 11. Above a leaf of a type that no
// usage is known for, only keys that may issue everything are accepted.
func (v Verifier) Verify(c *Chain) error {
	return v.walk(c, func(k Key, leaf Type) bool { return k.issues(leaf) })
}

// VerifyDevice is [Verifier.Verify] for the chain of a client (rule 10): its leaf is a device, PC or application with a key
// to sign and one to encrypt for, which are returned. One key may be both.
func (v Verifier) VerifyDevice(c *Chain) (sign, encrypt ecc.PublicKey, err error) {
	if err := v.Verify(c); err != nil {
		return sign, encrypt, err
	}
	leaf := c.Leaf()
	sign, signs := leaf.Key(UsageSign)
	encrypt, encrypts := leaf.Key(UsageEncrypt)
	switch {
	case !slices.Contains([]Type{TypePC, TypeDevice, TypeApplication}, leaf.Type):
		err = &VerifyError{ReasonLeaf, 0, fmt.Sprintf("type %s is no client", leaf.Type)}
	case !signs:
		err = &VerifyError{ReasonLeaf, 0, "has no key to sign"}
	case !encrypts:
		err = &VerifyError{ReasonLeaf, 0, "has no key to encrypt for"}
	default:
		return sign, encrypt, nil
	}
	return ecc.PublicKey{}, ecc.PublicKey{}, err
}

// VerifyResponseSigner is [Verifier.Verify] for the chain that signs a license response, and returns the key that does. Type
// and issuer usage of such leaves are not public (sheet playready.md §8.1): the leaf may be of any type, and any issuer may
// stand above it.
func (v Verifier) VerifyResponseSigner(c *Chain) (ecc.PublicKey, error) {
	if err := v.walk(c, func(k Key, _ Type) bool { return k.issuesAnything() }); err != nil {
		return ecc.PublicKey{}, err
	}
	key, ok := c.Leaf().Key(UsageSignResponse)
	if !ok {
		return ecc.PublicKey{}, &VerifyError{ReasonLeaf, 0, "has no key to sign responses"}
	}
	return key, nil
}

// Verify is [Verifier.Verify] where nothing is revoked.
func (c *Chain) Verify(root ecc.PublicKey, now time.Time) error {
	return Verifier{Root: root, Now: now}.Verify(c)
}

// VerifyDevice is [Verifier.VerifyDevice] where nothing is revoked.
func (c *Chain) VerifyDevice(root ecc.PublicKey, now time.Time) (sign, encrypt ecc.PublicKey, err error) {
	return Verifier{Root: root, Now: now}.VerifyDevice(c)
}

// walk verifies all but the leaf's own rules; may says whether a key may stand above the leaf.
func (v Verifier) walk(c *Chain, may func(k Key, leaf Type) bool) error {
	n := len(c.Certificates)
	switch {
	case n == 0:
		return &VerifyError{ReasonRoot, 0, "there is no certificate"}
	case n > MaxDepth:
		return &VerifyError{ReasonDepth, MaxDepth, fmt.Sprintf("the chain has %d certificates, at most %d are trusted", n, MaxDepth)}
	case c.Certificates[n-1].Issuer != v.Root:
		return &VerifyError{ReasonRoot, n - 1, "is not signed by the trusted root"}
	}
	level := uint32(0) // the lowest above; 0 if none is stated
	for i := n - 1; i >= 0; i-- {
		cert, parent := c.Certificates[i], (*Certificate)(nil)
		if i+1 < n {
			parent = c.Certificates[i+1]
		}
		if reason, text := v.check(cert, parent, level, func(k Key) bool { return may(k, c.Leaf().Type) }); reason != "" {
			return &VerifyError{reason, i, text}
		}
		if cert.SecurityLevel != 0 {
			level = cert.SecurityLevel
		}
	}
	return nil
}

// check verifies one certificate under its parent, nil for the root, which is verified already. The reason is empty if all is
// well.
func (v Verifier) check(cert, parent *Certificate, level uint32, may func(Key) bool) (reason drm.Reason, text string) {
	known := v.Memo.key(cert)
	if !v.Memo.has(known) && !cert.Issuer.Verify(cert.Raw[:cert.SignedLen], cert.Signature) {
		return ReasonSignature, "the signature does not verify"
	}
	if parent != nil {
		if reason, text := parent.checkIssued(cert, may); reason != "" {
			return reason, text
		}
	}
	v.Memo.add(known)
	if sha256.Sum256(cert.Keys[0].Public[:]) != cert.Digest {
		return ReasonDigest, "the digest is not that of the first key"
	}
	if !cert.Expires.IsZero() && !v.Now.Before(cert.Expires) {
		return ReasonExpired, "expired at " + cert.Expires.Format(time.RFC3339)
	}
	// A certificate between that states no level must not lift the limit of those above it.
	if level != 0 && cert.SecurityLevel > level {
		return ReasonSecurityLevel, fmt.Sprintf("security level %d under one of %d", cert.SecurityLevel, level)
	}
	if v.Revoked[cert.Digest] {
		return ReasonRevoked, "is revoked"
	}
	for _, a := range cert.Unknown { // extended data is known by name
		if a.MustUnderstand() && !a.known() {
			return ReasonAttribute, fmt.Sprintf("attribute %04x must be understood, and is not known", a.Tag)
		}
	}
	return "", ""
}

// checkIssued tells whether a certificate may be signed by one of its keys.
func (c *Certificate) checkIssued(child *Certificate, may func(Key) bool) (reason drm.Reason, text string) {
	isSigner := func(k Key) bool { return k.Public == child.Issuer }
	switch {
	case !slices.ContainsFunc(c.Keys, isSigner):
		return ReasonIssuer, "is not signed by a key of the certificate above it"
	case c.Type != TypeIssuer:
		return ReasonIssuerType, fmt.Sprintf("the certificate above it is of type %s, want %s", c.Type, TypeIssuer)
	case !slices.ContainsFunc(c.Keys, func(k Key) bool { return isSigner(k) && may(k) }):
		return ReasonUsage, "the key above it may not issue certificates for a leaf of this type"
	}
	return "", ""
}
