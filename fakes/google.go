package fakes

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the service's definition
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/secret"
)

const googlePath = "/cenc/getlicense/"

// googleRole is Google's Widevine license service as an integrator's backend speaks to it (sheet providers.md §2.14).
func googleRole() role {
	return role{
		StandInInfo: StandInInfo{Name: "google", Title: "Google Widevine cloud license service", Systems: []drm.System{drm.Widevine}},
		credentials: []credential{plainName("PROVIDER"), plainName("SIGNER"), hexSecret("AES_KEY", 32), hexSecret("AES_IV", aes.BlockSize)},
		routes: []route{{
			hosts: []string{"license.uat.widevine.com", "license.widevine.com"}, path: googlePath + "*", system: drm.Widevine,
			open: func() provider { return &google{} },
		}},
	}
}

// google is that service in one conversation: the key request is a member of JSON that is itself a member of JSON beside its
// signature. All errors have the status 200.
type google struct {
	inner         []byte // as sent, which is what is signed
	signature     []byte
	signer        string
	said          string // provider in the path
	asked         googleRequest
	outer, within *flaw // what is wrong with the envelope and with the message in it
}

func (g *google) unwrap(_ *exchange, r *http.Request, body []byte) []byte {
	g.said = strings.TrimPrefix(r.URL.Path, googlePath)
	if g.outer = g.readEnvelope(body); g.outer != nil {
		return nil
	}
	m, err := readMembers(g.inner)
	if err != nil {
		g.within = &flaw{reasonMalformed, "request is no JSON object"}
		return nil
	}
	g.asked, g.within = readGoogleRequest(m)
	return g.asked.payload
}

func (g *google) readEnvelope(body []byte) *flaw {
	m, err := readMembers(body)
	if err != nil || !m.only("request", "signature", "signer") {
		return &flaw{reasonMalformed, "the body is no JSON object of request, signature and signer"}
	}
	var ok bool
	if g.inner, ok = m.base64("request"); !ok {
		return &flaw{reasonMalformed, "request is missing, or not base64"}
	}
	if g.signature, ok = m.base64("signature"); !ok && m.has("signature") {
		return &flaw{reasonMalformed, "signature is not base64"}
	}
	g.signer = m.text("signer")
	return nil
}

// authorize verifies signer and signature before it looks at what is signed. A certificate request is signed like any other.
func (g *google) authorize(x *exchange) *refusal {
	if f := g.verify(x); f != nil {
		return refuse(http.StatusOK, f.reason, f.text)
	}
	foreign := func() *refusal {
		return refuse(http.StatusOK, flawForeign.reason, "no content_key_specs for this content")
	}
	x.entitlement = g.asked.entitlement(x, foreign)
	return nil
}

func (g *google) verify(x *exchange) *flaw {
	if g.outer != nil {
		return g.outer
	}
	unsigned := len(g.signature) == 0 && g.signer == ""
	switch {
	case unsigned && x.acts(faultNotEnforced):
	case len(g.signature) == 0 || g.signer == "":
		return &flaw{reasonTokenMissing, "signature or signer is missing"}
	default:
		if f := x.addressed(g.signer, x.server.account.text("SIGNER"), "signer"); f != nil {
			return f
		}
		want := googleSignature(x.server.account.bytes("AES_KEY"), x.server.account.bytes("AES_IV"), g.inner)
		if !hmac.Equal(want, g.signature) && !x.acts(faultTokenSignature) {
			return &flaw{reasonTokenInvalid, "the signature does not verify"}
		}
	}
	if g.within != nil {
		return g.within
	}
	own := x.server.account.text("PROVIDER")
	if f := x.addressed(g.said, own, "provider in the path"); f != nil {
		return f
	}
	return x.addressed(g.asked.provider, own, "provider")
}

// googleSignature is AES-256-CBC with PKCS#7 padding over the SHA-1 of the message.
func googleSignature(key, iv secret.Bytes, message []byte) []byte {
	sum := sha1.Sum(message) //nolint:gosec // the service's definition
	padding := aes.BlockSize - len(sum)%aes.BlockSize
	padded := append(sum[:], slices.Repeat([]byte{byte(padding)}, padding)...)
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil // the account has no such key
	}
	cipher.NewCBCEncrypter(block, iv.Reveal()).CryptBlocks(padded, padded)
	return padded
}

// googleAnswer is every answer.
type googleAnswer struct {
	Status   string `json:"status"`
	Message  string `json:"status_message,omitempty"`
	License  []byte `json:"license,omitempty"`
	Kind     string `json:"message_type,omitempty"`
	Internal int    `json:"internal_status"`
}

func (a googleAnswer) answer() answer {
	body, _ := json.Marshal(a) // texts and bytes can be marshalled
	return answer{status: http.StatusOK, contentType: "application/json", body: body}
}

// refuse answers with status 200. Which values the service has for a wrong signature, an unknown signer or a device that it
// refuses is not in the public documents; here all of them are INVALID_REQUEST, and what can't be read is MALFORMED_REQUEST.
func (g *google) refuse(_ *exchange, why *refusal, _ answer) answer {
	a := googleAnswer{Status: "INVALID_REQUEST", Message: why.text, Internal: 1}
	switch why.reason {
	case reasonMalformed, reasonEmpty, reasonMessageType, reasonRequestType, reasonContentID:
		a.Status = "MALFORMED_REQUEST"
	case reasonInternal:
		a.Status = "INTERNAL_ERROR"
	}
	return a.answer()
}

// takesAnyType: a widely used packager declared its JSON as text/xml, and earlier as a form, and was served (sheet providers.md §7.1,
// TR-06).
func (*google) takesAnyType() {}

func (g *google) answer(x *exchange, a answer) answer {
	kind := "LICENSE"
	if x.request.operation == drm.KindCertificate {
		kind = "SERVICE_CERTIFICATE"
	}
	return googleAnswer{Status: "OK", License: a.body, Kind: kind}.answer()
}

// kidsOf returns the KIDs that a request asks for. One that names none asks for what its specs name.
func (q googleRequest) kidsOf(x *exchange) []drm.KID {
	c := &x.request.content
	known := slices.ContainsFunc(c.contentIDs, func(id string) bool { return len(x.server.contentIDs[id]) > 0 })
	if len(c.kids) == 0 && !known {
		for _, s := range q.specs {
			if s.kid != nil {
				c.kids = append(c.kids, *s.kid)
			}
		}
	}
	kids := slices.Clone(c.kids)
	for _, id := range c.contentIDs {
		kids = append(kids, x.server.contentIDs[id]...)
	}
	return kids
}

// entitlement is for the keys that are specified: by KID, or for every KID of a track type. Without specs it is for all of the
// allowed track types.
func (q googleRequest) entitlement(x *exchange, foreign func() *refusal) *entitlement {
	e := &entitlement{policy: q.policy, foreign: foreign}
	for _, kid := range q.kidsOf(x) {
		label := x.server.tracks[kid].Label
		if len(q.specs) == 0 && (!q.sdOnly || !slices.Contains(beyondSD, label)) {
			e.terms = append(e.terms, terms{kid: kid})
		}
		for _, s := range q.specs {
			if !e.has(kid) && (s.kid != nil && *s.kid == kid || s.kid == nil && s.track == label) {
				e.terms = append(e.terms, terms{kid: kid, key: s.key, track: s.apply})
			}
		}
	}
	return e
}

// beyondSD are the track types that SD_ONLY leaves out.
var beyondSD = []string{"HD", "UHD1", "UHD2"}

// base64Of16 returns the key or KID that a text in base64 holds, if that are 16 bytes.
func base64Of16(text string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	return b, err == nil && len(b) == contentKeyLen
}
