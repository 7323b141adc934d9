package fakes_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// The customer of the tests (sheet providers.md §2.14).
var googleAccount = map[string]string{
	"PROVIDER": "fake_provider", "SIGNER": "fake_signer",
	"AES_KEY": "fa4efa4e00112233445566778899aabbccddeeff00112233445566778899aabb", "AES_IV": "fa4e00112233445566778899aabbccdd",
}

const (
	googleURL    = "https://license.uat.widevine.com/cenc/getlicense/fake_provider"
	googleVector = "a29b080a02ffaf5c425ea60d690e46659ebd6327810c4c0b0bbe8b3fe0304579"
)

func startGoogle(t testing.TB, o fakes.Options) lab {
	t.Helper()
	return startLab(t, fakes.StandInOptions{Options: o, Provider: "google", Account: texts(googleAccount)})
}

// signInner does by hand what the document says: SHA-1, padding to the block (20 bytes: 12 of value 12), AES-256-CBC.
func signInner(t testing.TB, inner []byte) []byte {
	t.Helper()
	sum := sha1.Sum(inner)
	padded := append(sum[:], 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12)
	block, err := aes.NewCipher(unhex(t, googleAccount["AES_KEY"]))
	must(t, err)
	cipher.NewCBCEncrypter(block, unhex(t, googleAccount["AES_IV"])).CryptBlocks(padded, padded)
	return padded
}

// TestGoogleSignatureVector: the signature of a known text, as openssl made it:
//
//	printf '{"payload":"CAQ="}' | openssl sha1 -binary | openssl enc -aes-256-cbc -K $AES_KEY -iv $AES_IV | xxd -p
func TestGoogleSignatureVector(t *testing.T) {
	t.Parallel()
	if got := hex.EncodeToString(signInner(t, []byte(`{"payload":"CAQ="}`))); got != googleVector {
		t.Errorf("%s", got)
	}
}

// inner is a right message with a payload.
func inner(payload []byte, specs ...object) object {
	o := object{
		"payload": b64(payload), "content_id": b64([]byte("FAKE-content")), "provider": googleAccount["PROVIDER"], "allowed_track_types": "SD_HD",
		"policy_overrides": object{"can_play": true, "can_persist": false, "can_renew": false, "license_duration_seconds": 3600},
	}
	if len(specs) > 0 {
		o["content_key_specs"] = specs
	}
	return o
}

func spec(kid drm.KID, more object) object {
	o := object{"track_type": "SD", "security_level": 1, "required_output_protection": object{"hdcp": "HDCP_NONE"}, "key_id": b64(kid[:])}
	maps.Copy(o, more)
	return o
}

// envelope signs the exact bytes of a message, which has spaces in it, and wraps both.
func envelope(t testing.TB, message object) object {
	t.Helper()
	text, err := json.MarshalIndent(message, " ", "\t")
	must(t, err)
	return object{"request": b64(text), "signature": b64(signInner(t, text)), "signer": googleAccount["SIGNER"]}
}

// googleReply is every answer of the service.
type googleReply struct {
	reply
	said object
}

func (r googleReply) license(t testing.TB) []byte {
	t.Helper()
	text, _ := r.said["license"].(string)
	b, err := base64.StdEncoding.DecodeString(text)
	must(t, err)
	return b
}

func askGoogle(t testing.TB, l lab, to string, body any) googleReply {
	t.Helper()
	got := googleReply{reply: l.post(t, to, map[string]string{"Content-Type": "application/json"}, jsonText(t, body))}
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" || json.Unmarshal(got.body, &got.said) != nil {
		t.Fatalf("status %d, %v: %s", got.status, got.header, got.body)
	}
	return got
}

func TestGoogle(t *testing.T) {
	t.Parallel()
	l, r := startGoogle(t, fakes.Options{TrackLabels: map[drm.KID]string{kid1: "HD"}}), ask{}.make(t)
	both := []object{spec(kid0, nil), spec(kid1, nil)}
	for _, to := range []string{googleURL, "https://license.widevine.com/cenc/getlicense/fake_provider"} {
		got := askGoogle(t, l, to, envelope(t, inner(r.body, both...)))
		if got.said["status"] != "OK" || got.said["message_type"] != "LICENSE" || got.said["internal_status"] != 0.0 || !opensOnly(t, r, got.license(t), kid0, kid1) {
			t.Errorf("%s", got.body)
		}
		certificate := askGoogle(t, l, to, envelope(t, inner([]byte{8, 4})))
		isTrue(t, certificate.said["status"] == "OK" && string(certificateOf(t, certificate.license(t))) == string(l.Authority().ServiceCertificate()))
	}
	own := object{"key": b64([]byte("FAKE content key")), "security_level": 3, "required_output_protection": object{"hdcp": "HDCP_V2"}, "track_type": "UHD1"}
	message := inner(r.body, spec(kid1, own), spec(unknown, own))
	message["policy_overrides"] = object{"can_persist": true, "license_duration_seconds": 60, "rental_duration_seconds": 50, "playback_duration_seconds": 40}
	o, err := openLicense(r, askGoogle(t, l, googleURL, envelope(t, message)).license(t))
	must(t, err)
	p, key := o.license.GetPolicy(), o.content()[0]
	isTrue(t, len(o.content()) == 1 && o.contentKeys(t)[kid1].Equal(secret.New([]byte("FAKE content key"))))
	isTrue(t, key.GetLevel() == wire.License_KeyContainer_SecurityLevel(3) && key.GetRequiredProtection().GetHdcp() == wire.HDCP_HDCP_V2 && key.GetTrackLabel() == "UHD1")
	isTrue(t, p.GetCanPlay() && p.GetLicenseDurationSeconds() == 60 && p.GetRentalDurationSeconds() == 50 && p.GetPlaybackDurationSeconds() == 40)
	for name, c := range map[string]struct {
		message object
		kids    []drm.KID
	}{
		"of a track type":  {inner(r.body, object{"track_type": "HD"}), []drm.KID{kid1}},
		"no specs":         {inner(r.body), []drm.KID{kid0, kid1}},
		"no specs, no HD":  {with(inner(r.body), "allowed_track_types", "SD_ONLY"), []drm.KID{kid0}},
		"may not play":     {with(inner(r.body), "policy_overrides", object{"can_play": false}), []drm.KID{kid0, kid1}},
		"least of members": {with(with(inner(r.body), "policy_overrides", nil), "allowed_track_types", nil), []drm.KID{kid0, kid1}},
	} {
		got := askGoogle(t, l, googleURL, envelope(t, c.message))
		if !opensOnly(t, r, got.license(t), c.kids...) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	bare := ask{pssh: [][]byte{appendBytes(nil, 4, []byte("FAKE-content"))}}.make(t) // names no KID
	isTrue(t, opensOnly(t, bare, askGoogle(t, l, googleURL, envelope(t, inner(bare.body, both...))).license(t), kid0, kid1))
}

// googleRefusals are envelopes that get no license: what they are answered with, and the reason in the history.
func googleRefusals(t testing.TB) map[string]struct {
	body   any
	status string
	reason drm.Reason
} {
	t.Helper()
	type refusal = struct {
		body   any
		status string
		reason drm.Reason
	}
	const malformed, invalid = "MALFORMED_REQUEST", "INVALID_REQUEST"
	payload := ask{}.make(t).body
	right := inner(payload, spec(kid0, nil), spec(kid1, nil))
	signed := envelope(t, right)
	signature := signInner(t, []byte("another text"))
	specs := func(status string, reason drm.Reason, list any) refusal {
		return refusal{envelope(t, with(right, "content_key_specs", list)), status, reason}
	}
	one := func(status string, name string, value any) refusal {
		reason := map[string]drm.Reason{malformed: "malformed", invalid: "argument"}[status]
		return specs(status, reason, []object{with(spec(kid0, nil), name, value)})
	}
	member := func(status string, name string, value any) refusal {
		reason := map[string]drm.Reason{malformed: "malformed", invalid: "argument"}[status]
		return refusal{envelope(t, with(right, name, value)), status, reason}
	}
	all := map[string]refusal{
		"a list":               {[]any{signed}, malformed, "malformed"},
		"unwrapped":            {right, malformed, "malformed"},
		"more":                 {with(signed, "more", 1), malformed, "malformed"},
		"request in clear":     {with(signed, "request", jsonText(t, right)), malformed, "malformed"},
		"request no JSON":      {object{"request": b64([]byte("x")), "signature": b64(signInner(t, []byte("x"))), "signer": "fake_signer"}, malformed, "malformed"},
		"hexadecimal":          {with(signed, "signature", "xyz"), malformed, "malformed"},
		"unsigned":             {object{"request": signed["request"]}, invalid, "token-missing"},
		"no signer":            {with(signed, "signer", nil), invalid, "token-missing"},
		"no signature":         {with(signed, "signature", nil), invalid, "token-missing"},
		"another signature":    {with(signed, "signature", b64(signature)), invalid, "token-invalid"},
		"of other bytes":       {with(signed, "request", b64([]byte(jsonText(t, right)))), invalid, "token-invalid"}, // the same JSON
		"digest alone":         {with(signed, "signature", b64(make([]byte, 20))), invalid, "token-invalid"},
		"another signer":       {with(signed, "signer", "Fake_signer"), invalid, "token-audience"},
		"another provider":     {envelope(t, with(right, "provider", "Fake_provider")), invalid, "token-audience"},
		"more within":          member(malformed, "more", 1),
		"provider a number":    member(malformed, "provider", 1),
		"payload raw":          member(malformed, "payload", "x"),
		"content id raw":       member(malformed, "content_id", "FAKE content!"),
		"track types":          member(invalid, "allowed_track_types", "HD"),
		"parse only":           member(invalid, "parse_only", true),
		"specs no list":        member(malformed, "content_key_specs", spec(kid0, nil)),
		"policy no object":     member(malformed, "policy_overrides", "x"),
		"policy misnamed":      member(malformed, "policy_overrides", object{"can persist": true}),
		"policy as text":       member(malformed, "policy_overrides", object{"can_play": "true"}),
		"duration as text":     member(malformed, "policy_overrides", object{"license_duration_seconds": "60"}),
		"negative duration":    member(malformed, "policy_overrides", object{"license_duration_seconds": -1}),
		"level":                one(invalid, "security_level", 6),
		"level 0":              one(invalid, "security_level", 0),
		"hdcp":                 one(invalid, "required_output_protection", object{"hdcp": "HDCP_V9"}),
		"hdcp misnamed":        one(malformed, "required_output_protection", object{"HDCP": "HDCP_V2"}),
		"protection a text":    one(malformed, "required_output_protection", "HDCP_V2"),
		"key id as text":       one(malformed, "key_id", kid0.String()),
		"key too short":        one(malformed, "key", "AAAA"),
		"key in hexadecimal":   one(malformed, "key", "000102030405060708090a0b0c0d0e0f"),
		"spec misnamed":        one(malformed, "kid", b64(kid0[:])),
		"spec of nothing":      specs(invalid, "argument", []object{{"security_level": 1}}),
		"key id twice":         specs(invalid, "argument", []object{spec(kid0, nil), spec(kid0, nil)}),
		"keys of other KIDs":   specs(invalid, "token-kid", []object{spec(unknown, nil)}),
		"payload no challenge": {envelope(t, inner([]byte("garbage"))), malformed, "malformed"},
		"a stranger's device":  {envelope(t, inner(ask{device: authority(t, foreign).Devices()[0]}.make(t).body)), invalid, "certificate-chain"},
		"no key":               {envelope(t, inner(ask{pssh: [][]byte{psshData(unknown)}}.make(t).body, spec(unknown, nil))), invalid, "unknown-content"},
	}
	for _, name := range []string{"payload", "content_id", "provider", "allowed_track_types", "content_key_specs", "policy_overrides"} {
		all[name+" renamed"] = refusal{envelope(t, renamed(right, name)), malformed, "malformed"}
	}
	for name := range spec(kid0, nil) {
		all["spec."+name+" renamed"] = specs(malformed, "malformed", []object{renamed(spec(kid0, nil), name)})
	}
	for _, name := range []string{"request", "signature", "signer"} {
		all[name+" renamed"] = refusal{renamed(signed, name), malformed, "malformed"}
	}
	return all
}

func TestGoogleRefusals(t *testing.T) {
	t.Parallel()
	l := startGoogle(t, fakes.Options{})
	for name, c := range googleRefusals(t) {
		got := askGoogle(t, l, googleURL, c.body)
		_, licensed := got.said["license"]
		if got.said["status"] != c.status || got.said["internal_status"] == 0.0 || licensed || !refusedWith(t, l.Server, c.reason) {
			t.Errorf("%s: %s", name, got.body)
		}
	}
	right := envelope(t, inner(ask{}.make(t).body))
	for _, path := range []string{"Fake_provider", "another", "", "fake_provider/"} {
		got := askGoogle(t, l, strings.TrimSuffix(googleURL, "fake_provider")+path, right)
		isTrue(t, got.said["status"] == "INVALID_REQUEST" && refusedWith(t, l.Server, "token-audience"))
	}
	for _, path := range []string{"/cenc/getcontentkey/fake_provider", "/getlicense/fake_provider"} {
		isTrue(t, l.post(t, "https://license.uat.widevine.com"+path, nil, jsonText(t, right)).status == 404)
	}
}

func TestGoogleAccount(t *testing.T) {
	t.Parallel()
	checkAccount(t, "google", drm.Widevine, googleAccount, map[string][]string{
		"PROVIDER": nil, "SIGNER": nil, "AES_KEY": {"no hexadecimal", googleAccount["AES_IV"]}, "AES_IV": {"00", googleAccount["AES_KEY"]},
	})
	var logged journal
	l := startGoogle(t, fakes.Options{Log: logged.add})
	vault := secret.NewVault()
	vault.Add("content key along", secret.New([]byte("FAKE content key")))
	var said []reply
	for _, fault := range []string{"", "auth-not-enforced", "token-signature-ignored", "aud-ignored", "kid-not-bound"} {
		l.ClearFaults()
		if fault != "" {
			must(t, l.SetFaults(fakes.Named(fault)...))
		}
		for _, c := range googleRefusals(t) {
			said = append(said, askGoogle(t, l, googleURL, c.body).reply)
		}
		key := object{"key": b64([]byte("FAKE content key"))}
		said = append(said, askGoogle(t, l, googleURL, envelope(t, inner(ask{}.make(t).body, spec(kid0, key), spec(kid1, key)))).reply)
	}
	seekAccount(t, l, googleAccount, said, logged.String())
	for _, r := range said {
		isTrue(t, len(vault.Names(r.body)) == 0)
	}
	isTrue(t, len(vault.Names([]byte(logged.String()))) == 0)
}

// googleOddities are the faults as they are seen at the license service.
func googleOddities() []oddity {
	grants := func(make func(t *testing.T, message object) object) func(*testing.T, lab) bool {
		return func(t *testing.T, l lab) bool {
			r := ask{}.make(t)
			certificate := askGoogle(t, l, googleURL, make(t, inner([]byte{8, 4})))
			got := askGoogle(t, l, googleURL, make(t, inner(r.body, spec(kid0, nil), spec(kid1, nil))))
			license := got.said["status"] == "OK" && opensOnly(t, r, got.license(t), kid0, kid1)
			isTrue(t, license == (certificate.said["status"] == "OK")) // both are signed
			return license
		}
	}
	return []oddity{
		{"auth-not-enforced", grants(func(t *testing.T, message object) object {
			return with(with(envelope(t, message), "signature", nil), "signer", nil)
		})},
		{"token-signature-ignored", grants(func(t *testing.T, message object) object {
			return with(envelope(t, message), "signature", b64(signInner(t, []byte("another text"))))
		})},
		{"aud-ignored", grants(func(t *testing.T, message object) object {
			return with(envelope(t, with(message, "provider", "another")), "signer", "another")
		})},
		{"kid-not-bound", func(t *testing.T, l lab) bool {
			r := ask{}.make(t)
			got := askGoogle(t, l, googleURL, envelope(t, inner(r.body, spec(unknown, nil))))
			return got.said["status"] == "OK" && opensOnly(t, r, got.license(t), kid0, kid1)
		}},
	}
}
