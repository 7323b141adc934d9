package reports

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyflow/drm/secret"
)

// withheld stands for a field in which the last gate found a secret.
const withheld = "‹withheld›"

// ErrSecret is wrapped by the error of [Write] that says that a secret could not be kept out of the report, so that
// nothing was written.
var ErrSecret = errors.New("the report cannot be written without giving away a secret")

// Redact returns a copy of the report in which every occurrence of a secret of the vault, in any of its encodings, is
// replaced by the vault's marker, and whose strings are valid UTF-8. A nil vault knows no secrets.
func Redact(r *Report, vault *secret.Vault) *Report {
	c := canonical(r)
	// By value first: making a string valid UTF-8 would tear a binary secret apart and hide the rest of it.
	editStrings(c, func(_, s string) string { return redactText(s, vault) })
	c.Schema = Schema
	return c
}

func redactText(s string, vault *secret.Vault) string {
	if vault != nil {
		s = vault.Redact(s)
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// rendered is one file that is ready to be written.
type rendered struct {
	Name string
	Data []byte
}

// gate is the last gate: it renders a redacted report and lets nothing pass in which a secret of the vault is found.
type gate struct {
	vault   *secret.Vault
	formats []Renderer
}

// found returns the names of the secrets in data, as written and as a reader sees it.
func (g gate) found(data []byte, plain func([]byte) []byte) []string {
	if g.vault == nil {
		return nil
	}
	if names := g.vault.Names(data); names != nil || plain == nil {
		return names
	}
	return g.vault.Names(plain(data))
}

// hits renders the report in the gate's formats. It returns the files in which no secret is found, and the formats and
// names of those in which one is.
func (g gate) hits(r *Report) (clean []rendered, hit []Renderer, names []string, err error) {
	for _, f := range g.formats {
		data, err := f.render(r)
		if err != nil {
			return nil, nil, nil, err
		}
		if n := g.found(data, f.plain); n != nil {
			hit, names = append(hit, f), append(names, n...)
			continue
		}
		clean = append(clean, rendered{f.File, data})
	}
	return clean, hit, names, nil
}

// pass returns the files to write and the report that they show. Where a secret is found in a rendered file, the
// fields that bring it there are withheld and the report is marked; a file whose own words hold the secret is left out.
func (g gate) pass(r *Report) ([]rendered, *Report, error) {
	files, hit, names, err := g.hits(r)
	if err != nil || len(hit) == 0 {
		return files, r, err
	}
	if r, err = g.withhold(r, hit, names); err != nil {
		return nil, nil, err
	}
	files, hit, names, err = g.hits(r)
	if err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(hit, func(f Renderer) bool { return f.File == jsonFile }) {
		return nil, nil, fmt.Errorf("%w: %s holds %s", ErrSecret, jsonFile, strings.Join(names, ", "))
	}
	return files, r, nil
}

// withhold returns a marked copy of the report without the fields that bring a secret into the hit formats. Which they
// are is found by trial, because a secret may come together from several fields and a format's own words.
func (g gate) withhold(r *Report, hit []Renderer, names []string) (*Report, error) {
	var paths []string
	editStrings(canonical(r), func(path, s string) string {
		if path != "schema" {
			paths = append(paths, path)
		}
		return s
	})
	s := search{gate: gate{g.vault, hit}, report: r, out: map[string]bool{}}
	for _, p := range paths {
		s.out[p] = true
	}
	_, stubborn, _, err := s.hits(s.trial())
	if err != nil {
		return nil, err
	}
	// A format that shows a secret with no field left is beyond help; the search is about the others.
	s.formats = without(hit, stubborn)
	if err := s.release(paths); err != nil {
		return nil, err
	}
	failures := slices.DeleteFunc(paths, func(p string) bool { return !s.out[p] })
	for _, f := range stubborn {
		failures = append(failures, f.File)
	}
	return markFailed(s.trial(), failures, names), nil
}

// search looks for the smallest set of fields to withhold.
type search struct {
	gate
	report *Report
	out    map[string]bool // paths withheld
}

// trial returns the report without the fields that are out.
func (s search) trial() *Report {
	c := canonical(s.report)
	editStrings(c, func(path, text string) string {
		if s.out[path] {
			return withheld
		}
		return text
	})
	return c
}

// release puts back those of the paths that bring no secret with them, halving where some do: a few fields among
// thousands cost a few dozen renderings.
func (s search) release(paths []string) error {
	for _, p := range paths {
		delete(s.out, p)
	}
	_, hit, _, err := s.hits(s.trial())
	if err != nil || len(hit) == 0 {
		return err
	}
	for _, p := range paths {
		s.out[p] = true
	}
	if len(paths) < 2 {
		return nil
	}
	half := len(paths) / 2
	return errors.Join(s.release(paths[:half]), s.release(paths[half:]))
}

func without(all, some []Renderer) []Renderer {
	return slices.DeleteFunc(slices.Clone(all), func(f Renderer) bool {
		return slices.ContainsFunc(some, func(x Renderer) bool { return x.File == f.File })
	})
}

// markFailed makes the report say of itself that its redaction failed: in which places, and which secrets.
func markFailed(r *Report, places, names []string) *Report {
	slices.Sort(names)
	r.RedactionFailed = append(r.RedactionFailed, places...)
	r.Verdict.State = Broken
	r.Verdict.Exit = ExitHarness
	r.Verdict.Claim.Conformant = false
	r.Verdict.Claim.Text = "no claim: the last gate withheld what would have shown " + strings.Join(slices.Compact(names), ", ")
	return r
}

// plainMarkdown undoes backslash escapes and character references.
func plainMarkdown(text []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(markdownSpecial, text[i+1]) >= 0 {
			i++
		}
		out.WriteByte(text[i])
	}
	return plainMarkup(out.Bytes())
}
