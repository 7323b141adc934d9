package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// The reasons of a token that is not worth sending.
const (
	reasonTooLate  drm.Reason = "token-expired"
	reasonTooEarly drm.Reason = "token-not-yet-valid"
)

// Taken takes down how long each token step took. It is safe for concurrent use.
type Taken struct {
	mu    sync.Mutex
	steps map[string]takenStep
}

type takenStep struct {
	took time.Duration
	err  error // what went wrong
}

// NewTaken returns an empty one.
func NewTaken() *Taken { return &Taken{steps: map[string]takenStep{}} }

// Note is what [provider.Environment.Taken] wants.
func (t *Taken) Note(token string, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps[token] = takenStep{took, err}
}

// of returns what was told of a step, and false if it was not taken.
func (t *Taken) of(token string) (takenStep, bool) {
	if t == nil {
		return takenStep{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	step, known := t.steps[token]
	return step, known
}

// tokens goes to the token services and takes the lease.
func (w *walk) tokens(ctx context.Context) {
	steps := w.Profile.TokenSteps()
	if len(steps) == 0 {
		w.hop(ctx, HopToken, "", func(ctx context.Context, h *Hop) {
			if lease, err := w.Profile.Lease(ctx, w.Ask.Need); err != nil {
				h.failSend(err)
			} else {
				w.lease = lease
				h.end(NotNeeded, "", "the profile's requests carry no token", "")
			}
		})
		return
	}
	for _, s := range steps {
		if w.skipped = w.withheld(s); w.skipped != "" {
			break
		}
	}
	remote := 0
	for _, s := range steps {
		if s.Endpoint != nil { // to reach the host costs nothing
			w.host(ctx, s.Endpoint, w.tokenTLS(s))
		}
		if s.Remote() {
			remote++
		}
	}
	if w.skipped != "" {
		for _, s := range steps {
			w.hop(ctx, HopToken, s.ID, func(_ context.Context, h *Hop) {
				if why := w.withheld(s); why != "" {
					h.end(Skipped, "", why, "")
					return
				}
				h.end(Skipped, "", "is not taken without the others: "+w.skipped, "")
			})
		}
		return
	}
	w.take(ctx, steps, remote)
}

// withheld says what a step needs that the user has not allowed, "" for nothing.
func (w *walk) withheld(s provider.TokenStep) string {
	switch {
	case s.CostUnit != "" && w.Budget < 1 && !w.StandIn:
		return fmt.Sprintf("costs one %s, --budget 1 allows it", s.CostUnit)
	case s.Source == "command" && !w.AllowExec:
		return "runs a program, --allow-exec allows it"
	}
	return ""
}

func (w *walk) tokenTLS(s provider.TokenStep) *tls.Config {
	if s.TLS == "" || w.StandIn {
		if w.StandIn {
			return w.TLS
		}
		return nil
	}
	config, err := w.Profile.TLS[s.TLS].Config()
	if err != nil { // binding the profile has read the same files
		return nil
	}
	return config
}

// take takes the lease, and makes a hop of each of its steps.
func (w *walk) take(ctx context.Context, steps []provider.TokenStep, remote int) {
	if w.stopped || ctx.Err() != nil {
		for _, s := range steps {
			w.hop(ctx, HopToken, s.ID, nil)
		}
		return
	}
	own, cancel := context.WithTimeout(ctx, w.timeout()*time.Duration(max(remote, 1)))
	defer cancel()
	lease, err := w.Profile.Lease(own, w.Ask.Need)
	blamed := false
	views := map[string]provider.TokenView{}
	for _, v := range lease.Tokens() {
		views[v.ID] = v
	}
	for _, s := range steps {
		step, known := w.Taken.of(s.ID)
		h := Hop{ID: HopToken, Subject: s.ID, Outcome: OK, TookMS: float64(step.took.Microseconds()) / 1000}
		switch {
		case w.stopped, ctx.Err() != nil && step.err != nil:
			h.Outcome = NotReached
		case step.err != nil:
			blamed = true
			w.tokenFailed(&h, s, step.err)
		case s.Late:
			h.say("made here with each request")
		case !known && err != nil:
			h.Outcome = NotReached
		default:
			w.judgeToken(&h, s, views[s.ID])
		}
		w.add(h)
	}
	switch {
	case err == nil:
		w.lease = lease
	case !blamed && ctx.Err() == nil && !w.stopped:
		h := Hop{ID: HopToken, Subject: "request"}
		h.failSend(err)
		w.add(h)
	}
}

// judgeToken tells what a token is like, and refuses one whose own times say that it is not good now.
func (w *walk) judgeToken(h *Hop, s provider.TokenStep, v provider.TokenView) {
	now := w.clock().Now()
	h.say("source " + s.Source)
	for _, o := range v.Outputs {
		if o.JWT == nil {
			h.say(fmt.Sprintf("%s: %d bytes", o.Name, o.Bytes))
			continue
		}
		h.say(fmt.Sprintf("%s: a JWT of %d bytes, alg %s, claims %s", o.Name, o.Bytes, o.JWT.Alg, listed(o.JWT.Claims)))
		w.judgeTimes(h, s, o.JWT, now)
	}
}

func (w *walk) judgeTimes(h *Hop, s provider.TokenStep, j *provider.JWTView, now time.Time) {
	source := "get a fresh one from where it comes from"
	if s.Source == "jwt" {
		source = "look at the claims of the token in the profile, and at this machine's clock"
	}
	if j.Ends != nil {
		if left := j.Ends.Sub(now).Round(time.Second); left <= 0 {
			h.fail(reasonTooLate, "a token that is still good", fmt.Sprintf("it ended %v ago, at %s: not worth sending", -left, j.Ends.Format(time.RFC3339)), source)
			return
		}
		h.say(fmt.Sprintf("good until %s, another %v", j.Ends.Format(time.RFC3339), j.Ends.Sub(now).Round(time.Second)))
	}
	if j.Begins != nil && j.Begins.After(now) {
		h.fail(reasonTooEarly, "a token that is good already", fmt.Sprintf("it begins in %v, at %s: not worth sending", j.Begins.Sub(now).Round(time.Second), j.Begins.Format(time.RFC3339)),
			"do the clocks of the token's issuer and of this machine agree? Let a token begin some seconds before it is made")
		return
	}
	if j.Issued != nil && j.Issued.After(now) {
		h.say(fmt.Sprintf("made %v in the future by this machine's clock: services refuse that beyond some seconds (AU-05)", j.Issued.Sub(now).Round(time.Second)))
	}
}

// tokenFailed tells why a step yielded nothing.
func (w *walk) tokenFailed(h *Hop, s provider.TokenStep, err error) {
	var token *provider.TokenError
	var transport *provider.TransportError
	var limit *provider.LimitError
	var budget *provider.BudgetError
	switch {
	case errors.As(err, &budget):
		h.end(Skipped, "", "costs one "+budget.Unit+", and the budget is spent; --budget allows more", "")
		w.skipped = budget.Error()
	case errors.As(err, &limit):
		h.end(Skipped, "", limit.Error(), "")
		w.skipped = limit.Error()
	case errors.As(err, &transport):
		h.failSend(transport)
	case errors.As(err, &token):
		seen := token.String()
		if token.Status != 0 {
			seen += fmt.Sprintf(", HTTP %d", token.Status)
		}
		if token.Err != nil {
			seen += ": " + token.Err.Error()
		}
		h.fail(drm.Reason(token.Class), "a token", seen, tokenHint(s, token))
	default:
		h.fail(reasonRequest, "a token", err.Error(), "look at the values of the profile above")
	}
}

func tokenHint(s provider.TokenStep, e *provider.TokenError) string {
	switch {
	case !s.Remote():
		return "the token is made here: look at its variables, and at the form of its key (key_encoding)"
	case s.Source == "command":
		return "run the program by hand, with nothing but PATH and what the profile gives it in the environment"
	case e.Class == provider.ErrorEdgeHTML:
		return "a web page came instead of a token: is the URL that of the token service, and does a gateway or a login stand before it?"
	case strings.HasPrefix(string(e.Class), "auth"):
		return "the token service refuses the account: are the credentials of this environment, test or production, and not expired?"
	case e.Status >= 500:
		return "the token service itself fails: try again, and ask its operator"
	case e.Status == 404:
		return "the token service knows no such path: compare the URL with the provider's document"
	case e.Status == 200:
		return "the token service answered, and its answer has not the form that the profile's outputs name: compare both with the provider's document"
	}
	return "compare the token request above with the provider's document, parameter by parameter"
}
