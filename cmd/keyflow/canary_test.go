package main

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
)

// TestNoSecretInAnyOutput runs every command against a fake whose keys are all known here, with and without faults that
// make output longer, and searches everything printed and written for each of them, in every encoding.
func TestNoSecretInAnyOutput(t *testing.T) {
	vault := secret.NewVault()
	asset, err := fixtures.Open("cenc-3key")
	if err != nil {
		t.Fatal(err)
	}
	keys := asset.Keys()
	for _, k := range keys {
		vault.Add("content-key", k)
	}
	fake, err := fakes.Start(t.Context(), fakes.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	fake.AddTo(vault)
	authority := t.TempDir()
	if err := fake.Export(authority); err != nil {
		t.Fatal(err)
	}
	reports := t.TempDir()
	out := filepath.Join(reports, "out")
	server := []string{"--profile", filepath.Join(authority, fakes.ProfileFile), "--authority", authority, "--asset", "cenc-3key", "--out", out}

	w := &watcher{t: t, vault: vault, fake: fake, dir: reports}
	for _, faults := range [][]string{nil, {"wv-keys-swapped"}, {"wv-key-bad-padding"}, {"wv-license-hmac-client-key"}, {"html-200"}} {
		w.run(faults, append([]string{"check"}, server...)...)
		w.run(faults, append([]string{"check", "--json"}, server...)...)
		w.run(faults, append([]string{"load", "--rate", "50/s", "--duration", "200ms"}, server...)...)
	}
	w.run(nil, "mint", "--authority", authority, "--mix", "widevine=1,playready=1", "--count", "20", "--out", filepath.Join(reports, "requests.corpus"), "--json")
	w.run(nil, append([]string{"load", "--corpus", filepath.Join(reports, "requests.corpus"), "--rate", "50/s", "--duration", "200ms"}, server...)...)
	playReady := filepath.Join(authority, "with-custom-data.yaml")
	if err := os.WriteFile(playReady, []byte(fake.PlayReadyProfile()+customDataProfile), 0o600); err != nil {
		t.Fatal(err)
	}
	vault.Add("custom data", secret.New([]byte(customDataToken)))
	w.env = []string{"TOKEN=" + customDataToken}
	server = []string{"--profile", playReady, "--authority", authority, "--asset", "cenc-3key", "--out", out}
	for _, faults := range [][]string{nil, {"pr-key-bit-flipped"}, {"pr-cmac-range"}, {"pr-fault-stack-trace"}, {"pr-digest-not-verified"}} {
		w.run(faults, append([]string{"check"}, server...)...)
		w.run(faults, append([]string{"check", "--json"}, server...)...)
		w.run(faults, append([]string{"load", "--rate", "50/s", "--duration", "200ms"}, server...)...)
	}
	w.run(nil, "mint", "--authority", authority, "--profile", playReady, "--count", "20", "--out", filepath.Join(reports, "custom.corpus"))
	w.run(nil, "check", "--profile", playReady, "--identity", filepath.Join(authority, "playready"))
	w.run(nil, "list", "assets", "--json")
	w.run(nil, "list", "faults")
	w.run(nil, "inspect", "../../fixtures/assets/cenc-3key/stream.mpd", "--json")
	w.run(nil, "explain", "WV-KEY-07")
	w.run(nil, "check", "--authority", filepath.Join(authority, "devices"))
	if w.fingerprints == 0 {
		t.Error("no fingerprint was written: did the runs do anything?")
	}
}

// accounts are the secrets of the embedded profiles, as an integrator would set them, and what is inside of them.
var accounts = map[string]struct{ text, bytes string }{
	"EP_CUSTOMER_AUTHENTICATOR": {"4711,c0ffee00112233445566778899aabbcc", "c0ffee00112233445566778899aabbcc"},
	"AX_COM_KEY_B64":            {"Y2FuYXJ5LWNvbW11bmljYXRpb24ta2V5LTAxMjM0NTY=", "canary-communication-key-0123456"},
	"DT_SHARED_SECRET_HEX":      {"63616e6172792d7368617265642d7365637265742d303132333435363738393a", "canary-shared-secret-0123456789:"},
	"WV_SIGNING_KEY_HEX":        {"63616e6172792d7369676e696e672d6b65792d303132333435363738393a3b3c", "canary-signing-key-0123456789:;<"},
	"WV_SIGNING_IV_HEX":         {"63616e6172792d69762d303132333435", "canary-iv-012345"},
}

// TestNoSecretOfAnyProfileInAnyOutput runs every embedded profile against its stand-in, with faults that make the output longer.
func TestNoSecretOfAnyProfileInAnyOutput(t *testing.T) {
	vault := secret.NewVault()
	w := &watcher{t: t, vault: vault, dir: t.TempDir()}
	fake, err := fakes.Start(t.Context(), fakes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	authority := t.TempDir() // one for all runs: to make keys takes longer than the runs
	if err := fake.Export(authority); err != nil {
		t.Fatal(err)
	}
	fake.AddTo(vault)
	for name, s := range accounts {
		vault.Add(name, secret.New([]byte(s.text)))
		vault.Add(name+" decoded", secret.New([]byte(s.bytes)))
		w.env = append(w.env, name+"="+s.text)
	}
	for _, id := range fixtures.ProfileNames() {
		args := []string{"check", "--profile", id, "--stand-in", "--asset", "cenc-1key", "--authority", authority, "--out", filepath.Join(w.dir, "out")}
		w.run(nil, append(args, "--json")...)
		w.run(nil, append(args, "--fault", "auth-not-enforced")...)
		w.run(nil, "load", "--profile", id, "--stand-in", "--authority", authority, "--rate", "20/s", "--duration", "200ms", "--out", filepath.Join(w.dir, "out"))
	}
	if w.fingerprints == 0 {
		t.Error("no fingerprint was written: did the runs do anything?")
	}
}

// customDataProfile gives a PlayReady profile custom data with a secret in it.
const customDataProfile = `vars:
  TOKEN: {required: true, secret: true, env: TOKEN}
playready:
  custom_data: {template: "<token>${var.TOKEN}</token>"}
`

const customDataToken = "canary-custom-data-4711"

// filesBelow returns the content of all files below dir.
func filesBelow(t *testing.T, dir string) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all.Bytes()
}

// watcher runs commands and searches what they print and write for the secrets of a vault.
type watcher struct {
	t            *testing.T
	vault        *secret.Vault
	fake         *fakes.Server
	dir          string // what the commands write below
	env          []string
	fingerprints int
}

// run runs a command in a process of its own, because Ginkgo runs one suite a process; TestMain has put keyflow into the PATH.
func (w *watcher) run(faults []string, args ...string) {
	w.t.Helper()
	if w.fake != nil {
		if err := w.fake.SetFaults(fakes.Named(faults...)...); err != nil {
			w.t.Fatal(err)
		}
	}
	var printed bytes.Buffer
	c := exec.CommandContext(w.t.Context(), "keyflow", args...)
	c.Stdout, c.Stderr, c.Env = &printed, &printed, append(os.Environ(), w.env...)
	_ = c.Run() // the exit codes are the scripts' business
	if printed.Len() == 0 {
		w.t.Errorf("keyflow %s printed nothing", strings.Join(args, " "))
	}
	written := filesBelow(w.t, w.dir)
	w.fingerprints += bytes.Count(written, []byte("fingerprint"))
	for _, text := range [][]byte{printed.Bytes(), written} {
		if names := w.vault.Names(text); names != nil {
			w.t.Fatalf("keyflow %s with %v gives away %v", strings.Join(args, " "), faults, names)
		}
	}
}

// kill runs a load command and kills it when its journal has a few lines, and searches what it leaves behind.
func (w *watcher) kill(args ...string) {
	w.t.Helper()
	if err := w.fake.SetFaults(fakes.Named("auth-not-enforced")...); err != nil {
		w.t.Fatal(err)
	}
	c := exec.CommandContext(w.t.Context(), "keyflow", args...)
	c.Env = append(os.Environ(), w.env...)
	start(w.t, c)
	journal := filepath.Join(w.dir, "out.journal")
	eventually(w.t, func() bool {
		text, err := os.ReadFile(journal)
		return err == nil && bytes.Count(text, []byte("\n")) > 2
	})
	_ = c.Process.Kill() // it runs: its journal is there
	_ = c.Wait()
	if names := w.vault.Names(filesBelow(w.t, w.dir)); names != nil {
		w.t.Fatalf("a killed keyflow %s gives away %v", strings.Join(args, " "), names)
	}
	w.run(nil, "report", "render", journal, "--out", filepath.Join(w.dir, "out"))
	if err := os.Remove(journal); err != nil {
		w.t.Fatal(err)
	}
}

// tokenTaker is a fake behind a handler that takes down every token which a token service gives out.
type tokenTaker struct {
	*watcher
	front  *httptest.Server
	tokens atomic.Int64
	server []string // flags that lead there
}

// newTokenTaker starts one, with a profile that asks for its tokens where the environment says. token finds the token in an answer.
func newTokenTaker(t *testing.T, path string, profile []byte, token *regexp.Regexp) *tokenTaker {
	t.Helper()
	vault := secret.NewVault()
	asset, err := fixtures.Open("cenc-3key")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range asset.Keys() {
		vault.Add("content-key", k)
	}
	fake, err := fakes.Start(t.Context(), fakes.Options{Keys: asset.Keys()})
	if err != nil {
		t.Fatal(err)
	}
	fake.AddTo(vault)
	taker := &tokenTaker{}
	taker.front = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			fake.Handler().ServeHTTP(rw, r)
			return
		}
		answer := httptest.NewRecorder()
		fake.Handler().ServeHTTP(answer, r)
		if m := token.FindSubmatch(answer.Body.Bytes()); m != nil {
			vault.Add("token", secret.New(m[1]))
			taker.tokens.Add(1)
		}
		maps.Copy(rw.Header(), answer.Header())
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	}))
	t.Cleanup(taker.front.Close)
	dir := t.TempDir()
	file, authority := filepath.Join(dir, "ep.yaml"), filepath.Join(dir, "authority")
	if err = errors.Join(os.WriteFile(file, profile, 0o600), fake.Export(authority)); err != nil {
		t.Fatal(err)
	}
	authenticator, err := os.ReadFile(filepath.Join(authority, fakes.AuthenticatorFile))
	if err != nil {
		t.Fatal(err)
	}
	taker.watcher = &watcher{t: t, vault: vault, fake: fake, dir: filepath.Join(dir, "reports"), env: []string{
		"EP_TOKEN_URL=" + taker.front.URL + path, "EP_CUSTOMER_AUTHENTICATOR=" + strings.TrimSpace(string(authenticator)),
	}}
	taker.server = []string{"--profile", file, "--authority", authority, "--asset", "cenc-3key", "--budget", "5000", "--out", filepath.Join(taker.dir, "out")}
	return taker
}

// TestNoTokenInAnyOutput does the same for what ExpressPlay adds: the customer's authenticator, and every token that the
// token service gave out, which a handler in front of the fake takes down. Its faults make answers that quote more.
func TestNoTokenInAnyOutput(t *testing.T) {
	script, err := txtar.ParseFile("testdata/expressplay.txtar")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(script.Files, func(f txtar.File) bool { return f.Name == "ep.yaml" })
	w := newTokenTaker(t, "/hms/wv/token", script.Files[i].Data, regexp.MustCompile("ExpressPlayToken=(.+)"))
	vault, server := w.vault, w.server
	for _, faults := range [][]string{nil, {"auth-not-enforced", "expired-accepted"}, {"kid-not-bound", "token-signature-ignored"}, {"html-200"}, {"refuse-with-503"}} {
		w.run(faults, append([]string{"check", "--label", "ATH || LIC || KEY"}, server...)...)
	}
	w.run(nil, append([]string{"check", "--json", "--id", "WV-ATH-*"}, server...)...)
	w.run(nil, append([]string{"load", "--rate", "50/s", "--duration", "200ms", "--vegeta-results", filepath.Join(w.dir, "results.bin")}, server...)...)
	w.kill(append([]string{"load", "--rate", "50/s", "--duration", "30s"}, server...)...)
	w.env[1] = "EP_CUSTOMER_AUTHENTICATOR=31337," + strings.Repeat("c0ffee99", 4)
	vault.Add("wrong authenticator", secret.New([]byte("c0ffee99c0ffee99")))
	w.run(nil, append([]string{"check", "--id", "WV-LIC-01"}, server...)...)
	if w.tokens.Load() < 50 || w.fingerprints == 0 {
		t.Errorf("%d tokens, %d fingerprints: did the runs do anything?", w.tokens.Load(), w.fingerprints)
	}
}

// TestNoPlayReadyTokenInAnyOutput does it for PlayReady, with all variants of the embedded profile: its tokens are in URLs and in
// the custom data of challenges.
func TestNoPlayReadyTokenInAnyOutput(t *testing.T) {
	text, err := fixtures.Profile("expressplay-playready-test")
	if err != nil {
		t.Fatal(err)
	}
	for pattern, with := range map[string]string{
		`(?m)^  TOKEN_HOST: .*$`: "  TOKEN_URL: {required: true, env: EP_TOKEN_URL}", `"https://.*/hms/pr/token"`: `"$${var.TOKEN_URL}"`, `(?m)^limits: .*$`: "",
	} {
		changed := regexp.MustCompile(pattern).ReplaceAll(text, []byte(with))
		if bytes.Equal(changed, text) {
			t.Fatalf("the profile has no %s", pattern)
		}
		text = changed
	}
	w := newTokenTaker(t, "/hms/pr/token", text, regexp.MustCompile(`"token":"([^"]+)"`))
	for _, faults := range [][]string{
		nil, {"auth-not-enforced", "expired-accepted", "pr-fault-stack-trace"}, {"kid-not-bound", "token-signature-ignored", "pr-key-bit-flipped"},
	} {
		w.run(faults, append([]string{"check", "--label", "TOK || LIC || FLT"}, w.server...)...)
	}
	w.run(nil, append([]string{"check", "--json", "--id", "PR-SEC-02"}, w.server...)...)
	w.run(nil, append([]string{"load", "--rate", "50/s", "--duration", "200ms", "--vegeta-results", filepath.Join(w.dir, "results.bin")}, w.server...)...)
	w.kill(append([]string{"load", "--rate", "50/s", "--duration", "30s", "--vegeta-results", filepath.Join(w.dir, "results.bin")}, w.server...)...)
	w.env[1] = "EP_CUSTOMER_AUTHENTICATOR=31337," + strings.Repeat("c0ffee99", 4)
	w.vault.Add("wrong authenticator", secret.New([]byte("c0ffee99c0ffee99")))
	w.run(nil, append([]string{"check", "--id", "PR-LIC-01"}, w.server...)...)
	if w.tokens.Load() < 50 || w.fingerprints == 0 {
		t.Errorf("%d tokens, %d fingerprints: did the runs do anything?", w.tokens.Load(), w.fingerprints)
	}
}
