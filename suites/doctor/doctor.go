// Package doctor looks at a provider's profile and at the way to its services, hop by hop: for an integrator who has a license
// URL, a token and a failing player, and no device key.
//
// [Walk] goes through the hops of a [Case] in the order in which a failure is read (sheet providers.md §7.4) and stops at the
// first that fails; what comes after it is a consequence. [Render] and [CompareGolden] send nothing. [Self] judges keyflow and
// the machine that it runs on. Nothing here prints or reads flags.
package doctor

import (
	"crypto/tls"
	"net/http"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/reports"
	"keyflow/suites"
)

// Outcome says how a hop ended.
type Outcome string

// The outcomes.
const (
	OK         Outcome = "ok"
	Failed     Outcome = "failed"
	Unclear    Outcome = "unclear"     // the service answered, and what it said can be read in more than one way
	Skipped    Outcome = "skipped"     // needs what the user has not allowed or not given
	NotNeeded  Outcome = "not needed"  // the profile has no use for it
	NotReached Outcome = "not reached" // an earlier hop failed
)

// The hops, in their order.
const (
	HopProxy       = "proxy"
	HopDNS         = "dns"
	HopTCP         = "tcp"
	HopTLS         = "tls"
	HopPreflight   = "preflight"
	HopToken       = "token"
	HopCertificate = "certificate"
	HopLicense     = "license"
)

// Hop is one step on the way to a license, and what came of it.
type Hop struct {
	ID       string     `json:"id"`
	Subject  string     `json:"subject,omitempty"` // host, host and port, token or URL
	Outcome  Outcome    `json:"outcome"`
	Reason   drm.Reason `json:"reason,omitempty"` // of a failure
	TookMS   float64    `json:"took_ms"`
	Seen     []string   `json:"seen,omitempty"`
	Expected string     `json:"expected,omitempty"`
	Hint     string     `json:"hint,omitempty"` // what to do
}

// say adds what was seen.
func (h *Hop) say(seen string) {
	if seen != "" {
		h.Seen = append(h.Seen, seen)
	}
}

// end sets the outcome and what led to it.
func (h *Hop) end(o Outcome, reason drm.Reason, seen, hint string) {
	h.Outcome, h.Reason, h.Hint = o, reason, hint
	h.say(seen)
}

func (h *Hop) fail(reason drm.Reason, expected, seen, hint string) {
	h.Expected = expected
	h.end(Failed, reason, seen, hint)
}

// DefaultTimeout is how long a hop may take unless the user says otherwise.
const DefaultTimeout = 5 * time.Second

// Case is what is looked at. Only Profile, Platform, Ask and Client must be given.
type Case struct {
	Profile  *provider.Profile // bound, of one variant
	Platform drm.Platform      // makes the key request
	Ask      suites.Ask        // what the key request is for
	// Canned says that the content of Ask is keyflow's own, which a real service need not know; Trusted, that the server trusts the
	// device.
	Canned, Trusted bool
	StandIn         bool // all hosts are the stand-in
	Client          *http.Client
	TLS             *tls.Config // of Client; nil is the system's roots
	Dial            suites.Dial // of Client; nil is the network
	Resolver        Resolver    // nil: the machine's
	Clock           drm.Clock   // of the server, as far as it is known; nil is the machine's
	Vault           *secret.Vault
	Getenv          func(string) string // nil: os.Getenv
	Origins         []string            // pages that a preflight is sent for beside those of the profile
	Timeout         time.Duration       // of a hop; 0 is DefaultTimeout
	Budget          int                 // how many tokens that cost money may be asked for
	AllowExec       bool                // tokens of source command may run their programs
	Taken           *Taken              // what [provider.Environment.Taken] of the profile was told
	Progress        func(Hop)           // called after each hop; nil tells nobody
}

func (c *Case) clock() drm.Clock {
	if c.Clock == nil {
		return drm.SystemClock
	}
	return c.Clock
}

func (c *Case) timeout() time.Duration {
	if c.Timeout <= 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

// FirstFailing returns the first hop that failed, nil if none did.
func FirstFailing(hops []Hop) *Hop {
	for i := range hops {
		if hops[i].Outcome == Failed {
			return &hops[i]
		}
	}
	return nil
}

// Exit returns the exit code of hops: unreachable if DNS, TCP or TLS fail, failed if another hop does, incomplete if one was
// skipped, is unclear or was not reached.
func Exit(hops []Hop) int {
	if f := FirstFailing(hops); f != nil {
		switch f.ID {
		case HopDNS, HopTCP, HopTLS:
			return reports.ExitUnreachable
		}
		return reports.ExitFailed
	}
	for _, h := range hops {
		switch h.Outcome {
		case Skipped, Unclear, NotReached:
			return reports.ExitIncomplete
		}
	}
	return reports.ExitOK
}
