package suites

import (
	"bytes"
	"slices"
	"time"

	"keyflow/reports"
)

// playReadyXML are the checks of bodies that are no challenge, or far too long (sheet playready.md §14.6).
func playReadyXML() []Check {
	return []Check{
		{
			ID: "PR-XML-01", Title: "Malformed XML is refused promptly, with 4xx or 500, and the service goes on",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.6",
			Why:     "Scanners and broken players send anything: a service that hangs or crashes by it can be brought down by anybody.",
			Hint:    "Is the error of the XML parser handled, or does it end the worker as an exception?",
			Needs:   []Need{NeedDevice},
			Timeout: time.Minute,
			Kills: []Kill{
				{"malformed-hangs", reports.Fail, "timeout"},
				{"malformed-resets", reports.Fail, "connection-reset"},
				{"malformed-breaks-next", reports.Fail, reasonUnhealthy},
			},
			Run: malformedXMLIsRefused,
		},
		{
			ID: "PR-XML-04", Title: "A challenge of 1 MiB is served or refused, and a body of 16 MiB is refused before all of it is read",
			Level: reports.Should, Source: "practice; sheet playready.md §14.6",
			Why:     "A service that reads without a limit can be filled up by a few clients.",
			Hint:    "Set a limit for bodies, at the service or at the proxy before it; challenges have 5 to 20 KB.",
			Needs:   []Need{NeedDevice},
			Timeout: 2 * time.Minute,
			Kills:   []Kill{{"body-limit-ignored", reports.Warn, reasonUnbounded}},
			Run:     longChallengesAreBounded,
		},
	}
}

func malformedXMLIsRefused(e *Env) {
	inserted := func(bad string) func([]byte) []byte {
		return func(own []byte) []byte { return slices.Insert(slices.Clone(own), len(own)/2, []byte(bad)...) }
	}
	e.refusesAll(
		malformed{"an empty body", instead(nil)},
		malformed{"a body of text", garbage},
		cutTo(8), cutTo(15),
		malformed{"a challenge without its last end tag", func(own []byte) []byte { return own[:max(0, bytes.LastIndex(own, []byte("</")))] }},
		malformed{"a challenge with a byte that is no UTF-8", inserted("\xff")},
		malformed{"a challenge with a NUL", inserted("\x00")},
	)
}

// longChallengesAreBounded makes challenges longer by white space after the envelope, which XML allows.
func longChallengesAreBounded(e *Env) {
	longer := func(n int) func([]byte) []byte {
		return func(own []byte) []byte { return append(slices.Clip(own), bytes.Repeat([]byte{' '}, n)...) }
	}
	p := &posts{e: e}
	p.wanted(HaveLicense.Name, call{})
	const step = "send a challenge of 1 MiB"
	x, err := p.try(call{body: longer(1 << 20)})
	if err != nil {
		e.failOnSilence(err, step)
	}
	how, miss := e.turnedAway(x)
	switch {
	case x.Granted():
		how = "served"
	case miss != nil:
		miss.Step, miss.Expected = step, "a license, or a refusal with HTTP 413 or another 4xx, or a SOAP fault"
		e.Miss(*miss)
	}
	whole := p.oversized(longer(oversize), false)
	chunks := p.oversized(longer(oversize), true)
	e.Note("1 MiB: %s; 16 MiB: %s; in chunks: %s", how, whole, chunks)
}
