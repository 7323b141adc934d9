package reports

// loadShapeReport is a ramp and a spike with a warm-up, of two operations, judged by windows.
func loadShapeReport() *Report {
	r := loadReport()
	l := r.Load
	l.Plan = Plan{
		Shape: "stages", RatePerSec: 500, PeakPerSec: 2000, DurationMS: 60000, Requests: 30000, Verify: "all", Workers: 512,
		Stages: []Stage{
			{FromPerSec: 0, ToPerSec: 500, DurationMS: 20000, Requests: 5000}, {FromPerSec: 500, ToPerSec: 500, DurationMS: 20000, Requests: 10000},
			{FromPerSec: 2000, ToPerSec: 2000, DurationMS: 5000, Requests: 10000}, {FromPerSec: 333.3, ToPerSec: 333.3, DurationMS: 15000, Requests: 5000},
		},
	}
	l.WarmUp = &WarmUp{DurationMS: 10000, Planned: 1250, Sent: 1250, Answered: 1240, Failed: map[string]int64{"http-503": 10}}
	l.Accounting = Accounting{
		Planned: 30000, Sent: 30000, Answered: 29980, Failed: map[string]int64{"http-503": 15, "timeout": 5}, Verified: 29980,
		ServerCounted: l.Accounting.ServerCounted, Balanced: true,
	}
	l.Rate = Rate{AskedPerSec: 575, AchievedPerSec: 574.98, AnsweredPerSec: 574.8, Percent: 99.997}
	license := l.Operations[0]
	license.Sent, license.Answered, license.Failed = 28000, 27990, map[string]int64{"http-503": 5, "timeout": 5}
	license.Latency.Count, license.Service.Count, license.Lag.Count = 27995, 27995, 28000
	certificate := Operation{Name: "certificate", Sent: 750, Answered: 750}
	for _, p := range []*Percentiles{&certificate.Latency, &certificate.Service, &certificate.Lag} {
		*p = Percentiles{Count: 750, Min: 310, Mean: 522.1, P50: 480, P90: 800, P95: 910, P99: 1400, P999: 3000, Max: 3100}
	}
	l.Operations = []Operation{certificate, license}
	l.SLOs = []SLO{
		{Expression: "license.p99<50ms each 10s", Seen: "41.8ms", Windows: &SLOWindows{Seconds: 10, Judged: 5, Missed: 2, Worst: &SLOWindow{At: 30, Seconds: 10, Seen: "187ms"}}},
		{Expression: "certificate.p95<100ms each 30s", Kept: true, Seen: "910µs", Windows: &SLOWindows{Seconds: 30, Judged: 2, Worst: &SLOWindow{At: 40, Seconds: 20, Seen: "1.2ms"}}},
		{Expression: "renewal.p99<1s each 1s", Seen: "no answer", Windows: &SLOWindows{Seconds: 1}},
		{Expression: "errors.http-503<1%", Kept: true, Seen: "0.017%"},
		{Expression: "errors<=10", Kept: true, Seen: "10"},
		{Expression: "wrong==0", Kept: true, Seen: "0", Implied: true},
	}
	r.Verdict = Verdict{State: Failed, Exit: 7, Summary: "30000 planned, 30000 sent, 29980 answered, 29980 verified, 0 wrong; 2 of 6 objectives missed", Claim: Claim{Text: "no claim: a load run makes none"}}
	return r
}
