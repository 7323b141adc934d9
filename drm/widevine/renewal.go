package widevine

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// holding is what a session keeps of a license to renew or release it.
type holding struct {
	id      *wire.LicenseIdentification // of the answer that was processed last, as received
	policy  *wire.License_Policy        // of that answer
	keys    existingKeys
	started time.Time // start of the first license
	content []drm.ContentKey
}

// existingKeys are the keys that a license leaves in force (sheet widevine.md §10).
type existingKeys struct {
	derived ladder.Keys // of the license's session key
	// server and client authenticate what follows: the halves of the SIGNING container's key, the server's first, or the
	// derived keys where there is no such container. The order of the halves is uncertain; a server that has them the
	// other way refuses the request.
	server, client secret.Bytes
	replaced       bool // by a SIGNING container
}

// existing is what the answer to a renewal or a release is judged by: the state of the holding when the request was made.
type existing struct {
	holding *holding
	id      *wire.LicenseIdentification
	keys    existingKeys
	url     string
}

// signingHalf is the length in bytes of each of the two keys in a SIGNING container.
const signingHalf = 32

// holding returns what is to be kept of an accepted license.
func (x *examination) holding(l drm.License) *holding {
	return &holding{
		id: proto.CloneOf(x.answer.License.GetId()), policy: x.answer.License.GetPolicy(), keys: x.existingKeys(),
		started: l.Start, content: l.Keys,
	}
}

// existingKeys returns the keys that the license leaves in force. Of several SIGNING containers, which are a finding, the first counts.
func (x *examination) existingKeys() existingKeys {
	keys := existingKeys{derived: x.keys, server: x.keys.Server, client: x.keys.Client}
	for _, c := range x.answer.Containers {
		if c.signing() && c.Key.Len() == 2*signingHalf {
			plain := c.Key.Reveal()
			keys.server, keys.client, keys.replaced = secret.New(plain[:signingHalf]), secret.New(plain[signingHalf:]), true
			break
		}
	}
	return keys
}

// signing reports whether the container states that it is of type SIGNING.
func (c Container) signing() bool {
	t, present := c.Type()
	return present && t == wire.License_KeyContainer_SIGNING
}

// requestTypes are the types of requests that name an existing license.
var requestTypes = map[drm.Kind]wire.LicenseRequest_RequestType{
	drm.KindRenewal: wire.LicenseRequest_RENEWAL,
	drm.KindRelease: wire.LicenseRequest_RELEASE,
}

// buildExisting makes the body of a renewal or a release of the license that was processed last (sheet widevine.md §10): signed by
// HMAC with the client's key, without a nonce, and without a client identification unless the policy wants it always.
// Time counts from the start of the first license, as the reference point is uncertain.
func (s *session) buildExisting(kind drm.Kind, now time.Time) ([]byte, pending, error) {
	if len(s.holdings) == 0 {
		return nil, pending{}, drm.ErrNoLicense
	}
	h := s.holdings[len(s.holdings)-1]
	request := &wire.LicenseRequest{
		ContentId: &wire.LicenseRequest_ContentIdentification{
			ContentIdVariant: &wire.LicenseRequest_ContentIdentification_ExistingLicense_{
				ExistingLicense: &wire.LicenseRequest_ContentIdentification_ExistingLicense{
					LicenseId:              proto.CloneOf(h.id),
					SecondsSinceStarted:    proto.Int64(max(0, int64(now.Sub(h.started)/time.Second))),
					SecondsSinceLastPlayed: proto.Int64(0),
				},
			},
		},
		Type:            requestTypes[kind].Enum(),
		RequestTime:     proto.Int64(now.Unix()),
		ProtocolVersion: wire.ProtocolVersion_VERSION_2_1.Enum(),
	}
	if h.policy.GetAlwaysIncludeClientId() {
		if err := s.platform.identify(request); err != nil {
			return nil, pending{}, err
		}
	}
	if s.platform.forge.Request != nil {
		s.platform.forge.Request(request)
	}
	body, sent, err := s.seal(request, func(msg []byte) ([]byte, error) { return ladder.MAC(h.keys.client, nil, msg), nil })
	sent.requestID = h.id.GetRequestId()
	sent.existing = &existing{holding: h, id: h.id, keys: h.keys, url: h.policy.GetRenewalServerUrl()}
	return body, sent, err
}

// renewalURL is where the policy wants renewals and releases sent, "" for the license server's own URL.
func (p pending) renewalURL() string {
	if p.existing == nil {
		return ""
	}
	return p.existing.url
}

// advance has the session follow an answer to a renewal or a release that may be used. The late answer to an older renewal, and one
// to a license that was released meanwhile, change nothing.
func (s *session) advance(x *examination) {
	h := x.pending.existing.holding
	i := slices.Index(s.holdings, h)
	if i < 0 || !x.usable() {
		return
	}
	s.licenses = slices.Clone(s.licenses) // callers may hold the slice
	if x.pending.kind == drm.KindRelease {
		s.licenses, s.holdings = slices.Delete(s.licenses, i, i+1), slices.Delete(s.holdings, i, i+1)
		return
	}
	answer := x.answer.License
	if !x.full && answer.GetId().GetVersion() < h.id.GetVersion() {
		return
	}
	h.id, h.policy = proto.CloneOf(answer.GetId()), answer.GetPolicy()
	if x.full {
		h.keys = x.existingKeys()
	}
	s.licenses[i].Policy = policyOf(answer.GetPolicy())
	s.licenses[i].Start = time.Unix(answer.GetLicenseStartTime(), 0).UTC()
}
