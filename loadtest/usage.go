package loadtest

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keyflow/reports"
)

// traffic counts the connections of a run and the bytes on them. It may be used by several goroutines.
type traffic struct {
	opened, open, most atomic.Int64
	sent, received     atomic.Int64
}

// watch counts a connection that was opened, until it is closed.
func (t *traffic) watch(c net.Conn) net.Conn {
	if t == nil {
		return c
	}
	t.opened.Add(1)
	open := t.open.Add(1)
	for most := t.most.Load(); open > most && !t.most.CompareAndSwap(most, open); {
		most = t.most.Load()
	}
	return &meteredConn{Conn: c, traffic: t}
}

func (t *traffic) report() reports.Traffic {
	return reports.Traffic{
		WireSent: t.sent.Load(), WireReceived: t.received.Load(), Connections: t.opened.Load(), ConnectionsOpen: t.most.Load(),
	}
}

// meteredConn counts the bytes of a connection, below TLS.
type meteredConn struct {
	net.Conn
	traffic *traffic
	once    sync.Once
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.traffic.received.Add(int64(n))
	return n, err
}

func (c *meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.traffic.sent.Add(int64(n))
	return n, err
}

func (c *meteredConn) Close() error {
	c.once.Do(func() { c.traffic.open.Add(-1) })
	return c.Conn.Close()
}

// readCounter counts what was read of a body.
type readCounter struct {
	io.ReadCloser
	n int64
}

func (c *readCounter) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.n += int64(n)
	return n, err
}

// gauge tells what the process used since it was asked last.
type gauge struct {
	traffic *traffic

	cpu                    float64
	pauses                 int
	paused                 time.Duration
	opened, sent, received int64
}

func newGauge(t *traffic) *gauge {
	g := &gauge{traffic: t}
	g.take(0)
	return g
}

// take returns the usage of the second that has just ended.
func (g *gauge) take(second int) *reports.Usage {
	before := *g
	g.cpu, g.pauses, g.paused = cpuSeconds(), gcPauses(), gcPaused()
	g.opened, g.sent, g.received = g.traffic.opened.Load(), g.traffic.sent.Load(), g.traffic.received.Load()
	return &reports.Usage{
		At: second, CPUSeconds: g.cpu - before.cpu,
		GCPauses: g.pauses - before.pauses, GCPauseMicros: (g.paused - before.paused).Microseconds(),
		HeapBytes: heapBytes(), Goroutines: runtime.NumGoroutine(),
		ConnectionsOpened: g.opened - before.opened, ConnectionsOpen: g.traffic.open.Load(),
		WireSent: g.sent - before.sent, WireReceived: g.received - before.received,
	}
}
