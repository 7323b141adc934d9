package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"keyflow/drm/secret"
	"keyflow/suites/doctor"
)

type doctorFlags struct {
	targetFlags
	variant string
	origins []string
	offline bool
	self    bool
}

func (a *app) doctorCommand() *cobra.Command {
	f := &doctorFlags{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at a profile and at the way to its license service, hop by hop; no device key is needed",
		Long: `doctor tells every effective value of a profile and where it comes from, and the requests as the profile makes them. Then it goes
hop by hop to the license service: DNS, TCP, TLS, preflight, tokens, service certificate, key request. It names the first hop that
fails and what to do; what comes after that is a consequence.

The key request is of a device of keyflow's own, for content of keyflow's own: a service that refuses it is reached and alive.
Nothing that costs money is asked for without --budget, and no program is run without --allow-exec; secrets are placeholders.

Exit codes: 0 all hops are good, 1 a hop failed, or requests differ from the golden ones, 2 usage or profile,
3 keyflow's own error, or a self test failed, 4 the service cannot be reached: DNS, TCP or TLS, 5 hops were skipped, are unclear,
or the run was interrupted.`,
		Example: `  keyflow doctor --profile axinom-widevine --stand-in
  keyflow doctor --profile my-widevine.yaml
  keyflow doctor --profile my-widevine.yaml --origin https://player.example
  keyflow doctor --profile expressplay-widevine-test --budget 1
  keyflow doctor --profile axinom-widevine --offline
  keyflow doctor --self`,
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context(), f) },
	}
	s := c.Flags()
	s.StringArrayVar(&f.profiles, "profile", nil, "provider profile: the `NAME` of an embedded one or a YAML file")
	s.StringVar(&f.variant, "variant", "", "the `ID` of one variant of the profile (default: all are rendered, the first goes through the hops)")
	s.BoolVar(&f.offline, "offline", false, "render only and send nothing; compare with the golden requests, if the profile's id has some")
	s.BoolVar(&f.self, "self", false, "look at keyflow itself and at this machine instead of a profile")
	s.BoolVar(&f.standIn, "stand-in", false, "let the embedded fakes answer for all hosts of the profile: nothing leaves this machine, nothing is billed")
	s.StringArrayVar(&f.faults, "fault", nil, "`NAME` of a fault of the stand-in, see keyflow list faults; repeat for several")
	s.StringArrayVar(&f.asset, "asset", nil, "DASH content that the key request is for: the `NAME` of an embedded asset, a folder, or an MPD in one (default: cenc-1key)")
	s.StringVar(&f.assetKeys, "asset-keys", "", "`FILE` with one KID:KEY (hex) a line, for the stand-in to serve with --asset FOLDER")
	s.StringVar(&f.authority, "authority", "", "`DIR` with the authority that keyflow fake --export wrote: the license must come")
	s.StringVar(&f.identity, "identity", "", "`DIR` with the device that the vendor issued to you: the license must come")
	s.StringArrayVar(&f.origins, "origin", nil, "`URL` of a player's page, e.g. https://player.example: ask for leave as a browser there would; repeat for several")
	s.DurationVar(&f.timeout, "timeout", doctor.DefaultTimeout, "how long a hop may take")
	s.StringToStringVar(&f.vars, "var", nil, "`NAME=VALUE` of a variable of the profile that is no secret; repeat for several")
	s.BoolVar(&f.allowExec, "allow-exec", false, "allow the profile's tokens of source command to run their programs")
	s.BoolVar(&f.insecure, "insecure", false, "allow a plain http license URL beyond this machine, and servers whose certificate the profile does not verify")
	s.IntVar(&f.budget, "budget", 0, "how many tokens that cost money may be asked for")
	s.BoolVar(&f.json, "json", false, "print one JSON document")
	return c
}

// doctorConsistent refuses flags that contradict each other.
func (f *doctorFlags) doctorConsistent() error {
	if env := os.Getenv("KEYFLOW_PROFILE"); len(f.profiles) == 0 && env != "" && !f.self {
		f.profiles = []string{env}
	}
	switch {
	case f.self && (len(f.profiles) > 0 || f.offline || f.standIn):
		return usage(errors.New("--self is about keyflow itself: it goes with no profile"), "keyflow doctor --self")
	case f.timeout <= 0:
		return usage(fmt.Errorf("--timeout %v is no time to wait", f.timeout), "for example --timeout 10s")
	case f.self:
		return nil
	case len(f.profiles) == 0:
		return usage(errors.New("doctor needs --profile NAME or FILE, or --self"), "keyflow list profiles shows the embedded ones; docs/profiles.md tells how to write one")
	case len(f.profiles) > 1:
		return usage(errors.New("doctor looks at one profile at a time"), "run it once for each")
	case len(f.asset) > 1:
		return usage(errors.New("one key request is for one asset"), "leave out all --asset but one")
	case f.offline && f.standIn:
		return usage(errors.New("--offline sends nothing: there is nothing for --stand-in to answer"), "leave out one of the two")
	case f.budget < 0:
		return usage(fmt.Errorf("--budget %d is not a number of tokens", f.budget), "for example --budget 1")
	}
	for _, o := range f.origins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || o != u.Scheme+"://"+u.Host {
			return usage(fmt.Errorf("--origin %q is no origin: want a scheme and a host and nothing else", o), "for example --origin https://player.example")
		}
	}
	return f.consistent()
}

func (a *app) doctor(ctx context.Context, f *doctorFlags) error {
	if err := f.doctorConsistent(); err != nil {
		return err
	}
	if f.self {
		return a.doctorSelf(ctx, f)
	}
	v, err := f.visit(ctx)
	if err != nil {
		return err
	}
	defer v.setting.close()
	d := v.document(ctx, f)
	if f.offline {
		v.compare(ctx, d)
	}
	if !f.json {
		if err := a.showDoctor(v.setting.vault, d, (*doctorText).beginning); err != nil {
			return err
		}
	}
	if !f.offline {
		v.visit.Progress = a.hopProgress(v.setting.vault, f.json)
		d.Hops = doctor.Walk(ctx, v.visit)
	}
	return a.endDoctor(v.setting, d, f.json)
}

// endDoctor concludes, prints what is left to print and sets the exit code.
func (a *app) endDoctor(s *setting, d *doctor.Document, asJSON bool) error {
	d.Conclude()
	a.exit = d.Verdict.Exit
	if !asJSON {
		return a.showDoctor(s.vault, d, (*doctorText).ending)
	}
	d.Redact(s.vault)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return harness(fmt.Errorf("write document: %w", err))
	}
	return a.gated(s.vault, out.Bytes())
}

// doctorSelf looks at keyflow itself, with the embedded fakes.
func (a *app) doctorSelf(ctx context.Context, f *doctorFlags) error {
	f.profiles, f.asset = nil, []string{"cenc-3key"}
	s, err := f.prepare(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	d := &doctor.Document{Schema: doctor.Schema, Tool: tool(), Mode: doctor.ModeSelf}
	if !f.json {
		if err := a.showDoctor(s.vault, d, (*doctorText).beginning); err != nil {
			return err
		}
	}
	d.Self = doctor.Self(ctx, knownOf(s), f.timeout, a.hopProgress(s.vault, f.json))
	return a.endDoctor(s, d, f.json)
}

// hopProgress prints hops as they end.
func (a *app) hopProgress(vault *secret.Vault, quiet bool) func(doctor.Hop) {
	if quiet {
		return nil
	}
	return func(h doctor.Hop) {
		t := &doctorText{color: a.color}
		t.hop(h.Redact(vault))
		_ = a.gated(vault, t.Bytes()) // the end of the run tells of it
	}
}
