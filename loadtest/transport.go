package loadtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// errNotSent is what vegeta gets for a request that was released and is not to be sent.
var errNotSent = errors.New("not sent")

// newTransport returns the transport of a network. It knows no proxy, asks for no compression and dials from the pool.
func newTransport(c Config, pool *connPool) *http.Transport {
	workers := c.Workers
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return pool.get(ctx, network, endpoint{false, address})
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return pool.get(ctx, network, endpoint{true, address})
		},
		MaxIdleConns:        workers,
		MaxIdleConnsPerHost: workers,
		MaxConnsPerHost:     workers,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		DisableKeepAlives:   c.NewConnections,
		ReadBufferSize:      8 << 10,
		WriteBufferSize:     8 << 10,
	}
}

// newClient returns the client that vegeta sends with. It follows no redirect: a license server's answer is the answer,
// and a flight goes through the sender once. Timeouts are the sender's.
func newClient(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sender is the round tripper under vegeta. What vegeta cannot measure is measured here: the moment at which a request
// is handed to the transport, and the one at which its bounded answer has been read. It reads the body itself, because
// vegeta would read an endless one to its end, and it sends the built request's own headers, so that neither X-Vegeta-*
// nor the slot reaches the server.
type sender struct {
	bases     []http.RoundTripper // of each share
	shares    []Share
	slots     *slots
	pacer     *pacer
	timeout   time.Duration
	halt      *halt
	finished  chan<- *flight // holds a flight per worker, so that it never blocks
	sent      atomic.Int64
	sentBy    []atomic.Int64 // share
	paces     []*pace        // of each share
	throttles []*throttle    // of each share
	polite    bool
	evidence  bool         // answers may become evidence
	held      atomic.Int64 // requests that their pace held back
}

// RoundTrip implements http.RoundTripper. The answer that it returns has no body: it went with the flight.
func (s *sender) RoundTrip(r *http.Request) (*http.Response, error) {
	f, err := s.slots.take(r.Header)
	if err != nil {
		return nil, err
	}
	defer func() { s.finished <- f }()
	if f.refused != "" || s.refuses(f) {
		return nil, errNotSent
	}
	ctx, cancel := context.WithTimeout(s.halt.hard, s.timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Header = f.request.Header

	profile := s.shares[f.share].Profile
	s.sent.Add(1)
	s.sentBy[f.share].Add(1)
	f.out = int64(len(f.request.Body))
	f.sent = time.Since(s.pacer.began)
	response, err := s.bases[f.share].RoundTrip(r)
	if err != nil {
		f.done = time.Since(s.pacer.began)
		f.failure = transportFailure(err)
		return nil, err
	}
	counted := &readCounter{ReadCloser: response.Body}
	response.Body = counted
	s.throttles[f.share].note(response.StatusCode, response.Header, time.Since(s.pacer.began), s.polite)
	body, err := profile.ReadBody(response)
	f.done = time.Since(s.pacer.began)
	f.status, f.in = response.StatusCode, counted.n
	if err != nil {
		f.failure = transportFailure(err)
		return nil, err
	}
	if f.bad {
		f.answer, f.denied, f.failure = readBad(profile, f.message.Kind, response.StatusCode, response.Header, body)
	} else {
		f.answer, f.failure = read(profile, f.message.Kind, response.StatusCode, response.Header, body)
	}
	if s.evidence {
		f.keep(response, body)
	}
	response.Body = http.NoBody
	return response, nil
}
