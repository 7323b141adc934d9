package suites_test

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/formatter"

	"keyflow/drm"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

func target(t *testing.T, faults ...string) (*suites.Target, *fakes.Server) {
	t.Helper()
	fake, tgt := matrix.Start(t, "cenc-3key", faults...)
	return tgt, fake
}

// TestGinkgoAgreesWithTheDirectDriver runs the suites with Ginkgo, silently, against a fake with a fault, and compares
// each result with the direct driver's. Ginkgo runs one suite a process, so this is the one test that calls RunSpecs.
func TestGinkgoAgreesWithTheDirectDriver(t *testing.T) {
	tgt, _ := target(t, "wv-last-key-dropped")
	plan, err := suites.NewPlan([]*suites.Target{tgt}, []string{"WV-KEY-*", "WV-LIC-0?", "WV-SIG-01"}, "", 7)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	recorder := suites.NewRecorder(func(r reports.Result) { order = append(order, r.ID) })
	out := captureStdout(t, func() { err = suites.RunSpecs(t.Context(), plan, recorder) })
	if err != nil {
		t.Fatal(err)
	}
	if out != "" || formatter.ColorableStdOut == os.Stdout {
		t.Errorf("Ginkgo is not silent: %q", out)
	}
	outcomes := map[reports.Outcome]int{}
	for _, byGinkgo := range recorder.Results(plan) {
		c, err := suites.Find(byGinkgo.ID)
		if err != nil {
			t.Fatal(err)
		}
		outcomes[byGinkgo.Outcome]++
		if !slices.ContainsFunc(plan.Selected, func(s suites.Check) bool { return s.ID == c.ID }) {
			if byGinkgo.Outcome != reports.Excluded {
				t.Errorf("%s was not selected and is %s", c.ID, byGinkgo.Outcome)
			}
			continue
		}
		direct, _ := suites.Run(t.Context(), c, tgt)
		if direct.Outcome != byGinkgo.Outcome || direct.Reason != byGinkgo.Reason || direct.BlockedBy != byGinkgo.BlockedBy {
			t.Errorf("%s: Ginkgo %s (%s), direct driver %s (%s)", c.ID, byGinkgo.Outcome, byGinkgo.Reason, direct.Outcome, direct.Reason)
		}
	}
	for _, o := range []reports.Outcome{reports.Pass, reports.Fail, reports.Blocked, reports.Excluded} {
		if outcomes[o] == 0 {
			t.Errorf("no result is %q: the comparison is too narrow: %v", o, outcomes)
		}
	}
	if slices.IsSorted(order) {
		t.Error("the order does not follow from the seed")
	}
	verdict := suites.Verdict(plan, recorder.Results(plan), "")
	if verdict.Exit != reports.ExitFailed || verdict.Claim.Conformant {
		t.Errorf("verdict %+v", verdict)
	}
}

// captureStdout returns what f writes to standard output, by whatever way.
func captureStdout(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	read := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r)
		read <- b.String()
	}()
	f()
	os.Stdout = old
	w.Close()
	return <-read
}

// of returns the checks for targets of a system.
func of(s drm.System) []suites.Check {
	return slices.DeleteFunc(suites.All(), func(c suites.Check) bool { return !c.For(s) })
}

// TestNothingGivesAKeyAway plants nothing: the fake's real device, content and authority keys are the canaries. They
// must be in no result and in no transcript, in no encoding.
func TestNothingGivesAKeyAway(t *testing.T) {
	wvFake, wv := matrix.Start(t, "cenc-3key")
	prFake, pr := matrix.StartPlayReady(t, "cenc-3key")
	for tgt, fake := range map[*suites.Target]*fakes.Server{wv: wvFake, pr: prFake} {
		for _, c := range of(tgt.Profile.DRM) {
			r, log := suites.Run(t.Context(), c, tgt)
			text := suites.Message(r) + log.Text()
			if names := tgt.Vault.Names([]byte(text)); names != nil {
				t.Errorf("%s gives away %v", c.ID, names)
			}
			if (c.ID == "WV-KEY-07" || c.ID == "PR-LIC-08") && !bytes.Contains([]byte(text), []byte("fingerprint")) {
				t.Errorf("%s: the transcript tells no fingerprint: is there one?", c.ID)
			}
		}
		if total, _ := fake.Count(); total.Received == 0 {
			t.Error("nothing was sent")
		}
	}
}

func TestAnswersOfADeadServer(t *testing.T) {
	tgt, fake := target(t)
	if err := tgt.Reach(t.Context()); err != nil {
		t.Errorf("a running fake cannot be reached: %v", err)
	}
	_ = fake.Close()
	if err := tgt.Reach(t.Context()); err == nil {
		t.Error("a closed port can be reached")
	}
	plan, err := suites.NewPlan([]*suites.Target{tgt}, []string{"WV-LIC-01"}, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	recorder := suites.NewRecorder(nil)
	recorder.Record(suites.Run(t.Context(), plan.Selected[0], tgt))
	results := recorder.Results(plan)
	if v := suites.Verdict(plan, results, ""); v.Exit != reports.ExitUnreachable || v.State != reports.Incomplete {
		t.Errorf("verdict of a dead server: %+v", v)
	}
}

func TestInterruptedRun(t *testing.T) {
	tgt, _ := target(t, "never-answers")
	ctx, cancel := context.WithCancel(t.Context())
	check, err := suites.Find("WV-LIC-01")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan reports.Result, 1)
	go func() {
		r, _ := suites.Run(ctx, check, tgt)
		done <- r
	}()
	cancel()
	if r := <-done; r.Outcome != reports.NotRun || r.Reason != "interrupted" {
		t.Errorf("interrupted check: %s: %s", r.Outcome, suites.Message(r))
	}
}

func TestPatience(t *testing.T) {
	tgt, fake := target(t, "never-answers")
	tgt.Client = suites.NewClient(50e6)
	for _, c := range of(drm.Widevine) {
		suites.Run(t.Context(), c, tgt)
	}
	if total, _ := fake.Count(); total.Received != 3 {
		t.Errorf("a server that never answers was asked %d times, want 3", total.Received)
	}
}

// TestMissStands: what goes wrong later does not take a missed requirement back.
func TestMissStands(t *testing.T) {
	tgt, _ := target(t, "wv-session-key-constant", "html-200@nth=10")
	check, err := suites.Find("WV-LIC-06")
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := suites.Run(t.Context(), check, tgt); r.Outcome != reports.Fail || r.Reason != "session-key-repeated" {
		t.Errorf("%s: %s", r.Outcome, suites.Message(r))
	}
}

// TestNoRefusalByAPage: where a refusal is due, a page of some proxy is none, and neither is a cut connection.
func TestNoRefusalByAPage(t *testing.T) {
	for fault, want := range map[string]reports.Outcome{
		"html-200@nth=2":         reports.Fail,
		"connection-reset@nth=2": reports.Blocked,
		"refuse-with-503@nth=2":  reports.Pass,
	} {
		for _, id := range []string{
			"WV-SIG-01", "WV-SIG-02", "WV-SIG-03", "WV-SIG-04", "WV-SIG-07", "WV-PSH-05",
			"PR-SEC-01", "PR-SEC-02", "PR-SEC-03", "PR-SEC-05", "PR-SEC-06", "PR-KID-05",
		} {
			start := matrix.Start
			if strings.HasPrefix(id, "PR-") {
				start = matrix.StartPlayReady
			}
			_, tgt := start(t, "cenc-3key", fault)
			check, err := suites.Find(id)
			if err != nil {
				t.Fatal(err)
			}
			if r, _ := suites.Run(t.Context(), check, tgt); r.Outcome != want {
				t.Errorf("%s with %s: %s, want %s: %s", id, fault, r.Outcome, want, suites.Message(r))
			}
		}
	}
}
