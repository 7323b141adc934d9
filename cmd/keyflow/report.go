package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyflow/drm/nearest"
	"keyflow/loadtest"
	"keyflow/reports"
)

type reportFlags struct {
	out    string
	format string
}

const renderHelp = `A report is a directory that a run has written, or its report.json. A journal is what a load run leaves behind whose
process was killed: DIR.journal beside the DIR of its report. Everything up to the last second is in it; the report
that is made of it is marked, and incomplete.`

func (a *app) reportCommand() *cobra.Command {
	f := &reportFlags{}
	c := &cobra.Command{
		Use:   "report [render|normalize|merge] FILE...",
		Short: "Render, compare or merge reports; render the journal of a load run that was killed",
		Long: `report works on what runs have written. Without a subcommand it renders.

` + renderHelp + `

Exit codes: that of the report; 2 usage, or not a report; 3 keyflow's own error. normalize: 0.`,
		Example: `  keyflow report keyflow-report/load
  keyflow report render keyflow-report/load.journal --out recovered
  keyflow report render keyflow-report/check --format md
  keyflow report normalize keyflow-report/check
  keyflow report merge one two three --out merged`,
		Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error { return a.render(args[0], f) },
	}
	f.register(c)
	c.AddCommand(a.renderCommand(), a.normalizeCommand(), a.mergeCommand())
	return c
}

func (f *reportFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.out, "out", "", "write all formats to this `DIR`; the report before is kept as DIR.previous")
	c.Flags().StringVar(&f.format, "format", "text", "print as `html, md, junit, json or text`")
}

func (a *app) renderCommand() *cobra.Command {
	f := &reportFlags{}
	c := &cobra.Command{
		Use:     "render FILE",
		Short:   "Show a report, or what the journal of a load run holds, in any format",
		Long:    "render shows a report again.\n\n" + renderHelp + "\n\nExit codes: that of the report; 2 usage, or not a report; 3 keyflow's own error.",
		Example: "  keyflow report render keyflow-report/load.journal --out recovered\n  keyflow report render keyflow-report/check --format html > page.html",
		Args:    oneFile,
		RunE:    func(_ *cobra.Command, args []string) error { return a.render(args[0], f) },
	}
	f.register(c)
	return c
}

func (a *app) normalizeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "normalize FILE",
		Short: "Print a report without what differs between two runs with equal results",
		Long: `normalize prints report.json without run ids, times, durations, fingerprints, loopback ports and whatever a load run
measured. Two runs with equal results give equal bytes.`,
		Example: "  diff <(keyflow report normalize before) <(keyflow report normalize after)",
		Args:    oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			reports.Normalize(r)
			if err := reports.RenderJSON(a.out, r); err != nil {
				return harness(fmt.Errorf("write output: %w", err))
			}
			return nil
		},
	}
}

func (a *app) mergeCommand() *cobra.Command {
	f := &reportFlags{}
	c := &cobra.Command{
		Use:   "merge FILE FILE...",
		Short: "Merge the load reports of several generators of one plan",
		Long: `merge adds up the reports, or journals, of generators that each sent a slice of one plan: requests, seconds and
histograms, without loss. The objectives and the verdict are judged again over all.

Reports that do not belong together are refused: of another command, plan, target or version, with other objectives.

Exit codes: that of the merged report; 2 usage, or not reports of one plan; 3 keyflow's own error.`,
		Example: "  keyflow report merge generator-0 generator-1 --out merged",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage(fmt.Errorf("merge takes two reports or more, seen %d", len(args)), c.CommandPath()+" --help shows its flags")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.merge(args, f) },
	}
	f.register(c)
	return c
}

// oneFile takes one argument. Two may be a subcommand that does not exist.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	hint := c.CommandPath() + " --help shows its flags"
	if len(args) > 1 {
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		if near := nearest.Name(args[0], names); near != "" {
			hint = fmt.Sprintf("did you mean %s %s? %s", c.CommandPath(), near, hint)
		}
	}
	return usage(fmt.Errorf("%s takes one report, seen %d arguments", c.Name(), len(args)), hint)
}

func (a *app) merge(paths []string, f *reportFlags) error {
	format, err := f.renderer()
	if err != nil {
		return err
	}
	all := make([]*reports.Report, len(paths))
	for i, path := range paths {
		if all[i], err = readReport(path); err != nil {
			return err
		}
	}
	r, err := loadtest.Merge(all)
	if err != nil {
		return usage(err, "merge takes the reports of keyflow load of the slices of one plan")
	}
	return a.show(r, nil, f, format)
}

func (a *app) render(path string, f *reportFlags) error {
	format, err := f.renderer()
	if err != nil {
		return err
	}
	r, err := readReport(path)
	if err != nil {
		return err
	}
	var transcripts map[string]string
	if f.out != "" {
		if transcripts, err = reports.ReadTranscripts(path); err != nil {
			return usage(err, "the transcripts of the report cannot be read; without --out they are not needed")
		}
	}
	return a.show(r, transcripts, f, format)
}

// renderer returns what --format names, nil for the summary.
func (f *reportFlags) renderer() (*reports.Renderer, error) {
	name, names := f.format, []string{"text", "md"}
	if name == "md" {
		name = "markdown"
	}
	for _, r := range reports.Renderers() {
		if r.Name == name {
			return &r, nil
		}
		names = append(names, r.Name)
	}
	if name == "text" {
		return nil, nil //nolint:nilnil // the summary is no file of a report
	}
	return nil, usage(fmt.Errorf("unknown format %q: %s", f.format, nearest.Hint(f.format, names)), "for example --format html")
}

// show prints a report, writes it if that is asked for, and leaves its exit code.
func (a *app) show(r *reports.Report, transcripts map[string]string, f *reportFlags, format *reports.Renderer) error {
	var written *reports.Written
	if f.out != "" {
		var err error
		if written, err = reports.Write(f.out, r, nil, transcripts); errors.Is(err, reports.ErrForeign) {
			return usage(err, "name another directory with --out")
		} else if err != nil {
			return harness(err)
		}
	}
	print := func(r *reports.Report) error {
		return reports.Summary(a.out, r, reports.SummaryOptions{Color: a.color})
	}
	if format != nil {
		print = func(r *reports.Report) error { return format.Render(a.out, r) }
	}
	if err := print(r); err != nil {
		return harness(fmt.Errorf("write output: %w", err))
	}
	if written != nil && format == nil {
		fmt.Fprintf(a.out, "\nreport in %s: %s\n", f.out, strings.Join(mainFiles(written.Files), ", "))
	}
	a.exit = r.Verdict.Exit
	return nil
}

// readReport reads a report, or makes one out of a journal.
func readReport(path string) (*reports.Report, error) {
	if reports.IsJournal(path) {
		return replay(path)
	}
	r, err := reports.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, noReport(path)
	case err != nil:
		return nil, usage(err, "give a directory that keyflow check or keyflow load has written, its report.json, or a journal")
	}
	return r, nil
}

// noReport says that there is nothing at a path, and where the journal of the run is if there is one.
func noReport(path string) error {
	hint := "keyflow check and keyflow load write reports, by default to keyflow-report/check and keyflow-report/load"
	if journal := reports.JournalPath(path); reports.IsJournal(journal) {
		hint = "a load run ended without a report, or still runs: keyflow report render " + journal
	}
	return usage(fmt.Errorf("there is no report at %s", path), hint)
}

func replay(path string) (r *reports.Report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage(err, "give a file that can be read")
	}
	defer func() { _ = f.Close() }() // opened to read
	j, err := reports.NewJournalReader(f)
	if err == nil {
		r, err = loadtest.Replay(j)
	}
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", path, err), "the journal is damaged, or of another version of keyflow; only an unfinished last line is tolerated")
	}
	return r, nil
}
