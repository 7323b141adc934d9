package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyflow/reports"
	"keyflow/suites"
)

type checkFlags struct {
	targetFlags
	captureFlags
	ids    []string
	labels string
	strict bool
}

func (a *app) checkCommand() *cobra.Command {
	f := &checkFlags{}
	c := &cobra.Command{
		Use:   "check",
		Short: "Run the checks against a license server, or against the embedded fakes",
		Long: `check walks the client key request workflow and judges each step: content, pssh, key request, HTTP POST, license,
content key, decoded media. Without --profile it starts the embedded fakes on this machine, and checks Widevine and PlayReady.

With --har FILE it reads what a browser recorded of a player's way to its licenses, and names the first step that failed: network,
preflight, redirect, status, edge, provider's code, refusal inside of the body, form, KIDs, policy, renewal. Without --profile
nothing is sent. With --profile the answers are read as the profile says, the license requests in the archive, and those of
--request, are sent once more, and all checks run that need no device. A server may refuse a request that it has seen.

With --platform none no device is needed: transport, CORS, certificate, refusals and, where the service tells them apart, tokens are
judged. What needs a device that the server trusts is not selected, and the report tells what it would take.

Exit codes: 0 the selected checks passed, 1 a MUST failed, 2 usage or configuration, 3 keyflow's own error,
4 the server cannot be reached, 5 incomplete: interrupted, unverifiable, blocked by nothing red, or not shown in the recording.
A step of a recording that failed is 1, and an archive without a license exchange 2.`,
		Example: `  keyflow check
  keyflow check --system playready
  keyflow check --system widevine --widevine renewable
  keyflow check --id 'WV-KEY-*'
  keyflow check --label 'MUST && SIG'
  keyflow check --fault wv-keys-swapped
  keyflow check --profile expressplay-widevine-test --stand-in
  keyflow check --profile my-widevine.yaml --platform none
  keyflow check --profile DIR/plain-widevine.yaml --authority DIR --asset FOLDER
  keyflow check --har session.har
  keyflow check --har session.har --profile my-widevine.yaml
  keyflow check --request request.bin --profile my-widevine.yaml`,
		RunE: func(c *cobra.Command, _ []string) error { return a.check(c.Context(), f) },
	}
	f.targetFlags.register(c, "check")
	f.captureFlags.register(c.Flags(), "send the captured key request in this `FILE` once more, as bytes or in base64, and judge the answer by its shape; repeat for several",
		"read this `FILE`, an HTTP archive of a browser: name the first step that failed; with --profile send its license requests once more")
	c.Flags().StringArrayVar(&f.ids, "id", nil, "run checks whose id matches this `GLOB` only; repeat for several")
	c.Flags().StringVar(&f.labels, "label", "", "run checks that match this label `EXPR` only, e.g. 'MUST && (KEY || SIG)'")
	c.Flags().BoolVar(&f.slow, "slow", false, "run checks that wait for real time to pass, such as for a token to expire")
	c.Flags().IntVar(&f.soak, "soak", 0, fmt.Sprintf("how many licenses PR-LIC-07 asks for (default %d of fakes, none of a real server)", suites.DefaultSoak))
	c.Flags().BoolVar(&f.strict, "strict", false, "a missed SHOULD fails the run")
	return c
}

func (a *app) check(ctx context.Context, f *checkFlags) error {
	f.fromEnvironment()
	if err := f.capturesPossible(); err != nil {
		return err
	}
	if f.har != "" && len(f.profiles) == 0 {
		return a.checkRecording(f)
	}
	s, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	captured, err := f.readCaptured(s)
	if err != nil {
		return err
	}
	bare := f.platform == string(suites.PlatformNone) || f.platform == string(suites.PlatformCaptured)
	if err := s.addStrangers(ctx, bare); err != nil {
		return err
	}
	plan, err := suites.NewPlan(s.targets, f.ids, f.labels, s.seed)
	if errors.Is(err, suites.ErrNoDevice) {
		return usage(err, "leave out --platform "+f.platform+", or give --identity, or --authority for a keyflow fake")
	}
	if err != nil {
		return usage(err, "keyflow list checks shows ids and levels; a label filter is for example 'MUST && (KEY || SIG)'")
	}
	if err := f.ready(); err != nil {
		return err
	}
	plan.Strict = f.strict
	progress := a.checkProgress(plan, f.json)
	recorder := suites.NewRecorder(progress.result)
	progress.start(s)

	stopped := unreachable(ctx, s.targets)
	if captured != nil {
		captured.replay(ctx, s)
	}
	if stopped == nil {
		if err := suites.RunSpecs(ctx, plan, recorder); err != nil {
			stopped = err
		}
	}
	r := s.report("check", f.faults)
	r.Run.Interrupted = interrupted(ctx, stopped)
	r.Run.Finished = time.Now().UTC()
	r.Requirements = suites.Requirements(plan.Set)
	r.Results = recorder.Results(plan)
	r.NotJudged = suites.NotJudged(r.Results, captured != nil)
	exits := []int{stopExit(stopped)}
	if captured != nil {
		r.Triage = captured.triage
		exits = append(exits, r.Triage.Exit())
	}
	r.Verdict = suites.Verdict(plan, r.Results, r.Run.Interrupted, exits...)
	if captured != nil {
		r.Verdict.Summary = r.Triage.Verdict().Summary + "; " + r.Verdict.Summary
	}
	return a.finish(&f.targetFlags, s, r, recorder.Transcripts())
}

// unreachableError says that a target does not accept connections.
type unreachableError struct{ err error }

func (e *unreachableError) Error() string { return e.err.Error() }
func (e *unreachableError) Unwrap() error { return e.err }

// unreachable returns why a target cannot be reached, nil if all can.
func unreachable(ctx context.Context, targets []*suites.Target) error {
	for _, t := range targets {
		if err := t.Reach(ctx); err != nil && ctx.Err() == nil {
			return &unreachableError{fmt.Errorf("connect to %s: %w", t.Profile.Address(), err)}
		}
	}
	return nil
}

// interrupted says why a run ended early, "" if it did not.
func interrupted(ctx context.Context, stopped error) string {
	switch {
	case stopped != nil:
		return stopped.Error()
	case ctx.Err() != nil:
		return "interrupted by the user"
	default:
		return ""
	}
}

func stopExit(stopped error) int {
	var u *unreachableError
	switch {
	case stopped == nil:
		return reports.ExitOK
	case errors.As(stopped, &u):
		return reports.ExitUnreachable
	default:
		return reports.ExitHarness
	}
}

// finish writes the report, tells where it is and what it says, and sets the exit code.
func (a *app) finish(f *targetFlags, s *setting, r *reports.Report, transcripts map[string]string) error {
	written, err := reports.Write(f.out, r, s.vault, transcripts)
	if err != nil {
		if !errors.Is(err, reports.ErrSecret) {
			// The results must not be lost with the report: they are told on the terminal at least.
			_ = reports.Summary(a.err, reports.Redact(r, s.vault), reports.SummaryOptions{})
		}
		return harness(err)
	}
	a.exit = written.Report.Verdict.Exit
	if f.json {
		return a.printJSON(written.Report)
	}
	fmt.Fprintln(a.out)
	if err := reports.Summary(a.out, written.Report, reports.SummaryOptions{Color: a.color}); err != nil {
		return harness(fmt.Errorf("write summary: %w", err))
	}
	fmt.Fprintf(a.out, "\nreport in %s: %s\n", f.out, strings.Join(mainFiles(written.Files), ", "))
	return nil
}

// mainFiles leaves the transcripts out.
func mainFiles(files []string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(name string) bool { return strings.HasPrefix(name, reports.TranscriptDir+"/") })
}
