package fakes

import (
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
)

// googleRequest is the signed message (sheet providers.md §2.14).
type googleRequest struct {
	payload  []byte // the key request
	provider string
	sdOnly   bool // no keys of HD tracks
	specs    []googleSpec
	policy   func(*drm.Policy)
}

// googleSpec says how one key, or each of a track type, is granted.
type googleSpec struct {
	track string
	kid   *drm.KID     // nil: every one of the track type
	key   secret.Bytes // empty: the key store's
	level wire.License_KeyContainer_SecurityLevel
	hdcp  wire.HDCP
}

func (s googleSpec) apply(t *Track) {
	t.Level, t.HDCP = s.level, s.hdcp
	if s.track != "" {
		t.Label = s.track
	}
}

// readGoogleRequest reads the message. Other names than the documented ones are malformed, so that a client notices. The payload is
// returned whatever is wrong with the rest.
func readGoogleRequest(m members) (q googleRequest, f *flaw) {
	malformed := func(text string) (googleRequest, *flaw) { return q, &flaw{reasonMalformed, text} }
	var ok bool
	if q.payload, ok = m.base64("payload"); !ok {
		return malformed("payload is missing, or not base64")
	}
	if !m.only("payload", "content_id", "provider", "policy_name", "allowed_track_types", "content_key_specs",
		"use_policy_overrides_exclusively", "policy_overrides", "session_init", "parse_only") {
		return malformed("a member is not known")
	}
	if _, ok = m.base64("content_id"); !ok {
		return malformed("content_id is missing, or not base64")
	}
	if q.provider = m.text("provider"); q.provider == "" {
		return malformed("provider is missing")
	}
	if m.has("parse_only") || m.has("policy_name") {
		return q, &flaw{reasonArgument, "parse_only and policy_name are not served here"}
	}
	if types := m.text("allowed_track_types"); m.has("allowed_track_types") {
		if !slices.Contains([]string{"SD_ONLY", "SD_HD", "SD_UHD1", "SD_UHD2"}, types) {
			return q, &flaw{reasonArgument, "allowed_track_types is not SD_ONLY, SD_HD, SD_UHD1 or SD_UHD2"}
		}
		q.sdOnly = types == "SD_ONLY"
	}
	specs, ok := m.objects("content_key_specs")
	if m.has("content_key_specs") && !ok {
		return malformed("content_key_specs is no list of objects")
	}
	for _, s := range specs {
		if f := q.readSpec(s); f != nil {
			return q, f
		}
	}
	overrides := m.object("policy_overrides")
	if m.has("policy_overrides") && overrides == nil {
		return malformed("policy_overrides is no object")
	}
	q.policy, f = readOverrides(overrides)
	return q, f
}

func (q *googleRequest) readSpec(m members) *flaw {
	if !m.only("track_type", "security_level", "required_output_protection", "key_id", "key") {
		return &flaw{reasonMalformed, "a member of content_key_specs is not known"}
	}
	s := googleSpec{track: m.text("track_type")}
	level, hdcp := 1, wire.HDCP_HDCP_NONE.String()
	if !m.readOptional("security_level", &level) || level < 1 || level > 5 {
		return &flaw{reasonArgument, "security_level is not 1 to 5"}
	}
	if m.has("required_output_protection") {
		protection := m.object("required_output_protection")
		if protection == nil || !protection.only("hdcp") || !protection.readOptional("hdcp", &hdcp) {
			return &flaw{reasonMalformed, "required_output_protection is no object with hdcp"}
		}
	}
	version, known := wire.HDCP_value[hdcp]
	if !known {
		return &flaw{reasonArgument, "hdcp has no known value"}
	}
	s.level, s.hdcp = wire.License_KeyContainer_SecurityLevel(level), wire.HDCP(version)
	if m.has("key") {
		key, ok := base64Of16(m.text("key"))
		if !ok {
			return &flaw{reasonMalformed, "key is not base64 of 16 bytes"}
		}
		s.key = secret.New(key)
	}
	if m.has("key_id") {
		id, ok := base64Of16(m.text("key_id"))
		if !ok {
			return &flaw{reasonMalformed, "key_id is not base64 of 16 bytes"}
		}
		s.kid = new(drm.KID(id))
	}
	if s.kid == nil && s.track == "" {
		return &flaw{reasonArgument, "content_key_specs has neither key_id nor track_type"}
	}
	if s.kid != nil && slices.ContainsFunc(q.specs, func(o googleSpec) bool { return o.kid != nil && *o.kid == *s.kid }) {
		return &flaw{reasonArgument, "content_key_specs has a key_id twice"}
	}
	q.specs = append(q.specs, s)
	return nil
}

// readOverrides returns what alters the policy. What renewals need beyond it changes nothing: no license here can be renewed.
func readOverrides(m members) (func(*drm.Policy), *flaw) {
	var p drm.Policy
	flags := map[string]*bool{"can_play": &p.CanPlay, "can_persist": &p.CanPersist, "can_renew": &p.CanRenew, "renew_with_usage": new(bool)}
	durations := map[string]*time.Duration{
		"license_duration_seconds": &p.License, "rental_duration_seconds": &p.Rental, "playback_duration_seconds": &p.Playback,
		"renewal_delay_seconds": &p.RenewAfter, "renewal_retry_interval_seconds": &p.RetryEvery, "renewal_recovery_duration_seconds": new(time.Duration),
	}
	for name := range m {
		flag, isFlag := flags[name]
		duration, isDuration := durations[name]
		var seconds int64
		switch {
		case isFlag && m.read(name, flag), name == "renewal_server_url" && m.read(name, &p.RenewalURL):
		case isDuration && m.read(name, &seconds) && seconds >= 0 && seconds < 1<<31:
			*duration = time.Duration(seconds) * time.Second
		default:
			return nil, &flaw{reasonMalformed, "a member of policy_overrides is not known, or has no such value"}
		}
	}
	return func(to *drm.Policy) {
		override(m.has("can_play"), &to.CanPlay, p.CanPlay)
		override(m.has("can_persist"), &to.CanPersist, p.CanPersist)
		override(m.has("can_renew"), &to.CanRenew, p.CanRenew)
		override(m.has("license_duration_seconds"), &to.License, p.License)
		override(m.has("rental_duration_seconds"), &to.Rental, p.Rental)
		override(m.has("playback_duration_seconds"), &to.Playback, p.Playback)
		override(m.has("renewal_delay_seconds"), &to.RenewAfter, p.RenewAfter)
		override(m.has("renewal_retry_interval_seconds"), &to.RetryEvery, p.RetryEvery)
		override(m.has("renewal_server_url"), &to.RenewalURL, p.RenewalURL)
	}, nil
}

// override sets a value that is stated.
func override[T any](stated bool, to *T, value T) {
	if stated {
		*to = value
	}
}
