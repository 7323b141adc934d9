package fakes

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"keyflow/drm"
)

const (
	stallEvery   = time.Second
	stallFor     = 100 * time.Millisecond
	lateBy       = 3 * time.Second
	followLimit  = 5 * time.Second // for a request on a connection that carried two answers to one
	silenceLimit = time.Hour       // the longest that never-answers holds a connection
	endlessLimit = 1 << 30         // bytes
	endlessChunk = 64 << 10        // bytes
)

// stall waits until the first 100 ms of the current second of the server's clock are over, or for three seconds, if such a
// fault is on. It waits no longer than the client does.
func (x *exchange) stall(ctx context.Context) {
	if x.acts(faultLate) {
		pause(ctx, lateBy)
	}
	if !x.on(faultStall) {
		return
	}
	now := x.server.clock.Now()
	if rest := stallFor - now.Sub(now.Truncate(stallEvery)); rest > 0 {
		x.acted(faultStall)
		pause(ctx, rest)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func htmlPage(w http.ResponseWriter, _ *http.Request, x *exchange) {
	a := answer{status: http.StatusOK, contentType: contentTypeHTML, body: []byte("<!DOCTYPE html>\n" +
		"<html><head><title>Sign in</title></head><body><h1>Sign in</h1><p>Please sign in to go on.</p></body></html>\n")}
	x.acted(faultHTML)
	x.settle(Broken, a.status, len(a.body), "")
	a.write(w)
}

func unavailable(w http.ResponseWriter, _ *http.Request, x *exchange) {
	a := answer{status: http.StatusServiceUnavailable, contentType: contentTypeText, body: []byte("the service is not available\n")}
	w.Header().Set("Retry-After", "1")
	x.acted(fault503)
	x.settle(Refused, a.status, len(a.body), reasonUnavailable)
	a.write(w)
}

func neverAnswers(w http.ResponseWriter, r *http.Request, x *exchange) {
	x.holdOpen(w, r, faultNeverAnswers)
}

// holdOpen is a fault: it holds the request until the client leaves, the server stops or silenceLimit is over, then cuts the
// connection, so that net/http doesn't answer on its own.
func (x *exchange) holdOpen(w http.ResponseWriter, r *http.Request, fault string) {
	x.acted(fault)
	x.settle(Broken, 0, 0, "")
	ctx, cancel := context.WithTimeout(r.Context(), silenceLimit)
	defer cancel()
	<-ctx.Done()
	if conn, ok := takeOver(w); ok {
		_ = conn.Close()
	}
}

// endlessBody streams zeros. Every chunk must be taken within writeTimeout.
func endlessBody(w http.ResponseWriter, r *http.Request, x *exchange) {
	x.acted(faultEndless)
	x.settle(Broken, http.StatusOK, endlessLimit, "")
	w.Header().Set("Content-Type", contentTypeBinary)
	w.Header().Set("Cache-Control", "no-store")
	chunk, control := make([]byte, endlessChunk), http.NewResponseController(w)
	for sent := 0; sent < endlessLimit && r.Context().Err() == nil; sent += len(chunk) {
		// A writer that has no deadlines, as a test's recorder, doesn't block either.
		_ = control.SetWriteDeadline(drm.SystemClock.Now().Add(writeTimeout))
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func resetConnection(w http.ResponseWriter, _ *http.Request, x *exchange) { x.cut(w, faultReset) }

// cut is a fault: it closes the connection with a TCP reset instead of an orderly end.
func (x *exchange) cut(w http.ResponseWriter, fault string) {
	conn, ok := takeOver(w)
	if !ok {
		x.noConnection(w)
		return
	}
	x.acted(fault)
	x.settle(Broken, 0, 0, "")
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // without its orderly end
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // unsent data is dropped and the peer sees a reset
	}
	_ = conn.Close()
}

// sendHalf sends an answer's head, which announces all of the body, and the first half of the body.
func sendHalf(w http.ResponseWriter, x *exchange, a answer) {
	conn, ok := takeOver(w)
	if !ok {
		x.noConnection(w)
		return
	}
	defer func() { _ = conn.Close() }()
	x.acted(faultTruncated)
	x.settle(Broken, a.status, len(a.body), "")
	text := a.text()
	_ = conn.SetWriteDeadline(drm.SystemClock.Now().Add(writeTimeout))
	_, _ = conn.Write(text[:len(text)-(len(a.body)+1)/2])
}

// sendTwice sends the whole answer and at once the same again, as a proxy with a broken retry does. A client that reuses the
// connection takes the second one for the answer to its next request; requests there are read, so that they count, and get none.
func sendTwice(w http.ResponseWriter, x *exchange, a answer) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		x.noConnection(w)
		return
	}
	defer func() { _ = conn.Close() }()
	x.acted(faultTwice)
	x.settle(Broken, a.status, len(a.body), "")
	text := a.text()
	_ = conn.SetDeadline(drm.SystemClock.Now().Add(followLimit))
	if _, err := conn.Write(append(text, text...)); err != nil {
		return
	}
	for {
		r, err := http.ReadRequest(buffered.Reader)
		if err != nil {
			return // the client noticed
		}
		_, err = io.Copy(io.Discard, io.LimitReader(r.Body, x.server.maxBody))
		y := x.server.arrive(r)
		y.acted(faultTwice)
		y.settle(Broken, 0, 0, "")
		if err != nil {
			return
		}
	}
}

// text returns the answer as it goes over HTTP/1.1.
func (a answer) text() []byte {
	h := make(http.Header)
	a.header(h)
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	_ = h.Write(&out) // a bytes.Buffer takes everything
	out.WriteString("\r\n")
	out.Write(a.body)
	return out.Bytes()
}

// takeOver takes the connection from net/http.
func takeOver(w http.ResponseWriter) (net.Conn, bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, false
	}
	return underHead(conn), true
}

// noConnection is the answer where a fault of the connection can't act, because the handler is served by something
// that doesn't give its connections away.
func (x *exchange) noConnection(w http.ResponseWriter) {
	a := answer{status: http.StatusInternalServerError, contentType: contentTypeText,
		body: []byte("this fault needs a connection of its own\n")}
	x.settle(Refused, a.status, len(a.body), reasonInternal)
	a.write(w)
}
