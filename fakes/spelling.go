package fakes

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// net/http rewrites the names of header fields as it reads them. A [headConn] keeps the heads of requests as clients wrote them, for the
// fault that has a server compare names byte by byte.

// maxHeads bounds the requests of a connection that were read and are not served yet. Clients that do not pipeline have one.
const maxHeads = 16

// headListener wraps connections so that the heads of their requests are kept.
type headListener struct{ net.Listener }

func (l headListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	plain := &headConn{Conn: conn}
	if secure, ok := conn.(*tls.Conn); ok {
		return &secureHeadConn{headConn: plain, tls: secure}, nil
	}
	return plain, nil
}

// headConn is a connection whose read bytes are looked at as HTTP/1 requests. What it cannot follow, such as a chunked body, ends
// its knowledge of the connection, and nothing else.
type headConn struct {
	net.Conn

	mu    sync.Mutex
	lost  bool
	body  int64  // bytes of the current request's body that are still to come
	part  []byte // of a head that has not ended
	heads [][]byte
}

// Read reads from the connection and keeps what is a head.
func (c *headConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.follow(p[:n])
	c.mu.Unlock()
	return n, err
}

// CloseWrite ends one direction, as net/http does before it closes a connection with unread data.
func (c *headConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// endOfHead ends the head of a request.
var endOfHead = []byte("\r\n\r\n")

func (c *headConn) follow(b []byte) {
	for len(b) > 0 && !c.lost {
		if c.body > 0 {
			n := min(c.body, int64(len(b)))
			c.body, b = c.body-n, b[n:]
			continue
		}
		before := len(c.part)
		c.part = append(c.part, b...)
		from := max(0, before-len(endOfHead)+1)
		end := bytes.Index(c.part[from:], endOfHead)
		if end < 0 {
			c.lost = len(c.part) > 2*maxHeader
			return
		}
		end += from + len(endOfHead)
		b = b[end-before:]
		c.ended(c.part[:end:end])
	}
}

// ended keeps a head, and finds out how long the body after it is.
func (c *headConn) ended(head []byte) {
	c.part = nil
	if c.heads = append(c.heads, head); len(c.heads) > maxHeads {
		c.lost = true
		return
	}
	if field(head, "Transfer-Encoding") != nil {
		c.lost = true
		return
	}
	if length := field(head, "Content-Length"); length != nil {
		_, value, _ := bytes.Cut(length, []byte(":"))
		var err error
		c.body, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		c.lost = err != nil || c.body < 0
	}
}

// head takes the head of a request that is about to be served, nil if it is not known. Heads before it are of requests that
// net/http answered on its own.
func (c *headConn) head(method, target string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.heads) > 0 {
		head := c.heads[0]
		c.heads = c.heads[1:]
		if bytes.HasPrefix(head, []byte(method+" "+target+" ")) {
			return head
		}
	}
	return nil
}

// field returns the first line of a head that is of a field, whatever the case of its name; nil if there is none.
func field(head []byte, name string) []byte {
	_, rest, _ := bytes.Cut(head, endOfHead[:2])
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, endOfHead[:2])
		if len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name) {
			return line
		}
	}
	return nil
}

// secureHeadConn is a headConn over TLS.
type secureHeadConn struct {
	*headConn
	tls *tls.Conn
}

// ConnectionState does the handshake and returns what came of it. net/http asks for it before the first request; that the handshake
// failed it notices when it reads.
func (c *secureHeadConn) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(context.Background(), readHeaderTimeout)
	defer cancel()
	_ = c.tls.HandshakeContext(ctx)
	return c.tls.ConnectionState()
}

// underHead returns the connection without what keeps heads.
func underHead(conn net.Conn) net.Conn {
	switch c := conn.(type) {
	case *headConn:
		return c.Conn
	case *secureHeadConn:
		return c.Conn
	}
	return conn
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// withConnection is a server's ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	switch c := conn.(type) {
	case *headConn:
		return context.WithValue(ctx, connectionKey{}, c)
	case *secureHeadConn:
		return context.WithValue(ctx, connectionKey{}, c.headConn)
	}
	return ctx
}

// headOf takes the head of a request as the client wrote it; nil if the request did not come over a connection of this
// package.
func headOf(r *http.Request) []byte {
	if c, ok := r.Context().Value(connectionKey{}).(*headConn); ok {
		return c.head(r.Method, r.RequestURI)
	}
	return nil
}

// spelled reports whether the request has a field with this very name, or is not known as it was written.
func (x *exchange) spelled(name string) bool {
	return x.head == nil || bytes.HasPrefix(field(x.head, name), []byte(name+":"))
}
