package fakes

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Lengths in bytes (sheet widevine.md §4.9, §8.4).
const (
	contentKeyLen = 16
	ivLen         = 16
	sessionIDLen  = 16
	signingKeyLen = 64
)

// grant is a license before it is serialized: everything that it is made of, fresh randomness included, for faults to
// alter. [grant.seal] makes the answer.
type grant struct {
	request    []byte         // serialized LicenseRequest as received: the derivation context
	device     *rsa.PublicKey // the session key is wrapped for it
	requestID  []byte
	sessionID  []byte
	kind       wire.LicenseType
	terms      drm.Policy           // that policy grants
	policy     *wire.License_Policy //
	start      int64                // Unix seconds
	scheme     *uint32              // four-character code in big-endian order, nil: not stated
	signing    secret.Bytes         // 64 bytes in a renewable license, else empty
	signingIV  []byte
	keys       []grantedKey
	sessionKey secret.Bytes
	derived    ladder.Keys // once it is sealed
	envelope   wire.SignedMessage_Type
	clientMAC  bool // faults from here on
	oaepSHA256 bool
}

// grantedKey is one content key of a grant.
type grantedKey struct {
	kid        drm.KID
	id         []byte // what stands for the KID on the wire
	key        secret.Bytes
	iv         []byte
	level      wire.License_KeyContainer_SecurityLevel
	hdcp       wire.HDCP
	label      string
	zeroPadded bool
}

// random returns n fresh random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails since Go 1.24; it ends the program instead
	return b
}

// seal serializes the license, derives the keys from session key and request, wraps and signs (sheet §8), and returns
// the serialized SignedMessage. Its fields stand in ascending order, for clients that serialize it again and compare
// (sheet §15).
func (g *grant) seal() ([]byte, error) {
	keys, err := ladder.Derive(g.sessionKey, g.request)
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	g.derived = keys
	license, err := g.license(keys.Encryption)
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	msg, err := marshal.Marshal(license)
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	macKey := keys.Server
	if g.clientMAC {
		macKey = keys.Client
	}
	wrapped, err := g.wrapSessionKey()
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	body, err := marshal.Marshal(&wire.SignedMessage{
		Type:           g.envelope.Enum(),
		Msg:            msg,
		Signature:      ladder.MAC(macKey, nil, msg),
		SessionKey:     wrapped,
		SessionKeyType: wire.SignedMessage_WRAPPED_AES_KEY.Enum(),
	})
	if err != nil {
		return nil, fmt.Errorf("seal license: %w", err)
	}
	return body, nil
}

// marshal serializes with ascending field numbers. It is never modified.
var marshal = proto.MarshalOptions{Deterministic: true}

func (g *grant) wrapSessionKey() ([]byte, error) {
	if g.oaepSHA256 {
		return rsa.EncryptOAEP(sha256.New(), rand.Reader, g.device, g.sessionKey.Reveal(), nil)
	}
	return ladder.WrapSessionKey(g.device, g.sessionKey)
}

// license returns the License message with its keys wrapped. Every container states its type, as an absent one reads as
// SIGNING (sheet §4).
func (g *grant) license(encryption secret.Bytes) (*wire.License, error) {
	l := &wire.License{
		Id: &wire.LicenseIdentification{
			RequestId: g.requestID,
			SessionId: g.sessionID,
			Type:      g.kind.Enum(),
			Version:   proto.Int32(0),
		},
		Policy:           g.policy,
		LicenseStartTime: proto.Int64(g.start),
		ProtectionScheme: g.scheme,
	}
	if !g.signing.IsZero() {
		wrapped, err := ladder.WrapKey(encryption, g.signingIV, g.signing)
		if err != nil {
			return nil, err
		}
		l.Key = append(l.Key, &wire.License_KeyContainer{
			Iv: g.signingIV, Key: wrapped, Type: wire.License_KeyContainer_SIGNING.Enum(),
		})
	}
	for _, k := range g.keys {
		container, err := k.container(encryption)
		if err != nil {
			return nil, err
		}
		l.Key = append(l.Key, container)
	}
	return l, nil
}

func (k grantedKey) container(encryption secret.Bytes) (*wire.License_KeyContainer, error) {
	wrapped, err := k.wrap(encryption)
	if err != nil {
		return nil, err
	}
	c := &wire.License_KeyContainer{
		Id: k.id, Iv: k.iv, Key: wrapped, Type: wire.License_KeyContainer_CONTENT.Enum(), Level: k.level.Enum(),
	}
	if k.label != "" {
		c.TrackLabel = &k.label
	}
	if k.hdcp != wire.HDCP_HDCP_NONE {
		c.RequiredProtection = &wire.License_KeyContainer_OutputProtection{Hdcp: k.hdcp.Enum()}
	}
	return c, nil
}

// wrap wraps the content key to 32 bytes. In CBC mode the first blocks do not depend on the last ones, so zero padding
// is one block of zeros wrapped along and the PKCS#7 block after it cut off.
func (k grantedKey) wrap(encryption secret.Bytes) ([]byte, error) {
	if !k.zeroPadded {
		return ladder.WrapKey(encryption, k.iv, k.key)
	}
	padded := slices.Concat(k.key.Reveal(), make([]byte, contentKeyLen))
	wrapped, err := ladder.WrapKey(encryption, k.iv, secret.New(padded))
	if err != nil {
		return nil, err
	}
	return wrapped[:len(padded)], nil
}

// policyFor returns what the server's policy grants for a license of this type: a streaming license is never persistent
// (sheet §9).
func policyFor(p drm.Policy, kind wire.LicenseType) *wire.License_Policy {
	w := &wire.License_Policy{
		CanPlay:                     proto.Bool(p.CanPlay),
		CanPersist:                  proto.Bool(p.CanPersist && kind == wire.LicenseType_OFFLINE),
		CanRenew:                    proto.Bool(p.CanRenew),
		RentalDurationSeconds:       seconds(p.Rental),
		PlaybackDurationSeconds:     seconds(p.Playback),
		LicenseDurationSeconds:      seconds(p.License),
		RenewalDelaySeconds:         seconds(p.RenewAfter),
		RenewalRetryIntervalSeconds: seconds(p.RetryEvery),
	}
	if p.RenewalURL != "" {
		w.RenewalServerUrl = &p.RenewalURL
	}
	return w
}

// seconds leaves an unlimited duration away.
func seconds(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	return proto.Int64(int64(d / time.Second))
}

// grantedType decides the type of the license: offline if that was asked for and may be, streaming else. AUTOMATIC never
// stands in an answer (sheet §18, WV-LIC-07).
func grantedType(asked wire.LicenseType, p drm.Policy) wire.LicenseType {
	if asked == wire.LicenseType_OFFLINE && p.CanPersist {
		return wire.LicenseType_OFFLINE
	}
	return wire.LicenseType_STREAMING
}
