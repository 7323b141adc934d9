package nearest_test

import (
	"testing"

	"keyflow/drm/nearest"
)

func TestName(t *testing.T) {
	valid := []string{"content_type", "url", "wv-keys-swapped", "html-200"}
	for got, want := range map[string]string{
		"contnet_type":   "content_type",
		"content-type":   "content_type",
		"URL":            "url",
		"ur":             "url",
		"wv-key-swapped": "wv-keys-swapped",
		"html200":        "html-200",
		"something-else": "",
		"":               "",
	} {
		if n := nearest.Name(got, valid); n != want {
			t.Errorf("Name(%q) = %q, want %q", got, n, want)
		}
	}
}

func TestHint(t *testing.T) {
	if got := nearest.Hint("ulr", []string{"url"}); got != `did you mean "url"?` {
		t.Error(got)
	}
	if got := nearest.Hint("qqqqqqq", []string{"b", "a"}); got != "valid: a, b" {
		t.Error(got)
	}
}
