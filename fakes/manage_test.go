package fakes_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/fakes"
)

// manage sends a request to the management address and decodes its answer.
func manage(t *testing.T, s *fakes.Server, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	r, err := do(t.Context(), method, s.ManagementURL()+path, []byte(body))
	must(t, err)
	if got := r.header.Get("Content-Type"); got == "application/json" {
		must(t, json.Unmarshal(r.body, &answer))
	}
	return r.status, answer
}

func TestManagement(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Seed: 42, Clock: early})
	status, answer := manage(t, s, "GET", "/healthz", "")
	isTrue(t, status == 200 && answer["status"] == "ok" && answer["seed"] == 42.0 && answer["license_url"] == s.LicenseURL())
	isTrue(t, answer["authority"] == string(s.Authority().Fingerprint()))

	status, answer = manage(t, s, "PUT", "/faults", `{"faults":[{"name":"wv-iv-constant","nth":2,"kid":"`+kid0.String()+`","operation":"license"}]}`)
	isTrue(t, status == 200 && len(answer["set"].([]any)) == 1)
	isTrue(t, s.Faults()[0].String() == "wv-iv-constant@nth=2,kid="+kid0.String()+",operation=license")
	getLicense(t, s, ask{})
	getLicense(t, s, ask{})
	status, answer = manage(t, s, "POST", "/faults", `{"faults":[{"name":"html-200"}]}`)
	isTrue(t, status == 200 && len(answer["set"].([]any)) == 2)
	exercised := make(map[string]any)
	for _, f := range answer["catalogue"].([]any) {
		exercised[f.(map[string]any)["name"].(string)] = f.(map[string]any)["exercised"]
	}
	isTrue(t, len(exercised) == len(fakes.Catalogue()) && exercised["wv-iv-constant"] == 1.0 && exercised["html-200"] == 0.0)
	status, answer = manage(t, s, "DELETE", "/faults", "")
	isTrue(t, status == 200 && len(answer["set"].([]any)) == 0 && len(s.Faults()) == 0)

	post(t, s, []byte{8, 4})
	status, answer = manage(t, s, "GET", "/requests?since=1", "")
	isTrue(t, status == 200 && len(answer["requests"].([]any)) == 2)
	isTrue(t, answer["total"].(map[string]any)["received"] == 3.0)
	isTrue(t, answer["by_operation"].(map[string]any)["license"].(map[string]any)["answered"] == 2.0)
	first := answer["requests"].([]any)[0].(map[string]any)
	isTrue(t, first["n"] == 2.0 && first["faults"].([]any)[0] == "wv-iv-constant" && first["kids"].([]any)[0] == kid0.String())

	status, answer = manage(t, s, "POST", "/clock", `{"advance":"1h"}`)
	isTrue(t, status == 200 && answer["offset"] == "1h0m0s" && s.Clock().Now().Equal(early.Now().Add(time.Hour)))
	status, answer = manage(t, s, "GET", "/clock", "")
	isTrue(t, status == 200 && answer["now"] == s.Clock().Now().UTC().Format(time.RFC3339Nano))
}

func TestManagementEmpty(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	_, answer := manage(t, s, "GET", "/requests", "")
	isTrue(t, answer["requests"] != nil && len(answer["requests"].([]any)) == 0)
}

// TestManagementRefuses has every bad input: status 400 with a reason, and nothing changed.
func TestManagementRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("html-200")})
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", "/faults", `{"faults":[{"name":"wv-keys-swaped"}]}`, `did you mean "wv-keys-swapped"?`},
		{"POST", "/faults", `{"faults":[{"name":"html-200","nth":-1}]}`, "nth -1"},
		{"POST", "/faults", `{"faults":[{"name":"html-200","kid":"12"}]}`, "KID"},
		{"POST", "/faults", `{"faults":[{"name":"html-200","operation":"licence"}]}`, `did you mean "license"?`},
		{"POST", "/faults", `{"faults":[{"nam":"html-200"}]}`, "nam"},
		{"POST", "/faults", `{"faults":[]} {}`, "more than one"},
		{"POST", "/faults", ``, "JSON"},
		{"POST", "/faults", `{"faults":[` + strings.Repeat(" ", 1<<20) + `]}`, "too large"},
		{"POST", "/clock", `{"advance":"an hour"}`, "want a duration"},
		{"POST", "/clock", `{"back":"1h"}`, "back"},
		{"GET", "/requests?since=-1", ``, "want a number"},
	} {
		status, answer := manage(t, s, c.method, c.path, c.body)
		if text, _ := answer["error"].(string); status != http.StatusBadRequest || !strings.Contains(text, c.want) {
			t.Errorf("%s %s %.60s: status %d, %v, want %q in it", c.method, c.path, c.body, status, answer, c.want)
		}
	}
	status, answer := manage(t, s, "PUT", "/faults", `{"faults":[{"name":"wv-keys-swaped"}]}`)
	isTrue(t, status == 400 && answer["nearest"] == "wv-keys-swapped")
	isTrue(t, len(s.Faults()) == 1 && s.Clock().Offset() == 0)
	status, _ = manage(t, s, "GET", "/nothing", "")
	isTrue(t, status == http.StatusNotFound)
	status, _ = manage(t, s, "DELETE", "/clock", "")
	isTrue(t, status == http.StatusMethodNotAllowed)
	total, _ := s.Count()
	if total != (fakes.Count{}) {
		t.Errorf("management requests were counted: %+v", total)
	}
	if _, counts := s.Count(); counts[drm.KindLicense].Received != 0 {
		t.Error(counts)
	}
}
