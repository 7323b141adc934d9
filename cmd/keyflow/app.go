package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"keyflow/drm/nearest"
	"keyflow/reports"
)

// app is what the subcommands share: where they write, and the exit code that they leave.
type app struct {
	out, err io.Writer
	color    bool
	exit     int
}

// Messages to the user follow these rules: standard error, "keyflow: " and one lower-case sentence without a full stop,
// then a hint on a line of its own. Every error that a user can cause has a hint.

// userError is an error with an exit code and what to do about it.
type userError struct {
	exit int
	err  error
	hint string
}

func (e *userError) Error() string { return e.err.Error() }
func (e *userError) Unwrap() error { return e.err }

func usage(err error, hint string) error { return &userError{reports.ExitUsage, err, hint} }

func harness(err error) error {
	return &userError{reports.ExitHarness, err, "this is a fault of keyflow or of this machine, not of the target"}
}

// report prints an error and returns its exit code. What cobra finds wrong with a command line is a matter of usage.
func (a *app) report(err error) int {
	var u *userError
	if !errors.As(err, &u) {
		u = &userError{reports.ExitUsage, err, "keyflow --help shows the commands, keyflow COMMAND --help their flags"}
	}
	fmt.Fprintf(a.err, "keyflow: %s\n", u)
	if u.hint != "" {
		fmt.Fprintf(a.err, "  hint: %s\n", u.hint)
	}
	return u.exit
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "keyflow",
		Short: "Prove that a DRM license service works, stays correct under load, and says so in a report",
		Long: `keyflow walks the road that a player walks: it takes the pssh box out of DASH content, makes a key request,
POSTs it to a license server, takes the content keys out of the license and decodes the content with them.
It checks each step, repeats it under load, and writes a report.

Without a profile, everything runs against fake servers on this machine: nothing is needed but keyflow.`,
		Example: `  keyflow check                                  the checks against the embedded fakes
  keyflow check --fault wv-keys-swapped          see a check fail
  keyflow load --rate 200/s --duration 10s       every answer verified
  keyflow fake --export DIR                      serve the fakes for another process
  keyflow mint --authority DIR --count 1000 --out FILE   key requests for load --corpus FILE`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetVersionTemplate("keyflow {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.checkCommand(), a.loadCommand(), a.mintCommand(), a.fakeCommand(), a.doctorCommand(), a.reportCommand(), a.inspectCommand(), a.listCommand(), a.explainCommand())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArguments
		}
	}
	return root
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, seen %q", c.Name(), args[0]), c.CommandPath()+" --help shows its flags")
	}
	return nil
}

// flagError adds the nearest flag to an unknown one.
func flagError(c *cobra.Command, err error) error {
	hint := c.CommandPath() + " --help shows the flags"
	if name, found := strings.CutPrefix(err.Error(), "unknown flag: --"); found {
		if near := nearest.Name(name, flagNames(c)); near != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", near, hint)
		}
	}
	return usage(err, hint)
}

// printJSON writes a value as indented JSON to standard output.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return harness(fmt.Errorf("write output: %w", err))
	}
	return nil
}

// version is the module's version, or the revision that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(len(s.Value), 12)]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}

func tool() reports.Tool {
	return reports.Tool{Name: "keyflow", Version: version(), Go: runtime.Version()}
}

// isTerminal reports whether w is a terminal that wants colour (see no-color.org).
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
