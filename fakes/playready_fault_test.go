package fakes_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// prSpoilt is what a fault's test sees: two answers with the fault set.
type prSpoilt struct {
	server  *fakes.Server
	request prRequest
	answers [2]reply
}

// opened opens both answers, which must be licenses that authenticate.
func (s prSpoilt) opened(t *testing.T) [2]prOpened {
	t.Helper()
	var o [2]prOpened
	for i, a := range s.answers {
		var err error
		if o[i], err = openPlayReady(s.request, a.body); err != nil || a.status != http.StatusOK {
			t.Fatalf("status %d: %v", a.status, err)
		}
	}
	return o
}

// failsWith opens the first answer, which must fail with err.
func (s prSpoilt) failsWith(t *testing.T, want error) prOpened {
	t.Helper()
	o, err := openPlayReady(s.request, s.answers[0].body)
	if !errors.Is(err, want) {
		t.Fatalf("open: %v, want %v", err, want)
	}
	return o
}

func (s prSpoilt) right(kid drm.KID) secret.Bytes { return s.server.Authority().ContentKey(kid) }

// fault reads the first answer as a SOAP fault with the status.
func (s prSpoilt) fault(t *testing.T, status int) *soap.Fault {
	t.Helper()
	a, err := soap.ParseAnswer(s.answers[0].body)
	if err != nil || a.Fault == nil || s.answers[0].status != status {
		t.Fatalf("status %d, %v, want a SOAP fault with %d", s.answers[0].status, err, status)
	}
	return a.Fault
}

// refuses is the check of a fault that refuses what is right.
func refuses(reason drm.Reason) func(*testing.T, prSpoilt) {
	return func(t *testing.T, s prSpoilt) {
		checkFault(t, s.server, s.answers[1], prInvalid, reason)
	}
}

// licenses is the check of a fault that licenses what it should not.
func licenses(kids ...drm.KID) func(*testing.T, prSpoilt) {
	return func(t *testing.T, s prSpoilt) {
		for _, o := range s.opened(t) {
			isTrue(t, sameKIDs(o.kids(), kids...))
			for _, l := range o.licenses {
				isTrue(t, l.content.Equal(s.right(l.KID)))
			}
		}
	}
}

// each is the check of a fault in every license that authenticates.
func each(check func(s prSpoilt, l prLicense) bool) func(*testing.T, prSpoilt) {
	return func(t *testing.T, s prSpoilt) {
		for _, o := range s.opened(t) {
			isTrue(t, len(o.licenses) > 0)
			for _, l := range o.licenses {
				isTrue(t, check(s, l))
			}
		}
	}
}

func asking(header string) func(*testing.T) prAsk {
	return func(*testing.T) prAsk { return prAsk{header: header} }
}

func badSignature(*testing.T) prAsk {
	return prAsk{sign: func([]byte) []byte { return make([]byte, 64) }}
}

const wrongChecksum = "AQIDBAUGBwg=" // 01 02 … 08

// prNow is the time of test servers.
func prNow() time.Time { return time.Unix(requestTime, 0) }

// prFault has for a fault of the PlayReady server a request that it acts on, what becomes of that without the fault ("" for a
// license), and what is seen with it.
type prFault struct {
	ask   func(*testing.T) prAsk
	clean drm.Reason
	check func(*testing.T, prSpoilt)
}

// playReadyFaults are those of a server that has no options set, on every request; those beside them are in playReadyFaultsWith.
var playReadyFaults = map[string]prFault{
	"pr-fault-200": {badSignature, "request-signature", func(t *testing.T, s prSpoilt) {
		isTrue(t, s.fault(t, http.StatusOK).Code == prInvalid && s.answers[0].header.Get("Content-Type") == soap.ContentType)
	}},
	"pr-fault-without-code": {badSignature, "request-signature", func(t *testing.T, s prSpoilt) {
		f := s.fault(t, http.StatusInternalServerError)
		isTrue(t, f.Code == 0 && f.Status == "" && f.Text != "" && !bytes.Contains(s.answers[0].body, []byte("0x8004")))
	}},
	"pr-fault-stack-trace": {badSignature, "request-signature", func(t *testing.T, s prSpoilt) {
		f := s.fault(t, http.StatusInternalServerError)
		isTrue(t, f.Code == prInvalid && strings.Contains(f.Text, "Exception: ") && strings.Contains(f.Text, ":line "))
	}},
	"pr-fault-always-600": {func(*testing.T) prAsk { return laWith(func(la *soap.LA) { la.Version = "99" }) }, "protocol-version",
		func(t *testing.T, s prSpoilt) {
			isTrue(t, s.fault(t, http.StatusInternalServerError).Code == prInternal)
		}},
	"pr-content-type": {check: func(t *testing.T, s prSpoilt) {
		s.opened(t)
		isTrue(t, s.answers[0].header.Get("Content-Type") == "application/octet-stream")
	}},
	"pr-action-quoted-only": {func(*testing.T) prAsk { return prAsk{action: soap.ActionAcquireLicense} }, "", refuses("soap-action")},
	"pr-digest-not-verified": {func(*testing.T) prAsk {
		return prAsk{header: header42(kid0), sent: func(la string) string { return strings.Replace(la, guidText(kid0), guidText(kid1), 1) }}
	}, "request-digest", licenses(kid1)},
	"pr-signature-not-verified": {badSignature, "request-signature", licenses(kid0, kid1)},
	"pr-padding-told": {func(t *testing.T) prAsk { return wrongEncryption(t)["padding of 17"] }, "encrypted-data", func(t *testing.T, s prSpoilt) {
		f := s.fault(t, http.StatusInternalServerError)
		isTrue(t, f.Code == prInternal && strings.Contains(f.Text, "padding"))
	}},
	"pr-encrypted-data-unread": {func(t *testing.T) prAsk { return wrongEncryption(t)["for another server"] }, "encrypted-data",
		func(t *testing.T, s prSpoilt) {
			isTrue(t, s.answers[0].status == http.StatusOK && len(s.answers[0].body) == 0 && s.answers[0].header.Get("Content-Type") == soap.ContentType)
		}},
	"pr-nonce-ignored": {func(*testing.T) prAsk { return laWith(func(la *soap.LA) { la.Nonce = "" }) }, "license-nonce",
		func(t *testing.T, s prSpoilt) {
			licenses(kid0, kid1)(t, s)
			isTrue(t, s.opened(t)[0].licenses[0].RightsID == [16]byte{})
		}},
	"pr-optional-elements-refused": {asking(wrmHeader("4.2.0.0", "<PROTECTINFO><KIDS>"+kidElement("AESCTR", "", kid0)+
		"</KIDS></PROTECTINFO><LUI_URL>https://people.test/</LUI_URL>")), "", refuses("header")},
	"pr-chain-not-verified": {func(t *testing.T) prAsk {
		return prAsk{device: authority(t, foreign).PlayReadyDevices()[0]}
	}, "certificate-chain", licenses(kid0, kid1)},
	"pr-expiry-ignored": {func(t *testing.T) prAsk {
		return prAsk{device: issuePlayReady(t, 2000, prNow())}
	}, "certificate-expired", licenses(kid0, kid1)},
	"pr-signing-key-not-bound": {func(t *testing.T) prAsk {
		other, err := ecc.GenerateKey()
		must(t, err)
		return prAsk{signer: other}
	}, "signing-key", licenses(kid0, kid1)},
	"pr-version-ignored":   {func(*testing.T) prAsk { return laWith(func(la *soap.LA) { la.Version = "99" }) }, "protocol-version", licenses(kid0, kid1)},
	"pr-header-41-refused": {asking(header41(kid0, "")), "", refuses("header")},
	"pr-header-42-refused": {asking(header42(kid0)), "", refuses("header")},
	"pr-algid-required":    {asking(header43("", kid0)), "", refuses("header")},
	"pr-checksum-byte-order": {func(t *testing.T) prAsk { return prAsk{header: header40(kid0, checksumOf(t, kid0))} }, "",
		refuses("checksum")},
	"pr-checksum-required": {asking(header40(kid0, "")), "", refuses("checksum")},
	"pr-unknown-kid-served": {asking(header42(unknown)), "unknown-content", each(func(s prSpoilt, l prLicense) bool {
		return l.KID == unknown && l.content.Len() == 16 && !l.content.Equal(s.right(unknown))
	})},
	"pr-device-level-ignored": {func(t *testing.T) prAsk { return prAsk{device: issuePlayReady(t, 150, time.Time{})} }, "security-level",
		licenses(kid0, kid1)},
	"pr-default-kid": {asking(header40(kid1, "")), "", func(t *testing.T, s prSpoilt) {
		o := s.opened(t)
		one, two := o[0].licenses[0], o[1].licenses[0]
		isTrue(t, one.KID == two.KID && one.KID != kid1 && one.content.Equal(s.right(kid1)))
	}},
	"pr-first-kid-only": {check: licenses(kid0)},
	"pr-same-key-for-all": {check: func(t *testing.T, s prSpoilt) {
		o := s.opened(t)[0]
		isTrue(t, sameKIDs(o.kids(), kid0, kid1) && o.licenses[1].content.Equal(s.right(kid0)) && o.licenses[0].content.Equal(s.right(kid0)))
	}},
	"pr-kid-big-endian": {check: func(t *testing.T, s prSpoilt) {
		o := s.opened(t)[0]
		isTrue(t, sameKIDs(o.kids(), drm.KID{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15},
			drm.KID{19, 18, 17, 16, 21, 20, 23, 22, 24, 25, 26, 27, 28, 29, 30, 31}))
		isTrue(t, bytes.Contains(o.licenses[0].Raw, kid0[:])) // as it is in the box
	}},
	"pr-key-bit-flipped": {check: each(func(s prSpoilt, l prLicense) bool {
		got, right := l.content.Reveal(), s.right(l.KID).Reveal()
		return got[0]^right[0] == 1 && bytes.Equal(got[1:], right[1:])
	})},
	"pr-checksum-changes-key": {asking(header40(kid0, wrongChecksum)), "checksum", each(func(s prSpoilt, l prLicense) bool {
		return l.content.Reveal()[8] == s.right(kid0).Reveal()[8]^1 && l.content.Reveal()[7] == s.right(kid0).Reveal()[7]^8
	})},
	"pr-key-type-always-ctr": {asking(header43("AESCBC", kid0, kid1)), "", each(func(_ prSpoilt, l prLicense) bool { return l.KeyType == xmr.KeyAESCTR })},
	"pr-key-type-always-cbc": {check: each(func(_ prSpoilt, l prLicense) bool { return l.KeyType == xmr.KeyAESCBC })},
	"pr-device-key-of-another": {check: func(t *testing.T, s prSpoilt) {
		l := s.failsWith(t, errDevice).licenses[0]
		isTrue(t, !l.Verify(l.integrity) && !l.content.Equal(s.right(kid0)) && l.KID == kid0)
	}},
	"pr-integrity-key-constant": {check: func(t *testing.T, s prSpoilt) {
		o := s.opened(t)
		for i, l := range o[0].licenses {
			isTrue(t, l.integrity.Equal(o[1].licenses[i].integrity) && l.content.Equal(s.right(l.KID)))
		}
	}},
	"pr-cmac-range": {check: func(t *testing.T, s prSpoilt) {
		l := s.failsWith(t, errCMAC).licenses[0]
		tag, err := xmr.CMAC(l.integrity, l.Raw[:len(l.Raw)-20]) // 8 bytes of header beyond sheet §9.5
		isTrue(t, err == nil && bytes.HasSuffix(l.Raw, tag))
	}},
	"pr-outer-length": {check: func(t *testing.T, s prSpoilt) {
		a, err := soap.ParseAnswer(s.answers[0].body)
		must(t, err)
		_, err = xmr.Parse(a.Response.Licenses[0])
		repaired := bytes.Clone(a.Response.Licenses[0])
		repaired[31] += 28
		if repaired[31] < 28 {
			repaired[30]++
		}
		l, repairedErr := xmr.Parse(repaired)
		must(t, repairedErr)
		integrity, _, unwrapErr := l.Unwrap(s.request.device.EncryptionKey())
		isTrue(t, err != nil && unwrapErr == nil && l.Verify(integrity))
	}},
	"pr-must-understand-cleared": {check: each(func(_ prSpoilt, l prLicense) bool {
		flags := uint16(0)
		for _, object := range []xmr.Type{xmr.TypeSecurityLevel, xmr.TypeExpiration, xmr.TypeContentKey} {
			flags |= l.Outer.Find(object).Flags
		}
		return flags == 0 && l.Outer.Find(xmr.TypeSettings).Flags == xmr.FlagMustUnderstand
	})},
	"pr-playback-missing":       {check: each(func(_ prSpoilt, l prLicense) bool { return !l.CanPlay })},
	"pr-security-level-missing": {check: each(func(_ prSpoilt, l prLicense) bool { return l.Outer.Find(xmr.TypeSecurityLevel) == nil })},
	"pr-begin-missing": {check: each(func(_ prSpoilt, l prLicense) bool {
		return l.Begin.IsZero() && l.End.Equal(prNow().Add(2*time.Hour))
	})},
	"pr-begin-in-future": {check: each(func(_ prSpoilt, l prLicense) bool { return l.Begin.Equal(prNow().Add(10 * time.Minute)) })},
	"pr-end-before-begin": {check: each(func(_ prSpoilt, l prLicense) bool {
		return l.Begin.Equal(prNow()) && l.End.Equal(prNow().Add(-time.Minute))
	})},
	"pr-rights-id-random": {check: func(t *testing.T, s prSpoilt) {
		ids := [][16]byte{[16]byte(s.request.nonce), {}}
		for _, o := range s.opened(t) {
			for _, l := range o.licenses {
				isTrue(t, !slices.Contains(ids, l.RightsID))
				ids = append(ids, l.RightsID)
			}
		}
	}},
	"pr-further-rights-ids-zero": {check: func(t *testing.T, s prSpoilt) {
		o := s.opened(t)[0]
		isTrue(t, sameBytes(o.licenses[0].RightsID, s.request.nonce) && o.licenses[1].RightsID == [16]byte{})
	}},
	"pr-license-namespace": {check: func(t *testing.T, s prSpoilt) {
		o := s.opened(t)[0]
		isTrue(t, len(o.Odd) == 2 && strings.HasPrefix(o.Odd[0], `License of namespace ""`))
	}},
}

// TestPlayReadyFaults sees every fault on the wire, and what becomes of the same request without it.
func TestPlayReadyFaults(t *testing.T) {
	t.Parallel()
	for name, c := range allPlayReadyFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Faults = fakes.Named(name)
			s := startPlayReady(t, c.options)
			a := prAsk{}
			if c.ask != nil {
				a = c.ask(t)
			}
			seen := prSpoilt{server: s, request: a.make(t)}
			for i := range seen.answers {
				seen.answers[i] = seen.request.post(t, s)
				for n := 0; c.rare && s.Exercised(name) == uint64(i) && n < 2000; n++ {
					seen.answers[i] = seen.request.post(t, s)
				}
			}
			if got := s.Exercised(name); got != 2 {
				t.Errorf("exercised %d times in 2 requests", got)
			}
			if r := lastRecord(t, s); !slices.Equal(r.Faults, []string{name}) || r.Status != seen.answers[1].status {
				t.Errorf("history: %+v", r)
			}
			c.check(t, seen)
			s.ClearFaults()
			clean := seen.request.post(t, s)
			if c.clean == "" {
				o, err := openPlayReady(seen.request, clean.body)
				must(t, err)
				isTrue(t, clean.status == http.StatusOK && slices.Equal(o.kids(), lastRecord(t, s).KIDs) && len(o.Odd) == 0)
			} else if r := lastRecord(t, s); r.Reason != c.clean || clean.status != http.StatusInternalServerError {
				t.Errorf("without the fault: status %d, %q, want %q", clean.status, r.Reason, c.clean)
			}
			if got := s.Exercised(name); got != 2 {
				t.Errorf("exercised %d times, once without being set", got)
			}
		})
	}
}

// TestPlayReadyCatalogue: every fault of the PlayReady server has a test that sees its effect, and no other has one here.
func TestPlayReadyCatalogue(t *testing.T) {
	t.Parallel()
	n := 0
	for _, f := range fakes.Catalogue() {
		c, tested := allPlayReadyFaults()[f.Name]
		_, providers := providerScopes[f.Name]
		if ours := f.System == drm.PlayReady && !providers; ours != tested || ours != strings.HasPrefix(f.Name, "pr-") || ours && f.Operation != c.operation {
			t.Errorf("%s: tested %v, %+v", f.Name, tested, f)
		}
		if tested {
			n++
		}
	}
	isTrue(t, n == len(playReadyFaults)+len(playReadyFaultsWith))
}
