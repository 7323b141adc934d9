package triage

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/provider"
	"keyflow/reports"
	"keyflow/suites"
)

const reasonRequest drm.Reason = "request"

// Replay is a captured key request that is sent once more.
type Replay struct {
	Name    string // where it was captured
	Request drm.Captured
	Target  *suites.Target // whose profile dresses it, with a lease of its own
	Need    provider.Need  // what the lease is wanted for
	Judge   drm.Judge      // of the structure of the answer
}

// Send sends the request once and walks through the steps of its answer. What keeps it from being sent is a failed step too.
func (r Replay) Send(ctx context.Context) reports.TriageSession {
	p := r.Target.Profile
	out := reports.TriageSession{Name: "replay of " + r.Name, System: string(r.Request.System), Profile: p.ID, URL: har.ShownURL(p.Request.URL)}
	for _, kid := range r.Request.KIDs {
		out.KIDs = append(out.KIDs, kid.String())
	}
	w := &walk{exchange: &exchange{}, system: r.Request.System, profile: p, judge: r.Judge}
	rec, err := r.send(ctx)
	w.first = rec
	w.step(StepNetwork, func() outcome {
		var t *provider.TransportError
		switch {
		case errors.As(err, &t):
			return failed(t.Reason, t.Expected, t.Seen, "keyflow doctor --profile goes to the host hop by hop")
		case err != nil:
			return failed(reasonRequest, "a request that can be sent", err.Error(), "keyflow doctor --profile tells what of the profile is missing")
		}
		return ok("HTTP %d came", rec.Status)
	})
	w.step(StepRedirect, w.redirect)
	w.answer()
	x := w.told()
	x.Entry = nil
	if rec.URL == "" {
		x.URL = out.URL
	} else {
		out.URL = x.URL
	}
	out.Exchanges = []reports.TriageExchange{x}
	conclude(&out)
	return out
}

// send makes a record of the exchange as an archive has it.
func (r Replay) send(ctx context.Context) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, suites.RequestTimeout)
	defer cancel()
	clock := r.Target.Clock
	if clock == nil {
		clock = drm.SystemClock
	}
	at := clock.Now()
	m := drm.Message{Kind: r.Request.Kind, Body: r.Request.Body, KIDs: r.Request.KIDs}
	rec := &record{
		Entry: har.Entry{Started: at, Method: r.Target.Profile.Request.Method, Request: har.Body{Data: m.Body}}, url: &url.URL{},
		request: capture.Message{System: r.Request.System, Kind: r.Request.Kind, Body: r.Request.Body},
	}
	lease, err := r.Target.Profile.Lease(ctx, r.Need)
	if err == nil {
		err = lease.Use(m.Kind)
	}
	if err != nil {
		return rec, err
	}
	q := r.Target.Profile.Build(lease, m, provider.At{Now: at})
	rec.Method, rec.URL, rec.Header = q.Method, q.URL, q.Header
	if u, err := url.Parse(q.URL); err == nil {
		rec.url = u
	}
	status, header, body, err := r.post(ctx, q)
	if err != nil {
		return rec, err
	}
	rec.Took = clock.Now().Sub(at)
	rec.Status, rec.AnswerHeader = status, header
	rec.Answer = har.Body{Data: body, Type: header.Get("Content-Type")}
	rec.answer, _ = capture.Find(body)
	return rec, nil
}

// post sends, and follows the redirects that the profile follows.
func (r Replay) post(ctx context.Context, q *provider.Request) (status int, header http.Header, body []byte, err error) {
	for hops := 0; ; hops++ {
		sent, err := q.HTTP(ctx)
		if err != nil {
			return 0, nil, nil, err
		}
		response, err := r.Target.Client.Do(sent) //nolint:bodyclose // ReadBody closes it
		if err != nil {
			return 0, nil, nil, provider.NewTransportError(err, false)
		}
		body, err := r.Target.Profile.ReadBody(response)
		if err != nil {
			return 0, nil, nil, err
		}
		next, err := r.Target.Profile.Redirected(q, response.StatusCode, response.Header, hops)
		if err != nil || next == nil {
			return response.StatusCode, response.Header, body, err
		}
		q = next
	}
}
