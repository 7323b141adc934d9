package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"keyflow/drm/secret"
)

// maxToken bounds the answer of a token service, in bytes.
const maxToken = 1 << 16

// outputs are what a token step yielded, by name.
type outputs map[string]secret.Bytes

// TokenError says why a token step yielded nothing. Its text holds no secret.
type TokenError struct {
	Token string // its id
	Matched
	Status int   // of the token service's answer; 0: none arrived, or the source is not http
	Err    error // what is wrong beside the class; may be nil
}

func (e *TokenError) Error() string {
	text := fmt.Sprintf("token %s: %s", e.Token, &e.Matched)
	if e.Status != 0 {
		text += fmt.Sprintf(", HTTP %d", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *TokenError) Unwrap() error { return e.Err }

// httpPlan is a [TokenHTTP] with its templates compiled.
type httpPlan struct {
	*TokenHTTP
	url                  *template
	query, headers, form []param
	raw                  *template
	json                 *jsonTemplate
	outputs              map[string]*locator
	matchers             []matcher
}

func (h *httpPlan) templates() []*template {
	ts := []*template{h.url}
	for _, p := range slices.Concat(h.query, h.headers, h.form) {
		ts = append(ts, p.value)
	}
	if h.raw != nil {
		ts = append(ts, h.raw)
	}
	if h.json != nil {
		ts = append(ts, h.json.templates()...)
	}
	return ts
}

// tokenCache holds the tokens that are shared by the run or by the content.
type tokenCache struct {
	mu      sync.Mutex
	entries map[string]*cached
}

func newTokenCache() *tokenCache { return &tokenCache{entries: map[string]*cached{}} }

func (c *tokenCache) entry(key string) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		e = &cached{lock: make(chan struct{}, 1)}
		c.entries[key] = e
	}
	return e
}

// token returns the outputs of a step, shared ones if its scope allows, and when they expire (zero: never).
func (b *bound) token(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
	if t.Scope != "run" && t.Scope != "content" {
		return b.mint(ctx, t, have, in)
	}
	key := t.ID
	if t.Scope == "content" {
		key = fmt.Sprintf("%s\x00%s\x00%x\x00%v", t.ID, in.need.Asset, in.need.ContentID, in.kids)
	}
	e := b.cache.entry(key)
	if err := e.acquire(ctx); err != nil {
		return nil, time.Time{}, fmt.Errorf("token %s: wait for it: %w", t.ID, err)
	}
	defer func() { <-e.lock }()
	if e.values != nil && (e.expires.IsZero() || b.env.Clock.Now().Before(e.expires)) {
		return e.values, e.expires, nil
	}
	values, expires, err := b.mint(ctx, t, have, in)
	if err == nil {
		e.values, e.expires = values, expires
	}
	return values, expires, err
}

// mint takes a fresh token.
func (b *bound) mint(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
	if t.CostUnit != "" && !b.env.Budget.take() {
		return nil, time.Time{}, &BudgetError{Token: t.ID, Unit: t.CostUnit, Spent: b.env.Budget.Spent()}
	}
	now := b.env.Clock.Now()
	in.now = now
	env := b.exprEnv(have, in)
	var values outputs
	var err error
	if t.Source == "http" {
		values, err = b.fetch(ctx, t, env)
	} else {
		values, err = b.local(t, env)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, name := range keysSorted(values) {
		b.env.Vault.Add(t.ID+"."+name, values[name])
	}
	if t.TTL == 0 {
		return values, time.Time{}, nil
	}
	return values, now.Add(t.TTL), nil
}

// local evaluates the sources that need no network.
func (b *bound) local(t *tokenPlan, env map[string]any) (outputs, error) {
	fail := func(err error) (outputs, error) {
		return nil, &TokenError{Token: t.ID, Matched: Matched{Class: ErrorAuthMissing}, Err: err}
	}
	var value string
	var err error
	switch t.Source {
	case "static":
		value, _, err = t.value.evalText(env)
	case "env":
		if value = b.env.Getenv(t.Env); value == "" {
			err = fmt.Errorf("the environment variable %s is not set", t.Env)
		}
	case "file":
		value, err = readToken(t.File)
	}
	if err != nil {
		return fail(err)
	}
	if len(value) < secret.MinLen {
		return fail(fmt.Errorf("is shorter than %d bytes", secret.MinLen))
	}
	return outputs{"value": secret.New([]byte(value))}, nil
}

func readToken(f *TokenFile) (string, error) {
	raw, err := readBounded(f.Path, maxSecretFile)
	if err != nil {
		return "", fmt.Errorf("read its file: %w", err)
	}
	text := strings.TrimRight(string(raw), "\r\n")
	if f.Format == "b64" {
		return decodeOutput("b64", text)
	}
	return text, nil
}

// fetch asks a token service.
func (b *bound) fetch(ctx context.Context, t *tokenPlan, env map[string]any) (outputs, error) {
	ctx, cancel := context.WithTimeout(ctx, b.env.Timeout)
	defer cancel()
	fail := func(status int, m Matched, err error) error {
		return &TokenError{Token: t.ID, Matched: m, Status: status, Err: err}
	}
	request, err := t.http.request(ctx, env)
	if err == nil && !isSecure(request.URL) && !b.env.Insecure {
		err = errors.New("its URL is plain http to another machine")
	}
	if err != nil {
		return nil, fail(0, Matched{Class: ErrorRequestMalformed}, err)
	}
	response, err := b.client.Do(request)
	if err != nil {
		return nil, fail(0, Matched{Class: ErrorUnclassified}, NewTransportError(err, false))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxToken+1))
	if err != nil {
		return nil, fail(response.StatusCode, Matched{Class: ErrorUnclassified}, NewTransportError(err, true))
	}
	if len(body) > maxToken {
		return nil, fail(response.StatusCode, Matched{Class: ErrorUnclassified}, tooLarge(maxToken, "more"))
	}
	values, m, err := t.http.read(response.StatusCode, response.Header, body)
	if err != nil {
		m.Code = b.env.Vault.Redact(m.Code) // a service may echo what it was sent
		return nil, fail(response.StatusCode, m, err)
	}
	return values, nil
}

// request builds the HTTP request of a token step. Its errors hold no values.
func (h *httpPlan) request(ctx context.Context, env map[string]any) (*http.Request, error) {
	address, drop, err := h.url.evalText(env)
	if err != nil || drop {
		return nil, errors.New("its URL is empty")
	}
	if address, _, err = encodeQuery(address, "", h.query, env, true); err != nil {
		return nil, err
	}
	if _, err := parseEndpoint(address); err != nil {
		return nil, fmt.Errorf("its URL: %w", err)
	}
	contentType, body, err := h.body(env)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, h.Method, address, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("its URL is not a URL")
	}
	if h.ContentType != "" {
		contentType = h.ContentType
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r, setHeaders(r.Header, h.headers, env)
}

func (h *httpPlan) body(env map[string]any) (contentType, body string, err error) {
	switch {
	case h.json != nil:
		text, _, err := h.json.render(env)
		return "application/json", string(text), err
	case h.raw != nil:
		text, _, err := h.raw.evalText(env)
		return DefaultContentType, text, err
	case h.form != nil:
		text, _, err := encodeQuery("?", "?", h.form, env, false)
		return "application/x-www-form-urlencoded", strings.TrimPrefix(text, "?"), err
	}
	return "", "", nil
}

// setHeaders evaluates headers. A value with a line break is refused: it would forge another header.
func setHeaders(header http.Header, ps []param, env map[string]any) error {
	for _, p := range ps {
		value, drop, err := p.text(env)
		if err != nil {
			return err
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return fmt.Errorf("the value of header %s holds a line break", p.name)
		}
		if !drop {
			header[p.name] = append(header[p.name], value)
		}
	}
	return nil
}

// read takes the outputs out of a token service's answer. HTML is an answer only where a matcher knows it.
func (h *httpPlan) read(status int, header http.Header, body []byte) (outputs, Matched, error) {
	accepted := h.AcceptStatus.Has(status)
	if m := classify(h.matchers, status, header, body); !accepted || IsHTML(header, body) {
		if m == nil {
			m = &Matched{Class: ErrorUnclassified}
			if IsHTML(header, body) {
				m.Class = ErrorEdgeHTML
			}
		}
		return nil, *m, errors.New("the token service refused")
	}
	values := outputs{}
	for _, name := range keysSorted(h.Outputs) {
		o := h.Outputs[name]
		text, found := h.outputs[name].find(header, body)
		if found {
			var err error
			if text, err = decodeOutput(o.Decode, text); err != nil {
				return nil, Matched{Class: ErrorUnclassified}, fmt.Errorf("output %s: %w", name, err)
			}
		}
		if o.Required && text == "" {
			return nil, Matched{Class: ErrorUnclassified}, fmt.Errorf("output %s is not in the answer", name)
		}
		values[name] = secret.New([]byte(text))
	}
	return values, Matched{}, nil
}

// decodeOutput undoes an encoding; its errors hold nothing of the value.
func decodeOutput(decode, text string) (string, error) {
	switch decode {
	case "urlquery":
		out, err := url.QueryUnescape(text)
		if err != nil {
			return "", errors.New("is not percent-encoded as it should be")
		}
		return out, nil
	case "b64":
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if out, err := enc.DecodeString(text); err == nil {
				return string(out), nil
			}
		}
		return "", errors.New("is not base64")
	}
	return text, nil
}
