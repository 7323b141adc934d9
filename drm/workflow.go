package drm

import (
	"context"
	"errors"
	"time"

	"keyflow/drm/secret"
)

// Kind says what a message asks for.
type Kind string

// The kinds of messages.
const (
	KindLicense         Kind = "license"
	KindCertificate     Kind = "certificate"
	KindRenewal         Kind = "renewal"
	KindRelease         Kind = "release"
	KindAcknowledgement Kind = "acknowledgement"
)

// MessageID names a message within its session.
type MessageID string

// Message is one key request to POST, and what is needed to judge the answer.
type Message struct {
	ID     MessageID
	Kind   Kind
	Body   []byte
	KIDs   []KID               // KIDs asked for, as far as the box names them
	URL    string              // hint of the content or license; the profile decides
	Header map[string][]string // hint of the platform; the profile decides
	Ticket Ticket
}

// Ticket is what has to be kept beside a stored request to judge its answer later.
type Ticket struct {
	System       System
	Kind         Kind
	Device       Fingerprint // of the device certificate
	Minted       time.Time
	LeaseExpires time.Time // zero if the lease does not expire
	KIDs         []KID
}

// LicenseType says how long a license may be kept.
type LicenseType string

// The license types. Automatic leaves the decision to the server and never stands in an answer.
const (
	Streaming LicenseType = "streaming"
	Offline   LicenseType = "offline"
	Automatic LicenseType = "automatic"
)

// Options are what the integrator chooses for a session.
type Options struct {
	LicenseType LicenseType  // "" is Streaming
	CustomData  secret.Bytes // PlayReady: given to the platform before it signs
}

// Platform is a client device's DRM system. It is immutable and safe for concurrent use.
type Platform interface {
	System() System
	// WithServerCertificate returns a platform that encrypts its identity for the service that owns cert. It returns
	// an error that is errors.ErrUnsupported where the system or the platform has no such thing.
	WithServerCertificate(ctx context.Context, cert []byte) (Platform, error)
	// Open starts a key session for the content that the box belongs to.
	Open(ctx context.Context, box Box, o Options) (Session, error)
	Close() error
}

// Session is one key session: certificate, license, renewals, release. It is not safe for concurrent use.
type Session interface {
	// Request returns the next message to send: the kind asked for, or one that must go first (a browser's
	// certificate request); callers loop until the kind matches. A renewal or a release is of the license that was
	// processed last, whatever its policy says: whether it may be renewed is for the server to decide. It is an
	// [ErrNoLicense] if there is none, and errors.ErrUnsupported in a system that has no such message.
	Request(ctx context.Context, k Kind) (Message, error)
	// Process takes the answer to the message id. What is wrong with the answer is in the observation's findings; an
	// error is the harness's own fault or a misuse (unknown id, a message processed twice).
	Process(ctx context.Context, id MessageID, body []byte) (*Observation, error)
	// Licenses returns the licenses obtained so far: one per PlayReady license, each with its own policy; none after
	// a fatal finding. A renewal replaces a license's policy and start, a release takes the license away. The slice
	// is not changed by later answers.
	Licenses() []License
	Close() error
}

// ErrNoLicense is wrapped by the errors of a renewal or a release in a session that holds no license.
var ErrNoLicense = errors.New("the session holds no license: process the answer to a license request first")

// Depth says how much of an answer is judged.
type Depth int

// The depths: DepthShape needs no private-key operation, DepthFull is everything a session does.
const (
	DepthShape Depth = iota
	DepthFull
)

// Judge verifies the answers to stored requests without a session. Harness and identity platforms implement it; it is
// safe for concurrent use.
type Judge interface {
	Judge(t Ticket, request, answer []byte, d Depth) Verdict
}

// Verdict is a judge's word on one answer.
type Verdict struct {
	Depth    Depth
	Findings []Finding
	Keys     map[KID]Fingerprint // of the content keys; only at DepthFull
	Policy   Policy

	// What else can be told of a license at any depth, if there is one without a fatal finding.
	KIDs  []KID       // of the content keys that it names, in its order
	Asked LicenseType // that the request asked for, "" if it could not ask
	Type  LicenseType
	Start time.Time // zero: it does not tell
}

// Reason names what is wrong, in a stable form that scripts and the fault matrix compare: lower case with hyphens.
type Reason string

// Finding is one thing that is wrong with an answer.
type Finding struct {
	Reason   Reason
	Step     string // of the workflow: what was being done
	Expected string
	Seen     string
	KID      *KID // the key it is about, nil if it is about the whole answer
	Fatal    bool // no key of the answer can be used
}

// Error makes a Finding usable as an error: reason, expected and seen in one line.
func (f Finding) Error() string {
	return string(f.Reason) + ": expected " + f.Expected + ", seen " + f.Seen
}

// Observation is everything seen in one answer; a platform decodes all it can even when something is wrong.
type Observation struct {
	System   System
	Message  MessageID
	Kind     Kind
	Findings []Finding
	// Detail is the platform's own decoded form, for checks that look at a system's fields: *widevine.Answer or
	// *playready.Answer, or *widevine.CertificateAnswer for a certificate request.
	Detail any
}

// Fatal returns the first fatal finding, or nil.
func (o *Observation) Fatal() *Finding {
	for i := range o.Findings {
		if o.Findings[i].Fatal {
			return &o.Findings[i]
		}
	}
	return nil
}

// Find returns the first finding with one of the reasons, or nil.
func (o *Observation) Find(reasons ...Reason) *Finding {
	for i := range o.Findings {
		for _, r := range reasons {
			if o.Findings[i].Reason == r {
				return &o.Findings[i]
			}
		}
	}
	return nil
}

// License is what a session got out of an accepted answer.
type License struct {
	Type   LicenseType
	Keys   []ContentKey // may be empty: a browser's CDM keeps its keys
	Policy Policy
	Start  time.Time // start of the license's windows
}

// ContentKey is one content key and what the license says of it.
type ContentKey struct {
	KID           KID
	Key           secret.Bytes
	TrackLabel    string // e.g. SD, HD, AUDIO
	SecurityLevel int    // in the system's own numbers, 0 if not stated
}

// Key returns the content key of the KID.
func (l License) Key(kid KID) (ContentKey, bool) {
	for _, k := range l.Keys {
		if k.KID == kid {
			return k, true
		}
	}
	return ContentKey{}, false
}

// Policy is what a license allows. A duration of 0 is unlimited.
type Policy struct {
	CanPlay    bool
	CanPersist bool
	CanRenew   bool
	Rental     time.Duration // window in which playback may start
	Playback   time.Duration // window once playback has begun
	License    time.Duration // window from License.Start
	RenewalURL string
	RenewAfter time.Duration // first renewal attempt after License.Start
	RetryEvery time.Duration // between renewal attempts
}
