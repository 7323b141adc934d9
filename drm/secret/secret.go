// Package secret holds the bytes that must never reach a screen, a log or a file: content keys, device keys, session
// keys, tokens and customer authenticators.
//
// A [Bytes] prints as a placeholder through fmt, log/slog, encoding/json, encoding/xml and Gomega. The bytes come out
// through [Bytes.Reveal] alone, which the linter allows in drm/, fakes/, fixtures/ and their tests and nowhere else.
// What has to be told about a secret is told by its [Fingerprint]. [Vault] is the second line of defence: it knows every
// secret of a run and finds it, by value and in any common encoding, in whatever is about to be written.
package secret

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Placeholder is what every secret prints as.
const Placeholder = "‹redacted›"

// Bytes is a secret byte string. The zero value is the empty secret.
//
// The bytes sit behind a function because reflection follows every other kind of value: fmt and Gomega print unexported
// fields of a struct without asking their methods. It makes Bytes incomparable; compare with [Bytes.Equal].
type Bytes struct {
	hidden
	reveal func() []byte
}

// New returns a secret that holds a copy of b.
func New(b []byte) Bytes {
	held := bytes.Clone(b)
	return Bytes{reveal: func() []byte { return held }}
}

// Reveal returns the secret bytes themselves; the caller must neither keep nor print nor modify them.
func (s Bytes) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Len returns the number of secret bytes.
func (s Bytes) Len() int { return len(s.Reveal()) }

// IsZero reports whether the secret is empty. It does not say that the bytes are zero.
func (s Bytes) IsZero() bool { return s.Len() == 0 }

// Equal reports in constant time whether both secrets hold the same bytes.
func (s Bytes) Equal(o Bytes) bool { return subtle.ConstantTimeCompare(s.Reveal(), o.Reveal()) == 1 }

// Fingerprint returns the fingerprint of the secret, or "" for the empty secret.
func (s Bytes) Fingerprint() Fingerprint { return FingerprintOf(s.Reveal()) }

// hidden prints as [Placeholder]; every secret type embeds it.
type hidden struct{}

// String returns [Placeholder].
func (hidden) String() string { return Placeholder }

// GoString returns [Placeholder].
func (hidden) GoString() string { return Placeholder }

// Format writes [Placeholder] whatever the verb, so that %x and %v tell the same nothing.
func (hidden) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Placeholder)) }

// MarshalText returns [Placeholder]; encoding/json and encoding/xml use it.
func (hidden) MarshalText() ([]byte, error) { return []byte(Placeholder), nil }

// LogValue returns [Placeholder].
func (hidden) LogValue() slog.Value { return slog.StringValue(Placeholder) }

// Fingerprint names a byte string without giving it away: 16 hexadecimal digits of a domain-separated SHA-256. It serves
// high-entropy values (keys, session keys, certificates); a short or guessable value must not be fingerprinted.
type Fingerprint string

// FingerprintOf returns the fingerprint of b, or "" if b is empty.
func FingerprintOf(b []byte) Fingerprint {
	if len(b) == 0 {
		return ""
	}
	h := sha256.New()
	h.Write([]byte("keyflow fingerprint\x00"))
	h.Write(b)
	return Fingerprint(hex.EncodeToString(h.Sum(nil)[:8]))
}
