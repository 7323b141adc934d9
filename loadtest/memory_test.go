package loadtest_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"keyflow/loadtest"
)

// TestMemoryDoesNotGrow compares the least live heap early in a run with that after ten times as many requests.
func TestMemoryDoesNotGrow(t *testing.T) {
	const early, late, total, tolerance = 2_000, 20_000, 24_000, 0.1
	s := serve(t, answer)
	c := config(t, s.URL, "2000/s", 12*time.Second)
	c.Workers, c.MintAhead, c.Verify = 16, 64, loadtest.VerifyNone // few in memory, so that what grows shows
	least := map[int64]uint64{}                                    // of the heaps seen from each mark on, for a while
	c.Progress = func(p loadtest.Progress) {
		for _, mark := range []int64{early, late} {
			if p.Answered >= mark && p.Answered < mark+early {
				heap := liveHeap()
				if seen, ok := least[mark]; !ok || heap < seen {
					least[mark] = heap
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if load.Accounting.Unverified != total || len(least) != 2 {
		t.Fatalf("%+v, heaps %v", load.Accounting, least)
	}
	t.Logf("%d KB after %d requests, %d KB after %d", least[early]>>10, early, least[late]>>10, late)
	if float64(least[late]) > float64(least[early])*(1+tolerance) {
		t.Errorf("the live heap grew from %d to %d bytes", least[early], least[late])
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
