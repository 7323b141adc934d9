package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
)

// TestNoSecretInDoctor looks at every embedded profile, sends and renders, with faults that make answers quote more, and searches all
// that is printed for the account's secrets.
func TestNoSecretInDoctor(t *testing.T) {
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
	asset, err := fixtures.Open("cenc-1key")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range asset.Keys() {
		vault.Add("content-key", k)
	}
	for name, s := range accounts {
		vault.Add(name, secret.New([]byte(s.text)))
		vault.Add(name+" decoded", secret.New([]byte(s.bytes)))
		w.env = append(w.env, name+"="+s.text)
	}
	for _, id := range fixtures.ProfileNames() {
		args := []string{"doctor", "--profile", id, "--stand-in", "--authority", authority}
		w.run(nil, args...)
		w.run(nil, append(args, "--json")...)
		w.run(nil, append(args, "--fault", "html-200")...)
		w.run(nil, "doctor", "--profile", id, "--offline", "--json")
	}
	w.run(nil, "doctor", "--profile", "axinom-widevine", "--offline")
	w.run(nil, "doctor", "--self", "--json")
}

// TestNoTokenInDoctor does the same for tokens that a service gives out.
func TestNoTokenInDoctor(t *testing.T) {
	script, err := txtar.ParseFile("testdata/expressplay.txtar")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(script.Files, func(f txtar.File) bool { return f.Name == "ep.yaml" })
	w := newTokenTaker(t, "/hms/wv/token", script.Files[i].Data, regexp.MustCompile("ExpressPlayToken=(.+)"))
	args := []string{"doctor", "--profile", w.server[1], "--authority", w.server[3], "--budget", "10"}
	for _, faults := range [][]string{nil, {"html-200"}, {"refuse-with-503"}, {"redirect-307"}} {
		w.run(faults, args...)
		w.run(faults, append(args, "--json", "--origin", "https://player.example")...)
	}
	if filepath.Base(w.server[1]) != "ep.yaml" || w.tokens.Load() < 4 {
		t.Errorf("%d tokens were given out: did the runs do anything?", w.tokens.Load())
	}
}
