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
	mu      sync.RWMutex
	key     []byte // per-run key of the redaction markers
	entries []entry
	seen    map[[sha256.Size]byte]bool
}

type entry struct {
	marker   string
	patterns []pattern
}

// pattern is one encoding of a secret. fold marks encodings whose letter case carries no information (hexadecimal).
type pattern struct {
	text []byte
	fold bool
}

// NewVault returns an empty vault with a fresh marker key.
func NewVault() *Vault {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // crypto/rand never fails since Go 1.24; it ends the program instead
	return &Vault{key: key, seen: map[[sha256.Size]byte]bool{}}
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
	v.entries = append(v.entries, entry{
		marker:   "‹redacted:" + name + ":" + hex.EncodeToString(mac.Sum(nil)[:4]) + "›",
		patterns: encodings(b),
	})
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
	lower := bytes.ToLower(out)
	for _, e := range v.entries {
		if e.in(out, lower) {
			names = append(names, strings.Split(e.marker, ":")[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (e entry) in(out, lower []byte) bool {
	for _, p := range e.patterns {
		if p.fold && bytes.Contains(lower, p.text) || !p.fold && bytes.Contains(out, p.text) {
			return true
		}
	}
	return false
}

// Redact replaces every occurrence of a known secret, in any encoding, by its marker ‹redacted:NAME:hmac8›.
func (v *Vault) Redact(s string) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, e := range v.entries {
		for _, p := range e.patterns {
			s = replace(s, p, e.marker)
		}
	}
	return s
}

func replace(s string, p pattern, marker string) string {
	text := string(p.text)
	if !p.fold {
		return strings.ReplaceAll(s, text, marker)
	}
	// ASCII folding keeps byte offsets; strings.ToLower would not for every string.
	lower := asciiLower(s)
	var out strings.Builder
	for {
		i := strings.Index(lower, text)
		if i < 0 {
			break
		}
		out.WriteString(s[:i])
		out.WriteString(marker)
		s, lower = s[i+len(text):], lower[i+len(text):]
	}
	if out.Len() == 0 {
		return s
	}
	out.WriteString(s)
	return out.String()
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// encodings returns the forms in which a secret may turn up, longest first so that a longer form is replaced whole.
func encodings(b []byte) []pattern {
	hexed := hex.EncodeToString(b)
	ps := []pattern{
		{text: b},
		{text: []byte(hexed), fold: true},
		{text: []byte(spaced(hexed, " ")), fold: true},
		{text: []byte(spaced(hexed, ":")), fold: true},
		{text: utf16le(hexed)},
		{text: utf16le(strings.ToUpper(hexed))},
		{text: []byte(url.QueryEscape(string(b)))},
		{text: []byte(url.PathEscape(string(b)))},
		{text: utf16le(string(b))},
	}
	if q, err := json.Marshal(string(b)); err == nil {
		ps = append(ps, pattern{text: q[1 : len(q)-1]})
	}
	if d := decimal(b); d != nil {
		ps = append(ps, pattern{text: d})
	}
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			core := aligned(enc, b, shift)
			ps = append(ps, pattern{text: []byte(core)}, pattern{text: []byte(url.QueryEscape(core))}, pattern{text: utf16le(core)})
		}
	}
	slices.SortStableFunc(ps, func(a, b pattern) int { return len(b.text) - len(a.text) })
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
func decimal(b []byte) []byte {
	q, err := json.Marshal(toInts(b))
	if err != nil {
		return nil
	}
	return q[1 : len(q)-1]
}

func toInts(b []byte) []int {
	ints := make([]int, len(b))
	for i, c := range b {
		ints[i] = int(c)
	}
	return ints
}

func utf16le(s string) []byte {
	units := utf16.Encode([]rune(s))
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}
