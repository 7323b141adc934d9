package suites

import (
	"errors"
	"fmt"
	"time"

	"github.com/onsi/gomega"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/reports"
)

// widevineLicense are the checks of a normal license (sheet widevine.md §18, "Normal license").
func widevineLicense() []Check {
	return []Check{
		{
			ID: "WV-LIC-01", Title: "A valid key request is answered with HTTP 200 and a license message that parses",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §8.5",
			Why:   "Players hand the body to the CDM as it is: JSON, HTML or another message type means no playback.",
			Hint:  "Look at the transcript: is it the license service that answers, or a proxy, a login page or an error page in front of it?",
			Kills: append(noAnswer(), Kill{"wv-answer-wrong-type", reports.Fail, widevine.ReasonMessageType}, Kill{"raw-when-json-asked", reports.Fail, provider.ReasonForm}),
			Run:   licenseParses,
		},
		{
			ID: "WV-LIC-02", Title: "The session key is RSAES-OAEP with SHA-1 for the requesting device and has 16 bytes",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §8.1",
			Why:   "A device that cannot unwrap the session key cannot use the license at all.",
			Hint:  "Which hash does the server's OAEP use, and does it take the key of the device certificate of this request?",
			Kills: []Kill{{"wv-session-key-oaep-sha256", reports.Fail, widevine.ReasonSessionKey}},
			Run: func(e *Env) {
				x := Require(e, HaveEnvelope)
				e.FailOn(x.Observation, widevine.ReasonSessionKeyLen, widevine.ReasonSessionKey)
				e.Note("session key of 16 bytes, fingerprint withheld: it is fresh for every license")
			},
		},
		{
			ID: "WV-LIC-03", Title: "The license signature is HMAC-SHA256 over the raw message with the server's derived key",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §8.2, §8.3",
			Why:  "CDMs drop a license whose signature does not verify; a server that signs wrongly plays on lenient clients only.",
			Hint: "Which of the derived keys signs, and are the bytes that are signed the bytes that are sent?",
			Kills: []Kill{
				{"wv-license-hmac-client-key", reports.Fail, widevine.ReasonSignature},
				{"wv-answer-of-another-request", reports.Fail, widevine.ReasonSignature},
			},
			Run: func(e *Env) {
				x := Require(e, HaveSessionKey)
				e.FailOn(x.Observation, widevine.ReasonNoSignature, widevine.ReasonSignature, widevine.ReasonSignatureCore)
				e.Note("verified over %d bytes as received", len(x.Answer().Envelope.GetMsg()))
			},
		},
		{
			ID: "WV-LIC-04", Title: "The license's request_id equals the request's, byte for byte",
			Level: reports.Must, Source: "protocol necessity, schema; sheet widevine.md §18, §8.5",
			Why:  "It binds the license to the request; CDMs that look the request up by it find nothing.",
			Hint: "Does the server echo the bytes, or does it decode, re-encode or cache them?",
			Kills: []Kill{
				{"wv-request-id-constant", reports.Fail, widevine.ReasonRequestID},
				{"wv-answer-of-another-request", reports.Fail, widevine.ReasonRequestID},
			},
			Run: func(e *Env) {
				x := Require(e, HaveParsed)
				e.FailOn(x.Observation, widevine.ReasonRequestID)
			},
		},
		{
			ID: "WV-LIC-06", Title: "Session key, IVs and session_id are fresh for every license",
			Level: reports.Must, Source: "protocol necessity (session key, IV), schema (session_id: SHOULD); sheet widevine.md §18",
			Why:  "A repeated session key or IV lets one license be read with another.",
			Hint: "Is there a cache of licenses or of session keys in front of or inside the server?",
			Kills: []Kill{
				{"wv-session-key-constant", reports.Fail, reasonSessionKeyRepeated},
				{"wv-iv-constant", reports.Fail, reasonIVRepeated},
			},
			Run: licensesAreFresh,
		},
		{
			ID: "WV-LIC-09", Title: "license_start_time is the request's time, or the server's within five minutes",
			Level: reports.Should, Source: "schema; sheet widevine.md §18, §9",
			Why:   "All windows of the policy count from it: a license that starts at 0 or in another unit is expired at once, or never.",
			Hint:  "Is it in seconds, in UTC, and taken from the request?",
			Kills: []Kill{{"wv-start-time-milliseconds", reports.Warn, reasonStartTime}},
			Run:   startTimeIsNow,
		},
	}
}

// Reasons that only checks can tell, because they compare several answers or an answer with the asset.
const (
	reasonSessionKeyRepeated drm.Reason = "session-key-repeated"
	reasonIVRepeated         drm.Reason = "iv-repeated"
	reasonSessionIDRepeated  drm.Reason = "session-id-repeated"
	reasonStartTime          drm.Reason = "start-time"
)

// noAnswer are the faults of connection and HTTP, for the check of each system that wants an answer at all.
func noAnswer() []Kill {
	return []Kill{
		{"html-200", reports.Fail, provider.ReasonHTML},
		{"refuse-with-503", reports.Fail, provider.ReasonStatus},
		{"truncated-body", reports.Fail, provider.ReasonTruncated},
		{"connection-reset", reports.Fail, provider.ReasonReset},
		{"never-answers", reports.Fail, provider.ReasonTimeout},
		{"endless-body", reports.Fail, provider.ReasonTooLarge},
	}
}

// answered gets the answer to a key request for the asset. That none comes is the check's own failure, not a block: it is the
// one that judges it.
func (e *Env) answered() *Exchange {
	x, err := e.Exchange(e.Platform, Require(e, HaveBox), drm.KindLicense)
	var token *provider.TokenError
	var transport *provider.TransportError
	switch {
	case errors.As(err, &token): // another service's fault
		e.block("take a lease", err)
	case errors.As(err, &transport) && e.run.Err() == nil && !transport.Unreachable():
		e.Fail(Failure{Reason: transport.Reason, Step: "send the key request", Expected: transport.Expected, Seen: transport.Seen})
	case err != nil:
		e.block("get an answer to a key request", err)
	}
	return x
}

func licenseParses(e *Env) {
	x := e.answered()
	e.failOnProblem(x, widevine.ReasonEmptyAnswer, widevine.ReasonNotProtobuf, widevine.ReasonMessageType,
		widevine.ReasonLicenseError, widevine.ReasonLicenseParse)
	e.Note("HTTP %d, %d bytes, %d key containers", x.Status, len(x.Reply.Body), len(x.Answer().Containers))
}

// freshLicenses is how many licenses are compared (sheet §18: 20).
const freshLicenses = 20

func licensesAreFresh(e *Env) {
	sessionKeys, sessionIDs, ivs := map[string]int{}, map[string]int{}, map[string]int{}
	for i := range freshLicenses {
		a := Require(e, HaveLicense).Answer()
		e.unique(sessionKeys, string(a.SessionKey), i, Failure{Reason: reasonSessionKeyRepeated, Expected: "a fresh session key for every license"})
		e.unique(sessionIDs, string(a.License.GetId().GetSessionId()), i, Failure{Reason: reasonSessionIDRepeated, Expected: "a fresh session_id for every license", Level: reports.Should})
		for _, c := range a.Containers {
			e.unique(ivs, string(c.Wire.GetIv()), i, Failure{Reason: reasonIVRepeated, Expected: "fresh IVs in every license"})
		}
	}
	e.Note("%d licenses compared", freshLicenses)
}

// unique notes a failure if the value was seen in an earlier license.
func (e *Env) unique(seen map[string]int, value string, license int, f Failure) {
	first, repeated := seen[value]
	if !repeated {
		seen[value] = license
		return
	}
	if first != license {
		f.Step = "compare licenses"
		f.Seen = fmt.Sprintf("licenses %d and %d have the same (fingerprint %s)", first+1, license+1, secret.FingerprintOf([]byte(value)))
		e.Miss(f)
	}
}

// startTolerance is how far server and harness clocks may be apart.
const startTolerance = 5 * time.Minute

func startTimeIsNow(e *Env) {
	x := Require(e, HaveParsed)
	start, now := x.Answer().License.GetLicenseStartTime(), e.clock().Now()
	e.Because(reasonStartTime, "read the license", fmt.Sprintf("about %d (%s)", now.Unix(), now.UTC().Format(time.RFC3339))).
		Expect(time.Unix(start, 0).UTC()).To(gomega.BeTemporally("~", now, startTolerance), "license_start_time %d", start)
}
