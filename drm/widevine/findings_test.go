package widevine

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// row is one answer with something wrong, and all that may be said of it.
type row struct {
	name    string
	license func(l *wire.License)       // changes what is signed
	answer  func(a *wire.SignedMessage) // changes the envelope afterwards
	want    []drm.Reason                // all findings, in order
	seen    string                      // in the first finding's Seen
	keys    int                         // content keys that the license yields
}

// build makes the vector answer with the row's changes.
func (r row) build(t *testing.T) *wire.SignedMessage {
	t.Helper()
	a := vectorAnswer(t)
	if r.license != nil {
		l := vectorFields(t)
		r.license(l)
		sign(t, a, serialize(t, l))
	}
	if r.answer != nil {
		r.answer(a)
	}
	return a
}

func sign(t testing.TB, a *wire.SignedMessage, msg []byte) {
	t.Helper()
	a.Msg, a.Signature = msg, ladder.MAC(vectorKeys(t).Server, nil, msg)
}

func reasons(findings []drm.Finding) []drm.Reason {
	var rs []drm.Reason
	for _, f := range findings {
		rs = append(rs, f.Reason)
	}
	return rs
}

// perContainer are the reasons that leave the other containers usable.
var perContainer = []drm.Reason{ReasonKeyUnwrap, ReasonKeyPadding, ReasonKeyUnpadded, ReasonKeyLength, ReasonKIDLength,
	ReasonKeyType, ReasonKeyConflict, ReasonKeyInClear, ReasonSigningKeys}

// verify judges the answer and compares all that is said with the row.
func (r row) verify(t *testing.T, body []byte) *examination {
	t.Helper()
	x := examine(testKey(t), vectorPending(t), body, drm.DepthFull)
	if got := reasons(x.findings); !slices.Equal(got, r.want) {
		t.Fatalf("findings %v, want %v: %v", got, r.want, x.findings)
	}
	for _, f := range x.findings {
		if f.Step == "" || f.Expected == "" || f.Seen == "" {
			t.Errorf("finding is not complete: %+v", f)
		}
		if f.Fatal == slices.Contains(perContainer, f.Reason) {
			t.Errorf("finding %v: fatal %v", f, f.Fatal)
		}
	}
	if len(x.findings) > 0 && !strings.Contains(x.findings[0].Seen, r.seen) {
		t.Errorf("seen %q, want %q in it", x.findings[0].Seen, r.seen)
	}
	l, ok := x.license()
	fatal := slices.ContainsFunc(x.findings, func(f drm.Finding) bool { return f.Fatal })
	if ok == fatal || len(l.Keys) != r.keys {
		t.Errorf("license %v with %d keys, want %d", ok, len(l.Keys), r.keys)
	}
	return x
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.verify(t, serialize(t, r.build(t)))
		})
	}
}

// TestForeignBodies: what is not protobuf is described, and nothing of it is printed.
func TestForeignBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       drm.Reason
		seen       string
	}{
		{"empty", "", ReasonEmptyAnswer, "an empty body"},
		{"HTML", "<!DOCTYPE html><html>", ReasonNotProtobuf, "HTML"},
		{"HTML after space", " \r\n <html>", ReasonNotProtobuf, "HTML"},
		{"JSON object", `{"license":"CAIS"}`, ReasonNotProtobuf, "JSON"},
		{"JSON list", `["CAIS"]`, ReasonNotProtobuf, "JSON"},
		{"base64", "CAISgAIKIDAxMjM0NTY3", ReasonNotProtobuf, "base64"},
		{"bytes", "\xff\xff\xff", ReasonNotProtobuf, "3 bytes: bytes that are no protobuf"},
		{"word that is a protobuf field", "error", ReasonMessageType, "no type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := row{want: []drm.Reason{c.want}, seen: c.seen}.verify(t, []byte(c.body))
			if (x.answer.Envelope == nil) != (c.want != ReasonMessageType) || x.answer.License != nil {
				t.Errorf("answer %+v", x.answer)
			}
		})
	}
}

func TestMessageTypes(t *testing.T) {
	t.Parallel()
	typed := func(n wire.SignedMessage_Type, msg []byte) func(a *wire.SignedMessage) {
		return func(a *wire.SignedMessage) { a.Type, a.Msg = n.Enum(), msg }
	}
	coded := func(n byte) []byte { return []byte{0x08, n} }
	wrong, refused := []drm.Reason{ReasonMessageType}, []drm.Reason{ReasonLicenseError}
	runRows(t, []row{
		{name: "absent", answer: func(a *wire.SignedMessage) { a.Type = nil }, want: wrong, seen: "no type"},
		{name: "request", answer: typed(1, nil), want: wrong, seen: "type 1 (LICENSE_REQUEST)"},
		{name: "certificate", answer: typed(5, nil), want: wrong, seen: "type 5 (SERVICE_CERTIFICATE)"},
		{name: "unknown", answer: typed(99, nil), want: wrong, seen: "type 99 (99)"},
		{name: "code 1", answer: typed(3, coded(1)), want: refused, seen: "1 (INVALID_DRM_DEVICE_CERTIFICATE)"},
		{name: "code 2", answer: typed(3, coded(2)), want: refused, seen: "2 (REVOKED_DRM_DEVICE_CERTIFICATE)"},
		{name: "code 3", answer: typed(3, coded(3)), want: refused, seen: "3 (SERVICE_UNAVAILABLE)"},
		{name: "code 4", answer: typed(3, coded(4)), want: refused, seen: "4 (EXPIRED_DRM_DEVICE_CERTIFICATE)"},
		{name: "code 9", answer: typed(3, coded(9)), want: refused, seen: "9 (9)"},
		{name: "no code", answer: typed(3, nil), want: refused, seen: "without a code"},
		{name: "no error message", answer: typed(3, []byte("sorry")), want: refused, seen: "does not parse"},
		{name: "license in an error", answer: typed(3, unhex(t, vectorLicense)), want: refused, seen: "without a code"},
	})
	x := examine(testKey(t), vectorPending(t), []byte{0x08, 0x03, 0x12, 0x02, 0x08, 0x04}, drm.DepthFull)
	if x.answer.Error.GetErrorCode() != wire.LicenseError_EXPIRED_DRM_DEVICE_CERTIFICATE {
		t.Errorf("error %v", x.answer.Error)
	}
}

// wrapForTest encrypts a session key for the test's device in the wrong ways that servers have found.
func wrapForTest(t *testing.T, how func(*rsa.PublicKey) ([]byte, error)) func(*wire.SignedMessage) {
	t.Helper()
	return func(a *wire.SignedMessage) {
		var err error
		if a.SessionKey, err = how(testKey(t).Public()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSessionKeyFindings(t *testing.T) {
	t.Parallel()
	s := unhex(t, vectorSession)
	foreign := fuzzKey(t)
	runRows(t, []row{
		{name: "type 1 stated", answer: func(a *wire.SignedMessage) { a.SessionKeyType = wire.SignedMessage_WRAPPED_AES_KEY.Enum() }, keys: 1},
		{name: "type 0", answer: func(a *wire.SignedMessage) { a.SessionKeyType = wire.SignedMessage_SESSION_KEY_UNDEFINED.Enum() },
			want: []drm.Reason{ReasonSessionKeyType}, seen: "0"},
		{name: "type 2", answer: func(a *wire.SignedMessage) { a.SessionKeyType = wire.SignedMessage_EPHEMERAL_ECC_PUBLIC_KEY.Enum() },
			want: []drm.Reason{ReasonSessionKeyType}, seen: "2"},
		{name: "absent", answer: func(a *wire.SignedMessage) { a.SessionKey = nil }, want: []drm.Reason{ReasonSessionKeyLen}, seen: "0 bytes"},
		{name: "255 bytes", answer: func(a *wire.SignedMessage) { a.SessionKey = a.SessionKey[1:] }, want: []drm.Reason{ReasonSessionKeyLen}, seen: "255 bytes"},
		{name: "257 bytes", answer: func(a *wire.SignedMessage) { a.SessionKey = append(a.SessionKey, 0) }, want: []drm.Reason{ReasonSessionKeyLen}, seen: "257 bytes"},
		{name: "for a device of 1024 bits", answer: wrapForTest(t, func(*rsa.PublicKey) ([]byte, error) {
			return ladder.WrapSessionKey(foreign.Public(), secret.New(s))
		}), want: []drm.Reason{ReasonSessionKeyLen}, seen: "128 bytes"},
		{name: "OAEP with SHA-256", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return rsa.EncryptOAEP(sha256.New(), rand.Reader, k, s, nil)
		}), want: []drm.Reason{ReasonSessionKey}, seen: "does not decrypt"},
		{name: "OAEP with a label", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return rsa.EncryptOAEP(sha1.New(), rand.Reader, k, s, []byte("label"))
		}), want: []drm.Reason{ReasonSessionKey}, seen: "does not decrypt"},
		{name: "PKCS#1 v1.5", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return rsa.EncryptPKCS1v15(rand.Reader, k, s)
		}), want: []drm.Reason{ReasonSessionKey}, seen: "does not decrypt"},
		{name: "not below the modulus", answer: func(a *wire.SignedMessage) { a.SessionKey = bytes.Repeat([]byte{0xff}, 256) },
			want: []drm.Reason{ReasonSessionKey}, seen: "does not decrypt"},
		{name: "32 bytes", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return ladder.WrapSessionKey(k, secret.New(bytes.Repeat(s, 2)))
		}), want: []drm.Reason{ReasonSessionKey}, seen: "32 bytes"},
		{name: "empty", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return ladder.WrapSessionKey(k, secret.Bytes{})
		}), want: []drm.Reason{ReasonSessionKey}, seen: "0 bytes"},
		{name: "another session key", answer: wrapForTest(t, func(k *rsa.PublicKey) ([]byte, error) {
			return ladder.WrapSessionKey(k, secret.New(bytes.Repeat([]byte{7}, 16)))
		}), want: []drm.Reason{ReasonSignature, ReasonKeyPadding}},
	})
}

func TestSignatureFindings(t *testing.T) {
	t.Parallel()
	keys := vectorKeys(t)
	signed := func(key secret.Bytes, core []byte) func(a *wire.SignedMessage) {
		return func(a *wire.SignedMessage) { a.Signature = ladder.MAC(key, core, a.GetMsg()) }
	}
	core := []byte("core")
	form, wrong := []drm.Reason{ReasonNoSignature}, []drm.Reason{ReasonSignature}
	runRows(t, []row{
		{name: "absent", answer: func(a *wire.SignedMessage) { a.Signature = nil }, want: form, seen: "0 bytes"},
		{name: "20 bytes", answer: func(a *wire.SignedMessage) { a.Signature = a.Signature[:20] }, want: form, seen: "20 bytes"},
		{name: "33 bytes", answer: func(a *wire.SignedMessage) { a.Signature = append(a.Signature, 0) }, want: form, seen: "33 bytes"},
		{name: "client key", answer: signed(keys.Client, nil), want: wrong, seen: "client's key"},
		{name: "encryption key", answer: signed(keys.Encryption, nil), want: wrong, seen: "encryption key"},
		{name: "session key", answer: signed(secret.New(unhex(t, vectorSession)), nil), want: wrong, seen: "does not verify"},
		{name: "core signed but not sent", answer: signed(keys.Server, core), want: wrong, seen: "does not verify"},
		{name: "core sent but not signed", answer: func(a *wire.SignedMessage) { a.OemcryptoCoreMessage = core },
			want: []drm.Reason{ReasonSignatureCore}, seen: "msg only"},
		{name: "core signed and another sent", answer: func(a *wire.SignedMessage) {
			signed(keys.Server, core)(a)
			a.OemcryptoCoreMessage = []byte("eroc")
		}, want: wrong, seen: "does not verify"},
		{name: "core signed by the client key", answer: func(a *wire.SignedMessage) {
			signed(keys.Client, core)(a)
			a.OemcryptoCoreMessage = core
		}, want: wrong, seen: "client's key"},
		{name: "core signed and sent", answer: func(a *wire.SignedMessage) {
			signed(keys.Server, core)(a)
			a.OemcryptoCoreMessage = core
		}, keys: 1},
		{name: "neither key nor signature", answer: func(a *wire.SignedMessage) { a.SessionKey, a.Signature = nil, nil },
			want: []drm.Reason{ReasonSessionKeyLen, ReasonNoSignature}, seen: "0 bytes"},
	})
	t.Run("second msg", func(t *testing.T) { // the last one counts, and is not what was signed
		a := vectorAnswer(t)
		other := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), a.Msg[:len(a.Msg)-6])
		row{want: wrong}.verify(t, append(serialize(t, a), other...))
	})
}

func TestLicenseFindings(t *testing.T) {
	t.Parallel()
	msg := func(b []byte) func(a *wire.SignedMessage) { return func(a *wire.SignedMessage) { sign(t, a, b) } }
	other, play, negative := []drm.Reason{ReasonRequestID}, []drm.Reason{ReasonCannotPlay}, []drm.Reason{ReasonNegativeTime}
	runRows(t, []row{
		{name: "no msg", answer: msg(nil), want: []drm.Reason{ReasonLicenseParse}, seen: "0 bytes"},
		{name: "msg is text", answer: msg([]byte("not a license")), want: []drm.Reason{ReasonLicenseParse}, seen: "13 bytes"},
		{name: "no id", license: func(l *wire.License) { l.Id = nil }, want: other, seen: "no request_id"},
		{name: "no request_id", license: func(l *wire.License) { l.Id.RequestId = nil }, want: other, seen: "no request_id"},
		{name: "another request_id", license: func(l *wire.License) { l.Id.RequestId = []byte("FEDCBA9876543210") }, want: other, seen: "another id of 16 bytes"},
		{name: "request_id in hex", license: func(l *wire.License) { l.Id.RequestId = []byte("30313233343536373839414243444546") }, want: other, seen: "32 bytes"},
		{name: "no policy", license: func(l *wire.License) { l.Policy = nil }, want: play, seen: "no policy"},
		{name: "can_play absent", license: func(l *wire.License) { l.Policy.CanPlay = nil }, want: play, seen: "false or absent"},
		{name: "can_play false", license: func(l *wire.License) { l.Policy.CanPlay = proto.Bool(false) }, want: play, seen: "false or absent"},
		{name: "rental", license: func(l *wire.License) { l.Policy.RentalDurationSeconds = proto.Int64(-1) }, want: negative, seen: "-1"},
		{name: "playback", license: func(l *wire.License) { l.Policy.PlaybackDurationSeconds = proto.Int64(-2) }, want: negative, seen: "-2"},
		{name: "license", license: func(l *wire.License) { l.Policy.LicenseDurationSeconds = proto.Int64(math.MinInt64) }, want: negative},
		{name: "recovery", license: func(l *wire.License) { l.Policy.RenewalRecoveryDurationSeconds = proto.Int64(-1) }, want: negative},
		{name: "delay", license: func(l *wire.License) { l.Policy.RenewalDelaySeconds = proto.Int64(-1) }, want: negative},
		{name: "retry", license: func(l *wire.License) { l.Policy.RenewalRetryIntervalSeconds = proto.Int64(-1) }, want: negative},
		{name: "grace", license: func(l *wire.License) { l.Policy.PlayStartGracePeriodSeconds = proto.Int64(-1) }, want: negative},
		{name: "nothing but an id", license: func(l *wire.License) { l.Policy, l.Key = nil, nil },
			want: []drm.Reason{ReasonNoContentKeys, ReasonCannotPlay}, seen: "0 containers"},
	})
}

// TestHugeDurations: seconds that no time.Duration holds become its longest, never a negative one.
func TestHugeDurations(t *testing.T) {
	t.Parallel()
	a := row{license: func(l *wire.License) {
		l.Policy.LicenseDurationSeconds = proto.Int64(math.MaxInt64)
		l.Policy.RentalDurationSeconds = proto.Int64(math.MaxInt64/int64(time.Second) + 1)
	}}.build(t)
	x := row{keys: 1}.verify(t, serialize(t, a))
	l, _ := x.license()
	if longest := time.Duration(math.MaxInt64).Truncate(time.Second); l.Policy.License != longest || l.Policy.Rental != longest {
		t.Errorf("policy %+v", l.Policy)
	}
	if d := seconds(math.MinInt64); d >= 0 {
		t.Errorf("the least number of seconds is %v", d)
	}
}
