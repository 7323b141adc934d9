package doctor

import (
	"fmt"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/reports"
)

// Schema names the version of [Document]; additions keep it, anything else changes it.
const Schema = "keyflow-doctor/1"

// The modes of a document.
const (
	ModeHops    = "hops"
	ModeOffline = "offline"
	ModeSelf    = "self"
)

// Document is all that one look at a profile, or at keyflow itself, found out.
type Document struct {
	Schema    string              `json:"schema"`
	Tool      reports.Tool        `json:"tool"`
	Mode      string              `json:"mode"`
	Profile   *About              `json:"profile,omitempty"`
	Insecure  []string            `json:"insecure,omitempty"` // what the user allowed that is not encrypted or not verified
	Variables []provider.Variable `json:"variables,omitempty"`
	Settings  []Settings          `json:"settings,omitempty"`
	Requests  []Rendering         `json:"requests,omitempty"`
	Golden    []Comparison        `json:"golden,omitempty"`
	Hops      []Hop               `json:"hops,omitempty"`
	Self      []Hop               `json:"self,omitempty"`
	Verdict   Verdict             `json:"verdict"`
}

// About says what profile is looked at, and what with.
type About struct {
	ID      string     `json:"id"`
	Title   string     `json:"title,omitempty"`
	System  drm.System `json:"system"`
	Origin  string     `json:"origin"`
	Variant string     `json:"variant,omitempty"` // that the hops are gone through with
	URL     string     `json:"url"`               // as far as it is known before there is a token
	Server  string     `json:"server"`
	Device  string     `json:"device"`
	Asset   string     `json:"asset"`
	KIDs    []drm.KID  `json:"kids"`
	Billed  bool       `json:"billed"`
	Docs    []string   `json:"docs,omitempty"`
}

// Settings are the effective values of a profile in a variant. Those of variants after the first are what their patches change.
type Settings struct {
	Variant string             `json:"variant,omitempty"`
	Values  []provider.Setting `json:"values"`
}

// SettingsOf returns the settings of a profile's variants.
func SettingsOf(variants []*provider.Profile) []Settings {
	var all []Settings
	for i, p := range variants {
		values := p.Settings()
		if i > 0 {
			values = slices.DeleteFunc(values, func(s provider.Setting) bool { return !strings.HasSuffix(s.Source, ", variant "+p.Variant) })
		}
		all = append(all, Settings{p.Variant, values})
	}
	return all
}

// Verdict is what it comes to.
type Verdict struct {
	Exit         int    `json:"exit"`
	Text         string `json:"text"`
	FirstFailing string `json:"first_failing,omitempty"` // the hop, e.g. tls license.example:443
	Hint         string `json:"hint,omitempty"`
}

// Conclude sets the verdict.
func (d *Document) Conclude() {
	switch d.Mode {
	case ModeSelf:
		d.Verdict = judged(d.Self, SelfExit(d.Self), "keyflow is sound on this machine")
	case ModeOffline:
		d.Verdict = d.offline()
	default:
		d.Verdict = judged(d.Hops, Exit(d.Hops), "all hops are good")
	}
}

func judged(hops []Hop, exit int, good string) Verdict {
	v := Verdict{Exit: exit, Text: good}
	if f := FirstFailing(hops); f != nil {
		v.FirstFailing, v.Hint = strings.TrimSpace(f.ID+" "+f.Subject), f.Hint
		v.Text = "the first failing hop is " + v.FirstFailing
		if len(f.Seen) > 0 {
			v.Text += ": " + f.Seen[len(f.Seen)-1]
		}
		return v
	}
	var open []string
	for _, h := range hops {
		switch h.Outcome {
		case Skipped, Unclear, NotReached:
			open = append(open, fmt.Sprintf("%s %s", strings.TrimSpace(h.ID+" "+h.Subject), h.Outcome))
		}
	}
	if len(open) > 0 {
		v.Text = "nothing failed, and not everything was looked at: " + strings.Join(open, ", ")
	}
	return v
}

func (d *Document) offline() Verdict {
	for _, r := range d.Requests {
		if r.Problem != "" {
			return Verdict{Exit: reports.ExitUsage, Text: fmt.Sprintf("the %s request cannot be rendered: %s", r.Kind, r.Problem), Hint: "look at the values of the profile above"}
		}
	}
	if len(d.Golden) == 0 {
		return Verdict{Text: "rendered; there are no golden requests for this profile to compare with"}
	}
	for _, g := range d.Golden {
		if !g.Same() {
			return Verdict{Exit: reports.ExitFailed, Text: "the rendered requests differ from the golden ones", Hint: "the golden requests are written by hand from the provider's document; rename the profile's id if the difference is meant"}
		}
	}
	return Verdict{Text: "rendered; the requests are the golden ones, field by field"}
}

// Redact replaces every secret of the vault in the document, and spells out what a server sends that a terminal would obey.
func (d *Document) Redact(vault *secret.Vault) {
	reports.EditStrings(d, func(_, s string) string { return reports.Visible(vault.Redact(s)) })
}

// Redact does the same to one hop.
func (h Hop) Redact(vault *secret.Vault) Hop {
	h.Seen = slices.Clone(h.Seen)
	reports.EditStrings(&h, func(_, s string) string { return reports.Visible(vault.Redact(s)) })
	return h
}
