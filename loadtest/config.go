// Package loadtest measures a license service at a constant rate and accounts for every request.
//
// A [Plan] owns time: it says which requests there are and when each is due. vegeta sends them, paced by count, and
// nothing that it would hide is left to it (sheet load.md §2d, §2e, §3): latency counts from the due time, so that a
// stalled server shows even when all workers are busy; requests are minted ahead in workers of their own; answers are
// judged behind a bounded queue; workers are bounded and their connections open before the first request is due.
//
// Nothing is lost: planned = sent + not sent, sent = answered + failed, answered = verified + unverified + wrong. Memory
// is bounded whatever the length of a run, but for about 1 KB per second of it for the report.
//
// A run may mix requests of several profiles, kinds and assets, good and bad ones: each is a [Share], and a [Mix] says whose
// request is due when. What holds for all requests holds for those of each share, and the shares add up to the whole. Renewals
// go on with live sessions of a bounded pool ([Renewing]).
//
// Durations are measured with the machine's monotonic clock; [Share.Clock] dates the requests only.
package loadtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// The defaults of a [Config], and the bounds of what it computes.
const (
	DefaultTimeout     = 10 * time.Second
	DefaultVerifyBytes = 64 << 20

	// MaxConnections bounds Workers.
	MaxConnections = 1 << 16

	minWorkers, maxWorkers     = 16, 512
	minMintAhead, maxMintAhead = 64, 4096
	workerSeconds              = 0.5 // of the rate: twice the answers in flight at a latency of 250 ms
	mintAheadSeconds           = 2
	limitMintAhead             = 1 << 20
	cutoff                     = 5 * time.Second // default Grace
)

// Config is one load run. Plan and Shares are needed, and Judge unless Verify is [VerifyNone].
type Config struct {
	Plan   Plan
	WarmUp time.Duration // the plan's beginning, by due time, that is sent and verified but not measured
	Shares []Share       // of the plan's requests, in proportion to their weights

	Judge  Judge
	Expect map[drm.KID]drm.Fingerprint // of the content keys that are known; a license with another one is wrong
	Verify Verify
	// VerifyBytes bounds the memory of requests and answers that wait for judgement. What finds no room is unverified.
	VerifyBytes int64

	Workers        int  // requests in flight, and connections; 0 computes it from the highest rate
	NewConnections bool // one for each request, so that the time to open it is part of the latency; none is opened ahead
	// Polite obeys Retry-After of answers with status 429 and 503, up to a minute at a time: the requests of the share that are due
	// meanwhile are not sent, for [NotSentPolite].
	Polite        bool
	MintAhead     int           // requests minted before they are due, in whole cycles of the mix; 0 computes it from the highest rate
	Timeout       time.Duration // of one request, from sending to the last byte of the answer
	TokenPatience time.Duration // how long a token service may fail without a break; then the run ends
	Grace         time.Duration // for requests in flight and unjudged answers when the context ends early

	// KeyRequests tells the report where the shares' key requests are from. The zero value is [reports.Fresh].
	KeyRequests reports.KeyRequests

	Seed int64 // of the verification sample
	SLOs []SLO // beside the implied ones

	// Journal is told every second what happened; nil: nobody is.
	Journal Journal

	// Results takes a record of each request that was sent, in the encoding of vegeta's own result files; nil: nobody does.
	// See [Results].
	Results *Results

	// Evidence takes the exchange behind a sample of a failed or wrong answer: at most three of each class in each share, and 256 of a
	// run. It is called by several goroutines, never where requests wait. Nil: none is kept.
	Evidence func(Evidence)

	// Progress is called at most four times a second, and once at the end, by one goroutine.
	Progress func(Progress)
}

// prepare fills in the defaults and reports everything that is wrong with the configuration.
func (c Config) prepare() (Config, Mix, error) {
	err := c.validate()
	if err != nil {
		return c, Mix{}, fmt.Errorf("load configuration: %w", err)
	}
	mix, err := mixOf(c.Shares)
	if err != nil {
		return c, Mix{}, fmt.Errorf("load configuration: %w", err)
	}
	total := c.Plan.Total()
	c.Workers = c.Connections()
	c.MintAhead = c.mintAhead()
	// In whole cycles, so that what is held ahead has every share, and a place in the ring always the same one.
	c.MintAhead += int(mix.Cycle()-1) - (c.MintAhead-1)%int(mix.Cycle())
	c.MintAhead = int(max(1, min(int64(c.MintAhead), total)))
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.TokenPatience == 0 {
		c.TokenPatience = DefaultTokenPatience
	}
	if c.Grace == 0 {
		c.Grace = min(cutoff, c.Timeout)
	}
	if c.VerifyBytes == 0 {
		c.VerifyBytes = DefaultVerifyBytes
	}
	if c.KeyRequests.Source == "" {
		c.KeyRequests.Source = reports.Fresh
	}
	c.Shares = slices.Clone(c.Shares)
	for i := range c.Shares {
		if c.Shares[i].Clock == nil {
			c.Shares[i].Clock = drm.SystemClock
		}
	}
	return c, mix, nil
}

// Connections returns how many connections the run has, and requests in flight at most: Workers, or what is computed from the
// rate, and no more than there are requests.
func (c Config) Connections() int {
	n := c.Workers
	if n == 0 {
		n = int(clamp(math.Ceil(c.Plan.Peak()*workerSeconds), minWorkers, maxWorkers))
	}
	return int(max(1, min(int64(n), c.Plan.Total())))
}

func (c Config) mintAhead() int {
	if c.MintAhead > 0 {
		return c.MintAhead
	}
	return int(clamp(math.Ceil(c.Plan.Peak()*mintAheadSeconds), minMintAhead, maxMintAhead))
}

// Lead returns how long a lease should live when it is taken: until its request is due, which may be the longest that one is minted
// ahead at the plan's mean rate, and until the answer has come or has been given up.
func (c Config) Lead() time.Duration {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ahead := min(float64(c.mintAhead())/c.Plan.PerSecond(), c.Plan.Duration.Seconds())
	return timeout + time.Duration(ahead*float64(time.Second))
}

func (c Config) validate() error {
	errs := []error{c.Plan.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(len(c.Shares) > 0, "no shares")
	for i, s := range c.Shares {
		err := s.validate()
		check(err == nil, "share %d: %w", i, err)
	}
	check(c.Judge != nil || c.Verify == VerifyNone, "no judge for verify %s", c.Verify)
	bad := slices.ContainsFunc(c.Shares, func(s Share) bool { return s.Bad })
	check(!bad || c.Verify != VerifyNone, "bad requests without verification: nobody would notice that one is granted")
	check(c.Verify >= VerifyAll && c.Verify <= VerifyNone, "verify share %d is out of range", int32(c.Verify))
	check(c.Workers >= 0 && c.Workers <= MaxConnections, "%d workers are out of range", c.Workers)
	check(c.MintAhead >= 0 && c.MintAhead <= limitMintAhead, "%d requests minted ahead are out of range", c.MintAhead)
	check(c.Timeout >= 0, "timeout %s is negative", c.Timeout)
	check(c.TokenPatience >= 0, "token patience %s is negative", c.TokenPatience)
	check(c.Grace >= 0, "grace %s is negative", c.Grace)
	check(c.VerifyBytes >= 0 && c.VerifyBytes <= math.MaxInt32*flightOverhead, "%d bytes for verification are out of range", c.VerifyBytes)
	check(c.Results == nil || c.Results.Write != nil, "nothing to write results to")
	if errors.Join(errs...) == nil {
		errs = append(errs, c.CheckWarmUp(), c.CheckObjectives())
	}
	return errors.Join(errs...)
}

func clamp(v, low, high float64) float64 { return min(max(v, low), high) }
