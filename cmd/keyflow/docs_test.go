package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/suites"
)

var update = flag.Bool("update", false, "write docs/ anew")

// TestDocs compares the generated tables of docs/ with the registry and the catalogue of faults.
func TestDocs(t *testing.T) {
	for name, want := range map[string][]byte{"checks.md": checksDoc(), "faults.md": faultsDoc()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("docs/%s is out of date; go test ./cmd/keyflow -run TestDocs -update writes it anew", name)
		}
	}
}

func checksDoc() []byte {
	var b bytes.Buffer
	all := suites.All()
	set := suites.Requirements(all)
	fmt.Fprintf(&b, "# Checks\n\nRequirement set %s, digest `%s`: %d checks, %d of them MUST. Generated from the registry; `keyflow explain ID` tells more.\n\n",
		set.Version, set.Digest, set.Checks, set.Musts)
	b.WriteString("| Id | Level | Requirement | Source | Why | Proved by the faults |\n|---|---|---|---|---|---|\n")
	for _, c := range all {
		var kills []string
		for _, k := range c.Kills {
			kills = append(kills, fmt.Sprintf("`%s` (%s: %s)", k.Fault, k.Outcome, k.Reason))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.ID, c.Level, c.Title, c.Source, c.Why, strings.Join(kills, ", "))
	}
	return b.Bytes()
}

func faultsDoc() []byte {
	var b bytes.Buffer
	b.WriteString("# Faults of the fakes\n\nGenerated from the catalogue. `keyflow check --fault NAME` and `keyflow fake --fault NAME[@nth=N|every=N][,kid=KID][,operation=KIND]` set them.\n\n")
	b.WriteString("| Name | What the fake does | Layer | Acts on | Detected by |\n|---|---|---|---|---|\n")
	for _, f := range faultList() {
		var checks []string
		for _, k := range f.Kills {
			checks = append(checks, fmt.Sprintf("%s (%s: %s)", k.Check, k.Outcome, k.Reason))
		}
		operation := string(f.Scope)
		if operation == "" {
			operation = "every request"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Description, f.Layer, operation, strings.Join(checks, ", "))
	}
	return b.Bytes()
}
