package playready

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
)

// refusal is a stored request that an answer cannot be judged by.
type refusal struct {
	name    string
	ticket  drm.Ticket
	request []byte
	want    drm.Reason
	fatal   bool
}

// refusals are about a message, and a second one of the same device.
func refusals(t *testing.T, m, second drm.Message) []refusal {
	t.Helper()
	other := m.Ticket
	other.Device = "0123456789abcdef"
	return []refusal{
		{"another device", other, m.Body, ReasonUnknownDevice, true},
		{"no ticket", drm.Ticket{}, m.Body, ReasonUnknownDevice, true},
		{"request is text", m.Ticket, []byte("<html></html>"), ReasonRequest, true},
		{"request is empty", m.Ticket, nil, ReasonRequest, true},
		{"request is cut", m.Ticket, m.Body[:len(m.Body)/2], ReasonRequest, true},
		{"request has two LAs", m.Ticket, []byte(strings.Replace(string(m.Body), "<LA ", "<LA></LA><LA ", 1)), ReasonRequest, true},
		{"another request", second.Ticket, second.Body, ReasonRightsID, false},
	}
}

// TestJudgeRefuses; that judge and session agree otherwise is part of every row of [TestFindings].
func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	m := request(t, s)
	body := answerTo(t, m.Body, nil)
	for _, depth := range []drm.Depth{drm.DepthShape, drm.DepthFull} {
		for _, c := range refusals(t, m, request(t, s)) {
			v := p.Judge(c.ticket, c.request, body, depth)
			if !slices.Equal(reasons(v.Findings), []drm.Reason{c.want}) || v.Findings[0].Fatal != c.fatal || len(v.Keys) > 0 ||
				v.Depth != depth || v.Policy != (drm.Policy{}) {
				t.Errorf("%s: verdict %+v", c.name, v)
				continue
			}
			if f := v.Findings[0]; f.Step == "" || f.Expected == "" || f.Seen == "" {
				t.Errorf("%s: finding is not complete: %+v", c.name, f)
			}
		}
	}
}

// TestJudgeShapeNeedsNoKey: with the private keys gone, the same is seen at shape depth as with them, but for the comparison of the
// public half, which goes with them; at full depth each license's key is asked for in vain.
func TestJudgeShapeNeedsNoKey(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openBox(t, p, testBox(t, kidA, kidB), drm.Options{}))
	body := answerTo(t, m.Body, func(r *response) {
		persist(r)
		r.grants[0].End, r.grants[0].Issued = testNow.Add(time.Hour), testNow
	})
	v := p.Judge(m.Ticket, m.Body, body, drm.DepthShape)
	if len(v.Findings) > 0 || v.Keys != nil || v.Policy != (drm.Policy{CanPlay: true, CanPersist: true, License: time.Hour}) {
		t.Errorf("verdict %+v", v)
	}
	blind := *p
	blind.identity.sign, blind.identity.encrypt = ecc.PrivateKey{}, ecc.PrivateKey{}
	for depth, want := range map[drm.Depth][]drm.Reason{
		drm.DepthShape: {ReasonDeviceKey, ReasonDeviceKey},
		drm.DepthFull:  {ReasonDeviceKey, ReasonKeyUnwrap, ReasonDeviceKey, ReasonKeyUnwrap},
	} {
		if got := reasons(blind.Judge(m.Ticket, m.Body, body, depth).Findings); !slices.Equal(got, want) {
			t.Errorf("without keys at depth %d: %v, want %v", depth, got, want)
		}
	}
}

// TestJudgeReadsTheTicket: an answer is judged as of the time at which its request was made.
func TestJudgeReadsTheTicket(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	body := answerTo(t, m.Body, func(r *response) { r.grants[0].Begin, r.grants[0].End = testNow, testNow.Add(time.Hour) })
	late, early := m.Ticket, m.Ticket
	late.Minted, early.Minted = testNow.Add(2*time.Hour), testNow.Add(-2*time.Hour)
	for want, ticket := range map[drm.Reason]drm.Ticket{ReasonExpired: late, ReasonNotYetValid: early} {
		if v := p.Judge(ticket, m.Body, body, drm.DepthFull); !slices.Equal(reasons(v.Findings), []drm.Reason{want}) {
			t.Errorf("findings %v, want %s", v.Findings, want)
		}
	}
}

// TestSignersAreRemembered: a chain that verified once expires all the same, and is not trusted under another root.
func TestSignersAreRemembered(t *testing.T) {
	t.Parallel()
	all := everybody(t)
	leaf := bcert.NewServer([16]byte{3}, all.signer.Public())
	leaf.Expires = testNow.Add(time.Hour)
	chain, err := all.chain(leaf)
	if err != nil {
		t.Fatal(err)
	}
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	body := answerTo(t, m.Body, func(r *response) {
		persist(r)
		r.fields = func(f *soap.Response) { f.SigningChain = chain }
	})
	for range 2 {
		if v := p.Judge(m.Ticket, m.Body, body, drm.DepthFull); len(v.Findings) > 0 {
			t.Fatalf("findings %v", v.Findings)
		}
	}
	late := m.Ticket
	late.Minted = testNow.Add(2 * time.Hour)
	for name, v := range map[string]drm.Verdict{
		"expired":      p.Judge(late, m.Body, body, drm.DepthFull),
		"another root": p.WithRoot(all.stranger.Public()).Judge(m.Ticket, m.Body, body, drm.DepthFull),
	} {
		if !slices.Equal(reasons(v.Findings), []drm.Reason{ReasonSigner}) {
			t.Errorf("%s: findings %v", name, v.Findings)
		}
	}
}

func TestNewIdentity(t *testing.T) {
	t.Parallel()
	all := everybody(t)
	chain := func(change func(c *bcert.Certificate)) []byte {
		c := all.device(150)
		change(&c)
		raw, err := all.chain(c)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	signOnly := chain(func(c *bcert.Certificate) { c.Keys = c.Keys[:1] })
	for _, c := range []struct {
		name          string
		chain         []byte
		sign, encrypt ecc.PrivateKey
		want          string
	}{
		{"no chain", nil, all.sign, all.encrypt, "certificate chain"},
		{"text", []byte("<html>"), all.sign, all.encrypt, "certificate chain"},
		{"chain of a server", all.signerChain, all.signer, all.signer, "lacks a key"},
		{"no encryption key in the leaf", signOnly, all.sign, all.sign, "lacks a key"},
		{"keys swapped", all.deviceChain, all.encrypt, all.sign, "signing key does not belong"},
		{"another's signing key", all.deviceChain, all.stranger, all.encrypt, "signing key does not belong"},
		{"another's encryption key", all.deviceChain, all.sign, all.stranger, "encryption key does not belong"},
		{"no signing key", all.deviceChain, ecc.PrivateKey{}, all.encrypt, "signing key does not belong"},
		{"no encryption key", all.deviceChain, all.sign, ecc.PrivateKey{}, "encryption key does not belong"},
	} {
		if _, err := NewIdentity(c.chain, c.sign, c.encrypt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	one := chain(func(c *bcert.Certificate) {
		c.Keys = []bcert.Key{{Public: all.sign.Public(), Usages: []bcert.Usage{bcert.UsageSign, bcert.UsageEncrypt}}}
	})
	identity, err := NewIdentity(one, all.sign, all.sign)
	if err != nil {
		t.Fatalf("one key for both: %v", err)
	}
	if identity.SecurityLevel() != 150 || identity.SigningKey().Public() != all.sign.Public() || identity.EncryptionKey().Public() != all.sign.Public() {
		t.Errorf("identity of level %d", identity.SecurityLevel())
	}
	device := identity.Device()
	clear(one)
	if identity.Device() != device || identity.Chain().Leaf().Raw[0] != 'C' || device == testIdentity(t).Device() {
		t.Error("the identity changed with the bytes that it was made of, or is another's")
	}
	p := NewPlatform(identity, testClock()).WithServerKey(all.server.Public())
	s := openSession(t, p)
	m := request(t, s)
	if o := process(t, s, m.ID, answerTo(t, m.Body, func(r *response) {
		r.grants[0].Device, r.grants[0].to, r.grants[0].SecurityLevel = all.sign.Public(), all.sign.Public(), 150
	})); len(o.Findings) > 0 || len(s.Licenses()) != 1 {
		t.Errorf("one key for both: %v", o.Findings)
	}
}

func TestKeyType(t *testing.T) {
	t.Parallel()
	for algorithm, want := range map[string]int{pssh.AlgorithmAESCTR: 1, pssh.AlgorithmAESCBC: 5, pssh.AlgorithmCocktail: 0, "": 0, "aesctr": 0} {
		if got, ok := KeyType(algorithm); int(got) != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v", algorithm, got, ok)
		}
	}
}

// TestJudgeWithoutANonce: a forged request without a nonce that counts has no answer that could be another's.
func TestJudgeWithoutANonce(t *testing.T) {
	t.Parallel()
	for name, nonce := range map[string]string{"none": "", "short": base64.StdEncoding.EncodeToString(make([]byte, 15)), "no base64": "!"} {
		p := testPlatform(t).WithForge(Forge{LA: func(la *soap.LA) { la.Nonce = nonce }})
		s := openSession(t, p)
		m := request(t, s)
		answer := answerTo(t, request(t, openSession(t, testPlatform(t))).Body, nil)
		if v := p.Judge(m.Ticket, m.Body, answer, drm.DepthFull); len(v.Findings) > 0 {
			t.Errorf("%s: judged %v", name, v.Findings)
		}
		if o, err := s.Process(context.Background(), m.ID, answer); err != nil || len(o.Findings) > 0 {
			t.Errorf("%s: %v, %+v", name, err, o)
		}
	}
}
