package reports

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"keyflow/drm/secret"
)

// canaries are secrets of every kind that a report may meet: binary ones, texts, texts that formats escape.
var canaries = map[string][]byte{
	"BINARY":  []byte("\x9f\x01CANARY\x00\xfe\xffkey"),
	"TOKEN":   []byte("eyJhbGciOi.Jub25lIn0_canary-token"),
	"MARKUP":  []byte(`<canary a="b'&c">|*_]`),
	"NUMERIC": []byte("48151623421234"),
}

func canaryVault(t *testing.T) *secret.Vault {
	t.Helper()
	v := secret.NewVault()
	for name, b := range canaries {
		if !v.Add(name, secret.New(b)) {
			t.Fatalf("the vault does not take %s", name)
		}
	}
	return v
}

// encodedForms returns a secret in every encoding that the last gate knows.
func encodedForms(b []byte) map[string]string {
	var utf16le []byte
	for _, u := range utf16.Encode([]rune(string(b))) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	var numbers []string
	for _, c := range b {
		numbers = append(numbers, fmt.Sprint(c))
	}
	quoted, _ := json.Marshal(string(b))
	forms := map[string]string{
		"raw": string(b), "hex": hex.EncodeToString(b), "upper hex": strings.ToUpper(hex.EncodeToString(b)),
		"percent": url.QueryEscape(string(b)), "json": string(quoted), "utf-16le": string(utf16le),
		"numbers": strings.Join(numbers, ","),
	}
	for shift := range 3 {
		padded := slices.Concat([]byte("xyz")[:shift], b)
		forms[fmt.Sprint("base64 ", shift)] = base64.StdEncoding.EncodeToString(padded)
		forms[fmt.Sprint("base64url ", shift)] = base64.RawURLEncoding.EncodeToString(padded)
	}
	return forms
}

// fill sets every string that can be reached, keyflow's own words apart, and makes lists, maps and pointers for it.
func fill(v reflect.Value, text func() string) int {
	n := 0
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(text())
			n++
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return 0
		}
		for i := range v.NumField() {
			n += fill(v.Field(i), text)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			n += fill(v.Index(i), text)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		n += fill(v.Elem(), text)
	case reflect.Map:
		if v.Type().Key() == reflect.TypeFor[string]() {
			v.Set(reflect.MakeMap(v.Type()))
			v.SetMapIndex(reflect.ValueOf(text()), reflect.Zero(v.Type().Elem()))
			n++
		}
	default: // numbers
	}
	return n
}

// TestCanary plants every secret, in every encoding, in every string of a report and in a transcript, and looks for it
// in every byte that is written.
func TestCanary(t *testing.T) {
	t.Parallel()
	vault := canaryVault(t)
	for name, b := range canaries {
		for form, text := range encodedForms(b) {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				r := &Report{}
				i := 0
				planted := fill(reflect.ValueOf(r).Elem(), func() string {
					i++
					return fmt.Sprintf("before %d <%s> after", i, text)
				})
				if planted < 70 {
					t.Fatalf("only %d strings were planted", planted)
				}
				setWords(r)
				dir := filepath.Join(t.TempDir(), "out")
				w, err := Write(dir, r, vault, map[string]string{"one.txt": "POST /license\n" + text + "\n"})
				if err != nil {
					t.Fatal(err)
				}
				if len(w.Files) != 5 || w.Report.Verdict.State != Passed {
					t.Errorf("wrote %v, verdict %+v: redaction by value should have been enough", w.Files, w.Report.Verdict)
				}
				searchDir(t, dir, vault, text)
			})
		}
	}
}

// setWords gives the strings of a type of their own values that the schema allows.
func setWords(r *Report) {
	r.RedactionFailed = nil
	r.Verdict.State, r.Verdict.Counts = Passed, map[Outcome]int{Pass: 2}
	for i := range r.Results {
		r.Results[i].Level, r.Results[i].Outcome = Must, []Outcome{Fail, Blocked}[i%2]
	}
}

func searchDir(t *testing.T, dir string, vault *secret.Vault, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, seen := range [][]byte{data, plainMarkup(data), plainMarkdown(data)} {
			if names := vault.Names(seen); names != nil || bytes.Contains(seen, []byte(text)) {
				t.Errorf("%s holds the secret %v", path, names)
			}
		}
		if !bytes.Contains(data, []byte("‹redacted:")) {
			t.Errorf("%s shows no redaction: nothing was there to redact", path)
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("searched %d files: %v", files, err)
	}
}

// TestGateWithholdsWhatComesTogether uses a secret that stands in no field: the JUnit class name makes it of two.
func TestGateWithholdsWhatComesTogether(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("SPLIT", secret.New([]byte("plain-widevine.license")))
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Write(dir, outcomesReport(), vault, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := w.Report
	if r.Verdict.State != Broken || r.Verdict.Exit != 3 || r.Verdict.Claim.Conformant || !strings.Contains(r.Verdict.Claim.Text, "SPLIT") {
		t.Errorf("the verdict is %+v", r.Verdict)
	}
	licenses := 0 // one field of each of the results in the area
	for _, res := range outcomesReport().Results {
		if res.Area == "license" {
			licenses++
		}
	}
	if len(r.RedactionFailed) != licenses {
		t.Errorf("withheld %d fields, want %d: %v", len(r.RedactionFailed), licenses, r.RedactionFailed)
	}
	if len(w.Files) != len(Renderers()) {
		t.Errorf("wrote %v", w.Files)
	}
	for _, f := range w.Files {
		data, readErr := os.ReadFile(filepath.Join(dir, f))
		if readErr != nil || bytes.Contains(data, []byte("plain-widevine.license")) {
			t.Errorf("%s holds the secret (%v)", f, readErr)
		}
		if !bytes.Contains(data, []byte("withheld")) {
			t.Errorf("%s does not say that fields were withheld", f)
		}
	}
	read, err := Read(dir)
	if err != nil || len(read.RedactionFailed) != licenses {
		t.Errorf("report.json lists %v, %v", read, err)
	}
}

// TestGateLeavesOutAFormatThatIsTheSecret uses a secret that the page's own style sheet holds.
func TestGateLeavesOutAFormatThatIsTheSecret(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("UNLUCKY", secret.New([]byte("grid-template-columns")))
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Write(dir, passedReport(), vault, nil)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(w.Files, "report.html") || len(w.Files) != len(Renderers())-1 {
		t.Errorf("wrote %v", w.Files)
	}
	if !slices.Equal(w.Report.RedactionFailed, []string{"report.html"}) || w.Report.Verdict.Exit != 3 {
		t.Errorf("the report says %v, %+v", w.Report.RedactionFailed, w.Report.Verdict)
	}
	if w.Report.Results[0].Note == withheld {
		t.Error("a field was withheld without need")
	}
}

// TestGateRefusesWhatCannotBeSaved uses a secret that is a key of the JSON form.
func TestGateRefusesWhatCannotBeSaved(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("HOPELESS", secret.New([]byte("conformant")))
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Write(dir, passedReport(), vault, nil); !errors.Is(err, ErrSecret) || !strings.Contains(err.Error(), "HOPELESS") {
		t.Errorf("Write: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}

// TestGateReadsWhatAReaderReads uses a secret that XML escapes: it stands in no byte of the file, and on the screen.
func TestGateReadsWhatAReaderReads(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("ESCAPED", secret.New([]byte("wide&vine.license")))
	r := passedReport()
	for i := range r.Results {
		r.Results[i].Profile = "wide&vine"
	}
	w, err := Write(filepath.Join(t.TempDir(), "out"), r, vault, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Report.RedactionFailed) != 1 || w.Report.Verdict.State != Broken {
		t.Errorf("withheld %v", w.Report.RedactionFailed)
	}
}

// TestTranscriptIsWithheld uses a secret that the marker of another one brings in.
func TestTranscriptIsWithheld(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("FIRST", secret.New([]byte("redacted:SECOND")))
	vault.Add("SECOND", secret.New([]byte("second-secret")))
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Write(dir, passedReport(), vault, map[string]string{"one.txt": "a second-secret b", "two.txt": "fine"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"one.txt": withheld + "\n", "two.txt": "fine"} {
		if text, readErr := os.ReadFile(filepath.Join(dir, TranscriptDir, name)); readErr != nil || string(text) != want {
			t.Errorf("%s holds %q, %v", name, text, readErr)
		}
	}
	if !slices.Equal(w.Report.RedactionFailed, []string{"transcripts/one.txt"}) || w.Report.Verdict.Exit != ExitHarness {
		t.Errorf("the report says %v, %+v", w.Report.RedactionFailed, w.Report.Verdict)
	}
}

func TestTranscriptNamesAreGated(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("NAME", secret.New([]byte("secret-name")))
	r := passedReport()
	r.Results[0].Transcript = "transcripts/secret-name.txt"
	dir := filepath.Join(t.TempDir(), "out")
	w, err := Write(dir, r, vault, map[string]string{"secret-name.txt": "text", "other.txt": "text"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(w.Files, "transcripts/withheld-2") || !slices.Contains(w.Files, "transcripts/other.txt") {
		t.Errorf("wrote %v", w.Files)
	}
	if got := w.Report.Results[1].Transcript; got != "transcripts/withheld-2" { // results are sorted
		t.Errorf("the result points at %q", got)
	}
	if w.Report.Verdict.State != Broken || len(w.Report.RedactionFailed) != 1 {
		t.Errorf("the report is not marked: %+v", w.Report.Verdict)
	}
}

func TestRedactKeepsSumsAndWords(t *testing.T) {
	t.Parallel()
	vault := secret.NewVault()
	vault.Add("A", secret.New([]byte("not applicable")))
	vault.Add("B", secret.New([]byte("secret-class-1")))
	r := loadReport()
	r.Results = []Result{{ID: "X", Level: Must, Outcome: NotApplicable, Note: "not applicable"}}
	r.Load.Accounting.Failed = map[string]int64{"secret-class-1": 2, "SECRET-CLASS-1 and secret-class-1": 3, "plain": 4}
	before := renderedJSON(t, r)
	got := Redact(r, vault)
	if got.Results[0].Outcome != NotApplicable || !strings.HasPrefix(got.Results[0].Note, "‹redacted:A:") {
		t.Errorf("redacted to %+v", got.Results[0])
	}
	if total(got.Load.Accounting.Failed) != 9 {
		t.Errorf("the failures are %v", got.Load.Accounting.Failed)
	}
	if !bytes.Equal(before, renderedJSON(t, r)) {
		t.Error("Redact changed its argument")
	}
	if plain := Redact(r, nil); !bytes.Equal(before, renderedJSON(t, plain)) {
		t.Error("Redact without a vault changed the report")
	}
}
