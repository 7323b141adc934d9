package playready

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// testNow is the time on every test's clock.
var testNow = time.Unix(1700000123, 0).UTC()

func testClock() drm.Clock { return drm.ClockFunc(func() time.Time { return testNow }) }

// kidA to kidC are KIDs whose byte orders differ.
var (
	kidA = drm.KID{0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	kidB = drm.KID{0xb0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	kidC = drm.KID{0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
)

// contentKey is the key that the tests' issuer has for a KID.
func contentKey(kid drm.KID) []byte {
	sum := sha256.Sum256(append([]byte("content key of "), kid[:]...))
	return sum[:16]
}

// parties are the keys of everybody in the tests.
type parties struct {
	root, issuer, sign, encrypt, server, signer, stranger ecc.PrivateKey
	deviceChain, signerChain                              []byte
}

var testParties = sync.OnceValues(func() (p parties, err error) {
	for _, k := range []*ecc.PrivateKey{&p.root, &p.issuer, &p.sign, &p.encrypt, &p.server, &p.signer, &p.stranger} {
		var failed error
		*k, failed = ecc.GenerateKey()
		err = errors.Join(err, failed)
	}
	if err != nil {
		return p, err
	}
	if p.deviceChain, err = p.chain(p.device(2000)); err != nil {
		return p, err
	}
	p.signerChain, err = p.chain(bcert.NewServer([16]byte{3}, p.signer.Public()))
	return p, err
})

func everybody(t testing.TB) parties {
	t.Helper()
	p, err := testParties()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p parties) device(level uint32) bcert.Certificate {
	return bcert.NewDevice([16]byte{2}, level, p.sign.Public(), p.encrypt.Public(), time.Time{})
}

// chain issues a leaf under the harness's issuer.
func (p parties) chain(leaf bcert.Certificate) ([]byte, error) {
	issuer, err := bcert.NewIssuer([16]byte{1}, 3000, p.issuer.Public(), bcert.UsageIssuerDevice, bcert.UsageIssuerServer).Issue(p.root)
	if err != nil {
		return nil, err
	}
	issued, err := leaf.Issue(p.issuer)
	if err != nil {
		return nil, err
	}
	chain, err := bcert.Join(issued, issuer)
	if err != nil {
		return nil, err
	}
	return chain.Raw, nil
}

func testIdentity(t testing.TB) Identity {
	t.Helper()
	p := everybody(t)
	identity, err := NewIdentity(p.deviceChain, p.sign, p.encrypt)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func testPlatform(t testing.TB) *Platform {
	t.Helper()
	p := everybody(t)
	return NewPlatform(testIdentity(t), testClock()).WithRoot(p.root.Public()).WithServerKey(p.server.Public())
}

// header is a header whose KIDs are all for one algorithm, "" for none.
func header(version, algorithm string, kids ...drm.KID) pssh.WRMHeader {
	h := pssh.WRMHeader{Version: version, LAURL: "https://license.example/rightsmanager.asmx?a=1&b=2"}
	for _, k := range kids {
		h.KIDs = append(h.KIDs, pssh.HeaderKID{KID: k, Algorithm: algorithm})
	}
	return h
}

func boxOf(t testing.TB, h pssh.WRMHeader) drm.Box {
	t.Helper()
	box, err := pssh.PlayReadyBox(h)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func testBox(t testing.TB, kids ...drm.KID) drm.Box {
	t.Helper()
	return boxOf(t, header(pssh.Header42, pssh.AlgorithmAESCTR, kids...))
}

func openBox(t testing.TB, p *Platform, box drm.Box, o drm.Options) *session {
	t.Helper()
	s, err := p.Open(context.Background(), box, o)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*session)
}

// openSession opens a session for one KID.
func openSession(t testing.TB, p *Platform) *session {
	t.Helper()
	return openBox(t, p, testBox(t, kidA), drm.Options{})
}

func request(t testing.TB, s drm.Session) drm.Message {
	t.Helper()
	m, err := s.Request(context.Background(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func process(t testing.TB, s drm.Session, id drm.MessageID, body []byte) *drm.Observation {
	t.Helper()
	o, err := s.Process(context.Background(), id, body)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func parseChallenge(t testing.TB, body []byte) *soap.Challenge {
	t.Helper()
	c, err := soap.ParseChallenge(body)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// grant is one license that is going to be issued.
type grant struct {
	xmr.Grant
	rightsID [16]byte
	key      []byte
	to       ecc.PublicKey // it is encrypted for

	encrypted func(key []byte) []byte     // alters the encrypted key
	tree      func(outer *xmr.Object)     // alters the objects, before they are sealed
	sealed    func(license []byte) []byte // alters the license
}

// response is an answer that is going to be issued, open to be altered.
type response struct {
	soap.Response // without licenses; what a signed response has besides is filled in if nothing is there
	grants        []*grant
	nonce         []byte // of the request
	signer        ecc.PrivateKey
	signed        bool // though no license is persistent
	unsigned      bool // though one is

	fields    func(r *soap.Response)        // alters all that is signed
	text      func(text string) string      // alters it as text
	tampered  func(text string) string      // what is sent in place of what was signed
	info      func(info string) string      // alters SignedInfo before it is signed
	reinfo    func(info string) string      // alters SignedInfo after it was signed
	signature func(signature []byte) []byte // alters the signature
	body      func(body string) string      // alters the whole
}

// persist makes all licenses persistent, with Rights IDs of their own.
func persist(r *response) {
	for _, g := range r.grants {
		g.CannotPersist, g.rightsID = false, [16]byte(random(16))
	}
}

// answerTo plays the license server for the tests' device: a license that stays in memory for every KID of the request, with what
// change does to it.
func answerTo(t testing.TB, body []byte, change func(r *response)) []byte {
	t.Helper()
	p, c := everybody(t), parseChallenge(t, body)
	nonce, err := base64.StdEncoding.DecodeString(c.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	r := &response{Response: soap.Response{Version: "1"}, nonce: nonce, signer: p.signer}
	if h, err := pssh.ParseWRMHeaderXML(c.Header); err == nil {
		for i, k := range h.KIDs {
			r.grants = append(r.grants, newGrant(p, k, nonce, i))
		}
	}
	if change != nil {
		change(r)
	}
	return r.seal(t, c.Nonce, p.signerChain)
}

func newGrant(p parties, k pssh.HeaderKID, nonce []byte, i int) *grant {
	keyType := xmr.KeyAESCTR
	if k.Algorithm == pssh.AlgorithmAESCBC {
		keyType = xmr.KeyAESCBC
	}
	device := p.encrypt.Public()
	g := &grant{
		Grant: xmr.Grant{KID: k.KID, KeyType: keyType, Device: device, CannotPersist: true, SecurityLevel: 2000},
		key:   contentKey(k.KID), to: device,
	}
	copy(g.rightsID[:], addBig(nonce, i))
	return g
}

func (r *response) seal(t testing.TB, nonce string, signerChain []byte) []byte {
	t.Helper()
	persistent := slices.ContainsFunc(r.grants, func(g *grant) bool { return !g.CannotPersist })
	for _, g := range r.grants {
		r.Licenses = append(r.Licenses, g.seal(t))
	}
	signed := r.signed || persistent && !r.unsigned
	if persistent || signed {
		r.Nonce = nonce
	}
	if signed {
		r.ResponseID, r.SigningChain = random(responseIDLen), signerChain
	}
	if r.fields != nil {
		r.fields(&r.Response)
	}
	text := changeText(r.text, r.Text(signed))
	var info string
	var signature []byte
	if signed {
		info = changeText(r.info, soap.SignedInfo(soap.Digest(text)))
		var err error
		if signature, err = r.signer.Sign([]byte(info)); err != nil {
			t.Fatal(err)
		}
		signature = change(r.signature, signature)
	}
	body := soap.ResponseBody(changeText(r.tampered, text), changeText(r.reinfo, info), signature)
	return []byte(changeText(r.body, string(body)))
}

func (g *grant) seal(t testing.TB) []byte {
	t.Helper()
	encrypted, integrity, err := xmr.EncryptKey(g.to, secret.New(g.key))
	if err != nil {
		t.Fatal(err)
	}
	outer := g.Tree(change(g.encrypted, encrypted))
	if g.tree != nil {
		g.tree(outer)
	}
	license, err := xmr.Seal(g.rightsID, outer, integrity)
	if err != nil {
		t.Fatal(err)
	}
	return change(g.sealed, license)
}

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

func keyOf(t testing.TB, scalar string) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func reasons(findings []drm.Finding) []drm.Reason {
	var rs []drm.Reason
	for _, f := range findings {
		rs = append(rs, f.Reason)
	}
	return rs
}
