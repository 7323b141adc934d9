package loadtest

import (
	"context"
	"sync"
	"time"
)

// The reasons for which a planned request is not sent.
const (
	NotSentInterrupted = "interrupted"        // the caller's context ended
	NotSentMint        = "mint-failed"        // the source had no more key requests to give
	NotSentUnreachable = "target-unreachable" // no connection could be made before the first request
	NotSentUnprepared  = "not-prepared"       // the licenses that were to be renewed could not be had
	NotSentLimit       = "limit-reached"      // the service's owner allows no more
	NotSentPolite      = "polite-pause"       // the server asked to be left alone then, and the run is polite
	NotSentToken       = "no-token"           // the token service gave none in time
	NotSentBudget      = "budget-spent"       // its token costs money, and there is no budget left
)

// halt ends a run early, in two steps: when soft ends nothing more is minted or sent; when hard ends, a grace later,
// requests in flight are cut off and answers are no longer judged.
type halt struct {
	soft, hard context.Context

	grace   time.Duration
	once    sync.Once
	reason  string     // set before soft ends; "" if the run was only released
	cause   *StopError // likewise; nil unless one ended the run
	endSoft context.CancelFunc
	endHard context.CancelFunc
	timer   *time.Timer
	unhook  func() bool
}

// newHalt returns a halt that ctx triggers with [NotSentInterrupted]. Release it.
func newHalt(ctx context.Context, grace time.Duration) *halt {
	h := &halt{grace: grace}
	h.hard, h.endHard = context.WithCancel(context.WithoutCancel(ctx))
	h.soft, h.endSoft = context.WithCancel(h.hard)
	h.unhook = context.AfterFunc(ctx, func() { h.stop(NotSentInterrupted) })
	return h
}

// stop halts the run; only the first call counts.
func (h *halt) stop(reason string) { h.stopWith(reason, nil) }

func (h *halt) stopWith(reason string, cause *StopError) {
	h.once.Do(func() {
		h.reason, h.cause = reason, cause
		h.timer = time.AfterFunc(h.grace, h.endHard)
		h.endSoft()
	})
}

// end halts the run for a cause that its result is to tell.
func (h *halt) end(cause *StopError) {
	h.stopWith(cause.Reason, cause)
}

func (h *halt) halted() bool { return h.soft.Err() != nil }

// release ends both contexts and the timer.
func (h *halt) release() {
	h.unhook()
	h.once.Do(func() {})
	if h.timer != nil {
		h.timer.Stop()
	}
	h.endHard()
}
