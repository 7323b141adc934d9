package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGolden renders every golden report in every format and as a terminal summary.
func TestGolden(t *testing.T) {
	for name, build := range goldenReports {
		formats := append(Renderers(),
			Renderer{File: "summary.txt", Render: plainSummary},
			Renderer{File: "summary.ansi", Render: colorSummary})
		for _, f := range formats {
			t.Run(name+"/"+f.File, func(t *testing.T) {
				r := build()
				got, err := f.render(r)
				if err != nil {
					t.Fatal(err)
				}
				again, err := f.render(r)
				if err != nil || !bytes.Equal(got, again) {
					t.Errorf("rendering twice gives different bytes (%v)", err)
				}
				compareGolden(t, filepath.Join("testdata", "golden", name, f.File), got)
			})
		}
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range g {
		if i >= len(w) || !bytes.Equal(g[i], w[i]) {
			missing := []byte("the end")
			if i < len(w) {
				missing = w[i]
			}
			t.Fatalf("%s differs at line %d:\ngot  %s\nwant %s\n(go test ./reports -run TestGolden -update writes it anew)", path, i+1, g[i], missing)
		}
	}
	t.Fatalf("%s has %d lines, want %d", path, len(g), len(w))
}
