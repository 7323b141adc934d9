package loadtest

import (
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/drm"
)

// TestTimelineDropsHistograms runs a minute of flights, some of them late: only seconds with a request in flight hold
// a histogram.
func TestTimelineDropsHistograms(t *testing.T) {
	t.Parallel()
	p := Plan{Rate: Rate{Freq: 50, Per: time.Second}, Duration: time.Minute}
	line := timeline{plan: p}
	for i := range p.Total() {
		seq := i ^ 1 // neighbours swap places
		due := p.Due(seq)
		f := &flight{seq: seq, message: drm.Message{Kind: drm.KindLicense}, sent: due, done: due + time.Millisecond}
		if err := line.record(f, due); err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, s := range line.seconds {
			open += len(s.operations)
		}
		if open > 2 {
			t.Fatalf("%d histograms are open after request %d", open, i)
		}
	}
	seconds, err := line.list(wrongs{3: {"license": 4}})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range seconds {
		h, err := hdr.Decode([]byte(s.Histogram))
		if err != nil {
			t.Fatal(err)
		}
		if s.At != i || s.Due != 50 || s.Sent != 50 || s.Answered != 50 || h.TotalCount() != 50 || s.P99 != 1000 || (s.Wrong == 4) != (i == 3) {
			t.Errorf("got %+v with %d latencies", s, h.TotalCount())
		}
		if len(s.Operations) != 1 || s.Operations[0].Sent != 50 || s.Operations[0].Wrong != s.Wrong || s.Operations[0].Histogram != "" {
			t.Errorf("second %d has operations %+v, want one without a histogram of its own", i, s.Operations)
		}
	}
	if len(seconds) != 60 {
		t.Errorf("got %d seconds, want 60", len(seconds))
	}
}

// TestTimelineSplitsByOperation has licenses of 1 ms, and certificates of 9 ms of which the third fails: the parts add up to
// the second.
func TestTimelineSplitsByOperation(t *testing.T) {
	t.Parallel()
	p := Plan{Rate: Rate{Freq: 20, Per: time.Second}, Duration: 2 * time.Second}
	line := timeline{plan: p}
	for i := range p.Total() {
		due := p.Due(i)
		f := &flight{seq: i, message: drm.Message{Kind: drm.KindLicense}, sent: due, done: due + time.Millisecond}
		if i%4 == 0 {
			f.message.Kind, f.done = drm.KindCertificate, due+9*time.Millisecond
		}
		if i == 8 {
			f.failure = failure{class: "dns"}
		}
		if err := line.record(f, due); err != nil {
			t.Fatal(err)
		}
	}
	seconds, err := line.list(wrongs{1: {"license": 2, "certificate": 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range seconds {
		all, err := hdr.Decode([]byte(s.Histogram))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Operations) != 2 || s.Operations[0].Name != "certificate" || s.Operations[1].Name != "license" {
			t.Fatalf("second %d has operations %+v", i, s.Operations)
		}
		merged := newHistogram()
		var sent, answered, failed, wrong int64
		for _, op := range s.Operations {
			sent, answered, failed, wrong = sent+op.Sent, answered+op.Answered, failed+op.Failed, wrong+op.Wrong
			part, err := hdr.Decode([]byte(op.Histogram))
			if err != nil {
				t.Fatal(err)
			}
			merged.h.Merge(part)
			if want := map[string]int64{"license": 1000, "certificate": 9000}[op.Name]; part.Min()/10 != want/10 || part.TotalCount() != op.Answered {
				t.Errorf("second %d: %s has %d latencies from %d µs", i, op.Name, part.TotalCount(), part.Min())
			}
		}
		if sent != s.Sent || answered != s.Answered || failed != s.Failed || wrong != s.Wrong || !merged.h.Equals(all) {
			t.Errorf("second %d is %+v, its operations do not add up to it", i, s)
		}
		if s.Failed != int64(1-i) || s.Wrong != int64(3*i) {
			t.Errorf("second %d: %d failed, %d wrong", i, s.Failed, s.Wrong)
		}
	}
}

// TestTimelineLeavesBadOut has the quick refusals of bad requests in a second of their own and beside slower licenses: the seconds
// have the latencies of the licenses only.
func TestTimelineLeavesBadOut(t *testing.T) {
	t.Parallel()
	p := Plan{Rate: Rate{Freq: 10, Per: time.Second}, Duration: 2 * time.Second}
	line := timeline{plan: p}
	for i := range p.Total() {
		due := p.Due(i)
		f := &flight{seq: i, message: drm.Message{Kind: drm.KindLicense}, bad: i%2 == 0 || i >= 10, sent: due, done: due + 9*time.Millisecond}
		if f.bad {
			f.done = due + time.Millisecond
		}
		if err := line.record(f, due); err != nil {
			t.Fatal(err)
		}
	}
	seconds, err := line.list(wrongs{0: {"license-bad": 1}})
	if err != nil {
		t.Fatal(err)
	}
	first, second := seconds[0], seconds[1]
	if first.Wrong != 1 || first.P50 < 8900 || len(first.Operations) != 2 || first.Operations[0].Bad || !first.Operations[1].Bad {
		t.Errorf("licenses and bad requests: %+v", first)
	}
	if second.P50 != 0 || second.Histogram != "" || second.Sent != 10 || len(second.Operations) != 1 || second.Operations[0].Histogram == "" {
		t.Errorf("bad requests alone: %+v", second)
	}
}
