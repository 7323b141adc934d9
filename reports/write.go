package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// TranscriptDir is the directory of a report's transcripts; [Result.Transcript] is TranscriptDir/NAME.
const TranscriptDir = "transcripts"

// previousSuffix names the report before: DIR.previous beside DIR.
const previousSuffix = ".previous"

// ErrForeign is wrapped by errors about a directory that holds something other than a report and is left alone.
var ErrForeign = errors.New("not a keyflow report: choose another directory with --out, or remove it yourself")

// transcriptName is what a transcript may be called: one path element that every file system takes.
var transcriptName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._,=@+-]{0,199}$`)

// Written tells what [Write] wrote.
type Written struct {
	Dir      string
	Files    []string // relative to Dir, with forward slashes; report.json is first
	Previous string   // directory of the report before, "" if there was none
	// Report is the report as it was written, redacted; only this one is for other eyes. Its verdict differs from the
	// one given if the redaction failed.
	Report *Report
}

// Write redacts the report and its transcripts (name to text), passes them through the last gate, and puts them into dir
// in all formats. The directory appears whole or not at all; a report that was there is kept as DIR.previous, and stays
// where it is if anything goes wrong. A directory that holds anything but a report is refused with [ErrForeign]. A nil
// vault knows no secrets.
func Write(dir string, r *Report, vault *secret.Vault, transcripts map[string]string) (*Written, error) {
	p, err := newSite(dir)
	if err != nil {
		return nil, fmt.Errorf("write report to %s: %w", dir, err)
	}
	files, shown, err := prepare(r, vault, transcripts)
	if err != nil {
		return nil, fmt.Errorf("write report to %s: %w", dir, err)
	}
	had, err := p.put(files, createFile)
	if err != nil {
		return nil, fmt.Errorf("write report to %s: %w", dir, err)
	}
	w := &Written{Dir: dir, Report: shown}
	if had {
		w.Previous = filepath.Clean(dir) + previousSuffix
	}
	for _, f := range files {
		w.Files = append(w.Files, f.Name)
	}
	return w, nil
}

// CheckDir reports whether [Write] could put a report into dir, so that a long run need not end in a refusal. It leaves
// nothing behind but the parents of dir.
func CheckDir(dir string) error {
	p, err := newSite(dir)
	if err == nil {
		err = p.try()
	}
	if err != nil {
		return fmt.Errorf("use %s for the report: %w", dir, err)
	}
	return nil
}

// prepare returns everything that is to be written, none of it holding a secret.
func prepare(r *Report, vault *secret.Vault, transcripts map[string]string) ([]rendered, *Report, error) {
	shown := Redact(r, vault)
	texts, failed, err := gateTranscripts(shown, vault, transcripts)
	if err != nil {
		return nil, nil, err
	}
	if len(failed) > 0 {
		shown = markFailed(shown, failed, []string{"a secret in a transcript"})
	}
	files, shown, err := gate{vault, Renderers()}.pass(shown)
	if err != nil {
		return nil, nil, err
	}
	if err := Validate(files[0].Data); err != nil { // Renderers and the gate keep JSON first
		return nil, nil, err
	}
	return append(files, texts...), shown, nil
}

// gateTranscripts redacts transcripts, in the order of their names. A transcript in which a secret is found all the same
// is withheld whole; one whose name holds a secret is renamed, in the results that point at it too.
func gateTranscripts(shown *Report, vault *secret.Vault, transcripts map[string]string) (texts []rendered, failed []string, err error) {
	g := gate{vault: vault}
	for i, name := range slices.Sorted(maps.Keys(transcripts)) {
		if !transcriptName.MatchString(name) {
			return nil, nil, fmt.Errorf("transcript name %q: want a letter, digit or underscore, then at most 199 of letters, digits and . _ , = @ + -",
				redactText(name, vault))
		}
		text := redactText(transcripts[name], vault)
		old := redactText(TranscriptDir+"/"+name, vault)
		if g.found([]byte(name), nil) != nil {
			name = fmt.Sprintf("withheld-%d", i+1)
			failed = append(failed, TranscriptDir+"/"+name+": name")
			for j := range shown.Results {
				if shown.Results[j].Transcript == old {
					shown.Results[j].Transcript = TranscriptDir + "/" + name
				}
			}
			shown.Load.renameTranscript(old, TranscriptDir+"/"+name)
		}
		if g.found([]byte(text), nil) != nil {
			text = withheld + "\n"
			failed = append(failed, TranscriptDir+"/"+name)
		}
		texts = append(texts, rendered{TranscriptDir + "/" + name, []byte(text)})
	}
	return texts, failed, nil
}

// site is where a report goes.
type site struct{ dir, previous string }

// newSite resolves dir and refuses it if it, or the .previous beside it, holds anything but a report.
func newSite(dir string) (site, error) {
	if dir == "" {
		return site{}, errors.New("the name of the directory is empty")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return site{}, err
	}
	if target, err := filepath.EvalSymlinks(abs); err == nil {
		abs = target
	}
	p := site{dir: abs, previous: abs + previousSuffix}
	for _, d := range []string{p.dir, p.previous} {
		if err := checkOurs(d); err != nil {
			return site{}, err
		}
	}
	return p, nil
}

// checkOurs returns an error if there is something at dir that is neither an empty directory nor a report.
func checkOurs(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %w", dir, ErrForeign)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 && !isReport(filepath.Join(dir, jsonFile)) {
		return fmt.Errorf("%s: %w", dir, ErrForeign)
	}
	return nil
}

// isReport reports whether the file is a report of any version: other tools write a report.json too.
func isReport(path string) bool { return begins(path, Schema) }

// begins reports whether the file begins like one of the schema, of any version.
func begins(path, schema string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // opened to read
	head := make([]byte, 4096)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	// The schema is the first key.
	d := json.NewDecoder(bytes.NewReader(head[:n]))
	for _, want := range []json.Token{json.Delim('{'), "schema"} {
		if got, tokenErr := d.Token(); tokenErr != nil || got != want {
			return false
		}
	}
	version, err := d.Token()
	text, ok := version.(string)
	family, _, _ := strings.Cut(schema, "/")
	return err == nil && ok && strings.HasPrefix(text, family+"/")
}
