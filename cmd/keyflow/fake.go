package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyflow/fakes"
)

type fakeFlags struct {
	addr, management string
	faults           []string
	export           string
	authority        string
	asset            []string
	assetKeys        string
	anyKID           bool
	widevine         []string
	playReady        []string
	devices          int
	seed             int64
	quiet            bool
}

func (a *app) fakeCommand() *cobra.Command {
	f := &fakeFlags{}
	c := &cobra.Command{
		Use:   "fake",
		Short: "Serve the fake license servers on this machine until interrupted",
		Long: `fake serves license servers that speak the real protocols of Widevine and PlayReady, verify what real ones verify, and misbehave
on request in named, repeatable ways. Only devices of its own authority are trusted, and no real device or server trusts
that authority: it is for tests only.

It serves the keys of the embedded assets. For other content, give its keys with --asset-keys; a KID without a key
is refused unless --any-kid derives one.

The management URL answers GET /requests, /faults and /healthz, PUT and DELETE /faults, POST /clock.`,
		Example: `  keyflow fake
  keyflow fake --export DIR                 and in another terminal:
  keyflow check --profile DIR/plain-widevine.yaml --profile DIR/plain-playready.yaml --authority DIR
  keyflow fake --asset-keys keys.txt --export DIR
  keyflow fake --fault html-200@nth=3`,
		RunE: func(c *cobra.Command, _ []string) error { return a.fake(c.Context(), f) },
	}
	s := c.Flags()
	s.StringVar(&f.addr, "addr", "", "`HOST:PORT` of the license server, a loopback address (default: a free port of 127.0.0.1)")
	s.StringVar(&f.management, "management-addr", "", "`HOST:PORT` of the management endpoint (default: a free port of 127.0.0.1)")
	s.StringArrayVar(&f.faults, "fault", nil, "`NAME[@SCOPE]` of a fault, SCOPE nth=N, every=N, kid=KID, operation=KIND with commas between, see keyflow list faults; repeat for several")
	s.StringVar(&f.export, "export", "", "write authority and profile into this `DIR`")
	s.StringVar(&f.authority, "authority", "", "use the authority of an earlier export in this `DIR`")
	s.StringArrayVar(&f.asset, "asset", nil, "serve the keys of this asset: the `NAME` of an embedded one or a folder (default: all embedded ones)")
	s.StringVar(&f.assetKeys, "asset-keys", "", "`FILE` with one KID:KEY (hex) a line to serve")
	s.BoolVar(&f.anyKID, "any-kid", false, "serve every unknown KID with a key that follows from the authority")
	s.StringSliceVar(&f.widevine, "widevine", nil, "how Widevine licenses are issued: "+widevineHelp)
	s.StringSliceVar(&f.playReady, "playready", nil, "how PlayReady licenses are issued: "+playReadyHelp)
	s.IntVar(&f.devices, "devices", 0, "`N` devices of each system in a fresh authority, up to 1000 (default 2)")
	s.Int64Var(&f.seed, "seed", 0, "seed of the faults (default: random)")
	s.BoolVar(&f.quiet, "quiet", false, "no line per request")
	return c
}

func (a *app) fake(ctx context.Context, f *fakeFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	if !f.quiet {
		lines := make(chan string, 256)
		defer a.printLines(lines)()
		o.Log = func(r fakes.Record) {
			select {
			case lines <- recordLine(r):
			default: // a terminal that cannot keep up must not slow the server down
			}
		}
	}
	s, err := fakes.Start(ctx, *o)
	if err != nil {
		return usage(err, "only loopback addresses that are free can be served")
	}
	defer func() { _ = s.Close() }() // the process ends with it
	if f.export != "" {
		if err := s.Export(f.export); err != nil {
			return usage(err, "name a directory that is empty or holds an earlier export of the same authority")
		}
	}
	a.fakeBanner(s, f)
	<-ctx.Done()
	total, _ := s.Count()
	fmt.Fprintf(a.out, "\n%d requests: %d answered, %d refused, %d broken by faults\n", total.Received, total.Answered, total.Refused, total.Broken)
	return nil
}

func (f *fakeFlags) options() (*fakes.Options, error) {
	o := &fakes.Options{Addr: f.addr, ManagementAddr: f.management, AnyKID: f.anyKID, Devices: f.devices, Seed: f.seed}
	var err error
	if o.Faults, err = parseFaults(f.faults); err != nil {
		return nil, err
	}
	if o.Widevine, o.PlayReady, err = issueOptions(f.widevine, f.playReady); err != nil {
		return nil, err
	}
	target := targetFlags{asset: f.asset}
	assets, err := target.assets()
	if err != nil {
		return nil, err
	}
	if o.Keys, o.TrackLabels, err = keyStore(assets, f.assetKeys); err != nil {
		return nil, err
	}
	switch {
	case devicesInRange(f.devices) != nil:
		return nil, devicesInRange(f.devices)
	case f.devices > 0 && f.authority != "":
		return nil, usage(errors.New("--devices is for a fresh authority, and --authority names one"), "leave out one of the two")
	case f.authority != "":
		if o.Authority, err = fakes.ReadAuthority(f.authority); err != nil {
			return nil, usage(err, "keyflow fake --export DIR writes an authority")
		}
	}
	return o, nil
}

func (a *app) fakeBanner(s *fakes.Server, f *fakeFlags) {
	fmt.Fprintf(a.out, "keyflow %s: fake license server, for tests only; ends with Ctrl-C\n", version())
	fmt.Fprintf(a.out, "  widevine    %s\n  playready   %s\n  expressplay %s, tokens %s\n              %s, tokens %s\n  management  %s\n  authority   %s, seed %d\n",
		s.LicenseURL(), s.PlayReadyURL(), s.ExpressPlayLicenseURL(), s.ExpressPlayTokenURL(), s.ExpressPlayPlayReadyURL(), s.ExpressPlayPlayReadyTokenURL(),
		s.ManagementURL(), s.Authority().Fingerprint(), s.Seed())
	for _, fault := range s.Faults() {
		fmt.Fprintf(a.out, "  fault       %s\n", fault)
	}
	if f.export != "" {
		dir := strings.TrimSuffix(f.export, "/")
		fmt.Fprintf(a.out, "  exported    %s; try: keyflow check --profile %s/%s --profile %s/%s --authority %s\n",
			f.export, dir, fakes.ProfileFile, dir, fakes.PlayReadyProfileFile, f.export)
	}
	fmt.Fprintln(a.out)
}

// printLines prints lines until the returned function is called.
func (a *app) printLines(lines chan string) (stop func()) {
	done, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case line := <-lines:
				fmt.Fprintln(a.out, line)
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

func recordLine(r fakes.Record) string {
	line := fmt.Sprintf("%s %-4s %-9s %-8s status %d  asked %d KIDs, granted %d  %v", r.Time.Format("15:04:05.000"), r.Method, orDash(r.System), orDash(r.Operation), r.Status,
		len(r.KIDs), len(r.Granted), r.Elapsed.Round(10*time.Microsecond))
	if r.Reason != "" {
		line += "  refused: " + string(r.Reason)
	}
	if len(r.Faults) > 0 {
		line += "  fault: " + strings.Join(r.Faults, ", ")
	}
	return line
}

func orDash[T ~string](word T) string {
	if word == "" {
		return "-"
	}
	return string(word)
}
