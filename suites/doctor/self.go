package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
)

// The reasons of self tests.
const (
	reasonClock    drm.Reason = "clock"
	reasonTemp     drm.Reason = "temporary-files"
	reasonLoopback drm.Reason = "loopback"
	reasonFixtures drm.Reason = "fixtures"
	reasonProfiles drm.Reason = "profiles"
	reasonBlind    drm.Reason = "fault-not-detected"
)

// Known is what the self checks run against: servers that are known to be right, one target for each system.
type Known struct {
	Targets []*suites.Target
	// Spoil sets a fault of the server, "" takes all away.
	Spoil func(fault string) error
}

// selfTest is one of them.
type selfTest struct {
	id  string
	run func(context.Context, *Hop)
}

// Self judges keyflow itself on this machine: what it runs on, what is embedded in it, and its own client and checks against a
// server that is known to be right. Tests do not depend on each other: none stops the rest. progress is called after each; nil
// tells nobody.
func Self(ctx context.Context, k Known, timeout time.Duration, progress func(Hop)) []Hop {
	tests := []selfTest{
		{"platform", selfPlatform}, {"clock", selfClock}, {"temp", selfTemp}, {"loopback-v4", loopback("127.0.0.1", true)},
		{"loopback-v6", loopback("::1", false)}, {"ffmpeg", selfFFmpeg}, {"fixtures", selfFixtures}, {"profiles", selfProfiles},
	}
	tests = append(tests, k.checks()...)
	var hops []Hop
	for _, t := range tests {
		h := Hop{ID: t.id, Outcome: OK}
		if ctx.Err() != nil {
			h.end(NotReached, "", interrupted, "")
		} else {
			own, cancel := context.WithTimeout(ctx, max(timeout, selfTimeout))
			began := time.Now()
			t.run(own, &h)
			h.TookMS = float64(time.Since(began).Microseconds()) / 1000
			cancel()
		}
		hops = append(hops, h)
		if progress != nil {
			progress(h)
		}
	}
	return hops
}

// selfTimeout is what a self test has at least: some decrypt all that is embedded.
const selfTimeout = time.Minute

// SelfExit returns the exit code of self tests: a failed one is the harness's own error.
func SelfExit(hops []Hop) int {
	code := reports.ExitOK
	for _, h := range hops {
		switch h.Outcome {
		case Failed:
			return reports.ExitHarness
		case NotReached:
			code = reports.ExitIncomplete
		}
	}
	return code
}

func selfPlatform(_ context.Context, h *Hop) {
	h.say(fmt.Sprintf("%s, %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0)))
}

// oldest is before keyflow was made: no clock that is right shows an earlier time.
var oldest = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func selfClock(_ context.Context, h *Hop) {
	now := drm.SystemClock.Now()
	if now.Before(oldest) || now.Year() > 2100 {
		h.fail(reasonClock, "a time after "+oldest.Format(time.DateOnly), now.UTC().Format(time.RFC3339), "set this machine's clock: tokens and certificates depend on it")
		return
	}
	h.say(now.UTC().Format(time.RFC3339))
}

func selfTemp(_ context.Context, h *Hop) {
	dir, err := os.MkdirTemp("", "keyflow-doctor-")
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(dir, "file"), []byte("keyflow"), 0o600), os.RemoveAll(dir))
	}
	if err != nil {
		h.fail(reasonTemp, "a folder for temporary files that can be written", err.Error(), "free disk space, or set TMPDIR")
		return
	}
	h.say("can be written: " + os.TempDir())
}

// loopback sends a byte to itself.
func loopback(host string, needed bool) func(context.Context, *Hop) {
	return func(ctx context.Context, h *Hop) {
		if err := echo(ctx, host); err != nil {
			if needed {
				h.fail(reasonLoopback, "a connection to "+host, err.Error(), "the fakes serve there: is the loopback interface up, or does a sandbox forbid to listen?")
				return
			}
			h.end(NotNeeded, "", "not there; services that have IPv6 addresses only cannot be reached from here", "")
			return
		}
		h.say("connections to " + host + " work")
	}
}

func echo(ctx context.Context, host string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write([]byte{1})
			_ = conn.Close()
		}
		done <- err
	}()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline) // reading fails if it cannot be set
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	return <-done
}

func selfFFmpeg(_ context.Context, h *Hop) {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		h.end(NotNeeded, "", "not installed: video of content that is not keyflow's own stays unverifiable; embedded content is proved by hashes", "")
		return
	}
	h.say(path)
}

// selfFixtures decrypts all embedded content and compares it with the packager's own clear samples.
func selfFixtures(ctx context.Context, h *Hop) {
	assets, err := fixtures.Assets()
	if err != nil {
		h.fail(reasonFixtures, "the embedded assets", err.Error(), selfHint)
		return
	}
	segments := 0
	for _, a := range assets {
		n, err := decode(ctx, a)
		if err != nil {
			h.fail(reasonFixtures, "asset "+a.Name+" as the packager made it", err.Error(), selfHint)
			return
		}
		segments += n
	}
	h.say(fmt.Sprintf("%d segments of %d assets decrypt to the packager's own clear samples", segments, len(assets)))
}

const selfHint = "this is a fault of keyflow, or of this machine's memory: build it again, and report it"

func decode(ctx context.Context, a fixtures.Asset) (int, error) {
	keys := a.Keys()
	segments := 0
	for _, t := range a.Tracks {
		init, err := a.Read(t.Init)
		if err != nil {
			return segments, err
		}
		for _, s := range t.Segments {
			if err := ctx.Err(); err != nil {
				return segments, err
			}
			data, err := a.Read(s.Part)
			if err != nil {
				return segments, err
			}
			clear, err := content.Decrypt(init, data, func(k drm.KID) (secret.Bytes, bool) { key, ok := keys[k]; return key, ok })
			if err != nil {
				return segments, err
			}
			samples := make([][]byte, len(clear.Samples))
			for i, sample := range clear.Samples {
				samples[i] = sample.Data
			}
			if hash := content.HashSamples(samples); hash != s.Hash {
				return segments, fmt.Errorf("%s: samples with hash %s, want %s", s.File, hash, s.Hash)
			}
			segments++
		}
	}
	return segments, nil
}

// selfProfiles reads every embedded profile and compares the requests of each variant with the golden ones.
func selfProfiles(ctx context.Context, h *Hop) {
	profiles, requests := 0, 0
	for _, id := range fixtures.ProfileNames() {
		text, err := fixtures.Profile(id)
		if err != nil {
			h.fail(reasonProfiles, "profile "+id, err.Error(), selfHint)
			return
		}
		base, err := provider.Parse(id+" (embedded)", text)
		if err != nil {
			h.fail(reasonProfiles, "profile "+id, err.Error(), selfHint)
			return
		}
		profiles++
		variants, err := Variants(base)
		if err != nil {
			h.fail(reasonProfiles, "the variants of profile "+id, err.Error(), selfHint)
			return
		}
		for _, p := range variants {
			c, ok := CompareGolden(ctx, p, nil)
			if !ok || !c.Same() {
				h.fail(reasonProfiles, "the golden requests of profile "+id, fmt.Sprintf("variant %q: %d differences %s", p.Variant, len(c.Differences), c.Problem), selfHint)
				return
			}
			requests++
		}
	}
	h.say(fmt.Sprintf("%d profiles make %d golden requests", profiles, requests))
}

// Variants returns a profile once for each of its variants, or as it is if it has none.
func Variants(p *provider.Profile) ([]*provider.Profile, error) {
	ids := p.VariantIDs()
	if len(ids) == 0 {
		return []*provider.Profile{p}, nil
	}
	var all []*provider.Profile
	for _, id := range ids {
		v, err := p.WithVariant(id)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// roads are checks that walk the whole road of each system: license, content key, decoded media.
var roads = []string{"WV-LIC-01", "WV-KEY-07", "WV-CRT-02", "PR-SOAP-01", "PR-LIC-02", "PR-LIC-08"}

// blind are checks and a fault that each must see: a check that cannot fail proves nothing.
var blind = []struct{ check, fault string }{{"WV-KEY-07", "wv-keys-swapped"}, {"PR-LIC-02", "pr-cmac-range"}}

// checks returns the harness's own checks, and those that show that the whole road can be walked here and that a fault is seen.
func (k Known) checks() []selfTest {
	var tests []selfTest
	for _, t := range k.Targets {
		for _, c := range slices.Concat(suites.SelfChecks(), suites.All()) {
			if c.System != t.Profile.DRM || c.Scope == suites.ScopeTarget && !slices.Contains(roads, c.ID) {
				continue
			}
			tests = append(tests, selfTest{c.ID, func(ctx context.Context, h *Hop) { k.pass(ctx, h, c, t) }})
		}
		for _, b := range blind {
			if c, err := suites.Find(b.check); err == nil && c.System == t.Profile.DRM {
				tests = append(tests, selfTest{"fault " + b.fault, func(ctx context.Context, h *Hop) { k.see(ctx, h, c, t, b.fault) }})
			}
		}
	}
	return tests
}

func (k Known) pass(ctx context.Context, h *Hop, c suites.Check, t *suites.Target) {
	r, _ := suites.Run(ctx, c, t)
	h.Subject = c.Title
	if r.Outcome != reports.Pass {
		h.fail(drm.Reason(r.Reason), "pass", string(r.Outcome)+": "+suites.Message(r), selfHint)
		return
	}
	h.say(r.Note)
}

// see runs a check against a server with a fault, which must turn it red.
func (k Known) see(ctx context.Context, h *Hop, c suites.Check, t *suites.Target, fault string) {
	h.Subject = "a fault of the server is seen"
	err := k.Spoil(fault)
	if err != nil {
		h.fail(reasonBlind, "a fault to be seen", err.Error(), selfHint)
		return
	}
	r, _ := suites.Run(ctx, c, t)
	if err := k.Spoil(""); err != nil {
		h.fail(reasonBlind, "the fault to be taken away", err.Error(), selfHint)
		return
	}
	if r.Outcome != reports.Fail {
		h.fail(reasonBlind, c.ID+" fails", string(r.Outcome), selfHint)
		return
	}
	h.say(c.ID + " fails on it: " + r.Reason)
}
