package playready

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// shape is what a server sees of a challenge when all that is fresh in it is taken out.
type shape struct {
	body       string // without nonce, encrypted parts, digest, signature and public key
	clientTime string
	nonceLen   int
	plain      string // of the encrypted data; what went wrong, if it does not open
	digest     bool   // matches
	signer     string // who signed
	announced  string // whose key the signature names
}

func shapeOf(t *testing.T, body []byte) shape {
	t.Helper()
	all, c := everybody(t), parseChallenge(t, body)
	masked := string(body)
	for _, fresh := range []string{
		c.Nonce, base64.StdEncoding.EncodeToString(c.EncryptedKey), base64.StdEncoding.EncodeToString(c.EncryptedData),
		base64.StdEncoding.EncodeToString(c.Digest), base64.StdEncoding.EncodeToString(c.Value), base64.StdEncoding.EncodeToString(c.PublicKey),
	} {
		if fresh != "" {
			masked = strings.Replace(masked, fresh, "…", 1)
		}
	}
	s := shape{
		body: masked, clientTime: c.ClientTime, nonceLen: len(c.Nonce), digest: c.DigestMatches(), signer: "nobody",
		announced: all.name(ecc.PublicKey(c.PublicKey)),
	}
	for _, k := range []ecc.PublicKey{all.sign.Public(), all.stranger.Public()} {
		if c.Verifies(k) {
			s.signer = all.name(k)
		}
	}
	for _, k := range []ecc.PrivateKey{all.server, all.stranger} {
		if o, err := open(c, k); err == nil {
			s.plain = all.name(k.Public()) + ": " + string(o.plain)
			return s
		}
	}
	s.plain = "does not open"
	return s
}

func (p parties) name(k ecc.PublicKey) string {
	switch k {
	case p.sign.Public():
		return "device"
	case p.server.Public():
		return "server"
	case p.stranger.Public():
		return "stranger"
	}
	return "somebody"
}

func invert(b []byte) []byte { // in place, which a forge may do
	for i := range b {
		b[i] ^= 0xff
	}
	return b
}

// insert puts an unknown element before the client time.
func insert(text string) string {
	return strings.Replace(text, "<ClientTime>", "<Other></Other><ClientTime>", 1)
}

// TestForge: each field of a Forge changes what it says and nothing else, and leaves the platform that it was given to alone.
func TestForge(t *testing.T) {
	t.Parallel()
	p, all := testPlatform(t), everybody(t)
	right := shapeOf(t, request(t, openSession(t, p)).Body)
	plain := "server: " + string(soap.ClientData(all.deviceChain))
	if want := (shape{right.body, "1700000123", 24, plain, true, "device", "device"}); right != want {
		t.Fatalf("the untampered request: %+v", right)
	}
	spread := strings.NewReplacer("<soap:Body>", "\n<soap:Body>\n")
	timed := func(la *soap.LA) { la.ClientTime = "7" }
	untimed := func(s *shape) {
		s.clientTime, s.body = "7", strings.Replace(s.body, "1700000123", "7", 1)
	}
	for name, c := range map[string]struct {
		forge Forge
		want  func(s *shape)
	}{
		"zero":    {Forge{}, func(*shape) {}},
		"chain":   {Forge{Chain: invert}, func(s *shape) { s.plain = "server: " + string(soap.ClientData(invert(bytes.Clone(all.deviceChain)))) }},
		"data":    {Forge{Data: func([]byte) []byte { return []byte("<Data></Data>") }}, func(s *shape) { s.plain = "server: <Data></Data>" }},
		"cipher":  {Forge{Cipher: func(b []byte) []byte { return b[:len(b)-1] }}, func(s *shape) { s.plain = "does not open" }},
		"IV":      {Forge{Cipher: func(b []byte) []byte { b[15] ^= 1; return b }}, func(s *shape) { s.plain = flipped(plain) }},
		"server":  {Forge{ServerKey: all.stranger.Public()}, func(s *shape) { s.plain = strings.Replace(plain, "server", "stranger", 1) }},
		"session": {Forge{Session: invert}, func(s *shape) { s.plain = "does not open" }},
		"LA":      {Forge{LA: timed}, untimed},
		"no nonce": {Forge{LA: func(la *soap.LA) { la.Nonce = "" }}, func(s *shape) {
			s.nonceLen, s.body = 0, strings.Replace(s.body, "<LicenseNonce>…</LicenseNonce>", "", 1)
		}},
		"key":      {Forge{Key: all.stranger}, func(s *shape) { s.signer, s.announced = "stranger", "stranger" }},
		"announce": {Forge{Announce: all.stranger.Public()}, func(s *shape) { s.announced = "stranger" }},
		"key of another, announced as the device's": {Forge{Key: all.stranger, Announce: all.sign.Public()}, func(s *shape) { s.signer = "stranger" }},
		"tampered": {Forge{Tampered: timed}, func(s *shape) {
			untimed(s)
			s.digest = false
		}},
		"text": {Forge{Text: insert}, func(s *shape) { s.body, s.digest = insert(s.body), false }},
		"info": {Forge{Info: func(info string) string { return strings.Replace(info, "ecdsa-sha256", "ecdsa-sha1", 1) }},
			func(s *shape) { s.body = strings.Replace(s.body, "ecdsa-sha256", "ecdsa-sha1", 1) }},
		"signature": {Forge{Sign: invert}, func(s *shape) { s.signer = "nobody" }},
		"no signature": {Forge{Sign: func([]byte) []byte { return nil }}, func(s *shape) {
			s.signer, s.body = "nobody", strings.Replace(s.body, "<SignatureValue>…", "<SignatureValue>", 1)
		}},
		"body": {Forge{Body: func(b []byte) []byte { return []byte(spread.Replace(string(b))) }}, func(s *shape) { s.body = spread.Replace(s.body) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := right
			c.want(&want)
			m := request(t, openSession(t, p.WithForge(c.forge)))
			if got := shapeOf(t, m.Body); got != want {
				t.Errorf("got  %#v\nwant %#v", got, want)
			}
			if m.Ticket.Device != p.Device() || !slices.Equal(m.KIDs, []drm.KID{kidA}) {
				t.Errorf("ticket %+v, KIDs %v", m.Ticket, m.KIDs)
			}
			if got := shapeOf(t, request(t, openSession(t, p)).Body); got != right {
				t.Errorf("the platform changed: %#v", got)
			}
		})
	}
}

// flipped is the plaintext behind a flipped last bit of the IV's last byte: that of the first block's last byte.
func flipped(plain string) string {
	const at = len("server: ") + 15
	return plain[:at] + string(plain[at]^1) + plain[at+1:]
}

// TestForgedRequestsCanBeAnswered: an answer is judged by what was really sent, in a session as by the judge.
func TestForgedRequestsCanBeAnswered(t *testing.T) {
	t.Parallel()
	const fixed = "EBESExQVFhcYGRobHB0eHw=="
	nonce := func(la *soap.LA) { la.Nonce = fixed }
	renonce := func(text string) string {
		from := strings.Index(text, "<LicenseNonce>") + len("<LicenseNonce>")
		return text[:from] + fixed + text[from+len(fixed):]
	}
	for name, f := range map[string]Forge{
		"zero":           {},
		"nonce":          {LA: nonce},
		"tampered nonce": {Tampered: nonce},
		"nonce in text":  {Text: renonce},
		"nonce in body":  {Body: func(b []byte) []byte { return []byte(renonce(string(b))) }},
		"signature":      {Sign: invert},
		"header": {LA: func(la *soap.LA) {
			la.Header = strings.Replace(la.Header, "AESCTR", "AESCBC", 1)
			la.Header = strings.Replace(la.Header, "4.2.0.0", "4.3.0.0", 1)
		}},
		"header that nobody knows": {LA: func(la *soap.LA) { la.Header = strings.Replace(la.Header, "4.2.0.0", "4.9.0.0", 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openSession(t, testPlatform(t).WithForge(f))
			first, second := request(t, s), request(t, s) // with equal nonces, if the forge says so
			for i, m := range []drm.Message{first, second} {
				body := answerTo(t, m.Body, func(r *response) {
					if len(r.grants) == 0 { // the header is not known
						r.grants = []*grant{newGrant(everybody(t), pssh.HeaderKID{KID: kidA}, r.nonce, 0)}
					}
				})
				if v := s.platform.Judge(m.Ticket, m.Body, body, drm.DepthFull); len(v.Findings) > 0 {
					t.Errorf("judged: %v", v.Findings)
				}
				if o := process(t, s, m.ID, body); len(o.Findings) > 0 || len(s.Licenses()) != i+1 {
					t.Fatalf("message %d: %+v", i, o)
				}
			}
			if strings.Contains(name, "nonce") && !bytes.Contains(first.Body, []byte(fixed)) {
				t.Error("the nonce was not forged")
			}
		})
	}
}

// TestForgedBodies are sent as they are; an answer to one that nobody can read is judged by what was meant.
func TestForgedBodies(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	for name, forged := range map[string][]byte{"text": []byte("<html>"), "empty": {}} {
		s := openSession(t, p.WithForge(Forge{Body: func([]byte) []byte { return forged }}))
		m := request(t, s)
		if !bytes.Equal(m.Body, forged) {
			t.Errorf("%s: sent %q", name, m.Body)
		}
		answer := answerTo(t, request(t, openSession(t, p)).Body, nil)
		if o := process(t, s, m.ID, answer); !slices.Equal(reasons(o.Findings), []drm.Reason{ReasonRightsID}) || len(s.Licenses()) > 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	wrapped := Forge{Text: func(la string) string { return strings.Replace(la, ` Id="SignedData"`, "", 1) + la }}
	m := request(t, openSession(t, p.WithForge(wrapped)))
	if _, err := soap.ParseChallenge(m.Body); err == nil || strings.Count(string(m.Body), "<LA ") != 2 {
		t.Errorf("a second LA: %v", err)
	}
	off := ecc.PublicKey{1}
	if _, err := openSession(t, p.WithForge(Forge{ServerKey: off})).Request(context.Background(), drm.KindLicense); err == nil {
		t.Error("a session key was encrypted for what is no key")
	}
}

// TestForgedCustomData: what Open refuses can be sent by a forge.
func TestForgedCustomData(t *testing.T) {
	t.Parallel()
	m := request(t, openSession(t, testPlatform(t).WithForge(Forge{LA: func(la *soap.LA) { la.CustomData = secret.New([]byte("a\x00b")) }})))
	if !bytes.Contains(m.Body, []byte("<CustomData>a\x00b</CustomData>")) {
		t.Error("the custom data was not sent")
	}
}
