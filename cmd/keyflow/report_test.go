package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyflow/fakes"
	"keyflow/loadtest"
	"keyflow/reports"
)

// TestKilledLoadIsInItsJournal kills a load run in the middle, and holds what its journal tells against what the fake
// has received, which is a process of its own.
func TestKilledLoadIsInItsJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	export, out := filepath.Join(dir, "export"), filepath.Join(dir, "load")
	fake := exec.CommandContext(t.Context(), "keyflow", "fake", "--export", export, "--quiet")
	start(t, fake)
	// The run needs the export whole; the endpoints are told in one of its last files.
	var endpoints struct {
		Management string `json:"management_url"`
	}
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(export, "expressplay_authenticator.txt"))
		text, readErr := os.ReadFile(filepath.Join(export, fakes.EndpointsFile))
		return err == nil && readErr == nil && json.Unmarshal(text, &endpoints) == nil
	})
	const rate = 150
	load := exec.CommandContext(t.Context(), "keyflow", "load", "--profile", filepath.Join(export, "plain-widevine.yaml"), "--authority", export,
		"--rate", "150/s", "--duration", "1m", "--out", out)
	start(t, load)
	eventually(t, func() bool {
		text, err := os.ReadFile(out + ".journal")
		return err == nil && bytes.Count(text, []byte("\n")) > 3
	})
	time.Sleep(500 * time.Millisecond) // into the next second
	killed := time.Now()
	if err := load.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = load.Wait() // it was killed
	info, err := os.Stat(out + ".journal")
	if err != nil {
		t.Fatal(err)
	}
	missing := killed.Sub(info.ModTime())

	render := exec.CommandContext(t.Context(), "keyflow", "report", "render", out+".journal", "--out", out)
	text, err := render.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != reports.ExitIncomplete {
		t.Fatalf("%v\n%s", err, text)
	}
	r, err := reports.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	a, received := r.Load.Accounting, receivedBy(t, endpoints.Management)
	if !r.Load.Balanced() || a.Planned != 60*rate || a.Planned != a.Sent+a.NotSent[loadtest.NotSentJournal] || a.Sent != a.Answered+a.InFlight || a.Answered == 0 {
		t.Errorf("got %+v", a)
	}
	if lost := received - a.Sent; a.Sent-a.InFlight > received || float64(lost) > rate*(missing.Seconds()+1) {
		t.Errorf("the fake received %d requests, the journal has %d sent; its last line was written %v before the end", received, a.Sent, missing)
	}
	if r.Verdict.State != reports.Incomplete || r.Verdict.Exit != reports.ExitIncomplete || !strings.Contains(r.Run.Interrupted, "ended without a report") || r.Verdict.Claim.Conformant {
		t.Errorf("got %+v, %q", r.Verdict, r.Run.Interrupted)
	}
	var answered int64
	for _, s := range r.Load.Seconds {
		answered += s.Answered
	}
	if answered != a.Answered || r.Load.Operations[0].Latency.Count != a.Answered {
		t.Errorf("the seconds have %d answers, the latencies %d, the accounting %d", answered, r.Load.Operations[0].Latency.Count, a.Answered)
	}
}

// start starts a process that ends with the test.
func start(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
	})
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 600 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it did not happen within 30 s")
}

// receivedBy asks a fake how many requests it has received.
func receivedBy(t *testing.T, management string) int64 {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Get(management + "/requests?limit=1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var history struct {
		Total struct {
			Received int64 `json:"received"`
		} `json:"total"`
	}
	if err := json.NewDecoder(response.Body).Decode(&history); err != nil {
		t.Fatal(err)
	}
	return history.Total.Received
}
