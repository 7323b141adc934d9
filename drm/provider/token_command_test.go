package provider_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// commandProfile returns a profile with a token that a command makes; keys are those of command.
func commandProfile(keys string) string {
	return head + "vars: {S: {secret: true, env: S}, D: {default: d}}\ntokens:\n  - {id: t, source: command, command: {" + keys +
		"}}\nrequest: {url: 'https://license.example/', query: {s: '${var.S | sha256 | hex}', d: '${var.D}'}, headers: {A: '${token.t.value}'}}\n"
}

// commanded returns what a command's output makes of the header.
func commanded(ctx context.Context, t *testing.T, keys string, env provider.Environment) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	env.AllowExec = true
	if env.Getenv == nil {
		env.Getenv = from("PATH", os.Getenv("PATH"), "S", "FAKE-command-secret")
	}
	p, err := parsed(t, commandProfile(keys)).Bind(env)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := p.Lease(ctx, testNeed())
	if err != nil {
		return "", err
	}
	return built(t, p, lease, "").Header.Get("A"), nil
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ keys, want string }{
		"argv":        {`argv: [printf, '%s-%s', "FAKE ${var.D}", "${input.kid | hex}"], outputs: {value: {}}`, "FAKE d-f81d4fae7dec11d0a76500a0c91e6bf6"},
		"no shell":    {`argv: [echo, "FAKE $HOME; ls | *"], outputs: {value: {}}`, "FAKE $HOME; ls | *"},
		"stdin":       {`argv: [cat], stdin: "in ${var.S}", outputs: {value: {}}`, "in FAKE-command-secret"},
		"bytes":       {`argv: [wc, -c], stdin: "${input.kid}", outputs: {value: {regex: "([0-9]+)"}, more: {from: stdout}}`, "16"},
		"env":         {`argv: [sh, -c, 'echo "$TOKEN/$HOME/$S"'], env: {TOKEN: "${var.S}"}, outputs: {value: {}}`, "FAKE-command-secret//"},
		"regex":       {`argv: [echo, "token=FAKE-abcdef;"], outputs: {value: {from: stdout, regex: "token=([^;]+)"}}`, "FAKE-abcdef"},
		"json":        {`argv: [echo, '{"a": [{"b": "FAKE-abcdef"}]}'], outputs: {value: {from: json, path: "$.a[0].b", required: true}}`, "FAKE-abcdef"},
		"json, regex": {`argv: [echo, '{"u": "https://x/?t=FAKE%2Bx"}'], outputs: {value: {from: json, path: $.u, regex: "t=(.*)", decode: urlquery}}`, "FAKE+x"},
		"b64":         {`argv: [echo, RkFLRS14eHh4], outputs: {value: {decode: b64}}`, "FAKE-xxxx"},
		"no stdin":    {`argv: [sh, -c, 'cat; echo FAKE-nothing'], outputs: {value: {}}`, "FAKE-nothing"},
	} {
		got, err := commanded(t.Context(), t, c.keys, provider.Environment{})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// TestCommandErrors: how a command failed is told; what it wrote and was given is not.
func TestCommandErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ keys, want string }{
		"status":         {`argv: [sh, -c, 'cat >&2; echo hunter22 >&2; echo hunter22; exit 3'], stdin: "${var.S}", outputs: {value: {}}`, "the command sh ended with exit status 3"},
		"signal":         {`argv: [sh, -c, 'kill -9 $$'], outputs: {value: {}}`, "the command sh ended with signal: killed"},
		"no program":     {`argv: [./no-such-program, hunter22], outputs: {value: {}}`, "the command ./no-such-program cannot be run"},
		"no output":      {`argv: [sh, -c, 'echo hunter22 >&2'], outputs: {value: {required: true}}`, "its command: output value is not in the answer"},
		"no JSON":        {`argv: [echo, hunter22], outputs: {value: {from: json, path: $.a, required: true}}`, "output value is not in the answer"},
		"no base64":      {`argv: [echo, "hunter22-"], outputs: {value: {decode: b64}}`, "output value: is not base64"},
		"too much":       {`argv: [sh, -c, 'while :; do echo hunter22; done'], timeout: 30s, outputs: {value: {}}`, "the command sh wrote more than 65536 bytes"},
		"all at once":    {`argv: [sh, -c, 'head -c 70000 /dev/zero'], timeout: 30s, outputs: {value: {}}`, "the command sh wrote more than 65536 bytes"},
		"time":           {`argv: [sh, -c, 'exec sleep 60'], timeout: 50ms, outputs: {value: {}}`, "the command sh did not end within 50ms"},
		"a child's time": {`argv: [sh, -c, 'sleep 60 & wait'], timeout: 50ms, outputs: {value: {}}`, "the command sh did not end within 50ms"},
		"output is open": {`argv: [sh, -c, 'sleep 3 & echo FAKE-abcdef'], outputs: {value: {}}`, "left a process behind that keeps its output open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vault := secret.NewVault()
			begin := time.Now()
			_, err := commanded(t.Context(), t, c.keys, provider.Environment{Vault: vault})
			var token *provider.TokenError
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &token) || token.Class != provider.ErrorAuthMissing {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter22") || vault.Names([]byte(err.Error())) != nil) {
				t.Errorf("the error holds what must not be told: %v", err)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestCommandKillsChildren: what a command started ends with it, at its timeout and when the run is stopped.
func TestCommandKillsChildren(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]string{"timeout": "200ms", "stopped": "1m"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pidFile := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			read := func() int {
				text, _ := os.ReadFile(pidFile)
				pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
				return pid
			}
			if name == "stopped" {
				go func() {
					for read() == 0 && ctx.Err() == nil {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
			}
			_, err := commanded(ctx, t, `argv: [sh, -c, 'sleep 60 & echo $! >"$1"; wait', x, '`+pidFile+`'], timeout: `+timeout+`, outputs: {value: {}}`, provider.Environment{})
			if err == nil {
				t.Fatal("a token without a command's end")
			}
			if name == "stopped" && (!errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was stopped")) {
				t.Errorf("stopped: %v", err)
			}
			pid := read()
			if pid == 0 {
				t.Skip("the machine was too slow to start a child in time")
			}
			for end := time.Now().Add(10 * time.Second); runs(pid); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the child %d runs on", pid)
				}
			}
		})
	}
}

// runs reports whether a process runs; a zombie that nobody waits for does not.
func runs(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestCommandLeave: a command runs with the run's leave only, and its program is not told secrets in its arguments.
func TestCommandLeave(t *testing.T) {
	t.Parallel()
	text := commandProfile("argv: [echo, FAKE-abcdef], outputs: {value: {}}")
	_, err := parsed(t, text).Bind(provider.Environment{Getenv: from("S", "FAKE-command-secret")})
	if err == nil || !strings.Contains(err.Error(), "token t runs a command: allow it with --allow-exec") {
		t.Errorf("without leave: %v", err)
	}
	refusesAll(t, "secret argument", commandProfile("argv: [echo, '${var.S}'], outputs: {value: {}}"), "p.yaml:6: tokens[0].command.argv[1]: arguments can be seen")
}

// TestCommandBudget: a billed command is not run without a budget.
func TestCommandBudget(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "ran")
	text := strings.Replace(commandProfile("argv: [touch, '"+mark+"'], outputs: {value: {}}"), "source: command", "source: command, cost_unit: coin", 1)
	p, err := parsed(t, text).Bind(provider.Environment{AllowExec: true, Getenv: from("S", "FAKE-command-secret", "PATH", os.Getenv("PATH"))})
	if err != nil {
		t.Fatal(err)
	}
	var over *provider.BudgetError
	if _, err := p.Lease(t.Context(), testNeed()); !errors.As(err, &over) {
		t.Errorf("%v, want a budget error", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command ran")
	}
}
