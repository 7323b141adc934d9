package loadtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/reports"
)

const sharedTokenProfile = `profile: 1
id: shared-token
drm: widevine
tokens:
  - id: t
    source: http
    scope: run
    ttl: TTL
    http: {method: GET, url: "TOKENS/", outputs: {value: {from: body}}}
request: {url: "URL", headers: {X-Token: "${token.t.value}"}}
errors:
  - {when: {status: [401]}, class: auth_expired}
`

// issuer is a token service, and a license service that refuses its tokens once they have expired.
type issuer struct {
	life     time.Duration
	issued   atomic.Int64
	expired  atomic.Int64 // requests that came with an expired token
	behave   func(w http.ResponseWriter, r *http.Request) bool
	tokens   *server
	licenses *server
}

func newIssuer(t *testing.T, life time.Duration, behave func(http.ResponseWriter, *http.Request) bool) *issuer {
	t.Helper()
	i := &issuer{life: life, behave: behave}
	i.tokens = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if i.behave != nil && !i.behave(w, r) {
			return
		}
		i.issued.Add(1)
		_, _ = fmt.Fprintf(w, "FAKE-token-%d", time.Now().UnixNano())
	})
	i.licenses = serve(t, func(w http.ResponseWriter, r *http.Request) {
		born, err := strconv.ParseInt(strings.TrimPrefix(r.Header.Get("X-Token"), "FAKE-token-"), 10, 64)
		if err != nil || time.Since(time.Unix(0, born)) > i.life {
			i.expired.Add(1)
			drain(r)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "the token has expired")
			return
		}
		answer(w, r)
	})
	return i
}

// config is a run whose requests carry the shared token.
func (i *issuer) config(t *testing.T, rate string, d time.Duration) loadtest.Config {
	t.Helper()
	text := strings.NewReplacer("TTL", i.life.String(), "TOKENS", i.tokens.URL, "URL", i.licenses.URL).Replace(sharedTokenProfile)
	p, err := provider.Parse("token.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := config(t, i.licenses.URL, rate, d)
	if p, err = p.Bind(provider.Environment{HTTP: i.tokens.Client(), Margin: c.Lead()}); err != nil {
		t.Fatal(err)
	}
	mint := c.Shares[0].Source
	c.Shares[0].Profile = p
	c.Shares[0].Source = func(ctx context.Context) (loadtest.Fresh, error) {
		fresh, err := mint(ctx)
		if err == nil {
			fresh.Lease, err = p.Lease(ctx, provider.Need{})
		}
		return fresh, err
	}
	return c
}

// TestRunRenewsSharedTokens runs three times as long as a token lives: no request may go with an expired one.
func TestRunRenewsSharedTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, 2*time.Second, nil)
	load, err := loadtest.Run(bounded(t), i.config(t, "100/s", 6*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	// A busy machine may take longer over a request than its token was to outlive it.
	expired := i.expired.Load()
	if a := load.Accounting; a.Verified != 600-expired || expired > 6 {
		t.Errorf("got %+v, %d requests with an expired token; want 600 verified", a, i.expired.Load())
	}
	got, issued := load.Tokens, i.issued.Load()
	if got == nil || got.Taken != issued || got.Renewed != issued-1 || issued < 4 || issued > 14 || len(got.Outages) != 0 {
		t.Errorf("got %+v, %d tokens were issued", got, issued)
	}
}

// fails lets the token service fail from one time to another, counted from the first token.
func fails(from, until time.Duration, how http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	var began atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		began.CompareAndSwap(0, time.Now().UnixNano())
		if at := time.Since(time.Unix(0, began.Load())); at >= from && at < until {
			how(w, r)
			return false
		}
		return true
	}
}

// checkOutage fails the test unless what was not sent was not sent for want of a token, and the outage is told as one.
func checkOutage(t *testing.T, load *reports.Load, class string, planned int64, i *issuer) {
	t.Helper()
	checkBalance(t, load)
	a := load.Accounting
	missed := a.NotSent[loadtest.NotSentToken]
	// A busy machine may take longer over a request than its token was to outlive it.
	expired := i.expired.Load()
	if missed == 0 || a.Sent != planned-missed || a.Verified != a.Sent-expired || i.licenses.seen.Load() != a.Sent || expired > a.Sent/20 {
		t.Errorf("got %+v, the server counted %d, %d with an expired token", a, i.licenses.seen.Load(), i.expired.Load())
	}
	if load.Tokens == nil || load.Tokens.Failed == 0 || len(load.Tokens.Outages) == 0 || load.Tokens.Outages[0].Class != class {
		t.Fatalf("got tokens %+v, want an outage of class %s", load.Tokens, class)
	}
	if o := load.Tokens.Outages[0]; o.MS < 300 || o.AtMS == 0 {
		t.Errorf("got outage %+v", o)
	}
	if load.Rate.Percent > 99 {
		t.Errorf("%.1f %% of the rate: the outage is left out", load.Rate.Percent)
	}
}

// TestRunOutlivesATokenService that is down for longer than its tokens live, in three ways.
func TestRunOutlivesATokenService(t *testing.T) {
	t.Parallel()
	for class, how := range map[string]http.HandlerFunc{
		"http-503":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"connection-closed": raw("", false),
		"timeout":           func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, time.Second, fails(time.Second, 4*time.Second, how))
			load, err := loadtest.Run(bounded(t), i.config(t, "50/s", 7*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			checkOutage(t, load, class, 350, i)
			if last := load.Seconds[len(load.Seconds)-1]; last.Answered == 0 {
				t.Errorf("got %+v: nothing was sent when the token service was back", last)
			}
		})
	}
}

// TestRunLosesPatience with a token service that does not come back.
func TestRunLosesPatience(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, time.Second, fails(500*time.Millisecond, time.Hour, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	c := i.config(t, "50/s", 20*time.Second)
	c.TokenPatience = time.Second
	load, err := loadtest.Run(bounded(t), c)
	var stopped *loadtest.StopError
	if !errors.As(err, &stopped) || stopped.Reason != loadtest.NotSentToken {
		t.Fatalf("got %v, want a *StopError", err)
	}
	checkOutage(t, load, "http-502", 1000, i)
	if a := load.Accounting; a.Sent > 200 {
		t.Errorf("%d requests were sent", a.Sent)
	}
}

// TestRunWithoutAToken has a token service that gives none from the beginning: that is an error, not an outage.
func TestRunWithoutAToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusServiceUnavailable} {
		i := newIssuer(t, time.Second, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return false
		})
		load, err := loadtest.Run(bounded(t), i.config(t, "50/s", time.Second))
		var typed *loadtest.MintError
		if !errors.As(err, &typed) {
			t.Fatalf("got %v, want a *MintError", err)
		}
		checkBalance(t, load)
		if a := load.Accounting; a.NotSent[loadtest.NotSentMint] != 50 {
			t.Errorf("got %+v", a)
		}
	}
}

// TestClassOfExpiredTokens has a license server that takes tokens for expired: a class of its own, as the profile says.
func TestClassOfExpiredTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, time.Second, nil)
	i.life = time.Hour
	c := i.config(t, "100/s", 100*time.Millisecond)
	i.life = 0
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkClass(t, load, "auth-expired")
	if seen := load.Samples[0].Seen; !strings.Contains(seen, "HTTP 401") {
		t.Errorf("seen is %q", seen)
	}
}
