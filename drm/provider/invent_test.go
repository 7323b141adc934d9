package provider_test

import (
	"regexp"
	"testing"

	"keyflow/drm/provider"
)

func TestInvent(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		`^[0-9]+,[0-9a-fA-F]{32}$`, `^https?://[a-zA-Z0-9][^\s]*$`, `^(ab|cd)+x?[^a-z]{3}\.example$`, `key-.{4,9}`, `^[äöü]{8}$`,
	} {
		v := provider.Var{Required: true, Secret: true, Pattern: pattern}
		first, second := provider.Invent("V", v), provider.Invent("V", v)
		if !regexp.MustCompile(pattern).MatchString(first) || len(first) < 8 {
			t.Errorf("%s: %q does not fit", pattern, first)
		}
		if pattern == `^[0-9]+,[0-9a-fA-F]{32}$` && first == second {
			t.Errorf("%s: %q twice", pattern, first)
		}
	}
	for name, c := range map[string]struct {
		v    provider.Var
		want string
	}{
		"not required":       {provider.Var{Pattern: "^abcdefgh$"}, ""},
		"enum":               {provider.Var{Required: true, Enum: []any{3, 4}}, "3"},
		"word boundary":      {provider.Var{Required: true, Pattern: `^a\Bb$`}, "ab"},
		"cannot be fitted":   {provider.Var{Required: true, Pattern: `^a\bb$`}, ""},
		"too short a secret": {provider.Var{Required: true, Secret: true, Pattern: `^abc$`}, ""},
	} {
		if got := provider.Invent("V", c.v); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := provider.Invent("V", provider.Var{Required: true, Secret: true}); len(got) < 20 || got[:4] != "FAKE" {
		t.Errorf("a secret without a pattern: %q", got)
	}
}

func FuzzInvent(f *testing.F) {
	f.Add(`^[0-9]+,[0-9a-fA-F]{32}$`)
	f.Add(`(a|)*\x{10FFFF}+$`)
	f.Fuzz(func(t *testing.T, pattern string) {
		if len(pattern) > 40 {
			return
		}
		if _, err := regexp.Compile(pattern); err != nil {
			return
		}
		if got := provider.Invent("V", provider.Var{Required: true, Pattern: pattern}); got != "" && !regexp.MustCompile(pattern).MatchString(got) && pattern != "" {
			t.Errorf("%q does not fit %q", got, pattern)
		}
	})
}
