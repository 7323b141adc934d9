package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
)

// MinLen is the shortest secret, in bytes, that can be searched for by value; shorter ones would match by chance.
const MinLen = 8

// Vault knows the secrets of one run and finds them in output. It is safe for concurrent use; the zero value is not
// usable, see [NewVault].
type Vault struct {
	mu       sync.RWMutex
	key      []byte // per-run key of the redaction markers
	seen     map[[sha256.Size]byte]bool
	patterns patterns
}

// NewVault returns an empty vault with a fresh marker key.
func NewVault() *Vault {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // crypto/rand never fails since Go 1.24; it ends the program instead
	return &Vault{key: key, seen: map[[sha256.Size]byte]bool{}, patterns: newPatterns()}
}

// Add makes the secret known under a name (letters, digits and punctuation; it is printed). A secret that is known
// already, or that is shorter than [MinLen] bytes, is left out; Add reports whether the secret can be found by value.
func (v *Vault) Add(name string, s Bytes) bool {
	b := s.Reveal()
	if len(b) < MinLen || uniform(b) {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := sha256.Sum256(b)
	if v.seen[sum] {
		return true
	}
	v.seen[sum] = true
	mac := hmac.New(sha256.New, v.key)
	mac.Write(b)
	marker := "‹redacted:" + name + ":" + hex.EncodeToString(mac.Sum(nil)[:4]) + "›"
	for _, p := range encodings(b) {
		p.name, p.marker = name, marker
		v.patterns.add(p)
	}
	return true
}

// uniform reports whether all bytes are the same, as in a degenerate all-zero key: searching for it would find padding.
func uniform(b []byte) bool {
	return bytes.Count(b, b[:1]) == len(b)
}

// Names returns the names under which a secret occurs in out, in any encoding, each once.
func (v *Vault) Names(out []byte) []string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var names []string
	v.patterns.each(string(out), func(_ int, p pattern) {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	})
	slices.Sort(names)
	return names
}

// Redact replaces every occurrence of a known secret, in any encoding, by its marker ‹redacted:NAME:hmac8›. Secrets
// that overlap, such as a token and a key in it, are replaced together by the marker of the longest.
func (v *Vault) Redact(s string) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var spans []span
	v.patterns.each(s, func(at int, p pattern) { spans = cover(spans, span{at, at + len(p.text), p}) })
	if len(spans) == 0 {
		return s
	}
	var out strings.Builder
	done := 0
	for _, sp := range spans {
		out.WriteString(s[done:sp.from])
		out.WriteString(sp.marker)
		done = sp.to
	}
	out.WriteString(s[done:])
	return out.String()
}

// span is a part of a text that gives a secret away, and the longest pattern in it.
type span struct {
	from, to int
	pattern
}

// cover adds a span that begins at or after the last of the spans; one that overlaps with it makes it longer.
func cover(spans []span, next span) []span {
	if len(spans) == 0 || next.from >= spans[len(spans)-1].to {
		return append(spans, next)
	}
	last := &spans[len(spans)-1]
	last.to = max(last.to, next.to)
	if len(next.text) > len(last.text) {
		last.pattern = next.pattern
	}
	return spans
}

// encodings returns the forms in which a secret may turn up.
func encodings(b []byte) []pattern {
	hexed := hex.EncodeToString(b)
	ps := []pattern{
		{text: string(b)},
		{text: hexed, fold: true},
		{text: spaced(hexed, " "), fold: true},
		{text: spaced(hexed, ":"), fold: true},
		{text: utf16le(hexed)},
		{text: utf16le(strings.ToUpper(hexed))},
		{text: url.QueryEscape(string(b))},
		{text: url.PathEscape(string(b))},
		{text: utf16le(string(b))},
	}
	if q, err := json.Marshal(string(b)); err == nil {
		ps = append(ps, pattern{text: string(q[1 : len(q)-1])})
	}
	if d := decimal(b); d != "" {
		ps = append(ps, pattern{text: d})
	}
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			core := aligned(enc, b, shift)
			ps = append(ps, pattern{text: core}, pattern{text: url.QueryEscape(core)}, pattern{text: utf16le(core)})
		}
	}
	return slices.DeleteFunc(ps, func(p pattern) bool { return len(p.text) < MinLen })
}

// aligned returns the base64 digits that depend on b alone when shift other bytes stand before it in the encoded
// stream and any bytes after it.
func aligned(enc *base64.Encoding, b []byte, shift int) string {
	text := enc.EncodeToString(append(make([]byte, shift), b...))
	first := []int{0, 2, 3}[shift] // digits that mix in the bytes before b
	last := (shift + len(b)) * 8 / 6
	return text[first:last]
}

func spaced(hexed, sep string) string {
	var pairs []string
	for i := 0; i < len(hexed); i += 2 {
		pairs = append(pairs, hexed[i:i+2])
	}
	return strings.Join(pairs, sep)
}

// decimal is how encoding/json and fmt print a byte slice as a list of numbers, without the brackets: "1,2,3".
func decimal(b []byte) string {
	q, err := json.Marshal(toInts(b))
	if err != nil {
		return ""
	}
	return string(q[1 : len(q)-1])
}

func toInts(b []byte) []int {
	ints := make([]int, len(b))
	for i, c := range b {
		ints[i] = int(c)
	}
	return ints
}

func utf16le(s string) string {
	units := utf16.Encode([]rune(s))
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}
