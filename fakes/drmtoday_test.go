package fakes_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/fakes"
)

// The customer of the tests, in the forms of the document (sheet providers.md §2.4).
var drmTodayAccount = map[string]string{
	"MERCHANT": "FAKE-merchant", "SECRET": "FA4EFA4E00112233445566778899aabbccddeeff00112233445566778899aabb", "SECRET_ID": "FAKE-secret-7",
}

const (
	drmTodayWidevine  = "https://lic.staging.drmtoday.com/license-proxy-widevine/cenc/"
	drmTodayPlayReady = "https://lic.staging.drmtoday.com/license-proxy-headerauth/drmtoday/RightsManager.asmx"
)

func startDRMtoday(t testing.TB, system drm.System, o fakes.Options) lab {
	t.Helper()
	if o.ContentIDs == nil {
		o.ContentIDs = map[string][]drm.KID{"film": {kid0, kid1}, "another film": {unknown}}
	}
	return startLab(t, fakes.StandInOptions{Options: o, Provider: "drmtoday", System: system, Account: texts(drmTodayAccount)})
}

// tokenIDs makes every jti of the tests another one.
var tokenIDs atomic.Uint64

var (
	drmTodayHeader = object{"typ": "JWT", "alg": "HS256", "kid": drmTodayAccount["SECRET_ID"]}
	optData        = object{"merchant": drmTodayAccount["MERCHANT"], "userId": "FAKE-user"}
	crt            = object{"assetId": "film", "profile": object{"purchase": object{}}}
)

// drmTodayClaims are right ones with a fresh jti, and others set where they are given.
func drmTodayClaims(t testing.TB, other object) object {
	t.Helper()
	claims := object{
		"jti": fmt.Sprint("FAKE-", tokenIDs.Add(1)), "iat": requestTime - 5, "exp": requestTime + 300,
		"optData": jsonText(t, optData), "crt": jsonText(t, crt),
	}
	for name, value := range other {
		claims = with(claims, name, value)
	}
	return claims
}

func jsonText(t testing.TB, value any) string {
	t.Helper()
	b, err := json.Marshal(value)
	must(t, err)
	return string(b)
}

func drmTodayToken(t testing.TB, other object) string {
	t.Helper()
	return signJWT(t, drmTodayHeader, drmTodayClaims(t, other), unhex(t, drmTodayAccount["SECRET"]))
}

// acquireDRMtoday posts a body with a token; "" is none.
func acquireDRMtoday(t testing.TB, l lab, query, token, body string) reply {
	t.Helper()
	header := map[string]string{"Content-Type": "application/octet-stream"}
	if token != "" {
		header["x-dt-auth-token"] = token
	}
	return l.post(t, drmTodayWidevine+query, header, body)
}

// licenseInJSON returns the license of an answer in JSON, nil if it is none.
func licenseInJSON(t testing.TB, r reply) []byte {
	t.Helper()
	var told map[string]any
	if r.header.Get("Content-Type") != "application/json" || json.Unmarshal(r.body, &told) != nil || told["status"] != "OK" {
		return nil
	}
	text, _ := told["license"].(string)
	license, err := base64.StdEncoding.DecodeString(text)
	must(t, err)
	return license
}

// TestDRMtodayWidevine has answers in both forms, all algorithms, both forms of crt, and certificates.
func TestDRMtodayWidevine(t *testing.T) {
	t.Parallel()
	l, r := startDRMtoday(t, drm.Widevine, fakes.Options{}), ask{}.make(t)
	body := string(r.body)
	for _, query := range []string{"", "?assetId=film", "?variantId=x&requestId=y&specConform=false", "?specConform=true&assetId=film"} {
		raw := strings.Contains(query, "=true")
		for _, message := range []string{body, "\x08\x04"} {
			got := acquireDRMtoday(t, l, query, drmTodayToken(t, nil), message)
			answer := got.body
			if !raw {
				answer = licenseInJSON(t, got)
			}
			right := message == body && opensOnly(t, r, answer, kid0, kid1) || message != body && strings.HasPrefix(string(answer), "\x08\x05")
			info, err := base64.StdEncoding.DecodeString(got.header.Get("x-dt-client-info"))
			if got.status != 200 || !right || got.header.Get("x-dt-resp-code") != "00000" || got.header.Get("x-dt-error-message") != "" || err != nil || !json.Valid(info) {
				t.Errorf("%s: status %d, %v: %s", query, got.status, got.header, got.body)
			}
		}
	}
	for name, token := range map[string]string{
		"HS384":         signJWT(t, with(drmTodayHeader, "alg", "HS384"), drmTodayClaims(t, nil), unhex(t, drmTodayAccount["SECRET"])),
		"HS512":         signJWT(t, with(drmTodayHeader, "alg", "HS512"), drmTodayClaims(t, nil), unhex(t, drmTodayAccount["SECRET"])),
		"a list":        drmTodayToken(t, object{"crt": jsonText(t, []any{crt})}),
		"no exp":        drmTodayToken(t, object{"exp": nil}),
		"a fraction":    drmTodayToken(t, object{"iat": requestTime - 0.5}),
		"a clock ahead": drmTodayToken(t, object{"iat": requestTime + 30}),
		"old, with exp": drmTodayToken(t, object{"iat": requestTime - 7200}),
		"another asset": drmTodayToken(t, object{"crt": jsonText(t, with(crt, "assetId", "an asset of which nothing is known"))}),
	} {
		got := acquireDRMtoday(t, l, "", token, body)
		if got.status != 200 || !opensOnly(t, r, licenseInJSON(t, got), kid0, kid1) {
			t.Errorf("%s: status %d, %v: %s", name, got.status, got.header, got.body)
		}
	}
	got := l.post(t, "https://lic.drmtoday.com/license-proxy-widevine/cenc/", map[string]string{"x-dt-auth-token": drmTodayToken(t, nil)}, body)
	isTrue(t, got.status == 200)
	isTrue(t, l.post(t, "https://lic.drmtoday.com/license-proxy-widevine/cenc", nil, body).status == 404)
}

// TestDRMtodayReplay: a token counts once, for whatever it was used.
func TestDRMtodayReplay(t *testing.T) {
	t.Parallel()
	l, body := startDRMtoday(t, drm.Widevine, fakes.Options{}), string(ask{}.make(t).body)
	for _, first := range []string{body, "\x08\x04", "garbage"} {
		token := drmTodayToken(t, nil)
		acquireDRMtoday(t, l, "", token, first)
		for _, second := range []string{body, "\x08\x04"} {
			got := acquireDRMtoday(t, l, "", token, second)
			isTrue(t, got.status == 403 && got.header.Get("x-dt-resp-code") == "03007" && refusedWith(t, l.Server, "token-reused"))
		}
	}
	again := signJWT(t, drmTodayHeader, drmTodayClaims(t, object{"jti": "FAKE-again"}), unhex(t, drmTodayAccount["SECRET"]))
	isTrue(t, acquireDRMtoday(t, l, "", again, body).status == 200)
	other := signJWT(t, drmTodayHeader, drmTodayClaims(t, object{"jti": "FAKE-again", "iat": requestTime - 7}), unhex(t, drmTodayAccount["SECRET"]))
	isTrue(t, acquireDRMtoday(t, l, "", other, body).status == 403)
}

// drmTodayRefusals are tokens that get no license, by what they are made of: the number and the reason.
func drmTodayRefusals(t testing.TB) map[string]struct {
	token, code string
	reason      drm.Reason
} {
	t.Helper()
	type refusal = struct {
		token, code string
		reason      drm.Reason
	}
	secret := unhex(t, drmTodayAccount["SECRET"])
	headed := func(name string, value any) string {
		return signJWT(t, with(drmTodayHeader, name, value), drmTodayClaims(t, nil), secret)
	}
	claims := func(name string, value any) refusal {
		return refusal{drmTodayToken(t, object{name: value}), "03003", "token-claims"}
	}
	all := map[string]refusal{
		"none":               {"", "03001", "token-missing"},
		"no token":           {"garbage", "03002", "token-invalid"},
		"signature":          {altered(drmTodayToken(t, nil), -3), "03002", "token-invalid"},
		"text of the secret": {signJWT(t, drmTodayHeader, drmTodayClaims(t, nil), []byte(drmTodayAccount["SECRET"])), "03002", "token-invalid"},
		"algorithm none":     {headed("alg", "none"), "03002", "token-invalid"},
		"algorithm ES256":    {headed("alg", "ES256"), "03002", "token-invalid"},
		"no kid":             {headed("kid", nil), "03002", "token-invalid"},
		"another kid":        {headed("kid", "FAKE-secret-8"), "03002", "token-invalid"},
		"expired":            {drmTodayToken(t, object{"exp": requestTime}), "03005", "token-expired"},
		"too old":            {drmTodayToken(t, object{"exp": nil, "iat": requestTime - 3600}), "03005", "token-expired"},
		"in an hour":         {drmTodayToken(t, object{"iat": requestTime + 3600, "exp": requestTime + 7200}), "03006", "token-not-yet"},
		"not before":         {drmTodayToken(t, object{"nbf": requestTime + 3600, "exp": requestTime + 7200}), "03006", "token-not-yet"},
		"never":              {drmTodayToken(t, object{"nbf": requestTime - 5, "exp": requestTime - 5}), "03006", "token-not-yet"},
		"iat as text":        claims("iat", "1700000000"),
		"iat as date":        claims("iat", at(0)),
		"iat zero":           claims("iat", 0),
		"exp as text":        claims("exp", "1700000300"),
		"jti as number":      claims("jti", 7),
		"jti empty":          claims("jti", ""),
		"more":               claims("more", 1),
		"optData object":     claims("optData", optData),
		"crt object":         claims("crt", crt),
		"optData more":       claims("optData", jsonText(t, with(optData, "more", 1))),
		"no user":            claims("optData", jsonText(t, with(optData, "userId", nil))),
		"two profiles":       {drmTodayToken(t, object{"crt": jsonText(t, with(crt, "profile", object{"purchase": object{}, "rental": object{}}))}), "20101", "token-no-rights"},
		"two crt":            claims("crt", jsonText(t, []any{crt, crt})),
		"no crt in list":     claims("crt", "[]"),
		"crt in text twice":  claims("crt", jsonText(t, jsonText(t, crt))),
		"another merchant":   {drmTodayToken(t, object{"optData": jsonText(t, with(optData, "merchant", "another"))}), "03004", "token-audience"},
		"nothing granted":    {drmTodayToken(t, object{"crt": jsonText(t, with(crt, "profile", object{}))}), "20101", "token-no-rights"},
		"misnamed purchase":  {drmTodayToken(t, object{"crt": jsonText(t, with(crt, "profile", renamed(object{"purchase": object{}}, "purchase")))}), "20101", "token-no-rights"},
		"another film":       {drmTodayToken(t, object{"crt": jsonText(t, with(crt, "assetId", "another film"))}), "20101", "token-kid"},
	}
	for _, name := range []string{"jti", "iat", "exp", "optData", "crt"} {
		all[name+" renamed"] = refusal{signJWT(t, drmTodayHeader, renamed(drmTodayClaims(t, nil), name), secret), "03003", "token-claims"}
	}
	for name := range optData {
		all["optData."+name+" renamed"] = claims("optData", jsonText(t, renamed(optData, name)))
	}
	for name := range crt {
		all["crt."+name+" renamed"] = claims("crt", jsonText(t, renamed(crt, name)))
	}
	return all
}

func TestDRMtodayRefusals(t *testing.T) {
	t.Parallel()
	l, pr := startDRMtoday(t, drm.Widevine, fakes.Options{}), startDRMtoday(t, drm.PlayReady, fakes.Options{})
	body := string(ask{}.make(t).body)
	for name, c := range drmTodayRefusals(t) {
		for _, message := range []string{body, "\x08\x04"} {
			if c.reason == "token-kid" && message != body {
				continue // a certificate is of no content
			}
			got := acquireDRMtoday(t, l, "", c.token, message)
			if got.status != 403 || got.header.Get("x-dt-resp-code") != c.code || got.header.Get("x-dt-error-message") == "" || !refusedWith(t, l.Server, c.reason) {
				t.Errorf("%s: status %d, %v: %s", name, got.status, got.header, got.body)
			}
		}
		_, got := acquireDRMtodayPR(t, pr, c.token)
		answer, err := soap.ParseAnswer(got.body)
		must(t, err)
		if got.status != 500 || answer.Fault == nil || answer.Fault.CustomData != got.header.Get("x-dt-error-message") || got.header.Get("x-dt-resp-code") != c.code {
			t.Errorf("%s: status %d, %v: %s", name, got.status, got.header, got.body)
		}
	}
	for query, code := range map[string]string{"?assetId=another": "20101", "?assetId=": "20101"} {
		isTrue(t, acquireDRMtoday(t, l, query, drmTodayToken(t, nil), body).header.Get("x-dt-resp-code") == code)
	}
	for message, code := range map[string]string{
		"garbage": "10001", "": "10001", string(ask{pssh: [][]byte{psshData(unknown)}}.make(t).body): "20101",
		string(ask{device: authority(t, foreign).Devices()[0]}.make(t).body): "40001",
	} {
		got := acquireDRMtoday(t, l, "", drmTodayToken(t, nil), message)
		isTrue(t, got.status >= 400 && got.header.Get("x-dt-resp-code") == code && got.header.Get("x-dt-error-message") != "")
	}
	for _, header := range []map[string]string{
		{"x-dt-custom-data": "e30="}, {"x-dt-custom-data": "e30=", "x-dt-auth-token": drmTodayToken(t, nil)}, {"Authorization": drmTodayToken(t, nil)},
	} {
		got := l.post(t, drmTodayWidevine, header, body)
		isTrue(t, got.status == 403 && strings.HasPrefix(got.header.Get("x-dt-resp-code"), "03"))
	}
}

func acquireDRMtodayPR(t testing.TB, l lab, token string) (prRequest, reply) {
	t.Helper()
	r := prAsk{}.make(t)
	if token != "" {
		r.header["x-dt-auth-token"] = token
	}
	return r, l.post(t, drmTodayPlayReady, r.header, r.body)
}

func TestDRMtodayPlayReady(t *testing.T) {
	t.Parallel()
	l := startDRMtoday(t, drm.PlayReady, fakes.Options{})
	r, got := acquireDRMtodayPR(t, l, drmTodayToken(t, nil))
	o, err := openPlayReady(r, got.body)
	must(t, err)
	isTrue(t, sameKIDs(o.kids(), kid0, kid1) && got.header.Get("x-dt-resp-code") == "00000")
}

func TestDRMtodayAccount(t *testing.T) {
	t.Parallel()
	checkAccount(t, "drmtoday", drm.Widevine, drmTodayAccount, map[string][]string{
		"MERCHANT": nil, "SECRET_ID": nil, "SECRET": {"no hexadecimal", "00112233", drmTodayAccount["SECRET"] + "0"},
	})
	var logged journal
	l := startDRMtoday(t, drm.Widevine, fakes.Options{Log: logged.add})
	var said []reply
	for _, fault := range []string{"", "auth-not-enforced", "token-signature-ignored", "token-reuse-accepted", "raw-when-json-asked"} {
		l.ClearFaults()
		if fault != "" {
			must(t, l.SetFaults(fakes.Named(fault)...))
		}
		for _, c := range drmTodayRefusals(t) {
			said = append(said, acquireDRMtoday(t, l, "", c.token, string(ask{}.make(t).body)))
		}
	}
	seekAccount(t, l, drmTodayAccount, said, logged.String())
}

// drmTodayOddities are the faults as they are seen at the license service for Widevine.
func drmTodayOddities() []oddity {
	granted := func(t *testing.T, l lab, token string) bool {
		r := ask{}.make(t)
		return opensOnly(t, r, licenseInJSON(t, acquireDRMtoday(t, l, "", token, string(r.body))), kid0, kid1)
	}
	grants := func(make func(t *testing.T) string) func(*testing.T, lab) bool {
		return func(t *testing.T, l lab) bool {
			certificate := licenseInJSON(t, acquireDRMtoday(t, l, "", make(t), "\x08\x04")) != nil
			license := granted(t, l, make(t))
			isTrue(t, certificate == license) // both want a token
			return license
		}
	}
	token := func(name string, value any) func(*testing.T, lab) bool {
		return grants(func(t *testing.T) string { return drmTodayToken(t, object{name: value}) })
	}
	return []oddity{
		{"auth-not-enforced", grants(func(*testing.T) string { return "" })},
		{"token-signature-ignored", grants(func(t *testing.T) string { return altered(drmTodayToken(t, nil), -3) })},
		{"alg-none-ok", grants(func(t *testing.T) string {
			return signJWT(t, with(drmTodayHeader, "alg", "None"), drmTodayClaims(t, nil), nil)
		})},
		{"expired-accepted", token("exp", requestTime-1)},
		{"nbf-ignored", token("nbf", requestTime+200)},
		{"aud-ignored", grants(func(t *testing.T) string {
			return drmTodayToken(t, object{"optData": jsonText(t, with(optData, "merchant", "another"))})
		})},
		{"kid-not-bound", func(t *testing.T, l lab) bool {
			return granted(t, l, drmTodayToken(t, object{"crt": jsonText(t, with(crt, "assetId", "another film"))}))
		}},
		{"zero-skew", func(t *testing.T, l lab) bool {
			isTrue(t, granted(t, l, drmTodayToken(t, object{"iat": requestTime})))
			return !granted(t, l, drmTodayToken(t, object{"iat": requestTime + 1}))
		}},
		{"ttl-half", func(t *testing.T, l lab) bool {
			isTrue(t, granted(t, l, drmTodayToken(t, object{"iat": requestTime - 299})))
			return !granted(t, l, drmTodayToken(t, object{"iat": requestTime - 300}))
		}},
		{"token-reuse-accepted", func(t *testing.T, l lab) bool {
			token := drmTodayToken(t, nil)
			isTrue(t, granted(t, l, token))
			return granted(t, l, token)
		}},
		{"raw-when-json-asked", func(t *testing.T, l lab) bool {
			r := ask{}.make(t)
			got := acquireDRMtoday(t, l, "", drmTodayToken(t, nil), string(r.body))
			return got.status == http.StatusOK && opensOnly(t, r, got.body, kid0, kid1) && got.header.Get("Content-Type") == "application/octet-stream"
		}},
	}
}

// drmTodayPROddities are those at the one for PlayReady.
func drmTodayPROddities() []oddity {
	return []oddity{
		{"expired-accepted", func(t *testing.T, l lab) bool {
			_, got := acquireDRMtodayPR(t, l, drmTodayToken(t, object{"exp": requestTime - int(time.Minute/time.Second)}))
			return got.status == http.StatusOK
		}},
		{"customdata-missing-generic", func(t *testing.T, l lab) bool {
			_, got := acquireDRMtodayPR(t, l, "")
			return got.status == http.StatusInternalServerError && !strings.Contains(string(got.body), "missing")
		}},
	}
}
