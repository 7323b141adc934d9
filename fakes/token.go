package fakes

import (
	"crypto/sha256"
	"net/url"
	"sync"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// Reasons of refusals for what a request presents to a provider, beside those of the DRM systems. Every provider has its own
// statuses and numbers for them.
const (
	reasonTokenMissing  drm.Reason = "token-missing"
	reasonTokenPlaces   drm.Reason = "token-places"    // in more than one place
	reasonTokenInvalid  drm.Reason = "token-invalid"   // unreadable, or not signed with the customer's key
	reasonTokenClaims   drm.Reason = "token-claims"    // what it says is incomplete, or not known
	reasonTokenAudience drm.Reason = "token-audience"  // of another customer, or for one
	reasonTokenExpired  drm.Reason = "token-expired"   //
	reasonTokenEarly    drm.Reason = "token-not-yet"   // issued in the future, or before it begins to hold
	reasonTokenKID      drm.Reason = "token-kid"       // of another KID than is asked for
	reasonTokenReused   drm.Reason = "token-reused"    //
	reasonNotGranted    drm.Reason = "token-no-rights" // it gives none
)

// flaw is what is wrong with what a request presents. The text names neither token nor key.
type flaw struct {
	reason drm.Reason
	text   string
}

var (
	flawMissing   = &flaw{reasonTokenMissing, "the token is missing"}
	flawPlaces    = &flaw{reasonTokenPlaces, "there is more than one token"}
	flawMalformed = &flaw{reasonTokenInvalid, "the token can't be read"}
	flawAlgorithm = &flaw{reasonTokenInvalid, "the token's algorithm is not accepted"}
	flawSignature = &flaw{reasonTokenInvalid, "the token's signature does not verify"}
	flawExpired   = &flaw{reasonTokenExpired, "the token has expired"}
	flawFuture    = &flaw{reasonTokenEarly, "the token was issued in the future"}
	flawEarly     = &flaw{reasonTokenEarly, "the token does not hold yet"}
	flawNever     = &flaw{reasonTokenEarly, "the token ends before it begins"}
	flawReused    = &flaw{reasonTokenReused, "the token has been used before"}
	flawForeign   = &flaw{reasonTokenKID, "the token is not for this content"}
)

// claimFlaw is a claim that is missing or wrong.
func claimFlaw(text string) *flaw { return &flaw{reasonTokenClaims, text} }

// maxSkew is how far a customer's clock may be ahead of the server's.
const maxSkew = time.Minute

// validity says when a token holds. What is zero is not said.
type validity struct {
	issued, begins, ends time.Time
	minted               time.Time     // issued by the service itself: not compared with its clock
	maxAge               time.Duration // after issued, of a token that says no end
}

// judge compares a token's times with the server's clock (sheet providers.md §7.2, AU-04 to AU-06).
func (v validity) judge(x *exchange) *flaw {
	early := func(t time.Time) bool {
		return t.After(x.now.Add(maxSkew)) || !t.IsZero() && t.After(x.now) && x.acts(faultZeroSkew)
	}
	if early(v.issued) {
		return flawFuture
	}
	if early(v.begins) && !x.acts(faultNotBeforeIgnored) {
		return flawEarly
	}
	if v.ends.IsZero() && v.maxAge > 0 {
		v.ends = v.issued.Add(v.maxAge)
	}
	if v.ends.IsZero() {
		return nil
	}
	if !v.begins.IsZero() && !v.begins.Before(v.ends) && !x.acts(faultNotBeforeIgnored) {
		return flawNever
	}
	if !x.now.Before(v.ends) {
		if x.acts(faultExpired) {
			return nil
		}
		return flawExpired
	}
	start := v.minted
	for _, other := range []time.Time{v.issued, v.begins} {
		if start.IsZero() {
			start = other
		}
	}
	if !start.IsZero() && !x.now.Before(start.Add(v.ends.Sub(start)/2)) && x.acts(faultHalfLife) {
		return flawExpired
	}
	return nil
}

// addressed compares what a token says of the customer with what the account has.
func (x *exchange) addressed(said, own, what string) *flaw {
	if said == own || x.acts(faultAudience) {
		return nil
	}
	return &flaw{reasonTokenAudience, what + " is not this account's"}
}

// tokenInQuery returns a token of the query as it is, or by a fault decoded once more than the client encoded it.
func (x *exchange) tokenInQuery(text string) string {
	again, err := url.QueryUnescape(text)
	if err == nil && again != text && x.acts(faultQueryPlus) {
		return again
	}
	return text
}

// customToken returns the token that is a challenge's custom data, "" for none.
func (x *exchange) customToken() string {
	if x.challenge == nil || x.challenge.Challenge == nil || x.challenge.CustomData.IsZero() || x.acts(faultCustomData) {
		return ""
	}
	return string(x.challenge.CustomData.Reveal())
}

// tokenFault refuses a challenge for what it presents. The text is in the fault and, as custom data, in its detail, so that a
// client can tell what is missing (sheet providers.md §7.2, AU-09), but by a fault.
func (x *exchange) tokenFault(f *flaw, text string) *refusal {
	if f.reason == reasonTokenMissing && x.acts(faultMissingGeneric) {
		text = "the license can't be issued"
	}
	return x.fault(f.reason, soap.CodeServiceSpecific, text)
}

// spendOnCertificate is a fault: a certificate request uses its token up.
func (x *exchange) spendOnCertificate(token string) {
	if token != "" && x.acts(faultConsumed) {
		x.server.spent.first(token)
	}
}

// maxOnce bounds the ids that are kept, some 100 bytes each: the oldest goes first.
const maxOnce = 1 << 16

// once are ids that may be used once. The zero value is ready to use. It is safe for concurrent use.
type once struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]bool
	ring [][sha256.Size]byte
	next int // where the next id goes in a full ring
}

// first keeps an id and reports whether it was not there.
func (o *once) first(id string) bool {
	sum := sha256.Sum256([]byte(id))
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.seen[sum]:
		return false
	case o.seen == nil:
		o.seen = make(map[[sha256.Size]byte]bool)
	}
	o.seen[sum] = true
	if len(o.ring) < maxOnce {
		o.ring = append(o.ring, sum)
		return true
	}
	delete(o.seen, o.ring[o.next])
	o.ring[o.next] = sum
	o.next = (o.next + 1) % maxOnce
	return true
}

// has reports whether an id is there.
func (o *once) has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen[sha256.Sum256([]byte(id))]
}
