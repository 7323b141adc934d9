package provider_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyflow/drm/provider"
)

var update = flag.Bool("update", false, "write golden files")

// TestBrokenProfiles loads profiles with mistakes that users make and compares all messages with golden files: each names
// file and line, no two are the same, and no secret is in them.
func TestBrokenProfiles(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d profiles, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			_, err := provider.Load(path)
			if err == nil {
				t.Fatal("accepted")
			}
			got, golden := err.Error()+"\n", strings.TrimSuffix(path, ".yaml")+".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("errors\n%s\nwant\n%s", got, want)
			}
			for _, secret := range []string{"hunter22", "a-real-looking-token"} {
				if strings.Contains(got, secret) {
					t.Errorf("the errors print the secret %s", secret)
				}
			}
			seen := map[string]bool{}
			for line := range strings.Lines(got) {
				if !strings.HasPrefix(line, path+":") || seen[line] {
					t.Errorf("the line %q names no place, or stands twice", line)
				}
				seen[line] = true
			}
		})
	}
}
