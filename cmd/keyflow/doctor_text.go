package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/suites/doctor"
)

// doctorText is a document as a person reads it.
type doctorText struct {
	bytes.Buffer
	color bool
}

// showDoctor prints a part of the document, redacted.
func (a *app) showDoctor(vault *secret.Vault, d *doctor.Document, part func(*doctorText, *doctor.Document)) error {
	d.Redact(vault)
	t := &doctorText{color: a.color}
	part(t, d)
	return a.gated(vault, t.Bytes())
}

// gated prints what holds no secret of the vault: the last gate, behind redaction.
func (a *app) gated(vault *secret.Vault, text []byte) error {
	if names := vault.Names(text); names != nil {
		return harness(fmt.Errorf("a secret stands in what was to be printed, and that was withheld: %s", strings.Join(names, ", ")))
	}
	if _, err := a.out.Write(text); err != nil {
		return harness(fmt.Errorf("write output: %w", err))
	}
	return nil
}

func (t *doctorText) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

func (t *doctorText) paint(code, text string) string { return paint(t.color, code, text) }

func (t *doctorText) heading(text string) { t.line("\n%s", t.paint(sgrBold, text)) }

// beginning is what is known before something is sent.
func (t *doctorText) beginning(d *doctor.Document) {
	if d.Mode == doctor.ModeSelf {
		t.line("keyflow %s: doctor, keyflow itself on this machine\n", d.Tool.Version)
		return
	}
	p := d.Profile
	from := ""
	if p.Origin != p.ID+" (embedded)" {
		from = " from " + p.Origin
	}
	t.line("keyflow %s: doctor, profile %s%s at %s", d.Tool.Version, p.ID, from, p.URL)
	t.line("  server   %s", p.Server)
	t.line("  device   %s", p.Device)
	t.line("  content  %s, KID %s", p.Asset, drm.JoinKIDs(p.KIDs))
	for _, what := range d.Insecure {
		t.line("  %s %s", t.paint(sgrYellow, "insecure"), what)
	}
	t.variables(d.Variables)
	for i, s := range d.Settings {
		t.settings(s, i == 0)
	}
	for _, r := range d.Requests {
		t.request(r)
	}
	for _, g := range d.Golden {
		t.golden(g)
	}
	if d.Mode == doctor.ModeHops {
		t.heading("hops" + ofVariant(p.Variant))
	}
}

func ofVariant(id string) string {
	if id == "" {
		return ""
	}
	return ", variant " + id
}

func (t *doctorText) variables(vs []provider.Variable) {
	if len(vs) == 0 {
		return
	}
	t.heading("variables")
	w := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	for _, v := range vs {
		value := v.Value
		switch {
		case v.Secret && v.Bytes > 0:
			value += fmt.Sprintf(", %d bytes", v.Bytes)
		case value == "":
			value = `""`
		}
		source := v.Source
		if v.Lacking != "" {
			source += ": " + v.Lacking
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Name, value, source)
	}
	_ = w.Flush() // a buffer takes everything
}

func (t *doctorText) settings(s doctor.Settings, whole bool) {
	switch {
	case whole:
		t.heading("values" + ofVariant(s.Variant))
	case len(s.Values) == 0:
		return
	default:
		t.heading("what changes in variant " + s.Variant)
	}
	w := tabwriter.NewWriter(t, 0, 0, 2, ' ', 0)
	for _, v := range s.Values {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Path, oneLine(v.Value), v.Source)
	}
	_ = w.Flush()
}

// oneLine folds white space, which would break a table, and cuts what is long.
func oneLine(text string) string {
	const longest = 72
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return string(runes)
}

func (t *doctorText) request(r doctor.Rendering) {
	t.heading(fmt.Sprintf("the %s request%s", r.Kind, ofVariant(r.Variant)))
	if r.Problem != "" {
		t.line("  cannot be rendered: %s", r.Problem)
		return
	}
	t.line("  %s %s", r.Method, r.URL)
	for _, q := range r.Query {
		t.line("    ?%s=%s", q.Name, q.Value)
	}
	for _, h := range r.Header {
		t.line("  %s: %s", h.Name, h.Value)
	}
	if r.CustomData != "" {
		t.line("  custom data  %s", r.CustomData)
	}
	t.line("  body         %d bytes, %s", r.Body.Bytes, r.Body.Form)
	for _, p := range r.Body.Parts {
		t.line("    %s  %s", p.Name, p.Value)
	}
	for _, i := range r.Invented {
		t.line("  token %s is made up here: %s", i.Token, i.Why)
	}
}

func (t *doctorText) golden(g doctor.Comparison) {
	t.heading("compared with the golden requests" + ofVariant(g.Variant))
	if g.Problem != "" {
		t.line("  %s %s", t.paint(sgrRed, "cannot be compared:"), g.Problem)
		return
	}
	if g.Same() {
		t.line("  %s the same, field by field", t.paint(sgrGreen, "ok"))
		return
	}
	for _, d := range g.Differences {
		t.line("  %s %s request, %s", t.paint(sgrRed, "differs"), d.Request, d.Field)
		t.line("    want  %s", orNothing(d.Want))
		t.line("    have  %s", orNothing(d.Have))
	}
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

var outcomeColors = map[doctor.Outcome]string{
	doctor.OK: sgrGreen, doctor.Failed: sgrRed, doctor.Unclear: sgrYellow, doctor.Skipped: sgrYellow, doctor.NotNeeded: sgrDim, doctor.NotReached: sgrDim,
}

func (t *doctorText) hop(h doctor.Hop) {
	took := ""
	if h.TookMS > 0 {
		took = fmt.Sprintf(" (%.1f ms)", h.TookMS)
	}
	t.line("  %s %s", t.paint(outcomeColors[h.Outcome], fmt.Sprintf("%-11s", h.Outcome)), strings.TrimSpace(h.ID+" "+h.Subject)+took)
	for _, s := range h.Seen {
		t.line("              %s", s)
	}
	if h.Expected != "" {
		t.line("              expected  %s", h.Expected)
	}
	if h.Hint != "" {
		t.line("              hint      %s", h.Hint)
	}
}

// ending is what it comes to.
func (t *doctorText) ending(d *doctor.Document) {
	v := d.Verdict
	word, color := "GOOD", sgrGreen
	switch v.Exit {
	case 0:
	case 5:
		word, color = "INCOMPLETE", sgrYellow
	default:
		word, color = "FAILED", sgrRed
	}
	t.line("\n%s  %s", t.paint(sgrBold+";"+color, word), v.Text)
	if v.Hint != "" {
		t.line("  hint: %s", v.Hint)
	}
}
