package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

	var printed bytes.Buffer
	fingerprints := 0
	command := func(faults []string, args ...string) {
		t.Helper()
		if err := fake.SetFaults(fakes.Named(faults...)...); err != nil {
			t.Fatal(err)
		}
		before := printed.Len()
		// In a process of its own, because Ginkgo runs one suite a process; TestMain has put keyflow into the PATH.
		c := exec.CommandContext(t.Context(), "keyflow", args...)
		c.Stdout, c.Stderr = &printed, &printed
		_ = c.Run() // the exit codes are the scripts' business
		if printed.Len() == before {
			t.Errorf("keyflow %s printed nothing", strings.Join(args, " "))
		}
		written := filesBelow(t, reports)
		fingerprints += bytes.Count(written, []byte("fingerprint"))
		for _, text := range [][]byte{printed.Bytes(), written} {
			if names := vault.Names(text); names != nil {
				t.Fatalf("keyflow %s with %v gives away %v", strings.Join(args, " "), faults, names)
			}
		}
		printed.Reset()
	}
	for _, faults := range [][]string{nil, {"wv-keys-swapped"}, {"wv-key-bad-padding"}, {"wv-license-hmac-client-key"}, {"html-200"}} {
		command(faults, append([]string{"check"}, server...)...)
		command(faults, append([]string{"check", "--json"}, server...)...)
		command(faults, append([]string{"load", "--rate", "50/s", "--duration", "200ms"}, server...)...)
	}
	command(nil, "list", "assets", "--json")
	command(nil, "list", "faults")
	command(nil, "inspect", "../../fixtures/assets/cenc-3key/stream.mpd", "--json")
	command(nil, "explain", "WV-KEY-07")
	command(nil, "check", "--authority", filepath.Join(authority, "devices"))
	if fingerprints == 0 {
		t.Error("no fingerprint was written: did the runs do anything?")
	}
}

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
