package fakes_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestExpressPlayPlacements: a token gets the same license from the query and from the header, as often as it is used.
func TestExpressPlayPlacements(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	token, r := mint(t, s, nil), ask{pssh: [][]byte{psshData(kid0)}}.make(t)
	place := func(query string, header map[string]string) reply {
		got, err := send(t.Context(), http.MethodPost, s.ExpressPlayLicenseURL()+query, header, string(r.body))
		must(t, err)
		return got
	}
	for _, got := range []reply{
		place("?ExpressPlayToken="+url.QueryEscape(token), nil), place("", map[string]string{"ExpressPlayToken": token}),
		place("?ExpressPlayToken="+url.QueryEscape(token), map[string]string{"ExpressPlayToken": "another"}), // the query's counts
	} {
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/octet-stream" {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		o, err := openLicense(r, got.body)
		must(t, err)
		keys := o.contentKeys(t)
		isTrue(t, len(keys) == 1 && keys[kid0].Equal(s.Authority().ContentKey(kid0)))
	}
	checkProblem(t, "names of parameters are case-sensitive", place("?errorFormat=json&expressplaytoken="+url.QueryEscape(token), nil), "json", 400, -2017)
	checkProblem(t, "another header", place("?errorFormat=json", map[string]string{"Authorization": "Bearer " + token}), "json", 400, -2017)
	isTrue(t, place("?ExpressPlayToken="+url.QueryEscape(token), nil).status == http.StatusOK)
	get, err := send(t.Context(), http.MethodGet, s.ExpressPlayLicenseURL()+"?ExpressPlayToken="+url.QueryEscape(token), nil, "")
	isTrue(t, err == nil && get.status == 405 && get.header.Get("Allow") == "POST")
}

// TestExpressPlayRefusedTokens has every token that gets no license, in JSON and in HTML.
func TestExpressPlayRefusedTokens(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	elsewhere := start(t, fakes.Options{Authority: authority(t, foreign)})
	token := mint(t, s, nil)
	for name, c := range map[string]struct {
		token  string
		status int
		code   int
		reason drm.Reason
	}{
		"none":              {"", 400, -2017, "token-missing"},
		"no token":          {"garbage", 401, -4010, "token-invalid"},
		"cut off":           {token[:136], 401, -4010, "token-invalid"},
		"longer":            {token + "AAAA", 401, -4010, "token-invalid"},
		"another alphabet":  {strings.Repeat("-_", 70), 401, -4010, "token-invalid"},
		"another version":   {"Ag" + token[2:], 401, -4010, "token-invalid"},
		"another signature": {altered(token, -2), 401, -4010, "token-invalid"},
		"another KID in it": {altered(token, 30), 401, -4010, "token-invalid"},
		"another service":   {mint(t, elsewhere, nil), 401, -4010, "token-invalid"},
		"another KID":       {mint(t, s, map[string]string{"kid": hexKID(kid1)}), 401, -4010, "token-kid"},
	} {
		body := ask{pssh: [][]byte{psshData(kid0)}}.make(t).body
		checkProblem(t, name, redeem(t, s, c.token, body), "json", c.status, c.code)
		html, err := send(t.Context(), http.MethodPost, s.ExpressPlayLicenseURL(), map[string]string{"ExpressPlayToken": c.token}, string(body))
		must(t, err)
		checkProblem(t, name, html, "html", c.status, c.code)
		for _, r := range s.Requests()[len(s.Requests())-2:] {
			if r.Reason != c.reason || r.Outcome != fakes.Refused || r.Operation != drm.KindLicense || r.Granted != nil {
				t.Errorf("%s: history %+v", name, r)
			}
		}
	}
	broken := redeem(t, s, token[:60]+"\n"+token[61:], ask{pssh: [][]byte{psshData(kid0)}}.make(t).body) // base64 skips line ends
	checkProblem(t, "a line end in it", broken, "json", 401, -4010)
	raw, err := base64.StdEncoding.DecodeString(token)
	must(t, err)
	for i := range raw { // no bit of a token is without meaning
		forged := base64.StdEncoding.EncodeToString(flip(raw, i))
		if got := redeem(t, s, forged, ask{pssh: [][]byte{psshData(kid0)}}.make(t).body); got.status != 401 {
			t.Fatalf("byte %d altered: status %d", i, got.status)
		}
	}
}

// TestExpressPlayPipeline: behind the token is the Widevine server with all its checks, and beside it the plain one.
func TestExpressPlayPipeline(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{ContentIDs: map[string][]drm.KID{"film": {kid0, kid1}}})
	token := mint(t, s, nil)
	stranger := ask{device: authority(t, foreign).Devices()[0], pssh: [][]byte{psshData(kid0)}}
	isTrue(t, redeem(t, s, token, stranger.make(t).body).status == 403)
	isTrue(t, redeem(t, s, token, []byte("garbage")).status == 400)
	checkProblem(t, "garbage without token", redeem(t, s, "", []byte("garbage")), "json", 400, -2017)
	isTrue(t, redeem(t, s, token, ask{pssh: [][]byte{psshData()}}.make(t).body).status == 404)
	byName := redeemed(t, s, token, ask{pssh: [][]byte{appendBytes(nil, 4, []byte("film"))}}).contentKeys(t)
	isTrue(t, len(byName) == 1 && byName[kid0].Len() == 16)
	isTrue(t, redeem(t, s, token, ask{pssh: [][]byte{psshData(kid0)}, edit: private(t, privacy{})}.make(t).body).status == 200)
	for _, token := range []string{token, "", "garbage"} { // a certificate request needs no token
		got := redeem(t, s, token, []byte{8, 4})
		isTrue(t, got.status == 200 && string(certificateOf(t, got.body)) == string(s.Authority().ServiceCertificate()))
	}
	isTrue(t, len(getLicense(t, s, ask{}).contentKeys(t)) == 2) // the plain server knows no tokens
}

// TestExpressPlayKIDs: of a box with two KIDs, each token gets its own, with the key that the token was made with.
func TestExpressPlayKIDs(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	const own = "101112131415161718191a1b1c1d1e1f"
	for kid, with := range map[drm.KID]map[string]string{
		kid0: {"kid": hexKID(kid0)}, kid1: {"kid": hexKID(kid1), "contentKey": own},
	} {
		keys := redeemed(t, s, mint(t, s, with), ask{pssh: [][]byte{psshData(kid0, kid1)}}).contentKeys(t)
		want := s.Authority().ContentKey(kid)
		if kid == kid1 {
			want = secret.New(unhex(t, own))
		}
		isTrue(t, len(keys) == 1 && keys[kid].Equal(want))
		records := s.Requests()
		last := records[len(records)-1]
		isTrue(t, len(last.KIDs) == 2 && slices.Equal(last.Granted, []drm.KID{kid}))
	}
	hashed := drm.KID(unhex(t, "ba7816bf8f01cfea414140de5dae2223")) // SHA-256 of "abc", FIPS 180-4's example
	token := mint(t, s, map[string]string{"kid": "^abc", "contentKey": own})
	keys := redeemed(t, s, token, ask{pssh: [][]byte{psshData(hashed)}}).contentKeys(t)
	isTrue(t, hex.EncodeToString(keys[hashed].Reveal()) == own)
	got := getLicense(t, s, ask{pssh: [][]byte{psshData(kid1)}}).contentKeys(t)
	isTrue(t, got[kid1].Equal(s.Authority().ContentKey(kid1))) // a token's key is its own affair
}

// TestExpressPlayPolicy: the license has the token's security level, output control and duration instead of the track's.
func TestExpressPlayPolicy(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{
		Tracks: map[drm.KID]fakes.Track{kid0: {Label: "HD", Level: wire.License_KeyContainer_HW_SECURE_ALL, HDCP: wire.HDCP_HDCP_V2_2}},
		Policy: &drm.Policy{CanPlay: true, License: time.Hour},
	})
	for _, c := range []struct {
		level, hdcp, duration string
		want                  *wire.License_KeyContainer_OutputProtection
	}{
		{"1", "0", "-", nil},
		{"3", "1", "7", &wire.License_KeyContainer_OutputProtection{Hdcp: wire.HDCP_HDCP_V1.Enum()}},
		{"5", "2", "2147483647", &wire.License_KeyContainer_OutputProtection{Hdcp: wire.HDCP_HDCP_V2.Enum()}},
	} {
		token := mint(t, s, map[string]string{"securityLevel": c.level, "hdcpOutputControl": c.hdcp, "licenseDuration": c.duration})
		l := redeemed(t, s, token, ask{pssh: [][]byte{psshData(kid0)}})
		k := l.content()[0]
		isTrue(t, int(k.GetLevel()) == int(c.level[0]-'0') && k.GetTrackLabel() == "HD" && proto.Equal(k.GetRequiredProtection(), c.want))
		isTrue(t, l.license.GetPolicy().GetLicenseDurationSeconds() == 3600)
		want := map[string]int64{"7": 7, "2147483647": 2147483647}[c.duration]
		isTrue(t, l.license.GetPolicy().GetPlaybackDurationSeconds() == want && (l.license.GetPolicy().PlaybackDurationSeconds == nil) == (want == 0))
	}
}

// TestExpressPlayAuthority: a token holds on every server of its authority, and its key with it.
func TestExpressPlayAuthority(t *testing.T) {
	t.Parallel()
	token := mint(t, start(t, fakes.Options{}), map[string]string{"kid": hexKID(unknown), "contentKey": strings.Repeat("5a", 16)})
	keys := redeemed(t, start(t, fakes.Options{}), token, ask{pssh: [][]byte{psshData(unknown)}}).contentKeys(t)
	isTrue(t, hex.EncodeToString(keys[unknown].Reveal()) == strings.Repeat("5a", 16))
}

// TestExpressPlayAtOnce has 60 clients at once, each with a KID, key and token of its own.
func TestExpressPlayAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			kid, key := drm.KID{0xaa, byte(i)}, slices.Repeat([]byte{byte(i), 7}, 8)
			p := parameters(s, map[string]string{"kid": hexKID(kid), "contentKey": hex.EncodeToString(key)})
			got, err := send(context.Background(), http.MethodGet, s.ExpressPlayTokenURL()+"?"+p.Encode(), nil, "")
			if err != nil {
				t.Error(err)
				return
			}
			r := ask{pssh: [][]byte{psshData(kid)}, requestID: []byte{byte(i)}}.make(t)
			license, err := send(context.Background(), http.MethodPost, string(got.body), nil, string(r.body))
			if err != nil {
				t.Error(err)
				return
			}
			o, err := openLicense(r, license.body)
			if err != nil {
				t.Errorf("client %d: status %d: %v", i, license.status, err)
				return
			}
			isTrue(t, o.contentKeys(t)[kid].Equal(secret.New(key)))
		})
	}
	group.Wait()
	_, counts := s.Count()
	isTrue(t, counts[fakes.OperationToken].Answered == 60 && counts[drm.KindLicense].Answered == 60)
}
