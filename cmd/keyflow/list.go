package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
)

// The lists, as they are printed with --json.
type (
	listedKill struct {
		Check   string          `json:"check,omitempty"`
		Fault   string          `json:"fault,omitempty"`
		Outcome reports.Outcome `json:"outcome"`
		Reason  drm.Reason      `json:"reason"`
	}
	listedCheck struct {
		ID     string        `json:"id"`
		Title  string        `json:"title"`
		Level  reports.Level `json:"level"`
		System drm.System    `json:"system"`
		Area   string        `json:"area"`
		Scope  suites.Scope  `json:"scope"`
		Kills  []listedKill  `json:"kills"`
	}
	listedFault struct {
		Name        string       `json:"name"`
		Description string       `json:"description"`
		System      drm.System   `json:"system"`
		Layer       fakes.Layer  `json:"layer"`
		Scope       drm.Kind     `json:"scope"` // the operation that it acts on, "" for every request
		Kills       []listedKill `json:"kills"`
	}
	listedProfile struct {
		ID       string      `json:"id"`
		Title    string      `json:"title"`
		System   drm.System  `json:"system"`
		Variants []string    `json:"variants"`
		Vars     []listedVar `json:"vars"`
		Docs     []string    `json:"docs"`
		Billed   bool        `json:"billed"` // its tokens cost money
	}
	listedVar struct {
		Name     string `json:"name"`
		Env      string `json:"env,omitempty"`
		Required bool   `json:"required"`
		Secret   bool   `json:"secret"`
		Default  any    `json:"default,omitempty"`
		Help     string `json:"help,omitempty"`
	}
	listedAsset struct {
		Name   string        `json:"name"`
		Title  string        `json:"title"`
		Tracks []listedTrack `json:"tracks"`
	}
	listedTrack struct {
		Label  string     `json:"label"`
		Type   string     `json:"type"`
		Codec  string     `json:"codec"`
		Scheme drm.Scheme `json:"scheme"`
		KID    drm.KID    `json:"kid"`
	}
)

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	lists := map[string]func(bool) error{"checks": a.listChecks, "faults": a.listFaults, "profiles": a.listProfiles, "assets": a.listAssets}
	names := []string{"checks", "faults", "profiles", "assets"}
	c := &cobra.Command{
		Use:       "list {checks|faults|profiles|assets}",
		Short:     "List checks, faults of the fakes, provider profiles or embedded assets",
		Example:   "  keyflow list checks\n  keyflow list faults --json",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("list takes one argument: %s", strings.Join(names, ", ")), "for example: keyflow list checks")
			}
			if lists[args[0]] == nil {
				return usage(fmt.Errorf("unknown list %q: %s", args[0], nearest.Hint(args[0], names)), "for example: keyflow list checks")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return lists[args[0]](asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return c
}

func checkList() []listedCheck {
	var list []listedCheck
	for _, c := range suites.All() {
		l := listedCheck{ID: c.ID, Title: c.Title, Level: c.Level, System: c.System, Area: c.Area(), Scope: c.Scope}
		for _, k := range c.Kills {
			l.Kills = append(l.Kills, listedKill{Fault: k.Fault, Outcome: k.Outcome, Reason: k.Reason})
		}
		list = append(list, l)
	}
	return list
}

func (a *app) listChecks(asJSON bool) error {
	list := checkList()
	if asJSON {
		return a.printJSON(list)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, c := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.ID, c.Level, c.Title)
	}
	return w.Flush()
}

func faultList() []listedFault {
	var list []listedFault
	for _, f := range fakes.Catalogue() {
		l := listedFault{Name: f.Name, Description: f.Description, System: f.System, Layer: f.Layer, Scope: f.Operation, Kills: []listedKill{}}
		for _, c := range suites.All() {
			for _, k := range c.Kills {
				if k.Fault == f.Name {
					l.Kills = append(l.Kills, listedKill{Check: c.ID, Outcome: k.Outcome, Reason: k.Reason})
				}
			}
		}
		list = append(list, l)
	}
	return list
}

func (a *app) listFaults(asJSON bool) error {
	list := faultList()
	if asJSON {
		return a.printJSON(list)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, f := range list {
		var checks []string
		for _, k := range f.Kills {
			checks = append(checks, k.Check)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Description, strings.Join(checks, " "))
	}
	return w.Flush()
}

func (a *app) listProfiles(asJSON bool) error {
	var list []listedProfile
	for _, id := range fixtures.ProfileNames() {
		p, err := openProfile(id)
		if err != nil {
			return harness(err)
		}
		l := listedProfile{ID: p.ID, Title: p.Title, System: p.DRM, Variants: p.VariantIDs(), Vars: []listedVar{}, Docs: p.Docs, Billed: p.Billed()}
		for _, name := range slices.Sorted(maps.Keys(p.Vars)) {
			v := p.Vars[name]
			l.Vars = append(l.Vars, listedVar{name, v.Env, v.Required, v.Secret, v.Default, v.Help})
		}
		list = append(list, l)
	}
	if asJSON {
		return a.printJSON(list)
	}
	for _, l := range list {
		fmt.Fprintf(a.out, "%s  %s\n", l.ID, l.Title)
		for _, v := range l.Variants {
			fmt.Fprintf(a.out, "  variant   %s\n", v)
		}
		for _, v := range l.Vars {
			if v.Required {
				fmt.Fprintf(a.out, "  needs     %s in the environment  %s\n", v.Env, v.Help)
			}
		}
	}
	return nil
}

func (a *app) listAssets(asJSON bool) error {
	assets, err := fixtures.Assets()
	if err != nil {
		return harness(err)
	}
	var list []listedAsset
	for _, asset := range assets {
		l := listedAsset{Name: asset.Name, Title: asset.Title}
		for _, t := range asset.Tracks {
			l.Tracks = append(l.Tracks, listedTrack{t.Label, t.Type, t.Codec, t.Scheme, t.KID})
		}
		list = append(list, l)
	}
	if asJSON {
		return a.printJSON(list)
	}
	for _, l := range list {
		fmt.Fprintf(a.out, "%s  %s\n", l.Name, l.Title)
		for _, t := range l.Tracks {
			fmt.Fprintf(a.out, "  %-6s %-6s %-14s %s  KID %s\n", t.Label, t.Type, t.Codec, t.Scheme, t.KID)
		}
	}
	return nil
}

func (a *app) explainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "explain CHECK",
		Short:   "Tell what a check demands, why, from which source, what to look at, and which faults it detects",
		Example: "  keyflow explain WV-KEY-07",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("explain takes the id of one check"), "keyflow list checks shows them")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.explain(args[0], asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) explain(id string, asJSON bool) error {
	c, err := suites.Find(id)
	if err != nil {
		return usage(err, "keyflow list checks shows them")
	}
	list := checkList()
	if asJSON {
		i := slices.IndexFunc(list, func(l listedCheck) bool { return l.ID == c.ID })
		return a.printJSON(struct {
			listedCheck
			Source string        `json:"source"`
			Why    string        `json:"why"`
			Hint   string        `json:"hint"`
			Needs  []suites.Need `json:"needs"`

			Platforms []suites.Judges `json:"platforms"`
		}{list[i], c.Source, c.Why, c.Hint, c.Needs, c.Platforms()})
	}
	fmt.Fprintf(a.out, "%s  %s\n\n", c.ID, c.Title)
	fmt.Fprintf(a.out, "level   %s\nsource  %s\nwhy     %s\nhint    %s\n", c.Level, c.Source, c.Why, c.Hint)
	for _, n := range c.Needs {
		fmt.Fprintf(a.out, "needs   %s\n", n)
	}
	for _, p := range c.Platforms() {
		part := ""
		if p.Leaves != "" {
			part = ", in part: open is " + p.Leaves
		}
		fmt.Fprintf(a.out, "judged  with platform %s%s\n", p.Platform, part)
	}
	for _, k := range c.Kills {
		fmt.Fprintf(a.out, "detects %s: %s, %s\n", k.Fault, k.Outcome, k.Reason)
	}
	server := ""
	if slices.Contains(c.Needs, suites.NeedToken) {
		server = "--profile expressplay-widevine-test --stand-in "
	}
	fmt.Fprintf(a.out, "\nsee it fail: keyflow check %s--id %s --fault %s\n", server, c.ID, c.Kills[0].Fault)
	return nil
}
