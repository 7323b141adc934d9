package reports

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaJSON is generated from the model: go test ./reports -run TestSchema -update.
//
//go:embed schema.json
var schemaJSON []byte

// JSONSchema returns the published JSON Schema (draft 2020-12) of a report of version [Schema].
func JSONSchema() []byte { return bytes.Clone(schemaJSON) }

// schemaURL is what error messages call the schema; it has no other use.
const schemaURL = "urn:keyflow:report:1"

// compiledSchema compiles the embedded schema once.
var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("read report schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err = c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("read report schema: %w", err)
	}
	s, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("compile report schema: %w", err)
	}
	return s, nil
})

// Validate returns an error that names every place where a JSON text does not match [JSONSchema].
func Validate(text []byte) error {
	s, err := compiledSchema()
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("parse report: %w", err)
	}
	if err := s.Validate(doc); err != nil {
		return fmt.Errorf("validate report against %s: %w", Schema, err)
	}
	return nil
}
