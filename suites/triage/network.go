package triage

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// The reasons of the network step, beside those of package provider.
const (
	reasonBlocked  drm.Reason = "blocked"
	reasonAborted  drm.Reason = "aborted"
	reasonNoAnswer drm.Reason = "no-answer"
	reasonMixed    drm.Reason = "mixed-content"
)

const (
	hintNoAnswer = "the browser's console tells what kept it; keyflow doctor --profile goes to the host hop by hop"
	hintClosed   = "the connection ended before the answer was whole: look at the service's log at that time"
)

// words are what browsers call the failures of a request that got no answer: the names of Chromium's net errors, and of Firefox's.
var words = []struct {
	match  *regexp.Regexp
	reason drm.Reason
	hint   string
}{
	{regexp.MustCompile(`NAME_NOT_RESOLVED|NAME_RESOLUTION|ERR_DNS|ERR_ICANN|UNKNOWN_HOST`), provider.ReasonDNS, "the host name does not resolve where the player ran: is it the one that the provider gave out?"},
	{regexp.MustCompile(`ERR_CERT_|ERR_SSL_|SEC_ERROR|SSL_ERROR|BAD_SSL|CERT_AUTHORITY`), provider.ReasonTLS, "the browser does not accept the host's TLS: certificate, chain, host name and protocol version; keyflow doctor tells which"},
	{regexp.MustCompile(`CONNECTION_REFUSED`), provider.ReasonRefused, "nothing listens there: is the port right, and is the service up?"},
	{regexp.MustCompile(`TIMED_OUT|NET_TIMEOUT`), provider.ReasonTimeout, "nobody answered in time: a firewall that drops packets, or a service that hangs"},
	{regexp.MustCompile(`CONNECTION_RESET|NET_RESET|HTTP2_|QUIC_`), provider.ReasonReset, "something on the way cuts the connection: a gateway that does not like the request, or a proxy"},
	{regexp.MustCompile(`CONNECTION_CLOSED|EMPTY_RESPONSE|NET_INTERRUPT|CONTENT_LENGTH_MISMATCH|INCOMPLETE`), provider.ReasonClosed, hintClosed},
	{regexp.MustCompile(`UNREACHABLE|INTERNET_DISCONNECTED|NETWORK_CHANGED|OFFLINE|PROXY_CONNECTION|TUNNEL`), provider.ReasonUnreachable, "there was no way to the network of the service: VPN, proxy, or no network at all"},
	{regexp.MustCompile(`UNSAFE_PORT`), reasonBlocked, "the browser connects to no such port, whoever listens there: is the port right?"},
	{regexp.MustCompile(`BLOCKED_BY|CSP|TRACKING|LOCAL_NETWORK`), reasonBlocked, "the browser itself refused to send: an extension, the page's Content-Security-Policy (connect-src), or another policy of the page"},
	{regexp.MustCompile(`MIXED`), reasonMixed, "a page over https may not ask a license server over plain http: give it an https URL"},
	{regexp.MustCompile(`ABORTED`), reasonAborted, "the player gave the request up: its own timeout, or it left the page or the content meanwhile"},
}

// browserWord is the name of a browser's error, and nothing else of what an archive says of it.
var browserWord = regexp.MustCompile(`^(?:net::)?[A-Z][A-Z0-9_]{3,60}`)

// word returns what the browser says of an entry without an answer, "" for nothing.
func word(r *record) string { return browserWord.FindString(strings.TrimSpace(r.Failure)) }

func said(r *record) string {
	return cmp.Or(word(r), "nothing of the reason")
}

// broken says what of the network kept a request, or its preflight, from an answer or from its end; nil if the archive shows nothing of
// the kind.
func broken(r *record) *outcome {
	for _, q := range []*record{r.preflight, r} {
		if q == nil || q.Status != 0 && q.answer.System != "" { // a message that is whole came, whatever else is said
			continue
		}
		what := "the request got no answer"
		switch {
		case q.Status != 0:
			what = fmt.Sprintf("HTTP %d, and not the whole answer", q.Status)
		case q == r.preflight:
			what = "the preflight got no answer"
		}
		for _, known := range words {
			if known.match.MatchString(word(q)) {
				o := failed(known.reason, "an answer", what+"; the browser says "+said(q), known.hint)
				return &o
			}
		}
		if q.Status == 0 && q == r.preflight && word(q) == "" { // Firefox names no errors, and shows the status of a refusal
			o := failed(reasonNoAnswer, "an answer", what+"; the browser says "+said(q), hintNoAnswer)
			return &o
		}
		if n, due := cutShort(q); due > 0 {
			o := failed(provider.ReasonClosed, fmt.Sprintf("an answer of %d bytes, as Content-Length says", due), fmt.Sprintf("HTTP %d, and %d bytes of it", q.Status, n), hintClosed)
			return &o
		}
	}
	return nil
}

// cutShort returns how many bytes of an answer came, and how many were due, 0 if it is whole or the archive does not tell.
func cutShort(r *record) (came, due int64) {
	length, err := strconv.ParseInt(r.AnswerHeader.Get("Content-Length"), 10, 64)
	if err != nil || r.Answer.Size == 0 || length <= r.Answer.Size || r.AnswerHeader.Get("Content-Encoding") != "" {
		return 0, 0
	}
	return r.Answer.Size, length
}

// network is the step to an answer of any kind (DNS, TCP, TLS), as far as the browser's word tells it from a refusal to show the answer.
func (w *walk) network() outcome {
	if o := broken(w.first); o != nil {
		return *o
	}
	asked := w.first.preflight != nil
	refused := asked && w.leaveFor(w.first).outcome == reports.TriageFailed
	withheld := strings.Contains(word(w.first), "ERR_FAILED")
	switch {
	case w.first.Status != 0:
		return ok("HTTP %d came", w.first.Status)
	case refused, asked && (withheld || w.first.unsent()):
		return ok("the preflight was answered")
	case withheld && w.foreign():
		return outcome{outcome: reports.TriageNotShown, seen: "the browser says " + said(w.first) + ", which is not the name of a network's error"}
	}
	return failed(reasonNoAnswer, "an answer",
		"the player got none; the browser says "+said(w.first)+": the network, or an answer that was withheld from the page (CORS)", hintNoAnswer)
}
