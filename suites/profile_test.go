package suites_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// outcome runs a check.
func outcome(t *testing.T, id string, tgt *suites.Target) reports.Result {
	t.Helper()
	c, err := suites.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := suites.Run(t.Context(), c, tgt)
	return r
}

// withMore returns a target whose profile says more.
func withMore(t *testing.T, more string, faults ...string) (*suites.Target, *fakes.Server) {
	t.Helper()
	tgt, fake := target(t)
	var err error
	if tgt.Profile, err = provider.Parse("fake", []byte(fake.Profile()+more)); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		setting, err := fakes.ParseSetting(f)
		if err == nil {
			err = fake.AddFaults(setting)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return tgt, fake
}

const passing = "errors:\n  - {when: {status: [503]}, class: server_transient, retry: backoff}\n"

func TestPassingRefusalsAreAskedAgain(t *testing.T) {
	const fault = "refuse-with-503@nth=1"
	for more, want := range map[string]reports.Outcome{
		passing: reports.Fail,
		passing + "retry: {max: 1, backoff: 1ms..1ms}\n":                                    reports.Pass,
		passing + "retry: {max: 1, classes: [rate_limited], backoff: 1ms..1ms}\n":           reports.Fail,
		strings.Replace(passing, "backoff", "never", 1) + "retry: {max: 1, backoff: 1ms}\n": reports.Fail,
	} {
		tgt, fake := withMore(t, more, fault)
		if r := outcome(t, "WV-LIC-01", tgt); r.Outcome != want || fake.Exercised("refuse-with-503") != 1 {
			t.Errorf("%s: %s: %s", more, r.Outcome, suites.Message(r))
		}
	}
}

func TestOnceWithANewToken(t *testing.T) {
	text, err := fixtures.Profile("expressplay-widevine-test")
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(string(text), "\nerrors:\n", "\nerrors:\n  - {when: {status: [503]}, class: auth_reused, retry: once_new_token}\n", 1)
	for more, want := range map[string]reports.Outcome{"retry: {max: 1, classes: [auth_reused]}\n": reports.Pass, "retry: {max: 1}\n": reports.Fail} {
		p, err := provider.Parse("changed", []byte(whole+more))
		if err != nil {
			t.Fatal(err)
		}
		standIn, tgt := matrix.StandInFor(t, "cenc-1key", p, "token-in-query", "refuse-with-503@nth=1,operation=license")
		r := outcome(t, "WV-LIC-01", tgt)
		_, byOperation := standIn.Server().Count()
		if r.Outcome != want || (byOperation[fakes.OperationToken].Received == 2) != (want == reports.Pass) {
			t.Errorf("%s: %s: %s; %+v", more, r.Outcome, suites.Message(r), byOperation)
		}
	}
}

func TestRedirectsThatTheProfileFollows(t *testing.T) {
	for more, want := range map[string]reports.Outcome{
		"":                                      reports.Fail,
		"redirects: {policy: follow_307_308}\n": reports.Pass,
		"redirects: {policy: any, max: 1}\n":    reports.Pass,
		"redirects: {policy: none}\n":           reports.Fail,
	} {
		tgt, _ := withMore(t, more, "redirect-307")
		if r := outcome(t, "WV-LIC-01", tgt); r.Outcome != want {
			t.Errorf("%q: %s: %s", more, r.Outcome, suites.Message(r))
		}
		if r := outcome(t, "TR-07", tgt); r.Outcome != reports.Warn {
			t.Errorf("%q: the redirect itself: %s: %s", more, r.Outcome, suites.Message(r))
		}
	}
}

func TestWhatTheServiceLacks(t *testing.T) {
	tgt, _ := withMore(t, "capabilities: {privacy_mode: false, service_certificate: false, cors: false}\n")
	for id, name := range map[string]string{"WV-PRV-01": "privacy_mode", "WV-CRT-01": "service_certificate", "WV-CRT-06": "service_certificate", "TR-01": "cors", "TR-03": "cors"} {
		if r := outcome(t, id, tgt); r.Outcome != reports.NotApplicable || !strings.Contains(r.Note, "capabilities."+name+": false") {
			t.Errorf("%s: %s: %s", id, r.Outcome, suites.Message(r))
		}
	}
	if r := outcome(t, "WV-LIC-01", tgt); r.Outcome != reports.Pass {
		t.Errorf("another: %s: %s", r.Outcome, suites.Message(r))
	}
}

// TestEmbeddedCertificate judges a certificate that the profile has in a file, and asks nobody for it.
func TestEmbeddedCertificate(t *testing.T) {
	tgt, fake := target(t)
	file := filepath.Join(t.TempDir(), "service.bin")
	if err := os.WriteFile(file, fake.Authority().ServiceCertificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fake.Profile() + "certificate: {mode: embedded, file: '" + file + "'}\n"
	var err error
	if tgt.Profile, err = provider.Parse("embedded", []byte(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for id, want := range map[string]reports.Outcome{
		"WV-CRT-01": reports.NotApplicable, "WV-CRT-02": reports.Pass, "WV-CRT-03": reports.Pass, "WV-CRT-05": reports.Pass,
		"WV-CRT-06": reports.NotApplicable, "WV-CRT-07": reports.NotApplicable,
	} {
		if r := outcome(t, id, tgt); r.Outcome != want {
			t.Errorf("%s: %s: %s", id, r.Outcome, suites.Message(r))
		}
	}
	if _, byOperation := fake.Count(); byOperation[drm.KindCertificate].Received != 0 {
		t.Error("the certificate was asked for")
	}
	if err := os.WriteFile(file, []byte{8, 5}, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := outcome(t, "WV-CRT-02", tgt); r.Outcome == reports.Pass {
		t.Error("an empty certificate passes")
	}
}

// TestTranscriptTellsHowAnswersAreRead: what the profile makes of an answer stands below it.
func TestTranscriptTellsHowAnswersAreRead(t *testing.T) {
	tgt, fake := target(t, "refuse-with-503")
	text := strings.Replace(fake.Profile(), "response:\n", "response:\n  metadata: {cached: {from: header, path: Cache-Control}}\n", 1) + passing
	var err error
	if tgt.Profile, err = provider.Parse("fake", []byte(text)); err != nil {
		t.Fatal(err)
	}
	c, err := suites.Find("WV-LIC-01")
	if err != nil {
		t.Fatal(err)
	}
	_, log := suites.Run(t.Context(), c, tgt)
	if text := log.Text(); !strings.Contains(text, "\n= server_transient\n= cached: no-store\n") {
		t.Errorf("%s", text)
	}
}
