package suites

import (
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/xmr"
	"keyflow/reports"
)

const (
	reasonBeginMissing drm.Reason = "begin-missing"
	reasonBeginFuture  drm.Reason = "begin-in-future"
	reasonEndFirst     drm.Reason = "end-before-begin"
	reasonIssueDate    drm.Reason = "issue-date"
	reasonLevel        drm.Reason = "security-level-missing"
)

// playReadyPolicy are the checks of what licenses allow (sheet playready.md §14.3).
func playReadyPolicy() []Check {
	return []Check{
		{
			ID: "PR-POL-02", Title: "An end date comes with a begin date",
			Level: reports.Should, Source: "Microsoft's documents; sheet playready.md §14.3, §9.7",
			Why:   "Old clients take a missing begin for one in the future of a clock that was set back.",
			Hint:  "Set the begin to the client's time, or a few minutes before the server's.",
			Kills: []Kill{{"pr-begin-missing", reports.Warn, reasonBeginMissing}},
			Run: func(e *Env) {
				e.eachLimited(func(l playready.License) *Failure {
					if l.XMR.Begin.IsZero() {
						return &Failure{Reason: reasonBeginMissing, Expected: "a begin beside the end " + stamp(l.XMR.End), Seen: "none"}
					}
					return nil
				})
			},
		},
		{
			ID: "PR-POL-03", Title: "A license does not begin in the client's future",
			Level: reports.Should, Source: "Microsoft's documents; sheet playready.md §14.3, §9.7",
			Why:   "Playback fails with \"not yet valid\" on every device whose clock is a little behind.",
			Hint:  "Does the begin follow the ClientTime of the challenge?",
			Kills: []Kill{{"pr-begin-in-future", reports.Warn, reasonBeginFuture}},
			Run: func(e *Env) {
				e.eachLimited(func(l playready.License) *Failure {
					if latest := e.clock().Now().Add(clockSlack); l.XMR.Begin.After(latest) {
						return &Failure{Reason: reasonBeginFuture, Expected: "a begin before " + stamp(latest), Seen: stamp(l.XMR.Begin)}
					}
					return nil
				})
			},
		},
		{
			ID: "PR-POL-04", Title: "A license ends after it begins, and its issue date is now",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.3",
			Why:   "A window that ends before it begins is never open.",
			Hint:  "Are both dates Unix seconds in UTC, begin first?",
			Kills: []Kill{{"pr-end-before-begin", reports.Fail, reasonEndFirst}},
			Run: func(e *Env) {
				e.eachLimited(func(l playready.License) *Failure {
					p, now := l.XMR.Policy, e.clock().Now()
					switch {
					case !p.End.After(p.Begin):
						return &Failure{Reason: reasonEndFirst, Expected: "an end after the begin " + stamp(p.Begin), Seen: stamp(p.End)}
					case !p.Issued.IsZero() && p.Issued.Sub(now).Abs() > startTolerance:
						return &Failure{Reason: reasonIssueDate, Expected: "an issue date of about " + stamp(now), Seen: stamp(p.Issued)}
					}
					return nil
				})
			},
		},
		{
			ID: "PR-SL-01", Title: "A license states its minimum security level: 150, 2000 or 3000",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.3",
			Why:   "Without it a test device plays production content.",
			Hint:  "Is the object 0x0034 in every license, for every kind of client?",
			Kills: []Kill{{"pr-security-level-missing", reports.Fail, reasonLevel}},
			Run:   levelIsStated,
		},
		{
			ID: "PR-SL-02", Title: "A device below the level that a license demands gets none",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.3",
			Why:   "The server is the one that knows both levels: a license that it gives away is in the hands of a device that need not obey.",
			Hint:  "Is the level of the leaf certificate compared with the key's?",
			Needs: []Need{NeedIssuer},
			Kills: []Kill{{"pr-device-level-ignored", reports.Fail, reasonAccepted}},
			Run:   lowDevice,
		},
	}
}

const testLevel = 150 // of test devices, the lowest

func lowDevice(e *Env) {
	own := Require(e, HaveLicense)
	if demanded := own.PlayReady().Licenses[0].XMR.SecurityLevel; demanded <= testLevel {
		e.NotApplicable(fmt.Sprintf("the license demands security level %d, and no device is below it", demanded))
	}
	x, err := e.Exchange(e.issued(testLevel, time.Time{}), Require(e, HaveBox), drm.KindLicense)
	if err != nil {
		e.block("get an answer to a device of security level 150", err)
	}
	for _, l := range x.PlayReady().Licenses {
		if l.XMR != nil && l.XMR.SecurityLevel > testLevel {
			e.Fail(Failure{Reason: reasonAccepted, Step: "ask with a device of security level 150", Expected: "no license for a higher level", Seen: fmt.Sprintf("a license for level %d", l.XMR.SecurityLevel)})
		}
	}
	if x.Granted() {
		e.Note("a device of security level 150 gets a license for its level")
		return
	}
	e.Note("a device of security level 150 is refused with %s", e.refusal(x, "ask with a device of security level 150"))
}

// clockSlack is how far client and server clocks may be apart (sheet §14.3, PR-POL-03).
const clockSlack = time.Minute

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// eachLimited judges the licenses that have an end. If none has, the check does not apply: the answer is the probe.
func (e *Env) eachLimited(judge func(l playready.License) *Failure) {
	limited := 0
	for _, l := range Require(e, haveXMR).PlayReady().Licenses {
		if l.XMR.End.IsZero() {
			continue
		}
		limited++
		if f := judge(l); f != nil {
			f.Step = "read the license"
			e.Fail(*f)
		}
	}
	if limited == 0 {
		e.NotApplicable("the server's licenses have no end")
	}
	e.Note("%d licenses with an end", limited)
}

func levelIsStated(e *Env) {
	for _, l := range Require(e, haveXMR).PlayReady().Licenses {
		switch {
		case !l.XMR.States(xmr.TypeSecurityLevel):
			e.Fail(Failure{Reason: reasonLevel, Step: "read the license", Expected: "a minimum security level", Seen: fmt.Sprintf("license %d: none", l.Index+1)})
		case !slices.Contains([]int{150, 2000, 3000}, l.XMR.SecurityLevel):
			e.Fail(Failure{Reason: reasonLevel, Step: "read the license", Expected: "security level 150, 2000 or 3000", Seen: fmt.Sprintf("license %d: %d", l.Index+1, l.XMR.SecurityLevel)})
		}
	}
}
