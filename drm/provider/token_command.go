package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// DefaultCommandTimeout is how long a token command has.
const DefaultCommandTimeout = 5 * time.Second

// commandPlan is a [TokenCommand] with its templates compiled.
type commandPlan struct {
	*TokenCommand
	argv    []*template
	stdin   *template
	env     []param
	outputs map[string]*locator
}

func (c *commandPlan) templates() []*template {
	ts := slices.Clone(c.argv)
	if c.stdin != nil {
		ts = append(ts, c.stdin)
	}
	for _, p := range c.env {
		ts = append(ts, p.value)
	}
	return ts
}

// run starts a token command without a shell. What it writes on standard error is never shown: it may hold anything.
func (b *bound) run(ctx context.Context, t *tokenPlan, env map[string]any) (outputs, error) {
	if !b.env.AllowExec {
		return nil, t.failed(errors.New("runs a command, which needs the run's leave: --allow-exec"))
	}
	if err := b.spend(t); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.command.Timeout)
	defer cancel()
	out, err := t.command.output(ctx, b.env.Getenv("PATH"), env)
	if err != nil {
		return nil, t.failed(err)
	}
	values, err := takeOutputs(t.command.Outputs, t.command.outputs, &place{body: out})
	if err != nil {
		return nil, t.failed(fmt.Errorf("its command: %w", err))
	}
	return values, nil
}

func (c *commandPlan) output(ctx context.Context, path string, env map[string]any) ([]byte, error) {
	argv := make([]string, len(c.argv))
	for i, a := range c.argv {
		var err error
		if argv[i], _, err = a.evalText(env); err != nil {
			return nil, err
		}
	}
	command := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the profile's, with the user's leave
	command.WaitDelay = time.Second
	ownGroup(command)
	command.Env = []string{"PATH=" + path}
	for _, p := range c.env {
		value, drop, err := p.text(env)
		if err != nil {
			return nil, err
		}
		if !drop {
			command.Env = append(command.Env, p.name+"="+value)
		}
	}
	if c.stdin != nil {
		text, _, err := c.stdin.evalText(env)
		if err != nil {
			return nil, err
		}
		command.Stdin = bytes.NewBufferString(text)
	}
	out := &boundedBuffer{limit: maxToken}
	command.Stdout = out
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, fmt.Errorf("the command %s was stopped: %w", argv[0], ctx.Err())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the command %s did not end within %v", argv[0], c.Timeout)
	case out.over: // which ends most commands with a signal
		return nil, fmt.Errorf("the command %s wrote more than %d bytes", argv[0], maxToken)
	case errors.As(err, &exit):
		return nil, fmt.Errorf("the command %s ended with %s", argv[0], exit.ProcessState)
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, fmt.Errorf("the command %s ended and left a process behind that keeps its output open", argv[0])
	case err != nil:
		return nil, fmt.Errorf("the command %s cannot be run: %w", argv[0], err)
	}
	return out.kept, nil
}

// boundedBuffer keeps what is written up to a limit and fails beyond it.
type boundedBuffer struct {
	kept  []byte
	limit int
	over  bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > b.limit {
		b.over = true
		return 0, errors.New("too much")
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}
