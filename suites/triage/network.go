package triage

import (
	"cmp"
	"fmt"
	"regexp"
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
	{regexp.MustCompile(`CONNECTION_CLOSED|EMPTY_RESPONSE|NET_INTERRUPT|CONTENT_LENGTH_MISMATCH|INCOMPLETE`), provider.ReasonClosed, "the connection ended before the answer was whole: look at the service's log at that time"},
	{regexp.MustCompile(`UNREACHABLE|INTERNET_DISCONNECTED|NETWORK_CHANGED|OFFLINE|PROXY_CONNECTION|TUNNEL`), provider.ReasonUnreachable, "there was no way to the network of the service: VPN, proxy, or no network at all"},
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

// network is the step to an answer of any kind (DNS, TCP, TLS), as far as the browser's word tells it from a refusal to show the answer.
func (w *walk) network() outcome {
	asked := []*record{}
	if w.preflight != nil {
		asked = append(asked, w.preflight)
	}
	asked = append(asked, w.first)
	for _, r := range asked {
		if r.Status != 0 {
			continue
		}
		what := "the request"
		if r == w.preflight {
			what = "the preflight"
		}
		for _, known := range words {
			if known.match.MatchString(word(r)) {
				return failed(known.reason, "an answer", fmt.Sprintf("%s got none; the browser says %s", what, said(r)), known.hint)
			}
		}
	}
	switch {
	case w.first.Status != 0:
		return ok("HTTP %d came", w.first.Status)
	case w.preflight != nil && w.preflight.Status != 0:
		return ok("the preflight was answered")
	case strings.Contains(word(w.first), "ERR_FAILED") && w.foreign():
		return outcome{outcome: reports.TriageNotShown, seen: "the browser says " + said(w.first) + ", which is not the name of a network's error"}
	}
	return failed(reasonNoAnswer, "an answer",
		"the player got none; the browser says "+said(w.first)+": the network, or an answer that was withheld from the page (CORS)",
		"the browser's console tells which of the two; keyflow doctor --profile goes to the host hop by hop")
}
