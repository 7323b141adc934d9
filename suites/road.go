package suites

import (
	"errors"
	"net/http"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine"
)

// Exchange is one key request and its answer, walked along the road of package drm.
type Exchange struct {
	Session     drm.Session
	Message     drm.Message
	Status      int
	Header      http.Header
	Reply       provider.Reply
	Observation *drm.Observation
}

// Answer returns what the Widevine platform decoded.
func (x *Exchange) Answer() *widevine.Answer {
	a, ok := x.Observation.Detail.(*widevine.Answer)
	if !ok {
		return &widevine.Answer{}
	}
	return a
}

// License returns the first license of the exchange's session.
func (x *Exchange) License() (drm.License, bool) {
	if ls := x.Session.Licenses(); len(ls) > 0 {
		return ls[0], true
	}
	return drm.License{}, false
}

// Granted reports whether the server handed out a license, right or wrong.
func (x *Exchange) Granted() bool { return x.Answer().License != nil }

// The steps that most checks need.
var (
	// HaveBox finds the box that key requests are made from.
	HaveBox = Step[drm.Box]{"find the pssh box", func(e *Env) (drm.Box, error) {
		return pssh.Select(e.Asset.Boxes, e.Profile.DRM)
	}}
	// HaveAnswer gets an answer, whatever it is, to a key request for the asset.
	HaveAnswer = Step[*Exchange]{"get an answer to a key request", func(e *Env) (*Exchange, error) {
		return e.Exchange(e.Platform, Require(e, HaveBox), drm.KindLicense)
	}}
	// HaveEnvelope gets an answer that is a license message, whatever is inside.
	HaveEnvelope = Step[*Exchange]{"get a license message", func(e *Env) (*Exchange, error) {
		x := Require(e, HaveAnswer)
		return x, x.problem(widevine.ReasonEmptyAnswer, widevine.ReasonNotProtobuf, widevine.ReasonMessageType, widevine.ReasonLicenseError)
	}}
	// HaveSessionKey gets an answer whose session key could be unwrapped.
	HaveSessionKey = Step[*Exchange]{"unwrap the session key", func(e *Env) (*Exchange, error) {
		x := Require(e, HaveEnvelope)
		return x, x.problem(widevine.ReasonSessionKeyLen, widevine.ReasonSessionKey)
	}}
	// HaveParsed gets an answer whose license could be parsed, signed rightly or not.
	HaveParsed = Step[*Exchange]{"read the license", func(e *Env) (*Exchange, error) {
		x := Require(e, HaveEnvelope)
		return x, x.problem(widevine.ReasonLicenseParse)
	}}
	// HaveLicense gets a license that is right as far as its signature and its binding to the request go.
	HaveLicense = Step[*Exchange]{"obtain a license", func(e *Env) (*Exchange, error) {
		return e.obtain(e.Platform)
	}}
)

func (e *Env) obtain(p drm.Platform) (*Exchange, error) {
	x, err := e.Exchange(p, Require(e, HaveBox), drm.KindLicense)
	if err != nil {
		return nil, err
	}
	return x, x.Usable()
}

// stepHTTP is the step between the server and the platform.
const stepHTTP = "read the HTTP answer"

// Usable returns what keeps the exchange from having yielded a license, as a [drm.Finding]; nil if it did.
func (x *Exchange) Usable() error {
	if err := x.problem(); err != nil {
		return err
	}
	if f := x.Observation.Fatal(); f != nil {
		return *f
	}
	return nil
}

// problem returns the HTTP problem of an answer that is no license, or its first finding with one of the reasons.
func (x *Exchange) problem(reasons ...drm.Reason) error {
	if x.Reply.Class != provider.ClassOK && len(x.Reply.Problems) > 0 {
		p := x.Reply.Problems[0]
		return drm.Finding{Reason: p.Reason, Step: stepHTTP, Expected: p.Expected, Seen: p.Seen}
	}
	if f := x.Observation.Find(reasons...); f != nil {
		return *f
	}
	return nil
}

// failOnProblem ends the check if the answer is no license message, or has a finding with one of the reasons.
func (e *Env) failOnProblem(x *Exchange, reasons ...drm.Reason) {
	var f drm.Finding
	if errors.As(x.problem(reasons...), &f) {
		e.failFor(f)
	}
}

// Exchange walks the road once: open, request, lease, build, send, read, process. The error is a
// [*provider.TransportError] if no whole answer came, a [*HarnessError] if keyflow could not do its part.
func (e *Env) Exchange(p drm.Platform, box drm.Box, kind drm.Kind) (*Exchange, error) {
	return e.exchangeBody(p, box, kind, nil)
}

// exchangeBody is [Env.Exchange] with another body than the platform's, if there is one.
func (e *Env) exchangeBody(p drm.Platform, box drm.Box, kind drm.Kind, body []byte) (*Exchange, error) {
	session, err := p.Open(e.Context, box, drm.Options{})
	if err != nil {
		return nil, &HarnessError{err}
	}
	x := &Exchange{Session: session}
	if x.Message, err = session.Request(e.Context, kind); err != nil {
		return nil, &HarnessError{err}
	}
	if body != nil {
		x.Message.Body = body
	}
	// The lease is for the asset, whatever the box asks for: a check that asks for other content does so with its token.
	lease, err := e.Profile.Lease(e.Context, provider.Need{Asset: e.Asset.Name, KIDs: e.Asset.KIDs(), Keys: e.Asset.Keys()})
	if err != nil {
		return nil, err
	}
	answer, err := e.send(x, e.Profile.Build(lease, x.Message, provider.At{Now: e.clock().Now()}))
	if err != nil {
		return nil, err
	}
	x.Reply = e.Profile.Read(x.Message.Kind, x.Status, x.Header, answer)
	if x.Observation, err = session.Process(e.Context, x.Message.ID, x.Reply.Body); err != nil {
		return nil, &HarnessError{err}
	}
	e.remember(x)
	return x, nil
}

// send posts a request and reads the bounded answer; both go into the transcript.
func (e *Env) send(x *Exchange, r *provider.Request) ([]byte, error) {
	if err := e.Patience.spent(); err != nil {
		return nil, err
	}
	entry := e.log.begin(e.clock().Now(), r)
	q, err := r.HTTP(e.Context)
	if err != nil {
		return nil, &HarnessError{err}
	}
	response, err := e.Client.Do(q) //nolint:bodyclose // ReadBody closes it
	if err != nil {
		failure := provider.NewTransportError(err, false)
		entry.failed(failure)
		e.Patience.note(failure)
		return nil, failure
	}
	x.Status, x.Header = response.StatusCode, response.Header
	body, err := e.Profile.ReadBody(response)
	entry.answered(e.clock().Now(), response, body)
	if err != nil {
		var failure *provider.TransportError
		if errors.As(err, &failure) {
			entry.failed(failure)
			e.Patience.note(failure)
		}
		return nil, err
	}
	e.Patience.note(nil)
	return body, nil
}

// remember makes the keys of an answer known to the vault, so that the reports' last gate searches for them.
func (e *Env) remember(x *Exchange) {
	if e.Vault == nil {
		return
	}
	for _, c := range x.Answer().Containers {
		e.Vault.Add("content-key", c.Key)
		if c.KID != nil && !c.Key.IsZero() {
			e.log.key(*c.KID, c.Key)
		}
	}
}
