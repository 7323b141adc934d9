package fakes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// palindrome is a KID that is the same in both byte orders.
var palindrome = drm.KID{1, 2, 2, 1, 3, 3, 4, 4, 5}

// TestPlayReadyFaultsNotExercised has requests that a fault finds nothing to act on: it changes nothing and isn't counted.
func TestPlayReadyFaultsNotExercised(t *testing.T) {
	t.Parallel()
	same := secret.New([]byte("0123456789abcdef"))
	persistent := fakes.Track{PlayReady: fakes.PlayReadyTrack{Persistent: true}}
	stored := fakes.Options{Tracks: map[drm.KID]fakes.Track{kid0: persistent, kid1: persistent}}
	forever := fakes.Options{Policy: &drm.Policy{CanPlay: true}}
	any := fakes.Options{AnyKID: true}
	late := prAsk{device: issuePlayReady(t, 2000, prNow())}
	far := prAsk{device: authority(t, foreign).PlayReadyDevices()[0]}
	wrong := wrongEncryption(t)
	right := prAsk{header: header40(kid0, checksumOf(t, kid0))}
	one := prAsk{header: header42(kid0)}
	swapped := prAsk{header: header40(kid0, b64(checksum(t, kid0, true)))}
	equal := xmr.OutputProtection{CompressedVideo: 300, UncompressedVideo: 100, AnalogVideo: 150, CompressedAudio: 100, UncompressedAudio: 300}
	signature := badSignature(t)
	for setting, c := range map[string]struct {
		options fakes.Options
		ask     prAsk
		reason  drm.Reason // of a refusal
	}{
		"pr-revocation-ignored":                       {},
		"pr-revocation-ignored@nth=1":                 {ask: late, reason: "certificate-expired"},
		"pr-redirect":                                 {ask: signature, reason: "request-signature"},
		"pr-redirect-empty":                           {ask: late, reason: "certificate-expired"},
		"pr-unknown-transaction-accepted":             {options: acknowledging},
		"pr-real-time-missing":                        {options: forever},
		"pr-real-time-missing@nth=1":                  {options: stored},
		"pr-first-play-missing":                       {},
		"pr-output-order":                             {},
		"pr-output-order@nth=1":                       {options: trackOptions(fakes.PlayReadyTrack{Output: &equal})},
		"pr-nonce-of-another":                         {},
		"pr-response-unsigned":                        {},
		"pr-response-digest":                          {},
		"pr-response-signer-foreign":                  {},
		"pr-response-id-constant":                     {},
		"pr-transaction-id-constant":                  {options: stored},
		"pr-cacheable":                                {ask: signature, reason: "request-signature"},
		"pr-settings-inverted@kid=" + hexKID(unknown): {},
		"pr-fault-200":                                {},
		"pr-fault-without-code":                       {},
		"pr-fault-stack-trace":                        {},
		"pr-encrypted-data-unread":                    {ask: far, reason: "certificate-chain"},
		"pr-nonce-ignored":                            {},
		"pr-optional-elements-refused": {
			ask: prAsk{header: strings.Replace(one.header, "</DATA>", "<LA_URL>https://license.test/</LA_URL></DATA>", 1)}},
		"pr-fault-always-600":       {},
		"pr-action-quoted-only":     {ask: prAsk{action: "-"}},
		"pr-digest-not-verified":    {},
		"pr-signature-not-verified": {},
		"pr-padding-told":           {ask: wrong["no XML"], reason: "encrypted-data"},
		"pr-chain-not-verified":     {ask: late, reason: "certificate-expired"},
		"pr-expiry-ignored":         {ask: far, reason: "certificate-chain"},
		"pr-signing-key-not-bound":  {},
		"pr-version-ignored":        {},
		"pr-header-41-refused":      {},
		"pr-header-42-refused":      {ask: prAsk{header: header41(kid0, "")}},
		"pr-algid-required":         {ask: prAsk{header: header43("AESCTR", kid0)}},
		"pr-checksum-byte-order":    {},
		"pr-checksum-required":      {ask: right},
		"pr-unknown-kid-served":     {},
		"pr-device-level-ignored":   {},
		"pr-default-kid":            {},
		"pr-first-kid-only":         {ask: one},
		"pr-same-key-for-all":       {ask: one},
		"pr-kid-big-endian":         {ask: prAsk{header: header42(palindrome)}, options: any},
		"pr-checksum-changes-key":   {ask: right},
		"pr-key-type-always-ctr":    {},
		"pr-key-type-always-cbc":    {ask: prAsk{header: header43("AESCBC", kid0)}},
		"pr-begin-missing":          {options: forever},
		"pr-begin-in-future":        {options: forever},
		"pr-end-before-begin":       {options: forever},
		"pr-rights-id-random":       {options: stored},
		"pr-further-rights-ids-zero": {
			options: stored},

		"pr-padding-told@nth=1":                      {ask: wrong["random key"], reason: "encrypted-data"},
		"pr-chain-not-verified@nth=1":                {},
		"pr-expiry-ignored@nth=1":                    {},
		"pr-checksum-byte-order@nth=1":               {ask: prAsk{header: header40(palindrome, checksumOf(t, palindrome))}, options: any},
		"pr-checksum-required@nth=2":                 {},
		"pr-same-key-for-all@nth=1":                  {options: fakes.Options{Keys: map[drm.KID]secret.Bytes{kid0: same, kid1: same}}},
		"pr-same-key-for-all@kid=" + kid0.String():   {},
		"pr-further-rights-ids-zero@nth=1":           {ask: one},
		"pr-key-bit-flipped@nth=2":                   {},
		"pr-key-bit-flipped@kid=" + unknown.String(): {},
		"pr-unknown-kid-served@kid=" + kid0.String(): {ask: prAsk{header: header42(kid0, unknown)}},
		"pr-content-type@nth=1":                      {ask: prAsk{header: header42(unknown)}, reason: "unknown-content"},
		"pr-license-namespace@nth=1":                 {ask: swapped, reason: "checksum"},
		"wv-keys-swapped":                            {},
		"wv-signature-not-verified":                  {ask: badSignature(t), reason: "request-signature"},
		"wv-unknown-kid-served":                      {ask: prAsk{header: header42(unknown)}, reason: "unknown-content"},
		"html-200@operation=certificate":             {},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			parsed, err := fakes.ParseSetting(setting)
			must(t, err)
			c.options.Faults = []fakes.Setting{parsed}
			s := startPlayReady(t, c.options)
			r := c.ask.make(t)
			o, err := openPlayReady(r, r.post(t, s).body)
			got := lastRecord(t, s)
			if got.Reason != c.reason || (err == nil) != (c.reason == "") || len(got.Faults) > 0 {
				t.Errorf("%v, history %+v", err, got)
			}
			for _, l := range o.licenses {
				key := s.Authority().ContentKey(l.KID)
				if own, ok := c.options.Keys[l.KID]; ok {
					key = own
				}
				isTrue(t, l.content.Equal(key))
			}
			if n := s.Exercised(parsed.Name); n != 0 {
				t.Errorf("exercised %d times", n)
			}
		})
	}
}

// TestPlayReadyFaultsAlike has requests on which a fault acts in one more way than the table of all faults shows.
func TestPlayReadyFaultsAlike(t *testing.T) {
	t.Parallel()
	swapped := prAsk{header: header40(kid0, b64(checksum(t, kid0, true)))}
	s := startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-checksum-byte-order")})
	acquire(t, s, swapped) // what the faulty server takes for right
	isTrue(t, s.Exercised("pr-checksum-byte-order") == 1)
	checkFault(t, s, prAsk{header: header40(kid0, wrongChecksum)}.make(t).post(t, s), prInvalid, "checksum")
	isTrue(t, s.Exercised("pr-checksum-byte-order") == 1)

	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-padding-told")})
	for name, want := range map[string]soap.Code{
		"padding of 0": prInternal, "padding of 255": prInternal, "no XML": prInvalid, "chain cut": prInvalid, "key of zeros": prInvalid,
		"key of 127 bytes": prInvalid, "random key": prInvalid, "half a block": prInvalid,
	} {
		_, err := openPlayReady(prRequest{}, wrongEncryption(t)[name].make(t).post(t, s).body)
		if f, ok := err.(*soap.Fault); !ok || f.Code != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	isTrue(t, s.Exercised("pr-padding-told") == 2)

	// A chain that is never to be trusted is not, for being expired too.
	sign, encrypt, template := freshKeys(t, 2000)
	template.Expires = prNow()
	_, _, issuer := authority(t, trusted).PlayReadyIssuer()
	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-expiry-ignored")})
	checkFault(t, s, prAsk{device: chained(t, sign, encrypt, issued(t, template, sign), issuer)}.make(t).post(t, s), prInvalid, "certificate-chain")
	isTrue(t, s.Exercised("pr-expiry-ignored") == 0)
	isTrue(t, acquire(t, s, prAsk{}).licenses != nil)

	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-checksum-required")})
	acquire(t, s, prAsk{header: header43("AESCBC", kid0)}) // which has none
	isTrue(t, s.Exercised("pr-checksum-required") == 0)

	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-nonce-ignored")})
	for _, nonce := range []string{"AAAA", "?", b64(make([]byte, 17))} {
		acquire(t, s, laWith(func(la *soap.LA) { la.Nonce = nonce }))
	}
	isTrue(t, s.Exercised("pr-nonce-ignored") == 3)

	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-optional-elements-refused")})
	for _, element := range []string{"<LUI_URL>x</LUI_URL>", "<DS_ID>x</DS_ID>", "<CUSTOMATTRIBUTES><x></x></CUSTOMATTRIBUTES>", "<DECRYPTORSETUP>ONDEMAND</DECRYPTORSETUP>"} {
		checkFault(t, s, prAsk{header: strings.Replace(header41(kid0, ""), "</DATA>", element+"</DATA>", 1)}.make(t).post(t, s), prInvalid, "header")
	}
	isTrue(t, s.Exercised("pr-optional-elements-refused") == 4)

	s = startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-fault-200", "pr-fault-always-600")})
	r := prAsk{}.make(t)
	r.body = r.body[:100]
	answer := r.post(t, s)
	_, err := openPlayReady(r, answer.body)
	f, ok := err.(*soap.Fault)
	isTrue(t, ok && f.Code == prInternal && answer.status == 200 && lastRecord(t, s).Reason == "malformed")
}

// TestPlayReadyFaultsTogether has faults that alter the same license.
func TestPlayReadyFaultsTogether(t *testing.T) {
	t.Parallel()
	names := []string{
		"pr-same-key-for-all", "pr-key-bit-flipped", "pr-integrity-key-constant", "pr-must-understand-cleared", "pr-playback-missing",
		"pr-security-level-missing", "pr-begin-missing", "pr-further-rights-ids-zero", "pr-license-namespace", "pr-content-type",
	}
	s := startPlayReady(t, fakes.Options{Faults: fakes.Named(names...)})
	o := acquire(t, s, prAsk{})
	for _, l := range o.licenses {
		isTrue(t, !l.CanPlay && l.Outer.Find(xmr.TypeSecurityLevel) == nil && l.Begin.IsZero() && l.Outer.Find(xmr.TypeContentKey).Flags == 0)
		isTrue(t, l.content.Reveal()[0] == s.Authority().ContentKey(kid0).Reveal()[0]^1)
	}
	faults := lastRecord(t, s).Faults
	slices.Sort(faults)
	slices.Sort(names)
	isTrue(t, slices.Equal(faults, names))
}

// TestPlayReadyInverted has the other way around that one of the table of all faults: licenses that may be stored say that they must
// not, in a response that is signed all the same.
func TestPlayReadyInverted(t *testing.T) {
	t.Parallel()
	o := persistentByDefault
	o.Faults = fakes.Named("pr-settings-inverted")
	s := startPlayReady(t, o)
	got := acquire(t, s, prAsk{})
	got.verifySigned(t, s.Authority().PlayReadyRoot())
	for _, l := range got.licenses {
		isTrue(t, l.CannotPersist && l.Settings == 1 && !sameBytes(l.RightsID, prNonce()))
	}
	isTrue(t, s.Exercised("pr-settings-inverted") == 1)
}

// TestPlayReadyEverySignedFault has all faults of signed responses at once, and those on a response whose licenses stay in memory.
func TestPlayReadyEverySignedFault(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{
		PlayReady: fakes.PlayReadyOptions{SignAll: true},
		Faults:    fakes.Named("pr-nonce-of-another", "pr-response-digest", "pr-response-signer-foreign", "pr-response-id-constant"),
	})
	one, two := acquire(t, s, prAsk{}), acquire(t, s, prAsk{})
	isTrue(t, one.Response.Nonce != b64(prNonce()) && one.Response.Nonce != two.Response.Nonce && !one.Signature.DigestMatches())
	isTrue(t, slices.Equal(one.Response.ResponseID, two.Response.ResponseID) && len(lastRecord(t, s).Faults) == 4)
	must(t, s.AddFaults(fakes.Named("pr-response-unsigned")...))
	bare := acquire(t, s, prAsk{})
	isTrue(t, bare.Signature == nil && !strings.Contains(bare.Text, "\n") && sameBytes(bare.licenses[0].RightsID, prNonce()))
	faults := lastRecord(t, s).Faults // what there is nothing to act on any more
	slices.Sort(faults)
	isTrue(t, slices.Equal(faults, []string{"pr-nonce-of-another", "pr-response-unsigned"}))
}

// TestPlayReadySignedFaults has a signed response with a fault in it: what is signed is what is sent.
func TestPlayReadySignedFaults(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{
		Tracks: map[drm.KID]fakes.Track{kid0: {PlayReady: fakes.PlayReadyTrack{Persistent: true}}},
		Faults: fakes.Named("pr-license-namespace", "pr-key-bit-flipped"),
	})
	o := acquire(t, s, prAsk{})
	o.verifySigned(t, s.Authority().PlayReadyRoot())
	isTrue(t, len(o.Odd) == 2)
}

// TestPlayReadyFaultScopes has faults of every kind on one request of several, and on one KID of several.
func TestPlayReadyFaultScopes(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{ // on which of five requests, for kid0, both, kid1, both, kid0
		"%":                                       "xxxxx",
		"%@nth=3":                                 "..x..",
		"%@kid=" + kid1.String():                  ".xxx.",
		"%@nth=2,kid=" + kid1.String():            "..x..",
		"%@operation=license":                     "xxxxx",
		"%@nth=4,operation=license":               "...x.",
		"%@nth=1,kid=" + unknown.String():         ".....",
		"%@kid=" + kid0.String() + ",nth=2":       ".x...",
		"%@operation=license,kid=" + hexKID(kid0): "xx.xx",
	} {
		for _, name := range []string{"pr-key-bit-flipped", "pr-content-type", "pr-header-42-refused", "html-200", "refuse-with-503"} {
			parsed, err := fakes.ParseSetting(strings.Replace(setting, "%", name, 1))
			must(t, err)
			s := startPlayReady(t, fakes.Options{Faults: []fakes.Setting{parsed}})
			for _, header := range []string{header42(kid0), header42(kid0, kid1), header42(kid1), header42(kid1, kid0), header42(kid0)} {
				prAsk{header: header}.make(t).post(t, s)
			}
			got := ""
			for _, r := range s.Requests() {
				got += map[bool]string{true: "x", false: "."}[slices.Contains(r.Faults, name)]
			}
			if got != want || s.Exercised(name) != uint64(strings.Count(want, "x")) {
				t.Errorf("%s: %s, want %s", parsed, got, want)
			}
		}
	}
}

// TestPlayReadyFaultOnOneKID has faults of single licenses in the scope of one KID: the other license is right.
func TestPlayReadyFaultOnOneKID(t *testing.T) {
	t.Parallel()
	differs := map[string]func(right, got prLicense) bool{
		"pr-same-key-for-all":        func(right, got prLicense) bool { return !got.content.Equal(right.content) },
		"pr-key-bit-flipped":         func(right, got prLicense) bool { return !got.content.Equal(right.content) },
		"pr-kid-big-endian":          func(right, got prLicense) bool { return got.KID != right.KID },
		"pr-key-type-always-cbc":     func(right, got prLicense) bool { return got.KeyType != right.KeyType },
		"pr-must-understand-cleared": func(_, got prLicense) bool { return got.Outer.Find(xmr.TypeContentKey).Flags == 0 },
		"pr-playback-missing":        func(_, got prLicense) bool { return !got.CanPlay },
		"pr-security-level-missing":  func(_, got prLicense) bool { return got.SecurityLevel == 0 },
		"pr-begin-missing":           func(_, got prLicense) bool { return got.Begin.IsZero() },
		"pr-begin-in-future":         func(right, got prLicense) bool { return got.Begin.After(right.Begin) },
		"pr-end-before-begin":        func(_, got prLicense) bool { return got.End.Before(got.Begin) },
		"pr-settings-inverted":       func(right, got prLicense) bool { return got.CannotPersist != right.CannotPersist },
		"pr-real-time-missing":       func(right, got prLicense) bool { return got.RealTimeExpiration != right.RealTimeExpiration },
		"pr-output-order":            func(right, got prLicense) bool { return *got.Output != *right.Output },
		"pr-first-play-missing":      func(right, got prLicense) bool { return got.FirstPlay != right.FirstPlay },
		"pr-rights-id-random":        func(right, got prLicense) bool { return got.RightsID != right.RightsID },
		"pr-further-rights-ids-zero": func(_, got prLicense) bool { return got.RightsID == [16]byte{} },
	}
	for name, differ := range differs {
		s := startPlayReady(t, trackOptions(fakes.PlayReadyTrack{FirstPlay: time.Hour, Output: &prOutput}))
		right := acquire(t, s, prAsk{}).licenses
		must(t, s.SetFaults(fakes.Setting{Name: name, KID: &kid1}))
		got := acquire(t, s, prAsk{}).licenses
		if differ(right[0], got[0]) || !differ(right[1], got[1]) {
			t.Errorf("%s: on the KID out of scope %v, on the one in scope %v", name, differ(right[0], got[0]), differ(right[1], got[1]))
		}
	}
	other := drm.KID{0xee, 2}
	s := startPlayReady(t, fakes.Options{Faults: []fakes.Setting{{Name: "pr-unknown-kid-served", KID: &unknown}}})
	isTrue(t, sameKIDs(acquire(t, s, prAsk{header: header42(other, unknown)}).kids(), unknown))
	s = startPlayReady(t, fakes.Options{Faults: []fakes.Setting{{Name: "pr-device-level-ignored", KID: &kid1}}})
	isTrue(t, sameKIDs(acquire(t, s, prAsk{device: issuePlayReady(t, 150, time.Time{})}).kids(), kid1))
}

// TestPlayReadySeed shows that what faults do follows from the seed.
func TestPlayReadySeed(t *testing.T) {
	t.Parallel()
	seen := func(seed int64) (kid drm.KID, integrity secret.Bytes) {
		s := startPlayReady(t, fakes.Options{Seed: seed, Faults: fakes.Named("pr-default-kid", "pr-integrity-key-constant")})
		l := acquire(t, s, prAsk{header: header40(kid0, "")}).licenses[0]
		return l.KID, l.integrity
	}
	kidA, integrityA := seen(7)
	kidB, integrityB := seen(7)
	kidC, integrityC := seen(8)
	isTrue(t, kidA == kidB && integrityA.Equal(integrityB) && kidA != kidC && !integrityA.Equal(integrityC))
}

// TestNthOfItsSystem: requests of the other system do not count for a fault of one.
func TestNthOfItsSystem(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{Faults: []fakes.Setting{{Name: "pr-key-bit-flipped", Nth: 2}}})
	for range 3 {
		_, err := do(t.Context(), "POST", s.LicenseURL(), ask{}.make(t).body)
		must(t, err)
	}
	acquire(t, s, prAsk{})
	isTrue(t, s.Exercised("pr-key-bit-flipped") == 0)
	prAsk{}.make(t).post(t, s)
	isTrue(t, s.Exercised("pr-key-bit-flipped") == 1)
}
