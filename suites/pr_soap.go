package suites

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/reports"
)

const (
	reasonActionRefused drm.Reason = "soap-action-refused"
	reasonNoFault       drm.Reason = "no-soap-fault"
	reasonFaultStatus   drm.Reason = "fault-status"
	reasonFaultCode     drm.Reason = "fault-code"
	reasonFaultTalks    drm.Reason = "fault-gives-away"
)

// playReadySOAP are the checks of SOAP and its faults (sheet playready.md §14.6).
func playReadySOAP() []Check {
	return []Check{
		{
			ID: "PR-SOAP-01", Title: "A valid challenge is answered with HTTP 200 and a license response in SOAP 1.1, as text/xml",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.6, §6, §8.1",
			Why:   "Players hand the body to the CDM as it is: JSON, HTML or a response without its envelope means no playback.",
			Hint:  "Look at the transcript: is it the license service that answers, or a proxy, a login page or an error page in front of it?",
			Kills: append(noAnswer(), Kill{"pr-content-type", reports.Fail, provider.ReasonContentType}),
			Run:   responseInSOAP,
		},
		{
			ID: "PR-SOAP-02", Title: "SOAPAction is accepted with double quotes and without",
			Level: reports.Should, Source: "practice; sheet playready.md §14.6, §6",
			Why:   "Real clients send both.",
			Hint:  "Compare the action after its quotes are stripped.",
			Kills: []Kill{{"pr-action-quoted-only", reports.Warn, reasonActionRefused}},
			Run:   actionWithoutQuotes,
		},
		{
			ID: "PR-SOAP-06", Title: "GET, HEAD and PUT get no license, and an answer that is no failure of the service",
			Level: reports.Should, Source: "practice; sheet playready.md §14.6",
			Why:    "Links, caches and crawlers send GET, and send it again: a license must take a POST.",
			Hint:   "Let the route of the license service take POST alone, and answer 405 to the rest.",
			Leaves: leavesMethods,
			Kills:  []Kill{{"method-ignored", reports.Warn, reasonMethodServed}, {"method-500", reports.Warn, reasonServerError}},
			Run: func(e *Env) {
				p := &posts{e: e}
				p.wanted(HaveLicense.Name, call{})
				e.otherMethods(p, false)
			},
		},
		{
			ID: "PR-FLT-01", Title: "A refusal is a SOAP fault with HTTP 500 and a status code of 0x and 8 hexadecimal digits",
			Level: reports.Should, Source: "Microsoft's documents (a MUST for servers of its SDK), practice; sheet playready.md §14.6, §8.4",
			Why:    "Clients key on detail/Exception/StatusCode: without it every refusal is an unknown error.",
			Hint:   "Does the service, or a gateway before it, replace the SDK's fault by an answer of its own?",
			Kills:  []Kill{{"pr-fault-200", reports.Warn, reasonFaultStatus}, {"pr-fault-without-code", reports.Warn, reasonFaultCode}},
			Leaves: leavesRefusals,
			Run:    refusalsAreFaults,
		},
		{
			ID: "PR-FLT-02", Title: "The status code of a fault fits what is wrong",
			Level: reports.Should, Source: "Microsoft's documents; sheet playready.md §14.6, §8.4",
			Why:   "It decides whether a client retries, updates itself, or tells its user.",
			Hint:  "0x8004C601 for a challenge that does not verify, 0x8004C604 for what the service refuses, 0x8004C60B for a version.",
			Kills: []Kill{{"pr-fault-always-600", reports.Warn, reasonFaultCode}},
			Run:   codesFit,
		},
		{
			ID: "PR-FLT-03", Title: "A fault gives away neither stack trace nor path",
			Level: reports.Should, Source: "practice (Microsoft's own sample shows a stack); sheet playready.md §14.6",
			Why:    "A stack trace tells an attacker what runs, in which version, and where.",
			Hint:   "Let the service tell its text, and log the exception.",
			Kills:  []Kill{{"pr-fault-stack-trace", reports.Warn, reasonFaultTalks}},
			Leaves: leavesRefusals,
			Run:    faultsAreDiscreet,
		},
		{
			ID: "PR-FLT-04", Title: "A challenge of an unsupported version is refused with 0x8004C60B",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.6, §7.2",
			Why:   "By it a newer client knows that it must fall back to an older protocol.",
			Hint:  "Is LA/Version read at all?",
			Kills: []Kill{{"pr-version-ignored", reports.Fail, reasonAccepted}, {"pr-fault-always-600", reports.Fail, reasonFaultCode}},
			Run:   versionIsRefused,
		},
	}
}

// leavesRefusals is what the refusal of a stranger does not show of others.
const leavesRefusals = "the refusal of a device that is trusted"

func responseInSOAP(e *Env) {
	x := e.answered()
	e.failOnProblem(x, responseForms...)
	for _, p := range x.Reply.Problems {
		e.Fail(Failure{Reason: p.Reason, Step: stepHTTP, Expected: p.Expected, Seen: p.Seen})
	}
	e.Note("HTTP %d, %d bytes, %d licenses", x.Status, len(x.Reply.Body), len(x.PlayReady().Licenses))
}

func actionWithoutQuotes(e *Env) {
	Require(e, HaveLicense)
	x, err := e.exchange(e.Platform, Require(e, HaveBox), call{kind: drm.KindLicense, edit: func(r *provider.Request) {
		editAction(r, func(action string) string { return strings.Trim(action, `"`) })
	}})
	if err != nil {
		e.block("get an answer to a challenge without quotes around its SOAPAction", err)
	}
	if !x.Granted() {
		e.Fail(Failure{Reason: reasonActionRefused, Step: "send a SOAPAction without quotes", Expected: "a license, as with quotes",
			Seen: e.refusal(x, "send a SOAPAction without quotes")})
	}
}

// badSignature gets the answer to a challenge that every server must refuse.
var badSignature = Step[*Exchange]{"get a refusal for a bad signature", func(e *Env) (*Exchange, error) {
	e.requireLicense()
	x, err := e.Exchange(e.playReadyDevice().WithForge(playready.Forge{Sign: flip}), Require(e, HaveBox), drm.KindLicense)
	if err == nil && x.Granted() {
		err = drm.Finding{Reason: reasonAccepted, Step: stepTampered, Expected: wantRefusal, Seen: x.granted()}
	}
	return x, err
}}

func refusalsAreFaults(e *Env) {
	x := Require(e, badSignature)
	f := x.PlayReady().Fault
	const expected = "HTTP 500 with a SOAP fault that has a status code"
	switch {
	case f == nil:
		e.Fail(Failure{Reason: reasonNoFault, Step: stepTampered, Expected: expected, Seen: fmt.Sprintf("HTTP %d without a SOAP fault (%s)", x.Status, x.Reply.Class)})
	case f.Code == 0:
		e.Fail(Failure{Reason: reasonFaultCode, Step: stepTampered, Expected: expected, Seen: fmt.Sprintf("the status code %.40q", f.Status)})
	case x.Status != http.StatusInternalServerError:
		e.Fail(Failure{Reason: reasonFaultStatus, Step: stepTampered, Expected: expected, Seen: fmt.Sprintf("HTTP %d with fault %s", x.Status, f.Code)})
	}
	e.Note("HTTP %d, %s", x.Status, f.Code)
}

// fault returns the fault of a refusal. That it is none, or has no code, blocks the check: another one judges it.
func (e *Env) fault(x *Exchange) *soap.Fault {
	return Require(e, Step[*soap.Fault]{"get a SOAP fault", func(*Env) (*soap.Fault, error) {
		if f := x.PlayReady().Fault; f != nil && f.Code != 0 {
			return f, nil
		}
		return nil, drm.Finding{Reason: reasonNoFault, Step: "read the refusal", Expected: "a SOAP fault with a status code", Seen: fmt.Sprintf("HTTP %d (%s)", x.Status, x.Reply.Class)}
	}})
}

func (e *Env) codeIs(x *Exchange, what string, want ...soap.Code) {
	if f := e.fault(x); !slices.Contains(want, f.Code) {
		e.Fail(Failure{Reason: reasonFaultCode, Step: what, Expected: fmt.Sprintf("a fault with code %s", want[0]), Seen: f.Code.String()})
	}
}

func codesFit(e *Env) {
	e.codeIs(Require(e, badSignature), "send a bad signature", soap.CodeInvalidMessage)
	h := pssh.WRMHeader{Version: e.multiVersion(), KIDs: []pssh.HeaderKID{{KID: drm.KID(random16()), Algorithm: e.algorithm()}}}
	x := e.ask(h)
	if x.Granted() {
		e.block("get a refusal for an unknown KID", drm.Finding{Reason: reasonMadeUpKey, Step: "ask for a random KID", Expected: wantRefusal, Seen: x.granted()})
	}
	e.codeIs(x, "ask for a random KID", soap.CodeServiceSpecific, soap.CodeInvalidMessage)
	e.Note("bad signature: %s; unknown KID: %s", soap.CodeInvalidMessage, e.fault(x).Code)
}

// talk matches what no fault should tell: frames of a stack trace and paths of source files.
var talk = regexp.MustCompile(`(?m)(\bat [\w.<>` + "`" + `]+\([^)]*\)|\.(cs|java|go|py|js):(line )?\d+|[A-Z]:\\[\w\\]+|/(home|usr|var|opt|srv)/[\w./-]+|goroutine \d+|Traceback)`)

func faultsAreDiscreet(e *Env) {
	x := Require(e, badSignature)
	if told := talk.FindString(string(x.Reply.Body)); told != "" {
		e.Fail(Failure{Reason: reasonFaultTalks, Step: "read the refusal", Expected: "a text without stack traces and paths", Seen: fmt.Sprintf("%.60q", told)})
	}
}

func versionIsRefused(e *Env) {
	version := func(text string) playready.Forge {
		return playready.Forge{LA: func(la *soap.LA) { la.Version = text }}
	}
	for _, x := range e.mustRefuseChallenge(version("99"), version("0"), version("")) {
		e.codeIs(x, "send a challenge of an unsupported version", soap.CodeVersionMismatch)
	}
}
