package loadtest

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"keyflow/drm/provider"
	"keyflow/reports"
)

// Evidence is what went over the wire for one failed or wrong answer: the request and the answer as transcripts tell them, without
// keys. It may hold what a service echoed of a token: whoever writes it redacts it first.
type Evidence struct {
	Name string // unique in the run, fit for a file's name; the sample's Transcript is [reports.TranscriptDir]/Name
	Text string // at most maxEvidenceText bytes
}

// Bounds of the evidence of a run, beside the number of samples in each class and share.
const (
	maxEvidence     = 256
	maxEvidenceText = 16 << 10
)

// reply is what is kept of an answer beside its license, while it may become evidence.
type reply struct {
	first  string // HTTP/1.1 200 OK
	header http.Header
	body   []byte // of a failed one: there is no license in it
}

// keep notes an answer of which there may be evidence, and whether its body is told.
func (f *flight) keep(r *http.Response, body []byte) {
	f.reply = &reply{first: r.Proto + " " + r.Status, header: r.Header}
	if f.failure.class != "" {
		f.reply.body = body
	}
}

// headerOverhead estimates the memory of a header field beside its text, in bytes.
const headerOverhead = 64

// extra returns the memory that the flight holds for evidence, in bytes.
func (f *flight) extra() int64 {
	if f.reply == nil || f.request == nil {
		return 0
	}
	n := len(f.request.URL)
	if len(f.request.Body) > 0 && (len(f.message.Body) == 0 || &f.request.Body[0] != &f.message.Body[0]) {
		n += len(f.request.Body)
	}
	for _, h := range []http.Header{f.request.Header, f.reply.header} {
		for name, values := range h {
			n += headerOverhead + len(name)
			for _, v := range values {
				n += len(v)
			}
		}
	}
	return int64(n)
}

// release forgets what is kept for evidence.
func (f *flight) release() { f.request, f.reply = nil, nil }

// witness keeps the evidence of a run within its bounds. A nil witness keeps none.
type witness struct {
	show func(Evidence)
	left atomic.Int64
}

func newWitness(show func(Evidence)) *witness {
	if show == nil {
		return nil
	}
	w := &witness{show: show}
	w.left.Store(maxEvidence)
	return w
}

// testify hands over the evidence for a sample, and notes in it where that is.
func (w *witness) testify(f *flight, s *reports.Sample) {
	if w == nil || f == nil || f.request == nil || w.left.Add(-1) < 0 {
		return
	}
	e := Evidence{Name: fmt.Sprintf("load-%s-%d.txt", s.Class, s.Seq), Text: f.transcript(s)}
	s.Transcript = reports.TranscriptDir + "/" + e.Name
	w.show(e)
}

// transcript tells the exchange, and what is wrong with it.
func (f *flight) transcript(s *reports.Sample) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# request %d, sent after %v", s.Seq, f.sent.Round(time.Microsecond))
	if s.Profile != "" {
		fmt.Fprintf(&b, ", of %s", s.Profile)
	}
	fmt.Fprintf(&b, "\n%s", provider.ShowRequest(f.request))
	took := (f.done - f.sent).Round(time.Microsecond)
	if r := f.reply; r != nil {
		body := f.answer
		if f.failure.class != "" {
			body = r.body
		}
		b.WriteString(provider.ShowAnswer(fmt.Sprintf("%s after %v", r.first, took), r.header, body, f.failure.class != ""))
	} else {
		fmt.Fprintf(&b, "< no whole answer after %v\n", took)
	}
	fmt.Fprintf(&b, "= %s: expected %s, seen %s\n", s.Class, s.Expected, s.Seen)
	text := b.String()
	if len(text) > maxEvidenceText {
		text = strings.ToValidUTF8(text[:maxEvidenceText-4], "") + "…\n"
	}
	return text
}
