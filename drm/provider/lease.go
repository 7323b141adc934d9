package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// Need says what a lease is wanted for.
type Need struct {
	Asset     string
	KIDs      []drm.KID
	ContentID []byte
	Keys      map[drm.KID]secret.Bytes // the content keys, as far as known; some token services want them
	Labels    map[drm.KID]string       // track labels, such as HD, as far as known
	Box       drm.Box                  // that the session is opened with; zero: not known
}

// Lease is what a provider's token steps yielded for one session: it entitles to KIDs and may be used for a number of
// messages. All token I/O happens when it is taken. A profile without tokens has a lease without limits.
type Lease struct {
	KIDs    []drm.KID // those it entitles to
	Expires time.Time // zero: never
	// CustomData is what a PlayReady client has to sign with its challenge, empty for nothing.
	CustomData secret.Bytes
	state      *leaseState

	tampering      tampering
	misplacedToken secret.Bytes // that was in the custom data
}

// leaseState is behind a pointer, so that a copy of a lease counts with it.
type leaseState struct {
	clock       drm.Clock
	tokens      map[string]outputs
	need        Need
	session     string // ${input.session_id}
	laURL       string
	forge       *forgery
	single      bool // one message only
	certificate bool // a certificate request counts
	customToken bool // the custom data carries a token
	used        atomic.Int64
}

// Entitled returns which of the KIDs that a request asks for its license must hold: those that the lease entitles to, since a
// packager may write every KID of an asset into every box. A lease that names no KID entitles to all.
func (l *Lease) Entitled(asked []drm.KID) []drm.KID {
	if l == nil || len(l.KIDs) == 0 {
		return asked
	}
	return slices.DeleteFunc(slices.Clone(asked), func(k drm.KID) bool { return !slices.Contains(l.KIDs, k) })
}

// LeaseError says that a lease cannot be used: it expired or is spent.
type LeaseError struct {
	Class   ErrorClass // ErrorAuthExpired or ErrorAuthReused
	Expired time.Time
}

func (e *LeaseError) Error() string {
	if e.Class == ErrorAuthExpired {
		return fmt.Sprintf("the lease expired at %s", e.Expired.UTC().Format(time.RFC3339))
	}
	return "the lease is spent: its token serves one message only"
}

// Use counts a message that is about to be sent. It returns a [*LeaseError] if the lease expired or is spent; of
// concurrent callers of a lease for one message exactly one succeeds.
func (l *Lease) Use(kind drm.Kind) error {
	if l == nil || l.state == nil {
		return nil
	}
	s := l.state
	if !l.Expires.IsZero() && !s.clock.Now().Before(l.Expires) {
		return &LeaseError{Class: ErrorAuthExpired, Expired: l.Expires}
	}
	if kind == drm.KindCertificate && !s.certificate {
		return nil
	}
	if n := s.used.Add(1); s.single && n > 1 {
		return &LeaseError{Class: ErrorAuthReused}
	}
	return nil
}

// Serves reports whether [Lease.Use] would succeed for one more message now. It counts nothing: with a lease that several
// hands use, the answer may be out of date at once.
func (l *Lease) Serves(kind drm.Kind) bool {
	if l == nil || l.state == nil {
		return true
	}
	s := l.state
	if !l.Expires.IsZero() && !s.clock.Now().Before(l.Expires) {
		return false
	}
	return !s.single || s.used.Load() == 0 || kind == drm.KindCertificate && !s.certificate
}

// Lease takes a lease for the need. All I/O of a provider's token steps happens here. Its errors are a [*BudgetError] or a
// [*TokenError] where a token step is the reason.
func (p *Profile) Lease(ctx context.Context, need Need) (*Lease, error) {
	lease, err := p.lease(ctx, need, nil)
	if err != nil {
		return nil, fmt.Errorf("take a lease from %s: %w", p.ID, err)
	}
	return lease, nil
}

func (p *Profile) lease(ctx context.Context, need Need, forge *forgery) (*Lease, error) {
	return p.leaseBy(ctx, need, forge, p.bound.watched)
}

// taking yields the outputs of a token step, and when they expire.
type taking func(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error)

// watched is token with [Environment.Taken] told of it.
func (b *bound) watched(ctx context.Context, t *tokenPlan, have map[string]outputs, in inputs) (outputs, time.Time, error) {
	if b.env.Taken == nil {
		return b.token(ctx, t, have, in)
	}
	began := time.Now()
	values, expires, err := b.token(ctx, t, have, in)
	b.env.Taken(t.ID, time.Since(began), err)
	return values, expires, err
}

func (p *Profile) leaseBy(ctx context.Context, need Need, forge *forgery, take taking) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lease := &Lease{KIDs: slices.Clone(need.KIDs)}
	if !p.dynamic() {
		return lease, nil
	}
	if p.bound == nil {
		return nil, errUnbound
	}
	if p.PerKID() && len(lease.KIDs) > 1 {
		return nil, fmt.Errorf("a lease entitles to one KID, %d are needed", len(lease.KIDs))
	}
	if n := p.plan.all.inputs; len(lease.KIDs) == 0 && (slices.Contains(n, "kid") || slices.Contains(n, "kids") || slices.Contains(n, "keys")) {
		return nil, errors.New("the profile names the KID, and none is known")
	}
	for _, k := range need.Keys {
		p.bound.env.Vault.Add("content key", k)
	}
	s := &leaseState{
		clock: p.bound.env.Clock, tokens: map[string]outputs{}, need: need, certificate: p.Certificate.ConsumesToken,
		session: p.bound.newUUID(), laURL: laURLOf(need.Box), forge: forge,
	}
	lease.state = s
	for _, t := range p.plan.needed {
		if t.late() {
			continue
		}
		values, expires, err := take(ctx, t, s.tokens, s.inputs(lease, drm.Message{}, At{}))
		if err != nil {
			return nil, err
		}
		s.tokens[t.ID] = values
		s.single = s.single || t.SingleUse || t.Scope == "request"
		if !expires.IsZero() && (lease.Expires.IsZero() || expires.Before(lease.Expires)) {
			lease.Expires = expires
		}
	}
	if err := p.addCustomData(lease); err != nil {
		return nil, err
	}
	return lease, p.rehearse(lease)
}

// addCustomData evaluates the profile's custom data, which must exist before the client signs.
func (p *Profile) addCustomData(lease *Lease) error {
	t := p.plan.customData
	if t == nil {
		return nil
	}
	s := lease.state
	text, _, err := t.evalText(p.bound.exprEnv(s.tokens, s.inputs(lease, drm.Message{}, At{Now: s.clock.Now()})))
	if err != nil {
		return fmt.Errorf("playready.custom_data: %w", err)
	}
	if p.PlayReady.CustomData.Format == "b64" {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	lease.CustomData, s.customToken = secret.New([]byte(text)), len(t.names.tokens) > 0
	if t.secret() {
		p.bound.env.Vault.Add("custom data", lease.CustomData)
	}
	return nil
}

// rehearse builds a request once, so that everything that can go wrong with the lease's values goes wrong here.
func (p *Profile) rehearse(lease *Lease) error {
	if err := p.rehearsePost(lease, drm.KindLicense, "request.url"); err != nil || p.plan.certificateURL == nil {
		return err
	}
	return p.rehearsePost(lease, drm.KindCertificate, "certificate.url")
}

// rehearsed is a key request that is long enough for what is made of one.
var rehearsed = make([]byte, 64)

func (p *Profile) rehearsePost(lease *Lease, kind drm.Kind, path string) error {
	r := p.Build(lease, drm.Message{Kind: kind, Body: rehearsed}, At{Now: lease.state.clock.Now()})
	if r.err != nil {
		return r.err
	}
	u, err := parseEndpoint(r.URL)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !isSecure(u) && !p.bound.env.Insecure {
		return fmt.Errorf("%s: is plain http to another machine", path)
	}
	return nil
}

// inputs are what the lease's templates may name.
func (s *leaseState) inputs(lease *Lease, m drm.Message, at At) inputs {
	in := inputs{need: s.need, kids: lease.KIDs, session: s.session, laURL: s.laURL, msg: m, now: at.Now, seq: at.Seq, forge: s.forge}
	if at.Rand != [16]byte{} {
		in.uuid = uuidOf(at.Rand)
	}
	return in
}

// At is what a request may depend on beside lease and message, so that Build is pure.
type At struct {
	Now  time.Time
	Seq  uint64   // number of the request within the run
	Rand [16]byte // what ${uuid} is made of in a request; zero: random
}

// Build makes the HTTP request for a message. It is pure: the same arguments make the same request, as long as its
// randomness is given; signatures of ES256, PS256 and rsa_pss have randomness of their own. A request that cannot be made, because the profile is not bound or has no lease, says so when it is
// sent ([Request.HTTP]).
func (p *Profile) Build(lease *Lease, m drm.Message, at At) *Request {
	r := &Request{
		Method: http.MethodPost,
		URL:    p.Request.URL,
		Header: http.Header{"Content-Type": {p.Request.ContentType}},
		Body:   m.Body,
		shown:  p.Request.URL,
	}
	switch {
	case !p.dynamic():
	case p.bound == nil || lease == nil || lease.state == nil:
		r.err = errUnbound
	default:
		r.err = p.build(r, lease, m, at)
	}
	if p.Request.Accept != "" && !hasHeader(r.Header, "Accept") {
		r.Header["Accept"] = []string{p.Request.Accept}
	}
	if p.DRM == drm.PlayReady && m.Kind != drm.KindCertificate && !hasHeader(r.Header, "SOAPAction") {
		r.Header["SOAPAction"] = []string{p.PlayReady.SOAPAction} // the case that clients send
	}
	if p.Request.Compress == "gzip" && len(r.Body) > 0 {
		r.Body = compressed(r.Body)
		r.Header["Content-Encoding"] = []string{"gzip"}
	}
	return r
}

// build makes what of a request follows from the lease.
func (p *Profile) build(r *Request, lease *Lease, m drm.Message, at At) error {
	s := lease.state
	in := s.inputs(lease, m, at)
	if in.uuid == "" && p.plan.all.fresh {
		in.uuid = p.bound.newUUID()
	}
	env := p.bound.exprEnv(s.tokens, in)
	tokens := maps.Clone(s.tokens) // the lease's own map is shared by its requests
	for _, t := range p.plan.needed {
		if !t.late() {
			continue
		}
		values, err := p.bound.local(t, rendering{env: env, forge: s.forge.of(t), spoil: lease.tampering})
		if err != nil {
			return err
		}
		tokens[t.ID] = values
		env["token"].(map[string]any)[t.ID] = values.clear()
	}
	ownPost := m.Kind == drm.KindCertificate && p.Certificate.Mode == CertificateURL
	if err := p.plan.attach(r, env, p, lease.tampering, ownPost); err != nil {
		return err
	}
	if lease.tampering == tokenMisplaced {
		token, err := p.plan.misplace(env, lease)
		if err != nil || strings.ContainsAny(token, "\r\n\x00") {
			return errors.New("the token cannot be put into a header")
		}
		r.Header[misplaced] = []string{"Bearer " + token}
		r.secretHeaders = append(r.secretHeaders, misplaced)
	}
	r.secretBody = p.plan.customData != nil && p.plan.customData.secret()
	if p.plan.body == nil || m.Kind == drm.KindCertificate && p.Certificate.Wrap == "raw" || r.Method == http.MethodGet {
		return nil
	}
	var err error
	r.secretBody = r.secretBody || p.plan.body.secret()
	r.Body, err = p.plan.body.wrap(rendering{env: env, spoil: lease.tampering}, tokens, m.Body)
	return err
}

// hasHeader reports whether a header has a field, whatever its case.
func hasHeader(h http.Header, name string) bool {
	for n := range h {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// attach puts URL, query and headers into a request; a certificate's of its own has another URL, and no query.
func (l *plan) attach(r *Request, env map[string]any, p *Profile, how tampering, certificate bool) error {
	u, query := l.url, how.spoil(l.query)
	if certificate {
		u, query, r.Method = l.certificateURL, nil, p.Certificate.Method
		if r.Method == http.MethodGet {
			r.Body = nil
		}
	}
	address, _, err := u.evalText(env)
	if err == nil && len(u.names.tokens) > 0 && len(l.carriers()) == 0 && !l.customCarries() && !l.bodyCarries() {
		address, err = how.spoilURL(address)
	}
	if err != nil {
		return err
	}
	shown := address
	if u.secret() {
		shown = u.text
	}
	if r.URL, r.shown, err = encodeQuery(address, shown, query, env, queryEncoding(p.Request.QueryEncoding)); err != nil {
		return err
	}
	contentType, _, err := l.contentType.evalText(env)
	if err != nil {
		return err
	}
	if strings.ContainsAny(contentType, "\r\n\x00") {
		return errors.New("the value of header Content-Type holds a line break")
	}
	r.Header = http.Header{"Content-Type": {contentType}}
	headers := how.spoil(l.headers)
	if l.contentType.secret() {
		r.secretHeaders = append(r.secretHeaders, "Content-Type")
	}
	for _, p := range headers {
		if p.secret {
			r.secretHeaders = append(r.secretHeaders, p.name)
		}
	}
	return setHeaders(r.Header, headers, env)
}
