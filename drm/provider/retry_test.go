package provider_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
)

// TestTokenRetries asks again after refusals that pass, as often as the profile says.
func TestTokenRetries(t *testing.T) {
	t.Parallel()
	const errorsOf = "errors: [{when: {status: [503]}, class: server_transient, retry: backoff}, {when: {status: [429]}, class: rate_limited, retry: backoff}, {when: {status: [500]}, class: server_transient, retry: never}, {when: {status: [401]}, class: auth_invalid, retry: once_new_token}]"
	for name, c := range map[string]struct {
		status []int
		retry  string
		budget int
		want   string // "": a token
		asked  int
	}{
		"at once":           {[]int{200}, "", 9, "", 1},
		"once":              {[]int{503, 200}, "", 9, "", 2},
		"as often as max":   {[]int{503, 429, 503, 200}, "", 9, "", 4},
		"no more than max":  {[]int{503, 503, 503, 503, 200}, "", 9, "HTTP 503", 4},
		"no retries":        {[]int{503, 200}, "retry: {max: 0}", 9, "HTTP 503", 1},
		"another class":     {[]int{503, 200}, "retry: {max: 3, classes: [rate_limited], backoff: 1ms}", 9, "HTTP 503", 1},
		"a class":           {[]int{429, 200}, "retry: {max: 3, classes: [rate_limited], backoff: 1ms}", 9, "", 2},
		"never":             {[]int{500, 200}, "", 9, "HTTP 500", 1},
		"only a new token":  {[]int{401, 200}, "", 9, "HTTP 401", 1},
		"unclassified":      {[]int{404, 200}, "", 9, "HTTP 404", 1},
		"budget is spent":   {[]int{503, 503, 200}, "", 2, "the budget has none left (spent: 2)", 2},
		"budget just right": {[]int{503, 503, 200}, "", 3, "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			h := newHosts(t, map[string]http.HandlerFunc{"token.example": func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status[n.Add(1)-1])
				fmt.Fprint(w, "FAKE-token")
			}})
			retry := c.retry
			if retry == "" {
				retry = "retry: {max: 3, backoff: 1ms..2ms}"
			}
			budget := provider.NewBudget(c.budget)
			p, err := parsed(t, head+"tokens:\n  - {id: t, source: http, cost_unit: coin, http: {method: POST, url: 'https://token.example/', json: {}, outputs: {value: {}}, "+errorsOf+"}}\n"+
				"request: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\n"+retry+"\n").Bind(provider.Environment{HTTP: h.client(), Budget: budget})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Lease(t.Context(), testNeed())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if int(n.Load()) != c.asked || budget.Spent() != c.asked {
				t.Errorf("%d requests, %d spent, want %d", n.Load(), budget.Spent(), c.asked)
			}
		})
	}
}

// TestRetryStops: a pause ends with the run, and tells the refusal that it was made for.
func TestRetryStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	h := newHosts(t, map[string]http.HandlerFunc{"token.example": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		time.AfterFunc(20*time.Millisecond, cancel)
	}})
	p, err := parsed(t, head+"tokens:\n  - {id: t, source: http, http: {method: GET, url: 'https://token.example/', outputs: {value: {}}, errors: [{class: server_transient, retry: backoff}]}}\n"+
		"request: {url: 'https://license.example/', headers: {A: '${token.t.value}'}}\nretry: {max: 3, backoff: 1m..1m}\n").Bind(provider.Environment{HTTP: h.client()})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = p.Lease(ctx, testNeed())
	var refused *provider.TokenError
	if !errors.As(err, &refused) || refused.Status != 503 || time.Since(begin) > 30*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestPause: the pauses double up to the longest; Retry-After makes them longer, up to a minute, where the profile honours it.
func TestPause(t *testing.T) {
	t.Parallel()
	again := &provider.Matched{Class: provider.ErrorServerTransient, Retry: "backoff"}
	const ms = time.Millisecond
	for _, c := range []struct {
		retry   string
		attempt int
		m       *provider.Matched
		after   string
		want    time.Duration
		again   bool
	}{
		{"max: 5, backoff: 200ms..1s", 1, again, "", 200 * ms, true},
		{"max: 5, backoff: 200ms..1s", 2, again, "", 400 * ms, true},
		{"max: 5, backoff: 200ms..1s", 3, again, "", 800 * ms, true},
		{"max: 5, backoff: 200ms..1s", 4, again, "", 1000 * ms, true},
		{"max: 5, backoff: 200ms..1s", 5, again, "", 1000 * ms, true},
		{"max: 5, backoff: 200ms..1s", 6, again, "", 0, false},
		{"max: 5, backoff: 3s", 2, again, "", 3000 * ms, true},
		{"max: 10", 10, again, "", 5000 * ms, true},
		{"max: 5", 1, again, "7", 200 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "7", 7000 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "0", 200 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "86400", time.Minute, true},
		{"max: 5, honour_retry_after: true", 1, again, "-5", 200 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "soon", 200 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "Tue, 14 Nov 2023 22:13:29 GMT", 9000 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "Wed, 15 Nov 2023 22:13:29 GMT", time.Minute, true},
		{"max: 5, honour_retry_after: true", 1, again, "Tue, 14 Nov 2023 22:13:19 GMT", 200 * ms, true},
		{"max: 5", 1, again, "Tue, 14 Nov 2023 22:13:29 GMT", 200 * ms, true},
		{"max: 5, honour_retry_after: true", 1, again, "99999999999999999999", 200 * ms, true},
		{"max: 5, classes: [server_transient]", 1, again, "", 200 * ms, true},
		{"max: 5, classes: [rate_limited]", 1, again, "", 0, false},
		{"max: 5", 1, nil, "", 0, false},
		{"max: 5", 1, &provider.Matched{Class: provider.ErrorServerTransient}, "", 0, false},
		{"max: 5", 1, &provider.Matched{Class: provider.ErrorAuthInvalid, Retry: "once_new_token"}, "", 0, false},
	} {
		p := parsed(t, head+"request: {url: 'https://license.example/'}\nretry: {"+c.retry+"}\n")
		got, ok := p.Retry.Pause(c.attempt, c.m, http.Header{"Retry-After": {c.after}, "Date": {"Tue, 14 Nov 2023 22:13:20 GMT"}})
		if got != c.want || ok != c.again {
			t.Errorf("%s, attempt %d, Retry-After %q: %v %v, want %v %v", c.retry, c.attempt, c.after, got, ok, c.want, c.again)
		}
	}
	if _, ok := parsed(t, head+"request: {url: 'https://license.example/'}\n").Retry.Pause(1, again, nil); ok {
		t.Error("a profile that says nothing retries")
	}
}

// TestNewToken: a refusal for the token is worth another one only where the profile retries its class by name.
func TestNewToken(t *testing.T) {
	t.Parallel()
	refused := &provider.Matched{Class: provider.ErrorAuthInvalid, Retry: "once_new_token"}
	for retry, want := range map[string]bool{
		"max: 1, classes: [auth_invalid]": true, "max: 1": false, "max: 1, classes: [auth_expired]": false, "classes: [auth_invalid]": false,
	} {
		p := parsed(t, head+"request: {url: 'https://license.example/'}\nretry: {"+retry+"}\n")
		if got := p.Retry.NewToken(refused); got != want {
			t.Errorf("%s: %v, want %v", retry, got, want)
		}
		if p.Retry.NewToken(nil) || p.Retry.NewToken(&provider.Matched{Class: provider.ErrorAuthInvalid, Retry: "backoff"}) {
			t.Errorf("%s: another refusal takes a new token", retry)
		}
	}
}
