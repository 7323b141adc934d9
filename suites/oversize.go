package suites

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

const (
	reasonUnbounded drm.Reason = "body-unbounded"
	reasonSlowLink  drm.Reason = "slow-connection"
)

// oversize is the length of a body that nobody needs, in bytes: more than kernels buffer on the way (sheets widevine.md §18,
// WV-ROB-05, and playready.md §14.6, PR-XML-04).
const oversize = 16 << 20

// uploadTime is how many times as long as another exchange the upload of a body of that length may take.
const uploadTime = 3

// upload is a way to send requests that tells how much of a body went out.
type upload struct {
	client *http.Client
	next   http.RoundTripper
	chunks bool // send no Content-Length
	sent   atomic.Int64
	last   atomic.Int64 // when, in nanoseconds
}

// newUpload returns an upload in the place of a client, with more time.
func newUpload(c *http.Client, chunks bool) *upload {
	u := &upload{next: c.Transport, chunks: chunks}
	client := *c
	client.Transport, client.Timeout = u, uploadTime*c.Timeout
	u.client = &client
	return u
}

func (u *upload) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Body, r.GetBody = &counted{r.Body, u}, nil // nothing of it is sent twice
	if u.chunks {
		r.ContentLength = -1
	}
	return u.next.RoundTrip(r)
}

// CloseIdleConnections closes those of the transport behind it; http.Client looks for this method.
func (u *upload) CloseIdleConnections() {
	if c, ok := u.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// counted is a body that is counted as it is read.
type counted struct {
	io.ReadCloser
	*upload
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.sent.Add(int64(n))
	c.last.Store(time.Now().UnixNano())
	return n, err
}

// slow reports whether a body that did not go out in time was still on its way, as opposed to one that nobody takes any more: kernels
// take megabytes at a time, so that any byte in the second half of the time tells.
func (u *upload) slow() bool { return time.Since(time.Unix(0, u.last.Load())) < u.client.Timeout/2 }

// oversized sends a body that is far too long. It must be refused before all of it is there, with HTTP 413, or by closing the
// connection: a service that reads it whole first has no limit. It tells which.
func (p *posts) oversized(grow func(own []byte) []byte, chunks bool) string {
	step := fmt.Sprintf("send a body of %d MiB", oversize>>20)
	if chunks {
		step += " in chunks"
	}
	p.e.Client.CloseIdleConnections() // a connection that the last one broke must not break this one
	u := newUpload(p.e.Client, chunks)
	total := int64(0)
	x, err := p.try(call{client: u.client, body: grow, edit: func(r *provider.Request) { total = int64(len(r.Body)) }})
	const expected = "HTTP 413 or another refusal before the whole body is sent, or the connection closed"
	miss := &Failure{Reason: reasonUnbounded, Step: step, Expected: expected}
	if err != nil {
		var failure *provider.TransportError
		switch {
		case !errors.As(err, &failure) || failure.Unreachable() || p.e.run.Err() != nil:
			p.e.block(step, err)
		case failure.Reason != provider.ReasonTimeout:
			return fmt.Sprintf("connection closed after %s", ofTotal(u, total))
		case u.sent.Load() < total && u.slow():
			p.e.Unverifiable(reasonSlowLink, fmt.Sprintf("%s went out within %v", ofTotal(u, total), u.client.Timeout), "run the check from a machine with a faster connection to the service")
		}
		miss.Reason, miss.Seen = failure.Reason, fmt.Sprintf("%s after %s", failure.Seen, ofTotal(u, total))
		p.e.Miss(*miss)
		return ""
	}
	whole := u.sent.Load() >= total
	how, refused := p.e.turnedAway(x)
	switch {
	case x.Status == http.StatusRequestEntityTooLarge:
		return "HTTP 413"
	case refused != nil && refused.Reason == reasonServerError:
		miss.Reason, miss.Seen = reasonServerError, refused.Seen
	case whole || refused != nil:
		miss.Seen = fmt.Sprintf("%s after %s", answerKind(x), ofTotal(u, total))
	default:
		return fmt.Sprintf("%s after %s", how, ofTotal(u, total))
	}
	p.e.Miss(*miss)
	return ""
}

// ofTotal tells how much of a body went out.
func ofTotal(u *upload, total int64) string {
	if u.sent.Load() >= total {
		return "the whole body"
	}
	return fmt.Sprintf("%.1f of %.1f MiB", float64(u.sent.Load())/(1<<20), float64(total)/(1<<20))
}
