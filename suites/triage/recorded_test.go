package triage_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/reports"
	"keyflow/suites/triage"
)

// expected is what the recording of a session must be read as, of each browser: the first failing step and its reason, "good" if there is
// none, "open" if the archive leaves steps open, and "" if the browser is not brought to it.
type expected struct {
	chromium, firefox string
	seen, hint        string // in the cause
}

const (
	good = "good"
	open = "open"
)

// recorded are the sessions that browsers recorded with services that misbehave in one way each (testdata/chromium, testdata/firefox).
// Session by session, they are recorded by sessions_test.go, with make browser.
var recorded = map[string]expected{
	"good-widevine":              {good, good, "", ""},
	"good-playready":             {good, good, "", ""},
	"good-without-preflight":     {good, good, "", ""},
	"certificate-only":           {open, open, "", ""},
	"preflight-refused":          {"preflight preflight-status", "preflight preflight-status", "HTTP 404", "OPTIONS"},
	"preflight-unavailable":      {"preflight preflight-status", "preflight preflight-status", "HTTP 503", "operator's log"},
	"preflight-redirected":       {"preflight preflight-status", "preflight preflight-status", "HTTP 302", "no redirect of a preflight"},
	"preflight-page":             {"preflight cors-origin", "preflight cors-origin", "in a web page", "login"},
	"header-not-allowed":         {"preflight cors-headers", "preflight cors-headers", "Access-Control-Allow-Headers: ", "TR-02"},
	"cookies-not-allowed":        {"preflight answer-withheld", "preflight answer-withheld", "though the preflight gave leave", "the page sends cookies"},
	"license-not-shared":         {"preflight cors-origin", "preflight cors-origin", "in the answer itself", "TR-03"},
	"refusal-not-shared":         {"status http-status", "status http-status", "the player saw nothing of it: no Access-Control-Allow-Origin", "TR-03"},
	"page-not-shared":            {"edge html-answer", "edge html-answer", "of which the player saw nothing", "login"},
	"redirect":                   {good, good, "", ""},
	"redirect-to-another-origin": {good, good, "", ""},
	"redirect-to-get":            {"redirect redirect-lost-method", "redirect redirect-lost-method", "where GET was sent", "TR-07"},
	"redirect-not-shared":        {"redirect cors-origin", "redirect cors-origin", "in the redirect", "TR-03"},
	"redirect-to-nobody":         {"redirect connection-refused", "redirect no-answer", "and there: ", "TR-07"},
	"redirect-preflight-refused": {"redirect preflight-status", "redirect preflight-status", "and there: HTTP 404, to the preflight", "TR-01"},
	"status-201":                 {"status status-not-200", "status status-not-200", "HTTP 201", "TR-08"},
	"content-type-refused":       {"status http-status", "status http-status", "HTTP 415", "TR-05"},
	"rate-limited":               {"status http-status", "status http-status", "HTTP 429", "wait"},
	"page":                       {"edge html-answer", "edge html-answer", "HTTP 200 with an HTML page", "login"},
	"token-expired":              {"code token-expired", "code token-expired", "header Authorization expired 10m", "fresh token"},
	"soap-fault-in-200":          {"inside fault-in-200", "inside fault-in-200", "0x8004C601", "answer 500"},
	"wrapped-in-json":            {"form license-wrapped", "form license-wrapped", "JSON $.license, base64", "RW-01"},
	"wrapped-in-base64":          {"form license-wrapped", "form license-wrapped", "a license in base64", "RW-01"},
	"empty":                      {"form empty-answer", "form empty-answer", "an empty body", "RW-15"},
	"gzip":                       {good, good, "", ""},
	"gzip-undeclared":            {"form no-license", "form no-license", "gzip that no Content-Encoding declares", ""},
	"declared-text":              {good, good, "", ""},
	"declared-json":              {open, good, "", ""},
	"another-kid":                {"keys kid-missing", "keys kid-missing", "a license for ", "other content"},
	"renewal-refused":            {"renewal http-status", "renewal http-status", "failed at status: HTTP 403", "RW-20"},
	"cut-short":                  {"network connection-closed", "network connection-closed", "HTTP 200, and ", "before the answer was whole"},
	"connection-reset":           {"network connection-reset", "network no-answer", "", ""},
	"player-gives-up":            {"network aborted", "network no-answer", "", ""},
	"nobody-listens":             {"network connection-refused", "network no-answer", "", ""},
	"no-such-host":               {"network dns", "", "ERR_NAME_NOT_RESOLVED", "does not resolve"},
}

func (e expected) of(browser string) string {
	if browser == "firefox" {
		return e.firefox
	}
	return e.chromium
}

// miss says how a recording was read otherwise than it must be, "" if it was not.
func (e expected) miss(want string, got *reports.Triage) string {
	text, _ := json.MarshalIndent(got, "", " ")
	if len(got.Sessions) != 1 {
		return fmt.Sprintf("%d acquisitions: %s", len(got.Sessions), text)
	}
	cause, exit := got.Sessions[0].Cause, got.Exit()
	switch {
	case want == good && cause == nil && exit == reports.ExitOK, want == open && cause == nil && exit == reports.ExitIncomplete:
	case cause == nil, cause.Step+" "+cause.Reason != want, !strings.Contains(cause.Seen, e.seen), !strings.Contains(cause.Hint, e.hint), exit != reports.ExitFailed:
		return fmt.Sprintf("want %s, %q, %q, have %s", want, e.seen, e.hint, text)
	}
	return ""
}

func recording(browser, session string) string {
	return filepath.Join("testdata", browser, session+".har")
}

// TestRecorded reads what real browsers recorded.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for session, e := range recorded {
		for _, browser := range []string{"chromium", "firefox"} {
			want := e.of(browser)
			if want == "" {
				continue
			}
			t.Run(browser+" "+session, func(t *testing.T) {
				t.Parallel()
				archive, err := os.ReadFile(recording(browser, session))
				if err != nil {
					t.Fatal(err)
				}
				if miss := e.miss(want, read(t, archive, triage.Options{})); miss != "" {
					t.Error(miss)
				}
			})
		}
	}
}
