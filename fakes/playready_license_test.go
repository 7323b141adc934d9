package fakes_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
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

// TestPlayReadyLicense goes once through sheet playready.md §8 and §9, and through what the server remembers.
func TestPlayReadyLicense(t *testing.T) {
	t.Parallel()
	own := secret.New([]byte("0123456789abcdef"))
	s := startPlayReady(t, fakes.Options{Keys: map[drm.KID]secret.Bytes{kid0: own}, DeriveKIDs: []drm.KID{kid0, kid1}})
	r := prAsk{header: header42(kid1, unknown, kid0, kid1)}.make(t)
	answer := r.post(t, s)
	for header, want := range map[string]string{
		"Content-Type": "text/xml; charset=utf-8", "Cache-Control": "no-store", "Content-Length": strconv.Itoa(len(answer.body)),
	} {
		if got := answer.header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	o, err := openPlayReady(r, answer.body)
	must(t, err)
	if o.Signature != nil || o.ID != "" || o.Response.Nonce != "" || len(o.Response.ResponseID) > 0 || len(o.Response.SigningChain) > 0 {
		t.Error("a response without a persistent license has no Id, nonce, response id, chain or signature")
	}
	if o.Response.Version != "1" || len(o.Odd) > 0 {
		t.Errorf("version %q, odd: %v", o.Response.Version, o.Odd)
	}
	if !sameKIDs(o.kids(), kid1, kid0) {
		t.Fatalf("licenses for %v, want one for each known KID in the order of the header", o.kids())
	}
	isTrue(t, o.licenses[1].content.Equal(own) && o.licenses[0].content.Equal(s.Authority().ContentKey(kid1)))
	isTrue(t, !o.licenses[0].integrity.Equal(o.licenses[1].integrity))
	now := time.Unix(requestTime, 0).UTC()
	for i, l := range o.licenses {
		if !l.CanPlay || !l.CannotPersist || l.Settings != 1 || l.SecurityLevel != 2000 || l.KeyType != xmr.KeyAESCTR || l.CipherType != xmr.CipherECC256 {
			t.Errorf("license %d: %+v", i, l.Policy)
		}
		if !l.Begin.Equal(now) || !l.End.Equal(now.Add(2*time.Hour)) || !l.Issued.Equal(now) || l.FirstPlay != 0 || l.Output != nil || !l.RealTimeExpiration {
			t.Errorf("license %d: %+v", i, l.Policy)
		}
		for _, object := range []xmr.Type{xmr.TypeSecurityLevel, xmr.TypeExpiration, xmr.TypeContentKey, xmr.TypeSettings} {
			if l.Outer.Find(object).Flags&xmr.FlagMustUnderstand == 0 {
				t.Errorf("license %d: %v need not be understood", i, object)
			}
		}
	}
	isTrue(t, sameBytes(o.licenses[0].RightsID, r.nonce))
	isTrue(t, sameBytes(o.licenses[1].RightsID, unhex(t, "f00102030405060708090a0b0c0d0f00"))) // nonce + 1, carried over
	got := lastRecord(t, s)
	if got.System != drm.PlayReady || got.Operation != drm.KindLicense || got.Outcome != fakes.Answered || got.Status != http.StatusOK || len(got.Faults) > 0 {
		t.Errorf("history: %+v", got)
	}
	if !sameKIDs(got.KIDs, kid1, unknown, kid0) || !sameKIDs(got.Granted, kid1, kid0) || got.RequestID != "f00102030405060708090a0b0c0d0eff" {
		t.Errorf("history: %+v", got)
	}
	isTrue(t, got.Device == firstPlayReady(t).Device() && got.Request == secret.FingerprintOf([]byte(r.body)))
	isTrue(t, got.RequestBytes == len(r.body) && got.AnswerBytes == len(answer.body))
}

// TestPlayReadyHeaders has every version of a header (sheet playready.md §4, PR-HDR-01 to -08, PR-CHK-01 and -03).
func TestPlayReadyHeaders(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	checksum := checksumOf(t, kid0)
	kids43 := func(algorithm string) string {
		return wrmHeader("4.3.0.0", "<PROTECTINFO><KIDS>"+kidElement(algorithm, checksum, kid0)+"</KIDS></PROTECTINFO>")
	}
	everything := "<PROTECTINFO LICENSEREQUESTED=\"true\"><KIDS>" + kidElement("AESCTR", "", kid0) + "</KIDS><Later>x</Later></PROTECTINFO>" +
		"<LA_URL>https://license.test/?a=1&amp;b=2</LA_URL><LUI_URL>https://people.test/</LUI_URL><DS_ID>AAECAwQFBgcICQoLDA0ODw==</DS_ID>" +
		"<DECRYPTORSETUP>ONDEMAND</DECRYPTORSETUP><CUSTOMATTRIBUTES xmlns=\"\"><Any Id=\"SignedDate\">thing</Any></CUSTOMATTRIBUTES><Later>y</Later>"
	for name, c := range map[string]struct {
		header string
		kids   []drm.KID
		key    xmr.KeyType
	}{
		"4.0":                           {header40(kid0, ""), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.0 with checksum":             {header40(kid0, checksum), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.1":                           {header41(kid0, ""), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.1 with checksum":             {header41(kid0, checksum), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.2, one KID":                  {header42(kid0), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.2, two KIDs":                 {header42(kid0, kid1), []drm.KID{kid0, kid1}, xmr.KeyAESCTR},
		"4.3":                           {header43("AESCTR", kid1, kid0), []drm.KID{kid1, kid0}, xmr.KeyAESCTR},
		"4.3, no algorithm":             {header43("", kid0, kid1), []drm.KID{kid0, kid1}, xmr.KeyAESCTR},
		"4.3 with checksum":             {kids43("AESCTR"), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.3, checksum, no algorithm":   {kids43(""), []drm.KID{kid0}, xmr.KeyAESCTR},
		"4.3, CBC":                      {header43("AESCBC", kid0, kid1), []drm.KID{kid0, kid1}, xmr.KeyAESCBC},
		"4.3 with all that is optional": {wrmHeader("4.3.0.0", everything), []drm.KID{kid0}, xmr.KeyAESCTR},
	} {
		o := acquire(t, s, prAsk{header: c.header})
		if !sameKIDs(o.kids(), c.kids...) {
			t.Errorf("%s: licenses for %v, want %v", name, o.kids(), c.kids)
		}
		for _, l := range o.licenses {
			if l.KeyType != c.key || !l.content.Equal(s.Authority().ContentKey(l.KID)) {
				t.Errorf("%s: KID %s: key type %d, want %d, or a wrong key", name, l.KID, l.KeyType, c.key)
			}
		}
	}
}

// TestPlayReadyManyKIDs has as many KIDs as a real header holds (PR-KID-03 and -04).
func TestPlayReadyManyKIDs(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{AnyKID: true})
	kids := make([]drm.KID, 16)
	for i := range kids {
		kids[i] = drm.KID{byte(i), 1, 2, 3, 4, 5, 6, 7}
	}
	o := acquire(t, s, prAsk{header: header42(kids...)})
	isTrue(t, sameKIDs(o.kids(), kids...))
	keys := make(map[string]bool)
	for _, l := range o.licenses {
		keys[string(l.content.Reveal())] = true
	}
	isTrue(t, len(keys) == len(kids))
}

// TestPlayReadySwappedKIDs has two KIDs that are each other's other byte order (PR-KID-02).
func TestPlayReadySwappedKIDs(t *testing.T) {
	t.Parallel()
	swapped := drm.KID{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}
	one, two := secret.New([]byte("one one one one!")), secret.New([]byte("two two two two!"))
	s := startPlayReady(t, fakes.Options{Keys: map[drm.KID]secret.Bytes{kid0: one, swapped: two}})
	for kid, key := range map[drm.KID]secret.Bytes{kid0: one, swapped: two} {
		o := acquire(t, s, prAsk{header: header40(kid, "")})
		isTrue(t, sameKIDs(o.kids(), kid) && o.licenses[0].content.Equal(key))
	}
}

// TestPlayReadyTracks has licenses as their tracks and the server's policy say (PR-POL-01 to -09, PR-SL-03).
func TestPlayReadyTracks(t *testing.T) {
	t.Parallel()
	output := xmr.OutputProtection{CompressedVideo: 500, UncompressedVideo: 270, AnalogVideo: 150, CompressedAudio: 100, UncompressedAudio: 200}
	now := time.Unix(requestTime, 0)
	forever := &drm.Policy{CanPlay: true}
	type window struct {
		begin, end time.Time
		realTime   bool
	}
	hours := func(n int, realTime bool) window { return window{now, now.Add(time.Duration(n) * time.Hour), realTime} }
	for name, c := range map[string]struct {
		policy *drm.Policy
		track  fakes.PlayReadyTrack
		want   window
		level  int
	}{
		"the server's policy":    {nil, fakes.PlayReadyTrack{}, hours(2, true), 2000},
		"another policy":         {&drm.Policy{CanPlay: true, License: 5 * time.Hour}, fakes.PlayReadyTrack{}, hours(5, true), 2000},
		"its own duration":       {nil, fakes.PlayReadyTrack{Duration: time.Hour}, hours(1, true), 2000},
		"without an end":         {forever, fakes.PlayReadyTrack{}, window{}, 2000},
		"from first play":        {forever, fakes.PlayReadyTrack{FirstPlay: 48 * time.Hour}, window{realTime: true}, 2000},
		"persistent":             {nil, fakes.PlayReadyTrack{Persistent: true, FirstPlay: time.Hour}, hours(2, false), 2000},
		"persistent for ever":    {forever, fakes.PlayReadyTrack{Persistent: true}, window{}, 2000},
		"outputs":                {nil, fakes.PlayReadyTrack{Output: &output}, hours(2, true), 2000},
		"for test devices":       {nil, fakes.PlayReadyTrack{SecurityLevel: 150}, hours(2, true), 150},
		"for the level, in word": {nil, fakes.PlayReadyTrack{SecurityLevel: 2000}, hours(2, true), 2000},
	} {
		s := startPlayReady(t, fakes.Options{Policy: c.policy, Tracks: map[drm.KID]fakes.Track{kid1: {PlayReady: c.track}}})
		l := acquire(t, s, prAsk{header: header42(kid1)}).licenses[0]
		if got := (window{l.Begin, l.End, l.RealTimeExpiration}); !got.begin.Equal(c.want.begin) || !got.end.Equal(c.want.end) || got.realTime != c.want.realTime {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if l.SecurityLevel != c.level || l.CannotPersist == c.track.Persistent || l.FirstPlay != c.track.FirstPlay {
			t.Errorf("%s: %+v", name, l.Policy)
		}
		if want := c.track.Output; (l.Output == nil) != (want == nil) || want != nil && *l.Output != *want {
			t.Errorf("%s: outputs %v, want %v", name, l.Output, want)
		}
	}
}

// TestPlayReadyTrackRefuses has tracks that no server starts with.
func TestPlayReadyTrackRefuses(t *testing.T) {
	t.Parallel()
	for _, track := range []fakes.PlayReadyTrack{{SecurityLevel: 151}, {SecurityLevel: -1}, {Duration: -1}, {FirstPlay: -1}} {
		_, err := fakes.Start(t.Context(), fakes.Options{Tracks: map[drm.KID]fakes.Track{kid0: {PlayReady: track}}})
		if err == nil || !strings.Contains(err.Error(), "PlayReady") || !strings.Contains(err.Error(), kid0.String()) {
			t.Errorf("%+v: %v", track, err)
		}
	}
}

// TestPlayReadyLevels has devices of every level and what they get of three tracks (PR-SL-02 to -04).
func TestPlayReadyLevels(t *testing.T) {
	t.Parallel()
	tracks := make(map[drm.KID]fakes.Track)
	var kids []drm.KID
	for i, level := range []int{150, 2000, 3000} {
		kid := drm.KID{byte(i), 1, 2, 3}
		kids, tracks[kid] = append(kids, kid), fakes.Track{PlayReady: fakes.PlayReadyTrack{SecurityLevel: level}}
	}
	s := startPlayReady(t, fakes.Options{DeriveKIDs: kids, Tracks: tracks})
	for i, level := range []uint32{150, 2000, 3000} {
		o := acquire(t, s, prAsk{device: issuePlayReady(t, level, time.Time{}), header: header42(kids...)})
		if !sameKIDs(o.kids(), kids[:i+1]...) {
			t.Errorf("level %d: %v, want the first %d of %v", level, o.kids(), i+1, kids)
		}
		isTrue(t, sameKIDs(lastRecord(t, s).Granted, kids[:i+1]...))
	}
}

// TestPlayReadyPersistent has responses with a persistent license: signed, with the nonce, and with Rights IDs of their own
// (PR-NON-03, PR-RSP-01 to -03).
func TestPlayReadyPersistent(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{Tracks: map[drm.KID]fakes.Track{kid1: {PlayReady: fakes.PlayReadyTrack{Persistent: true}}}})
	var rights [][16]byte
	var ids []string
	for _, header := range []string{header42(kid0, kid1), header42(kid1), header40(kid1, "")} {
		o := acquire(t, s, prAsk{header: header})
		o.verifySigned(t, authority(t, trusted).PlayReadyRoot())
		if o.Response.Nonce != b64(prNonce()) {
			t.Errorf("nonce %q", o.Response.Nonce)
		}
		ids = append(ids, string(o.Response.ResponseID))
		for _, l := range o.licenses {
			isTrue(t, l.CannotPersist == (l.KID == kid0) && !sameBytes(l.RightsID, prNonce()) && l.RightsID != [16]byte{})
			isTrue(t, (l.Outer.Find(xmr.TypeSettings) == nil) == (l.KID == kid1))
			rights = append(rights, l.RightsID)
		}
	}
	slices.Sort(ids)
	isTrue(t, len(rights) == 4 && len(slices.Compact(ids)) == 3)
	for i, id := range rights {
		isTrue(t, !slices.Contains(rights[i+1:], id))
	}
	if o := acquire(t, s, prAsk{header: header42(kid0)}); o.Signature != nil || o.Response.Nonce != "" {
		t.Error("a response without a persistent license is signed")
	}
}

// TestPlayReadyClientTime has clocks that are off: the license has begun by the client's clock (sheet playready.md §9.7).
func TestPlayReadyClientTime(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	for off, begin := range map[time.Duration]time.Duration{
		0: 0, -30 * time.Minute: -30 * time.Minute, 30 * time.Minute: 0, -time.Hour: -time.Hour, time.Hour: 0,
	} {
		l := acquire(t, s, prAsk{la: func(la *soap.LA) { la.ClientTime = fmt.Sprint(requestTime + int(off.Seconds())) }}).licenses[0]
		now := time.Unix(requestTime, 0)
		if !l.Begin.Equal(now.Add(begin)) || !l.End.Equal(now.Add(2*time.Hour)) || !l.Issued.Equal(now) {
			t.Errorf("%v off: from %v to %v, issued at %v", off, l.Begin, l.End, l.Issued)
		}
	}
	s.Clock().Advance(24 * time.Hour)
	later := fmt.Sprint(requestTime + 24*3600)
	l := acquire(t, s, prAsk{la: func(la *soap.LA) { la.ClientTime = later }}).licenses[0]
	isTrue(t, l.Issued.Equal(time.Unix(requestTime+24*3600, 0)))
}

// TestPlayReadyFresh asks twice with the same bytes (PR-LIC-06, PR-NON-05).
func TestPlayReadyFresh(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	r := prAsk{}.make(t)
	var seen []string
	for range 10 {
		o, err := openPlayReady(r, r.post(t, s).body)
		must(t, err)
		for _, l := range o.licenses {
			seen = append(seen, string(l.integrity.Reveal()), string(l.EncryptedKey[:64]), string(l.EncryptedKey[64:]))
		}
	}
	n := len(seen)
	slices.Sort(seen)
	isTrue(t, n == 60 && len(slices.Compact(seen)) == n)
}

// TestPlayReadyForOneDevice shows that a license opens with the key of its device alone (PR-LIC-05).
func TestPlayReadyForOneDevice(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	devices := authority(t, trusted).PlayReadyDevices()
	license := acquire(t, s, prAsk{device: devices[0]}).licenses[0].License
	integrity, _, err := license.Unwrap(devices[1].EncryptionKey())
	isTrue(t, err == nil && !license.Verify(integrity))
	// A device may have one key for both, and its chain be longer.
	root, key, issuer := s.Authority().PlayReadyIssuer()
	both, err := ecc.GenerateKey()
	must(t, err)
	_, _, template := freshKeys(t, 2000)
	template.Keys = template.Keys[:1]
	template.Keys[0].Public, template.Keys[0].Usages = both.Public(), append(template.Keys[0].Usages, 2)
	leaf := issued(t, template, key)
	isTrue(t, issuer.Issuer == root.Public())
	acquire(t, s, prAsk{device: chained(t, both, both, leaf, issuer)})
}

// TestPlayReadyVariants has challenges that other clients send (sheet playready.md §6, §7, §11).
func TestPlayReadyVariants(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	replace := func(from, to string) func(string) string {
		return func(text string) string {
			if !strings.Contains(text, from) {
				t.Errorf("%q is not there to be replaced", from)
			}
			return strings.ReplaceAll(text, from, to)
		}
	}
	version := func(v string) func(*soap.LA) { return func(la *soap.LA) { la.Version = v } }
	for name, a := range map[string]prAsk{
		"no SOAPAction":       {action: "-"},
		"SOAPAction unquoted": {action: soap.ActionAcquireLicense},
		"no content type":     {media: "-"},
		"without charset":     {media: "text/xml"},
		"charset upper case":  {media: `text/xml; charset="UTF-8"`},
		"version 1":           {la: version("1")}, "version 2": {la: version("2")}, "version 3": {la: version("3")}, "version 5": {la: version("5")},
		"version with blanks": {text: replace("<Version>4<", "<Version> 4\n<")},
		"nonce with blanks":   {text: replace("AwQFBgcI", "Aw QF\n\tBgcI")},
		"no prolog":           {body: replace(`<?xml version="1.0" encoding="utf-8"?>`, "")},
		"byte order mark":     {body: func(s string) string { return "\ufeff" + s }},
		"another prefix":      {body: func(s string) string { return replace("xmlns:soap", "xmlns:e")(replace("soap:", "e:")(s)) }},
		"indented envelope":   {body: replace("<soap:Body>", "<soap:Body>\n  ")},
		"self-closing tags":   {body: replace("></EncryptionMethod>", "/>")},
		"unknown elements":    {text: replace("<LicenseNonce>", "<Later><Id>1</Id></Later><LicenseNonce>")},
		"another order": {text: func(s string) string {
			return replace("</CLIENTINFO>", "</CLIENTINFO><Version>4</Version>")(replace("<Version>4</Version>", "")(s))
		}},
		"revocation lists": {la: func(la *soap.LA) {
			la.RevocationLists = []soap.RevocationList{{ID: "ioydTlK2p0WXkWklprR5Hw==", Version: "11"}}
		}},
		"custom data": {la: func(la *soap.LA) {
			la.CustomData = secret.New([]byte("<token>&\u00e9\U0001F511" + strings.Repeat("x", 64<<10)))
		}},
		"chain with blanks": {plain: func(b []byte) []byte {
			return []byte(replace("</CertificateChain>", " \n</CertificateChain>")(string(b)) + "\n ")
		}},
		"another IV": {la: anotherIV(t)},
	} {
		r := a.make(t)
		answer := r.post(t, s)
		if o, err := openPlayReady(r, answer.body); err != nil || !sameKIDs(o.kids(), kid0, kid1) || answer.status != http.StatusOK {
			t.Errorf("%s: status %d, %v, %q", name, answer.status, err, lastRecord(t, s).Reason)
		}
	}
}

// anotherIV encrypts the client's data with an IV that is not the session's: the first block is changed by as much.
func anotherIV(t testing.TB) func(*soap.LA) {
	return func(la *soap.LA) {
		session, err := ecc.GenerateKey()
		must(t, err)
		encrypted, x, err := authority(t, trusted).PlayReadyServerKey().EncryptKey(session)
		must(t, err)
		key, err := soap.NewSessionKey(x)
		must(t, err)
		iv := randomBytes(16)
		plain := soap.ClientData(firstPlayReady(t).Chain().Raw)
		for i := range iv {
			plain[i] ^= iv[i] ^ key.IV()[i]
		}
		data, err := key.Encrypt(plain)
		must(t, err)
		copy(data, iv)
		la.EncryptedKey, la.EncryptedData = encrypted, data
	}
}
