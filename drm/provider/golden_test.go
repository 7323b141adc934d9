package provider_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"keyflow/drm/provider"
)

var update = flag.Bool("update", false, "write golden files")

// TestEveryErrorAtOnce loads a profile in which nearly everything is wrong and compares all messages with a golden file.
func TestEveryErrorAtOnce(t *testing.T) {
	t.Parallel()
	_, err := provider.Load("testdata/broken.yaml")
	if err == nil {
		t.Fatal("accepted")
	}
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile("testdata/broken.golden", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/broken.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("errors\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(got, "hunter22") || strings.Contains(got, "a-real-looking-token") {
		t.Error("the errors print a secret")
	}
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "testdata/broken.yaml:") {
			t.Errorf("the line %q names no place", line)
		}
	}
}
