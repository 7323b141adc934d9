package loadtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"keyflow/loadtest"
	"keyflow/reports"
)

// vegetaMetrics reads a result file as vegeta report does.
func vegetaMetrics(t *testing.T, file []byte, each func(vegeta.Result)) *vegeta.Metrics {
	t.Helper()
	m := &vegeta.Metrics{}
	decoder := vegeta.DecoderFor(bytes.NewReader(file))
	if decoder == nil {
		t.Fatal("vegeta does not know the encoding")
	}
	for {
		var r vegeta.Result
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			m.Close()
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		each(r)
		m.Add(&r)
	}
}

// TestResultsAgreeWithVegeta reads the file of a run with vegeta's own library.
func TestResultsAgreeWithVegeta(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	results := &loadtest.Results{Write: &file, Redact: func(url string) string { return strings.Replace(url, "secret-path", "‹redacted›", 1) }}
	s := serve(t, badDays())
	c := config(t, s.URL+"/secret-path", "100/s", 2*time.Second)
	c.Timeout, c.Results = 500*time.Millisecond, results
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	a := load.Accounting
	if results.Written() != a.Sent || results.Err() != nil {
		t.Errorf("%d records of %d requests, %v", results.Written(), a.Sent, results.Err())
	}
	byClass, seen := map[string]int64{}, map[uint64]bool{}
	var began time.Time
	m := vegetaMetrics(t, file.Bytes(), func(r vegeta.Result) {
		if r.Error != "" {
			byClass[r.Error]++
		}
		seen[r.Seq] = true
		start := r.Timestamp.Add(-c.Plan.Due(int64(r.Seq)))
		if began.IsZero() {
			began = start
		}
		if !start.Equal(began) {
			t.Errorf("request %d is dated %v from when it was due", r.Seq, start.Sub(began))
		}
		if r.Body != nil || r.Headers != nil || r.Method != "POST" || r.URL != s.URL+"/‹redacted›" {
			t.Errorf("got %+v", r)
		}
	})
	if int64(m.Requests) != a.Sent || int64(len(seen)) != a.Sent || fmt.Sprint(byClass) != fmt.Sprint(a.Failed) {
		t.Errorf("vegeta counts %d requests and %v, the run %d and %v", m.Requests, byClass, a.Sent, a.Failed)
	}
	if got := m.Success * float64(m.Requests); int64(got+0.5) != a.Answered {
		t.Errorf("vegeta counts %v successes, the run %d answers", got, a.Answered)
	}
	if int64(m.BytesOut.Total) != load.Traffic.BytesSent || int64(m.BytesIn.Total) != load.Traffic.BytesReceived || m.BytesIn.Total == 0 {
		t.Errorf("vegeta counts %d bytes out and %d in, the run %+v", m.BytesOut.Total, m.BytesIn.Total, load.Traffic)
	}
	if m.StatusCodes["503"] != int(a.Failed["http-503"]) || m.StatusCodes["200"] != int(a.Answered) {
		t.Errorf("vegeta counts statuses %v, the run %+v", m.StatusCodes, a)
	}
	// Failures other than timeouts have no latency in the report.
	if longest := m.Latencies.Max; longest < time.Duration(load.Operations[0].Latency.P50)*time.Microsecond {
		t.Errorf("vegeta's longest latency is %v", longest)
	}
}

// TestResultsToAFullDisk and to one that hangs: the run is not disturbed, and the file is told to be incomplete.
func TestResultsToAFullDisk(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	for name, w := range map[string]io.Writer{"full": &fullDisk{room: 100}, "hanging": writer(func(b []byte) (int, error) {
		<-hanging
		return len(b), nil
	})} {
		s := serve(t, answer)
		c := config(t, s.URL, "4000/s", 2*time.Second)
		c.Verify, c.Results = loadtest.VerifyNone, &loadtest.Results{Write: w}
		c.Progress = func(p loadtest.Progress) {
			if name == "hanging" && p.Phase == loadtest.PhaseDone {
				close(hanging)
			}
		}
		load, err := loadtest.Run(bounded(t), c)
		if err != nil {
			t.Fatal(err)
		}
		checkBalance(t, load)
		if load.Accounting.Answered != 8000 {
			t.Errorf("%s: %+v", name, load.Accounting)
		}
		want := map[string]string{"full": errFull.Error(), "hanging": "did not keep up"}[name]
		if err := c.Results.Err(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "of 8000 requests are missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// TestTrafficIsCounted compares with what the server has read, written and accepted.
func TestTrafficIsCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, badDays())
	c := config(t, s.URL, "100/s", 2*time.Second)
	c.Timeout, c.Workers = 500*time.Millisecond, 20
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	tr := load.Traffic
	if tr.BytesSent != 8*load.Accounting.Sent || tr.WireSent < tr.BytesSent+100*load.Accounting.Sent || tr.WireReceived < tr.BytesReceived {
		t.Errorf("got %+v for %d requests", tr, load.Accounting.Sent)
	}
	if least := 15 * load.Accounting.Answered; tr.BytesReceived < least {
		t.Errorf("%d bytes of answers, want %d", tr.BytesReceived, least)
	}
	// A connection that broke or timed out is replaced.
	lost := load.Accounting.Failed["timeout"] + load.Accounting.Failed["reset"] + load.Accounting.Failed["eof"]
	if tr.Connections <= 20 || tr.ConnectionsOpen < 20 || tr.ConnectionsOpen > 40 {
		t.Errorf("got %+v, %d connections were lost", tr, lost)
	}
	checkUsage(t, load)
}

func checkUsage(t *testing.T, load *reports.Load) {
	t.Helper()
	if len(load.Usage) < 2 {
		t.Fatalf("got usage %+v", load.Usage)
	}
	classes := sum
	var all reports.Usage
	for i, u := range load.Usage {
		if i > 0 && u.At <= load.Usage[i-1].At {
			t.Errorf("second %d follows %d", u.At, load.Usage[i-1].At)
		}
		if u.HeapBytes == 0 || u.Goroutines == 0 || u.CPUSeconds < 0 || u.GCPauses < 0 || u.GCPauseMicros < 0 || u.ConnectionsOpened < 0 {
			t.Errorf("got %+v", u)
		}
		all.WireSent += u.WireSent
		all.WireReceived += u.WireReceived
		all.CPUSeconds += u.CPUSeconds
		all.ConnectionsOpened += u.ConnectionsOpened
	}
	if all.WireSent != load.Traffic.WireSent || all.WireReceived != load.Traffic.WireReceived || all.CPUSeconds > load.Generator.CPUSeconds || all.ConnectionsOpened > load.Traffic.Connections {
		t.Errorf("the seconds have %+v together, the run %+v and %+v", all, load.Traffic, load.Generator)
	}
	for _, s := range load.Seconds {
		if classes(s.FailedBy) != s.Failed || classes(s.WrongBy) != s.Wrong {
			t.Errorf("second %d has %d failed, %v; %d wrong, %v", s.At, s.Failed, s.FailedBy, s.Wrong, s.WrongBy)
		}
	}
}
