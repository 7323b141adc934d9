package suites

import (
	"errors"
	"fmt"
	"net/http"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
)

// Exchange is one key request and its answer, walked along the road of package drm.
type Exchange struct {
	Session     drm.Session
	Lease       *provider.Lease
	Message     drm.Message
	Status      int
	Header      http.Header
	Proto       string // of the answer, e.g. HTTP/2.0
	Raw         []byte // the answer's body as it came
	Reply       provider.Reply
	Observation *drm.Observation
	url         string   // that the message went to
	Redirects   []string // of the application, that were followed before this answer
}

// Answer returns what the Widevine platform decoded.
func (x *Exchange) Answer() *widevine.Answer {
	a, ok := x.Observation.Detail.(*widevine.Answer)
	if !ok {
		return &widevine.Answer{}
	}
	return a
}

// PlayReady returns what the PlayReady platform decoded.
func (x *Exchange) PlayReady() *playready.Answer {
	a, ok := x.Observation.Detail.(*playready.Answer)
	if !ok {
		return &playready.Answer{}
	}
	return a
}

// Entitled returns the KIDs that the license must hold.
func (x *Exchange) Entitled() []drm.KID { return x.Lease.Entitled(x.Message.KIDs) }

// Granted reports whether the server handed out a license, right or wrong.
func (x *Exchange) Granted() bool {
	return x.Answer().License != nil || len(x.PlayReady().Licenses) > 0
}

// granted tells what was granted, for messages.
func (x *Exchange) granted() string {
	if n := len(x.PlayReady().Licenses); n > 0 {
		return fmt.Sprintf("HTTP %d with %d licenses", x.Status, n)
	}
	return fmt.Sprintf("HTTP %d with a license of %d key containers", x.Status, len(x.Answer().Containers))
}

// The steps that most checks need.
var (
	// HaveBox finds the box that key requests are made from.
	HaveBox = Step[drm.Box]{"find the pssh box", func(e *Env) (drm.Box, error) {
		return Require(e, haveAsks)[0].Box, nil
	}}
	haveAsks = Step[[]Ask]{"find the pssh box", func(e *Env) ([]Ask, error) { return e.Asks() }}
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
	// HaveLicense gets a license that is right as far as its signature and its binding to the request go. Where a lease
	// entitles to one KID it is that of the asset's first.
	HaveLicense = Step[*Exchange]{"obtain a license", func(e *Env) (*Exchange, error) {
		return e.obtain(e.Platform, call{kind: drm.KindLicense})
	}}
	// HaveLicenses gets such licenses for every KID of the asset, in as many sessions as the profile needs.
	HaveLicenses = Step[[]*Exchange]{"obtain a license for every KID", func(e *Env) ([]*Exchange, error) {
		return e.obtainAll(e.Platform)
	}}
)

func (e *Env) obtain(p drm.Platform, c call) (*Exchange, error) {
	x, err := e.exchange(p, Require(e, HaveBox), c)
	if err != nil {
		return nil, err
	}
	return x, x.Usable()
}

func (e *Env) obtainAll(p drm.Platform) ([]*Exchange, error) {
	var xs []*Exchange
	for _, a := range Require(e, haveAsks) {
		x, err := e.exchange(p, a.Box, call{kind: drm.KindLicense, need: &a.Need})
		if err == nil {
			err = x.Usable()
		}
		if err != nil {
			return xs, err
		}
		xs = append(xs, x)
	}
	return xs, nil
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
	if len(x.Session.Licenses()) > 0 {
		return nil
	}
	if len(x.Observation.Findings) > 0 {
		return x.Observation.Findings[0]
	}
	return drm.Finding{Reason: reasonKIDMissing, Step: stepHTTP, Expected: "a license that can be used", Seen: "none"}
}

// problem returns the fault or the HTTP problem of an answer that is no license, or its first finding with one of the reasons.
func (x *Exchange) problem(reasons ...drm.Reason) error {
	if f := x.Observation.Find(playready.ReasonFault); f != nil {
		return *f // it says more than the status that it comes with
	}
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

// call says what an exchange is about where that is not a license for the target's content.
type call struct {
	kind  drm.Kind
	body  func(own []byte) []byte // the platform's, before it is wrapped
	lease *provider.Lease         // instead of a fresh one; it is used whatever it says of itself
	need  *provider.Need          // nil: the first session's
	edit  func(*provider.Request)

	client *http.Client // instead of the target's
	stay   bool         // follow no redirect of HTTP
}

// Exchange walks the road once: open, request, lease, build, send, read, process. The error is a
// [*provider.TransportError] if no whole answer came, a [*HarnessError] if keyflow could not do its part.
func (e *Env) Exchange(p drm.Platform, box drm.Box, kind drm.Kind) (*Exchange, error) {
	return e.exchange(p, box, call{kind: kind})
}

func (e *Env) exchange(p drm.Platform, box drm.Box, c call) (*Exchange, error) {
	x, err := e.exchangeOnce(p, box, c)
	if err != nil || !c.plain() || !e.Profile.Retry.NewToken(x.Reply.Error) {
		return x, err
	}
	return e.exchangeOnce(p, box, c) // with a new token
}

// instead returns a body in the place of the platform's.
func instead(body []byte) func([]byte) []byte { return func([]byte) []byte { return body } }

// plain reports whether nothing about the call is wrong on purpose.
func (c call) plain() bool { return c.lease == nil && c.body == nil && c.edit == nil }

func (e *Env) exchangeOnce(p drm.Platform, box drm.Box, c call) (*Exchange, error) {
	x := &Exchange{Lease: c.lease}
	var err error
	if x.Lease == nil {
		if x.Lease, err = e.lease(c); err != nil {
			return nil, err
		}
	}
	if x.Session, err = p.Open(e.Context, box, drm.Options{CustomData: x.Lease.CustomData}); err != nil {
		return nil, &HarnessError{err}
	}
	session := x.Session
	if x.Message, err = session.Request(e.Context, c.kind); err != nil {
		return nil, &HarnessError{err}
	}
	if c.body != nil {
		x.Message.Body = c.body(x.Message.Body)
	}
	for {
		if err := e.walk(x, c); err != nil {
			return nil, err
		}
		to := redirectTarget(x)
		if to == nil || len(x.Redirects) == maxRedirects {
			break
		}
		x.Redirects = append(x.Redirects, to.String())
		if x.Message, err = session.Request(e.Context, c.kind); err != nil { // an answer's message is not processed twice
			return nil, &HarnessError{err}
		}
	}
	e.remember(x)
	return x, nil
}

// lease takes a lease for the call and counts its use. Certificate requests that use no token up share one lease: tokens
// may cost money.
func (e *Env) lease(c call) (*provider.Lease, error) {
	shared := c.kind == drm.KindCertificate && !e.Profile.Certificate.ConsumesToken
	if shared && e.certificates != nil && e.certificates.Use(c.kind) == nil {
		return e.certificates, nil
	}
	need := c.need
	if need == nil { // the asset's whatever the box asks for: a check that asks for other content does so with the asset's token
		need = &Require(e, haveAsks)[0].Need
	}
	lease, err := e.take(*need)
	if err != nil {
		return nil, err
	}
	if shared {
		e.certificates = lease
	}
	return lease, lease.Use(c.kind)
}

// take takes a lease, as patiently with the token service as with the license service.
func (e *Env) take(need provider.Need) (*provider.Lease, error) {
	if err := e.Patience.spent(); err != nil {
		return nil, err
	}
	lease, err := e.Profile.Lease(e.Context, need)
	var failure *provider.TransportError
	if errors.As(err, &failure) {
		e.Patience.note(failure)
	}
	return lease, err
}

// send sends a request and reads the bounded answer into the exchange; both go into the transcript.
func (e *Env) send(client *http.Client, x *Exchange, r *provider.Request) error {
	if err := e.Patience.spent(); err != nil {
		return err
	}
	entry := e.log.begin(e.clock().Now(), r)
	q, err := r.HTTP(e.Context)
	if err != nil {
		return &HarnessError{err}
	}
	response, err := client.Do(q) //nolint:bodyclose // ReadBody closes it
	var limit *provider.LimitError
	if errors.As(err, &limit) {
		return limit
	}
	if err != nil {
		failure := provider.NewTransportError(err, false)
		entry.failed(failure)
		e.Patience.note(failure)
		return failure
	}
	x.Status, x.Header, x.Proto = response.StatusCode, response.Header, response.Proto
	x.Raw, err = e.Profile.ReadBody(response)
	entry.answered(e.clock().Now(), response, x.Raw)
	if err != nil {
		var failure *provider.TransportError
		if errors.As(err, &failure) {
			entry.failed(failure)
			e.Patience.note(failure)
		}
		return err
	}
	e.Patience.note(nil)
	return nil
}

// remember makes the keys of an answer known to the vault, so that the reports' last gate searches for them.
func (e *Env) remember(x *Exchange) {
	if e.Vault == nil {
		return
	}
	add := func(kid drm.KID, key secret.Bytes) {
		e.Vault.Add("content-key", key)
		if !key.IsZero() {
			e.log.key(kid, key)
		}
	}
	for _, c := range x.Answer().Containers {
		e.Vault.Add("content-key", c.Key)
		if c.KID != nil {
			add(*c.KID, c.Key)
		}
	}
	for _, l := range x.PlayReady().Licenses {
		if l.XMR != nil {
			add(l.XMR.KID, l.Key)
		}
	}
}
