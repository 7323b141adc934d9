package triage

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"keyflow/drm/capture"
	"keyflow/drm/har"
)

// The bounds of what is kept of an archive.
const (
	maxRecords    = 2000
	maxCandidates = 2000 // entries that a later one may show to be of a license service
	maxWaiting    = 64 << 10
)

// record is an entry of a license service, and the messages in it.
type record struct {
	har.Entry
	url             *url.URL
	request, answer capture.Message // System is "" where there is none
	taken           bool            // it is a part of an exchange
}

func newRecord(e har.Entry) *record {
	r := &record{Entry: e}
	r.request, _ = capture.Find(e.Request.Data)
	r.answer, _ = capture.Find(e.Answer.Data)
	if r.url, _ = url.Parse(e.URL); r.url == nil {
		r.url = &url.URL{}
	}
	return r
}

// service names a URL without what differs from request to request.
func service(u *url.URL) string {
	return u.Scheme + "://" + strings.ToLower(u.Host) + u.EscapedPath()
}

// leadsTo returns where the answer redirects to, nil if it does not.
func (r *record) leadsTo() *url.URL {
	to := cmp.Or(r.Redirect, r.AnswerHeader.Get("Location"))
	if r.Status < 300 || r.Status > 399 || to == "" {
		return nil
	}
	u, err := r.url.Parse(to)
	if err != nil {
		return nil
	}
	return u
}

func (r *record) preflight() bool { return r.Method == http.MethodOptions }

// ended is when the answer was there, zero if the archive does not tell.
func (r *record) ended() time.Time {
	if r.Started.IsZero() {
		return time.Time{}
	}
	return r.Started.Add(r.Took)
}

// collection takes in the entries that are of a license service: those whose request or answer holds a message, all others to the same
// URL, such as preflights and requests whose body was not kept, and those to where such an entry leads.
type collection struct {
	entries, others int
	last            time.Time // at which anything happened
	records         []*record
	services        map[string]bool
	waiting         []*record
	tell            func(har.Entry)
}

func newCollection(tell func(har.Entry)) *collection {
	return &collection{services: map[string]bool{}, tell: tell}
}

func (c *collection) visit(e har.Entry) bool {
	c.entries++
	r := newRecord(e)
	if at := r.ended(); at.After(c.last) {
		c.last = at
	}
	switch found := r.request.System != "" || r.answer.System != ""; {
	case found || c.services[service(r.url)]:
		c.take(r, found)
	case e.Method != http.MethodGet && len(c.waiting) < maxCandidates:
		if len(r.Answer.Data) > maxWaiting {
			r.Answer.Data = r.Answer.Data[:maxWaiting]
		}
		if len(r.Request.Data) > maxWaiting {
			r.Request.Data = r.Request.Data[:maxWaiting]
		}
		c.waiting = append(c.waiting, r)
	default:
		c.others++
	}
	return true
}

func (c *collection) take(r *record, found bool) {
	if len(c.records) == maxRecords {
		c.others++
		return
	}
	c.records = append(c.records, r)
	if found {
		c.services[service(r.url)] = true
	}
	if to := r.leadsTo(); to != nil {
		c.services[service(to)] = true
	}
	if c.tell != nil {
		c.tell(r.Entry)
	}
}

// finish decides about the entries that had to wait, and puts all in their order: by time, where there is one.
func (c *collection) finish() {
	for _, r := range c.waiting {
		if c.services[service(r.url)] {
			c.take(r, false)
		} else {
			c.others++
		}
	}
	c.waiting = nil
	slices.SortStableFunc(c.records, func(a, b *record) int {
		if !a.Started.IsZero() && !b.Started.IsZero() && !a.Started.Equal(b.Started) {
			return a.Started.Compare(b.Started)
		}
		return a.Index - b.Index
	})
}
