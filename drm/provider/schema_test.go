package provider

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentNamesEverything: docs/profiles.md names every key of the schema, every filter, class, capability and scenario.
func TestDocumentNamesEverything(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`[A-Za-z0-9_+]+`).FindAllString(string(text), -1)
	var wanted []string
	keysBelow(reflect.TypeFor[Profile](), map[reflect.Type]bool{}, &wanted)
	wanted = append(append(append(wanted, filterNames()...), Capabilities()...), Scenarios()...)
	for _, c := range errorClasses() {
		wanted = append(wanted, string(c))
	}
	for _, s := range tokenSources {
		wanted = append(wanted, s.source)
	}
	for _, name := range wanted {
		if !slices.Contains(words, name) {
			t.Errorf("docs/profiles.md does not name %s", name)
		}
	}
}

// keysBelow collects the keys of a type and of all types in it.
func keysBelow(of reflect.Type, seen map[reflect.Type]bool, keys *[]string) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || seen[of] {
		return
	}
	seen[of] = true
	for i := range of.NumField() {
		if key, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			*keys = append(*keys, key)
			keysBelow(of.Field(i).Type, seen, keys)
		}
	}
}
