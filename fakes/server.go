// Package fakes is license servers on loopback that speak the real protocols byte for byte, verify what a real one
// verifies, and are wrong on request: [Catalogue] lists the faults that can be set.
//
// [Start] serves the Widevine license service of sheet widevine.md §15: service certificates, licenses for requests
// with the client id in the clear or encrypted, and the renewal and release of those that may be renewed; the PlayReady license service of sheet playready.md §11; and beside them a
// stand-in for ExpressPlay's, see [ExpressPlay]. [StartStandIn] has those for other providers. It trusts the devices of an [Authority] and nobody else. Every request ends up in a history, which the management
// address shows, see [Server.ManagementURL]. Nothing here is meant to be reached from another machine, and no address
// but a loopback one is served.
package fakes

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
)

const (
	defaultMaxBody = 256 << 10 // bytes; a key request has 2 to 10 KB
	defaultLicense = 2 * time.Hour
)

// Options say what a server serves. The zero value is a server with a fresh authority that knows no key.
type Options struct {
	// Addr and ManagementAddr are host and port to listen on, "" is a free port of 127.0.0.1. Hosts that are no loopback
	// address are refused.
	Addr           string
	ManagementAddr string
	// Authority is what the server trusts; nil: a fresh one.
	Authority *Authority
	// Devices is how many devices of each system a fresh authority has, 1 to 1000; 0 is 2. It takes some 60 ms of one core
	// to make one.
	Devices int
	// Keys is the key store: content keys of 16 bytes.
	Keys map[drm.KID]secret.Bytes
	// DeriveKIDs are served with [Authority.ContentKey], unless Keys has them.
	DeriveKIDs []drm.KID
	// AnyKID serves every other KID with [Authority.ContentKey] too. Without it an unknown KID is left out of the license,
	// and a request that has no known one is refused with status 404.
	AnyKID bool
	// ContentIDs maps content ids in pssh data to KIDs.
	ContentIDs map[string][]drm.KID
	// TrackLabels are the track labels of KIDs, such as HD. A label in Tracks goes first.
	TrackLabels map[drm.KID]string
	// Tracks say how the keys of single KIDs are granted.
	Tracks map[drm.KID]Track
	// Policy is that of every license unless its tracks have their own; nil: playback is allowed, for two hours from the license's start.
	Policy *drm.Policy
	// Widevine is how the Widevine license service is set up.
	Widevine WidevineOptions
	// PlayReady is how the PlayReady license service is set up.
	PlayReady PlayReadyOptions
	// ExpressPlay is the stand-in for that provider's services, which every server has beside its plain license service.
	ExpressPlay ExpressPlay
	// Faults are set from the start.
	Faults []Setting
	// Seed decides what happens where a fault has a choice; 0: a random one, see [Server.Seed]. The protocols'
	// own randomness doesn't follow from it.
	Seed int64
	// Clock is the base of the server's movable clock; nil is the machine's clock.
	Clock drm.Clock
	// MaxBody is the longest request body in bytes; 0 is 256 KiB.
	MaxBody int64
	// TextErrors refuses bad device certificates with a line of text, as everything else, instead of with a LicenseError.
	TextErrors bool
	// Log, if not nil, is called for every request just before it is answered, from many goroutines at once.
	Log func(Record)
}

// Server is a running fake. It is safe for concurrent use.
type Server struct {
	authority  *Authority
	seed       int64
	keys       map[drm.KID]secret.Bytes
	anyKID     bool
	contentIDs map[string][]drm.KID
	tracks     map[drm.KID]Track
	policy     drm.Policy
	maxBody    int64
	textOnly   bool
	log        func(Record)

	customer *customer // ExpressPlay's
	tokens   tokenKeys
	role     role // of a stand-in: which provider's hosts it answers as
	account  account
	used     once // ids of tokens that count once
	spent    once // tokens that were used up, by a fault

	clock   *Clock
	faults  *board
	broken  atomic.Bool // by a malformed request, until the next one
	instead map[string]func(http.ResponseWriter, *http.Request, *exchange)
	history *history
	chains  *chainCache[*chain.Certificate]
	spoilt  spoiltCertificates

	widevine                WidevineOptions
	sessions, finalSessions *sessions // of licenses that can be renewed, and that can't

	playReady       PlayReadyOptions
	playReadyChains *chainCache[playReadyDevice]
	revoked         map[[sha256.Size]byte]bool // by digest, see bcert.Certificate
	transactions    transactions

	protocol, management *endpoint
	secure               *endpoint // of a stand-in, else nil
	cancel               context.CancelFunc
	unwatch              func() bool
	stop                 sync.Once
	stopped              chan struct{}
}

// Start starts a server. It ends when ctx is canceled or Close is called.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer(ctx, o)
	if err == nil {
		err = s.serve(ctx, o, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("start fake: %w", err)
	}
	return s, nil
}

// serve opens the addresses: one for protocols over TLS too, if there is a configuration for it.
func (s *Server) serve(ctx context.Context, o Options, secure *tls.Config) (err error) {
	base, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	defer func() {
		if err != nil {
			cancel()
			s.closeAll()
		}
	}()
	if s.protocol, err = listen(base, o.Addr, s.Handler(), nil); err != nil {
		return err
	}
	if s.management, err = listen(base, o.ManagementAddr, s.managementHandler(), nil); err != nil {
		return fmt.Errorf("management: %w", err)
	}
	if secure != nil {
		if s.secure, err = listen(base, "", s.Handler(), secure); err != nil {
			return err
		}
	}
	s.unwatch = context.AfterFunc(ctx, s.shutdown)
	return nil
}

// closeAll ends all addresses that were opened.
func (s *Server) closeAll() {
	var open []*endpoint
	for _, e := range []*endpoint{s.protocol, s.management, s.secure} {
		if e != nil {
			open = append(open, e)
			e.close()
		}
	}
	if s.cancel != nil {
		s.cancel()
	}
	for _, e := range open {
		e.wait()
	}
}

func newServer(ctx context.Context, o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Authority == nil {
		a, err := NewAuthority(ctx, AuthorityOptions{Devices: o.Devices, Clock: o.Clock})
		if err != nil {
			return nil, err
		}
		o.Authority = a
	}
	s := &Server{
		authority: o.Authority, seed: o.Seed, keys: make(map[drm.KID]secret.Bytes), anyKID: o.AnyKID,
		contentIDs: make(map[string][]drm.KID), tracks: tracks(o.TrackLabels, o.Tracks),
		policy: drm.Policy{CanPlay: true, License: defaultLicense}, maxBody: o.MaxBody, textOnly: o.TextErrors, log: o.Log,
		clock: NewClock(o.Clock), faults: newBoard(), history: newHistory(maxHistory),
		chains: newWidevineChains(o.Authority), playReadyChains: newPlayReadyChains(o.Authority), instead: replacements(),
		spoilt: newSpoiltCertificates(o.Authority), stopped: make(chan struct{}),
		customer: o.ExpressPlay.customer(o.Authority), tokens: newTokenKeys(o.Authority),
		widevine: o.Widevine, sessions: newSessions(maxSessions), finalSessions: newSessions(maxFinalSessions),
		playReady: o.PlayReady, revoked: bcert.Revoked(o.Authority.playReady.revocations),
	}
	for _, kid := range o.DeriveKIDs {
		s.keys[kid] = o.Authority.ContentKey(kid)
	}
	maps.Copy(s.keys, o.Keys)
	for id, kids := range o.ContentIDs {
		s.contentIDs[id] = slices.Clone(kids)
	}
	if o.Policy != nil {
		s.policy = *o.Policy
	}
	if s.maxBody == 0 {
		s.maxBody = defaultMaxBody
	}
	for s.seed == 0 {
		s.seed = rand.Int64() //nolint:gosec // nothing secret follows from the seed alone
	}
	return s, s.faults.add(o.Faults, true)
}

func replacements() map[string]func(http.ResponseWriter, *http.Request, *exchange) {
	m := make(map[string]func(http.ResponseWriter, *http.Request, *exchange))
	for _, d := range definitions() {
		if d.instead != nil {
			m[d.Name] = d.instead
		}
	}
	return m
}

func (o Options) validate() error {
	var errs []error
	for kid, key := range o.Keys {
		if key.Len() != contentKeyLen {
			errs = append(errs, fmt.Errorf("content key of KID %s has %d bytes, want %d", kid, key.Len(), contentKeyLen))
		}
	}
	if o.MaxBody < 0 {
		errs = append(errs, fmt.Errorf("body limit of %d bytes, want a positive one", o.MaxBody))
	}
	if o.Policy != nil && negative(*o.Policy) {
		errs = append(errs, errors.New("the policy has a negative duration"))
	}
	for kid, t := range o.Tracks {
		if err := t.validate(); err != nil {
			errs = append(errs, fmt.Errorf("track of KID %s: %w", kid, err))
		}
	}
	return errors.Join(append(errs, o.ExpressPlay.validate(), validateAll(o.Faults))...)
}

// Handler returns the handler of the protocol address, for servers of the caller's own. Faults of the connection need
// one whose connections can be taken over; how header names were spelt is known of the server's own connections alone.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveProtocol) }

// URL returns the root of the protocol address, without a slash at the end.
func (s *Server) URL() string { return s.protocol.url }

// LicenseURL returns where Widevine key requests and certificate requests go.
func (s *Server) LicenseURL() string { return s.URL() + licensePath }

// PlayReadyURL returns where PlayReady license challenges go.
func (s *Server) PlayReadyURL() string { return s.URL() + playReadyPath }

// ManagementURL returns the root of the management address, without a slash at the end:
//
//	curl URL/healthz                                     is it up, and which authority and seed has it
//	curl URL/requests                                    counts and history; ?since=N leaves the first N away
//	curl URL/faults                                      the catalogue, what is set, how often each acted
//	curl -X PUT URL/faults -d '{"faults":[{"name":"html-200","nth":3}]}'   set these instead of what is set
//	curl -X POST URL/faults -d '{"faults":[{"name":"wv-iv-constant"}]}'    set these beside it
//	curl -X DELETE URL/faults                            clear all
//	curl -X POST URL/clock -d '{"advance":"1h"}'         move the server's clock
func (s *Server) ManagementURL() string { return s.management.url }

// Authority returns what the server trusts.
func (s *Server) Authority() *Authority { return s.authority }

// Seed returns the seed that faults follow.
func (s *Server) Seed() int64 { return s.seed }

// Clock returns the server's clock.
func (s *Server) Clock() *Clock { return s.clock }

// Requests returns the last 10,000 requests that have an outcome, in the order of arrival.
func (s *Server) Requests() []Record { return s.history.since(0) }

// Count returns the exact number of all requests, and of those that have an outcome by operation ("" where a request
// did not say).
func (s *Server) Count() (total Count, byOperation map[drm.Kind]Count) { return s.history.counts() }

// SetFaults sets these faults instead of those that are set. If one isn't valid nothing changes; an unknown name is
// an [*UnknownFaultError].
func (s *Server) SetFaults(settings ...Setting) error { return s.faults.add(settings, true) }

// AddFaults sets these faults beside those that are set, as [Server.SetFaults] does.
func (s *Server) AddFaults(settings ...Setting) error { return s.faults.add(settings, false) }

// ClearFaults sets no fault.
func (s *Server) ClearFaults() { s.faults.set.Store(new([]*armed)) }

// Faults returns what is set.
func (s *Server) Faults() []Setting { return s.faults.settings() }

// Exercised returns on how many requests the fault has acted, 0 for a name that isn't a fault's. A fault that had nothing
// to act on, as swapped keys in a license with one key, isn't counted.
func (s *Server) Exercised(name string) uint64 { return s.faults.count(name) }

// AddTo makes the server's secrets known to the vault: the authority's, the content keys in the key store, what the account of a
// stand-in has, and the ExpressPlay authenticator, whole and without its number.
func (s *Server) AddTo(vault *secret.Vault) {
	s.authority.AddTo(vault)
	s.account.addTo(vault)
	for kid, key := range s.keys {
		vault.Add("content-key-"+kid.String(), key)
	}
	authenticator := s.ExpressPlayAuthenticator()
	vault.Add("expressplay-authenticator", authenticator)
	if _, hexed, ok := bytes.Cut(authenticator.Reveal(), []byte(",")); ok {
		vault.Add("expressplay-authenticator", secret.New(hexed))
	}
}

// Done is closed when the server has stopped.
func (s *Server) Done() <-chan struct{} { return s.stopped }

// Close stops the server and waits until its connections are gone. Requests in work are cut off.
func (s *Server) Close() error {
	s.unwatch()
	s.shutdown()
	<-s.stopped
	return nil
}

func (s *Server) shutdown() {
	s.stop.Do(func() {
		s.closeAll()
		close(s.stopped)
	})
}

// contentKey returns the key of a KID that the server knows.
func (s *Server) contentKey(kid drm.KID) (secret.Bytes, bool) {
	if key, ok := s.keys[kid]; ok {
		return key, true
	}
	if s.anyKID {
		return s.authority.ContentKey(kid), true
	}
	return secret.Bytes{}, false
}

// faultBytes returns 16 bytes that a fault uses as key, IV or id where right behavior has random ones or other ones.
// They follow from seed and label, and from the authority's secret, so that the printed seed gives no key away.
func (s *Server) faultBytes(label string) []byte {
	seed := binary.BigEndian.AppendUint64(nil, uint64(s.seed))
	h := hmac.New(sha256.New, s.authority.derive("faults", seed))
	h.Write([]byte(label))
	return h.Sum(nil)[:16]
}
