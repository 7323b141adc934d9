package loadtest

import "keyflow/reports"

// circumstances adds what a run tells beside its figures. What one of the runs does not tell of verification nobody knows of all.
func (m *merger) circumstances(l *reports.Load) {
	to := m.load
	switch v := l.Verification; {
	case m.runs == 1 && v != nil:
		sum := *v
		to.Verification = &sum
	case v == nil || to.Verification == nil:
		to.Verification = nil
	default:
		sum := to.Verification
		sum.Sampled += v.Sampled
		sum.Wrong += v.Wrong
		sum.Others += v.Others
		sum.Unjudged += v.Unjudged
		bound(sum)
	}
	if t := l.Throttled; t != nil {
		if to.Throttled == nil {
			to.Throttled = &reports.Throttled{}
		}
		sum := to.Throttled
		sum.Answers += t.Answers
		sum.RetryAfter += t.RetryAfter
		sum.LongestMS = max(sum.LongestMS, t.LongestMS)
		sum.Polite = sum.Polite || t.Polite
		sum.Pauses += t.Pauses
		sum.PausedMS += t.PausedMS
	}
	if t := l.Tokens; t != nil {
		if to.Tokens == nil {
			to.Tokens = &reports.Tokens{}
		}
		sum := to.Tokens
		sum.Taken += t.Taken
		sum.Renewed += t.Renewed
		sum.Failed += t.Failed
		sum.Waited += t.Waited
		sum.More += t.More
		for _, o := range t.Outages {
			if len(sum.Outages) == maxOutages {
				sum.More++
				continue
			}
			sum.Outages = append(sum.Outages, o)
		}
	}
}
