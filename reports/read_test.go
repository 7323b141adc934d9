package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func renderedJSON(tb testing.TB, r *Report) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := RenderJSON(&out, r); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// TestJSONRoundTrip shows that every golden report is valid and that reading gives back what was written.
func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	for name, build := range goldenReports {
		text := renderedJSON(t, build())
		r, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again := renderedJSON(t, r); !bytes.Equal(again, text) {
			t.Errorf("%s: reading and writing changes the report", name)
		}
		if name != "hostile" && !reflect.DeepEqual(canonical(r), canonical(build())) { // its strings are not all UTF-8
			t.Errorf("%s: the report read differs from the one written", name)
		}
	}
}

func TestJSONIsOrderedByIdentity(t *testing.T) {
	t.Parallel()
	a, b := outcomesReport(), outcomesReport()
	for i, j := 0, len(b.Results)-1; i < j; i, j = i+1, j-1 {
		b.Results[i], b.Results[j] = b.Results[j], b.Results[i]
	}
	last := b.Results[0].ID
	if !bytes.Equal(renderedJSON(t, a), renderedJSON(t, b)) {
		t.Error("the order of the results shows in the report")
	}
	if b.Results[0].ID != last {
		t.Error("rendering changed the report")
	}
}

func TestJSONTimesAreUTC(t *testing.T) {
	t.Parallel()
	r := passedReport()
	want := renderedJSON(t, r)
	r.Run.Started = r.Run.Started.In(time.FixedZone("", 5*3600))
	if !bytes.Equal(renderedJSON(t, r), want) {
		t.Error("the zone of a time shows in the report")
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, jsonFile)
	if err := os.WriteFile(file, renderedJSON(t, outcomesReport()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, file} {
		r, err := Read(path)
		if err != nil || len(r.Results) != 16 {
			t.Errorf("Read(%s) = %v, %v", path, r, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "absent.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading a missing file: %v", err)
	}
	big := filepath.Join(dir, "big.json")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, MaxSize+1); err != nil { // sparse
		t.Fatal(err)
	}
	if _, err := Read(big); !errors.Is(err, ErrTooLarge) {
		t.Errorf("reading a file that is too large: %v", err)
	}
}

func TestParseIsStrict(t *testing.T) {
	t.Parallel()
	text := string(renderedJSON(t, passedReport()))
	for name, bad := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "truncated": text[:len(text)/2], "followed": text + "{}",
	} {
		if r, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s was accepted: %v", name, r)
		}
	}
}

// FuzzParse shows that what is accepted can be rendered in every format, and is what it was when read again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"passed", "load-missed", "empty", "withheld"} { // small ones: big ones slow the search down
		r := goldenReports[name]()
		if r.Load != nil {
			r.Load.Seconds = r.Load.Seconds[:2]
		}
		var small bytes.Buffer
		if err := json.Compact(&small, renderedJSON(f, r)); err != nil {
			f.Fatal(err)
		}
		f.Add(small.Bytes())
	}
	f.Add([]byte(`{"schema":"keyflow-report/1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		if y := canonical(r).Run; y.Started.Year() < 0 || y.Started.Year() > 9999 || y.Finished.Year() < 0 || y.Finished.Year() > 9999 {
			return // RFC 3339 has no such year; UTC made it of one at the very edge
		}
		for _, format := range append(Renderers(), Renderer{File: "summary", Render: plainSummary}) {
			out, err := format.render(r)
			if err != nil {
				t.Fatal(err)
			}
			if format.File != jsonFile {
				continue
			}
			again, err := Parse(out)
			if err != nil {
				t.Fatalf("the report is not valid after rendering: %v", err)
			}
			if !bytes.Equal(renderedJSON(t, again), out) {
				t.Fatal("reading and writing changes the report")
			}
		}
	})
}
