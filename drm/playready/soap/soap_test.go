package soap_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(t testing.TB, scalar string) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func vectorSession(t testing.TB) soap.SessionKey {
	t.Helper()
	x, err := key(t, serverScalar).Decrypt(unb64(t, sessionKey))
	if err != nil {
		t.Fatal(err)
	}
	k, err := soap.NewSessionKey(x)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestEncryptedData is sheet §13.5, in both directions, and the plaintext of §13.11.
func TestEncryptedData(t *testing.T) {
	t.Parallel()
	k := vectorSession(t)
	if got := hex.EncodeToString(k.IV()); got != "1905e0a21a3fe444360457fe8d4cc081" {
		t.Errorf("IV %s", got)
	}
	const plain = `<Data><CertificateChains><CertificateChain>AAAA</CertificateChain></CertificateChains><Features><Feature Name="AESCBC">""</Feature></Features></Data>`
	got, err := k.Decrypt(unb64(t, encryptedData))
	if err != nil || string(got) != plain {
		t.Fatalf("%q, %v", got, err)
	}
	if again, err := k.Encrypt([]byte(plain)); err != nil || !bytes.Equal(again, unb64(t, encryptedData)) {
		t.Errorf("encrypted again: %x, %v", again, err)
	}
	if chain, err := soap.ParseClientData(got); err != nil || !bytes.Equal(chain, []byte{0, 0, 0}) {
		t.Errorf("chain %x, %v", chain, err)
	}
	data := soap.ClientData(unb64(t, deviceChain))
	if sum := sha256.Sum256(data); len(data) != 1407 || hex.EncodeToString(sum[:]) != "775b59dcd5771dbde8c51f3786ad4d24e12bbb7b93a0442fd33339322fcc1662" {
		t.Errorf("client data: %d bytes, SHA-256 %x", len(data), sum)
	}
	if chain, err := soap.ParseClientData(data); err != nil || !bytes.Equal(chain, unb64(t, deviceChain)) {
		t.Errorf("chain of %d bytes, %v", len(chain), err)
	}
}

// TestPadding: only the last byte of the padding counts, and a random IV does as well.
func TestPadding(t *testing.T) {
	t.Parallel()
	k := vectorSession(t)
	for n := range 33 {
		plain := bytes.Repeat([]byte{'x'}, n)
		data, err := k.Encrypt(plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Decrypt(data); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %q, %v", n, got, err)
		}
		data[3] ^= 1 // of the IV: it changes the first block alone
		if got, err := k.Decrypt(data); n > 15 && (err != nil || len(got) != n || got[3] != 'x'^1) {
			t.Errorf("%d bytes, another IV: %q, %v", n, got, err)
		}
	}
	for name, n := range map[string]int{"empty": 0, "IV alone": 16, "half a block": 40} {
		if _, err := k.Decrypt(make([]byte, n)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good, err := k.Encrypt(bytes.Repeat([]byte{'x'}, 15))
	if err != nil {
		t.Fatal(err)
	}
	for pad, ok := range map[byte]bool{0: false, 1: true, 16: true, 17: false, 255: false} {
		bad := bytes.Clone(good)
		bad[15] ^= 1 ^ pad // the last byte of the only block
		if _, err := k.Decrypt(bad); (err == nil) != ok {
			t.Errorf("padding of %d: %v", pad, err)
		}
	}
}

// vectorLA is the element LA of sheet §13.11.
func vectorLA(t testing.TB) soap.LA {
	t.Helper()
	boxes, _, err := pssh.ParseText(sampleBox, pssh.Strict)
	if err != nil {
		t.Fatal(err)
	}
	header, err := pssh.PlayReadyHeader(boxes[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := vectorSession(t).Encrypt(soap.ClientData(unb64(t, deviceChain)))
	if err != nil {
		t.Fatal(err)
	}
	return soap.LA{
		Version: "1", Header: header.XML, ClientVersion: "10.0.16384.10011", CustomData: secret.New([]byte(`a & b <c> "d"`)),
		Nonce: "AAECAwQFBgcICQoLDA0ODw==", ClientTime: "1700000000", KeyName: "WMRMServer",
		EncryptedKey: unb64(t, sessionKey), EncryptedData: data,
	}
}

// TestChallenge is sheet §13.11: the bytes that are hashed and signed, written, and read from a whole body.
func TestChallenge(t *testing.T) {
	t.Parallel()
	la := vectorLA(t)
	text := la.Text()
	const digest = "BNHJ7G4ZXfK3uxrgG8B9cZQzoixBKQvgisslekCIMs0="
	if len(text) != 3306 || base64.StdEncoding.EncodeToString(soap.Digest(text)) != digest {
		t.Errorf("LA: %d bytes, digest %x\n%s", len(text), soap.Digest(text), text)
	}
	info := soap.SignedInfo(soap.Digest(text))
	if sum := sha256.Sum256([]byte(info)); len(info) != 499 || hex.EncodeToString(sum[:]) != "8591e4853fde8a7a9119700ea6cabaa821943c1bba23cdb0be305f66418cfe9f" {
		t.Errorf("SignedInfo: %d bytes, SHA-256 %x\n%s", len(info), sum, info)
	}
	public := key(t, deviceScalar).Public()
	c, err := soap.ParseChallenge(soap.ChallengeBody(text, info, unb64(t, challengeValue), public[:]))
	if err != nil {
		t.Fatal(err)
	}
	if c.Text != text || c.SignedInfo != info || !c.DigestMatches() || !c.Verifies(public) || !bytes.Equal(c.PublicKey, public[:]) {
		t.Error("what was read does not verify")
	}
	if string(c.CustomData.Reveal()) != `a & b <c> "d"` || c.Text != c.LA.Text() {
		t.Errorf("read and written again:\n%s", c.LA.Text())
	}
}

// TestOfficialSignature is sheet §13.4, of Microsoft's request sample.
func TestOfficialSignature(t *testing.T) {
	t.Parallel()
	info := soap.SignedInfo(unb64(t, "NnkxTbC9yLGwYWSRfOz3VqKRYd62AGqTnwpSHsCklhI="))
	if sum := sha256.Sum256([]byte(info)); hex.EncodeToString(sum[:]) != "508c6e56c375d5cbd8b47e9c2da9ed496dc971b91fb93ff7b98b4acc5e7686c7" {
		t.Errorf("SignedInfo SHA-256 %x", sum)
	}
	public, err := ecc.ParsePublicKey(unb64(t, "nrZWFO4ExmBomY+Xu5sATbSRi+tjRqMC+bVaKwn5ZAkdoER3nn8eE+yxXA0CkuhhmAmAqYDX7RY2q+MbAvoZuA=="))
	if err != nil {
		t.Fatal(err)
	}
	signature := unb64(t, "Av2+yCEBdJD9+euMzGzuPb5rYgPlXNszEEr+cF7LwbE/Kln1e8JyhAEdIy14z4U43/oQMvMg40QaOAqv3ElM2g==")
	if !public.Verify([]byte(info), signature) {
		t.Error("does not verify")
	}
	if public.Verify([]byte(strings.ReplaceAll(info, "></DigestMethod>", "/>")), signature) {
		t.Error("verifies with a self-closing tag")
	}
}

// TestRewritten: a capture that was written again with self-closing tags still verifies (sheet §7.5), one that was changed not.
func TestRewritten(t *testing.T) {
	t.Parallel()
	text := vectorLA(t).Text()
	public := key(t, deviceScalar).Public()
	body := string(soap.ChallengeBody(text, soap.SignedInfo(soap.Digest(text)), unb64(t, challengeValue), public[:]))
	closed := strings.NewReplacer("></EncryptionMethod>", "/>", "></DigestMethod>", " />", "></SignatureMethod>", "/>", "></CanonicalizationMethod>", "/>").Replace(body)
	c, err := soap.ParseChallenge([]byte(closed))
	if err != nil {
		t.Fatal(err)
	}
	if len(closed) == len(body) || !c.DigestMatches() || !c.Verifies(public) {
		t.Error("self-closing tags: does not verify")
	}
	other, err := soap.ParseChallenge([]byte(strings.Replace(body, "<ClientTime>1700000000", "<ClientTime>1700000001", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if other.DigestMatches() || !other.Verifies(public) {
		t.Error("a changed LA has the digest, or SignedInfo changed with it")
	}
}

// TestForeignEnvelope: outside of what is signed, prefixes and white space are free, and so are prolog and byte order mark; a
// server finds children of LA whatever their order and skips unknown ones.
func TestForeignEnvelope(t *testing.T) {
	t.Parallel()
	la := vectorLA(t)
	text := la.Text()
	text = strings.Replace(text, "<CustomData>", "<Unknown><x></x></Unknown><CustomData>", 1)
	text = strings.Replace(strings.Replace(text, "<ClientTime>1700000000</ClientTime>", "", 1), "<Version>", "<ClientTime>1700000000</ClientTime><Version>", 1)
	info := soap.SignedInfo(soap.Digest(text))
	signature, err := key(t, deviceScalar).Sign([]byte(info))
	if err != nil {
		t.Fatal(err)
	}
	body := "\ufeff<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\">\n <e:Header/>\n <e:Body>\n" +
		"<p:AcquireLicense xmlns:p=\"http://schemas.microsoft.com/DRM/2007/03/protocols\"><p:challenge>\r\n\t<m:Challenge xmlns:m=\"http://schemas.microsoft.com/DRM/2007/03/protocols/messages\">\n" +
		text + "\n<!-- here --><s:Signature xmlns:s=\"http://www.w3.org/2000/09/xmldsig#\">" + info + "<s:SignatureValue>\n" + base64.StdEncoding.EncodeToString(signature[:48]) + "\n " +
		base64.StdEncoding.EncodeToString(signature[48:]) + "</s:SignatureValue><s:KeyInfo><s:KeyValue><s:ECCKeyValue><s:PublicKey>" +
		fmt.Sprint(base64.StdEncoding.EncodeToString(func() []byte { p := key(t, deviceScalar).Public(); return p[:] }())) +
		"</s:PublicKey></s:ECCKeyValue></s:KeyValue></s:KeyInfo></s:Signature></m:Challenge></p:challenge></p:AcquireLicense></e:Body></e:Envelope>\n"
	c, err := soap.ParseChallenge([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if !c.DigestMatches() || !c.Verifies(key(t, deviceScalar).Public()) || c.ClientTime != "1700000000" || c.Nonce != la.Nonce {
		t.Errorf("%+v", c.LA)
	}
}

// TestBadChallenges: what must not be taken for a challenge, among it the ways of signature wrapping.
func TestBadChallenges(t *testing.T) {
	t.Parallel()
	la := vectorLA(t)
	text := la.Text()
	info := soap.SignedInfo(soap.Digest(text))
	public := key(t, deviceScalar).Public()
	whole := string(soap.ChallengeBody(text, info, unb64(t, challengeValue), public[:]))
	replaced := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Errorf("%q is not there", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	unsigned := strings.Replace(text, ` Id="SignedData"`, "", 1)
	for name, c := range map[string]struct{ body, want string }{
		"empty":                       {"", "an element"},
		"no XML":                      {"hello", "nothing outside the root element"},
		"doctype":                     {replaced(`<soap:Envelope`, `<!DOCTYPE x [<!ENTITY y "z">]><soap:Envelope`), "no document type declaration"},
		"entity":                      {replaced(`<Version>1`, `<Version>&y;1`), "well-formed XML"},
		"UTF-16 announced":            {replaced(`encoding="utf-8"`, `encoding="utf-16"`), ""},
		"cut":                         {whole[:len(whole)/2], "well-formed XML"},
		"other action":                {strings.ReplaceAll(whole, "AcquireLicense", "JoinDomain"), "AcquireLicense"},
		"SOAP 1.2":                    {replaced("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"), "a SOAP 1.1 Envelope"},
		"second LA first":             {replaced(text, strings.Replace(unsigned, "1700000000", "1", 1)+text), "one element LA"},
		"LA in the envelope's header": {replaced("<soap:Body>", "<soap:Header>"+text+"</soap:Header><soap:Body>"), "one LA"},
		"LA beside challenge":         {replaced("<challenge>", unsigned+"<challenge>"), "one LA"},
		"LA in the signature":         {replaced("<KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><KeyValue>", "<Object>"+text+"</Object><KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><KeyValue>"), "one LA"},
		"Id moved":                    {replaced(text, strings.Replace(unsigned, "<CLIENTINFO>", `<CLIENTINFO Id="SignedData">`, 1)), "the LA"},
		"Id twice":                    {replaced("<CLIENTINFO>", `<CLIENTINFO Id="SignedData">`), "one element with the Id"},
		"URI empty":                   {replaced(`URI="#SignedData"`, `URI=""`), "URI #SignedData"},
		"URI of another":              {replaced(`URI="#SignedData"`, `URI="#Other"`), "URI #SignedData"},
		"two signatures":              {replaced("</Challenge>", `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"></Signature></Challenge>`), "one element Signature"},
		"two SignedInfos":             {replaced("<SignatureValue>", info+"<SignatureValue>"), "one element SignedInfo"},
		"two References":              {replaced("</Reference>", `</Reference><Reference URI="#SignedData"></Reference>`), "one element Reference"},
		"no public key":               {replaced("<PublicKey>", "<PublicKeys>")[:0] + strings.NewReplacer("<PublicKey>", "<Other>", "</PublicKey>", "</Other>").Replace(whole), "a PublicKey"},
		"no base64":                   {replaced("<SignatureValue>", "<SignatureValue>!"), "base64"},
		"two nonces":                  {replaced("<LicenseNonce>", "<LicenseNonce>AAECAwQFBgcICQoLDA0ODw==</LicenseNonce><LicenseNonce>"), "one element LicenseNonce"},
		"header as text":              {replaced(la.Header, "text"), "one WRMHEADER"},
		"two headers":                 {replaced(la.Header, la.Header+la.Header), "one WRMHEADER"},
		"no encrypted key":            {replaced("<KeyName>WMRMServer</KeyName></KeyInfo><CipherData>", "<KeyName>WMRMServer</KeyName></KeyInfo><CipherDatum>")[:0] + strings.ReplaceAll(whole, "EncryptedKey", "EncryptedKeys"), "EncryptedKey"},
		"deep":                        {replaced("<CLIENTINFO>", strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100)+"<CLIENTINFO>"), "levels"},
	} {
		var refused *soap.Error
		if _, err := soap.ParseChallenge([]byte(c.body)); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
