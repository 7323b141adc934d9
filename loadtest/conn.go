package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"sync"
	"time"
)

// Dial opens a connection, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialTimeout bounds the opening of one connection, TLS handshake included; warmParallel the dials at once.
const (
	dialTimeout  = 10 * time.Second
	warmParallel = 32
)

// endpoint is what connections are pooled by.
type endpoint struct {
	tls     bool
	address string // host:port
}

func endpointOf(u *url.URL) endpoint {
	e := endpoint{tls: u.Scheme == "https"}
	port := u.Port()
	switch {
	case port != "":
	case e.tls:
		port = "443"
	default:
		port = "80"
	}
	e.address = net.JoinHostPort(u.Hostname(), port)
	return e
}

// connPool holds connections that were opened before the attack and hands them to the transport when it wants to dial.
// net/http cannot open a connection without a request on it, and a request that nobody planned must not reach a license
// server.
//
// Each waiting connection is watched by a blocked read, so that one that the server closed in the meantime is never
// handed out: the transport takes it for fresh, would not retry, and the harness would report a failure of its own making.
type connPool struct {
	dial    Dial
	config  *tls.Config
	traffic *traffic // nil: nobody counts

	mu   sync.Mutex
	idle map[endpoint][]*idleConn
}

func newConnPool(dial Dial, config *tls.Config) *connPool {
	if dial == nil {
		// No LocalAddr: a dialer bound to 0.0.0.0 runs out of ports (sheet load.md §3).
		dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"} // one request at a time per connection is what the plan's workers mean
	return &connPool{dial: dial, config: config, idle: map[endpoint][]*idleConn{}}
}

// open dials, and shakes hands if the endpoint speaks TLS.
func (p *connPool) open(ctx context.Context, network string, e endpoint) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := p.dial(ctx, network, e.address)
	if err != nil {
		return nil, err
	}
	conn = p.traffic.watch(conn)
	if !e.tls {
		return conn, nil
	}
	config := p.config
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(e.address)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		config = config.Clone()
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

// warm opens n connections to the endpoint and keeps them. It returns how many it got, and the first error.
func (p *connPool) warm(ctx context.Context, e endpoint, n int) (int, error) {
	var (
		wg    sync.WaitGroup
		first sync.Once
		err   error
		seats = make(chan struct{}, warmParallel)
		conns = make(chan net.Conn, n)
	)
	for range n {
		seats <- struct{}{}
		wg.Go(func() {
			defer func() { <-seats }()
			conn, dialErr := p.open(ctx, "tcp", e)
			if dialErr != nil {
				first.Do(func() { err = dialErr })
				return
			}
			conns <- conn
		})
	}
	wg.Wait()
	close(conns)
	p.mu.Lock()
	defer p.mu.Unlock()
	warmed := len(conns)
	for conn := range conns {
		p.idle[e] = append(p.idle[e], watch(conn))
	}
	return warmed, err
}

// get returns a waiting connection that is still alive, or opens one.
func (p *connPool) get(ctx context.Context, network string, e endpoint) (net.Conn, error) {
	for {
		idle := p.pop(e)
		if idle == nil {
			return p.open(ctx, network, e)
		}
		if idle.reclaim() {
			return idle.conn, nil
		}
	}
}

func (p *connPool) pop(e endpoint) *idleConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.idle[e]
	if len(waiting) == 0 {
		return nil
	}
	last := waiting[len(waiting)-1]
	p.idle[e] = waiting[:len(waiting)-1]
	return last
}

// close closes the connections that nobody wanted.
func (p *connPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e, waiting := range p.idle {
		for _, idle := range waiting {
			_ = idle.conn.Close() // nothing was ever written to it
			<-idle.ended
		}
		delete(p.idle, e)
	}
}

// idleConn is a connection with a read blocked on it.
type idleConn struct {
	conn  net.Conn
	alive bool // set before ended is closed
	ended chan struct{}
}

func watch(conn net.Conn) *idleConn {
	idle := &idleConn{conn: conn, ended: make(chan struct{})}
	go func() {
		defer close(idle.ended)
		var b [1]byte
		n, err := conn.Read(b[:])
		idle.alive = n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
		if !idle.alive {
			_ = conn.Close() // the server closed it, or spoke without being asked
		}
	}()
	return idle
}

// reclaim ends the blocked read and reports whether the connection can be used.
func (c *idleConn) reclaim() bool {
	if err := c.conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return false
	}
	<-c.ended
	return c.alive && c.conn.SetReadDeadline(time.Time{}) == nil
}
