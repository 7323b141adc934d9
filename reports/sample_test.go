package reports

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The golden reports: every outcome and every state is in one of them.
var goldenReports = map[string]func() *Report{
	"outcomes":    outcomesReport,
	"passed":      passedReport,
	"load":        loadReport,
	"load-missed": loadMissedReport,
	"load-mix":    loadMixReport,
	"load-shape":  loadShapeReport,
	"load-cut":    loadCutReport,
	"load-kinds":  loadKindsReport,
	"empty":       emptyReport,
	"interrupted": interruptedReport,
	"withheld":    withheldReport,
	"hostile":     hostileReport,
	"triage":      triageReport,
}

var testStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func baseReport(command string) *Report {
	return &Report{
		Schema: Schema,
		Tool:   Tool{Name: "keyflow", Version: "v0.1.0", Go: "go1.26"},
		Run:    Run{ID: "20260102-030405-7f3a", Command: command, Started: testStart, Finished: testStart.Add(4210 * time.Millisecond), Seed: 4242},
		Target: Target{
			Kind: "embedded fakes", Profiles: []string{"plain-widevine"}, URLs: []string{"http://127.0.0.1:41873/widevine/license"},
			Assets: []string{"testcard"}, Platform: "harness",
		},
		Requirements: Requirements{
			Name: "keyflow-widevine", Version: "1.0", Checks: 17, Musts: 12,
			Digest: "5f0c1d9a3f6b8e2d7c4a1b0e9f8d7c6b5a4938271605f4e3d2c1b0a99887766a",
		},
	}
}

func passedReport() *Report {
	r := baseReport("check")
	r.Results = checks([]Result{
		{ID: "WV-LIC-01", Title: "a valid request is answered with a license", Level: Must, Area: "license", Source: "widevine.md §14 WV-LIC-01", Outcome: Pass, Note: "3 keys, SignedMessage type 2"},
		{ID: "WV-KEY-01", Title: "every KID of the box has a content key", Level: Must, Area: "keys", Source: "widevine.md §14 WV-KEY-01", Outcome: Pass},
	})
	r.Verdict = Verdict{
		State: Passed, Exit: ExitOK, Summary: "2 of 2 selected checks passed", Counts: map[Outcome]int{Pass: 2},
		Claim: Claim{Conformant: true, Text: "conformant to keyflow-widevine 1.0 (digest 5f0c1d9a)"},
	}
	return r
}

func outcomesReport() *Report {
	r := baseReport("check")
	r.Target.Faults = []string{"wv-wrong-mac", "wv-lazy-request-id"}
	r.Results = checks([]Result{
		{ID: "WV-LIC-01", Title: "a valid request is answered with a license", Level: Must, Area: "license", Outcome: Pass, Note: "SignedMessage type 2, 1 214 bytes, parsed to the end", Transcript: "transcripts/WV-LIC-01.txt"},
		{ID: "WV-LIC-02", Title: "the session key is wrapped for this device", Level: Must, Area: "license", Outcome: Pass},
		{
			ID: "WV-LIC-03", Title: "the license's HMAC-SHA256 verifies under the server MAC key", Level: Must, Area: "license", Outcome: Fail,
			Reason: "bad-mac", Step: "process the license", Expected: "HMAC-SHA256 over the raw message bytes, under macServer, 32 bytes",
			Seen: "32 bytes that do not verify under macServer; they do verify under macClient",
			Hint: "The server signs with the client's half of the derived key. Derive both halves with the counters 1 to 4 and use counters 1 and 2 for the server.", Transcript: "transcripts/WV-LIC-03.txt",
		},
		{
			ID: "WV-LIC-04", Title: "id.request_id equals the request's, byte for byte", Level: Must, Area: "license", Outcome: Fail,
			Reason: "wrong-request-id", Step: "judge the answer", Expected: "3132333435363738", Seen: "the id of the request before this one: an answer that belongs to another session",
			Hint: "Look for a response cache in front of the license service, or a pooled message that is not reset.", Transcript: "transcripts/WV-LIC-04.txt",
		},
		{ID: "WV-LIC-05", Title: "id.session_id is present and not empty", Level: Should, Area: "license", Outcome: Warn, Reason: "no-session-id", Expected: "a session id of at least 1 byte", Seen: "the field is absent", Hint: "Renewals cannot be tied to a session without it."},
		{ID: "WV-LIC-06", Title: "session keys and IVs are fresh for every license", Level: Must, Area: "license", Outcome: Pass, Note: "20 licenses, no repeat", Partial: "whether a key is ever repeated"},
		{ID: "WV-LIC-09", Title: "license_start_time is the request's time", Level: May, Area: "license", Outcome: Info, Expected: "2026-01-02T03:04:05Z ± 5 s", Seen: "absent"},
		{ID: "WV-KEY-01", Title: "every KID of the box has a content key", Level: Must, Area: "keys", Outcome: Blocked, Reason: "step-failed", BlockedBy: "process the license", Note: "no key can be used"},
		{ID: "WV-KEY-02", Title: "decrypted media is media", Level: Must, Area: "keys", Outcome: Unverifiable, Reason: "no-decoder", Note: "video needs ffmpeg to be proven", Hint: "Install ffmpeg or use the embedded assets."},
		{ID: "WV-KEY-03", Title: "keys are not shared between tracks", Level: Should, Area: "keys", Outcome: Pass},
		{ID: "WV-SIG-01", Title: "a request with a flipped signature bit is refused", Level: Must, Area: "signature", Outcome: Pass, Note: "refused with 403; the untampered twin was accepted"},
		{ID: "WV-SIG-02", Title: "a request without a signature is refused", Level: Must, Area: "signature", Outcome: Error, Reason: "harness", Step: "forge the request", Seen: "forge request: marshal: field 3 is required", Hint: "This is a fault of keyflow, not of the target: please report it."},
		{ID: "WV-SIG-05", Title: "a PKCS#1 v1.5 signature is refused", Level: Should, Area: "signature", Outcome: Excluded, Reason: "filter", Note: "not selected by --id"},
		{ID: "WV-REN-01", Title: "a renewal extends the license", Level: Must, Area: "renewal", Outcome: NotApplicable, Reason: "capability", Note: "the profile states capabilities: {renewal: false}"},
		{ID: "WV-REN-02", Title: "a renewal keeps the session", Level: Must, Area: "renewal", Outcome: NotRun, Reason: "interrupted", Note: "the run ended before it"},
		{ID: "WV-REN-03", Title: "another device cannot renew", Level: Must, Area: "renewal", Outcome: Unverifiable, Reason: "no-second-device", Note: "needs a second device that the server trusts"},
	})
	r.NotJudged = []NotJudged{{
		Reason: "no-second-device", Need: "a second device that the server trusts", Results: 1, Checks: []string{"WV-REN-03"}, Partly: []string{"WV-LIC-06"},
		Ways: []Way{{Platform: "harness", Give: "--authority DIR: for your own test server", Judges: 2}, {Platform: "captured", Give: "--har FILE", Judges: 1}},
	}}
	r.Verdict = Verdict{
		State: Failed, Exit: 1, Summary: "2 of 16 checks missed a MUST, 1 ended in an error of the harness",
		Claim:  Claim{Text: "no claim: 2 MUST failed, 4 were not decided", Missing: []string{"WV-LIC-03 (fail)", "WV-LIC-04 (fail)", "WV-KEY-01 (blocked)", "WV-KEY-02 (unverifiable)", "WV-SIG-02 (error)", "WV-REN-02 (not run)"}},
		Counts: map[Outcome]int{Pass: 5, Fail: 2, Warn: 1, Info: 1, Blocked: 1, Unverifiable: 2, NotRun: 1, NotApplicable: 1, Excluded: 1, Error: 1},
	}
	return r
}

// checks fills in what the checks of a sample have in common.
func checks(rs []Result) []Result {
	for i := range rs {
		r := &rs[i]
		r.System, r.Profile, r.Asset = "widevine", "plain-widevine", "testcard"
		if r.Source == "" {
			r.Source = "widevine.md §14 " + r.ID
		}
		if r.Outcome != NotRun && r.Outcome != Excluded && r.Outcome != NotApplicable {
			r.Started = testStart.Add(time.Duration(i) * 50 * time.Millisecond)
			r.DurationMS = 3.25 + 11.125*float64(i)
		}
	}
	return rs
}

func emptyReport() *Report {
	r := baseReport("check")
	r.Target, r.Requirements = Target{}, Requirements{}
	r.Run.Finished = r.Run.Started
	r.Verdict = Verdict{State: Incomplete, Exit: 5, Summary: "no check was selected", Claim: Claim{Text: "no claim: nothing was verified"}}
	return r
}

func interruptedReport() *Report {
	r := baseReport("check")
	r.Run.Interrupted = "interrupt signal during WV-LIC-02"
	r.Results = checks([]Result{
		{ID: "WV-LIC-01", Title: "a valid request is answered with a license", Level: Must, Area: "license", Outcome: Pass},
		{ID: "WV-LIC-02", Title: "the session key is wrapped for this device", Level: Must, Area: "license", Outcome: NotRun, Note: "the run ended before it"},
		{ID: "WV-LIC-05", Title: "id.session_id is present and not empty", Level: Should, Area: "license", Outcome: NotRun, Note: "the run ended before it"},
	})
	r.Results[2].Variant = "offline"
	r.Verdict = Verdict{
		State: Incomplete, Exit: 5, Summary: "interrupted: 1 of 3 checks passed, 2 were not run",
		Claim: Claim{Text: "no claim: the run was interrupted", Missing: []string{"WV-LIC-02 (not run)"}}, Counts: map[Outcome]int{Pass: 1, NotRun: 2},
	}
	return r
}

func withheldReport() *Report {
	r := passedReport()
	r.Results[0].Note = withheld
	return markFailed(r, []string{"results[1].note", "report.html"}, []string{"PROVIDER_TOKEN"})
}

// loadReport is a good run: one stall in the middle, nothing lost.
func loadReport() *Report {
	r := baseReport("load")
	r.Run.Finished = testStart.Add(61 * time.Second)
	counted := int64(30000)
	l := &Load{
		Plan: Plan{Shape: "constant", RatePerSec: 500, DurationMS: 60000, Requests: 30000, Verify: "all", Workers: 256, KeyRequests: KeyRequests{Source: Corpus, Corpus: &CorpusFile{
			Digest: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", Entries: 40000, Oldest: testStart.Add(-90 * time.Minute), AgeMS: 5_400_000,
		}}},
		Accounting: Accounting{Planned: 30000, Sent: 30000, Answered: 30000, Verified: 30000, ServerCounted: &counted, Balanced: true},
		Rate:       Rate{AskedPerSec: 500, AchievedPerSec: 499.98, AnsweredPerSec: 499.6, Percent: 99.996},
		Operations: []Operation{{
			Name:    "license",
			Latency: Percentiles{Count: 30000, Min: 812, Mean: 2710.4, P50: 1730, P90: 3610, P95: 5240, P99: 41800, P999: 187000, Max: 212300, Histogram: "HISTFAAAAA=="},
			Service: Percentiles{Count: 30000, Min: 790, Mean: 1912.5, P50: 1690, P90: 3100, P95: 3900, P99: 8200, P999: 21000, Max: 203400},
			Lag:     Percentiles{Count: 30000, Min: 1, Mean: 97.2, P50: 40, P90: 180, P95: 260, P99: 980, P999: 4100, Max: 9900},
		}},
		SLOs: []SLO{
			{Expression: "p99<250ms", Kept: true, Seen: "41.8 ms"}, {Expression: "errors==0", Kept: true, Seen: "0", Implied: true},
			{Expression: "wrong==0", Kept: true, Seen: "0", Implied: true},
		},
		Generator: Generator{MintedAhead: 4096, CPUSeconds: 41.2, GCPauses: 212, MaxHeapBytes: 187_000_000, VerifySeconds: 0.41},
	}
	l.Seconds = seconds(60, func(i int, s *Second) {
		if i >= 31 && i < 34 { // a stall of the server, and its queue
			s.Answered = []int64{120, 480, 900}[i-31]
			s.P50, s.P99, s.Max = 64000, 187000, 212300
		}
	})
	l.Traffic = Traffic{BytesSent: 54_790_000, BytesReceived: 16_417_000, WireSent: 59_300_000, WireReceived: 21_700_000, Connections: 256, ConnectionsOpen: 256}
	l.Usage = usage(21)
	r.Load = l
	r.Verdict = Verdict{State: Passed, Summary: "30000 licenses at 500/s, all verified, 3 of 3 objectives kept", Claim: Claim{Text: "no claim: a load run makes none"}}
	return r
}

// loadMissedReport is a bad run: failures, wrong licenses, requests that are unaccounted for, a limited generator.
func loadMissedReport() *Report {
	r := loadReport()
	counted := int64(27011)
	l := r.Load
	l.Plan.KeyRequests = KeyRequests{Source: Replay, Replay: &Replayed{Requests: 3, Known: 1}}
	l.Accounting = Accounting{
		Planned: 30000, Sent: 27040, NotSent: map[string]int64{"worker-bound": 2900, "interrupted": 60},
		Answered: 26990, Failed: map[string]int64{"timeout": 31, "http-503": 17}, Verified: 26970, Unverified: 3, Wrong: 17,
		WrongBy: map[string]int64{"wrong-request-id": 12, "bad-mac": 5}, ServerCounted: &counted,
	}
	l.Rate = Rate{AskedPerSec: 500, AchievedPerSec: 450.7, AnsweredPerSec: 449.8, Percent: 90.13}
	l.SLOs = []SLO{
		{Expression: "p99<250ms", Seen: "1.21 s"}, {Expression: "errors==0", Seen: "48", Implied: true},
		{Expression: "wrong==0", Seen: "17", Implied: true}, {Expression: "p50<20ms", Kept: true, Seen: "1.73 ms"},
	}
	l.Generator.Limited, l.Generator.Why, l.Generator.WorkerBound = true, "the bound of 256 workers was hit 2900 times", 2900
	l.Seconds = seconds(600, func(i int, s *Second) {
		if i%97 > 90 {
			s.Failed, s.Wrong, s.Answered = int64(i%7), int64(i%3), s.Answered-int64(i%7)
			s.FailedBy, s.WrongBy = map[string]int64{"timeout": s.Failed}, map[string]int64{"bad-mac": s.Wrong}
			s.P99, s.Max = s.P99*60, s.Max*90
		}
		if i >= 400 && i < 420 {
			s.Answered, s.P50, s.P99, s.Max, s.Failed = 0, 0, 0, 0, 15
			s.FailedBy = map[string]int64{"http-503": 5, "http-500": 4, "reset": 3, "dial": 2, "tls": 1}
		}
	})
	l.Usage = usage(40)
	l.JournalLost = &JournalLost{At: 417, Why: "write journal: no space left on device"}
	l.Verification = &Verification{Sampled: 1350, Wrong: 2, Others: 25_600, AtMost: 0.004655, Confidence: 0.95, Unjudged: 40}
	l.Tokens = &Tokens{Taken: 14, Renewed: 13, Failed: 9, Outages: []Outage{{AtMS: 21_000, MS: 10_040, Class: "connection-refused"}}}
	l.Throttled = &Throttled{Answers: 17, RetryAfter: 5, LongestMS: 120_000, Polite: true, Pauses: 2, PausedMS: 61_500}
	l.Samples = []Sample{
		{Class: "wrong-request-id", Seq: 10412, Expected: "request id 9f1c…", Seen: "request id 77ab…", Transcript: "transcripts/load-wrong-request-id-10412.txt"},
		{Class: "timeout", Seq: 20001, Seen: "no answer within 5 s"},
	}
	r.Run.Interrupted = "interrupt signal after 10 min"
	r.Verdict = Verdict{State: Failed, Exit: 7, Summary: "3 of 4 objectives missed, 17 wrong licenses", Claim: Claim{Text: "no claim: a load run makes none"}}
	return r
}

// loadCutReport is what the journal of a run tells that was killed.
func loadCutReport() *Report {
	r := loadReport()
	l := r.Load
	l.Accounting = Accounting{
		Planned: 30000, Sent: 10503, NotSent: map[string]int64{"not-in-the-journal": 19497}, Answered: 10490, InFlight: 13,
		Verified: 10488, Unverified: 2, Balanced: true,
	}
	l.Seconds, l.Usage = l.Seconds[:22], l.Usage[:21]
	r.Run.Interrupted = "the process ended without a report; its journal ends after 21.0 s"
	r.Verdict = Verdict{State: Incomplete, Exit: 5, Summary: "30000 planned, 10503 sent", Claim: Claim{Text: "no claim: a load run makes none"}}
	return r
}

// usage is that of a generator whose server closed its connections once.
func usage(n int) []Usage {
	us := make([]Usage, n)
	for i := range us {
		us[i] = Usage{
			At: i, CPUSeconds: 0.6 + float64(i%5)/20, GCPauses: 3 + i%2, GCPauseMicros: 310 + int64(i%9), HeapBytes: 150_000_000 + uint64(i%11)<<20,
			Goroutines: 540, ConnectionsOpen: 256, WireSent: 980_000 + int64(i%7)*1000, WireReceived: 361_000,
		}
		if i == 12 {
			us[i].ConnectionsOpened = 200
		}
	}
	return us
}

// loadMixReport is a run of two systems: the smaller share has wrong licenses and failures.
func loadMixReport() *Report {
	r := loadReport()
	r.Target.Profiles = []string{"plain-widevine", "plain-playready"}
	r.Target.URLs = append(r.Target.URLs, "http://127.0.0.1:41873/playready/rightsmanager.asmx")
	l := r.Load
	times := func(n int64, factor int64) []Operation {
		p := Percentiles{Count: n, Min: 400 * factor, Mean: 900.5 * float64(factor), P50: 850 * factor, P90: 1900 * factor, P95: 2600 * factor, P99: 9100 * factor, P999: 20000 * factor, Max: 30100 * factor}
		return []Operation{{Name: "license", Latency: p, Service: p, Lag: Percentiles{Count: n, Min: 1, Mean: 20, P50: 15, P90: 60, P95: 70, P99: 300, P999: 900, Max: 1200}}}
	}
	wrong, failed, late := map[string]int64{"bad-mac": 12}, map[string]int64{"http-503": 8}, map[string]int64{"interrupted": 40}
	l.Accounting = Accounting{
		Planned: 30000, Sent: 29960, NotSent: late, Answered: 29952, Failed: failed, Verified: 29940, Wrong: 12, WrongBy: wrong,
		ServerCounted: l.Accounting.ServerCounted, Balanced: true,
	}
	*l.Accounting.ServerCounted = 29960
	l.Shares = []Share{
		{
			Profile: "plain-widevine", System: "widevine", Weight: 3, Operations: times(22470, 2),
			Accounting: Accounting{Planned: 22500, Sent: 22470, NotSent: map[string]int64{"interrupted": 30}, Answered: 22470, Verified: 22470, Balanced: true},
		},
		{
			Profile: "plain-playready", System: "playready", Weight: 1, Operations: times(7482, 1),
			Accounting: Accounting{
				Planned: 7500, Sent: 7490, NotSent: map[string]int64{"interrupted": 10}, Answered: 7482, Failed: failed, Verified: 7470, Wrong: 12, WrongBy: wrong,
				Balanced: true,
			},
		},
	}
	l.Operations[0].Latency.Count, l.Operations[0].Service.Count, l.Operations[0].Lag.Count = 29952, 29952, 29960
	l.SLOs[1].Kept, l.SLOs[1].Seen, l.SLOs[2].Kept, l.SLOs[2].Seen = false, "20", false, "12"
	l.Seconds = l.Seconds[:20]
	l.Samples = []Sample{
		{Class: "bad-mac", Profile: "plain-playready", Seq: 10410, Expected: "a CMAC under the integrity key", Seen: "another one"},
		{Class: "http-503", Profile: "plain-playready", Seq: 20002, Seen: "HTTP 503"},
	}
	r.Run.Interrupted = "interrupt signal"
	r.Verdict = Verdict{State: Failed, Exit: 7, Summary: "30000 planned, 29960 sent, 29952 answered, 29940 verified, 12 wrong", Claim: Claim{Text: "no claim: a load run makes none"}}
	return r
}

// loadKindsReport is a run of several kinds of requests for one profile: some bad ones were granted, and a session was replaced.
func loadKindsReport() *Report {
	r := loadMixReport()
	r.Target.Profiles, r.Target.URLs = r.Target.Profiles[:1], r.Target.URLs[:1]
	l := r.Load
	p := Percentiles{Count: 1000, Min: 400, Mean: 900.5, P50: 850, P90: 1900, P95: 2600, P99: 9100, P999: 20000, Max: 30100}
	share := func(operation, asset string, bad bool, weight, wrong int64) Share {
		s := Share{
			Profile: "plain-widevine", System: "widevine", Operation: operation, Asset: asset, Bad: bad, Weight: weight,
			Operations: []Operation{{Name: operation, Bad: bad, Latency: p, Service: p, Lag: p}},
			Accounting: Accounting{Planned: 1000 * weight, Sent: 1000 * weight, Answered: 1000 * weight, Verified: 1000*weight - wrong, Wrong: wrong, Balanced: true},
		}
		if wrong > 0 {
			s.Accounting.WrongBy = map[string]int64{"bad-request-granted": wrong}
		}
		l.Operations = append(l.Operations, s.Operations...)
		return s
	}
	l.Operations = nil
	l.Shares = []Share{share("license", "cenc-3key", false, 17, 0), share("license-bad", "cenc-3key", true, 1, 12), share("certificate", "", false, 1, 0), share("renewal", "cenc-3key", false, 1, 0)}
	counted := int64(20000)
	l.Accounting = Accounting{Planned: 20000, Sent: 20000, Answered: 20000, Verified: 19988, Wrong: 12, WrongBy: map[string]int64{"bad-request-granted": 12}, ServerCounted: &counted, ServerCountedBy: map[string]int64{"license": 18000, "certificate": 1000, "renewal": 1000}, Balanced: true}
	l.Prepared = &Prepared{Sessions: 60, Requests: 63, Replaced: 2, Failed: 1}
	l.SLOs[1].Kept, l.SLOs[1].Seen = true, "0"
	l.Samples = []Sample{{Class: "bad-request-granted", Profile: "plain-widevine", Operation: "license-bad", Asset: "cenc-3key", Seq: 17, Expected: "a refusal of the bad request", Seen: "a license of 612 bytes"}}
	r.Run.Interrupted = ""
	r.Verdict.Summary = "20000 planned, 20000 sent, 20000 answered, 19988 verified, 12 wrong"
	return r
}

func seconds(n int, edit func(i int, s *Second)) []Second {
	ss := make([]Second, n)
	for i := range ss {
		wave := 1 + 0.2*math.Sin(float64(i)/4) + 0.1*math.Sin(float64(i)*1.7)
		ss[i] = Second{At: i, Due: 500, Sent: 500, Answered: 500, P50: int64(1700 * wave), P99: int64(5200 * wave * wave), Max: int64(9000 * wave * wave * wave)}
		edit(i, &ss[i])
	}
	return ss
}

// hostile is text that a server may send in the hope that a report shows it unescaped.
var hostile = strings.Join([]string{
	`<script>alert(1)</script>`, `]]>`, `-->`, `"onmouseover="x`, `'`, "`code`", `|cell|`, `**bold**`, `[link](javascript:alert(1))`, `![x](https://evil.example/x.png)`,
	`@everyone`, `#1`, `https://evil.example`, `www.evil.example`, `&lt;b&gt;`, `{{.}}`, `\`, `$x$`,
	"\x00\x01\x1b[2J\x7f\x85", "\xff\xfe", "\u202eevil\u2066", "עברית", "\r\n# heading\n- item\n\n| a |", "\u2028", "\ufeff", "😀",
}, " ")

func hostileReport() *Report {
	r := outcomesReport()
	for i := range r.Results {
		id := fmt.Sprintf("X-%02d", i)
		r.Results[i] = Result{
			ID: id, Title: hostile, Level: Must, Area: hostile, Source: hostile, Profile: hostile, Asset: "a", Outcome: r.Results[i].Outcome,
			Reason: hostile, Step: hostile, Expected: hostile, Seen: hostile + strings.Repeat("long ", 1000), Hint: hostile, BlockedBy: hostile, Note: hostile,
			Transcript: "javascript:alert(1)",
		}
	}
	r.Verdict.Summary, r.Verdict.Claim.Text, r.Verdict.Claim.Missing = hostile, hostile, []string{hostile}
	r.Run.ID, r.Run.Interrupted, r.Tool.Version = hostile, hostile, hostile
	r.Target = Target{Kind: hostile, Profiles: []string{hostile}, URLs: []string{"javascript:alert(1)"}, Assets: []string{hostile}, Platform: hostile, Faults: []string{hostile}}
	r.Load = loadMissedReport().Load
	r.Load.Seconds = r.Load.Seconds[:1]
	r.Load.Operations[0].Name, r.Load.Generator.Why = hostile, hostile
	r.Load.Accounting.NotSent = map[string]int64{hostile: 2960}
	r.Load.SLOs[0].Expression, r.Load.SLOs[0].Seen = hostile, hostile
	r.Load.Samples[0] = Sample{Class: hostile, Profile: hostile, Seen: hostile}
	r.Load.Shares = loadMixReport().Load.Shares
	share := &r.Load.Shares[1]
	share.Profile, share.System, share.Operations[0].Name = hostile, hostile, hostile
	share.Operation, share.Asset = hostile, hostile
	share.Accounting.WrongBy = map[string]int64{hostile: 12}
	return r
}
