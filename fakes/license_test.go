package fakes_test

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestLicense goes once through sheet widevine.md §8 and the habits of open clients (§15).
func TestLicense(t *testing.T) {
	t.Parallel()
	own := secret.New([]byte("0123456789abcdef"))
	s := start(t, fakes.Options{
		Keys: map[drm.KID]secret.Bytes{kid0: own}, DeriveKIDs: []drm.KID{kid0, kid1},
		TrackLabels: map[drm.KID]string{kid1: "HD"},
	})
	r := ask{pssh: [][]byte{appendVarint(psshData(kid1, kid0, kid1, unknown), 9, cbcs)}}.make(t)
	answer := post(t, s, r.body)
	for header, want := range map[string]string{
		"Content-Type": "application/octet-stream", "Cache-Control": "no-store", "Content-Length": strconv.Itoa(len(answer.body)),
	} {
		if got := answer.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	if got := fieldNumbers(t, answer.body); !equal(got, 1, 2, 3, 4, 8) {
		t.Errorf("outer fields %v, want type, msg, signature, session_key, session_key_type", got)
	}
	o, err := openLicense(r, answer.body)
	must(t, err)
	if o.sessionKey.Len() != 16 || o.envelope.GetSessionKeyType() != wire.SignedMessage_WRAPPED_AES_KEY {
		t.Errorf("session key of %d bytes, type %v", o.sessionKey.Len(), o.envelope.GetSessionKeyType())
	}
	id := o.license.GetId()
	if id.GetType() != wire.LicenseType_STREAMING || id.Version == nil || id.GetVersion() != 0 || len(id.GetSessionId()) != 16 {
		t.Errorf("license id %v", id)
	}
	if p := o.license.GetPolicy(); !p.GetCanPlay() || p.GetCanPersist() || p.GetCanRenew() || p.GetLicenseDurationSeconds() != 7200 {
		t.Errorf("policy %v", p)
	}
	if o.license.GetLicenseStartTime() != requestTime || o.license.GetProtectionScheme() != cbcs {
		t.Errorf("start %d, scheme %x", o.license.GetLicenseStartTime(), o.license.GetProtectionScheme())
	}
	content := o.content()
	if len(content) != 2 || len(o.license.GetKey()) != 2 {
		t.Fatalf("%d containers, want one for each known KID and none else", len(o.license.GetKey()))
	}
	for _, k := range content {
		if len(k.GetIv()) != 16 || len(k.GetKey()) != 32 || k.Level == nil || k.GetLevel() != wire.License_KeyContainer_SW_SECURE_CRYPTO {
			t.Errorf("container with an IV of %d bytes, a key of %d bytes, level %v", len(k.GetIv()), len(k.GetKey()), k.GetLevel())
		}
	}
	if !bytes.Equal(content[0].GetId(), kid1[:]) || content[0].GetTrackLabel() != "HD" || content[1].TrackLabel != nil {
		t.Errorf("containers %v: want the pssh's order, and the label of the second KID alone", content)
	}
	keys := o.contentKeys(t)
	if !keys[kid0].Equal(own) {
		t.Error("the key store's key was not served")
	}
	if !keys[kid1].Equal(s.Authority().ContentKey(kid1)) {
		t.Error("the derived key was not served")
	}
	for kid, key := range keys {
		if bytes.Contains(answer.body, key.Reveal()) {
			t.Errorf("the key of %s is in the answer in the clear", kid)
		}
	}
}

func fieldNumbers(t *testing.T, b []byte) []int {
	t.Helper()
	var numbers []int
	for len(b) > 0 {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		numbers, b = append(numbers, int(number)), b[n:]
	}
	return numbers
}

func equal(got []int, want ...int) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

// TestLicenseFreshness is rows WV-LIC-06, WV-KEY-05 and WV-KEY-11.
func TestLicenseFreshness(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	seen := make(map[string]bool)
	var first map[drm.KID]secret.Bytes
	for range 20 {
		o := getLicense(t, s, ask{})
		fresh := []string{string(o.sessionKey.Reveal()), string(o.license.GetId().GetSessionId())}
		for _, k := range o.content() {
			fresh = append(fresh, string(k.GetIv()))
		}
		for _, f := range fresh {
			if seen[f] {
				t.Fatal("a session key, session id or IV came twice")
			}
			seen[f] = true
		}
		keys := o.contentKeys(t)
		if first == nil {
			first = keys
		}
		for kid, key := range keys {
			if !key.Equal(first[kid]) {
				t.Fatalf("the content key of %s changed", kid)
			}
		}
	}
}

// TestRequestVariants has requests that are unusual and right.
func TestRequestVariants(t *testing.T) {
	t.Parallel()
	clock := drm.ClockFunc(func() time.Time { return time.Unix(1_800_000_000, 0) })
	persistent := drm.Policy{CanPlay: true, CanPersist: true, License: time.Hour, Rental: 24 * time.Hour}
	asked := func(m *wire.LicenseRequest) *wire.LicenseRequest_ContentIdentification_WidevinePsshData {
		return m.GetContentId().GetWidevinePsshData()
	}
	for name, c := range map[string]struct {
		options fakes.Options
		ask     ask
		check   func(t *testing.T, s *fakes.Server, o opened)
	}{
		"automatic is streaming": {
			ask: ask{edit: func(m *wire.LicenseRequest) { asked(m).LicenseType = wire.LicenseType_AUTOMATIC.Enum() }},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				if got := o.license.GetId().GetType(); got != wire.LicenseType_STREAMING {
					t.Error(got)
				}
			},
		},
		"offline is streaming where it may not be stored": {
			ask: ask{edit: func(m *wire.LicenseRequest) { asked(m).LicenseType = wire.LicenseType_OFFLINE.Enum() }},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				if o.license.GetId().GetType() != wire.LicenseType_STREAMING || o.license.GetPolicy().GetCanPersist() {
					t.Error(o.license)
				}
			},
		},
		"offline": {
			options: fakes.Options{Policy: &persistent},
			ask:     ask{edit: func(m *wire.LicenseRequest) { asked(m).LicenseType = wire.LicenseType_OFFLINE.Enum() }},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				p := o.license.GetPolicy()
				if o.license.GetId().GetType() != wire.LicenseType_OFFLINE || !p.GetCanPersist() ||
					p.GetLicenseDurationSeconds() != 3600 || p.GetRentalDurationSeconds() != 86400 {
					t.Error(o.license)
				}
			},
		},
		"streaming is not persistent": {
			options: fakes.Options{Policy: &persistent},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				if o.license.GetId().GetType() != wire.LicenseType_STREAMING || o.license.GetPolicy().GetCanPersist() {
					t.Error(o.license)
				}
			},
		},
		"renewable has a signing key": {
			options: fakes.Options{Policy: &drm.Policy{CanPlay: true, CanRenew: true, License: time.Hour, RenewAfter: time.Minute, RetryEvery: time.Second, RenewalURL: "https://renew.example/"}},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				signing := o.license.GetKey()[0]
				plain, err := o.unwrap(signing)
				if err != nil || signing.GetType() != wire.License_KeyContainer_SIGNING || plain.Len() != 64 || len(signing.GetKey()) != 80 {
					t.Errorf("signing container: %v, %d bytes in %d, %v", signing.GetType(), plain.Len(), len(signing.GetKey()), err)
				}
				p := o.license.GetPolicy()
				if !p.GetCanRenew() || p.GetRenewalDelaySeconds() != 60 || p.GetRenewalRetryIntervalSeconds() != 1 || p.GetRenewalServerUrl() == "" {
					t.Error(p)
				}
			},
		},
		"no request time: the server's clock, moved": {
			ask: ask{edit: func(m *wire.LicenseRequest) { m.RequestTime = nil }},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				if got := o.license.GetLicenseStartTime(); got != 1_800_003_600 {
					t.Error(got)
				}
			},
		},
		"request time zero counts as none": {
			ask: ask{edit: func(m *wire.LicenseRequest) { m.RequestTime = proto.Int64(0) }},
			check: func(t *testing.T, _ *fakes.Server, o opened) {
				if got := o.license.GetLicenseStartTime(); got != 1_800_003_600 {
					t.Error(got)
				}
			},
		},
		// WV-ROB-10
		"defaults left out, an empty packed field": {
			ask: ask{
				edit: func(m *wire.LicenseRequest) {
					m.Type, asked(m).LicenseType = nil, nil
					capabilities := m.GetClientId().GetClientCapabilities()
					capabilities.SupportedCertificateKeyType, capabilities.MaxHdcpVersion = nil, nil
					capabilities.ProtoReflect().SetUnknown([]byte{0x4a, 0x00})
				},
				envelope: func(m *wire.SignedMessage) { m.Type = nil },
			},
		},
		// WV-ROB-04
		"unknown fields inside and outside": {
			ask: ask{
				raw:      func(b []byte) []byte { return appendVarint(b, 200, 7) },
				envelope: func(m *wire.SignedMessage) { m.ProtoReflect().SetUnknown(appendVarint(nil, 200, 7)) },
			},
		},
		"request id of one byte":              {ask: ask{requestID: []byte{0xff}}},
		"request id of 64 bytes, no UTF-8":    {ask: ask{requestID: bytes.Repeat([]byte{0xc3, 0x28}, 32)}},
		"no scheme in the pssh, none granted": {check: func(t *testing.T, _ *fakes.Server, o opened) { isTrue(t, o.license.ProtectionScheme == nil) }},
		"two pssh data": {
			ask:   ask{pssh: [][]byte{psshData(kid1), psshData(kid0)}},
			check: func(t *testing.T, _ *fakes.Server, o opened) { isTrue(t, len(o.contentKeys(t)) == 2) },
		},
		"content id": {
			options: fakes.Options{ContentIDs: map[string][]drm.KID{"asset-1": {kid0, kid1}}},
			ask:     ask{pssh: [][]byte{appendBytes(nil, 4, []byte("asset-1"))}},
			check:   func(t *testing.T, _ *fakes.Server, o opened) { isTrue(t, len(o.contentKeys(t)) == 2) },
		},
		"any KID": {
			options: fakes.Options{AnyKID: true},
			ask:     ask{pssh: [][]byte{psshData(unknown)}},
			check: func(t *testing.T, s *fakes.Server, o opened) {
				isTrue(t, o.contentKeys(t)[unknown].Equal(s.Authority().ContentKey(unknown)))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Clock = clock
			s := start(t, c.options)
			s.Clock().Advance(time.Hour)
			o := getLicense(t, s, c.ask)
			if c.check != nil {
				c.check(t, s, o)
			}
		})
	}
}

func isTrue(t *testing.T, ok bool) {
	t.Helper()
	if !ok {
		t.Error("not so")
	}
}

// TestDualKeyDevice has a certificate whose field 11 names another key for session keys (sheet §4.8, §8.1).
func TestDualKeyDevice(t *testing.T) {
	t.Parallel()
	devices := authority(t, trusted).Devices()
	token := authority(t, trusted).IssueToken(t, devices[0].Key(), func(c *wire.DrmCertificate) {
		c.EncryptionKey = &wire.DrmCertificate_EncryptionKey{
			PublicKey: x509.MarshalPKCS1PublicKey(devices[1].PublicKey()), Algorithm: wire.DrmCertificate_RSA.Enum(),
		}
	})
	answer := post(t, start(t, fakes.Options{}), ask{edit: func(m *wire.LicenseRequest) { m.ClientId.Token = token }}.make(t).body)
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	m := new(wire.SignedMessage)
	must(t, proto.Unmarshal(answer.body, m))
	if _, err := ladder.UnwrapSessionKey(devices[1].Key().Reveal(), m.GetSessionKey()); err != nil {
		t.Errorf("the session key is not wrapped for the encryption key: %v", err)
	}
}
