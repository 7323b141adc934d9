// Package suites holds the conformance checks for license servers, the registry that they live in, and what runs them: a
// direct driver ([Run]) that runs one check with a plain context, and a Ginkgo adapter ([Describe], [RunSpecs]) that makes
// each check an It. Both give the same result.
//
// A check is a value in the registry (see [All]). To add one, append it to the table of its area's file, wv_….go or pr_….go, or transport.go if it is of no system, and name
// the fault of package fakes that makes it fail: a check that nothing can turn red proves nothing.
package suites

import (
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// Scope says what a check judges.
type Scope string

// The scopes.
const (
	ScopeTarget Scope = "target" // the license server
	ScopeSelf   Scope = "self"   // the harness's own client; never counted for a target
)

// DefaultTimeout is how long a check may take unless it says otherwise.
const DefaultTimeout = 30 * time.Second

// Check is one requirement and the code that judges a target by it.
type Check struct {
	ID     string // of the sheet's catalogue; never renumbered
	Title  string // the requirement, one sentence
	Level  reports.Level
	Source string     // of the requirement: protocol necessity, schema, document or practice; and where the sheet has it
	Why    string     // what goes wrong in the field when it is missed
	Hint   string     // what to look at first when it fails
	System drm.System // "" for every system: it runs on targets of each
	Scope  Scope
	// Needs names what must be at hand beside a target; see [Need].
	Needs []Need
	// Leaves says what of the requirement stays open where a check that needs [NeedTrusted] runs with a stranger's device, which
	// the server only refuses: a pass is one in part then. It is empty if nothing can be judged by refusals.
	Leaves string
	// Kills names faults of package fakes, each with what it must turn this check into.
	Kills   []Kill
	Timeout time.Duration // 0 is DefaultTimeout
	Run     func(e *Env)
}

// Kill is a fault that the check must detect, and how.
type Kill struct {
	Fault   string
	Outcome reports.Outcome
	Reason  drm.Reason
}

// Need is something that a check cannot do without.
type Need string

// The needs.
const (
	// NeedTrusted is a platform that the server trusts and whose answers can be decrypted: harness or identity.
	NeedTrusted Need = "a device that the server trusts"
	// NeedDevice is a device that requests can be made with, trusted or not.
	NeedDevice Need = "a device to make requests with"
	// NeedSecondDevice is another device that the server trusts.
	NeedSecondDevice Need = "a second device that the server trusts"
	// NeedToken is a profile that attaches a token to its requests.
	NeedToken Need = "a token"
	// NeedIssuer is an authority that issues devices to order.
	NeedIssuer Need = "an authority that issues devices"
	// NeedRevoked is a device that the server's authority has revoked.
	NeedRevoked Need = "a revoked device"
	// NeedTwin is another target of the run that serves the same content in the other system.
	NeedTwin Need = "the same content in the other system"
)

// Area returns the middle part of the id, LIC of WV-LIC-03, or the first of an id without a system, TR of TR-01.
func (c Check) Area() string {
	switch parts := strings.Split(c.ID, "-"); len(parts) {
	case 3:
		return parts[1]
	case 2:
		return parts[0]
	default:
		return ""
	}
}

// For reports whether the check judges targets of the system.
func (c Check) For(s drm.System) bool { return c.System == "" || c.System == s }

func (c Check) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

// missed is the outcome of a check of this level whose requirement is missed.
func missed(l reports.Level) reports.Outcome {
	switch l {
	case reports.Must:
		return reports.Fail
	case reports.Should:
		return reports.Warn
	default:
		return reports.Info
	}
}
