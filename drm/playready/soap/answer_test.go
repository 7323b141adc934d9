package soap_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
)

// vectorResponse is the response of sheet §13.12, whose license is that of §13.6 with another Rights ID and without settings.
func vectorResponse(t testing.TB) soap.Response {
	t.Helper()
	l, err := xmr.Parse(unb64(t, simpleLicense))
	if err != nil {
		t.Fatal(err)
	}
	global := l.Outer.Find(xmr.TypeGlobalPolicy)
	global.Children = global.Children[1:] // the settings
	l.Outer.Children = l.Outer.Children[:len(l.Outer.Children)-1]
	license, err := xmr.Seal([16]byte(unhex(t, "101112131415161718191a1b1c1d1e1f")), l.Outer, secret.New(unhex(t, "212ff4de210070a8b23cb30933f832a7")))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(license); hex.EncodeToString(sum[:]) != "4bdc15f06ba3c5e29e58ec9d7426dde935c762c6877111ca660dc65354d4f5e6" {
		t.Fatalf("license of %d bytes, SHA-256 %x", len(license), sum)
	}
	id := make([]byte, 32)
	for i := range id {
		id[i] = byte(0x20 + i)
	}
	return soap.Response{Version: "1", Licenses: [][]byte{license}, Nonce: "AAECAwQFBgcICQoLDA0ODw==", ResponseID: id, SigningChain: unb64(t, signerChain)}
}

// TestSignedResponse is sheet §13.12, written and read.
func TestSignedResponse(t *testing.T) {
	t.Parallel()
	r := vectorResponse(t)
	text := r.Text(true)
	info := soap.SignedInfo(soap.Digest(text))
	if sum := sha256.Sum256([]byte(info)); len(text) != 1895 || hex.EncodeToString(sum[:]) != "1f2476720c4b1d5856ac1701d4f07b81d03441f78f0ab4258d86a243544d6f24" ||
		base64.StdEncoding.EncodeToString(soap.Digest(text)) != "zFEar7m3ZzcQXnIdephgA/Ms6DtH3La3JNcPexB8eYw=" {
		t.Errorf("LicenseResponse of %d bytes, SignedInfo SHA-256 %x\n%s", len(text), sum, text)
	}
	body := soap.ResponseBody(text, info, unb64(t, responseValue))
	a, err := soap.ParseAnswer(body)
	if err != nil {
		t.Fatal(err)
	}
	if a.Text != text || a.ID != "SignedData" || a.Signature == nil || !a.Signature.DigestMatches() || !a.Signature.Verifies(key(t, signerScalar).Public()) || len(a.Odd) != 0 {
		t.Errorf("%+v", a)
	}
	if a.Response.Text(true) != text {
		t.Errorf("written again:\n%s", a.Response.Text(true))
	}
	changed, err := soap.ParseAnswer(bytes.Replace(body, []byte("<LicenseNonce>AAEC"), []byte("<LicenseNonce>AAED"), 1))
	if err != nil || changed.Signature.DigestMatches() {
		t.Errorf("a changed response has the digest, %v", err)
	}
	foreign := soap.ResponseBody(text, strings.Replace(info, "sha256", "sha1", 1), unb64(t, responseValue))
	if a, err := soap.ParseAnswer(foreign); err != nil || a.Signature.Verifies(key(t, signerScalar).Public()) {
		t.Errorf("a changed SignedInfo verifies, %v", err)
	}
}

// TestResponse reads what a real server's response may hold besides: white space, revocation lists, unknown elements.
func TestResponse(t *testing.T) {
	t.Parallel()
	r := soap.Response{
		Version: "1", Licenses: [][]byte{[]byte("one"), []byte("two")}, Transaction: "{a}", CustomData: "hello <b>",
		Revocation: []soap.RevocationData{{ID: "ioydTlK2p0WXkWklprR5Hw==", Data: []byte("list")}},
	}
	text := r.Text(false)
	if strings.Contains(text, "Id=") || strings.Contains(text, "ResponseID") || strings.Contains(text, "LicenseNonce") {
		t.Errorf("an unsigned response says too much: %s", text)
	}
	text = strings.Replace(strings.Replace(text, "b25l", "\n b2\r\n5l ", 1), "<Licenses>", "<SdkVersion>4.7</SdkVersion><Licenses>", 1)
	a, err := soap.ParseAnswer(soap.ResponseBody(text, "", nil))
	if err != nil {
		t.Fatal(err)
	}
	if a.Signature != nil || len(a.Odd) != 0 || a.Response.Text(false) != r.Text(false) {
		t.Errorf("%+v", a)
	}
	for name, c := range map[string]struct{ old, new, odd string }{
		"License in no namespace": {"<License>b25l</License>", `<License xmlns="">b25l</License>`, `License of namespace ""`},
		"version":                 {"<Version>1", "<Version>2", `Version "2"`},
		"license":                 {"<License>b25l", "<License>!", "Licenses/License[1]: expected base64"},
		"response id":             {"</LicenseResponse>", "<ResponseID>!</ResponseID></LicenseResponse>", "ResponseID: expected base64"},
		"chain":                   {"</LicenseResponse>", "<SigningCertificateChain>!</SigningCertificateChain></LicenseResponse>", "SigningCertificateChain: expected base64"},
		"signature":               {"</LicenseResponse>", "</LicenseResponse><Signature></Signature>", "Signature: expected an element SignedInfo"},
		"Response":                {"<Response xmlns=\"http://schemas.microsoft.com/DRM/2007/03/protocols/messages\">", "<Response>", "Response of namespace"},
	} {
		body := strings.Replace(string(soap.ResponseBody(r.Text(false), "", nil)), c.old, c.new, 1)
		if a, err := soap.ParseAnswer([]byte(body)); err != nil || len(a.Odd) != 1 || !strings.HasPrefix(a.Odd[0], c.odd) || len(a.Response.Licenses) != 2 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	whole := string(soap.ResponseBody(vectorResponse(t).Text(true), soap.SignedInfo(make([]byte, 32)), make([]byte, 64)))
	for name, c := range map[string]struct{ body, want string }{
		"empty":       {"", "an element"},
		"HTML":        {"<html><body><p></body></html>", "well-formed XML"},
		"XHTML":       {"<html><body/></html>", "a SOAP 1.1 Envelope"},
		"a challenge": {strings.ReplaceAll(whole, "AcquireLicenseResponse", "AcquireLicense"), "AcquireLicenseResponse or a Fault"},
		"two results": {strings.Replace(whole, "<Response ", "<Response/><Response ", 1), "one element Response"},
		"no response": {strings.ReplaceAll(whole, "LicenseResponse ", "LicenceResponse ")[:0] + strings.NewReplacer("<LicenseResponse ", "<Other ", "</LicenseResponse>", "</Other>").Replace(whole), "an element LicenseResponse"},
		"two nonces":  {strings.Replace(whole, "<LicenseNonce>", "<LicenseNonce/><LicenseNonce>", 1), "one element LicenseNonce"},
	} {
		var refused *soap.Error
		if _, err := soap.ParseAnswer([]byte(c.body)); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFault(t *testing.T) {
	t.Parallel()
	f := soap.Fault{FaultCode: "soap:Server", Text: "refused & more", Actor: "http://127.0.0.1/", Code: soap.CodeServiceSpecific, CustomData: "no <token>", RedirectURL: "https://license.example/a?b=1&c=2"}
	a, err := soap.ParseAnswer(soap.FaultBody(f))
	f.Status = "0x8004C604"
	if err != nil || a.Fault == nil || *a.Fault != f {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, want := range []string{"0x8004C604", "DRM_E_SERVER_SERVICE_SPECIFIC", "refused by the service", `"no <token>"`} {
		if !strings.Contains(a.Fault.Error(), want) {
			t.Errorf("%q lacks %q", a.Fault.Error(), want)
		}
	}
	body := string(soap.FaultBody(f))
	for status, want := range map[string]soap.Code{"0x8004c60b": soap.CodeVersionMismatch, "0X8004C60B": soap.CodeVersionMismatch, "8004C60B": 0, "0x8004C60B0": 0, "": 0, "0x80041234": 0x80041234} {
		a, err := soap.ParseAnswer([]byte(strings.Replace(body, "0x8004C604", status, 1)))
		if err != nil || a.Fault.Code != want {
			t.Errorf("%q: %v, %v", status, a.Fault.Code, err)
		}
	}
	bare, _, _ := strings.Cut(body, "<detail>")
	bare += "</soap:Fault></soap:Body></soap:Envelope>"
	if a, err := soap.ParseAnswer([]byte(bare)); err != nil || a.Fault.Code != 0 || !strings.Contains(a.Fault.Error(), "without a status code") {
		t.Errorf("no detail: %+v, %v", a, err)
	}
}

func TestKeyMessage(t *testing.T) {
	t.Parallel()
	challenge := soap.ChallengeBody(vectorLA(t).Text(), soap.SignedInfo(make([]byte, 32)), make([]byte, 64), make([]byte, 64))
	m := soap.KeyMessage{Challenge: challenge, Wrapped: true, Header: []soap.HeaderField{{"Content-Type", "text/xml; charset=utf-8"}, {"SOAPAction", soap.ActionHeader(soap.ActionAcquireLicense)}}}
	wide := m.Bytes()
	var narrow []byte
	for i := 0; i < len(wide); i += 2 {
		narrow = append(narrow, wide[i])
	}
	for name, b := range map[string][]byte{
		"UTF-16LE": wide, "with a mark": append([]byte{0xFF, 0xFE}, wide...), "UTF-8": narrow,
		"shortened name": bytes.Replace(narrow, []byte("<name>Content-Type<"), []byte("<name>Content<"), 1),
	} {
		got, err := soap.ParseKeyMessage(b)
		if err != nil || !bytes.Equal(got.Challenge, challenge) || !got.Wrapped || len(got.Header) != 2 || got.Header[0] != m.Header[0] || got.Header[1] != m.Header[1] {
			t.Errorf("%s: %+v, %v", name, got.Header, err)
		}
	}
	if got, err := soap.ParseKeyMessage(challenge); err != nil || got.Wrapped || !bytes.Equal(got.Challenge, challenge) {
		t.Errorf("bare: %v", err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "odd": wide[:len(wide)-1], "cut": wide[:100], "secure stop": []byte(`<PlayReadyKeyMessage type="SecureStop"><SecureStop version="1.0"/></PlayReadyKeyMessage>`),
		"no base64": bytes.Replace(narrow, []byte(`encoding="base64encoded">`), []byte(`encoding="base64encoded">!`), 1),
	} {
		if _, err := soap.ParseKeyMessage(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := string(soap.CDMData(secret.New([]byte("ab")))); !strings.Contains(got, ">YQBiAA==<") {
		t.Errorf("CDM data %s", got)
	}
}

func FuzzChallenge(f *testing.F) {
	text := vectorLA(f).Text()
	f.Add(soap.ChallengeBody(text, soap.SignedInfo(soap.Digest(text)), unb64(f, challengeValue), make([]byte, 64)))
	f.Add([]byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := soap.ParseChallenge(b)
		if err != nil {
			return
		}
		if !bytes.Contains(b, []byte(c.Text)) || !bytes.Contains(b, []byte(c.SignedInfo)) {
			t.Error("what was signed does not stand in the body")
		}
		c.DigestMatches()
	})
}

func FuzzAnswer(f *testing.F) {
	text := vectorResponse(f).Text(true)
	f.Add(soap.ResponseBody(text, soap.SignedInfo(soap.Digest(text)), unb64(f, responseValue)))
	f.Add(soap.FaultBody(soap.Fault{Code: soap.CodeInvalidMessage}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := soap.ParseAnswer(b)
		if err != nil {
			return
		}
		if a.Fault == nil && !bytes.Contains(b, []byte(a.Text)) {
			t.Error("what was signed does not stand in the body")
		}
		if a.Signature != nil {
			a.Signature.DigestMatches()
		}
	})
}

func FuzzKeyMessage(f *testing.F) {
	f.Add(soap.KeyMessage{Challenge: []byte("<a/>"), Header: []soap.HeaderField{{"a", "b"}}}.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = soap.ParseKeyMessage(b)
	})
}

func FuzzClientData(f *testing.F) {
	f.Add(soap.ClientData([]byte("chain")))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = soap.ParseClientData(b)
	})
}
