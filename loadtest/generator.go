package loadtest

import (
	"runtime/metrics"
)

// The runtime's own figures of the generator process.
const (
	metricPauses = "/sched/pauses/total/gc:seconds"
	metricHeap   = "/memory/classes/heap/objects:bytes"
)

// meter measures what a run cost the process that generates it. Fakes in the same process are part of it.
type meter struct {
	cpu     float64
	pauses  int
	maxHeap uint64
}

func startMeter() *meter { return &meter{cpu: cpuSeconds(), pauses: gcPauses()} }

// sample notes the size of the live heap; it is called a few times per second from one goroutine.
func (m *meter) sample() {
	s := []metrics.Sample{{Name: metricHeap}}
	metrics.Read(s)
	if s[0].Value.Kind() == metrics.KindUint64 {
		m.maxHeap = max(m.maxHeap, s[0].Value.Uint64())
	}
}

// used returns CPU seconds, user and system, and the number of garbage collector pauses since the start.
func (m *meter) used() (cpu float64, pauses int) { return cpuSeconds() - m.cpu, gcPauses() - m.pauses }

func gcPauses() int {
	s := []metrics.Sample{{Name: metricPauses}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	var n uint64
	for _, c := range s[0].Value.Float64Histogram().Counts {
		n += c
	}
	return int(n)
}
