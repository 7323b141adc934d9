package playready

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// opened is what a server decrypts of a challenge.
type opened struct {
	x     secret.Bytes
	iv    []byte
	plain []byte
}

// open decrypts a challenge with a server's key, as sheet §11, step 4, has it. With a wrong key the padding alone is right once in 16.
func open(c *soap.Challenge, server ecc.PrivateKey) (opened, error) {
	x, err := server.Decrypt(c.EncryptedKey)
	if err != nil {
		return opened{}, err
	}
	key, err := soap.NewSessionKey(x)
	if err != nil {
		return opened{}, err
	}
	plain, err := key.Decrypt(c.EncryptedData)
	if err == nil && !bytes.HasPrefix(plain, []byte("<Data>")) {
		err = errors.New("no client data")
	}
	return opened{x, c.EncryptedData[:16], plain}, err
}

// TestRequest reads a challenge as a server does, for every version of the header.
func TestRequest(t *testing.T) {
	t.Parallel()
	all, p := everybody(t), testPlatform(t)
	for _, c := range []struct {
		header pssh.WRMHeader
		want   string
	}{
		{header(pssh.Header40, pssh.AlgorithmAESCTR, kidA), "1"},
		{header(pssh.Header41, pssh.AlgorithmAESCTR, kidA), "1"},
		{header(pssh.Header42, pssh.AlgorithmAESCTR, kidA, kidB, kidC), "4"},
		{header(pssh.Header43, pssh.AlgorithmAESCBC, kidA, kidB), "5"},
		{header(pssh.Header43, "", kidA), "5"},
		{header(pssh.Header41, ""), "1"},
	} {
		box := boxOf(t, c.header)
		m := request(t, openBox(t, p, box, drm.Options{}))
		got := parseChallenge(t, m.Body)
		name := fmt.Sprintf("%s, %d KIDs", c.header.Version, len(c.header.KIDs))
		if got.Version != c.want {
			t.Errorf("%s: LA/Version %s, want %s", name, got.Version, c.want)
		}
		parsed, err := pssh.PlayReadyHeader(box)
		if err != nil {
			t.Fatal(err)
		}
		if got.Header != parsed.XML || !strings.Contains(got.Text, "<ContentHeader>"+parsed.XML+"</ContentHeader>") {
			t.Errorf("%s: the header is not the box's own: %s", name, got.Header)
		}
		if !got.DigestMatches() || !got.Verifies(all.sign.Public()) || ecc.PublicKey(got.PublicKey) != all.sign.Public() {
			t.Errorf("%s: digest %v, signature %v, or another key is named", name, got.DigestMatches(), got.Verifies(all.sign.Public()))
		}
		if nonce := unb64(t, got.Nonce); len(nonce) != 16 || got.ClientTime != "1700000123" || got.KeyName != "WMRMServer" ||
			got.ClientVersion != clientVersion {
			t.Errorf("%s: %+v", name, got.LA)
		}
		o, err := open(got, all.server)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if chain, err := soap.ParseClientData(o.plain); err != nil || !bytes.Equal(chain, all.deviceChain) {
			t.Errorf("%s: chain of %d bytes, %v", name, len(chain), err)
		}
		if !bytes.Equal(o.iv, o.x.Reveal()[:16]) {
			t.Errorf("%s: the IV is not the first half of the coordinate", name)
		}
		kids := parsed.IDs()
		want := drm.Ticket{System: drm.PlayReady, Kind: drm.KindLicense, Device: p.Device(), Minted: testNow, KIDs: kids}
		if m.Kind != drm.KindLicense || m.ID == "" || !slices.Equal(m.KIDs, kids) || fmt.Sprint(m.Ticket) != fmt.Sprint(want) {
			t.Errorf("%s: message %q of kind %s, KIDs %v, ticket %+v", name, m.ID, m.Kind, m.KIDs, m.Ticket)
		}
		if m.URL != c.header.LAURL || !slices.Equal(m.Header["Content-Type"], []string{"text/xml; charset=utf-8"}) || len(m.Header) != 2 ||
			!slices.Equal(m.Header["SOAPAction"], []string{`"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquireLicense"`}) {
			t.Errorf("%s: URL %q, header %v", name, m.URL, m.Header)
		}
	}
}

// TestRequestKIDs: each KID is asked for once, however often the header names it.
func TestRequestKIDs(t *testing.T) {
	t.Parallel()
	m := request(t, openBox(t, testPlatform(t), testBox(t, kidB, kidA, kidB), drm.Options{}))
	if want := []drm.KID{kidB, kidA}; !slices.Equal(m.KIDs, want) || !slices.Equal(m.Ticket.KIDs, want) {
		t.Errorf("KIDs %v, ticket %v", m.KIDs, m.Ticket.KIDs)
	}
}

// TestRequestsAreFresh: no two challenges share an id, a nonce, a session key, an encrypted one, an IV or a signature.
func TestRequestsAreFresh(t *testing.T) {
	t.Parallel()
	all, s := everybody(t), openSession(t, testPlatform(t))
	seen := map[string]bool{}
	for range 32 {
		m := request(t, s)
		c := parseChallenge(t, m.Body)
		o, err := open(c, all.server)
		if err != nil {
			t.Fatal(err)
		}
		for what, v := range map[string]string{
			"id": string(m.ID), "nonce": c.Nonce, "session key": string(o.x.Reveal()[16:]), "IV": string(o.iv),
			"first point": string(c.EncryptedKey[:64]), "second point": string(c.EncryptedKey[64:]), "signature": string(c.Value),
		} {
			if seen[v] {
				t.Errorf("%s comes twice", what)
			}
			seen[v] = true
		}
	}
}

// TestCustomData: it stands, escaped, in what is signed.
func TestCustomData(t *testing.T) {
	t.Parallel()
	all, p := everybody(t), testPlatform(t)
	for given, written := range map[string]string{
		"token-0123456789":           "token-0123456789",
		`a & b <c> "d" 'e'`:          `a &amp; b &lt;c&gt; "d" 'e'`,
		"]]></CustomData><LA>":       "]]&gt;&lt;/CustomData&gt;&lt;LA&gt;",
		"é 中 \U0001F511":             "é 中 \U0001F511",
		"one\ntwo\tthree":            "one\ntwo\tthree",
		"carriage\rreturn":           "carriage&#xD;return",
		strings.Repeat("a&", 32<<10): strings.Repeat("a&amp;", 32<<10),
	} {
		m := request(t, openBox(t, p, testBox(t, kidA), drm.Options{CustomData: secret.New([]byte(given))}))
		c := parseChallenge(t, m.Body)
		if !strings.Contains(c.Text, "<CustomData>"+written+"</CustomData>") || string(c.CustomData.Reveal()) != given {
			t.Errorf("%.40q: not in what is signed, or not read back", given)
		}
		if !c.DigestMatches() || !c.Verifies(all.sign.Public()) {
			t.Errorf("%.40q: digest %v, or the signature does not verify", given, c.DigestMatches())
		}
	}
	if c := parseChallenge(t, request(t, openSession(t, p)).Body); strings.Contains(c.Text, "CustomData") {
		t.Error("an element for no custom data")
	}
	for _, bad := range []string{"tok\x00en-7531", "tok\x1ben-7531", "tok\xffen-7531", "tok\ufffeen-7531"} {
		_, err := p.Open(context.Background(), testBox(t, kidA), drm.Options{CustomData: secret.New([]byte(bad))})
		if err == nil || !strings.Contains(err.Error(), "custom data") || strings.Contains(err.Error(), "7531") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	good := testBox(t, kidA)
	newer := pssh.PRO{Records: []pssh.Record{{Type: pssh.RecordHeader, Value: utf16LE(
		`<WRMHEADER xmlns="http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader" version="4.9.0.0"><DATA></DATA></WRMHEADER>`)}}}
	for name, c := range map[string]struct {
		box  drm.Box
		want string
		none bool // the error is drm.ErrNoBox
	}{
		"Widevine":         {drm.Box{SystemID: pssh.WidevineSystemID, Data: good.Data}, "no pssh box", true},
		"common":           {drm.Box{SystemID: pssh.CommonSystemID, Version: 1, KIDs: []drm.KID{kidA}}, "no pssh box", true},
		"no system":        {drm.Box{Data: good.Data}, "no pssh box", true},
		"no data":          {drm.Box{SystemID: pssh.PlayReadySystemID, Version: 1, KIDs: []drm.KID{kidA}}, "PRO", false},
		"text":             {drm.Box{SystemID: pssh.PlayReadySystemID, Data: []byte("<WRMHEADER>")}, "PRO", false},
		"cut":              {drm.Box{SystemID: pssh.PlayReadySystemID, Data: good.Data[:len(good.Data)-1]}, "PRO", false},
		"newer header":     {drm.Box{SystemID: pssh.PlayReadySystemID, Data: newer.Bytes()}, "4.9.0.0", false},
		"no header at all": {drm.Box{SystemID: pssh.PlayReadySystemID, Data: pssh.PRO{}.Bytes()}, "header record", false},
	} {
		_, err := p.Open(context.Background(), c.box, drm.Options{})
		if err == nil || errors.Is(err, drm.ErrNoBox) != c.none || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, kind := range []drm.LicenseType{"", drm.Streaming, drm.Offline, drm.Automatic} {
		if _, err := p.Open(context.Background(), good, drm.Options{LicenseType: kind}); err != nil {
			t.Errorf("license type %q: %v", kind, err)
		}
	}
}

func utf16LE(s string) []byte {
	var b []byte
	for _, c := range []byte(s) { // ASCII
		b = append(b, c, 0)
	}
	return b
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	p := NewPlatform(testIdentity(t), nil)
	if p.System() != drm.PlayReady || p.Clock() == nil || p.Device() == "" || p.Device() != p.Identity().Device() {
		t.Errorf("system %s, clock %v, device %q", p.System(), p.Clock(), p.Device())
	}
	if changed, err := p.WithServerCertificate(context.Background(), []byte("x")); !errors.Is(err, errors.ErrUnsupported) || changed != nil {
		t.Errorf("service certificate: %v, %v", changed, err)
	}
	if _, err := ecc.ParsePublicKey(slices.Clone(p.server[:])); err != nil || p.server != VendorServerKey() {
		t.Errorf("the server key of real servers: %v", err)
	}
	// Real servers' key and root count until others are given, and a platform is not changed by what is made of it.
	stranger := everybody(t).stranger.Public()
	p.WithServerKey(stranger)
	p.WithRoot(stranger)
	p.WithForge(Forge{Announce: stranger})
	if p.server == stranger || p.root == stranger || p.forge.Announce == stranger {
		t.Error("the platform changed")
	}
	vector := vectorPlatform(t).Identity()
	other := p.WithIdentity(vector)
	if other.Device() != vector.Device() || p.Device() == vector.Device() || other.root != p.root || other.server != p.server {
		t.Error("the identity was not taken, or more than it")
	}
	if p.WithServerKey(stranger).server != stranger || p.WithRoot(stranger).root != stranger {
		t.Error("key or root were not taken")
	}
	before := time.Now().Unix()
	c := parseChallenge(t, request(t, openSession(t, p)).Body)
	if c.ClientTime < fmt.Sprint(before) || c.ClientTime > fmt.Sprint(time.Now().Unix()) {
		t.Errorf("ClientTime %s by the machine's clock, before %d", c.ClientTime, before)
	}
	if _, err := open(c, everybody(t).server); err == nil {
		t.Error("a challenge for real servers opens with the tests' key")
	}
}

func TestRequestRefuses(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	for _, kind := range []drm.Kind{drm.KindCertificate, drm.KindRenewal, drm.KindRelease, drm.KindAcknowledgement, "", "lease"} {
		if _, err := s.Request(context.Background(), kind); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	m := request(t, s)
	body := answerTo(t, m.Body, nil)
	_, requested := s.Request(canceled, drm.KindLicense)
	_, opened := p.Open(canceled, testBox(t, kidA), drm.Options{})
	_, processed := s.Process(canceled, m.ID, body)
	for name, err := range map[string]error{"request": requested, "open": opened, "process": processed} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a canceled context: %v", name, err)
		}
	}
	if o := process(t, s, m.ID, body); len(o.Findings) > 0 || len(s.Licenses()) != 1 {
		t.Errorf("after the canceled call: %v, %d licenses", o.Findings, len(s.Licenses()))
	}
}

// TestProcessOnce: each answer is processed once and for its own request only.
func TestProcessOnce(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	first, second := request(t, s), request(t, s)
	one, two := answerTo(t, first.Body, nil), answerTo(t, second.Body, nil)
	if _, err := s.Process(context.Background(), "unknown", one); !errors.Is(err, errUnknownMessage) || len(s.Licenses()) != 0 {
		t.Errorf("unknown message: %v", err)
	}
	o := process(t, s, second.ID, two)
	if len(o.Findings) > 0 || o.Message != second.ID || o.Kind != drm.KindLicense || o.System != drm.PlayReady {
		t.Fatalf("second: %+v", o)
	}
	if a, ok := o.Detail.(*Answer); !ok || len(a.Licenses) != 1 || !a.Licenses[0].Usable {
		t.Errorf("detail %T", o.Detail)
	}
	if _, err := s.Process(context.Background(), second.ID, two); !errors.Is(err, errUnknownMessage) || len(s.Licenses()) != 1 {
		t.Errorf("second again: %v, %d licenses", err, len(s.Licenses()))
	}
	if o := process(t, s, first.ID, two); !slices.Equal(reasons(o.Findings), []drm.Reason{ReasonRightsID}) || len(s.Licenses()) != 1 {
		t.Errorf("first with the second's answer: %v, %d licenses", o.Findings, len(s.Licenses()))
	}
	if _, err := s.Process(context.Background(), first.ID, one); !errors.Is(err, errUnknownMessage) {
		t.Errorf("first after a refused answer: %v", err)
	}
}

func TestCloseForgets(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	m, pending := request(t, s), request(t, s)
	body := answerTo(t, pending.Body, nil)
	process(t, s, m.ID, answerTo(t, m.Body, nil))
	if len(s.Licenses()) != 1 {
		t.Fatalf("%d licenses", len(s.Licenses()))
	}
	if err := s.Close(); err != nil || len(s.Licenses()) != 0 {
		t.Errorf("close: %v, %d licenses", err, len(s.Licenses()))
	}
	if _, err := s.Process(context.Background(), pending.ID, body); !errors.Is(err, errClosed) {
		t.Errorf("process: %v", err)
	}
	if _, err := s.Request(context.Background(), drm.KindLicense); !errors.Is(err, errClosed) {
		t.Errorf("request: %v", err)
	}
	if err := errors.Join(s.Close(), p.Close()); err != nil {
		t.Errorf("close again: %v", err)
	}
	request(t, openSession(t, p)) // a platform holds nothing that closing it could end
}

// TestLicense maps what a license says.
func TestLicense(t *testing.T) {
	t.Parallel()
	s := openBox(t, testPlatform(t), testBox(t, kidA, kidB, kidC), drm.Options{})
	m := request(t, s)
	begin := testNow.Add(-time.Minute)
	process(t, s, m.ID, answerTo(t, m.Body, func(r *response) {
		a, b, c := &r.grants[0].Grant, &r.grants[1].Grant, &r.grants[2].Grant
		a.CannotPersist, a.Begin, a.End, a.Issued, a.FirstPlay, a.SecurityLevel = false, begin, testNow.Add(time.Hour), testNow, 2*time.Hour, 150
		b.Issued, b.End = testNow, testNow.Add(time.Hour) // without a begin, from its issue
		c.CannotPersist = false
	}))
	all := s.Licenses()
	if len(all) != 3 {
		t.Fatalf("%d licenses", len(all))
	}
	for i, want := range []struct {
		kid    drm.KID
		kind   drm.LicenseType
		start  time.Time
		level  int
		policy drm.Policy
	}{
		{kidA, drm.Offline, begin, 150, drm.Policy{CanPlay: true, CanPersist: true, License: 61 * time.Minute, Playback: 2 * time.Hour}},
		{kidB, drm.Streaming, testNow, 2000, drm.Policy{CanPlay: true, License: time.Hour}},
		{kidC, drm.Offline, time.Time{}, 2000, drm.Policy{CanPlay: true, CanPersist: true}},
	} {
		l := all[i]
		key, ok := l.Key(want.kid)
		if !ok || !bytes.Equal(key.Key.Reveal(), contentKey(want.kid)) || key.SecurityLevel != want.level || len(l.Keys) != 1 {
			t.Errorf("license %d: key found %v, level %d", i, ok, key.SecurityLevel)
		}
		if l.Type != want.kind || l.Policy != want.policy || !l.Start.Equal(want.start) {
			t.Errorf("license %d: %+v", i, l)
		}
	}
}

// TestConcurrentSessions: one platform serves many sessions and judges their answers at once.
func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	box := testBox(t, kidA)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			s, err := p.Open(context.Background(), box, drm.Options{CustomData: secret.New(fmt.Appendf(nil, "token %d", i))})
			if err != nil {
				t.Error(err)
				return
			}
			m, err := s.Request(context.Background(), drm.KindLicense)
			if err != nil {
				t.Error(err)
				return
			}
			key := bytes.Repeat([]byte{byte(i), 1}, 8)
			body := answerTo(t, m.Body, func(r *response) {
				r.grants[0].key = key
				if i%2 == 0 {
					persist(r)
				}
			})
			verdict := p.Judge(m.Ticket, m.Body, body, drm.DepthFull)
			o, err := s.Process(context.Background(), m.ID, body)
			if err != nil || len(o.Findings) > 0 || len(verdict.Findings) > 0 || len(s.Licenses()) != 1 {
				t.Errorf("session %d: %v, %+v, %v", i, err, o, verdict.Findings)
				return
			}
			if k, _ := s.Licenses()[0].Key(kidA); !k.Key.Equal(secret.New(key)) || verdict.Keys[kidA] != k.Key.Fingerprint() {
				t.Errorf("session %d has another's key", i)
			}
		})
	}
	group.Wait()
}
