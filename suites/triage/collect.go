package triage

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"keyflow/drm/capture"
	"keyflow/drm/har"
)

// The bounds of what is kept of an archive.
const (
	maxRecords = 2000
	maxWaiting = 64 << 10 // bytes of a body of which it is not known yet whose it is
)

// record is an entry of a license service, and the messages in it.
type record struct {
	har.Entry
	url             *url.URL
	request, answer capture.Message // System is "" where there is none
	preflight       *record         // that the browser sent before it; nil: the archive has none
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

func (r *record) isPreflight() bool { return r.Method == http.MethodOptions }

// unsent reports whether the browser did not send a request, as far as the archive shows: it kept no body.
func (r *record) unsent() bool {
	return r.Status == 0 && len(r.Request.Data) == 0 && r.Request.Lost == ""
}

// ended is when the answer was there, zero if the archive does not tell.
func (r *record) ended() time.Time {
	if r.Started.IsZero() {
		return time.Time{}
	}
	return r.Started.Add(r.Took)
}

// sight is what the record shows of whose it is.
func (r *record) sight() har.Sight {
	s := har.Sight{
		Service: har.Service(r.url), Found: r.request.System != "" || r.answer.System != "", Waits: r.Method != http.MethodGet, Likely: har.Likely(r.Entry, r.url),
	}
	if to := r.leadsTo(); to != nil {
		s.LeadsTo = har.Service(to)
	}
	return s
}

// collection takes in the entries that are of a license service.
type collection struct {
	entries, others int
	last            time.Time // at which anything happened
	records         []*record
	sieve           har.Sieve[*record]
	tell            func(har.Entry)
}

func newCollection(tell func(har.Entry)) *collection {
	c := &collection{tell: tell}
	c.sieve.Take, c.sieve.Leave = c.take, func(*record) { c.others++ }
	return c
}

func (c *collection) visit(e har.Entry) bool {
	c.entries++
	r := newRecord(e)
	if at := r.ended(); at.After(c.last) {
		c.last = at
	}
	if c.sieve.Sift(r, r.sight()) {
		r.Answer.Data = r.Answer.Data[:min(len(r.Answer.Data), maxWaiting)]
		r.Request.Data = r.Request.Data[:min(len(r.Request.Data), maxWaiting)]
	}
	return true
}

// take takes a record in, if there is room.
func (c *collection) take(r *record) bool {
	if len(c.records) == maxRecords {
		c.others++
		return false
	}
	c.records = append(c.records, r)
	if c.tell != nil {
		c.tell(r.Entry)
	}
	return true
}

// finish decides about the entries that had to wait, and puts all in their order: by time, where there is one.
func (c *collection) finish() {
	c.sieve.Finish()
	slices.SortStableFunc(c.records, func(a, b *record) int {
		if !a.Started.IsZero() && !b.Started.IsZero() && !a.Started.Equal(b.Started) {
			return a.Started.Compare(b.Started)
		}
		return a.Index - b.Index
	})
}
