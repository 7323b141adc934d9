package suites

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/reports"
)

// Kind says what kind of server a target is, for the report.
type Kind string

// The kinds of targets.
const (
	EmbeddedFakes Kind = "embedded fakes"
	StandIn       Kind = "stand-in, not the provider" // the fakes behind the profile's host names
	Server        Kind = "server"
)

// PlatformKind says what speaks to the server; it decides what can be judged.
type PlatformKind string

// The kinds of platforms.
const (
	PlatformNone     PlatformKind = "none"
	PlatformCaptured PlatformKind = "captured" // recorded key requests: answers are judged by their shape
	PlatformIdentity PlatformKind = "identity" // files that the vendor issued to the user
	PlatformHarness  PlatformKind = "harness"  // devices of an authority that fakes alone trust
)

// Target is one (profile, variant, asset) to be judged. It is read-only while checks run.
type Target struct {
	Kind         Kind
	Profile      *provider.Profile
	Variant      string
	Asset        *Asset
	PlatformKind PlatformKind
	Platform     drm.Platform // nil for PlatformNone
	Stranger     drm.Platform // a device that no server trusts, for want of Platform; nil if there is none
	Bare         bool         // the user asked for no device: checks that need one are not selected
	Second       drm.Platform // another trusted device, nil if there is none
	Twin         *Target      // of the same content in the other system, nil if there is none
	Client       *http.Client
	Dial         Dial        // as the client does; nil is the network
	TLS          *tls.Config // as the client has it; nil is the system's roots
	Clock        drm.Clock   // nil is the machine's
	Vault        *secret.Vault
	Patience     *Patience // shared by the targets on one server; nil has no end
	// Advance moves the server's clock, and Clock with it; nil for a server whose time is real.
	Advance func(time.Duration)
	// Issue makes a PlayReady device of a security level that expires, or never if expires is zero; nil where nobody can.
	Issue func(level int, expires time.Time) (drm.Platform, error)
	// Revoked is a PlayReady device that the server's authority has revoked; nil where there is none.
	Revoked drm.Platform
	// Soak is how many licenses PR-LIC-07 asks for; 0 is [DefaultSoak] of a fake, and none of a real server.
	Soak int
	// Slow lets checks wait for real time to pass.
	Slow bool
}

// Pair makes targets of different systems twins where they have the same content and are servers of the same kind.
func Pair(targets []*Target) {
	for _, t := range targets {
		for _, o := range targets {
			if t.Twin == nil && o.Asset == t.Asset && o.Kind == t.Kind && o.Profile.DRM != t.Profile.DRM {
				t.Twin = o
			}
		}
	}
}

func (t *Target) clock() drm.Clock {
	if t.Clock == nil {
		return drm.SystemClock
	}
	return t.Clock
}

// missing is a need that is not met, and the outcome of the checks that have it.
type missing struct {
	outcome reports.Outcome
	reason  string
	text    string
}

func (t *Target) missing(c Check) *missing {
	needs := c.Needs
	if name := capabilityOf(c); name != "" && t.Profile.Lacks(name) {
		return &missing{reports.NotApplicable, "", "the profile has capabilities." + name + ": false"}
	}
	if slices.Contains(needs, NeedToken) && !t.Profile.TakesToken() {
		return &missing{reports.NotApplicable, "", "the profile attaches no token"}
	}
	if slices.Contains(needs, NeedTwin) && (t.Twin == nil || t.Twin.Platform == nil) {
		return &missing{reports.NotApplicable, "", "the run has no target with the same content in the other system"}
	}
	for _, n := range needs {
		if reason := t.lacks(n, c); reason != "" {
			return &missing{t.unjudged(), reason, "needs " + string(n)}
		}
	}
	return nil
}

// RequestTimeout bounds one exchange with a license server.
const RequestTimeout = 10 * time.Second

// Dial opens a connection, as net.Dialer.DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// NewClient returns the HTTP client of suites: no redirects, no proxy, no cookies, no compression, every wait bounded by
// timeout.
func NewClient(timeout time.Duration) *http.Client {
	return NewClientVia(timeout, (&net.Dialer{Timeout: timeout}).DialContext, &tls.Config{MinVersion: tls.VersionTLS12})
}

// NewClientVia is [NewClient] with another way to open connections.
func NewClientVia(timeout time.Duration, dial Dial, config *tls.Config) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:         dial,
			TLSHandshakeTimeout: timeout,
			TLSClientConfig:     config,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		// A license request that is redirected would lose its body or its method (sheet widevine.md §11).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Reach tells whether the target's license host accepts connections. Its error is a [*provider.TransportError]. A host that
// a token names is not known before there is a token, and is not tried.
func (t *Target) Reach(ctx context.Context) error {
	if t.Profile.Address() == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	dial := t.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", t.Profile.Address())
	if err != nil {
		return provider.NewTransportError(err, false)
	}
	return conn.Close()
}
