package reports

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func mustWrite(t *testing.T, dir string, r *Report) *Written {
	t.Helper()
	w, err := Write(dir, r, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustRead(t *testing.T, dir string) *Report {
	t.Helper()
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func numbered(n int64) *Report {
	r := passedReport()
	r.Run.Seed = n
	return r
}

func TestWriteKeepsOnePrevious(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "deep", "check")
	for n := int64(1); n <= 3; n++ {
		if err := CheckDir(dir); err != nil {
			t.Fatal(err)
		}
		w := mustWrite(t, dir, numbered(n))
		if got := mustRead(t, dir).Run.Seed; got != n {
			t.Errorf("report %d holds run %d", n, got)
		}
		if n == 1 {
			if w.Previous != "" {
				t.Errorf("the first report has a previous one: %s", w.Previous)
			}
			continue
		}
		if w.Previous != dir+".previous" || mustRead(t, w.Previous).Run.Seed != n-1 {
			t.Errorf("the report before is %s", w.Previous)
		}
	}
	if got := names(t, filepath.Dir(dir)); !slices.Equal(got, []string{"check", "check.previous"}) {
		t.Errorf("the parent holds %v", got)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"junit.xml", "report.html", "report.json", "report.md"}) {
		t.Errorf("the report holds %v", got)
	}
}

func TestWriteTakesTranscripts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Write(dir, passedReport(), nil, map[string]string{"b.txt": "two", "a.txt": "one\xff"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Files[len(w.Files)-2:], []string{"transcripts/a.txt", "transcripts/b.txt"}) || w.Files[0] != jsonFile {
		t.Errorf("wrote %v", w.Files)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "transcripts", "a.txt")); err != nil || string(text) != "one\uFFFD" {
		t.Errorf("a.txt holds %q, %v", text, err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "../a", "/a", ".hidden", "a\x00", "a\nb", "-a", strings.Repeat("a", 201)} {
		if _, err := Write(filepath.Join(t.TempDir(), "out"), passedReport(), nil, map[string]string{bad: ""}); err == nil || !strings.Contains(err.Error(), "transcript name") {
			t.Errorf("the transcript name %q: %v", bad, err)
		}
	}
}

func TestWriteLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	foreign := map[string]func(dir string) error{
		"a directory with other files": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("mine"), 0o600))
		},
		"another tool's report.json": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, jsonFile), []byte(`{"schema": "else/1"}`), 0o600))
		},
		"an unreadable report.json": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, jsonFile), 0o755)
		},
		"a file": func(dir string) error { return os.WriteFile(dir, []byte("mine"), 0o600) },
	}
	for name, build := range foreign {
		for _, suffix := range []string{"", ".previous"} {
			dir := filepath.Join(t.TempDir(), "out")
			if suffix != "" {
				mustWrite(t, dir, numbered(1))
			}
			if err := build(dir + suffix); err != nil {
				t.Fatal(err)
			}
			before := names(t, filepath.Dir(dir))
			_, err := Write(dir, numbered(2), nil, nil)
			if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "--out") {
				t.Errorf("%s at out%s: Write gave %v", name, suffix, err)
			}
			if err := CheckDir(dir); !errors.Is(err, ErrForeign) {
				t.Errorf("%s at out%s: CheckDir gave %v", name, suffix, err)
			}
			if after := names(t, filepath.Dir(dir)); !slices.Equal(before, after) {
				t.Errorf("%s: the parent held %v and holds %v", name, before, after)
			}
			if suffix != "" && mustRead(t, dir).Run.Seed != 1 {
				t.Errorf("%s: the report that was there changed", name)
			}
		}
	}
}

func TestWriteIntoAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := errors.Join(os.Mkdir(target, 0o755), os.Symlink(target, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"target", "link"} { // a report, and then a link to one
		mustWrite(t, filepath.Join(dir, path), numbered(1))
	}
	if got := names(t, dir); !slices.Equal(got, []string{"link", "target", "target.previous"}) {
		t.Errorf("the parent holds %v", got)
	}
	if _, err := Write("", passedReport(), nil, nil); err == nil {
		t.Error("the empty name was accepted")
	}
}

func TestWriteWhereNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(file, "out")
	if _, err := Write(below, passedReport(), nil, nil); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), below) {
		t.Errorf("Write below a file: %v", err)
	}
	if err := CheckDir(below); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("CheckDir below a file: %v", err)
	}
	if os.Getuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(filepath.Join(closed, "out"), passedReport(), nil, nil); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Write into a closed directory: %v", err)
	}
}

// fullDisk takes some bytes and then no more.
type fullDisk struct {
	left    *int
	onClose bool
}

func (d fullDisk) Write(p []byte) (int, error) {
	if *d.left -= len(p); *d.left < 0 && !d.onClose {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func (d fullDisk) Close() error {
	if *d.left < 0 && d.onClose {
		return syscall.ENOSPC
	}
	return nil
}

func TestWriteOnAFullDisk(t *testing.T) {
	t.Parallel()
	for _, onClose := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "out")
		mustWrite(t, dir, numbered(1))
		p, err := newSite(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, _, err := prepare(numbered(2), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		left := len(files[0].Data) + 10 // report.json fits, the next does not
		_, err = p.put(files, func(string) (io.WriteCloser, error) { return fullDisk{&left, onClose}, nil })
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "report.html") || !strings.Contains(err.Error(), "unchanged") {
			t.Errorf("the error is %v", err)
		}
		if got := names(t, filepath.Dir(dir)); !slices.Equal(got, []string{"out"}) || mustRead(t, dir).Run.Seed != 1 {
			t.Errorf("what was there changed: %v", got)
		}
	}
}

// TestSwapGoesBack lets the last move fail: the fresh directory is not there.
func TestSwapGoesBack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	mustWrite(t, dir, numbered(1))
	mustWrite(t, dir, numbered(2))
	p, err := newSite(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.swap(dir+".absent", dir+".old"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("swap: %v", err)
	}
	if mustRead(t, dir).Run.Seed != 2 || mustRead(t, dir+".previous").Run.Seed != 1 {
		t.Error("the reports are not where they were")
	}
}

// TestWriteRefusesAnInvalidReport shows that the schema is asked before anything is written.
func TestWriteRefusesAnInvalidReport(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	r := passedReport()
	r.Results[0].Outcome = "skipped"
	if _, err := Write(dir, r, nil, nil); err == nil || !strings.Contains(err.Error(), "/outcome") {
		t.Errorf("Write: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}
