package provider

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

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

// cached is a token's outputs while they may be shared.
type cached struct {
	lock chan struct{} // holds one item while a token is minted

	mu      sync.Mutex
	values  outputs
	expires time.Time
	// What is left of its life when the token is replaced: from early on by one caller, while the others still share it; from
	// late on nobody shares it whom it can be replaced for; from end on nobody does.
	early, late, end time.Duration
	retry            time.Time // when it is tried again after it could not be replaced
}

// freshness says what is to be done with a shared token.
type freshness int

const (
	none  freshness = iota // there is none, or nobody may use it
	late                   // it is better replaced first
	early                  // one may replace it
	fresh
)

func (c *cached) state(now time.Time) freshness {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.expires.Sub(now)
	switch {
	case c.values == nil:
		return none
	case c.expires.IsZero():
		return fresh
	case left <= c.end:
		return none
	case now.Before(c.retry) || left > c.early:
		return fresh
	case left <= c.late:
		return late
	}
	return early
}

func (c *cached) get() (outputs, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values, c.expires
}

// put takes a new token, and reports whether it replaces another. It is to outlive margin, as far as half of its life allows; when
// it is replaced ahead of that is drawn, so that generators that started together do not all come back at once.
func (c *cached) put(values outputs, expires, now time.Time, t *tokenPlan, margin time.Duration) (replaced bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	replaced = c.values != nil
	c.values, c.expires, c.retry = values, expires, time.Time{}
	life := expires.Sub(now)
	c.end = t.RefreshBefore
	c.late = max(c.end, min(margin, life/2))
	c.early = c.late
	if margin > 0 {
		c.early += time.Duration(float64(life-c.late) * (0.1 + 0.2*rand.Float64())) //nolint:gosec // a jitter, no secret
	}
	return replaced
}

// retryTokens is how long a token that could not be replaced is shared before that is tried again.
const retryTokens = time.Second

func (c *cached) failed(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retry = now.Add(retryTokens)
}

func (c *cached) acquire(ctx context.Context) error {
	select {
	case c.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// claim reports whether the caller is the one to replace the token.
func (c *cached) claim() bool {
	select {
	case c.lock <- struct{}{}:
		return true
	default:
		return false
	}
}

// shared reports whether leases have the token's outputs in common.
func (t *tokenPlan) shared() bool { return t.Scope == "run" || t.Scope == "content" }

// token returns the outputs of a step, shared ones if its scope allows, and when they expire (zero: never). Of several callers
// that need a new one together, one asks for it. A token service that fails is no error as long as the old token can be used.
func (b *bound) token(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
	if !t.shared() || in.forge != nil && t.forged {
		return b.mint(ctx, t, have, in)
	}
	key := t.ID
	if t.Scope == "content" {
		key = fmt.Sprintf("%s\x00%s\x00%x\x00%v", t.ID, in.need.Asset, in.need.ContentID, in.kids)
	}
	e := b.cache.entry(key)
	switch e.state(b.env.Clock.Now()) {
	case fresh:
		values, expires := e.get()
		return values, expires, nil
	case early:
		if !e.claim() {
			values, expires := e.get()
			return values, expires, nil
		}
	default:
		if err := e.acquire(ctx); err != nil {
			return nil, time.Time{}, fmt.Errorf("token %s: wait for it: %w", t.ID, err)
		}
	}
	defer func() { <-e.lock }()
	before := e.state(b.env.Clock.Now())
	if before == fresh { // somebody was faster
		values, expires := e.get()
		return values, expires, nil
	}
	values, expires, err := b.mint(ctx, t, have, in)
	now := b.env.Clock.Now()
	switch {
	case err == nil:
		if e.put(values, expires, now, t, b.env.Margin) {
			b.counts.renewed.Add(1)
		}
	case before != none && e.state(now) != none:
		e.failed(now)
		values, expires = e.get()
		return values, expires, nil
	}
	return values, expires, err
}

// TokenCounts tells what became of a bound profile's tokens.
type TokenCounts struct {
	Taken   int64 // from token services and commands
	Renewed int64 // shared ones that were replaced, of whatever source
	Failed  int64 // requests to token services and runs of commands that yielded none
}

// tokenCounts are the counters behind a [TokenCounts].
type tokenCounts struct{ taken, renewed, failed atomic.Int64 }

func (c *tokenCounts) count(t *tokenPlan, err error) {
	switch {
	case t.Source != "http" && t.Source != "command":
	case err == nil:
		c.taken.Add(1)
	case !errors.Is(err, context.Canceled):
		c.failed.Add(1)
	}
}

// TokenCounts returns what became of the profile's tokens since it was bound.
func (p *Profile) TokenCounts() TokenCounts {
	if p.bound == nil {
		return TokenCounts{}
	}
	c := &p.bound.counts
	return TokenCounts{c.taken.Load(), c.renewed.Load(), c.failed.Load()}
}

// Passing reports whether the token service may yield a token to who asks again later: it could not be reached, was asked too much,
// or had a fault of its own, unless the profile says that this never passes.
func (e *TokenError) Passing() bool {
	var transport *TransportError
	switch {
	case e.Retry == "never":
		return false
	case e.Retry == "backoff", e.Status == http.StatusTooManyRequests, e.Status >= http.StatusInternalServerError:
		return true
	}
	return e.Status == 0 && errors.As(e.Err, &transport) && transport.Reason != ReasonTooLarge
}
