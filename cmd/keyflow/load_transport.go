package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"keyflow/loadtest"
)

// transportFlags say how requests are sent.
type transportFlags struct {
	connections int
	keepAlive   bool
	polite      bool
}

func (f *transportFlags) register(s *pflag.FlagSet) {
	s.IntVar(&f.connections, "connections", 0, "`N` connections, and requests in flight at most (default: from the rate, told before the run)")
	s.BoolVar(&f.keepAlive, "keep-alive", true, "keep connections open; with --keep-alive=false each request opens one, and its latency includes that")
	s.BoolVar(&f.polite, "polite", false, "obey Retry-After of answers with status 429 and 503, up to a minute at a time: what is due meanwhile is not sent")
}

// set puts the flags into the configuration.
func (f *transportFlags) set(c *loadtest.Config) error {
	if f.connections < 0 || f.connections > loadtest.MaxConnections {
		return usage(fmt.Errorf("--connections %d is not between 1 and %d", f.connections, loadtest.MaxConnections), "leave it out to have it computed from the rate")
	}
	c.Workers, c.NewConnections, c.Polite = f.connections, !f.keepAlive, f.polite
	return nil
}
