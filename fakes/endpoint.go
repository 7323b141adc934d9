package fakes

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	defaultAddr       = "127.0.0.1:0"
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeader         = 64 << 10 // bytes
)

// endpoint is one HTTP server on one loopback address.
type endpoint struct {
	url    string
	addr   string // host:port
	server *http.Server
	served chan struct{}
	conns  sync.WaitGroup
}

// listen serves handler until close is called: over TLS if there is a configuration for it. Requests' contexts end with base.
func listen(base context.Context, addr string, handler http.Handler, secure *tls.Config) (*endpoint, error) {
	if addr == "" {
		addr = defaultAddr
	}
	addr, err := loopback(addr)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(base, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	e := &endpoint{url: "http://" + listener.Addr().String(), addr: listener.Addr().String(), served: make(chan struct{})}
	if secure != nil {
		e.url, listener = "https://"+e.addr, tls.NewListener(listener, secure)
	}
	listener = headListener{listener}
	e.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withConnection,
		ConnState:         e.track,
	}
	go func() {
		defer close(e.served)
		_ = e.server.Serve(listener) // ends with http.ErrServerClosed
	}()
	return e, nil
}

// loopback returns the address with a literal loopback host.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: want host:port: %w", addr, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("address %q: a fake serves loopback only: want 127.0.0.1 or [::1]", addr)
	}
	return net.JoinHostPort(host, port), nil
}

// track counts the connections that net/http's goroutines hold.
func (e *endpoint) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		e.conns.Add(1)
	case http.StateHijacked, http.StateClosed:
		e.conns.Done()
	default: // the connection goes on
	}
}

// close ends listening and cuts all connections.
func (e *endpoint) close() {
	_ = e.server.Close()
	<-e.served
	// A connection that was accepted while the server closed is known only now.
	_ = e.server.Close()
}

// wait waits until the goroutines of all connections are done.
func (e *endpoint) wait() { e.conns.Wait() }
