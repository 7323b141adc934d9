package fakes_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/fakes"
)

// The codes of sheet playready.md §8.4 that the fake refuses with.
const (
	prInternal = soap.Code(0x8004C600)
	prInvalid  = soap.Code(0x8004C601)
	prService  = soap.Code(0x8004C604)
	prVersion  = soap.Code(0x8004C60B)
)

// checkFault checks that an answer is the SOAP fault of the code and nothing else, and that the history has the refusal.
func checkFault(t *testing.T, s *fakes.Server, answer reply, code soap.Code, reason drm.Reason) {
	t.Helper()
	if answer.status != http.StatusInternalServerError || answer.header.Get("Content-Type") != soap.ContentType {
		t.Errorf("status %d, %s: %.200s", answer.status, answer.header.Get("Content-Type"), answer.body)
	}
	parsed, err := soap.ParseAnswer(answer.body)
	if err != nil || parsed.Fault == nil {
		t.Fatalf("no SOAP fault: %v: %.200s", err, answer.body)
	}
	want := soap.Fault{FaultCode: "soap:Server", Text: parsed.Fault.Text, Actor: s.PlayReadyURL(), Code: code}
	if code == prService {
		want.CustomData = want.Text
	}
	if got := string(answer.body); got != string(soap.FaultBody(want)) || want.Text == "" || len(want.Text) > 100 {
		t.Errorf("%s\nwant code %v and a short text", got, code)
	}
	r := lastRecord(t, s)
	if r.Reason != reason || r.Outcome != fakes.Refused || r.Status != answer.status || len(r.Granted) > 0 || r.System != drm.PlayReady {
		t.Errorf("reason %q, want %q: %+v", r.Reason, reason, r)
	}
}

func laWith(alter func(*soap.LA)) prAsk { return prAsk{la: alter} }

// TestPlayReadyRefusals has what can be wrong with a challenge that can be read and whose chain is trusted (sheet playready.md
// §11, steps 3 and 6 to 8).
func TestPlayReadyRefusals(t *testing.T) {
	t.Parallel()
	version := func(v string) prAsk { return laWith(func(la *soap.LA) { la.Version = v }) }
	nonce := func(v string) prAsk { return laWith(func(la *soap.LA) { la.Nonce = v }) }
	at := func(v string) prAsk { return laWith(func(la *soap.LA) { la.ClientTime = v }) }
	off := func(d time.Duration) prAsk { return at(fmt.Sprint(requestTime + int(d.Seconds()))) }
	sign := func(f func([]byte) []byte) prAsk { return prAsk{sign: f} }
	fixed := func(b []byte) prAsk { return sign(func([]byte) []byte { return b }) }
	sent := func(from, to string) prAsk {
		return prAsk{sent: func(la string) string { return strings.Replace(la, from, to, 1) }}
	}
	public := firstPlayReady(t).SigningKey().Public()
	announce := func(key []byte) prAsk {
		return prAsk{body: func(b string) string {
			return strings.Replace(b, "<PublicKey>"+b64(public[:]), "<PublicKey>"+b64(key), 1)
		}}
	}
	other, err := ecc.GenerateKey()
	must(t, err)
	another := other.Public()
	const wrong, cbc = "AAAAAAAAAAA=", "AESCBC"
	for name, c := range map[string]struct {
		ask    prAsk
		code   soap.Code
		reason drm.Reason
	}{
		"KID altered":            {sent(guidText(kid0), guidText(kid1)), prInvalid, "request-digest"},
		"nonce altered":          {sent("<LicenseNonce>8A", "<LicenseNonce>8B"), prInvalid, "request-digest"},
		"element added":          {sent("</LA>", "<CustomData>x</CustomData></LA>"), prInvalid, "request-digest"},
		"white space added":      {sent("<Version>", "\n<Version>"), prInvalid, "request-digest"},
		"a bit of r":             {sign(func(b []byte) []byte { return flip(b, 3) }), prInvalid, "request-signature"},
		"a bit of s":             {sign(func(b []byte) []byte { return flip(b, 60) }), prInvalid, "request-signature"},
		"r is 0":                 {sign(func(b []byte) []byte { return append(make([]byte, 32), b[32:]...) }), prInvalid, "request-signature"},
		"s is 0":                 {sign(func(b []byte) []byte { return append(b[:32:32], make([]byte, 32)...) }), prInvalid, "request-signature"},
		"both are 0":             {fixed(make([]byte, 64)), prInvalid, "request-signature"},
		"above the order":        {fixed([]byte(strings.Repeat("\xff", 64))), prInvalid, "request-signature"},
		"63 bytes":               {sign(func(b []byte) []byte { return b[:63] }), prInvalid, "request-signature"},
		"65 bytes":               {sign(func(b []byte) []byte { return append(b, 0) }), prInvalid, "request-signature"},
		"no signature value":     {fixed([]byte{}), prInvalid, "request-signature"},
		"DER":                    {sign(der), prInvalid, "request-signature"},
		"another key announced":  {announce(another[:]), prInvalid, "request-signature"},
		"a key off the curve":    {announce(flip(public[:], 63)), prInvalid, "request-signature"},
		"a key of 63 bytes":      {announce(public[:63]), prInvalid, "request-signature"},
		"no key":                 {announce(nil), prInvalid, "request-signature"},
		"signed by another":      {prAsk{signer: other}, prInvalid, "signing-key"},
		"by the encryption key":  {prAsk{signer: firstPlayReady(t).EncryptionKey()}, prInvalid, "signing-key"},
		"version 0":              {version("0"), prVersion, "protocol-version"},
		"version 6":              {version("6"), prVersion, "protocol-version"},
		"version 99":             {version("99"), prVersion, "protocol-version"},
		"no version":             {version(""), prVersion, "protocol-version"},
		"version is no number":   {version("4.0"), prVersion, "protocol-version"},
		"version with a sign":    {version("+4"), prVersion, "protocol-version"},
		"no nonce":               {nonce(""), prInvalid, "license-nonce"},
		"short nonce":            {nonce(b64(make([]byte, 15))), prInvalid, "license-nonce"},
		"long nonce":             {nonce(b64(make([]byte, 17))), prInvalid, "license-nonce"},
		"nonce is not base64":    {nonce("?AECAwQFBgcICQoLDA0ODw=="), prInvalid, "license-nonce"},
		"no time":                {at(""), prInvalid, "client-time"},
		"time is no number":      {at("noon"), prInvalid, "client-time"},
		"time with a fraction":   {at("1700000000.5"), prInvalid, "client-time"},
		"time in 20 digits":      {at("99999999999999999999"), prInvalid, "client-time"},
		"2 days early":           {off(-48 * time.Hour), prService, "client-time"},
		"2 days late":            {off(48 * time.Hour), prService, "client-time"},
		"an hour and a second":   {off(time.Hour + time.Second), prService, "client-time"},
		"an hour early and more": {off(-time.Hour - time.Second), prService, "client-time"},
		"time 0":                 {at("0"), prService, "client-time"},
		"time below 0":           {at("-1"), prService, "client-time"},
		"the last second":        {at(fmt.Sprint(math.MaxInt64)), prService, "client-time"},
		"the first second":       {at(fmt.Sprint(math.MinInt64)), prService, "client-time"},
		"header 4.9":             {prAsk{header: headerKIDs("4.9.0.0", "AESCTR", kid0)}, prInvalid, "header"},
		"another element":        {prAsk{header: "<Header></Header>"}, prInvalid, "header"},
		"no namespace":           {prAsk{header: `<WRMHEADER xmlns="" version="4.0.0.0"></WRMHEADER>`}, prInvalid, "header"},
		"4.0 without DATA":       {prAsk{header: strings.NewReplacer("<DATA>", "<X>", "</DATA>", "</X>").Replace(header40(kid0, ""))}, prInvalid, "header"},
		"4.1 without KID":        {prAsk{header: wrmHeader("4.1.0.0", "<PROTECTINFO></PROTECTINFO>")}, prInvalid, "header"},
		"4.2 without KIDs":       {prAsk{header: header42()}, prInvalid, "header"},
		"4.3 without DATA":       {prAsk{header: strings.Replace(wrmHeader("4.3.0.0", ""), "<DATA></DATA>", "", 1)}, prInvalid, "header"},
		"KID of 15 bytes":        {prAsk{header: strings.Replace(header42(kid0), guidText(kid0), b64(kid0[:15]), 1)}, prInvalid, "header"},
		"two algorithms": {prAsk{header: wrmHeader("4.3.0.0", "<PROTECTINFO><KIDS>"+kidElement("AESCTR", "", kid0)+kidElement(cbc, "", kid1)+
			"</KIDS></PROTECTINFO>")}, prInvalid, "header"},
		"algorithm at one KID": {prAsk{header: wrmHeader("4.3.0.0", "<PROTECTINFO><KIDS>"+kidElement("AESCTR", "", kid0)+kidElement("", "", kid1)+
			"</KIDS></PROTECTINFO>")}, prInvalid, "header"},
		"CBC before 4.3": {prAsk{header: headerKIDs("4.2.0.0", cbc, kid0)}, prInvalid, "header"},
		"CBC with checksum": {prAsk{header: wrmHeader("4.3.0.0", "<PROTECTINFO><KIDS>"+kidElement(cbc, wrong, kid0)+"</KIDS></PROTECTINFO>")},
			prInvalid, "header"},
		"cocktail":           {prAsk{header: headerKIDs("4.2.0.0", "COCKTAIL", kid0)}, prInvalid, "header"},
		"4.0 wrong checksum": {prAsk{header: header40(kid0, wrong)}, prInvalid, "checksum"},
		"4.1 wrong checksum": {prAsk{header: header41(kid0, wrong)}, prInvalid, "checksum"},
		"checksum of another": {prAsk{header: wrmHeader("4.2.0.0", "<PROTECTINFO><KIDS>"+kidElement("AESCTR", "", kid0)+
			kidElement("AESCTR", checksumOf(t, kid0), kid1)+"</KIDS></PROTECTINFO>")}, prInvalid, "checksum"},
		"4.3 wrong, untyped": {prAsk{header: wrmHeader("4.3.0.0", "<PROTECTINFO><KIDS>"+kidElement("", wrong, kid0)+"</KIDS></PROTECTINFO>")},
			prInvalid, "checksum"},
		"level 150":   {prAsk{device: issuePlayReady(t, 150, time.Time{})}, prService, "security-level"},
		"unknown KID": {prAsk{header: header42(unknown)}, prService, "unknown-content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startPlayReady(t, fakes.Options{})
			checkFault(t, s, c.ask.make(t).post(t, s), c.code, c.reason)
			if r := lastRecord(t, s); r.Operation != drm.KindLicense || len(s.Requests()) != 1 {
				t.Errorf("history: %+v", r)
			}
		})
	}
}

// checksumOf returns the checksum of the trusted authority's key of a KID.
func checksumOf(t testing.TB, kid drm.KID) string {
	t.Helper()
	return b64(checksum(t, kid, false))
}

// der writes r || s as ASN.1 DER.
func der(b []byte) []byte {
	integer := func(n []byte) []byte { return append([]byte{2, byte(len(n) + 1), 0}, n...) }
	body := append(integer(b[:32]), integer(b[32:])...)
	return append([]byte{0x30, byte(len(body))}, body...)
}

// TestPlayReadyHTTP has what does not reach SOAP (sheet playready.md §11, step 1; PR-SOAP-03, -04 and -06).
func TestPlayReadyHTTP(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	good := prAsk{}.make(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, http.MethodOptions, http.MethodDelete} {
		answer, err := send(t.Context(), method, s.PlayReadyURL(), map[string]string{"Content-Type": "text/html"}, good.body)
		must(t, err)
		if answer.status != http.StatusMethodNotAllowed || answer.header.Get("Allow") != http.MethodPost || lastRecord(t, s).Reason != "method" {
			t.Errorf("%s: status %d, Allow %q", method, answer.status, answer.header.Get("Allow"))
		}
		isTrue(t, lastRecord(t, s).System == drm.PlayReady)
	}
	for _, media := range []string{
		"application/octet-stream", "text/plain", "application/soap+xml", "text/xml; charset=utf-16", "text/xml; charset=iso-8859-1", "text/xml; charset", "x",
	} {
		answer := prAsk{media: media}.make(t).post(t, s)
		if answer.status != http.StatusUnsupportedMediaType || lastRecord(t, s).Reason != "media-type" {
			t.Errorf("%q: status %d, reason %q", media, answer.status, lastRecord(t, s).Reason)
		}
		checkRefusal(t, answer, 0)
	}
	large := good
	large.body = strings.Repeat(" ", 300<<10) + good.body
	answer := large.post(t, s)
	isTrue(t, answer.status == http.StatusRequestEntityTooLarge && lastRecord(t, s).Reason == "body-too-large")
	checkRefusal(t, answer, 0)
	const protocols = "http://schemas.microsoft.com/DRM/2007/03/protocols"
	for _, action := range []string{`"` + protocols + `/JoinDomain"`, protocols + "/AcknowledgeLicense", `""`, protocols, "AcquireLicense", `"` + protocols + `/acquirelicense"`} {
		checkFault(t, s, prAsk{action: action}.make(t).post(t, s), prInvalid, "soap-action")
	}
	r := good.post(t, s)
	if _, err := openPlayReady(good, r.body); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// defect is one thing wrong with a challenge.
type defect struct {
	name   string
	reason drm.Reason
	apply  func(*prAsk)
}

// defects has one defect for each check, in the order of sheet playready.md §11. All of them go together. The size of a body is
// judged as it is read, before its type is looked at.
func defects(t *testing.T) []defect {
	la := func(alter func(*soap.LA)) func(*prAsk) {
		return func(a *prAsk) {
			before := a.la
			a.la = func(la *soap.LA) {
				if before != nil {
					before(la)
				}
				alter(la)
			}
		}
	}
	body := func(alter func(string) string) func(*prAsk) {
		return func(a *prAsk) {
			before := a.body
			a.body = func(b string) string { return alter(orSameText(before, b)) }
		}
	}
	header := func(from, to string) func(*prAsk) {
		return func(a *prAsk) { a.header = strings.ReplaceAll(a.header, from, to) }
	}
	other, err := ecc.GenerateKey()
	must(t, err)
	low := issuePlayReady(t, 150, time.Time{})
	return []defect{
		{"too large", "body-too-large", body(func(b string) string { return b + strings.Repeat(" ", 256<<10) })},
		{"media type", "media-type", func(a *prAsk) { a.media = "text/html" }},
		{"action", "soap-action", func(a *prAsk) { a.action = `"urn:other"` }},
		{"XML", "malformed", body(func(b string) string { return strings.Replace(b, "</LA>", "</La>", 1) })},
		{"digest", "request-digest", func(a *prAsk) {
			a.sent = func(la string) string { return strings.Replace(la, "10.0.16384", "10.0.16385", 1) }
		}},
		{"signature", "request-signature", func(a *prAsk) { a.sign = func(b []byte) []byte { return flip(b, 5) } }},
		{"encrypted key", "encrypted-data", la(func(la *soap.LA) { la.EncryptedKey = randomBytes(128) })},
		{"chain", "certificate-chain", func(a *prAsk) { a.chain = func(chain []byte) []byte { return flip(chain, 60) } }},
		{"revocation", "device-revoked", func(a *prAsk) { a.device = authority(t, trusted).RevokedPlayReadyDevice() }},
		{"binding", "signing-key", func(a *prAsk) { a.signer = other }},
		{"version", "protocol-version", la(func(la *soap.LA) { la.Version = "99" })},
		{"nonce", "license-nonce", la(func(la *soap.LA) { la.Nonce = "AAAA" })},
		{"client time", "client-time", la(func(la *soap.LA) { la.ClientTime = "1600000000" })},
		{"header", "header", header(`"4.2.0.0"`, `"4.9.0.0"`)},
		{"checksum", "checksum", header(` VALUE="`, ` CHECKSUM="AAAAAAAAAAA=" VALUE="`)},
		{"security level", "security-level", func(a *prAsk) {
			if a.device.Chain() == nil { // which is revoked
				a.device = low
			}
		}},
		{"unknown KID", "unknown-content", header(guidText(kid0), guidText(unknown))},
	}
}

// TestPlayReadyRefusalOrder has two defects in one challenge, and all of them: the refusal is that of the earlier check.
func TestPlayReadyRefusalOrder(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	all := defects(t)
	refused := func(name string, want drm.Reason, ds ...defect) {
		a := prAsk{header: header42(kid0)}
		for _, d := range ds {
			d.apply(&a)
		}
		answer := a.make(t).post(t, s)
		if got := lastRecord(t, s).Reason; got != want || answer.status < 400 {
			t.Errorf("%s: status %d, %q, want %q", name, answer.status, got, want)
		}
	}
	for i, first := range all {
		refused(first.name, first.reason, first)
		refused("from "+first.name, fromOn(all[i:]), all[i:]...)
		for _, second := range all[i+1:] {
			want := first.reason
			if second.reason == "unknown-content" {
				want = fromOn([]defect{first, second})
			}
			refused(first.name+" and "+second.name, want, first, second)
		}
	}
}

// fromOn returns the reason of the first defect. Where the KID is not known there is no key to compare or to withhold.
func fromOn(ds []defect) drm.Reason {
	if r := ds[0].reason; r != "checksum" && r != "security-level" {
		return r
	}
	return ds[len(ds)-1].reason
}
