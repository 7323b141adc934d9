package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// ShowRequest tells a request as transcripts do, a line for each of its parts: secrets are placeholders, and the body is told by
// length and fingerprint, for key requests identify devices.
func ShowRequest(r *Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "> %s %s\n", r.Method, r.ShownURL())
	showHeader(&b, ">", r.ShownHeader())
	fmt.Fprintf(&b, "> body: %s\n", ShowBody(r.Body, false))
	return b.String()
}

// ShowAnswer tells an answer as transcripts do, behind a first line such as "HTTP/1.1 200 OK". Header values are redacted by value
// when a report is written. text says that the beginning of the body is shown, if it can be read: that of a refusal or a page, never
// of a license, which carries wrapped keys.
func ShowAnswer(first string, h http.Header, body []byte, text bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "< %s\n", first)
	showHeader(&b, "<", h)
	fmt.Fprintf(&b, "< body: %s\n", ShowBody(body, text))
	return b.String()
}

func showHeader(b *strings.Builder, mark string, h http.Header) {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range h[name] {
			fmt.Fprintf(b, "%s %s: %s\n", mark, name, value)
		}
	}
}

// maxShown is how much of a readable body is shown, in bytes: refusals are short and their words help. A SOAP fault begins with
// some 400 bytes of envelope.
const maxShown = 1000

// ShowBody tells a body by length and fingerprint, and by its beginning if that is wanted and can be read.
func ShowBody(body []byte, text bool) string {
	if len(body) == 0 {
		return "empty"
	}
	what := fmt.Sprintf("%d bytes, fingerprint %s", len(body), secret.FingerprintOf(body))
	if head := string(body[:min(len(body), maxShown)]); text && printable(head) {
		what += ": " + strings.Join(strings.Fields(head), " ")
	}
	return what
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\uFFFD' || r < ' ' && r != '\n' && r != '\r' && r != '\t'
	})
}
