package reports

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

var update = flag.Bool("update", false, "write schema.json and the golden files anew")

// TestSchemaFollowsTheModel generates the schema from the model and its comments.
func TestSchemaFollowsTheModel(t *testing.T) {
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("schema.json is not what the model says: run go test ./reports -run TestSchema -update")
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	words := map[reflect.Type][]any{
		reflect.TypeFor[Outcome](): enum(Outcomes()...),
		reflect.TypeFor[Level]():   enum(Must, Should, May),
		reflect.TypeFor[State]():   enum(Passed, Failed, Incomplete, Broken),
	}
	r := jsonschema.Reflector{
		Anonymous: true,
		Mapper: func(typ reflect.Type) *jsonschema.Schema {
			if list, ok := words[typ]; ok {
				return &jsonschema.Schema{Type: "string", Enum: list}
			}
			if typ.Kind() == reflect.Map && words[typ.Key()] != nil {
				counts := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
				for _, word := range words[typ.Key()] {
					counts.Properties.Set(fmt.Sprint(word), &jsonschema.Schema{Type: "integer"})
				}
				return counts
			}
			return nil
		},
	}
	if err := r.AddGoComments("keyflow", ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for key, text := range r.CommentMap { // the package is found at ".", so its path is missing
		comments[strings.Replace(key, "keyflow.", "keyflow/reports.", 1)] = strings.Join(strings.Fields(text), " ")
	}
	r.CommentMap = comments
	s := r.Reflect(&Report{})
	s.Title = "keyflow report"
	version, ok := s.Definitions["Report"].Properties.Get("schema")
	if !ok {
		t.Fatal("the model has no schema field")
	}
	version.Const = Schema
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func enum[T any](words ...T) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}

func TestSchemaDescribesTheModel(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"All times are microseconds", "SHA-256 over ids, levels and titles", `"not applicable"`, `"const": "` + Schema + `"`} {
		if !bytes.Contains(JSONSchema(), []byte(want)) {
			t.Errorf("the schema does not hold %s", want)
		}
	}
}

// TestValidateRefuses changes one thing at a time in a report that matches.
func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", "outcomes", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(text); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"another version":   {`"keyflow-report/1"`, `"keyflow-report/2"`, "/schema"},
		"unknown outcome":   {`"outcome": "fail"`, `"outcome": "failed"`, "/outcome"},
		"unknown level":     {`"level": "MUST"`, `"level": "must"`, "/level"},
		"unknown state":     {`"state": "failed"`, `"state": "green"`, "/verdict/state"},
		"unknown count":     {`"not run": 1`, `"skipped": 1`, "/verdict/counts"},
		"unknown key":       {`"kind": `, `"color": "red", "kind": `, "color"},
		"missing key":       {`"exit": 1,`, ``, "exit"},
		"number for text":   {`"platform": "harness"`, `"platform": 1`, "/target/platform"},
		"null list":         {`"urls": [`, `"urls": null, "faults": [`, "/target/urls"},
		"no time":           {`"started": "2026-01-02T03:04:05Z"`, `"started": "yesterday"`, "started"},
		"not JSON":          {`"schema"`, `schema`, "parse report"},
		"something follows": {"{\n  \"schema\"", "{} {\n  \"schema\"", "parse report"},
	} {
		changed := bytes.Replace(text, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(changed, text) {
			t.Errorf("%s: the golden report does not hold %s", name, c.old)
			continue
		}
		if err := Validate(changed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that names %s", name, err, c.want)
		}
	}
}
