package fakes_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// TestExpressPlayToken asks for tokens with GET and POST: one line, the license URL with a token that differs each time.
func TestExpressPlayToken(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early}) // all tokens have the same rights
	seen := make(map[string]bool)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet} {
		r := askToken(t, s, method, parameters(s, nil))
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/uri-list" || r.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: status %d, %v: %s", method, r.status, r.header, r.body)
		}
		u, err := url.Parse(string(r.body))
		must(t, err)
		token := u.Query().Get("ExpressPlayToken")
		isTrue(t, string(r.body) == s.ExpressPlayLicenseURL()+"?ExpressPlayToken="+url.QueryEscape(token))
		isTrue(t, regexp.MustCompile(`^[A-Za-z0-9+/]{139}=$`).MatchString(token) && !seen[token])
		isTrue(t, strings.Contains(token, "+") && strings.Contains(token, "/"))
		seen[token] = true
	}
	records := s.Requests()
	for i, method := range []string{"GET", "POST", "GET"} {
		r := records[i]
		isTrue(t, r.Operation == fakes.OperationToken && r.Method == method && r.Status == 200 && r.Outcome == fakes.Answered)
		isTrue(t, r.Request == "" && len(r.KIDs) == 1 && r.KIDs[0] == kid0 && len(r.Granted) == 1 && r.Granted[0] == kid0)
		isTrue(t, (r.RequestBytes > 0) == (method == "POST"))
	}
	redeemed(t, s, mint(t, s, nil), ask{pssh: [][]byte{psshData(kid0)}})
	_, counts := s.Count()
	isTrue(t, counts[fakes.OperationToken] == fakes.Count{Received: 4, Answered: 4})
	isTrue(t, counts[drm.KindLicense] == fakes.Count{Received: 1, Answered: 1})
}

// TestExpressPlayTokenWithoutHost asks as HTTP/1.0 does: the URL has the address that was reached.
func TestExpressPlayTokenWithoutHost(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(conn, "GET /hms/wv/token?%s HTTP/1.0\r\n\r\n", parameters(s, nil).Encode())
	must(t, err)
	got, err := io.ReadAll(conn)
	isTrue(t, err == nil && strings.Contains(string(got), "\r\n\r\n"+s.ExpressPlayLicenseURL()+"?ExpressPlayToken="))
}

// tokenErrors has every error of the token service: what differs from a right request, status, code and reason.
var tokenErrors = []struct {
	with   map[string]string
	status int
	code   int
	reason drm.Reason
}{
	{map[string]string{"customerAuthenticator": "-"}, 400, -2017, "authenticator"},
	{map[string]string{"customerAuthenticator": "", "kid": "-"}, 400, -2017, "authenticator"},
	{map[string]string{"customerAuthenticator": "1,00112233445566778899aabbccddeeff", "kid": "-"}, 401, -2018, "authenticator"},
	{map[string]string{"customerauthenticator": "x", "customerAuthenticator": "-"}, 400, -2017, "authenticator"},
	{map[string]string{"kid": "-"}, 400, -4018, "argument"},
	{map[string]string{"KID": hexKID(kid0), "kid": "-"}, 400, -4018, "argument"},
	{map[string]string{"kid": "0011"}, 400, -4020, "argument"},
	{map[string]string{"kid": kid0.String()}, 400, -4020, "argument"},
	{map[string]string{"kid": strings.Repeat("x", 32)}, 400, -4020, "argument"},
	{map[string]string{"kid": "^" + strings.Repeat("x", 65)}, 400, -4021, "argument"},
	{map[string]string{"kid": "^"}, 400, -4022, "argument"},
	{map[string]string{"kid": "^\xff"}, 400, -4022, "argument"},
	{map[string]string{"kid": hexKID(unknown)}, 400, -4019, "argument"},
	{map[string]string{"contentKey": strings.Repeat("0", 30)}, 400, -2027, "argument"},
	{map[string]string{"contentKey": strings.Repeat("g", 32)}, 400, -2027, "argument"},
	{map[string]string{"contentKey": strings.Repeat("0", 32), "kek": kekDigits[:32], "ek": keyWraps[0].wrapped}, 400, -4024, "argument"},
	{map[string]string{"contentKey": strings.Repeat("0", 32), "kek": kekDigits[:32]}, 400, -4024, "argument"},
	{map[string]string{"kek": kekDigits[:32]}, 400, -4024, "argument"},
	{map[string]string{"ek": keyWraps[0].wrapped}, 400, -4024, "argument"},
	{map[string]string{"kek": kekDigits[:30], "ek": keyWraps[0].wrapped}, 400, -4024, "argument"},
	{map[string]string{"kek": kekDigits[:32], "ek": keyWraps[0].wrapped[:46]}, 400, -4024, "argument"},
	{map[string]string{"kek": kekDigits[:48], "ek": keyWraps[3].wrapped}, 400, -4024, "argument"},
	{map[string]string{"kek": kekDigits[2:34], "ek": keyWraps[0].wrapped}, 400, -4024, "argument"},
	{map[string]string{"expirationTime": "soon"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": "300"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": " 300"}, 400, -2002, "argument"}, // +300 with a plus sign that was not escaped
	{map[string]string{"expirationTime": "+"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": "+0"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": "+-1"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": "+2592001"}, 400, -2002, "argument"}, // 30 days and a second
	{map[string]string{"expirationTime": "+99999999999999999999"}, 400, -2002, "argument"},
	{map[string]string{"expirationTime": "2023-11-14T22:13:19Z"}, 400, -2002, "argument"},      // a second ago
	{map[string]string{"expirationTime": "2023-11-15T00:00:00+01:00"}, 400, -2002, "argument"}, // not UTC
	{map[string]string{"securityLevel": "-"}, 400, -7003, "argument"},
	{map[string]string{"securityLevel": "0"}, 400, -7004, "argument"},
	{map[string]string{"securityLevel": "6"}, 400, -7004, "argument"},
	{map[string]string{"securityLevel": "01"}, 400, -7004, "argument"},
	{map[string]string{"hdcpOutputControl": "-"}, 400, -7006, "argument"},
	{map[string]string{"hdcpOutputControl": "3"}, 400, -7006, "argument"},
	{map[string]string{"licenseDuration": "0"}, 400, -7007, "argument"},
	{map[string]string{"licenseDuration": "1h"}, 400, -7007, "argument"},
	{map[string]string{"licenseDuration": "2147483648"}, 400, -7007, "argument"},
	{map[string]string{"cookie": strings.Repeat("c", 33)}, 400, -2033, "argument"},
	{map[string]string{"generalFlags": "0001"}, 400, -5003, "argument"},
	{map[string]string{"wvExtension": "AAAA"}, 400, -7009, "argument"},
	{map[string]string{"wvExtension": ",AAAA"}, 400, -7009, "argument"},
	{map[string]string{"wvExtension": "type,!"}, 400, -7009, "argument"},
	{map[string]string{"extensionType": "x"}, 400, -2036, "argument"},
	{map[string]string{"extensionPayload": "AAAA"}, 400, -2036, "argument"},
	{map[string]string{"extensionType": "x", "extensionPayload": "!"}, 400, -2037, "argument"},
}

// TestExpressPlayTokenErrors has every error in JSON, in HTML and without a format, with GET and POST.
func TestExpressPlayTokenErrors(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early})
	for _, c := range tokenErrors {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, format := range []string{"json", "html", "-"} {
				p := parameters(s, c.with)
				p.Set("errorFormat", format)
				if format == "-" {
					p.Del("errorFormat")
				}
				r := askToken(t, s, method, p)
				name := fmt.Sprintf("%v, %s, %s", c.with, method, format)
				checkProblem(t, name, r, format, c.status, c.code)
				records := s.Requests()
				last := records[len(records)-1]
				if last.Reason != c.reason || last.Outcome != fakes.Refused || last.Operation != fakes.OperationToken || last.Granted != nil {
					t.Errorf("%s: history %+v", name, last)
				}
			}
		}
	}
	checkProblem(t, "errorFormat", askToken(t, s, http.MethodGet, parameters(s, map[string]string{"errorFormat": "xml"})), "html", 400, -3004)
}

// checkProblem checks an error body in its format, and that the code is the only number of its kind in it.
func checkProblem(t *testing.T, name string, r reply, format string, status, code int) {
	t.Helper()
	codes := regexp.MustCompile(`-[0-9]{4}`).FindAllString(string(r.body), -1)
	if r.status != status || len(codes) != 1 || codes[0] != fmt.Sprint(code) {
		t.Errorf("%s: status %d, %s, want %d and %d", name, r.status, r.body, status, code)
	}
	if format == "json" {
		var body map[string]any
		must(t, json.Unmarshal(r.body, &body))
		text, _ := body["errorMessage"].(string)
		if r.header.Get("Content-Type") != "application/json" || len(body) != 2 || body["errorCode"] != float64(code) || text == "" {
			t.Errorf("%s: %v", name, body)
		}
		return
	}
	if r.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(string(r.body), "<!DOCTYPE html>") {
		t.Errorf("%s: %v %s", name, r.header, r.body)
	}
}

// TestExpressPlayTokenMethod has what is neither GET nor a POST of a form.
func TestExpressPlayTokenMethod(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{MaxBody: 1000})
	r, err := send(t.Context(), http.MethodPut, s.ExpressPlayTokenURL(), nil, "")
	isTrue(t, err == nil && r.status == 405 && r.header.Get("Allow") == "GET, POST")
	form := parameters(s, nil).Encode()
	r, err = send(t.Context(), http.MethodPost, s.ExpressPlayTokenURL(), map[string]string{"Content-Type": "text/plain"}, form)
	isTrue(t, err == nil && r.status == 400 && strings.Contains(string(r.body), "-2017"))
	r, err = send(t.Context(), http.MethodPost, s.ExpressPlayTokenURL()+"?"+form, nil, "")
	isTrue(t, err == nil && r.status == 400 && strings.Contains(string(r.body), "-2017"))
	r = askToken(t, s, http.MethodPost, parameters(s, map[string]string{"cookie": strings.Repeat("c", 1000)}))
	isTrue(t, r.status == 413)
	for _, path := range []string{"/hms/wv/token/", "/hms/wv/rights", "/hms/pr/token/", "/playready/Rightsmanager.asmx"} {
		r, err = send(t.Context(), http.MethodGet, s.URL()+path, nil, "")
		isTrue(t, err == nil && r.status == 404)
	}
}

// TestExpressPlayTokenAccepts has right values of every parameter at their bounds.
func TestExpressPlayTokenAccepts(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early})
	for _, with := range []map[string]string{
		{"errorFormat": "-"}, {"errorFormat": "html"}, {"kid": strings.ToUpper(hexKID(kid1))},
		{"kid": "^" + strings.Repeat("é", 64), "contentKey": strings.Repeat("0f", 16)},
		{"expirationTime": "+1"}, {"expirationTime": "+2592000"}, {"expirationTime": "2023-11-14T22:13:21Z"},
		{"expirationTime": "2023-12-14T22:13:20Z"}, {"securityLevel": "5"}, {"hdcpOutputControl": "2"},
		{"licenseDuration": "2147483647"}, {"cookie": strings.Repeat("c", 32)}, {"generalFlags": "0000"},
		{"contentId": "a film"}, {"wvExtension": "type,AAAA"}, {"extensionType": "x", "extensionPayload": "AA=="},
	} {
		mint(t, s, with)
	}
}

// TestExpressPlayAuthenticator: a given one counts, another follows from the authority.
func TestExpressPlayAuthenticator(t *testing.T) {
	t.Parallel()
	given := secret.New([]byte("42,00112233445566778899AABBCCDDEEFF"))
	s := start(t, fakes.Options{ExpressPlay: fakes.ExpressPlay{Authenticator: given}})
	isTrue(t, s.ExpressPlayAuthenticator().Equal(given))
	mint(t, s, map[string]string{"customerAuthenticator": "42,00112233445566778899AABBCCDDEEFF"})
	made, again := start(t, fakes.Options{}), start(t, fakes.Options{})
	form := regexp.MustCompile(`^[0-9]+,[0-9a-fA-F]{32}$`)
	isTrue(t, form.Match(made.ExpressPlayAuthenticator().Reveal()))
	isTrue(t, made.ExpressPlayAuthenticator().Equal(again.ExpressPlayAuthenticator()))
	other := start(t, fakes.Options{Authority: authority(t, foreign)})
	isTrue(t, !other.ExpressPlayAuthenticator().Equal(made.ExpressPlayAuthenticator()))
	vault := secret.NewVault()
	s.AddTo(vault)
	isTrue(t, len(vault.Names(given.Reveal())) == 1 && len(vault.Names(given.Reveal()[3:])) == 1)
	for _, bad := range []string{"42", "x,00112233445566778899AABBCCDDEEFF", "42,0011", "42,00112233445566778899AABBCCDDEEFF\n"} {
		o := fakes.Options{Authority: authority(t, trusted), ExpressPlay: fakes.ExpressPlay{Authenticator: secret.New([]byte(bad))}}
		_, err := fakes.Start(t.Context(), o)
		isTrue(t, err != nil && strings.Contains(err.Error(), "authenticator") && !strings.Contains(err.Error(), "0011"))
	}
}

// TestExpressPlayWrappedKey asks for tokens of keys that are wrapped as in RFC 3394's vectors with every size of KEK.
func TestExpressPlayWrappedKey(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	for _, v := range keyWraps[:3] {
		token := mint(t, s, map[string]string{"kid": hexKID(unknown), "kek": kekDigits[:2*v.kek], "ek": strings.ToLower(v.wrapped)})
		key := redeemed(t, s, token, ask{pssh: [][]byte{psshData(unknown)}}).contentKeys(t)[unknown]
		isTrue(t, strings.EqualFold(hex.EncodeToString(key.Reveal()), v.key))
	}
}

// TestExpressPlayExpiry moves the clock to both sides of a token's end, given in every way.
func TestExpressPlayExpiry(t *testing.T) {
	t.Parallel()
	r := ask{pssh: [][]byte{psshData(kid0)}}.make(t)
	for given, life := range map[string]time.Duration{
		"+300": 5 * time.Minute, "2023-11-14T22:14:20Z": time.Minute - 10*time.Millisecond, "-": 30 * 24 * time.Hour,
	} {
		s := start(t, fakes.Options{Clock: early})
		token := mint(t, s, map[string]string{"expirationTime": given})
		isTrue(t, redeem(t, s, token, r.body).status == 200)
		s.Clock().Advance(life - 1)
		isTrue(t, redeem(t, s, token, r.body).status == 200)
		s.Clock().Advance(1)
		checkProblem(t, given, redeem(t, s, token, r.body), "json", 401, -2002)
		records := s.Requests()
		isTrue(t, records[len(records)-1].Reason == "token-expired")
	}
}

// TestMisspeltNamesAreRefused: a client with a misspelt name has to notice.
func TestMisspeltNamesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Clock: early})
	for _, name := range []string{"more", "errorformat", "contentkey", "rightsType"} { // the last is one of PlayReady's
		got := askToken(t, s, http.MethodPost, parameters(s, map[string]string{name: "x"}))
		if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "a parameter is not known") {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
	}
	r := ask{}.make(t)
	token := url.QueryEscape(mint(t, s, nil))
	got, err := send(t.Context(), http.MethodPost, s.ExpressPlayLicenseURL()+"?ExpressPlayToken="+token+"&expressplaytoken=x", nil, string(r.body))
	must(t, err)
	if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "a query parameter is not known") {
		t.Errorf("in the query: status %d: %s", got.status, got.body)
	}
}
