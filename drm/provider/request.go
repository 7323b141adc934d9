package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// Request is one HTTP request, ready to send. URL and Header may hold secrets: it prints as [Request.ShownURL].
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte

	shown         string // the URL with templates for secrets
	secretHeaders []string
	secretBody    bool // beside what a key request has: another host must not get it
	err           error
}

// At returns the request for another URL of the same service, one that it has named itself.
func (r *Request) At(address string) *Request {
	moved := *r
	shown, _, _ := strings.Cut(address, "?") // the service may have put a token behind it
	moved.URL, moved.shown = address, shown
	return &moved
}

// EscapeQuery percent-encodes every character of the values of these query parameters, which changes nothing for who decodes
// them once (RFC 3986 §2.1), and returns which characters they hold beside letters and digits. Only checks ask for that.
func (r *Request) EscapeQuery(names []string) (special string) {
	base, query, _ := strings.Cut(r.URL, "?")
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err != nil || !slices.Contains(names, name) {
			continue
		}
		var b strings.Builder
		for _, c := range []byte(plain) {
			fmt.Fprintf(&b, "%%%02X", c)
			if !strings.ContainsRune(base64URL, rune(c)) {
				special += string(rune(c))
			}
		}
		pairs[i] = name + "=" + b.String()
	}
	r.URL = base + "?" + strings.Join(pairs, "&")
	return special
}

// HTTP returns the request as net/http sends it.
func (r *Request) HTTP(ctx context.Context) (*http.Request, error) {
	if r.err != nil {
		return nil, fmt.Errorf("build request to %s: %w", r.ShownURL(), r.err)
	}
	q, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil { // its text holds the URL
		return nil, fmt.Errorf("build request to %s: %w", r.ShownURL(), errors.New("method or URL is not valid"))
	}
	q.Header = r.Header.Clone()
	return q, nil
}

// ShownURL returns the URL as it may be shown: a part that is secret is replaced by its template.
func (r *Request) ShownURL() string {
	if r.shown == "" {
		return r.URL
	}
	return r.shown
}

// ShownHeader returns a copy of the header as it may be shown: secret values are placeholders.
func (r *Request) ShownHeader() http.Header {
	shown := r.Header.Clone()
	for _, name := range r.secretHeaders {
		shown[name] = slices.Repeat([]string{secret.Placeholder}, len(shown[name]))
	}
	return shown
}

// String returns method, URL and header as they may be shown, and the body's length.
func (r Request) String() string {
	return fmt.Sprintf("%s %s %v %d bytes", r.Method, r.ShownURL(), r.ShownHeader(), len(r.Body))
}

// Format writes [Request.String] whatever the verb.
func (r Request) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// MarshalText returns [Request.String]; encoding/json uses it.
func (r Request) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// GomegaString returns [Request.String]; Gomega prints failed assertions with it.
func (r Request) GomegaString() string { return r.String() }
