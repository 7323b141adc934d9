package fakes_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// spoilt is what a fault's test sees: two answers with the fault set.
type spoilt struct {
	server  *fakes.Server
	request request
	answers [2]reply
}

// licenses opens both answers, which must be licenses that authenticate.
func (s spoilt) licenses(t *testing.T) [2]opened {
	t.Helper()
	var o [2]opened
	for i, a := range s.answers {
		if a.status != 200 {
			t.Fatalf("status %d: %s", a.status, a.body)
		}
		var err error
		o[i], err = openLicense(s.request, a.body)
		must(t, err)
	}
	return o
}

// failsWith opens the first answer, which must fail with err.
func (s spoilt) failsWith(t *testing.T, want error) opened {
	t.Helper()
	o, err := openLicense(s.request, s.answers[0].body)
	if !errors.Is(err, want) {
		t.Fatalf("open: %v, want %v", err, want)
	}
	return o
}

// right returns the key that the server has for the KID.
func (s spoilt) right(kid drm.KID) secret.Bytes { return s.server.Authority().ContentKey(kid) }

// protocolFaults has for every protocol fault a request that it acts on, and what is seen then.
var protocolFaults = map[string]struct {
	ask   func(*testing.T) ask
	check func(*testing.T, spoilt)
}{
	"wv-answer-wrong-type": {check: func(t *testing.T, s spoilt) {
		m := new(wire.SignedMessage)
		must(t, proto.Unmarshal(s.answers[0].body, m))
		isTrue(t, m.GetType() == wire.SignedMessage_SERVICE_CERTIFICATE)
	}},
	"hdcp-v2-on-sd": {check: func(t *testing.T, s spoilt) {
		for _, c := range s.licenses(t)[0].license.GetKey() {
			isTrue(t, c.GetType() != wire.License_KeyContainer_CONTENT || c.GetRequiredProtection().GetHdcp() == wire.HDCP_HDCP_V2)
		}
	}},
	"duration-7s": {check: func(t *testing.T, s spoilt) {
		p := s.licenses(t)[0].license.GetPolicy()
		isTrue(t, p.GetLicenseDurationSeconds() == 7 && p.GetPlaybackDurationSeconds() == 7)
	}},
	"persist-mismatch": {check: func(t *testing.T, s spoilt) {
		isTrue(t, s.licenses(t)[0].license.GetPolicy().GetCanPersist())
	}},
	"wv-session-key-oaep-sha256": {check: func(t *testing.T, s spoilt) {
		o := s.failsWith(t, rsa.ErrDecryption)
		plain, err := rsa.DecryptOAEP(sha256.New(), nil, s.request.device.Key().Reveal(), o.envelope.GetSessionKey(), nil)
		must(t, err)
		isTrue(t, len(plain) == 16)
	}},
	"wv-session-key-constant": {check: func(t *testing.T, s spoilt) {
		o := s.licenses(t)
		isTrue(t, o[0].sessionKey.Equal(o[1].sessionKey))
	}},
	"wv-license-hmac-client-key": {check: func(t *testing.T, s spoilt) {
		o := s.failsWith(t, errHMAC)
		isTrue(t, bytes.Equal(o.envelope.GetSignature(), ladder.MAC(o.keys.Client, nil, o.envelope.GetMsg())))
	}},
	"wv-request-id-constant": {check: func(t *testing.T, s spoilt) {
		first := s.failsWith(t, errRequestID).license.GetId().GetRequestId()
		second, err := openLicense(s.request, s.answers[1].body)
		isTrue(t, errors.Is(err, errRequestID) && bytes.Equal(first, second.license.GetId().GetRequestId()))
	}},
	"wv-answer-of-another-request": {check: func(t *testing.T, s spoilt) {
		o := s.failsWith(t, errHMAC) // the session key is the device's, the derivation another request's
		other := new(wire.LicenseRequest)
		must(t, proto.Unmarshal(s.request.context, other))
		id := o.license.GetId().GetRequestId()
		isTrue(t, len(id) == 16 && !bytes.Equal(id, s.request.requestID))
		other.GetContentId().GetWidevinePsshData().RequestId = id
		msg, err := proto.Marshal(other)
		must(t, err)
		_, err = openLicense(request{device: s.request.device, requestID: id, context: msg}, s.answers[0].body)
		must(t, err)
	}},
	"wv-start-time-milliseconds": {check: func(t *testing.T, s spoilt) {
		isTrue(t, s.licenses(t)[0].license.GetLicenseStartTime() == requestTime*1000)
	}},
	"wv-can-play-missing": {check: func(t *testing.T, s spoilt) {
		isTrue(t, s.licenses(t)[0].license.GetPolicy().CanPlay == nil)
	}},
	"wv-last-key-dropped": {check: func(t *testing.T, s spoilt) {
		keys := s.licenses(t)[0].contentKeys(t)
		isTrue(t, len(keys) == 1 && keys[kid0].Equal(s.right(kid0)))
	}},
	"wv-kid-little-endian": {check: func(t *testing.T, s spoilt) {
		keys := s.licenses(t)[0].contentKeys(t)
		isTrue(t, keys[drm.KID{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}].Equal(s.right(kid0)))
		isTrue(t, keys[drm.KID{19, 18, 17, 16, 21, 20, 23, 22, 24, 25, 26, 27, 28, 29, 30, 31}].Equal(s.right(kid1)))
	}},
	"wv-key-bad-padding": {check: func(t *testing.T, s spoilt) {
		o := s.licenses(t)[0]
		for _, k := range o.content() {
			plain, err := o.unwrap(k)
			kid, _ := drm.KIDFromBytes(k.GetId())
			isTrue(t, errors.Is(err, ladder.ErrPadding) && len(k.GetKey()) == 32)
			isTrue(t, bytes.Equal(plain.Reveal(), append(bytes.Clone(s.right(kid).Reveal()), make([]byte, 16)...)))
		}
	}},
	"wv-keys-swapped": {check: func(t *testing.T, s spoilt) {
		keys := s.licenses(t)[0].contentKeys(t)
		isTrue(t, keys[kid0].Equal(s.right(kid1)) && keys[kid1].Equal(s.right(kid0)))
	}},
	"wv-kid-twice-two-keys": {check: func(t *testing.T, s spoilt) {
		o := s.licenses(t)[0]
		var keys []secret.Bytes
		for _, k := range o.content() {
			if bytes.Equal(k.GetId(), kid0[:]) {
				key, err := o.unwrap(k)
				must(t, err)
				keys = append(keys, key)
			}
		}
		isTrue(t, len(keys) == 2 && keys[0].Equal(s.right(kid0)) && !keys[1].Equal(keys[0]) && keys[1].Len() == 16)
	}},
	"wv-key-random-per-request": {check: func(t *testing.T, s spoilt) {
		o := s.licenses(t)
		first, second := o[0].contentKeys(t), o[1].contentKeys(t)
		for _, kid := range []drm.KID{kid0, kid1} {
			isTrue(t, first[kid].Len() == 16 && !first[kid].Equal(second[kid]) && !first[kid].Equal(s.right(kid)))
		}
		isTrue(t, !first[kid0].Equal(first[kid1]))
	}},
	"wv-iv-constant": {check: func(t *testing.T, s spoilt) {
		o := s.licenses(t)
		isTrue(t, bytes.Equal(o[0].content()[0].GetIv(), o[1].content()[0].GetIv()))
		isTrue(t, bytes.Equal(o[0].content()[0].GetIv(), o[0].content()[1].GetIv()))
	}},
	"wv-unknown-kid-served": {
		ask: func(*testing.T) ask { return ask{pssh: [][]byte{psshData(unknown)}} },
		check: func(t *testing.T, s spoilt) {
			key := s.licenses(t)[0].contentKeys(t)[unknown]
			isTrue(t, key.Len() == 16 && !key.Equal(s.right(unknown)))
		},
	},
	"wv-signature-not-verified": {
		ask:   func(*testing.T) ask { return ask{sign: func([]byte) []byte { return make([]byte, 256) }} },
		check: func(t *testing.T, s spoilt) { s.licenses(t) },
	},
	"wv-empty-signature-accepted": {
		ask:   func(*testing.T) ask { return ask{sign: func([]byte) []byte { return nil }} },
		check: func(t *testing.T, s spoilt) { s.licenses(t) },
	},
	"wv-any-known-key-accepted": {
		ask: func(t *testing.T) ask {
			other := authority(t, trusted).Devices()[1]
			return ask{sign: func(msg []byte) []byte {
				signature, err := ladder.Sign(other.Key().Reveal(), msg)
				must(t, err)
				return signature
			}}
		},
		check: func(t *testing.T, s spoilt) { s.licenses(t) },
	},
	"wv-chain-not-verified": {
		ask:   func(t *testing.T) ask { return ask{device: authority(t, foreign).Devices()[0]} },
		check: func(t *testing.T, s spoilt) { s.licenses(t) },
	},
}

// TestProtocolFaults sees every protocol fault on the wire, and that the same request fares otherwise without it.
func TestProtocolFaults(t *testing.T) {
	t.Parallel()
	for name, c := range protocolFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{Faults: fakes.Named(name)})
			a := ask{}
			if c.ask != nil {
				a = c.ask(t)
			}
			seen := spoilt{server: s, request: a.make(t)}
			for i := range seen.answers {
				seen.answers[i] = post(t, s, seen.request.body)
			}
			c.check(t, seen)
			if got := s.Exercised(name); got != 2 {
				t.Errorf("exercised %d times in 2 requests", got)
			}
			if r := s.Requests()[0]; !slices.Equal(r.Faults, []string{name}) || r.Outcome != fakes.Answered {
				t.Errorf("history: %+v", r)
			}
			s.ClearFaults()
			clean := post(t, s, seen.request.body)
			if c.ask != nil { // a request that is right only for the faulty server
				isTrue(t, clean.status >= 400)
			} else {
				_, err := openLicense(seen.request, clean.body)
				must(t, err)
			}
			if got := s.Exercised(name); got != 2 {
				t.Errorf("exercised %d times, once without being set", got)
			}
		})
	}
}

// TestFaultsNotExercised has requests that a fault finds nothing to act on: it changes nothing and isn't counted.
func TestFaultsNotExercised(t *testing.T) {
	t.Parallel()
	same := secret.New([]byte("0123456789abcdef"))
	palindrome := drm.KID{1, 2, 2, 1, 3, 3, 4, 4, 5}
	for name, c := range map[string]struct {
		options fakes.Options
		ask     ask
	}{
		"wv-keys-swapped":                             {ask: ask{pssh: [][]byte{psshData(kid0)}}},
		"wv-kid-little-endian":                        {ask: ask{pssh: [][]byte{psshData(palindrome)}}, options: fakes.Options{AnyKID: true}},
		"wv-can-play-missing":                         {options: fakes.Options{Policy: &drm.Policy{}}},
		"wv-signature-not-verified":                   {},
		"wv-empty-signature-accepted":                 {},
		"wv-any-known-key-accepted":                   {},
		"wv-chain-not-verified":                       {},
		"wv-unknown-kid-served":                       {},
		"wv-keys-swapped@nth=1":                       {options: fakes.Options{Keys: map[drm.KID]secret.Bytes{kid0: same, kid1: same}}},
		"wv-keys-swapped@nth=2":                       {},
		"wv-last-key-dropped@kid=" + unknown.String(): {},
		"html-200@operation=renewal":                  {},
		"wv-privacy-decrypted-context":                {},
		"wv-privacy-padding-500":                      {ask: ask{edit: private(t, privacy{})}},
		"wv-privacy-serial-ignored":                   {ask: ask{edit: private(t, privacy{})}},
		"wv-privacy-both-ids":                         {ask: ask{edit: private(t, privacy{})}},
		"wv-anonymous-license":                        {ask: ask{edit: private(t, privacy{})}},
		"truncated-body@operation=certificate":        {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setting, err := fakes.ParseSetting(name)
			must(t, err)
			c.options.Faults = []fakes.Setting{setting}
			s := start(t, c.options)
			getLicense(t, s, c.ask)
			if got := s.Exercised(setting.Name); got != 0 {
				t.Errorf("exercised %d times", got)
			}
			if r := s.Requests()[0]; len(r.Faults) != 0 {
				t.Errorf("history: %v", r.Faults)
			}
		})
	}
}

// TestFaultScopes has one fault of every layer in every scope.
func TestFaultScopes(t *testing.T) {
	t.Parallel()
	certificate := []byte{8, 4}
	both, only1 := ask{}.make(t).body, ask{pssh: [][]byte{psshData(kid1)}}.make(t).body
	sequence := [][]byte{both, only1, certificate, both, only1}
	for setting, want := range map[string][]bool{ // which of the sequence it acts on
		"%":                            {true, true, true, true, true},
		"%@nth=3":                      {false, false, true, false, false},
		"%@every=2":                    {false, true, false, true, false},
		"%@operation=license":          {true, true, false, true, true},
		"%@operation=certificate":      {false, false, true, false, false},
		"%@kid=" + kid0.String():       {true, false, false, true, false},
		"%@nth=2,kid=" + kid0.String(): {false, false, false, true, false},
		"%@nth=3,operation=license":    {false, false, false, true, false},
	} {
		for _, name := range []string{"wv-iv-constant", "html-200", "connection-reset", "truncated-body"} {
			protocol := name == "wv-iv-constant"
			if protocol && strings.Contains(setting, "certificate") {
				continue
			}
			t.Run(strings.Replace(setting, "%", name, 1), func(t *testing.T) {
				t.Parallel()
				parsed, err := fakes.ParseSetting(strings.Replace(setting, "%", name, 1))
				must(t, err)
				s := start(t, fakes.Options{Faults: []fakes.Setting{parsed}})
				for _, body := range sequence {
					_, _ = do(t.Context(), "POST", s.LicenseURL(), body) // the history tells
				}
				for i, r := range s.Requests() {
					expected := want[i] && (!protocol || r.Operation == drm.KindLicense)
					if got := slices.Contains(r.Faults, name); got != expected {
						t.Errorf("request %d: acted %v, want %v", i+1, got, expected)
					}
				}
			})
		}
	}
}

// TestFaultOnOneKey has faults of single keys in the scope of one KID.
func TestFaultOnOneKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"wv-key-random-per-request", "wv-kid-twice-two-keys"} {
		s := start(t, fakes.Options{Faults: []fakes.Setting{{Name: name, KID: &kid1}}})
		o := getLicense(t, s, ask{})
		keys := o.contentKeys(t)
		if !keys[kid0].Equal(s.Authority().ContentKey(kid0)) {
			t.Errorf("%s: a key out of scope was spoilt", name)
		}
		if keys[kid1].Equal(s.Authority().ContentKey(kid1)) {
			t.Errorf("%s: the key in scope was not", name)
		}
	}
}

// TestSeed shows that what faults do follows from seed and authority.
func TestSeed(t *testing.T) {
	t.Parallel()
	iv := func(seed int64, a *fakes.Authority) []byte {
		s := start(t, fakes.Options{Seed: seed, Authority: a, Faults: fakes.Named("wv-iv-constant")})
		if seed != 0 && s.Seed() != seed {
			t.Errorf("seed %d, want %d", s.Seed(), seed)
		}
		return getLicense(t, s, ask{device: a.Devices()[0]}).content()[0].GetIv()
	}
	a, b := authority(t, trusted), authority(t, foreign)
	isTrue(t, bytes.Equal(iv(7, a), iv(7, a)))
	isTrue(t, !bytes.Equal(iv(7, a), iv(8, a)))
	isTrue(t, !bytes.Equal(iv(7, a), iv(7, b)))
	isTrue(t, !bytes.Equal(iv(0, a), iv(0, a)))
}

func TestParseSetting(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]fakes.Setting{
		"html-200":                             {Name: "html-200"},
		"html-200@nth=3":                       {Name: "html-200", Nth: 3},
		"html-200@every=100,operation=license": {Name: "html-200", Every: 100, Operation: drm.KindLicense},
		"wv-iv-constant@nth=2,kid=00010203-0405-0607-0809-0a0b0c0d0e0f,operation=license": {
			Name: "wv-iv-constant", Nth: 2, KID: &kid0, Operation: drm.KindLicense},
	} {
		got, err := fakes.ParseSetting(text)
		must(t, err)
		if got.String() != text || got.Name != want.Name || got.Nth != want.Nth || got.Every != want.Every || got.Operation != want.Operation {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for text, hint := range map[string]string{
		"wv-key-swapped":                   `did you mean "wv-keys-swapped"?`,
		"nonsense-of-mine":                 "valid: ",
		"":                                 "valid: ",
		"html-200@":                        "scope",
		"html-200@nth=0":                   "from 1",
		"html-200@nth=x":                   "from 1",
		"html-200@every=0":                 "from 1",
		"html-200@nth=1,every=2":           "one of them",
		"html-200@n=1":                     "nth",
		"html-200@kid=12":                  "KID",
		"html-200@operation=licence":       `did you mean "license"?`,
		"wv-iv-constant@operation=renewal": "never on renewal",
	} {
		if _, err := fakes.ParseSetting(text); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want %q in it", text, err, hint)
		}
	}
}

func TestSetFaults(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Faults: fakes.Named("html-200")})
	err := s.SetFaults(fakes.Named("wv-iv-constant", "wv-iv-constnat")...)
	unknown := (*fakes.UnknownFaultError)(nil)
	if !errors.As(err, &unknown) || unknown.Nearest != "wv-iv-constant" {
		t.Errorf("error %v", err)
	}
	if got := s.Faults(); len(got) != 1 || got[0].Name != "html-200" {
		t.Errorf("a bad setting changed what is set: %v", got)
	}
	must(t, s.AddFaults(fakes.Setting{Name: "wv-iv-constant", Nth: 2}))
	if got := s.Faults(); len(got) != 2 || got[1].String() != "wv-iv-constant@nth=2" {
		t.Errorf("added: %v", got)
	}
	must(t, s.SetFaults(fakes.Named("refuse-with-503")...))
	if got := s.Faults(); len(got) != 1 || got[0].Name != "refuse-with-503" {
		t.Errorf("set: %v", got)
	}
	s.ClearFaults()
	isTrue(t, len(s.Faults()) == 0)
	if _, err := fakes.Start(t.Context(), fakes.Options{Faults: fakes.Named("x")}); !errors.As(err, &unknown) {
		t.Errorf("start with an unknown fault: %v", err)
	}
}
