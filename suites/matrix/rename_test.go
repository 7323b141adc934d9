package matrix_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// TestRenamedProfilesGoRed: a stand-in does not read the profile. Each header, query parameter, form field and claim of every
// embedded profile is renamed in turn, in a copy; the provider's stand-in must not take any of the copies.
func TestRenamedProfilesGoRed(t *testing.T) {
	t.Parallel()
	for _, id := range fixtures.ProfileNames() {
		text, err := fixtures.Profile(id)
		if err != nil {
			t.Fatal(err)
		}
		copies := renamed(t, text)
		if p, err := provider.Parse(id, text); err != nil || len(copies) == 0 && p.TakesToken() {
			t.Errorf("%s: nothing to rename, %v", id, err)
		}
		for _, c := range copies {
			t.Run(id+"/"+c.what, func(t *testing.T) {
				t.Parallel()
				if !red(t, id, c.text) {
					t.Errorf("the stand-in takes %s with another name for %s", id, c.what)
				}
			})
		}
	}
}

// red reports whether a variant of the profile gets no license from the stand-in of the provider.
func red(t *testing.T, id string, text []byte) bool {
	t.Helper()
	p, err := provider.Parse(id, text)
	if err != nil {
		return true // such as a secret name that no parameter has any more
	}
	variants := p.VariantIDs()
	if len(variants) == 0 {
		variants = []string{""}
	}
	for _, v := range variants {
		_, target := matrix.StandInFor(t, asset, p, v)
		for _, check := range []string{map[drm.System]string{drm.Widevine: "WV-LIC-01", drm.PlayReady: "PR-LIC-01"}[p.DRM], "SC-01"} {
			c, err := suites.Find(check)
			if err != nil {
				t.Fatal(err)
			}
			if r, _ := suites.Run(t.Context(), c, target); r.Outcome != reports.Pass && r.Outcome != reports.NotApplicable {
				return true
			}
		}
	}
	return false
}

// copied is a profile with one name changed.
type copied struct {
	what string
	text []byte
}

// renamed returns the copies.
func renamed(t *testing.T, text []byte) []copied {
	t.Helper()
	var whole yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &whole, yaml.UseOrderedMap()); err != nil {
		t.Fatal(err)
	}
	var copies []copied
	for _, n := range namesIn("", whole) {
		key := n.item.Key
		n.item.Key = fmt.Sprint(key) + "x"
		out, err := yaml.Marshal(whole)
		n.item.Key = key
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, copied{n.path, out})
	}
	return copies
}

// named is a name in a profile that a provider chose.
type named struct {
	path string
	item *yaml.MapItem
}

// providers are the keys whose members' names are the provider's, at any depth below them.
var providers = []string{"headers", "query", "form", "json", "claims", "header", "inner", "outer"}

// namesIn walks a profile: a map below one of the keys has names of the provider's, or below $do.
func namesIn(path string, value any) []named {
	var all []named
	switch v := value.(type) {
	case yaml.MapSlice:
		for i := range v {
			key := fmt.Sprint(v[i].Key)
			at := strings.TrimPrefix(path+"."+key, ".")
			if own(path) && !strings.HasPrefix(key, "$") {
				all = append(all, named{at, &v[i]})
			}
			all = append(all, namesIn(at, v[i].Value)...)
		}
	case []any:
		for i, item := range v {
			all = append(all, namesIn(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	}
	return all
}

// own reports whether what is below the path is the provider's.
func own(path string) bool {
	steps := strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' })
	inRequest := slices.ContainsFunc(steps, func(s string) bool { return s == "request" || s == "tokens" })
	skipped := slices.ContainsFunc(steps, func(s string) bool { return s == "errors" || s == "outputs" || s == "secrets" || s == "response" })
	return inRequest && !skipped && slices.ContainsFunc(steps, func(s string) bool { return slices.Contains(providers, s) })
}
