package suites

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
	"keyflow/reports"
)

// widevineRobustness are the checks of what is no key request, or one out of the ordinary (sheet widevine.md §18, "Robustness").
func widevineRobustness() []Check {
	const practice = "practice; sheet widevine.md §18"
	const necessity = "protocol necessity; sheet widevine.md §18"
	return []Check{
		{
			ID: "WV-ROB-01", Title: "A body that is no key request is refused with 4xx or an error response, and the service goes on",
			Level: reports.Must, Source: necessity,
			Why:     "Scanners and broken players send anything: a service that answers 500, hangs or crashes by it can be brought down by anybody.",
			Hint:    "Is the error of the parser handled, or does it end the request or the worker as an exception?",
			Needs:   []Need{NeedDevice},
			Timeout: time.Minute,
			Kills: []Kill{
				{"wv-malformed-500", reports.Fail, reasonServerError},
				{"malformed-hangs", reports.Fail, "timeout"},
				{"malformed-resets", reports.Fail, "connection-reset"},
				{"malformed-breaks-next", reports.Fail, reasonUnhealthy},
			},
			Run: func(e *Env) {
				e.refusesAll(
					malformed{"a body of 1 byte", instead([]byte{0xff})},
					malformed{"a body of 1 KiB of random bytes", instead(slices.Concat([]byte{0xff}, randomBytes(1023)))},
					malformed{"a body of text", garbage},
				)
			},
		},
		{
			ID: "WV-ROB-02", Title: "A key request that is cut off, at every sixteenth of its length, is refused",
			Level: reports.Must, Source: necessity,
			Why:     "A parser that takes what has arrived for the whole verifies a signature over less than what was signed, or none.",
			Hint:    "Does the parser tell a field that ends early from one that is complete?",
			Leaves:  "whether what is cut off of a request of a device that is trusted gets a license",
			Timeout: time.Minute,
			Kills: []Kill{
				{"wv-truncated-accepted", reports.Fail, reasonAccepted},
				{"wv-malformed-500", reports.Fail, reasonServerError},
				{"malformed-hangs", reports.Fail, "timeout"},
				{"malformed-resets", reports.Fail, "connection-reset"},
			},
			Run: cutRequestsAreRefused,
		},
		{
			ID: "WV-ROB-03", Title: "An empty body is refused with 4xx",
			Level: reports.Must, Source: necessity,
			Why:   "Proxies and body parsers lose bodies: taken for a request for the certificate, or answered with 500, that looks like another fault.",
			Hint:  "Does the service look at the length before it parses? An empty body is a valid protobuf message.",
			Needs: []Need{NeedDevice},
			Kills: []Kill{
				{"wv-empty-is-certificate-request", reports.Fail, reasonUnclear},
				{"wv-malformed-500", reports.Fail, reasonServerError},
				{"malformed-hangs", reports.Fail, "timeout"},
				{"malformed-resets", reports.Fail, "connection-reset"},
				{"malformed-breaks-next", reports.Fail, reasonUnhealthy},
			},
			Run: func(e *Env) { e.refusesAll(malformed{"an empty body", instead(nil)}) },
		},
		{
			ID: "WV-ROB-05", Title: "A client id of 64 KB is served or refused, and a body of 16 MiB is refused before all of it is read",
			Level: reports.Should, Source: practice,
			Why:     "A service that reads without a limit can be filled up by a few clients.",
			Hint:    "Set a limit for bodies, at the service or at the proxy before it; key requests have 2 to 10 KB.",
			Needs:   []Need{NeedDevice},
			Timeout: 2 * time.Minute,
			Kills:   []Kill{{"body-limit-ignored", reports.Warn, reasonUnbounded}},
			Run:     largeRequestsAreBounded,
		},
		{
			ID: "WV-ROB-09", Title: "GET, HEAD and PUT are refused with 4xx, and a body in chunks is taken",
			Level: reports.Should, Source: practice + ", RFC 9110 §15.5.6, RFC 9112 §7.1",
			Why:     "Links, caches and crawlers send GET; HTTP clients that stream their body send no Content-Length.",
			Hint:    "Let the route take POST alone and answer 405 to the rest; look for a proxy or framework that wants a Content-Length.",
			Leaves:  leavesMethods,
			Timeout: time.Minute,
			Kills: []Kill{
				{"method-ignored", reports.Warn, reasonMethodServed},
				{"method-500", reports.Warn, reasonServerError},
				{"get-answered", reports.Warn, reasonMethodTaken},
				{"chunked-refused", reports.Warn, reasonChunked},
			},
			Run: func(e *Env) {
				p := &posts{e: e}
				before := p.wanted(HaveLicense.Name, call{})
				e.otherMethods(p, true)
				e.chunked(p, before)
			},
		},
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

func cutRequestsAreRefused(e *Env) {
	bodies := []malformed{{"a key request that lacks its last byte", func(own []byte) []byte { return own[:len(own)-1] }}}
	for n := 15; n > 0; n-- {
		bodies = append(bodies, cutTo(n))
	}
	p := &posts{e: e}
	p.wanted(HaveLicense.Name, call{})
	e.Note("%d cuts refused: %s", len(bodies), p.refuses(bodies...))
}

// largeID is the length of a client id that is large and might still be one, in bytes.
const largeID = 64 << 10

// padding is the number of a field that SignedMessage does not have.
const padding = 200

func largeRequestsAreBounded(e *Env) {
	p := &posts{e: e}
	p.wanted(HaveLicense.Name, call{})
	large := e.largeClientID(p)
	grow := func(own []byte) []byte {
		own = protowire.AppendTag(slices.Clip(own), padding, protowire.BytesType)
		return protowire.AppendBytes(own, make([]byte, oversize))
	}
	whole := p.oversized(grow, false)
	chunks := p.oversized(grow, true)
	e.Note("client id of 64 KB: %s; 16 MiB: %s; in chunks: %s", large, whole, chunks)
}

// largeClientID sends a right request whose client id has one long value more. It may be served or refused.
func (e *Env) largeClientID(p *posts) string {
	const step = "send a client id of 64 KB"
	forge := widevine.Forge{ClientID: func(id []byte) []byte {
		more, err := proto.Marshal(&wire.ClientIdentification{ClientInfo: []*wire.ClientIdentification_NameValue{{
			Name: proto.String("padding"), Value: proto.String(strings.Repeat("x", largeID)),
		}}})
		if err != nil {
			e.block(step, &HarnessError{err})
		}
		return append(id, more...)
	}}
	x, err := p.e.Exchange(e.device().WithForge(forge), Require(e, HaveBox), drm.KindLicense)
	if err != nil {
		e.failOnSilence(err, step)
	}
	how, miss := e.turnedAway(x)
	switch {
	case x.Granted():
		return "served"
	case miss != nil:
		miss.Step, miss.Expected = step, "a license, or a refusal with HTTP 413 or another 4xx"
		e.Miss(*miss)
	}
	return how
}
