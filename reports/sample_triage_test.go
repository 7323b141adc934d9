package reports

// triageReport is a recording with two acquisitions, one of which failed, and a replay of its request.
func triageReport() *Report {
	r := baseReport("check")
	r.Target, r.Requirements = Target{Kind: "recording", Platform: "captured"}, Requirements{}
	entry := func(n int) *int { return &n }
	steps := func(failed string, all ...string) []TriageStep {
		var list []TriageStep
		outcome := TriageOK
		for _, id := range all {
			s := TriageStep{ID: id, Outcome: outcome, Seen: "as it should be"}
			switch {
			case id == failed:
				s.Outcome, s.Reason, s.Expected, s.Seen, s.Hint = TriageFailed, "soap-fault", "a license", "HTTP 500 with a SOAP fault 0x8004C604", "the fault's code says what the service misses"
				outcome = TriageNotReached
			case outcome == TriageNotReached:
				s.Seen = ""
			}
			list = append(list, s)
		}
		return list
	}
	cause := &TriageCause{Step: "inside", Kind: "license", Entry: entry(7), Reason: "soap-fault", Expected: "a license", Seen: "HTTP 500 with a SOAP fault 0x8004C604", Hint: "the fault's code says what the service misses"}
	const url = "https://license.example/rm?token=…"
	r.Triage = &Triage{
		Archive: "session.har", Entries: 41, Others: 36, Unjudged: []string{"content keys: needs the device that asked"},
		Sessions: []TriageSession{
			{Name: "acquisition 1", System: "widevine", URL: "https://license.example/wv", Page: "https://player.example", KIDs: []string{"00010203-0405-0607-0809-0a0b0c0d0e0f"}, Exchanges: []TriageExchange{
				{Kind: "certificate", Entry: entry(2), Method: "POST", URL: "https://license.example/wv", Status: 200, Steps: steps("", "network", "status", "form")},
				{Kind: "license", Entry: entry(3), Preflight: entry(1), Method: "POST", URL: "https://license.example/wv", Status: 200, Steps: append(steps("", "network", "status"), TriageStep{ID: "keys", Outcome: TriageNotShown, Seen: "the request's body is lost"})},
			}},
			{
				Name: "acquisition 2", System: "playready", URL: url, Cause: cause, Consequences: []string{"renewal [9]: failed at network"},
				Exchanges: []TriageExchange{{Kind: "license", Entry: entry(7), Method: "POST", URL: url, Status: 500, Steps: steps("inside", "network", "status", "inside", "form", "keys")}},
			},
		},
		Replays: []TriageSession{{Name: "replay of session.har [7]", System: "playready", Profile: "plain-playready", URL: url, Exchanges: []TriageExchange{{Kind: "license", Method: "POST", URL: url, Status: 0, Steps: steps("network", "network", "status")}}, Cause: &TriageCause{Step: "network", Kind: "license", Reason: "timeout", Expected: "an answer", Seen: "none"}}},
	}
	r.Verdict = r.Triage.Verdict()
	return r
}
