package bcert_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

// crlChain returns the chain of a signer of revocation lists, with levels as real ones have them: not stated.
func (a authority) crlChain(usage bcert.Usage, edit func(*bcert.Certificate)) *bcert.Chain {
	a.t.Helper()
	c := bcert.NewCRLSigner([16]byte{7}, a.sign.Public())
	if edit != nil {
		edit(&c)
	}
	return join(a.t, issue(a.t, c, a.issuer), a.issuerCert(0, usage))
}

// list returns a list that revokes certificates.
func (a authority) list(signer *bcert.Chain, revoked ...*bcert.Certificate) *bcert.RevocationList {
	a.t.Helper()
	var entries [][32]byte
	for _, c := range revoked {
		entries = append(entries, c.Digest)
	}
	l, err := bcert.IssueRevocationList(bcert.ListDigests1, 7, entries, a.sign, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return l
}

func parseList(t testing.TB, b []byte) *bcert.RevocationList {
	t.Helper()
	l, err := bcert.ParseRevocationList(b)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestListIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[bcert.ListID][2]string{
		bcert.ListDigests1: {"ioydTlK2p0WXkWklprR5Hw==", "4e9d8c8a-b652-45a7-9791-6925a6b4791f"},
		bcert.ListDigests2: {"gC4IKKPHsUCCVhnlttibJw==", "28082e80-c7a3-40b1-8256-19e5b6d89b27"},
		bcert.ListVersions: {"Ef/RUojT3U6Ct2jqTCChbA==", "52d1ff11-d388-4edd-82b7-68ea4c20a16c"},
		bcert.ListWMDRM:    {"BOZ1zT1UnEqfCf5tJOi/kA==", "cd75e604-543d-4a9c-9f09-fe6d24e8bf90"},
	} {
		if id.Base64() != want[0] || id.String() != want[1] {
			t.Errorf("%s and %s, want %v", id.Base64(), id, want)
		}
		if back, err := bcert.ParseListID(want[0]); err != nil || back != id {
			t.Errorf("%s: %s, %v", want[0], back, err)
		}
	}
	for _, bad := range []string{"", "AAAA", "ioydTlK2p0WXkWklprR5HwAA", "ioydTlK2p0WXkWklprR5Hx==", strings.Repeat("!", 1000)} {
		if _, err := bcert.ParseListID(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40s: %v", bad, err)
		}
	}
}

// TestRevocationList issues, reads and verifies a list, and refuses the device that it names.
func TestRevocationList(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	signer := a.crlChain(bcert.UsageIssuerCRL, nil)
	clients := newAuthority(t)
	good, bad := clients.device(), clients.device(func(c *bcert.Certificate) { c.Keys[0].Public = party(t).Public() })
	l := a.list(signer, bad)
	guid := []byte{0x8a, 0x8c, 0x9d, 0x4e, 0x52, 0xb6, 0xa7, 0x45, 0x97, 0x91, 0x69, 0x25, 0xa6, 0xb4, 0x79, 0x1f}
	want := slices.Concat(guid, []byte{0, 0, 0, 7, 0, 0, 0, 1}, bad.Digest[:], []byte{1, 0, 64}, l.Signature, signer.Raw)
	if !bytes.Equal(l.Raw, want) || l.SignedLen != 24+32 {
		t.Errorf("list\n%x, want\n%x", l.Raw, want)
	}
	again := parseList(t, l.Raw)
	if again.ID != bcert.ListDigests1 || again.Version != 7 || len(again.Entries) != 1 || again.Entries[0] != bad.Digest || !bytes.Equal(again.Signer.Raw, signer.Raw) {
		t.Errorf("read %+v", again)
	}
	trust := bcert.Verifier{Root: a.root.Public(), Now: now}
	wants(t, trust.VerifyList(again), "", 0)
	second, err := bcert.IssueRevocationList(bcert.ListDigests2, 1, [][32]byte{{9}}, a.sign, signer)
	if err != nil {
		t.Fatal(err)
	}
	v := bcert.Verifier{Root: clients.root.Public(), Now: now, Revoked: bcert.Revoked(again, second)}
	if len(v.Revoked) != 2 || !v.Revoked[[32]byte{9}] || len(bcert.Revoked()) != 0 {
		t.Errorf("%v", v.Revoked)
	}
	issuer := clients.issuerCert(3000, bcert.UsageIssuerDevice)
	_, _, err = v.VerifyDevice(join(t, bad, issuer))
	wants(t, err, bcert.ReasonRevoked, 0)
	_, _, err = v.VerifyDevice(join(t, good, issuer))
	wants(t, err, "", 0)
	wants(t, trust.VerifyList(a.list(signer)), "", 0) // an empty list is a list
}

func TestListsNotTrusted(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	as := func(leaf bcert.Type) func(*bcert.Certificate) { return func(c *bcert.Certificate) { c.Type = leaf } }
	upper := issue(t, bcert.NewCRLSigner([16]byte{}, a.issuer.Public()), a.root)
	for name, c := range map[string]struct {
		signer *bcert.Chain
		want   drm.Reason
		at     int
	}{
		"good":                   {a.crlChain(bcert.UsageIssuerCRL, nil), "", 0},
		"under an issuer of all": {a.crlChain(bcert.UsageIssuerAll, nil), "", 0},
		"under device issuers":   {a.crlChain(bcert.UsageIssuerDevice, nil), bcert.ReasonUsage, 0},
		"signer expired":         {a.crlChain(bcert.UsageIssuerCRL, func(c *bcert.Certificate) { c.Expires = now }), bcert.ReasonExpired, 0},
		"signer is a device":     {a.crlChain(bcert.UsageIssuerDevice, as(bcert.TypeDevice)), bcert.ReasonLeaf, 0},
		"signer is a server":     {a.crlChain(bcert.UsageIssuerAll, as(bcert.TypeServer)), bcert.ReasonLeaf, 0},
		"signer of unknown type": {a.crlChain(bcert.UsageIssuerAll, as(77)), bcert.ReasonLeaf, 0},
		"under a CRL signer":     {join(t, issue(t, bcert.NewCRLSigner([16]byte{}, a.sign.Public()), a.issuer), upper), bcert.ReasonIssuerType, 0},
	} {
		err := bcert.Verifier{Root: a.root.Public(), Now: now}.VerifyList(a.list(c.signer))
		t.Run(name, func(t *testing.T) { wants(t, err, c.want, c.at) })
	}
	l := a.list(a.crlChain(bcert.UsageIssuerCRL, nil))
	wants(t, bcert.Verifier{Root: a.foreign.Public(), Now: now}.VerifyList(l), bcert.ReasonRoot, 1)
	wants(t, bcert.Verifier{Root: a.root.Public(), Now: now, Revoked: map[[32]byte]bool{l.Signer.Leaf().Digest: true}}.VerifyList(l), bcert.ReasonRevoked, 0)
	// A chain whose leaf has no key for it cannot have issued the list: put it behind another's signature.
	mute := a.crlChain(bcert.UsageIssuerCRL, func(c *bcert.Certificate) { c.Keys[0].Usages = []bcert.Usage{bcert.UsageSign} })
	swapped := parseList(t, slices.Concat(l.Raw[:l.SignedLen+67], mute.Raw))
	wants(t, bcert.Verifier{Root: a.root.Public(), Now: now}.VerifyList(swapped), bcert.ReasonLeaf, 0)
	if _, err := bcert.IssueRevocationList(bcert.ListDigests1, 1, nil, a.sign, mute); err == nil {
		t.Error("issued by a leaf that may not")
	}
	if _, err := bcert.IssueRevocationList(bcert.ListDigests1, 1, nil, a.foreign, l.Signer); err == nil {
		t.Error("issued with another key")
	}
	for _, id := range []bcert.ListID{bcert.ListVersions, bcert.ListWMDRM} {
		if _, err := bcert.IssueRevocationList(id, 1, nil, a.sign, l.Signer); err == nil {
			t.Errorf("issued list %s, which has another layout", id)
		}
	}
	if _, err := bcert.IssueRevocationList(bcert.ListDigests1, 1, make([][32]byte, bcert.MaxListLen/32), a.sign, l.Signer); err == nil {
		t.Error("issued a list that is too long to be read")
	}
}

// TestEveryListBit flips, cuts and lies; a list is then no longer read, or no longer trusted.
func TestEveryListBit(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf := a.device()
	signer := a.crlChain(bcert.UsageIssuerCRL, nil)
	good := a.list(signer, leaf, leaf, leaf)
	v := bcert.Verifier{Root: a.root.Public(), Now: now, Memo: &bcert.Memo{}}
	trusted := func(b []byte) error {
		l, err := bcert.ParseRevocationList(b)
		if err != nil {
			return err
		}
		return v.VerifyList(l)
	}
	wants(t, trusted(good.Raw), "", 0)
	chainAt := good.SignedLen + 67
	open := make([]int, 0, 4) // as in a chain: the attribute flags of its signatures
	for i, at := 0, chainAt+20; i < 2; i++ {
		c := signer.Certificates[i]
		open = append(open, at+c.SignedLen, at+c.SignedLen+1)
		at += len(c.Raw)
	}
	for at := range good.Raw {
		bad := bytes.Clone(good.Raw)
		bad[at] ^= 1 << (at % 8)
		if (trusted(bad) == nil) != slices.Contains(open, at) {
			t.Errorf("byte %d flipped: %v", at, trusted(bad))
		}
		if _, err := bcert.ParseRevocationList(good.Raw[:at]); err == nil {
			t.Errorf("cut at %d: accepted", at)
		}
	}
	for _, n := range []uint32{0, 2, 4, 1001, bcert.MaxListLen / 32, 1 << 27, 1 << 31, 1<<32 - 1} {
		bad := bytes.Clone(good.Raw)
		binary.BigEndian.PutUint32(bad[20:], n)
		_, err := bcert.ParseRevocationList(bad)
		if tooMany := fmt.Sprintf("byte 20: %d entries, want at most", n); err == nil || n > 1000 && !strings.Contains(err.Error(), tooMany) {
			t.Errorf("%d entries: %v", n, err) // must be refused for the number, before anything is made of that length
		}
	}
	for name, bad := range map[string][]byte{
		"a byte too many": append(bytes.Clone(good.Raw), 0), "no signer": good.Raw[:chainAt], "too long": make([]byte, bcert.MaxListLen+1),
		"of another layout": slices.Concat([]byte{0x11, 0xff, 0xd1, 0x52, 0x88, 0xd3, 0xdd, 0x4e, 0x82, 0xb7, 0x68, 0xea, 0x4c, 0x20, 0xa1, 0x6c}, good.Raw[16:]),
	} {
		if _, err := bcert.ParseRevocationList(bad); err == nil || !strings.HasPrefix(err.Error(), "revocation list: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// vectorAuthority has keys that are the same in every run, for seeds of a fuzzer.
func vectorAuthority(t testing.TB) authority {
	t.Helper()
	k := func(last byte) ecc.PrivateKey {
		key, err := ecc.NewPrivateKey(append(make([]byte, 31), last))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	return authority{t, k(1), k(2), k(3), k(4), k(5)}
}
