package suites_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/suites"
)

// TestPolite sends more at once than is allowed and looks at what arrives when.
func TestPolite(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var arrived []time.Time
	var flying, most atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), flying.Add(1)))
		defer flying.Add(-1)
		mu.Lock()
		defer mu.Unlock()
		arrived = append(arrived, time.Now())
	}))
	t.Cleanup(server.Close)
	limits := provider.Limits{MaxRPS: 50, MaxInFlight: 1, MaxRequests: 4}
	client := suites.Polite(suites.NewClient(suites.RequestTimeout), limits)
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			r, err := client.Get(server.URL)
			var limit *provider.LimitError
			switch {
			case err == nil:
				_ = r.Body.Close()
			case errors.As(err, &limit) && limit.Max == 4:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(arrived) != 4 || refused.Load() != 2 || most.Load() != 1 {
		t.Fatalf("%d requests arrived, %d were refused, %d at once; want 4, 2, 1", len(arrived), refused.Load(), most.Load())
	}
	if took := arrived[3].Sub(arrived[0]); took < 40*time.Millisecond { // three intervals of 20 ms, less what the first was late
		t.Errorf("4 requests within %v at 50/s", took)
	}
}

func TestPoliteObeysItsContext(t *testing.T) {
	t.Parallel()
	client := suites.Polite(suites.NewClient(50*time.Millisecond), provider.Limits{MaxRPS: 1})
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	for i := range 2 {
		r, err := client.Get(server.URL)
		if err == nil {
			_ = r.Body.Close()
		}
		if (err != nil) != (i == 1) {
			t.Errorf("request %d: %v; the second one has to wait longer than its timeout", i, err)
		}
	}
	if plain := suites.NewClient(time.Second); suites.Polite(plain, provider.Limits{ProdAck: true}) != plain {
		t.Error("a profile without limits got another client")
	}
}
