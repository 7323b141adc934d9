package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// walk is a case on its way.
type walk struct {
	*Case
	hops    []Hop
	stopped bool            // a hop failed
	skipped string          // why what needs a token is skipped; "" if it is not
	lease   *provider.Lease // nil until the token hops are done
	reached map[string]bool // hosts and ports whose hops were gone through
	skewed  bool            // the difference of clocks was told
}

// interrupted is what a hop says that did not run to its end because the user stopped it.
const interrupted = "interrupted by the user"

// Walk goes through the hops of a case. It returns when all are done, or soon after ctx has ended; then the rest is not reached.
func Walk(ctx context.Context, c *Case) []Hop {
	w := &walk{Case: c, reached: map[string]bool{}}
	w.hop(ctx, HopProxy, "", w.proxy)
	endpoint, err := c.Profile.Endpoint()
	known := err == nil
	if known {
		w.host(ctx, endpoint, c.TLS)
		w.preflights(ctx)
	}
	w.tokens(ctx)
	if !known {
		w.host(ctx, w.licenseURL(), c.TLS)
		w.preflights(ctx)
	}
	w.certificate(ctx)
	w.license(ctx)
	return w.hops
}

// hop runs one hop within its own time.
func (w *walk) hop(ctx context.Context, id, subject string, run func(context.Context, *Hop)) {
	h := Hop{ID: id, Subject: subject, Outcome: OK}
	switch {
	case w.stopped:
		h.Outcome = NotReached
	case ctx.Err() != nil:
		h.end(NotReached, "", interrupted, "")
	default:
		own, cancel := context.WithTimeout(ctx, w.timeout())
		began := time.Now()
		run(own, &h)
		h.TookMS = float64(time.Since(began).Microseconds()) / 1000
		cancel()
		if ctx.Err() != nil && h.Outcome == Failed {
			h.Seen, h.Expected = nil, ""
			h.end(NotReached, "", interrupted, "")
		}
	}
	w.add(h)
}

func (w *walk) add(h Hop) {
	w.stopped = w.stopped || h.Outcome == Failed
	w.hops = append(w.hops, h)
	if w.Progress != nil {
		w.Progress(h)
	}
}

// needing runs a hop that needs the tokens, unless there are none.
func (w *walk) needing(ctx context.Context, id, subject string, run func(context.Context, *Hop)) {
	w.hop(ctx, id, subject, func(ctx context.Context, h *Hop) {
		if w.skipped != "" {
			h.end(Skipped, "", "needs the token: "+w.skipped, "")
			return
		}
		run(ctx, h)
	})
}

// host goes through the hops to a URL's host, unless that was done. A nil URL is not known.
func (w *walk) host(ctx context.Context, u *url.URL, config *tls.Config) {
	if u == nil {
		reason := "the license URL is named by a token"
		for _, id := range []string{HopDNS, HopTCP, HopTLS} {
			w.hop(ctx, id, "", func(_ context.Context, h *Hop) { h.end(Skipped, "", reason+": "+w.skipped, "") })
		}
		return
	}
	port := provider.HostPort(u)
	if w.reached[port] {
		return
	}
	w.reached[port] = true
	n := &network{walk: w, url: u, config: config}
	w.hop(ctx, HopDNS, u.Hostname(), n.resolve)
	w.hop(ctx, HopTCP, port, n.connect)
	w.hop(ctx, HopTLS, port, n.handshake)
}

// licenseURL returns where license requests of the lease go, nil if there is no lease.
func (w *walk) licenseURL() *url.URL {
	if w.lease == nil {
		return nil
	}
	u, err := url.Parse(w.build(w.lease, drm.Message{Kind: drm.KindLicense, Body: shortest}).URL)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return u
}

// shortest is a body for requests that are built for their URL and headers alone: that of a certificate request (sheet
// widevine.md §5.1).
var shortest = []byte{0x08, 0x04}

func (w *walk) build(l *provider.Lease, m drm.Message) *provider.Request {
	return w.Profile.Build(l, m, provider.At{Now: w.clock().Now()})
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request and reads the bounded answer. Its error is a [*provider.TransportError], or says that the request cannot be
// built.
func (w *walk) send(ctx context.Context, r *provider.Request) (answer, error) {
	q, err := r.HTTP(ctx)
	if err != nil {
		return answer{}, err
	}
	response, err := w.Client.Do(q) //nolint:bodyclose // ReadBody closes it
	if err != nil {
		return answer{}, provider.NewTransportError(err, false)
	}
	body, err := w.Profile.ReadBody(response)
	return answer{response.StatusCode, response.Header, body}, err
}

// failSend ends a hop because no answer came.
func (h *Hop) failSend(err error) {
	var t *provider.TransportError
	if !errors.As(err, &t) {
		h.fail(reasonRequest, "a request that can be sent", err.Error(), "look at the values of the profile above: one is missing or has another form")
		return
	}
	h.fail(t.Reason, t.Expected, t.Seen, transportHint(t.Reason))
}

// maxSkew is the difference of clocks that is told: services refuse tokens from further in the future (sheet providers.md AU-05).
const maxSkew = 5 * time.Second

// clocks tells how far the server's clock is from this machine's, as far as its header Date says.
func (w *walk) clocks(h *Hop, header http.Header) {
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil || w.skewed {
		return
	}
	w.skewed = true
	// The header has whole seconds and is a moment old.
	if skew := time.Since(at).Round(time.Second); skew > maxSkew {
		h.say("this machine's clock is " + skew.String() + " ahead of the server's: tokens that are made here may come from its future")
	} else if -skew > maxSkew {
		h.say("this machine's clock is " + (-skew).String() + " behind the server's: tokens that are made here end early")
	}
}
