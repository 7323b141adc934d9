package loadtest_test

import (
	"runtime"
	"testing"
	"time"

	"keyflow/loadtest"
)

// TestMemoryDoesNotGrow compares the live heap early in a run with that after ten times as many requests, both times with as many
// requests minted ahead.
func TestMemoryDoesNotGrow(t *testing.T) {
	const early, late, total, tolerance = 5_000, 50_000, 60_000, 0.1
	s := serve(t, answer)
	c := config(t, s.URL, "10000/s", 6*time.Second)
	c.Workers, c.Verify = 16, loadtest.VerifyNone
	var heaps []uint64
	marks := []int64{early, late}
	c.Progress = func(p loadtest.Progress) {
		if len(heaps) < len(marks) && p.Answered >= marks[len(heaps)] {
			heaps = append(heaps, liveHeap())
		}
	}
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	if load.Accounting.Unverified != total || len(heaps) != len(marks) {
		t.Fatalf("%+v, %d of %d marks were seen", load.Accounting, len(heaps), len(marks))
	}
	t.Logf("%d KB after %d requests, %d KB after %d", heaps[0]>>10, marks[0], heaps[1]>>10, marks[1])
	if float64(heaps[1]) > float64(heaps[0])*(1+tolerance) {
		t.Errorf("the live heap grew from %d to %d bytes", heaps[0], heaps[1])
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
