package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyflow/fakes"
)

func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// targetFlags are the flags that say what is tested; check and load share them.
type targetFlags struct {
	profiles  []string
	standIn   bool
	asset     []string
	assetKeys string
	system    string
	platform  string
	authority string
	identity  string
	faults    []string
	vars      map[string]string
	allowExec bool
	insecure  bool
	slow      bool
	timeout   time.Duration // of a token request; 0: the provider package's
	soak      int
	devices   int
	widevine  []string
	playReady []string
	budget    int
	out       string
	seed      int64
	json      bool

	// margin is how long a shared token is to live when it is used; see provider.Environment.
	margin time.Duration
}

func (f *targetFlags) register(c *cobra.Command, command string) {
	s := c.Flags()
	s.StringArrayVar(&f.profiles, "profile", nil, "provider profile: the `NAME` of an embedded one or a YAML file; repeat for several (default: the embedded fakes)")
	s.BoolVar(&f.standIn, "stand-in", false, "keep the profile, but let the embedded fakes answer for all its hosts: nothing leaves this machine, nothing is billed")
	s.StringArrayVar(&f.asset, "asset", nil, "DASH content: the `NAME` of an embedded asset, a folder, or an MPD in one; repeat for several (default: all embedded ones)")
	s.StringVar(&f.assetKeys, "asset-keys", "", "`FILE` with one KID:KEY (hex) a line, for the embedded fakes or the stand-in to serve with --asset FOLDER")
	s.StringVar(&f.system, "system", "", "the DRM system to test: widevine or playready (default: that of the profile, with the embedded fakes both)")
	s.StringVar(&f.platform, "platform", "", "what speaks to the server: none, captured, identity or harness (default: identity with --identity, harness with the fakes or --authority, captured with captured requests, else none)")
	s.StringVar(&f.authority, "authority", "", "`DIR` with the authority that keyflow fake --export wrote")
	s.StringVar(&f.identity, "identity", "", "`DIR` with the device that the vendor issued to you: client_id.bin (client id blob) and private_key.pem for Widevine; certificate_chain.bin, signing_key.pem and encryption_key.pem for PlayReady")
	s.StringArrayVar(&f.faults, "fault", nil, "`NAME` of a fault of the embedded fakes or the stand-in, see keyflow list faults; repeat for several")
	s.StringSliceVar(&f.widevine, "widevine", nil, "how the embedded Widevine fake issues licenses: "+widevineHelp)
	s.StringSliceVar(&f.playReady, "playready", nil, "how the embedded PlayReady fake issues licenses: "+playReadyHelp)
	s.StringToStringVar(&f.vars, "var", nil, "`NAME=VALUE` of a variable of the profile that is no secret, see keyflow list profiles; repeat for several")
	s.BoolVar(&f.allowExec, "allow-exec", false, "allow the profile's tokens of source command to run their programs")
	s.BoolVar(&f.insecure, "insecure", false, "allow a plain http license URL beyond this machine, and servers whose certificate the profile does not verify")
	s.IntVar(&f.budget, "budget", 0, "how many tokens that cost money may be asked for")
	s.StringVar(&f.out, "out", "keyflow-report/"+command, "`DIR` for the report; the one before is kept as DIR.previous")
	s.Int64Var(&f.seed, "seed", 0, "seed of order and faults (default: random, told in the report)")
	s.BoolVar(&f.json, "json", false, "print the report as JSON on standard output")
}

// devicesInRange refuses a number of --devices that an authority cannot have.
func devicesInRange(n int) error {
	if n < 0 || n > fakes.MaxDevices {
		return usage(fmt.Errorf("--devices %d is not between 1 and %d", n, fakes.MaxDevices), "for example --devices 20")
	}
	return nil
}
