package widevine

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// Answer is everything that was decoded of an answer, whatever is wrong with it. Fields of the license that are secret
// once unwrapped are in Containers, as secrets.
type Answer struct {
	Envelope   *wire.SignedMessage // nil if the body does not parse
	License    *wire.License       // nil if msg does not parse as a license
	Error      *wire.LicenseError  // of an in-band refusal
	SessionKey drm.Fingerprint     // "" if it could not be unwrapped
	Containers []Container         // in the order of the license, at most 1000
	// Unknown are paths of fields that the sheet does not name, e.g. "License.id.7": of the envelope, the license, its id,
	// policy and containers; each once, at most 100.
	Unknown []string
}

// examination is one answer being judged.
type examination struct {
	record
	key     secret.RSAKey // not needed to judge the shape
	size    int           // of the device's RSA modulus in bytes
	pending pending
	depth   drm.Depth
	body    []byte
	answer  Answer
	keys    ladder.Keys // that the answer is judged by
	full    bool        // the answer to a renewal is a license of its own, authenticated by keys of its own
}

// record collects findings in the order in which they are met.
type record struct{ findings []drm.Finding }

// examine decodes and judges an answer in the order of sheet §8.5. It goes on after a finding wherever something is left
// to decode.
func examine(key secret.RSAKey, p pending, body []byte, depth drm.Depth) *examination {
	x := newExamination(key.Public().Size(), p, body, depth)
	x.key = key
	x.run()
	return x
}

func newExamination(size int, p pending, body []byte, depth drm.Depth) *examination {
	return &examination{size: size, pending: p, body: body, depth: depth}
}

func (x *examination) run() {
	if !x.envelope() {
		return
	}
	unwrapped := x.sessionKey()
	if x.signatureForm() && unwrapped {
		x.signature()
	}
	if !x.parseLicense() {
		return
	}
	x.identification()
	x.containers()
	x.anyContentKey()
	x.policy()
}

// fatal notes a finding after which no key, or no certificate, may be used.
func (r *record) fatal(reason drm.Reason, step, expected, seen string) {
	r.findings = append(r.findings, drm.Finding{Reason: reason, Step: step, Expected: expected, Seen: seen, Fatal: true})
}

// The steps that findings name.
const (
	stepParse      = "parse the answer"
	stepSessionKey = "unwrap the session key"
	stepSignature  = "verify the license signature"
	stepLicense    = "read the license"
	stepKeys       = "unwrap the keys"
	stepPolicy     = "apply the policy"
)

// envelope parses the SignedMessage and reports whether it is a license.
func (x *examination) envelope() bool {
	if len(x.body) == 0 {
		x.fatal(ReasonEmptyAnswer, stepParse, "a license", "an empty body")
		return false
	}
	e := new(wire.SignedMessage)
	if err := proto.Unmarshal(x.body, e); err != nil {
		x.fatal(ReasonNotProtobuf, stepParse, "a SignedMessage (protobuf)", describe(x.body))
		return false
	}
	x.answer.Envelope = e
	x.unknown("SignedMessage", e)
	if e.GetType() == wire.SignedMessage_LICENSE { // absent reads as a request
		return true
	}
	if e.GetType() == wire.SignedMessage_ERROR_RESPONSE {
		x.answer.Error = x.inBandError(e, "a license")
		return false
	}
	x.messageType(e, "SignedMessage of type 2 (LICENSE)")
	return false
}

func (r *record) messageType(e *wire.SignedMessage, expected string) {
	seen := "no type"
	if e.Type != nil {
		seen = fmt.Sprintf("type %d (%v)", e.GetType(), e.GetType())
	}
	r.fatal(ReasonMessageType, stepParse, expected, seen)
}

// inBandError notes an in-band refusal and returns it, nil if it does not parse.
func (r *record) inBandError(e *wire.SignedMessage, expected string) *wire.LicenseError {
	code := new(wire.LicenseError)
	if proto.Unmarshal(e.GetMsg(), code) != nil {
		r.fatal(ReasonLicenseError, stepParse, expected, "an error response that does not parse")
		return nil
	}
	seen := "an error response without a code"
	if code.ErrorCode != nil {
		seen = fmt.Sprintf("error response %d (%v)", code.GetErrorCode(), code.GetErrorCode())
	}
	r.fatal(ReasonLicenseError, stepParse, expected, seen)
	return code
}

// describe tells what a foreign body looks like without printing it.
func describe(body []byte) string {
	head := bytes.TrimSpace(body[:min(len(body), 64)])
	what := "bytes that are no protobuf message"
	switch {
	case bytes.HasPrefix(head, []byte("<")):
		what = "what looks like HTML or XML"
	case bytes.HasPrefix(head, []byte("{")) || bytes.HasPrefix(head, []byte("[")):
		what = "what looks like JSON"
	case bytes.HasPrefix(head, []byte("CAIS")):
		what = "a license in base64"
	case bytes.HasPrefix(head, []byte("CAUS")):
		what = "a service certificate in base64"
	}
	return fmt.Sprintf("%d bytes: %s", len(body), what)
}

// sessionKey judges the form of the session key and, in full depth, unwraps it and derives the keys (sheet §8.1, §8.2). It
// reports whether there are derived keys.
func (x *examination) sessionKey() bool {
	e, size := x.answer.Envelope, x.size
	if t := e.GetSessionKeyType(); t != wire.SignedMessage_WRAPPED_AES_KEY {
		x.fatal(ReasonSessionKeyType, stepSessionKey, "session_key_type absent or 1 for an RSA device", fmt.Sprintf("%d", t))
	}
	if len(e.GetSessionKey()) != size {
		x.fatal(ReasonSessionKeyLen, stepSessionKey, fmt.Sprintf("%d wrapped bytes, as long as the device's RSA modulus", size),
			fmt.Sprintf("%d bytes", len(e.GetSessionKey())))
		return false
	}
	if x.depth != drm.DepthFull {
		return false
	}
	key, err := ladder.UnwrapSessionKey(x.key.Reveal(), e.GetSessionKey())
	if err != nil {
		x.fatal(ReasonSessionKey, stepSessionKey, "RSAES-OAEP with SHA-1 for this device", "does not decrypt")
		return false
	}
	x.answer.SessionKey = key.Fingerprint()
	if x.keys, err = ladder.Derive(key, x.pending.msg); err != nil { // nothing but the length can be wrong
		x.fatal(ReasonSessionKey, stepSessionKey, fmt.Sprintf("a session key of %d bytes", ladder.SessionKeyLen), fmt.Sprintf("%d bytes", key.Len()))
		return false
	}
	return true
}

// signatureForm reports whether the signature has the length of one.
func (x *examination) signatureForm() bool {
	n := len(x.answer.Envelope.GetSignature())
	if n != ladder.MACLen {
		x.fatal(ReasonNoSignature, stepSignature, fmt.Sprintf("%d bytes", ladder.MACLen), fmt.Sprintf("%d bytes", n))
	}
	return n == ladder.MACLen
}

// signature verifies the HMAC over core ‖ msg in constant time (sheet §8.3).
func (x *examination) signature() {
	e := x.answer.Envelope
	got, core := e.GetSignature(), e.GetOemcryptoCoreMessage()
	if hmac.Equal(ladder.MAC(x.keys.Server, core, e.GetMsg()), got) {
		return
	}
	const expected = "HMAC-SHA256 over the core message and msg with the server's derived key"
	if hmac.Equal(ladder.MAC(x.keys.Server, nil, e.GetMsg()), got) {
		x.fatal(ReasonSignatureCore, stepSignature, expected, "valid over msg only")
		return
	}
	x.fatal(ReasonSignature, stepSignature, expected, x.signatureHint(core, e.GetMsg(), got))
}

// signatureHint says which usual mistake made the signature, if one of them did.
func (x *examination) signatureHint(core, msg, got []byte) string {
	switch {
	case hmac.Equal(ladder.MAC(x.keys.Client, core, msg), got):
		return "made with the client's key"
	case hmac.Equal(ladder.MAC(x.keys.Encryption, core, msg), got):
		return "made with the encryption key"
	default:
		return "does not verify for this request"
	}
}

func (x *examination) parseLicense() bool {
	l := new(wire.License)
	if err := proto.Unmarshal(x.answer.Envelope.GetMsg(), l); err != nil || len(x.answer.Envelope.GetMsg()) == 0 {
		x.fatal(ReasonLicenseParse, stepLicense, "msg is a License", fmt.Sprintf("%d bytes that are none", len(x.answer.Envelope.GetMsg())))
		return false
	}
	x.answer.License = l
	x.unknown("License", l)
	x.unknown("License.id", l.GetId())
	x.unknown("License.policy", l.GetPolicy())
	return true
}

// maxUnknown bounds [Answer.Unknown].
const maxUnknown = 100

// unknown notes the numbers of fields that the schema does not have; they are never an error (sheet §4).
func (x *examination) unknown(path string, m proto.Message) {
	for raw := m.ProtoReflect().GetUnknown(); len(raw) > 0 && len(x.answer.Unknown) < maxUnknown; {
		number, _, n := protowire.ConsumeField(raw)
		if n < 0 {
			return
		}
		raw = raw[n:]
		if name := fmt.Sprintf("%s.%d", path, number); !slices.Contains(x.answer.Unknown, name) {
			x.answer.Unknown = append(x.answer.Unknown, name)
		}
	}
}

func (x *examination) identification() {
	got := x.answer.License.GetId().GetRequestId()
	if bytes.Equal(got, x.pending.requestID) {
		return
	}
	seen := fmt.Sprintf("another id of %d bytes", len(got))
	if len(got) == 0 {
		seen = "no request_id"
	}
	x.fatal(ReasonRequestID, stepLicense, "the request's own request_id: the answer belongs to this request", seen)
}

func (x *examination) policy() {
	p := x.answer.License.GetPolicy()
	if !p.GetCanPlay() {
		seen := "can_play is false or absent"
		if p == nil {
			seen = "no policy"
		}
		x.fatal(ReasonCannotPlay, stepPolicy, "a policy with can_play", seen)
	}
	for _, window := range []struct {
		name    string
		seconds int64
	}{
		{"rental_duration_seconds", p.GetRentalDurationSeconds()},
		{"playback_duration_seconds", p.GetPlaybackDurationSeconds()},
		{"license_duration_seconds", p.GetLicenseDurationSeconds()},
		{"renewal_recovery_duration_seconds", p.GetRenewalRecoveryDurationSeconds()},
		{"renewal_delay_seconds", p.GetRenewalDelaySeconds()},
		{"renewal_retry_interval_seconds", p.GetRenewalRetryIntervalSeconds()},
		{"play_start_grace_period_seconds", p.GetPlayStartGracePeriodSeconds()},
	} {
		if window.seconds < 0 {
			x.fatal(ReasonNegativeTime, stepPolicy, window.name+" of 0 or more", fmt.Sprint(window.seconds))
		}
	}
}

// usable reports whether a session may use anything of the answer: nothing after a fatal finding.
func (x *examination) usable() bool {
	return x.answer.License != nil && !slices.ContainsFunc(x.findings, func(f drm.Finding) bool { return f.Fatal })
}

// license returns what a session may use of the answer.
func (x *examination) license() (drm.License, bool) {
	if !x.usable() {
		return drm.License{}, false
	}
	l := drm.License{
		Type:   drm.Streaming,
		Policy: policyOf(x.answer.License.GetPolicy()),
		Start:  time.Unix(x.answer.License.GetLicenseStartTime(), 0).UTC(),
	}
	if x.answer.License.GetId().GetType() == wire.LicenseType_OFFLINE {
		l.Type = drm.Offline
	}
	for _, c := range x.answer.Containers {
		if key, ok := c.contentKey(); ok {
			l.Keys = append(l.Keys, key)
		}
	}
	return l, true
}

func policyOf(p *wire.License_Policy) drm.Policy {
	return drm.Policy{
		CanPlay:    p.GetCanPlay(),
		CanPersist: p.GetCanPersist(),
		CanRenew:   p.GetCanRenew(),
		Rental:     seconds(p.GetRentalDurationSeconds()),
		Playback:   seconds(p.GetPlaybackDurationSeconds()),
		License:    seconds(p.GetLicenseDurationSeconds()),
		RenewalURL: p.GetRenewalServerUrl(),
		RenewAfter: seconds(p.GetRenewalDelaySeconds()),
		RetryEvery: seconds(p.GetRenewalRetryIntervalSeconds()),
	}
}

// maxSeconds keeps a duration from a hostile server from overflowing (about 292 years).
const maxSeconds = int64(1<<63-1) / int64(time.Second)

func seconds(n int64) time.Duration {
	return time.Duration(max(min(n, maxSeconds), -maxSeconds)) * time.Second
}
