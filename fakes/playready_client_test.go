package fakes_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
)

// atRequestTime is the clock of PlayReady test servers: challenges state the same time.
var atRequestTime = drm.ClockFunc(func() time.Time { return time.Unix(requestTime, 0) })

func startPlayReady(t testing.TB, o fakes.Options) *fakes.Server {
	t.Helper()
	if o.Clock == nil {
		o.Clock = atRequestTime
	}
	return start(t, o)
}

// The headers of sheet playready.md §4, by hand. A KID's checksum is "" for none.

func wrmHeader(version, data string) string {
	return `<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="` + version + `"><DATA>` + data + `</DATA></WRMHEADER>`
}

func guidText(k drm.KID) string {
	return base64.StdEncoding.EncodeToString([]byte{k[3], k[2], k[1], k[0], k[5], k[4], k[7], k[6],
		k[8], k[9], k[10], k[11], k[12], k[13], k[14], k[15]})
}

func header40(kid drm.KID, checksum string) string {
	if checksum != "" {
		checksum = "<CHECKSUM>" + checksum + "</CHECKSUM>"
	}
	return wrmHeader("4.0.0.0", "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>"+guidText(kid)+"</KID>"+checksum)
}

func kidElement(algorithm, checksum string, kid drm.KID) string {
	text := "<KID"
	if algorithm != "" {
		text += ` ALGID="` + algorithm + `"`
	}
	if checksum != "" {
		text += ` CHECKSUM="` + checksum + `"`
	}
	return text + ` VALUE="` + guidText(kid) + `"></KID>`
}

// checksum is that of sheet playready.md §5 for the trusted authority's key, over the KID in GUID order or in big-endian order.
func checksum(t testing.TB, kid drm.KID, bigEndian bool) []byte {
	t.Helper()
	block, err := aes.NewCipher(authority(t, trusted).ContentKey(kid).Reveal())
	must(t, err)
	sum := unb64(t, guidText(kid))
	if bigEndian {
		copy(sum, kid[:])
	}
	block.Encrypt(sum, sum)
	return sum[:8]
}

func header41(kid drm.KID, checksum string) string {
	return wrmHeader("4.1.0.0", "<PROTECTINFO>"+kidElement("AESCTR", checksum, kid)+"</PROTECTINFO>")
}

// headerKIDs is a header of version 4.2 or 4.3.
func headerKIDs(version, algorithm string, kids ...drm.KID) string {
	var b strings.Builder
	for _, kid := range kids {
		b.WriteString(kidElement(algorithm, "", kid))
	}
	return wrmHeader(version, "<PROTECTINFO><KIDS>"+b.String()+"</KIDS></PROTECTINFO>")
}

func header42(kids ...drm.KID) string { return headerKIDs("4.2.0.0", "AESCTR", kids...) }

func header43(algorithm string, kids ...drm.KID) string {
	return headerKIDs("4.3.0.0", algorithm, kids...)
}

// prAsk is a license challenge in the making, from the inside out. The zero value is right, and asks for kid0 and kid1.
type prAsk struct {
	device playready.Identity
	header string
	chain  func(chain []byte) []byte // in the encrypted data
	plain  func(data []byte) []byte  // that is encrypted
	server ecc.PublicKey             // it is encrypted for; zero: the trusted authority's
	la     func(*soap.LA)
	text   func(la string) string        // the element LA
	signer ecc.PrivateKey                // zero: the device's; its key is announced too
	sign   func(signature []byte) []byte // r || s
	sent   func(la string) string        // after it was signed
	body   func(string) string
	action string // "" is the right one, "-" is none
	media  string // content type; "" is the right one, "-" is none

	acknowledges string // a transaction id: it is an acknowledgement, and of the above body, action and media count
}

// prRequest is a finished challenge.
type prRequest struct {
	device playready.Identity
	nonce  []byte
	header map[string]string
	body   string
}

func prNonce() []byte { return []byte{0xF0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFF} }

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func firstPlayReady(t testing.TB) playready.Identity {
	t.Helper()
	return authority(t, trusted).PlayReadyDevices()[0]
}

func orSame(f func([]byte) []byte, b []byte) []byte {
	if f == nil {
		return b
	}
	return f(b)
}

func orSameText(f func(string) string, s string) string {
	if f == nil {
		return s
	}
	return f(s)
}

func (a prAsk) make(t testing.TB) prRequest {
	t.Helper()
	if a.device.Chain() == nil {
		a.device = firstPlayReady(t)
	}
	if a.acknowledges != "" {
		return a.over(string(soap.AcknowledgementBody(a.acknowledges)), soap.ActionAcknowledgeLicense)
	}
	if a.header == "" {
		a.header = header42(kid0, kid1)
	}
	if a.server == (ecc.PublicKey{}) {
		a.server = authority(t, trusted).PlayReadyServerKey()
	}
	if a.signer.IsZero() {
		a.signer = a.device.SigningKey()
	}
	la := soap.LA{
		Version: "4", Header: a.header, ClientVersion: "10.0.16384.10011", Nonce: b64(prNonce()),
		ClientTime: fmt.Sprint(requestTime), KeyName: "WMRMServer",
	}
	a.encrypt(t, &la)
	if a.la != nil {
		a.la(&la)
	}
	text := orSameText(a.text, la.Text())
	info := soap.SignedInfo(soap.Digest(text))
	signature, err := a.signer.Sign([]byte(info))
	must(t, err)
	public := a.signer.Public()
	body := soap.ChallengeBody(orSameText(a.sent, text), info, orSame(a.sign, signature), public[:])
	return a.over(string(body), soap.ActionAcquireLicense)
}

// over puts a body into a request.
func (a prAsk) over(body, action string) prRequest {
	r := prRequest{device: a.device, nonce: prNonce(), body: orSameText(a.body, body), header: map[string]string{
		"Content-Type": soap.ContentType, "SOAPAction": soap.ActionHeader(action),
	}}
	for name, value := range map[string]string{"Content-Type": a.media, "SOAPAction": a.action} {
		switch value {
		case "":
		case "-":
			delete(r.header, name)
		default:
			r.header[name] = value
		}
	}
	return r
}

func (a prAsk) encrypt(t testing.TB, la *soap.LA) {
	t.Helper()
	session, err := ecc.GenerateKey()
	must(t, err)
	encrypted, x, err := a.server.EncryptKey(session)
	must(t, err)
	key, err := soap.NewSessionKey(x)
	must(t, err)
	data, err := key.Encrypt(orSame(a.plain, soap.ClientData(orSame(a.chain, a.device.Chain().Raw))))
	must(t, err)
	la.EncryptedKey, la.EncryptedData = encrypted, data
}

func (r prRequest) post(t testing.TB, s *fakes.Server) reply {
	t.Helper()
	answer, err := send(context.Background(), http.MethodPost, s.PlayReadyURL(), r.header, r.body)
	must(t, err)
	return answer
}

// direct has the handler answer, without a connection.
func (r prRequest) direct(s *fakes.Server) reply {
	w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, s.PlayReadyURL(), strings.NewReader(r.body))
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	s.Handler().ServeHTTP(w, req)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

// prLicense is a license as the client finds it.
type prLicense struct {
	*xmr.License
	integrity, content secret.Bytes
}

// prOpened is a license response as the client finds it.
type prOpened struct {
	*soap.Answer
	licenses []prLicense
}

var (
	errCMAC   = errors.New("the CMAC does not verify")
	errDevice = errors.New("the license is for another device")
)

// openPlayReady does what a client does (sheet playready.md §9.5), and fails where a client can't go on. It has what it found
// until then.
func openPlayReady(r prRequest, body []byte) (prOpened, error) {
	answer, err := soap.ParseAnswer(body)
	if err != nil {
		return prOpened{}, err
	}
	o := prOpened{Answer: answer}
	if answer.Fault != nil {
		return o, answer.Fault
	}
	for _, raw := range answer.Response.Licenses {
		license, err := xmr.Parse(raw)
		if err != nil {
			return o, err
		}
		l := prLicense{License: license}
		if l.integrity, l.content, err = license.Unwrap(r.device.EncryptionKey()); err != nil {
			return o, err
		}
		o.licenses = append(o.licenses, l)
		switch {
		case license.DeviceKey != r.device.EncryptionKey().Public():
			return o, errDevice
		case !license.Verify(l.integrity):
			return o, errCMAC
		}
	}
	return o, nil
}

// acquire asks for licenses and opens them.
func acquire(t testing.TB, s *fakes.Server, a prAsk) prOpened {
	t.Helper()
	r := a.make(t)
	answer := r.post(t, s)
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	o, err := openPlayReady(r, answer.body)
	must(t, err)
	return o
}

func (o prOpened) kids() []drm.KID {
	kids := make([]drm.KID, len(o.licenses))
	for i, l := range o.licenses {
		kids[i] = l.KID
	}
	return kids
}

// verifySigned checks the signature of a response as sheet playready.md §8.1 has it.
func (o prOpened) verifySigned(t testing.TB, root ecc.PublicKey) {
	t.Helper()
	if o.Signature == nil || o.ID != "SignedData" || len(o.Response.ResponseID) != 32 {
		t.Fatalf("not signed: Id %q, response id of %d bytes", o.ID, len(o.Response.ResponseID))
	}
	chain, err := bcert.Parse(o.Response.SigningChain)
	must(t, err)
	must(t, chain.Verify(root, time.Unix(requestTime, 0)))
	key, ok := chain.Leaf().Key(bcert.UsageSignResponse)
	if !ok || chain.Leaf().Type != bcert.TypeServer {
		t.Errorf("signer of type %d without a key to sign responses", chain.Leaf().Type)
	}
	info := soap.SignedInfo(soap.Digest(o.Text))
	if o.Signature.SignedInfo != info || !key.Verify([]byte(info), o.Signature.Value) || o.Signature.PublicKey != nil {
		t.Error("digest or signature of the response is wrong")
	}
}

// issuePlayReady issues a device of the trusted authority.
func issuePlayReady(t testing.TB, level uint32, expires time.Time) playready.Identity {
	t.Helper()
	device, err := authority(t, trusted).IssuePlayReadyDevice(level, expires)
	must(t, err)
	return device
}

// freshKeys returns two new keys and the template of their device's certificate.
func freshKeys(t testing.TB, level uint32) (sign, encrypt ecc.PrivateKey, template bcert.Certificate) {
	t.Helper()
	sign, err := ecc.GenerateKey()
	must(t, err)
	encrypt, err = ecc.GenerateKey()
	must(t, err)
	return sign, encrypt, bcert.NewDevice([16]byte(randomBytes(16)), level, sign.Public(), encrypt.Public(), time.Time{})
}

// chained makes the device of a chain, leaf first.
func chained(t testing.TB, sign, encrypt ecc.PrivateKey, certificates ...*bcert.Certificate) playready.Identity {
	t.Helper()
	chain, err := bcert.Join(certificates...)
	must(t, err)
	device, err := playready.NewIdentity(chain.Raw, sign, encrypt)
	must(t, err)
	return device
}

func issued(t testing.TB, template bcert.Certificate, by ecc.PrivateKey) *bcert.Certificate {
	t.Helper()
	c, err := template.Issue(by)
	must(t, err)
	return c
}

// lastRecord returns the history's newest record.
func lastRecord(t testing.TB, s *fakes.Server) fakes.Record {
	t.Helper()
	records := s.Requests()
	if len(records) == 0 {
		t.Fatal("the history is empty")
	}
	return records[len(records)-1]
}

func sameKIDs(got []drm.KID, want ...drm.KID) bool { return slices.Equal(got, want) }

func sameBytes(a [16]byte, b []byte) bool { return bytes.Equal(a[:], b) }
