package loadtest

import (
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"keyflow/reports"
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
	paused  time.Duration
	maxHeap atomic.Uint64
}

func startMeter() *meter { return &meter{cpu: cpuSeconds(), pauses: gcPauses(), paused: gcPaused()} }

// sample notes the size of the live heap; it is called a few times per second from one goroutine.
func (m *meter) sample() { m.maxHeap.Store(max(m.maxHeap.Load(), heapBytes())) }

// used enters what was used since the start: CPU seconds, user and system, and the pauses of the garbage collector.
func (m *meter) used(g *reports.Generator) {
	g.CPUSeconds, g.GCPauses, g.GCPauseMicros = cpuSeconds()-m.cpu, gcPauses()-m.pauses, (gcPaused() - m.paused).Microseconds()
	g.MaxHeapBytes = m.maxHeap.Load()
}

func heapBytes() uint64 {
	s := []metrics.Sample{{Name: metricHeap}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

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

// gcPaused returns for how long the garbage collector has stopped the process since it began.
func gcPaused() time.Duration {
	var s debug.GCStats
	debug.ReadGCStats(&s)
	return s.PauseTotal
}
