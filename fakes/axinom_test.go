package fakes_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// The customer of the tests, in the forms of the document (sheet providers.md §2.2).
var axinomAccount = map[string]string{
	"COM_KEY_ID": "aaaaaaaa-0000-4000-8000-00000000c0de", "COM_KEY": "RkFLRSBjb21tdW5pY2F0aW9uIGtleSBvZiAzMiBieXQ=",
}

const (
	axinomWidevine  = "https://drm-widevine-licensing.axprod.net/AcquireLicense"
	axinomPlayReady = "https://drm-playready-licensing.axprod.net/AcquireLicense"
)

func startAxinom(t testing.TB, system drm.System, o fakes.Options) lab {
	t.Helper()
	return startLab(t, fakes.StandInOptions{Options: o, Provider: "axinom", System: system, Account: texts(axinomAccount)})
}

func axinomKey(t testing.TB) []byte {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(axinomAccount["COM_KEY"])
	must(t, err)
	return key
}

var hs256 = object{"alg": "HS256", "typ": "JWT"}

// entitlementOf is an entitlement message for KIDs, and message wraps one into a License Service Message: as the document has them.
func entitlementOf(kids ...drm.KID) object {
	inline := []object{}
	for _, kid := range kids {
		inline = append(inline, object{"id": kid.String()})
	}
	return object{
		"type": "entitlement_message", "version": 2, "license": object{"duration": 600}, "content_keys_source": object{"inline": inline},
	}
}

func messageOf(entitlement object) object {
	return object{
		"version": 1, "com_key_id": axinomAccount["COM_KEY_ID"], "begin_date": at(-time.Minute), "expiration_date": at(5 * time.Minute),
		"message": entitlement,
	}
}

func axinomToken(t testing.TB, message object) string {
	t.Helper()
	return signJWT(t, hs256, message, axinomKey(t))
}

// acquireAxinom posts the request for both KIDs with a token in the header; "" is none.
func acquireAxinom(t testing.TB, l lab, token string) (request, reply) {
	t.Helper()
	r, header := ask{}.make(t), map[string]string{"Content-Type": "application/octet-stream"}
	if token != "" {
		header["X-AxDRM-Message"] = token
	}
	return r, l.post(t, axinomWidevine, header, string(r.body))
}

// TestAxinomWidevine has the three hosts' forms, both carriers, a license that says what was asked for, and a certificate.
func TestAxinomWidevine(t *testing.T) {
	t.Parallel()
	l := startAxinom(t, drm.Widevine, fakes.Options{})
	token := axinomToken(t, messageOf(entitlementOf(kid0, kid1, unknown)))
	r := ask{}.make(t)
	for _, host := range []string{"drm-widevine-licensing.axprod.net", "drm-widevine-licensing.axtest.net", "d6be60ef.drm-widevine-licensing.axprod.net"} {
		to := "https://" + host + "/AcquireLicense"
		for _, got := range []reply{
			l.post(t, to, map[string]string{"X-AxDRM-Message": token}, string(r.body)), l.post(t, to+"?AxDrmMessage="+token, nil, string(r.body)),
		} {
			if got.status != http.StatusOK || !opensOnly(t, r, got.body, kid0, kid1) || got.header.Get("X-AxDRM-ErrorMessage") != "" {
				t.Errorf("%s: status %d, %v: %s", host, got.status, got.header, got.body)
			}
		}
		certificate := l.post(t, to, map[string]string{"X-AxDRM-Message": token}, "\x08\x04")
		isTrue(t, certificate.status == http.StatusOK && string(certificateOf(t, certificate.body)) == string(l.Authority().ServiceCertificate()))
	}
	_, got := acquireAxinom(t, l, token)
	o, err := openLicense(r, got.body)
	must(t, err)
	isTrue(t, o.license.GetPolicy().GetLicenseDurationSeconds() == 600 && !o.license.GetPolicy().GetCanPersist())
	persistent := entitlementOf(kid0, kid1)
	persistent["license"] = object{"allow_persistence": true}
	_, got = acquireAxinom(t, l, axinomToken(t, messageOf(persistent)))
	o, err = openLicense(r, got.body)
	must(t, err)
	isTrue(t, o.license.GetPolicy().GetLicenseDurationSeconds() == 7200) // the server's own
	for _, to := range []string{"https://drm-widevine-licensing.axprod.net/", "https://drm-playready-licensing.axprod.net/acquirelicense"} {
		isTrue(t, l.post(t, to, map[string]string{"X-AxDRM-Message": token}, string(r.body)).status == http.StatusNotFound)
	}
	if _, err := l.client.Get("https://a.b.drm-widevine-licensing.axprod.net/"); err == nil {
		t.Error("two labels before a host lead to the stand-in")
	}
}

// axinomRefusals are tokens that get no license: what they are made of, status and reason.
func axinomRefusals(t testing.TB) map[string]struct {
	token  string
	status int
	reason drm.Reason
} {
	t.Helper()
	type refusal = struct {
		token  string
		status int
		reason drm.Reason
	}
	right := messageOf(entitlementOf(kid0, kid1))
	entitled := func(e object) string { return axinomToken(t, messageOf(e)) }
	source := func(inline any) string {
		return entitled(with(entitlementOf(), "content_keys_source", object{"inline": inline}))
	}
	claims := func(token string) refusal { return refusal{token, 400, "token-claims"} }
	all := map[string]refusal{
		"none":                {"", 403, "token-missing"},
		"no token":            {"garbage", 400, "token-invalid"},
		"a part too many":     {axinomToken(t, right) + ".", 400, "token-invalid"},
		"padded":              {axinomToken(t, right) + "=", 400, "token-invalid"},
		"not an object":       {"W10.W10.", 400, "token-invalid"},
		"another type":        {signJWT(t, with(hs256, "typ", "JWE"), right, axinomKey(t)), 400, "token-invalid"},
		"critical extension":  {signJWT(t, with(hs256, "crit", []string{"x"}), right, axinomKey(t)), 400, "token-invalid"},
		"signature":           {altered(axinomToken(t, right), -3), 403, "token-invalid"},
		"another key":         {signJWT(t, hs256, right, []byte(axinomAccount["COM_KEY"])), 403, "token-invalid"}, // its text
		"algorithm none":      {signJWT(t, object{"alg": "none"}, right, nil), 403, "token-invalid"},
		"algorithm HS512":     {signJWT(t, object{"alg": "HS512"}, right, axinomKey(t)), 403, "token-invalid"},
		"algorithm RS256":     {signJWT(t, object{"alg": "RS256"}, right, nil), 403, "token-invalid"},
		"another customer":    {axinomToken(t, with(right, "com_key_id", kid0.String())), 403, "token-audience"},
		"expired":             {axinomToken(t, with(right, "expiration_date", at(0))), 403, "token-expired"},
		"in an hour":          {axinomToken(t, with(right, "begin_date", at(time.Hour))), 403, "token-not-yet"},
		"ends first":          {axinomToken(t, with(right, "expiration_date", right["begin_date"])), 403, "token-not-yet"},
		"date of seconds":     claims(axinomToken(t, with(right, "expiration_date", requestTime+300))),
		"date alone":          claims(axinomToken(t, with(right, "begin_date", "2023-11-14"))),
		"version 2":           claims(axinomToken(t, with(right, "version", 2))),
		"version as text":     claims(axinomToken(t, with(right, "version", "1"))),
		"other case":          claims(axinomToken(t, with(with(right, "Version", 1), "version", nil))),
		"no entitlement":      claims(axinomToken(t, with(right, "message", nil))),
		"entitlement as text": claims(axinomToken(t, with(right, "message", "{}"))),
		"exp":                 claims(axinomToken(t, with(right, "exp", requestTime+300))),
		"another message":     claims(entitled(with(entitlementOf(kid0, kid1), "type", "license_request_info"))),
		"entitlement 1":       claims(entitled(with(entitlementOf(kid0, kid1), "version", 1))),
		"duration 0":          claims(entitled(with(entitlementOf(kid0, kid1), "license", object{"duration": 0}))),
		"duration as text":    claims(entitled(with(entitlementOf(kid0, kid1), "license", object{"duration": "600"}))),
		"duration misnamed":   claims(entitled(with(entitlementOf(kid0, kid1), "license", object{"duration_seconds": 600}))),
		"license a list":      claims(entitled(with(entitlementOf(kid0, kid1), "license", []int{}))),
		"another source":      claims(entitled(with(entitlementOf(), "content_keys_source", object{"stored": []object{}}))),
		"keys no list":        claims(source(object{"id": kid0.String()})),
		"key without id":      claims(source([]object{{"kid": kid0.String()}})),
		"id in hexadecimal":   claims(source([]object{{"id": hexKID(kid0)}})),
		"id in base64":        claims(source([]object{{"id": b64(kid0[:])}})),
		"key along":           claims(source([]object{{"id": kid0.String(), "encrypted_key": b64(make([]byte, 16))}})),
		"policy not there":    claims(source([]object{{"id": kid0.String(), "usage_policy": "A"}})),
		"another KID":         {entitled(entitlementOf(unknown)), 403, "token-kid"},
		"one KID missing":     {entitled(entitlementOf(kid0)), 403, "token-kid"}, // of a request for two
		"no KID":              {entitled(entitlementOf()), 403, "token-kid"},
	}
	for name := range right {
		all[name+" renamed"] = claims(axinomToken(t, renamed(right, name)))
	}
	for name := range entitlementOf() {
		all["message."+name+" renamed"] = claims(entitled(renamed(entitlementOf(kid0, kid1), name)))
	}
	return all
}

func TestAxinomRefusals(t *testing.T) {
	t.Parallel()
	l, pr := startAxinom(t, drm.Widevine, fakes.Options{}), startAxinom(t, drm.PlayReady, fakes.Options{})
	for name, c := range axinomRefusals(t) {
		_, got := acquireAxinom(t, l, c.token)
		text := strings.TrimSpace(string(got.body))
		if got.status != c.status || got.header.Get("X-AxDRM-ErrorMessage") != text || text == "" || !refusedWith(t, l.Server, c.reason) {
			t.Errorf("%s: status %d, %v: %s, want %d", name, got.status, got.header, got.body, c.status)
		}
		for _, carrier := range carriers {
			_, got = acquireAxinomPR(t, pr, carrier, c.token)
			answer, err := soap.ParseAnswer(got.body)
			must(t, err)
			if got.status != 500 || answer.Fault == nil || answer.Fault.CustomData != text || got.header.Get("X-AxDRM-ErrorMessage") != text ||
				answer.Fault.Code != soap.CodeServiceSpecific || answer.Fault.Actor != axinomPlayReady || !refusedWith(t, pr.Server, c.reason) {
				t.Errorf("%s in %s: status %d, %v: %s", name, carrier, got.status, got.header, got.body)
			}
		}
	}
	token := axinomToken(t, messageOf(entitlementOf(kid0, kid1)))
	r := ask{}.make(t)
	for _, query := range []string{"?AxDrmMessage=" + token, "?AxDrmMessage=x"} {
		got := l.post(t, axinomWidevine+query, map[string]string{"X-AxDRM-Message": token}, string(r.body))
		isTrue(t, got.status == http.StatusBadRequest && refusedWith(t, l.Server, "token-places"))
	}
	for _, header := range []string{"Authorization", "X-AxDRM-Messages", "AxDrmMessage"} {
		got := l.post(t, axinomWidevine+"?axdrmmessage="+token, map[string]string{header: token}, string(r.body))
		isTrue(t, got.status == http.StatusForbidden && refusedWith(t, l.Server, "token-missing"))
	}
	for body, status := range map[string]int{"garbage": 400, string(ask{device: authority(t, foreign).Devices()[0]}.make(t).body): 403} {
		got := l.post(t, axinomWidevine, map[string]string{"X-AxDRM-Message": token}, body)
		isTrue(t, got.status == status && got.header.Get("X-AxDRM-ErrorMessage") != "")
	}
	strange := axinomToken(t, messageOf(entitlementOf(unknown)))
	got := l.post(t, axinomWidevine, map[string]string{"X-AxDRM-Message": strange}, string(ask{pssh: [][]byte{psshData(unknown)}}.make(t).body))
	isTrue(t, got.status == 403 && refusedWith(t, l.Server, "unknown-content"))
}

// acquireAxinomPR posts a challenge for both KIDs with a token in one of the carriers.
func acquireAxinomPR(t testing.TB, l lab, carrier, token string) (prRequest, reply) {
	t.Helper()
	a, to := prAsk{}, axinomPlayReady
	if carrier == "custom data" {
		a.la = func(la *soap.LA) { la.CustomData = secret.New([]byte(token)) }
	}
	r := a.make(t)
	header := map[string]string{}
	for name, value := range r.header {
		header[name] = value
	}
	switch {
	case token == "":
	case carrier == "query":
		to += "?AxDrmMessage=" + url.QueryEscape(token)
	case carrier == "header":
		header["X-AxDRM-Message"] = token
	}
	return r, l.post(t, to, header, r.body)
}

func TestAxinomPlayReady(t *testing.T) {
	t.Parallel()
	l := startAxinom(t, drm.PlayReady, fakes.Options{})
	stored := entitlementOf(kid1, kid0)
	stored["license"] = object{"duration": 60, "allow_persistence": true}
	for _, carrier := range carriers {
		for _, persists := range []bool{false, true} {
			entitlement := entitlementOf(kid0, kid1)
			if persists {
				entitlement = stored
			}
			r, got := acquireAxinomPR(t, l, carrier, axinomToken(t, messageOf(entitlement)))
			o, err := openPlayReady(r, got.body)
			must(t, err)
			p := o.licenses[0].Policy
			life := map[bool]time.Duration{false: 10 * time.Minute, true: time.Minute}[persists]
			isTrue(t, sameKIDs(o.kids(), kid0, kid1) && p.CannotPersist != persists && p.End.Sub(p.Begin) == life && p.RealTimeExpiration != persists)
		}
	}
	two := axinomToken(t, messageOf(stored))
	r := prAsk{}.carrying("custom data", two).make(t)
	r.header["X-AxDRM-Message"] = two
	isTrue(t, l.post(t, axinomPlayReady, r.header, r.body).status == 500 && refusedWith(t, l.Server, "token-places"))
}

func TestAxinomAccount(t *testing.T) {
	t.Parallel()
	checkAccount(t, "axinom", drm.Widevine, axinomAccount, map[string][]string{
		"COM_KEY_ID": nil, "COM_KEY": {"not base64!", "c2hvcnQ=", "RkFLRSBjb21tdW5pY2F0aW9uIGtleSBvZiAzMiBieXQ"},
	})
	var logged journal
	l := startAxinom(t, drm.Widevine, fakes.Options{Log: logged.add})
	var said []reply
	for _, fault := range []string{"", "auth-not-enforced", "token-signature-ignored", "aud-ignored", "alg-none-ok"} {
		l.ClearFaults()
		if fault != "" {
			must(t, l.SetFaults(fakes.Named(fault)...))
		}
		for _, c := range axinomRefusals(t) {
			_, got := acquireAxinom(t, l, c.token)
			said = append(said, got)
		}
	}
	seekAccount(t, l, axinomAccount, said, logged.String())
}

// axinomOddities are the faults as they are seen at the license service for Widevine.
func axinomOddities() []oddity {
	right := messageOf(entitlementOf(kid0, kid1))
	granted := func(t *testing.T, l lab, token string) bool {
		r, got := acquireAxinom(t, l, token)
		return got.status == http.StatusOK && opensOnly(t, r, got.body, kid0, kid1)
	}
	grants := func(make func(t *testing.T) string) func(*testing.T, lab) bool {
		return func(t *testing.T, l lab) bool { return granted(t, l, make(t)) }
	}
	return []oddity{
		{"auth-not-enforced", grants(func(*testing.T) string { return "" })},
		{"token-signature-ignored", grants(func(t *testing.T) string { return altered(axinomToken(t, right), -3) })},
		{"alg-none-ok", grants(func(t *testing.T) string { return signJWT(t, object{"alg": "none", "typ": "JWT"}, right, nil) })},
		{"expired-accepted", grants(func(t *testing.T) string { return axinomToken(t, with(right, "expiration_date", at(-time.Second))) })},
		{"nbf-ignored", grants(func(t *testing.T) string { return axinomToken(t, with(right, "begin_date", at(4*time.Minute))) })},
		{"aud-ignored", grants(func(t *testing.T) string { return axinomToken(t, with(right, "com_key_id", "another")) })},
		{"kid-not-bound", grants(func(t *testing.T) string { return axinomToken(t, messageOf(entitlementOf(unknown))) })},
		{"zero-skew", func(t *testing.T, l lab) bool {
			isTrue(t, granted(t, l, axinomToken(t, with(right, "begin_date", at(0)))))
			return !granted(t, l, axinomToken(t, with(right, "begin_date", at(time.Second))))
		}},
		{"ttl-half", func(t *testing.T, l lab) bool {
			isTrue(t, granted(t, l, axinomToken(t, with(right, "begin_date", at(-299*time.Second)))))
			return !granted(t, l, axinomToken(t, with(right, "begin_date", at(-300*time.Second))))
		}},
		{"token-consumed-by-cert", func(t *testing.T, l lab) bool {
			token := axinomToken(t, with(right, "id", fmt.Sprint(len(l.Requests()))))
			isTrue(t, l.post(t, axinomWidevine, map[string]string{"X-AxDRM-Message": token}, "\x08\x04").status == http.StatusOK)
			return !granted(t, l, token)
		}},
	}
}

// axinomPROddities are the faults of a challenge's carriers.
func axinomPROddities() []oddity {
	return []oddity{
		{"customdata-ignored", func(t *testing.T, l lab) bool {
			_, got := acquireAxinomPR(t, l, "custom data", axinomToken(t, messageOf(entitlementOf(kid0, kid1))))
			return got.status != http.StatusOK
		}},
		{"customdata-missing-generic", func(t *testing.T, l lab) bool {
			_, got := acquireAxinomPR(t, l, "query", "")
			return !strings.Contains(string(got.body), "missing") && got.status == http.StatusInternalServerError
		}},
	}
}
