package fakes

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"time"

	"keyflow/drm"
)

// drmTodayRole is castLabs DRMtoday, production and staging (sheet providers.md §2.4), for customers who issue tokens up front.
func drmTodayRole() role {
	hosts := []string{"lic.drmtoday.com", "lic.staging.drmtoday.com"}
	open := func() provider { return &drmToday{} }
	query := []string{"assetId", "variantId", "requestId", "specConform"}
	return role{
		StandInInfo: StandInInfo{Name: "drmtoday", Title: "castLabs DRMtoday: license services", Systems: []drm.System{drm.Widevine, drm.PlayReady}},
		credentials: []credential{plainName("MERCHANT"), hexSecret("SECRET", 0), plainName("SECRET_ID")},
		routes: []route{
			{hosts: hosts, path: "/license-proxy-widevine/cenc/", system: drm.Widevine, open: open, query: query},
			{hosts: hosts, path: "/license-proxy-headerauth/drmtoday/RightsManager.asmx", system: drm.PlayReady, open: open, query: query},
		},
	}
}

// drmTodayAge is how old a token without exp may be. The document has no such bound; it is the stand-in's choice.
const drmTodayAge = 30 * time.Minute

// drmToday is DRMtoday's license service in one conversation: requests are raw, and a token in a header goes with each of them, also
// with one for a certificate.
type drmToday struct {
	tokens   []string // of the header, as sent
	callback bool     // authorization is to be asked of the customer
	query    url.Values
}

func (d *drmToday) unwrap(_ *exchange, r *http.Request, body []byte) []byte {
	d.tokens, d.query = r.Header.Values("x-dt-auth-token"), r.URL.Query()
	d.callback = r.Header.Get("x-dt-custom-data") != ""
	return body
}

// authorize verifies the token and uses it up.
func (d *drmToday) authorize(x *exchange) *refusal {
	if len(d.tokens) == 0 || d.tokens[0] == "" {
		switch {
		case x.acts(faultNotEnforced):
			return nil
		case d.callback:
			return d.deny(x, &flaw{reasonTokenMissing, "the token is missing: x-dt-custom-data is not served here"})
		}
		return d.deny(x, flawMissing)
	}
	if len(d.tokens) > 1 || d.callback {
		return d.deny(x, flawPlaces)
	}
	asset, f := d.open(x, d.tokens[0])
	if f != nil {
		return d.deny(x, f)
	}
	// Which KIDs an asset has is known for the content ids of the options; of other assets any key is granted.
	kids, known := x.server.contentIDs[asset]
	x.entitlement = &entitlement{any: !known, foreign: func() *refusal { return d.deny(x, flawForeign) }}
	for _, kid := range kids {
		x.entitlement.terms = append(x.entitlement.terms, terms{kid: kid})
	}
	return nil
}

// open verifies a token and returns the asset that it is for.
func (d *drmToday) open(x *exchange, text string) (asset string, f *flaw) {
	t, f := x.openJWT(text, x.server.account.bytes("SECRET"), "HS256", "HS384", "HS512")
	if f != nil {
		return "", f
	}
	c := t.claims
	switch {
	case t.header.text("kid") != x.server.account.text("SECRET_ID"):
		return "", &flaw{reasonTokenInvalid, "kid of the token's header names no secret of this account"}
	case !c.only("jti", "iat", "exp", "nbf", "iss", "sub", "aud", "optData", "crt"):
		return "", claimFlaw("a claim is not known")
	case c.text("jti") == "":
		return "", claimFlaw("jti is missing")
	}
	v := validity{maxAge: drmTodayAge}
	if !readSeconds(c, "iat", &v.issued) || v.issued.IsZero() || !readSeconds(c, "nbf", &v.begins) || !readSeconds(c, "exp", &v.ends) {
		return "", claimFlaw("iat is missing, or a time is no number of seconds")
	}
	if f = readOptData(x, c); f != nil {
		return "", f
	}
	asset, f = readRightsToken(c)
	switch {
	case f != nil:
		return "", f
	case d.query.Has("assetId") && d.query.Get("assetId") != asset:
		return "", &flaw{reasonTokenKID, "assetId of the query is not that of crt"}
	}
	if f = v.judge(x); f != nil {
		return "", f
	}
	if !x.server.used.first(c.text("jti")) && !x.acts(faultReplay) {
		return "", flawReused
	}
	return asset, nil
}

// readSeconds reads an optional NumericDate (RFC 7519 §2).
func readSeconds(c members, name string, into *time.Time) bool {
	if !c.has(name) {
		return true
	}
	var seconds float64
	if !c.read(name, &seconds) || seconds < 1 || seconds > math.MaxUint32*64 {
		return false
	}
	whole, part := math.Modf(seconds)
	*into = time.Unix(int64(whole), int64(part*float64(time.Second)))
	return true
}

// readOptData reads who asks: JSON that was serialized into a text.
func readOptData(x *exchange, c members) *flaw {
	o, err := readMembers([]byte(c.text("optData")))
	switch {
	case err != nil:
		return claimFlaw("optData is missing, or no JSON object in a text")
	case !o.only("merchant", "userId", "sessionId") || o.text("merchant") == "" || o.text("userId") == "":
		return claimFlaw("optData lacks merchant or userId, or has a member that is not known")
	}
	return x.addressed(o.text("merchant"), x.server.account.text("MERCHANT"), "merchant of optData")
}

// readRightsToken reads what for, and which rights: an object, or a list with one, that was serialized into a text.
func readRightsToken(c members) (asset string, f *flaw) {
	text := []byte(c.text("crt"))
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) == 1 {
		text = list[0]
	}
	crt, err := readMembers(text)
	if err != nil {
		return "", claimFlaw("crt is missing, or no JSON object in a text, nor a list with one")
	}
	if asset = crt.text("assetId"); asset == "" || !crt.only("assetId", "variantId", "accountingId", "profile", "outputProtection", "op", "storeLicense", "ref") {
		return "", claimFlaw("crt lacks assetId, or has a member that is not known")
	}
	profile := crt.object("profile")
	switch {
	case profile == nil:
		return "", claimFlaw("crt.profile is missing, or no object")
	case profile.object("purchase") == nil || len(profile) != 1:
		return "", &flaw{reasonNotGranted, "crt.profile has no purchase, which alone is served here"}
	}
	return asset, nil
}

// deny refuses with 403; PlayReady has a SOAP fault.
func (d *drmToday) deny(x *exchange, f *flaw) *refusal {
	if x.record.System == drm.PlayReady {
		return x.tokenFault(f, f.text)
	}
	return refuse(http.StatusForbidden, f.reason, f.text)
}

// drmTodayCodes are the numbers for refusals. The sheet has their groups, and 10001 and 20101 alone; the others are the stand-in's.
var drmTodayCodes = map[drm.Reason]string{
	reasonTokenMissing: "03001", reasonTokenInvalid: "03002", reasonTokenClaims: "03003", reasonTokenAudience: "03004", reasonTokenExpired: "03005",
	reasonTokenEarly: "03006", reasonTokenReused: "03007", reasonTokenPlaces: "03008",
	reasonNotGranted: "20101", reasonTokenKID: "20101", reasonUnknownContent: "20101",
	reasonChain: "40001", reasonExpired: "40001", reasonRevoked: "40002", reasonSignature: "40003", reasonSecurity: "40004",
	reasonInternal: "01000",
}

// refuse tells number and text in headers.
func (d *drmToday) refuse(x *exchange, why *refusal, a answer) answer {
	code := cmp.Or(drmTodayCodes[why.reason], "10001")
	if why.reason == reasonUnknownContent && x.record.System == drm.Widevine {
		a.status = http.StatusForbidden
	}
	return d.dressed(a, code).withHeader("x-dt-error-message", why.text)
}

// answer puts what Widevine clients get into JSON, unless the raw form was asked for.
func (d *drmToday) answer(x *exchange, a answer) answer {
	raw := x.record.System == drm.PlayReady || d.query.Get("specConform") == "true"
	if !raw && !x.acts(faultRawForJSON) {
		body, _ := json.Marshal(struct { // a text in base64 can be marshalled
			Status  string `json:"status"`
			License []byte `json:"license"`
		}{"OK", a.body})
		a.contentType, a.body = "application/json", body
	}
	return d.dressed(a, "00000")
}

// dressed adds the headers of every answer. What the client info says is the stand-in's choice.
func (d *drmToday) dressed(a answer, code string) answer {
	info := base64.StdEncoding.EncodeToString([]byte(`{"device":"software"}`))
	return a.withHeader("x-dt-resp-code", code).withHeader("x-dt-client-info", info)
}
