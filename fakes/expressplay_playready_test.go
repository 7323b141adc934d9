package fakes_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestPRTokenCarriers: a token gets the same license from each of its three places, as often as it is used.
func TestPRTokenCarriers(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	token := mintPR(t, s, nil)
	for _, carrier := range slices.Concat(carriers, carriers) {
		o := redeemedPR(t, s, carrier, token, prAsk{header: header42(kid0)})
		isTrue(t, sameKIDs(o.kids(), kid0) && o.licenses[0].content.Equal(s.Authority().ContentKey(kid0)))
	}
	r := prAsk{header: header42(kid0)}.make(t)
	for _, where := range []string{"?expressplaytoken=" + token, "?token=" + token, ""} {
		got, err := send(t.Context(), http.MethodPost, s.ExpressPlayPlayReadyURL()+where, r.header, r.body)
		must(t, err)
		checkPRProblem(t, s, "another place", got, -2017)
	}
	got, err := send(t.Context(), http.MethodGet, s.ExpressPlayPlayReadyURL()+"?ExpressPlayToken="+token, nil, "")
	isTrue(t, err == nil && got.status == 405 && got.header.Get("Allow") == "POST")
}

// TestPRTokenPrecedence: of several tokens the query's counts, then the header's, then that of the custom data.
func TestPRTokenPrecedence(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	right, wrong := mintPR(t, s, nil), "garbage"
	for i, first := range carriers {
		for _, second := range carriers[i+1:] {
			if got := redeemTwo(t, s, first, right, second, wrong); got.status != http.StatusOK {
				t.Errorf("%s before %s: status %d, %s", first, second, got.status, got.body)
			}
			checkPRProblem(t, s, second+" behind "+first, redeemTwo(t, s, first, wrong, second, right), -4010)
		}
	}
}

// redeemTwo has the handler answer a challenge with two tokens.
func redeemTwo(t *testing.T, s *fakes.Server, carrier, token, other, another string) reply {
	t.Helper()
	r := prAsk{header: header42(kid0)}.carrying(carrier, token).carrying(other, another).make(t)
	q, more := r.carrying(s, carrier, token), r.carrying(s, other, another)
	q.URL.RawQuery += more.URL.RawQuery
	maps.Copy(q.Header, more.Header)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, q)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

// TestPRRefusedTokens has every token that gets no license, in each carrier.
func TestPRRefusedTokens(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	elsewhere := startPlayReady(t, fakes.Options{Authority: authority(t, foreign)})
	token := mintPR(t, s, nil)
	for name, c := range map[string]struct {
		token  string
		code   int
		reason drm.Reason
	}{
		"none":              {"", -2017, "token-missing"},
		"no token":          {"garbage", -4010, "token-invalid"},
		"cut off":           {token[:160], -4010, "token-invalid"},
		"longer":            {token + "AAAA", -4010, "token-invalid"},
		"with spaces":       {" " + token + " ", -4010, "token-invalid"},
		"in XML":            {"<token>" + token + "</token>", -4010, "token-invalid"},
		"another alphabet":  {strings.Repeat("-_", 82), -4010, "token-invalid"},
		"another signature": {altered(token, -2), -4010, "token-invalid"},
		"another KID in it": {altered(token, 30), -4010, "token-invalid"},
		"for Widevine":      {mint(t, s, nil), -4010, "token-invalid"},
		"another service":   {mintPR(t, elsewhere, nil), -4010, "token-invalid"},
		"another KID":       {mintPR(t, s, map[string]string{"kid": hexKID(kid1)}), -4010, "token-kid"},
	} {
		for _, carrier := range carriers {
			_, got := redeemPR(t, s, carrier, c.token, prAsk{header: header42(kid0)})
			checkPRProblem(t, s, name+" in "+carrier, got, c.code)
			if !refusedFor(t, s, c.reason) {
				t.Errorf("%s in %s: history %+v", name, carrier, lastRecord(t, s))
			}
			isTrue(t, c.token == "" || !strings.Contains(string(got.body), c.token))
		}
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	must(t, err)
	for i := range raw { // no bit of a token is without meaning
		if _, got := redeemPR(t, s, "query", base64.StdEncoding.EncodeToString(flip(raw, i)), prAsk{header: header42(kid0)}); got.status != 500 {
			t.Fatalf("byte %d altered: status %d", i, got.status)
		}
	}
	isTrue(t, redeem(t, s, token, ask{pssh: [][]byte{psshData(kid0)}}.make(t).body).status == 401) // Widevine's service does not take it
}

// TestPRCustomDataIsVerified: custom data that was changed after it was signed, or signed by somebody else, is not looked at,
// right or wrong as its token may be (sheet playready.md §14.7, PR-TOK-02).
func TestPRCustomDataIsVerified(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	right, wrong := mintPR(t, s, nil), mintPR(t, s, map[string]string{"kid": hexKID(kid1)})
	other := issuePlayReady(t, 2000, time.Time{})
	replaced := func(from, to string) func(string) string {
		return func(la string) string { return strings.Replace(la, from, to, 1) }
	}
	const digest, binding = "pr-digest-not-verified", "pr-signing-key-not-bound"
	for name, c := range map[string]struct {
		ask    prAsk
		fault  string
		reason drm.Reason
		behind int // what the fault leads to: a license, or that the token is refused, which was not to be told before
	}{
		"changed to a right one": {prAsk{sent: replaced(wrong, right)}.carrying("custom data", wrong), digest, "request-digest", 200},
		"changed to a wrong one": {prAsk{sent: replaced(right, wrong)}.carrying("custom data", right), digest, "request-digest", 500},
		"added":                  {prAsk{sent: replaced("<LicenseNonce>", "<CustomData>"+right+"</CustomData><LicenseNonce>")}, digest, "request-digest", 200},
		"another's right one":    {prAsk{signer: other.SigningKey()}.carrying("custom data", right), binding, "signing-key", 200},
		"another's wrong one":    {prAsk{signer: other.SigningKey()}.carrying("custom data", wrong), binding, "signing-key", 500},
	} {
		c.ask.header = header42(kid0)
		r := c.ask.make(t)
		answer := func() reply {
			got, err := send(t.Context(), http.MethodPost, s.ExpressPlayPlayReadyURL(), r.header, r.body)
			must(t, err)
			return got
		}
		got := answer()
		if got.status != 500 || !refusedFor(t, s, c.reason) || strings.Contains(string(got.body), "Error -") {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
		must(t, s.SetFaults(fakes.Named(c.fault)...))
		if got = answer(); got.status != c.behind || c.behind == 500 && !refusedFor(t, s, "token-kid") {
			t.Errorf("%s with %s: status %d, %s", name, c.fault, got.status, got.body)
		}
		s.ClearFaults()
	}
}

// TestPRPipeline: behind the token is the PlayReady server with all its checks, and beside it the plain one.
func TestPRPipeline(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	token := mintPR(t, s, nil)
	for name, c := range map[string]struct {
		ask    prAsk
		reason drm.Reason
	}{
		"a stranger's":  {prAsk{device: authority(t, foreign).PlayReadyDevices()[0]}, "certificate-chain"},
		"no header":     {prAsk{header: wrmHeader("4.1.0.0", "")}, "header"},
		"cut off":       {prAsk{body: func(b string) string { return b[:len(b)/2] }}, "malformed"},
		"below level":   {prAsk{device: issuePlayReady(t, 150, time.Time{})}, "security-level"},
		"wrong version": {prAsk{la: func(la *soap.LA) { la.Version = "9" }}, "protocol-version"},
	} {
		for _, carrier := range carriers[:2] {
			if _, got := redeemPR(t, s, carrier, token, c.ask); got.status != 500 || lastRecord(t, s).Reason != c.reason {
				t.Errorf("%s: status %d, history %+v, want %s", name, got.status, lastRecord(t, s), c.reason)
			}
		}
	}
	answer, err := soap.ParseAnswer(mustRedeemPR(t, s, "", prAsk{body: func(string) string { return "garbage" }}).body)
	isTrue(t, err == nil && answer.Fault.Code == soap.CodeInvalidMessage && answer.Fault.Actor == s.ExpressPlayPlayReadyURL())
	isTrue(t, len(acquire(t, s, prAsk{}).licenses) == 2) // the plain server knows no tokens
	withToken := acquire(t, s, prAsk{}.carrying("custom data", token))
	isTrue(t, len(withToken.licenses) == 2 && withToken.licenses[0].Output == nil)
}

func mustRedeemPR(t *testing.T, s *fakes.Server, token string, a prAsk) reply {
	t.Helper()
	_, got := redeemPR(t, s, "query", token, a)
	return got
}

// TestPRTokenKIDs: of a header with several KIDs each token gets its own, with the key that the token was made with.
func TestPRTokenKIDs(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	const own = "101112131415161718191a1b1c1d1e1f"
	for kid, with := range map[drm.KID]map[string]string{
		kid0: {"kid": hexKID(kid0)}, kid1: {"kid": hexKID(kid1), "contentKey": own},
	} {
		keys := redeemedPR(t, s, "custom data", mintPR(t, s, with), prAsk{header: header42(kid0, kid1, unknown)}).keysOf()
		want := s.Authority().ContentKey(kid)
		if kid == kid1 {
			want = secret.New(unhex(t, own))
		}
		isTrue(t, len(keys) == 1 && keys[kid].Equal(want))
		last := lastRecord(t, s)
		isTrue(t, len(last.KIDs) == 3 && slices.Equal(last.Granted, []drm.KID{kid}))
	}
	hashed := drm.KID(unhex(t, "ba7816bf8f01cfea414140de5dae2223")) // SHA-256 of "abc", FIPS 180-4's example
	wrapped := map[string]string{"kid": "^abc", "kek": kekDigits[:32], "ek": keyWraps[0].wrapped}
	keys := redeemedPR(t, s, "query", mintPR(t, s, wrapped), prAsk{header: header42(hashed)}).keysOf()
	isTrue(t, strings.EqualFold(hex.EncodeToString(keys[hashed].Reveal()), keyWraps[0].key))
	isTrue(t, acquire(t, s, prAsk{}).keysOf()[kid1].Equal(s.Authority().ContentKey(kid1))) // a token's key is its own affair
	checksummed := prAsk{header: header40(kid0, b64(checksum(t, kid0, false)))}
	redeemedPR(t, s, "query", mintPR(t, s, nil), checksummed)
	if _, got := redeemPR(t, s, "query", mintPR(t, s, map[string]string{"contentKey": own}), checksummed); got.status != 500 || lastRecord(t, s).Reason != "checksum" {
		t.Errorf("a checksum of the key store's key beside the token's: status %d, %+v", got.status, lastRecord(t, s))
	}
}

// TestPRRights: the license says what the token gives, and nothing of the server's own policy.
func TestPRRights(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{
		Policy: &drm.Policy{CanPlay: true, License: time.Hour}, PlayReady: fakes.PlayReadyOptions{Persistent: true},
		Tracks: map[drm.KID]fakes.Track{kid0: {PlayReady: fakes.PlayReadyTrack{FirstPlay: time.Minute, Output: &xmr.OutputProtection{AnalogVideo: 200}}}},
	})
	levels := xmr.OutputProtection{AnalogVideo: 150, CompressedAudio: 100, CompressedVideo: 400, UncompressedAudio: 300, UncompressedVideo: 250}
	now := time.Unix(requestTime, 0)
	for name, c := range map[string]struct {
		with       map[string]string
		persistent bool
		end        time.Time
		plays      time.Duration
		output     xmr.OutputProtection
		enablers   []xmr.GUID
	}{
		"bought": {output: levels},
		"bought, flags said": {
			with: map[string]string{"generalFlags": "00000000", "unknownOutputBehavior": "Disallow", "rental.periodEndTime": "+5"}, output: levels,
		},
		"bought, to be stored": {
			with: map[string]string{"generalFlags": "00000001", "unknownOutputBehavior": "Allow"}, persistent: true, output: levels,
			enablers: []xmr.GUID{xmr.UnknownOutput},
		},
		"rental": {
			with:       map[string]string{"rightsType": "Rental", "rental.periodEndTime": "+86400", "unknownOutputBehavior": "SDOnly"},
			persistent: true, end: now.Add(24 * time.Hour), output: levels, enablers: []xmr.GUID{xmr.ConstrainedUnknownOutput},
		},
		"rental with everything": {
			with: map[string]string{
				"rightsType": "Rental", "rental.periodEndTime": "2023-11-20T00:00:00.9Z", "rental.playDuration": "2147483647", "generalFlags": "00000001",
				"analogVideoOPL": "0", "compressedDigitalAudioOPL": "1", "compressedDigitalVideoOPL": "2", "uncompressedDigitalAudioOPL": "3",
				"uncompressedDigitalVideoOPL": "999",
			},
			persistent: true, end: time.Date(2023, 11, 20, 0, 0, 0, 0, time.UTC), plays: 2147483647 * time.Second,
			output: xmr.OutputProtection{CompressedAudio: 1, CompressedVideo: 2, UncompressedAudio: 3, UncompressedVideo: 999},
		},
	} {
		for _, carrier := range carriers {
			o := redeemedPR(t, s, carrier, mintPR(t, s, c.with), prAsk{header: header42(kid0)})
			p := o.licenses[0].Policy
			if p.CannotPersist == c.persistent || !p.End.Equal(c.end) || p.FirstPlay != c.plays || p.Output == nil || *p.Output != c.output || !slices.Equal(p.PlayEnablers, c.enablers) {
				t.Errorf("%s: %+v, %+v", name, p, p.Output)
			}
			if p.Begin.IsZero() != c.end.IsZero() || p.Begin.After(now) || p.RealTimeExpiration {
				t.Errorf("%s: begins %v, real-time expiration %v", name, p.Begin, p.RealTimeExpiration)
			}
			isTrue(t, p.SecurityLevel == 2000 && (o.Signature != nil) == c.persistent)
			if c.persistent {
				o.verifySigned(t, s.Authority().PlayReadyRoot())
			} else {
				isTrue(t, sameBytes(o.licenses[0].RightsID, prNonce()))
			}
		}
	}
}

// TestPRExpiry moves the clock to both sides of a token's end, and of a rental's.
func TestPRExpiry(t *testing.T) {
	t.Parallel()
	rental := map[string]string{"rightsType": "Rental", "rental.periodEndTime": "+60", "expirationTime": "+300"}
	for name, c := range map[string]struct {
		with   map[string]string
		life   time.Duration
		reason drm.Reason
	}{
		"token":  {map[string]string{"expirationTime": "+300"}, 5 * time.Minute, "token-expired"},
		"rental": {rental, time.Minute, "rental-ended"},
	} {
		s := startPlayReady(t, fakes.Options{})
		token := mintPR(t, s, c.with)
		redeemedPR(t, s, "custom data", token, prAsk{header: header42(kid0)})
		s.Clock().Advance(c.life - 1)
		redeemedPR(t, s, "header", token, prAsk{header: header42(kid0)})
		s.Clock().Advance(1)
		_, got := redeemPR(t, s, "query", token, prAsk{header: header42(kid0)})
		checkPRProblem(t, s, name, got, -2002)
		isTrue(t, refusedFor(t, s, c.reason))
	}
}

// TestPRAcknowledgement: what a license from this service asks for is acknowledged there, without a token.
func TestPRAcknowledgement(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{PlayReady: fakes.PlayReadyOptions{Acknowledgements: true}})
	o := redeemedPR(t, s, "query", mintPR(t, s, map[string]string{"generalFlags": "00000001"}), prAsk{header: header42(kid0)})
	ack := prAsk{acknowledges: o.Response.Transaction}
	isTrue(t, o.Response.Transaction != "" && mustRedeemPR(t, s, "", ack).status == 200 && lastRecord(t, s).Operation == drm.KindAcknowledgement)
	isTrue(t, mustRedeemPR(t, s, "", ack).status == 500)
}

// TestPRAtOnce has 40 clients at once, each with a KID, key and token of its own.
func TestPRAtOnce(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	var group sync.WaitGroup
	for i := range 40 {
		kid, key := drm.KID{0xaa, byte(i), 0xbb}, slices.Repeat([]byte{byte(i), 7}, 8)
		p := prParameters(s, map[string]string{"kid": hexKID(kid), "contentKey": hex.EncodeToString(key)})
		group.Go(func() {
			got, err := send(context.Background(), http.MethodGet, s.ExpressPlayPlayReadyTokenURL()+"?"+p.Encode(), nil, "")
			var told struct{ Token string }
			if err == nil {
				err = json.Unmarshal(got.body, &told)
			}
			if err != nil || told.Token == "" {
				t.Errorf("client %d: %v", i, err)
				return
			}
			keys := redeemedPR(t, s, carriers[i%3], told.Token, prAsk{header: header42(kid)}).keysOf()
			isTrue(t, len(keys) == 1 && keys[kid].Equal(secret.New(key)))
		})
	}
	group.Wait()
	_, counts := s.Count()
	isTrue(t, counts[fakes.OperationToken].Answered == 40 && counts[drm.KindLicense].Answered == 40)
}
