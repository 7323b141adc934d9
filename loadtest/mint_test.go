package loadtest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm/provider"
)

// TestSlowMintIsNotOvertaken: while the first flight is slow to mint, those behind it are taken, and none of the next round gets
// into its place.
func TestSlowMintIsNotOvertaken(t *testing.T) {
	t.Parallel()
	p, err := provider.Parse("p.yaml", []byte("profile: 1\nid: a\ndrm: widevine\nrequest: {url: \"http://127.0.0.1:1/\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	const ring, total = 4, 40
	slow := make(chan struct{})
	var calls atomic.Int64
	source := func(ctx context.Context) (Fresh, error) {
		if calls.Add(1) == 1 {
			select {
			case <-slow:
			case <-ctx.Done():
			}
		}
		return Fresh{}, ctx.Err()
	}
	rate, err := ParseRate("10/s")
	if err != nil {
		t.Fatal(err)
	}
	c, mix, err := Config{
		Plan: Plan{Rate: rate, Duration: 4 * time.Second}, Shares: []Share{{Profile: p, Weight: 1, Source: source}}, MintAhead: ring, Verify: VerifyNone,
	}.prepare()
	if err != nil {
		t.Fatal(err)
	}
	h := newHalt(t.Context(), time.Second)
	defer h.release()
	m := newMinter(c, mix, total, h)
	m.start(1) // which gets the first flight
	for calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	m.start(2)
	first := make(chan int64)
	seen := make(chan int64, total)
	go func() { first <- m.take().seq }()
	for m.taken.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range ring + 2 {
		go func() { seen <- m.take().seq }()
	}
	for range ring - 1 {
		<-seen // what is in the ring beside the slow one
	}
	select {
	case n := <-first:
		t.Fatalf("flight %d was taken in place of the slow first one", n)
	case <-time.After(50 * time.Millisecond):
	}
	close(slow)
	if n := <-first; n != 0 {
		t.Errorf("flight %d was taken first, want 0", n)
	}
	got := map[int64]bool{}
	for range 3 {
		got[<-seen] = true
	}
	for n := int64(ring); n < ring+3; n++ {
		if !got[n] {
			t.Errorf("flight %d was not taken; %v were", n, got)
		}
	}
}
