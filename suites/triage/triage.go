// Package triage reads what a browser recorded of the way to a license: it sorts the entries of an HTTP archive into acquisitions of
// either system (certificate request, license request, renewals, each with its preflight) and walks each in the order in which a
// failure is read (sheet providers.md §7.4). The first step that fails is the cause, what fails later are consequences.
//
// Nothing is sent and nothing is decrypted here. What is told of an archive holds no value of a query, a header or a cookie, and no text
// of a body beyond words of the protocols.
package triage

import (
	"io"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// The steps, in their order.
const (
	StepNetwork   = "network"
	StepPreflight = "preflight"
	StepRedirect  = "redirect"
	StepStatus    = "status"
	StepEdge      = "edge"
	StepCode      = "code"
	StepInside    = "inside"
	StepForm      = "form"
	StepKeys      = "keys"
	StepPolicy    = "policy"
	StepRenewal   = "renewal"
)

// The kinds of exchanges beside those of package drm.
const kindUnknown = "unrecognised"

// Options say what is known beside the archive. The zero value knows nothing.
type Options struct {
	Name     string                           // of the archive
	Profiles map[drm.System]*provider.Profile // whose response.unwrap and errors say what answers mean
	Judges   map[drm.System]drm.Judge         // of the structure of licenses; nil judges none
	Visit    func(har.Entry)                  // called with each entry that belongs to a license service; nil tells nobody
}

// Result is what an archive tells, and the key requests in it.
type Result struct {
	Triage   *reports.Triage
	Requests []Request
}

// Request is a license request that was recorded.
type Request struct {
	Entry int
	Body  []byte // the message, without what it was wrapped in
}

// unjudged is what no recording shows.
var unjudged = []string{
	"content keys and their decryption: needs the device that asked; keyflow check --identity DIR asks with one that the vendor issued",
	"signatures and integrity of licenses: their keys are wrapped for that device",
	"whether decoded media is media: keyflow check decodes with the keys of a device of its own",
}

// Unjudged lists what no captured exchange shows, and what it would take.
func Unjudged() []string { return slices.Clone(unjudged) }

// Read reads an archive to its end, or as far as it can be read; then the error is a [*har.Error] and the result tells the rest.
func Read(r io.Reader, o Options) (*Result, error) {
	c := newCollection(o.Visit)
	err := har.Read(r, c.visit)
	c.finish()
	t := &reports.Triage{Archive: o.Name, Entries: c.entries, Others: c.others, Unjudged: Unjudged()}
	if err != nil {
		t.Problem = err.Error()
	}
	result := &Result{Triage: t}
	for i, s := range c.sessions() {
		t.Sessions = append(t.Sessions, s.walk(i+1, o, c.last))
		for _, x := range s.exchanges {
			if m := x.first.request; x.kind() == string(drm.KindLicense) && m.System != "" && !m.Answer {
				result.add(Request{x.first.Index, m.Body})
			}
		}
	}
	return result, err
}

// add takes a request in once: a player that asks again sends the same bytes.
func (r *Result) add(q Request) {
	if !slices.ContainsFunc(r.Requests, func(o Request) bool { return string(o.Body) == string(q.Body) }) {
		r.Requests = append(r.Requests, q)
	}
}

// clockTolerance is how far the clocks of the service and of the machine that recorded may be apart.
const clockTolerance = time.Minute
