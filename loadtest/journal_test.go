package loadtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/loadtest"
	"keyflow/reports"
)

// journalOf gives the run a journal that is written to out.
func journalOf(t testing.TB, c *loadtest.Config, out *bytes.Buffer, vault *secret.Vault) {
	t.Helper()
	r := &reports.Report{Tool: reports.Tool{Name: "keyflow"}, Run: reports.Run{ID: "a run", Command: "load", Seed: 1, Started: time.Unix(1767323045, 0).UTC()}}
	head, err := loadtest.JournalHead(r, *c, len(c.SLOs) > 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := reports.NewJournalWriter(out, head, vault)
	if err != nil {
		t.Fatal(err)
	}
	c.Journal = w
}

func replayed(t testing.TB, text []byte) *reports.Report {
	t.Helper()
	j, err := reports.NewJournalReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := loadtest.Replay(j)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// badDays refuses, breaks and falsifies some answers.
func badDays() http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 20 {
		case 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 5:
			_, _ = w.Write([]byte("<html>Sign in</html>"))
		case 7:
			_, _ = w.Write([]byte("license of somebody else"))
		case 9:
			panic(http.ErrAbortHandler)
		case 11:
			time.Sleep(1200 * time.Millisecond) // a timeout that ends in another second than others of its own
			answer(w, r)
		default:
			answer(w, r)
		}
	}
}

// journaled is a run with failures of many kinds, and its journal.
func journaled(ctx context.Context, t *testing.T, change func(*loadtest.Config)) (*reports.Load, []byte) {
	t.Helper()
	s := serve(t, badDays())
	c := mixConfig(t, s.URL, s.URL, "100/s", 3200*time.Millisecond)
	c.Timeout = time.Second
	slo, err := loadtest.ParseSLO("license.p50<10s each 1s")
	if err != nil {
		t.Fatal(err)
	}
	c.SLOs = []loadtest.SLO{slo}
	if change != nil {
		change(&c)
	}
	var out bytes.Buffer
	journalOf(t, &c, &out, nil)
	load, err := loadtest.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	checkBalance(t, load)
	return load, out.Bytes()
}

// TestReplayIsTheRun makes the result of a run again out of its journal: nothing that was counted or timed is lost.
func TestReplayIsTheRun(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*loadtest.Config){
		"all":      nil,
		"a sample": func(c *loadtest.Config) { c.Verify = 400_000 },
		"none":     func(c *loadtest.Config) { c.Verify = loadtest.VerifyNone },
		"no room":  func(c *loadtest.Config) { c.VerifyBytes = 1 },
		"a slice": func(c *loadtest.Config) {
			var err error
			if c.Plan, err = c.Plan.Slice(1, 3); err != nil {
				t.Fatal(err)
			}
		},
		"a warm-up": func(c *loadtest.Config) { c.WarmUp = 1300 * time.Millisecond },
		"stages": func(c *loadtest.Config) {
			stages, err := loadtest.ParseStages("20/s..150/s@2s,100/s@1s")
			if err == nil {
				c.Plan, err = loadtest.NewPlan(stages...)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.WarmUp = 500 * time.Millisecond
		},
		"kinds, assets and bad requests": func(c *loadtest.Config) {
			c.Shares[0].Kind, c.Shares[0].Asset = drm.KindLicense, "one"
			c.Shares[1].Kind, c.Shares[1].Asset, c.Shares[1].Bad = drm.KindLicense, "two", true
		},
		"one share": func(c *loadtest.Config) { c.Shares = c.Shares[:1] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			load, text := journaled(bounded(t), t, change)
			checkReplay(t, load, replayed(t, text))
		})
	}
}

// checkReplay compares a run with what its journal tells.
func checkReplay(t *testing.T, load *reports.Load, r *reports.Report) {
	t.Helper()
	checkBalance(t, r.Load)
	if !r.Load.Balanced() || r.Run.ID != "a run" {
		t.Errorf("got run %+v, %+v", r.Run, r.Load.Accounting)
	}
	got := *r.Load
	for _, part := range []struct {
		what      string
		got, want any
	}{
		{"plan", got.Plan, load.Plan}, {"warm-up", got.WarmUp, load.WarmUp}, {"accounting", got.Accounting, load.Accounting}, {"shares", got.Shares, load.Shares}, {"prepared", got.Prepared, load.Prepared}, {"rate", got.Rate, load.Rate},
		{"operations", got.Operations, load.Operations}, {"seconds", got.Seconds, load.Seconds}, {"objectives", got.SLOs, load.SLOs},
		{"usage", got.Usage, load.Usage}, {"samples", sorted(got.Samples), sorted(load.Samples)},
	} {
		if !reflect.DeepEqual(part.got, part.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", part.what, part.got, part.want)
		}
	}
	if got.Generator.WorkerBound != load.Generator.WorkerBound || got.Generator.MintedAhead != load.Generator.MintedAhead || got.Traffic.BytesSent != load.Traffic.BytesSent ||
		got.Traffic.BytesReceived != load.Traffic.BytesReceived || got.Traffic.Connections != load.Traffic.Connections {
		t.Errorf("got generator %+v, traffic %+v; want %+v, %+v", got.Generator, got.Traffic, load.Generator, load.Traffic)
	}
}

func sorted(samples []reports.Sample) []string {
	var texts []string
	for _, s := range samples {
		texts = append(texts, fmt.Sprint(s))
	}
	slices.Sort(texts)
	return texts
}

// TestReplayOfAHaltedRun: it came to its end, early.
func TestReplayOfAHaltedRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(bounded(t), 1500*time.Millisecond)
	defer cancel()
	load, text := journaled(ctx, t, nil)
	r := replayed(t, text)
	checkReplay(t, load, r)
	if r.Load.Accounting.NotSent[loadtest.NotSentInterrupted] == 0 || r.Run.Interrupted != loadtest.NotSentInterrupted || r.Verdict.State == reports.Passed {
		t.Errorf("got %+v, %q, %+v", r.Load.Accounting, r.Run.Interrupted, r.Verdict)
	}
}

// TestReplayOfACutJournal ends the journal after each line, and within each: what is there balances, and is never passed.
func TestReplayOfACutJournal(t *testing.T) {
	t.Parallel()
	s := serve(t, answer)
	c := mixConfig(t, s.URL, s.URL, "200/s", 3*time.Second)
	c.WarmUp = 1250 * time.Millisecond
	var out bytes.Buffer
	journalOf(t, &c, &out, nil)
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(out.Bytes(), []byte("\n"))
	if len(lines) < 5 {
		t.Fatalf("%d lines for 3 s", len(lines)-1)
	}
	text, before := []byte{}, int64(-1)
	for i, line := range lines[:len(lines)-2] {
		text = append(text, line...)
		half := lines[i+1][:len(lines[i+1])/2]
		r := replayed(t, append(slices.Clone(text), half...))
		a := r.Load.Accounting
		if !r.Load.Balanced() || a.Planned != load.Accounting.Planned || a.Sent <= before || a.NotSent[loadtest.NotSentJournal] != a.Planned-a.Sent {
			t.Errorf("line %d: %+v after %d were sent", i+1, a, before)
		}
		if a.InFlight != a.Sent-a.Answered || r.Load.Rate.Percent > 101 {
			t.Errorf("line %d: %+v, rate %+v", i+1, a, r.Load.Rate)
		}
		if r.Verdict.State != reports.Incomplete || r.Verdict.Exit != reports.ExitIncomplete {
			t.Errorf("line %d: verdict %+v", i+1, r.Verdict)
		}
		if !strings.Contains(r.Run.Interrupted, "ended without a report") || !strings.Contains(r.Run.Interrupted, fmt.Sprintf("%d bytes of an unfinished", len(half))) {
			t.Errorf("line %d: %q", i+1, r.Run.Interrupted)
		}
		before = a.Sent
	}
	if r := replayed(t, out.Bytes()); r.Run.Interrupted != "" || r.Load.Accounting.InFlight != 0 {
		t.Errorf("the whole journal is told as %q, %+v", r.Run.Interrupted, r.Load.Accounting)
	}
}

// fullDisk takes so many bytes, and of the line that does not fit what does.
type fullDisk struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(b []byte) (int, error) {
	if n := d.room - d.Len(); len(b) > n {
		n, _ = d.Buffer.Write(b[:n])
		return n, errFull
	}
	return d.Buffer.Write(b)
}

// TestDiskFullWhileStreaming: the run goes on and accounts for everything, and says what happened to its journal.
func TestDiskFullWhileStreaming(t *testing.T) {
	t.Parallel()
	s := startService(t, fakes.Options{})
	c := s.config(t, plan(t, "100/s", 3*time.Second))
	disk := &fullDisk{room: 4 << 10}
	head, err := loadtest.JournalHead(&reports.Report{Run: reports.Run{ID: "full"}}, c, false)
	if err != nil {
		t.Fatal(err)
	}
	if c.Journal, err = reports.NewJournalWriter(disk, head, nil); err != nil {
		t.Fatal(err)
	}
	load := s.run(t, c)
	s.checkCounted(t, load)
	if load.Accounting.Verified != 300 {
		t.Errorf("got %+v", load.Accounting)
	}
	lost := load.JournalLost
	if lost == nil || lost.At < 0 || lost.At > 10 || !strings.Contains(lost.Why, errFull.Error()) {
		t.Fatalf("got %+v", lost)
	}
	v := loadtest.Verdict(load, false, "")
	if v.Exit != reports.ExitHarness || v.State != reports.Broken || !strings.Contains(v.Summary, fmt.Sprintf("up to second %d only", lost.At)) {
		t.Errorf("got verdict %+v", v)
	}
	// What reached the disk is a journal with an unfinished line.
	r := replayed(t, disk.Bytes())
	if !r.Load.Balanced() || r.Verdict.State != reports.Incomplete || !strings.Contains(r.Run.Interrupted, "unfinished last line") {
		t.Errorf("got %+v, %q, %+v", r.Load.Accounting, r.Run.Interrupted, r.Verdict)
	}
}

// TestJournalOfAServerThatTellsSecrets: what a server quotes is in samples, and samples are in the journal.
func TestJournalOfAServerThatTellsSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-token-0123456789"
	vault := secret.NewVault()
	vault.Add("TOKEN", secret.New([]byte(canary)))
	s := serve(t, answer)
	c := config(t, s.URL, "50/s", 400*time.Millisecond)
	c.Shares[0].Source = quoting(c.Shares[0].Source, canary)
	c.Judge = quotingJudge
	var out bytes.Buffer
	journalOf(t, &c, &out, vault)
	load, err := loadtest.Run(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if load.Accounting.Wrong != 20 || !strings.Contains(fmt.Sprint(load.Samples), canary) {
		t.Fatalf("nobody quoted the secret: %+v", load.Samples)
	}
	if names := vault.Names(out.Bytes()); names != nil || !strings.Contains(out.String(), "‹redacted:TOKEN:") {
		t.Errorf("the journal holds %v:\n%s", names, out.String())
	}
	if r := replayed(t, out.Bytes()); r.Load.Accounting.Wrong != 20 {
		t.Errorf("got %+v", r.Load.Accounting)
	}
}

// FuzzReplay: a journal that can be read can be replayed or is refused, and what comes out can be rendered.
func FuzzReplay(f *testing.F) {
	var out bytes.Buffer
	s := serve(f, answer)
	c := config(f, s.URL, "40/s", 500*time.Millisecond)
	journalOf(f, &c, &out, nil)
	f.Add(out.Bytes())
	if _, err := loadtest.Run(bounded(f), c); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := reports.NewJournalReader(bytes.NewReader(text))
		if err != nil || j.Head.Plan.DurationMS > 60_000 || len(j.Head.Due) > 60 {
			return
		}
		r, err := loadtest.Replay(j)
		if err != nil {
			return
		}
		if r.Verdict.State == reports.Passed && r.Load.Accounting.Planned != r.Load.Accounting.Sent {
			t.Errorf("a run that is not whole has passed: %+v", r.Load.Accounting)
		}
		for _, format := range reports.Renderers() {
			var page bytes.Buffer
			if err := format.Render(&page, r); err != nil {
				t.Error(err)
			}
		}
	})
}
