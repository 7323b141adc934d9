package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyflow/drm/secret"
)

func journalHead() JournalHead {
	r := baseReport("load")
	return JournalHead{
		Tool: r.Tool, Run: r.Run, Target: r.Target, Plan: loadReport().Load.Plan, Due: json.RawMessage(`{"rate":"500/s","duration_ns":60000000000}`),
		Shares: []Share{{Profile: "plain-widevine", System: "widevine", Weight: 3}, {Profile: "plain-playready", System: "playready", Weight: 1}}, SLOs: []string{"p99<250ms"},
	}
}

func journalEntry(second int) *JournalEntry {
	return &JournalEntry{
		At: int64(second+1) * 1e6, Last: int64(second+1)*1e6 - 3, Usage: &Usage{At: second, CPUSeconds: 0.5}, Open: 16, Opened: 16,
		Shares: []JournalShare{{Share: 1, Sent: 500, Operations: []JournalOperation{{
			Name: "license", Service: "HISTFAAAAA==", Lag: "HISTFAAAAA==",
			Seconds: []JournalSecond{{At: second, Answered: 490, Verified: 480, FailedBy: map[string]int64{"timeout": 9}, WrongBy: map[string]int64{"bad-mac": 1}, Latency: "HISTFAAAAA=="}},
		}}}},
		Samples: []Sample{{Class: "timeout", Seq: 4711, Seen: "no answer within 10 s"}},
	}
}

// journal writes a journal of some seconds.
func journal(t *testing.T, seconds int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewJournalWriter(&out, journalHead(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range seconds {
		if err := w.Append(journalEntry(i)); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// entries reads a journal to its end, or to the first error.
func entries(text []byte) (j *JournalReader, all []*JournalEntry, err error) {
	if j, err = NewJournalReader(bytes.NewReader(text)); err != nil {
		return nil, nil, err
	}
	for {
		e, err := j.Next()
		if errors.Is(err, io.EOF) {
			return j, all, nil
		}
		if err != nil {
			return j, all, err
		}
		all = append(all, e)
	}
}

func TestJournalComesBack(t *testing.T) {
	t.Parallel()
	j, all, err := entries(journal(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	want := journalHead()
	want.Schema = JournalSchema
	if !reflect.DeepEqual(j.Head, want) || j.Partial() != 0 || j.Line() != 4 {
		t.Errorf("got head %+v, %d bytes left at line %d", j.Head, j.Partial(), j.Line())
	}
	for i, e := range all {
		if !reflect.DeepEqual(e, journalEntry(i)) {
			t.Errorf("got entry %+v", e)
		}
	}
	if len(all) != 3 {
		t.Errorf("got %d entries", len(all))
	}
}

// TestJournalToleratesAnUnfinishedLine cuts a journal at every byte: entries that are whole are read, the rest is told.
func TestJournalToleratesAnUnfinishedLine(t *testing.T) {
	t.Parallel()
	text := journal(t, 3)
	head := bytes.IndexByte(text, '\n') + 1
	for n := range text {
		j, all, err := entries(text[:n])
		if n < head {
			var at *JournalError
			if !errors.As(err, &at) || at.Line != 1 {
				t.Fatalf("%d bytes: %v, want an error of line 1", n, err)
			}
			continue
		}
		whole := bytes.Count(text[:n], []byte("\n")) - 1
		rest := n - bytes.LastIndexByte(text[:n], '\n') - 1
		if err != nil || len(all) != whole || j.Partial() != rest {
			t.Fatalf("%d bytes: %d entries, %d bytes ignored, %v; want %d, %d", n, len(all), j.Partial(), err, whole, rest)
		}
	}
}

// TestJournalRefuses damages one line in the middle.
func TestJournalRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line     int
		old, new string
		want     string
	}{
		"another schema":   {1, "keyflow-journal/1", "keyflow-journal/2", "keyflow-journal/2"},
		"a report":         {1, "keyflow-journal/1", "keyflow-report/1", "not a keyflow journal"},
		"no shares":        {1, `"shares":[`, `"shares":[],"slo":[`, "unknown"},
		"not JSON":         {3, `{"at_us"`, `{at_us`, "invalid"},
		"a lost end":       {3, `}`, ``, ""},
		"unknown field":    {3, `"at_us"`, `"color":1,"at_us"`, "color"},
		"something behind": {3, "{\"at_us\"", "{\"at_us\":1} {\"at_us\"", "follows"},
		"going back":       {3, `"at_us":2000000`, `"at_us":1`, "goes back"},
		"a share":          {3, `"share":1`, `"share":2`, "no share 2"},
		"a negative count": {3, `"answered":490`, `"answered":-490`, "-490"},
		"a huge count":     {3, `"timeout":9`, `"timeout":99999999999999`, "out of range"},
		"a far second":     {3, `"at_s":1,"answered"`, `"at_s":-1,"answered"`, "at_s"},
		"after the end":    {3, `"open":16`, `"end":{},"open":16`, "end of the run"},
	} {
		lines := strings.SplitAfter(string(journal(t, 4)), "\n")
		changed := strings.Replace(lines[c.line-1], c.old, c.new, 1)
		if changed == lines[c.line-1] {
			t.Errorf("%s: line %d does not hold %s", name, c.line, c.old)
		}
		lines[c.line-1] = changed
		_, _, err := entries([]byte(strings.Join(lines, "")))
		line := c.line
		if name == "after the end" {
			line++
		}
		var at *JournalError
		if !errors.As(err, &at) || at.Line != line || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprint("line ", line)) {
			t.Errorf("%s: %v, want an error of line %d with %q", name, err, line, c.want)
		}
	}
}

func TestJournalBoundsLines(t *testing.T) {
	t.Parallel()
	long := append(journal(t, 1), bytes.Repeat([]byte("x"), maxJournalLine+1)...)
	var at *JournalError
	if _, _, err := entries(long); !errors.As(err, &at) || !errors.Is(err, ErrJournalLine) || at.Line != 3 {
		t.Errorf("got %v", err)
	}
	e := journalEntry(1)
	e.Samples[0].Seen = strings.Repeat("x", maxJournalLine)
	w, err := NewJournalWriter(io.Discard, journalHead(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(e); !errors.Is(err, ErrJournalLine) {
		t.Errorf("a long line is written: %v", err)
	}
}

// TestJournalCanary plants every secret, in every encoding, in every string of head and entry.
func TestJournalCanary(t *testing.T) {
	t.Parallel()
	vault := canaryVault(t)
	for name, b := range canaries {
		for form, text := range encodedForms(b) {
			n := 0
			plant := func() string { n++; return fmt.Sprintf("%d <%s>", n, text) }
			var h JournalHead
			var e JournalEntry
			if planted := fill(reflect.ValueOf(&h).Elem(), plant) + fill(reflect.ValueOf(&e).Elem(), plant); planted < 40 {
				t.Fatalf("only %d strings were planted", planted)
			}
			h.Due, h.Run.Started, h.Run.Finished = json.RawMessage("{}"), time.Time{}, time.Time{}
			var out bytes.Buffer
			w, err := NewJournalWriter(&out, h, vault)
			if err == nil {
				err = w.Append(&e)
			}
			if err != nil || e.RedactionFailed {
				t.Fatalf("%s/%s: %v, failed: %v; redaction by value should have been enough", name, form, err, e.RedactionFailed)
			}
			for _, seen := range [][]byte{out.Bytes(), plainJSON(out.Bytes())} {
				if names := vault.Names(seen); names != nil || bytes.Contains(seen, []byte(text)) {
					t.Errorf("%s/%s: the journal holds %v", name, form, names)
				}
			}
		}
	}
}

// TestJournalLastGate has secrets that no single string holds.
func TestJournalLastGate(t *testing.T) {
	t.Parallel()
	for text, written := range map[string]bool{
		"seen\nno answer within 10 s": true,  // a key and a text: the text is withheld
		"name\nlicense":               false, // keyflow's own words
	} {
		vault := secret.NewVault()
		vault.Add("TOKEN", secret.New([]byte(text)))
		var out bytes.Buffer
		w, err := NewJournalWriter(&out, journalHead(), vault)
		if err != nil {
			t.Fatal(err)
		}
		before := out.Len()
		err = w.Append(journalEntry(0))
		if written != (err == nil) || !written && (!errors.Is(err, ErrSecret) || out.Len() != before) {
			t.Errorf("%q: %v, %d bytes written", text, err, out.Len()-before)
		}
		if names := vault.Names(plainJSON(out.Bytes())); names != nil {
			t.Errorf("%q: the journal holds %v", text, names)
		}
		if !written {
			continue
		}
		_, all, err := entries(out.Bytes())
		if err != nil || len(all) != 1 || !all[0].RedactionFailed || all[0].Samples[0].Seen != withheld || all[0].Shares[0].Operations[0].Seconds[0].Answered != 490 {
			t.Errorf("%q: got %+v, %v", text, all, err)
		}
	}
}

func TestCreateJournalKeepsAnEarlierOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "load")
	begin := func() *Journal {
		t.Helper()
		j, err := CreateJournal(dir, journalHead(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	first := begin()
	if first.Path != dir+".journal" || first.Path != JournalPath(dir+"/") || first.Kept != "" || !IsJournal(first.Path) {
		t.Errorf("got %+v", first)
	}
	// The first was killed. The second keeps it, and so does the third, within the same second.
	if err := first.Append(journalEntry(0)); err != nil {
		t.Fatal(err)
	}
	second := begin()
	third := begin()
	if second.Kept == "" || third.Kept == "" || second.Kept == third.Kept {
		t.Errorf("the earlier journals went to %q and %q", second.Kept, third.Kept)
	}
	// Or it was not: it writes on, and its end does not take the third's journal away.
	if err := errors.Join(first.Append(journalEntry(1)), first.Remove(), second.Close()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(second.Kept)
	if err != nil {
		t.Fatal(err)
	}
	if _, all, err := entries(text); err != nil || len(all) != 2 {
		t.Errorf("%d entries were kept: %v", len(all), err)
	}
	if err := third.Append(journalEntry(0)); err != nil {
		t.Error(err)
	}
	if !IsJournal(dir + ".journal") {
		t.Error("the third journal is gone before its end")
	}
	if err := third.Remove(); err != nil {
		t.Error(err)
	}
	if got := len(names(t, filepath.Dir(dir))); got != 2 {
		t.Errorf("%v are left", names(t, filepath.Dir(dir)))
	}
}

func TestCreateJournalRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "load")
	place := dir + ".journal"
	for name, put := range map[string]func() error{
		"file":      func() error { return os.WriteFile(place, []byte("dear diary\n"), 0o600) },
		"report":    func() error { return os.WriteFile(place, []byte(`{"schema":"keyflow-report/1"}`), 0o600) },
		"directory": func() error { return os.Mkdir(place, 0o700) },
		"link":      func() error { return os.Symlink("elsewhere", place) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if _, err := CreateJournal(dir, journalHead(), nil); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, want %v", name, err, ErrForeign)
		}
		if _, err := os.Lstat(place); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(place, nil, 0o600); err != nil { // killed before its first line
		t.Fatal(err)
	}
	j, err := CreateJournal(dir, journalHead(), nil)
	if err != nil || j.Kept != "" {
		t.Fatalf("an empty journal is in the way: %v", err)
	}
	if err := j.Remove(); err != nil {
		t.Error(err)
	}
}

// FuzzJournal: whatever is read comes to an end, and what was read can be written and read again.
func FuzzJournal(f *testing.F) {
	var out bytes.Buffer
	w, err := NewJournalWriter(&out, journalHead(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	for i := range 2 {
		if err := w.Append(journalEntry(i)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		j, all, err := entries(text)
		if err != nil {
			var at *JournalError
			if !errors.As(err, &at) || at.Line < 1 {
				t.Fatalf("%v is no *JournalError", err)
			}
			return
		}
		var again bytes.Buffer
		w, err := NewJournalWriter(&again, j.Head, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if err := w.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		if _, back, err := entries(again.Bytes()); err != nil || len(back) != len(all) {
			t.Fatalf("%d entries come back as %d: %v", len(all), len(back), err)
		}
	})
}
