// Command keyflow proves that a DRM license service works, stays correct under load, and says so in a report.
//
// This package holds flags and messages only: one file per subcommand, the work is done in suites, loadtest and fakes.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// net/http prints what it did not expect of a server, bytes of answers included, past every redaction.
	log.SetOutput(io.Discard)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line and returns its exit code. An interrupt ends the command's context, which ends the work and
// still writes the report; a second one ends the process at once.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{out: stdout, err: stderr, color: isTerminal(stdout)}
	root := a.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return a.report(err)
	}
	return a.exit
}
