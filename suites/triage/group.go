package triage

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/har"
	"keyflow/drm/widevine/wire"
)

// exchange is a request, and where redirects led it.
type exchange struct {
	first  *record
	follow []*record
}

// final is the entry whose answer the player got.
func (x *exchange) final() *record {
	if n := len(x.follow); n > 0 {
		return x.follow[n-1]
	}
	return x.first
}

// system is that of the messages, "" if none is recognised.
func (x *exchange) system() drm.System {
	if x.first.request.System != "" {
		return x.first.request.System
	}
	return x.final().answer.System
}

func (x *exchange) kind() string {
	q, a := x.first.request, x.final().answer
	switch {
	case q.System != "" && !q.Answer:
		return string(q.Kind)
	case a.System != "" && a.Answer && !a.Refusal:
		return string(a.Kind)
	}
	return kindUnknown
}

// origin is the page that asked, "" for one of the service's own origin, or where the archive does not tell.
func (x *exchange) origin() string {
	for _, r := range []*record{x.first, x.first.preflight} {
		if r == nil {
			continue
		}
		if o := r.Header.Get("Origin"); o != "" && o != "null" {
			return o
		}
	}
	return ""
}

// foreign reports whether a page of another origin asked.
func (x *exchange) foreign() bool {
	page, err := url.Parse(x.origin())
	return err == nil && page.Host != "" && (page.Scheme != x.first.url.Scheme || !strings.EqualFold(page.Host, x.first.url.Host))
}

// session is one acquisition of a license.
type session struct {
	system    drm.System
	exchanges []*exchange
}

// exchangesOf puts requests together with their preflights and with the entries that redirects led to.
func (c *collection) exchangesOf() []*exchange {
	var all []*exchange
	for i, r := range c.records {
		if r.taken || r.isPreflight() {
			continue
		}
		x := &exchange{first: r}
		r.taken = true
		for at := r; at.leadsTo() != nil && len(x.follow) < 10; {
			next := c.next(i, at.leadsTo().String())
			if next == nil {
				break
			}
			next.taken = true
			x.follow, at = append(x.follow, next), next
		}
		all = append(all, x)
	}
	for _, x := range all {
		for _, r := range append([]*record{x.first}, x.follow...) {
			r.preflight = c.preflightOf(r)
		}
	}
	return append(all, c.unsent()...)
}

// next returns the first entry behind the i-th that asked for the URL.
func (c *collection) next(i int, to string) *record {
	for _, r := range c.records[i+1:] {
		if !r.taken && !r.isPreflight() && r.URL == to {
			return r
		}
	}
	return nil
}

// preflightOf returns the preflight of a request: the nearest to the same URL that no other request has, for the same method.
func (c *collection) preflightOf(r *record) *record {
	at := slices.Index(c.records, r)
	var best *record
	distance := len(c.records) + 1
	for i, p := range c.records {
		d := max(i-at, at-i)
		method := p.Header.Get("Access-Control-Request-Method")
		if p.isPreflight() && !p.taken && p.URL == r.URL && (method == "" || method == r.Method) && d < distance {
			best, distance = p, d
		}
	}
	if best != nil {
		best.taken = true
	}
	return best
}

// unsent are the preflights that no request followed: the browser did not send it.
func (c *collection) unsent() []*exchange {
	var all []*exchange
	for _, p := range c.records {
		if p.isPreflight() && !p.taken {
			p.taken = true
			all = append(all, &exchange{first: &record{Entry: p.Entry, url: p.url, preflight: p}})
		}
	}
	for _, x := range all {
		x.first.Method, x.first.Status, x.first.Failure = http.MethodPost, 0, ""
		x.first.Answer.Data, x.first.AnswerHeader = nil, http.Header{}
	}
	return all
}

// sessions puts exchanges together: each license request begins an acquisition, which the certificate requests before it and the
// renewals after it belong to.
func (c *collection) sessions() []*session {
	all := c.exchangesOf()
	slices.SortStableFunc(all, func(a, b *exchange) int {
		return slices.Index(c.records, entryOf(c, a)) - slices.Index(c.records, entryOf(c, b))
	})
	systems := map[string]drm.System{}
	for _, x := range all {
		if s := x.system(); s != "" {
			systems[har.Service(x.first.url)] = s
		}
	}
	var sessions []*session
	var waiting []*exchange // certificate requests before their license request
	for _, x := range all {
		system := systems[har.Service(x.first.url)]
		switch k := x.kind(); {
		case k == string(drm.KindCertificate):
			waiting = append(waiting, x)
		case k == string(drm.KindLicense) || k == kindUnknown:
			s := &session{system: system}
			if x.first.request.System == "" && k == kindUnknown && len(x.first.Request.Data) == 0 && x.first.Request.Lost == "" && x.first.Method == http.MethodGet {
				continue // a page at the license service's URL that somebody looked at
			}
			if system == drm.Widevine {
				s.exchanges, waiting = waiting, nil
			}
			s.exchanges = append(s.exchanges, x)
			sessions = append(sessions, s)
		default:
			if s := owner(sessions, x, system); s != nil {
				s.exchanges = append(s.exchanges, x)
			} else {
				sessions = append(sessions, &session{system, []*exchange{x}})
			}
		}
	}
	if len(waiting) > 0 {
		sessions = append(sessions, &session{drm.Widevine, waiting})
	}
	return sessions
}

// entryOf returns the record of the archive that an exchange is ordered by.
func entryOf(c *collection, x *exchange) *record {
	if slices.Contains(c.records, x.first) {
		return x.first
	}
	return x.first.preflight
}

// owner returns the acquisition that a later message belongs to: that of its license, or else the last of its system.
func owner(sessions []*session, x *exchange, system drm.System) *session {
	id := licenseID(x.first.request)
	var last *session
	for _, s := range slices.Backward(sessions) {
		if s.system != system {
			continue
		}
		if last == nil {
			last = s
		}
		for _, own := range s.exchanges {
			if id != nil && bytes.Equal(licenseID(own.final().answer), id) {
				return s
			}
		}
	}
	return last
}

// licenseID returns what names a Widevine license in its own message and in the requests to renew or release it (sheet widevine.md §10);
// nil in any other.
func licenseID(m capture.Message) []byte {
	if m.System != drm.Widevine {
		return nil
	}
	envelope := new(wire.SignedMessage)
	if proto.Unmarshal(m.Body, envelope) != nil {
		return nil
	}
	var id *wire.LicenseIdentification
	if m.Answer {
		l := new(wire.License)
		_ = proto.Unmarshal(envelope.GetMsg(), l) // what cannot be read has no id
		id = l.GetId()
	} else {
		q := new(wire.LicenseRequest)
		_ = proto.Unmarshal(envelope.GetMsg(), q)
		id = q.GetContentId().GetExistingLicense().GetLicenseId()
	}
	if id == nil {
		return nil
	}
	return append(append([]byte{}, id.GetRequestId()...), id.GetSessionId()...)
}
