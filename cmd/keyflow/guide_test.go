package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// guideTimeout bounds one command of a guide.
const guideTimeout = 2 * time.Minute

// TestRealServers follows docs/real-servers.md word for word.
func TestRealServers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "guide.txtar"), []byte("follow real-servers.md\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: dir, Cmds: map[string]func(*testscript.TestScript, bool, []string){"follow": follow}})
}

// document copies a file of docs/ to where a script runs.
func document(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(sourceDir, "../../docs", args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// guideStep is one command of a guide and what the guide shows of its output.
type guideStep struct {
	command string
	exit    int
	output  []string // nil: the guide shows none
}

var (
	guideBlock = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")
	guideExit  = regexp.MustCompile(`# exit code (\d+)$`)
)

// guideSteps reads the fenced blocks of a guide: a block of commands (sh), and the output of its last one (text).
func guideSteps(ts *testscript.TestScript, text string) []guideStep {
	var steps []guideStep
	for _, block := range guideBlock.FindAllStringSubmatch(text, -1) {
		lines := strings.Split(strings.TrimRight(block[2], "\n"), "\n")
		if block[1] == "text" {
			steps[len(steps)-1].output = lines
			continue
		}
		for _, line := range lines {
			step := guideStep{command: line}
			if m := guideExit.FindStringSubmatch(line); m != nil {
				var err error
				step.exit, err = strconv.Atoi(m[1])
				ts.Check(err)
			}
			steps = append(steps, step)
		}
	}
	return steps
}

// follow runs the commands of a document in docs/, in order, and compares their exit codes and outputs with those that it shows.
func follow(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(filepath.Join(sourceDir, "../../docs", args[0]))
	ts.Check(err)
	steps := guideSteps(ts, string(text))
	if len(steps) < 8 {
		ts.Fatalf("%s has %d commands", args[0], len(steps))
	}
	for _, s := range steps {
		if background, is := strings.CutSuffix(s.command, " &"); is {
			guideBackground(ts, background)
			running(ts, false, []string{"fake/plain-widevine.yaml"})
			continue
		}
		s.run(ts)
	}
}

// guideCommand prepares a command for the shell; exec has it take the shell's place, so that signals reach it.
func guideCommand(ctx context.Context, ts *testscript.TestScript, line string) *exec.Cmd {
	c := exec.CommandContext(ctx, "sh", "-c", line)
	c.Dir, c.Env = ts.MkAbs("."), []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.MkAbs("."), "KEYFLOW=" + filepath.Join(sourceDir, "../..")}
	return c
}

func guideBackground(ts *testscript.TestScript, line string) {
	c := guideCommand(context.Background(), ts, "exec "+line)
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = c.Process.Signal(os.Interrupt) // it may have ended
		_ = c.Wait()
	})
}

func (s guideStep) run(ts *testscript.TestScript) {
	ctx, cancel := context.WithTimeout(context.Background(), guideTimeout)
	defer cancel()
	c := guideCommand(ctx, ts, s.command)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		ts.Check(err)
	}
	if got := c.ProcessState.ExitCode(); got != s.exit {
		ts.Fatalf("%s: exit code %d, the document says %d:\n%s", s.command, got, s.exit, out)
	}
	if s.output == nil {
		return
	}
	if why := compareShown(s.output, strings.Split(strings.TrimRight(string(out), "\n"), "\n")); why != "" {
		ts.Fatalf("%s: %s\nthe whole output:\n%s", s.command, why, out)
	}
}

var guideNumbers = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{12,}\b`), "H"},
	{regexp.MustCompile(`[0-9]+(?:[.,:][0-9]+)*`), "N"},
	{regexp.MustCompile(`\bN (?:µs|ms|s|B|KiB|MiB)\b`), "N U"},
	{regexp.MustCompile(` +`), " "},
}

// shown is what of a line does not change from run to run: numbers and digests do, and with their length the gaps of tables.
func shown(line string) string {
	for _, n := range guideNumbers {
		line = n.pattern.ReplaceAllString(line, n.instead)
	}
	return strings.TrimRight(line, " ")
}

// compareShown says where an output differs from what a document shows of it, "" if nowhere. A line … stands for any number of lines.
func compareShown(want, got []string) string {
	at, skip := 0, false
	for _, w := range want {
		if w == "…" {
			skip = true
			continue
		}
		next := slices.IndexFunc(got[at:], func(g string) bool { return shown(g) == shown(w) })
		if next < 0 || next > 0 && !skip {
			return fmt.Sprintf("the document shows %q, which does not follow", w)
		}
		at, skip = at+next+1, false
	}
	if at < len(got) && !skip {
		return fmt.Sprintf("the document does not show %q", got[at])
	}
	return ""
}

// TestCompareShown: what a document shows must be there, whole and in order.
func TestCompareShown(t *testing.T) {
	got := []string{"keyflow: 29 checks", "", "ok  tcp (3.3 ms)", "PASSED  15 of 72"}
	for want, same := range map[string]bool{
		"keyflow: 1 checks\n\nok tcp (900 ms)\nPASSED  3 of 4": true,
		"…\nPASSED 15 of 72":                                   true,
		"keyflow: 29 checks\n…":                                true,
		"keyflow: 29 checks":                                   false,
		"…\nFAILED  15 of 72":                                  false,
		"…\nPASSED 15 of 72\n…\nok tcp":                        false,
		"PASSED 15 of 72":                                      false,
	} {
		if why := compareShown(strings.Split(want, "\n"), got); (why == "") != same {
			t.Errorf("%q: %q", want, why)
		}
	}
}
