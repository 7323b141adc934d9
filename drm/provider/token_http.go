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

	"keyflow/drm"
)

// maxToken bounds the answer of a token service, in bytes.
const maxToken = 1 << 16

// maxTokenRedirects bounds the redirects of a token request.
const maxTokenRedirects = 3

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

// secret reports whether anything of the request but its URL's beginning is secret.
func (h *httpPlan) secret() bool {
	return slices.ContainsFunc(h.templates(), func(t *template) bool { return t.secret() })
}

// ask asks a token service, again after refusals that the profile calls passing.
func (b *bound) ask(ctx context.Context, t *tokenPlan, env map[string]any) (outputs, error) {
	for attempt := 1; ; attempt++ {
		if err := b.spend(t); err != nil {
			return nil, err
		}
		values, after, err := b.fetch(ctx, t, env)
		var refused *TokenError
		if err == nil || !errors.As(err, &refused) {
			return values, err
		}
		pause, again := b.retry.Pause(attempt, &refused.Matched, after)
		if !again {
			return nil, err
		}
		if drm.Sleep(ctx, pause) != nil {
			return nil, err
		}
	}
}

// fetch asks a token service once. The header is that of its answer, nil if none came.
func (b *bound) fetch(ctx context.Context, t *tokenPlan, env map[string]any) (outputs, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, b.env.Timeout)
	defer cancel()
	fail := func(status int, m Matched, err error) error {
		return &TokenError{Token: t.ID, Matched: m, Status: status, Err: err}
	}
	request, err := t.http.request(ctx, env)
	if err != nil {
		return nil, nil, fail(0, Matched{Class: ErrorRequestMalformed}, err)
	}
	response, err := b.follow(t, request)
	if err != nil {
		var refused *redirectError
		if errors.As(err, &refused) {
			return nil, nil, fail(refused.status, Matched{Class: ErrorUnclassified}, err)
		}
		return nil, nil, fail(0, Matched{Class: ErrorUnclassified}, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxToken+1))
	if err != nil {
		return nil, nil, fail(response.StatusCode, Matched{Class: ErrorUnclassified}, NewTransportError(err, true))
	}
	if len(body) > maxToken {
		return nil, nil, fail(response.StatusCode, Matched{Class: ErrorUnclassified}, tooLarge(maxToken, "more"))
	}
	values, m, err := t.http.read(&place{status: response.StatusCode, header: response.Header, body: body})
	if err != nil {
		// A service may echo what it was sent.
		m.Code, m.Message = b.env.Vault.Redact(m.Code), b.env.Vault.Redact(m.Message)
		return nil, response.Header, fail(response.StatusCode, m, err)
	}
	return values, response.Header, nil
}

// redirectError says that a redirect is not followed, and why.
type redirectError struct {
	status int
	why    string
}

func (e *redirectError) Error() string { return "redirects, and " + e.why }

// follow sends a token request and follows the redirects that its profile allows.
func (b *bound) follow(t *tokenPlan, request *http.Request) (*http.Response, error) {
	for hops := 0; ; hops++ {
		if !isSecure(request.URL) && !b.env.Insecure {
			return nil, errors.New("its URL is plain http to another machine")
		}
		response, err := t.client.Do(request)
		if err != nil {
			broken := NewTransportError(err, false)
			if shown := b.env.Vault.Redact(broken.Seen); shown != broken.Seen { // a service that speaks no HTTP may echo what it was sent
				broken.Seen, broken.Err = shown, errors.New(shown)
			}
			return nil, broken
		}
		location := response.Header.Get("Location")
		if t.HTTP.Redirects == "none" || !isRedirect(response.StatusCode) || location == "" {
			return response, nil
		}
		_ = response.Body.Close()
		to, err := request.URL.Parse(location)
		if err == nil {
			_, err = parseEndpoint(to.String())
		}
		switch other := err == nil && !sameOrigin(to, request.URL); {
		case err != nil:
			return nil, &redirectError{response.StatusCode, "its Location is no URL of http or https"}
		case hops >= maxTokenRedirects:
			return nil, &redirectError{response.StatusCode, fmt.Sprintf("has done so %d times already", hops)}
		case other && t.HTTP.Redirects == "same_origin":
			return nil, &redirectError{response.StatusCode, "leads to another host"}
		case other && t.http.secret():
			return nil, &redirectError{response.StatusCode, "the request's secrets must not go to another host"}
		}
		if request, err = redirected(request, to, response.StatusCode); err != nil {
			return nil, &redirectError{response.StatusCode, "its body cannot be sent again"}
		}
	}
}

// redirected returns the request that a redirect asks for: 307 and 308 keep method and body, all others make it a GET, as
// clients do (RFC 9110 §15.4).
func redirected(r *http.Request, to *url.URL, status int) (*http.Request, error) {
	next := r.Clone(r.Context())
	next.URL, next.Host = to, ""
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		next.Method, next.Body, next.ContentLength, next.GetBody = http.MethodGet, nil, 0, nil
		next.Header.Del("Content-Type")
		return next, nil
	}
	if r.GetBody == nil {
		return next, nil
	}
	var err error
	next.Body, err = r.GetBody()
	return next, err
}

// request builds the HTTP request of a token step. Its errors hold no values.
func (h *httpPlan) request(ctx context.Context, env map[string]any) (*http.Request, error) {
	address, drop, err := h.url.evalText(env)
	if err != nil || drop {
		return nil, errors.New("its URL is empty")
	}
	if address, _, err = encodeQuery(address, "", h.query, env, encodePercent); err != nil {
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
		text, _, err := h.json.render(rendering{env: env})
		return contentTypeJSON, string(text), err
	case h.raw != nil:
		text, _, err := h.raw.evalText(env)
		return DefaultContentType, text, err
	case h.form != nil:
		text, _, err := encodeQuery("?", "?", h.form, env, encodeForm)
		return contentTypeForm, strings.TrimPrefix(text, "?"), err
	}
	return "", "", nil
}

const (
	contentTypeJSON = "application/json"
	contentTypeForm = "application/x-www-form-urlencoded"
)

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
func (h *httpPlan) read(in *place) (outputs, Matched, error) {
	if !h.AcceptStatus.Has(in.status) || IsHTML(in.header, in.body) {
		m := classify(h.matchers, in)
		if m == nil {
			m = &Matched{Class: ErrorUnclassified}
			if IsHTML(in.header, in.body) {
				m.Class = ErrorEdgeHTML
			}
		}
		return nil, *m, errors.New("the token service refused")
	}
	values, err := takeOutputs(h.Outputs, h.outputs, in)
	if err != nil {
		m := classify(h.matchers, in) // a service may refuse with a good status
		if m == nil {
			m = &Matched{Class: ErrorUnclassified}
		}
		return nil, *m, err
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
	case "b64url":
		out, err := decodeLicense(decode, text)
		return string(out), err
	case "b64":
		out, err := lenientBase64(text)
		return string(out), err
	}
	return text, nil
}

// lenientBase64 decodes base64 of either alphabet, with padding or without.
func lenientBase64(text string) ([]byte, error) {
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if out, err := enc.DecodeString(text); err == nil {
			return out, nil
		}
	}
	return nil, errors.New("is not base64")
}
