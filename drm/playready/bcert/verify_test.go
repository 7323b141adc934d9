package bcert_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

// authority holds keys for tests: a root, an issuer, the two of a device, and a stranger's.
type authority struct {
	t                                    testing.TB
	root, issuer, sign, encrypt, foreign ecc.PrivateKey
}

func newAuthority(t testing.TB) authority {
	return authority{t, party(t), party(t), party(t), party(t), party(t)}
}

// issuerCert returns the certificate of an issuer, signed by the root.
func (a authority) issuerCert(level uint32, usages ...bcert.Usage) *bcert.Certificate {
	return issue(a.t, bcert.NewIssuer([16]byte{1}, level, a.issuer.Public(), usages...), a.root)
}

// device returns the certificate of a device of level 2000, edited before the issuer signs it.
func (a authority) device(edits ...func(*bcert.Certificate)) *bcert.Certificate {
	c := bcert.NewDevice([16]byte{2}, 2000, a.sign.Public(), a.encrypt.Public(), time.Time{})
	for _, edit := range edits {
		edit(&c)
	}
	return issue(a.t, c, a.issuer)
}

// altered returns the certificate with a byte flipped.
func altered(c *bcert.Certificate, at int) *bcert.Certificate {
	copied := *c
	copied.Raw = bytes.Clone(c.Raw)
	copied.Raw[at] ^= 1
	return &copied
}

// issuers returns a chain of n issuers, leaf-most first, of which the first has the authority's issuing key.
func (a authority) issuers(n int, edit func(i int, c *bcert.Certificate)) []*bcert.Certificate {
	by, chain := a.root, make([]*bcert.Certificate, n)
	for i := n - 1; i >= 0; i-- {
		key := a.issuer
		if i > 0 {
			key = party(a.t)
		}
		c := bcert.NewIssuer([16]byte{1, byte(i)}, 3000, key.Public(), bcert.UsageIssuerDevice)
		if edit != nil {
			edit(i, &c)
		}
		chain[i], by = issue(a.t, c, by), key
	}
	return chain
}

// TestRules breaks every rule of sheet playready.md §10, and bends each as far as it goes.
func TestRules(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	type list []*bcert.Certificate
	type edit = func(*bcert.Certificate)
	good := a.issuerCert(3000, bcert.UsageIssuerDevice)
	deep := func(n int) list { return append(list{a.device()}, a.issuers(n-1, nil)...) }
	usages := func(u ...bcert.Usage) edit { return func(c *bcert.Certificate) { c.Keys[0].Usages = u } }
	levels := func(levels ...uint32) list {
		return append(list{a.device()}, a.issuers(len(levels), func(i int, c *bcert.Certificate) { c.SecurityLevel = levels[i] })...)
	}
	attribute := func(flags, tag uint16) edit {
		return func(c *bcert.Certificate) {
			c.Unknown = []bcert.Attribute{{Flags: flags, Tag: tag, Body: []byte{1, 2, 3, 4}}}
		}
	}
	under := func(edit edit) list {
		return append(list{a.device()}, a.issuers(1, func(_ int, c *bcert.Certificate) { edit(c) })...)
	}
	as := func(leaf bcert.Type) list {
		return list{a.device(func(c *bcert.Certificate) { c.Type = leaf }), a.issuerCert(3000, bcert.UsageIssuerAll)}
	}
	lacking := append(list{a.device()}, a.issuers(2, func(i int, c *bcert.Certificate) {
		if i == 1 {
			c.Keys[0].Usages[0] = bcert.UsageIssuerServer
		}
	})...)
	expires := func(at time.Time) edit { return func(c *bcert.Certificate) { c.Expires = at } }
	withKeys := func(keys ...bcert.Key) *bcert.Certificate {
		c := bcert.NewIssuer([16]byte{1}, 3000, a.issuer.Public())
		c.Keys = keys
		return issue(t, c, a.root)
	}
	signing, other := a.issuer.Public(), a.foreign.Public()
	issuing := []bcert.Usage{bcert.UsageIssuerDevice}
	subLeaf := issue(t, bcert.NewDevice([16]byte{3}, 150, a.foreign.Public(), a.foreign.Public(), time.Time{}), a.sign)
	otherDigest := func(b []byte) { copy(b[atDigest:], digestOf(a.encrypt)) }
	badLevel, badDigest := func(b []byte) { b[atLevel+3] ^= 8 }, func(b []byte) { b[atDigest] ^= 1 }
	for name, c := range map[string]struct {
		chain list
		want  drm.Reason
		at    int
	}{
		"good":                             {list{a.device(), good}, "", 0},
		"2: signed by another root":        {list{a.device(), resign(t, good, a.foreign, func([]byte) {})}, bcert.ReasonRoot, 1},
		"2: certificates change places":    {list{good, a.device()}, bcert.ReasonRoot, 1},
		"2: the issuer is missing":         {list{a.device()}, bcert.ReasonRoot, 0},
		"3: level patched":                 {list{altered(a.device(), atLevel+3), good}, bcert.ReasonSignature, 0},
		"3: issuer patched":                {list{a.device(), altered(good, atLevel+3)}, bcert.ReasonSignature, 1},
		"3: signature patched":             {list{altered(a.device(), a.device().SignedLen+atSignature+9), good}, bcert.ReasonSignature, 0},
		"4: signed by a stranger":          {list{resign(t, a.device(), a.foreign, badLevel), good}, bcert.ReasonIssuer, 0},
		"4: signed by the root itself":     {list{resign(t, a.device(), a.root, badLevel), good}, bcert.ReasonIssuer, 0},
		"4: signed by itself":              {list{resign(t, a.device(), a.sign, badLevel), good}, bcert.ReasonIssuer, 0},
		"4: another issuer above":          {list{a.device(), withKeys(bcert.Key{Public: other, Usages: issuing})}, bcert.ReasonIssuer, 0},
		"4: the second key of the issuer":  {list{a.device(), withKeys(bcert.Key{Public: other}, bcert.Key{Public: signing, Usages: issuing})}, "", 0},
		"4: the key stands twice":          {list{a.device(), withKeys(bcert.Key{Public: signing}, bcert.Key{Public: signing, Usages: issuing})}, "", 0},
		"4: usage of another key":          {list{a.device(), withKeys(bcert.Key{Public: signing}, bcert.Key{Public: other, Usages: issuing})}, bcert.ReasonUsage, 0},
		"4: issuer of all":                 {list{a.device(), a.issuerCert(3000, bcert.UsageIssuerAll)}, "", 0},
		"4: issuer of servers":             {list{a.device(), a.issuerCert(3000, bcert.UsageIssuerServer)}, bcert.ReasonUsage, 0},
		"4: issuer of nothing":             {list{a.device(), a.issuerCert(3000)}, bcert.ReasonUsage, 0},
		"4: usages of a device":            {list{a.device(), a.issuerCert(3000, bcert.UsageSign, bcert.UsageEncrypt)}, bcert.ReasonUsage, 0},
		"4: a leaf as issuer":              {list{subLeaf, a.device(), good}, bcert.ReasonIssuerType, 0},
		"4: a leaf that may issue":         {list{subLeaf, a.device(usages(bcert.UsageSign, bcert.UsageIssuerDevice)), good}, bcert.ReasonIssuerType, 0},
		"4: upper issuer lacks the usage":  {lacking, bcert.ReasonUsage, 1},
		"5: digest of another key":         {list{resign(t, a.device(), a.issuer, badDigest), good}, bcert.ReasonDigest, 0},
		"5: digest of the second key":      {list{resign(t, a.device(), a.issuer, otherDigest), good}, bcert.ReasonDigest, 0},
		"6: expires now":                   {list{a.device(expires(now)), good}, bcert.ReasonExpired, 0},
		"6: expired in 1970":               {list{a.device(expires(time.Unix(0, 0))), good}, bcert.ReasonExpired, 0},
		"6: expires in a second":           {list{a.device(expires(now.Add(time.Second))), good}, "", 0},
		"6: issuer expired":                {under(expires(now)), bcert.ReasonExpired, 1},
		"7: level rises":                   {levels(150), bcert.ReasonSecurityLevel, 0},
		"7: level rises among issuers":     {levels(3000, 2000), bcert.ReasonSecurityLevel, 1},
		"7: level rises past unspecified":  {levels(0, 150), bcert.ReasonSecurityLevel, 0},
		"7: level stays":                   {levels(2000, 2000), "", 0},
		"7: level is not stated":           {levels(0), "", 0},
		"8: as deep as it may be":          {deep(bcert.MaxDepth), "", 0},
		"8: one too deep":                  {deep(bcert.MaxDepth + 1), bcert.ReasonDepth, bcert.MaxDepth},
		"8: twenty":                        {deep(20), bcert.ReasonDepth, bcert.MaxDepth},
		"10: no client":                    {as(bcert.TypeCRLSigner), bcert.ReasonLeaf, 0},
		"10: an issuer":                    {list{good}, bcert.ReasonLeaf, 0},
		"10: an unknown type":              {as(99), bcert.ReasonLeaf, 0},
		"10: a PC":                         {list{a.device(func(c *bcert.Certificate) { c.Type = bcert.TypePC }), good}, "", 0},
		"10: no key to encrypt for":        {list{a.device(func(c *bcert.Certificate) { c.Keys = c.Keys[:1] }), good}, bcert.ReasonLeaf, 0},
		"10: no key to sign":               {list{a.device(func(c *bcert.Certificate) { c.Keys = c.Keys[1:] }), good}, bcert.ReasonLeaf, 0},
		"11: unknown, must be understood":  {list{a.device(attribute(1, 0x0012)), good}, bcert.ReasonAttribute, 0},
		"11: unknown in the issuer":        {under(attribute(3, 0xffff)), bcert.ReasonAttribute, 1},
		"11: tag 0":                        {list{a.device(attribute(1, 0)), good}, bcert.ReasonAttribute, 0},
		"11: unknown":                      {list{a.device(attribute(2, 0x0012)), good}, "", 0},
		"11: known by name":                {list{a.device(attribute(1, 0x0010)), good}, "", 0},
		"from root to leaf":                {list{altered(a.device(), atLevel+3), under(expires(now))[1]}, bcert.ReasonExpired, 1},
		"signature before issuer's usages": {list{altered(a.device(), atLevel+3), a.issuerCert(3000)}, bcert.ReasonSignature, 0},
	} {
		_, _, err := join(t, c.chain...).VerifyDevice(a.root.Public(), now)
		t.Run(name, func(t *testing.T) { wants(t, err, c.want, c.at) })
	}
}

// TestOneKeyForBoth is rule 10's single key with both usages.
func TestOneKeyForBoth(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	leaf := a.device(func(c *bcert.Certificate) {
		c.Keys = []bcert.Key{{Public: a.sign.Public(), Usages: []bcert.Usage{bcert.UsageEncrypt, bcert.UsageSign}}}
	})
	sign, encrypt, err := join(t, leaf, a.issuerCert(3000, bcert.UsageIssuerDevice)).VerifyDevice(a.root.Public(), now)
	if err != nil || sign != a.sign.Public() || encrypt != sign {
		t.Errorf("%v and %v, %v", sign, encrypt, err)
	}
	// Keys come out of chains that are trusted only.
	sign, encrypt, err = join(t, a.device()).VerifyDevice(a.root.Public(), now)
	if err == nil || sign != (ecc.PublicKey{}) || encrypt != (ecc.PublicKey{}) {
		t.Errorf("%v and %v, %v", sign, encrypt, err)
	}
	wants(t, bcert.Verifier{Root: a.root.Public(), Now: now}.Verify(&bcert.Chain{}), bcert.ReasonRoot, 0)
}

// TestIssuerUsages is the table of sheet playready.md §10, "issuer usage by child".
func TestIssuerUsages(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	byType := map[bcert.Type]bcert.Usage{1: 6, 2: 6, 3: 8, 5: 11, 7: 9, 8: 10, 9: 12, 10: 13, 11: 15, 12: 18, 13: 23, 14: 24, 4: 0, 6: 0, 0: 0, 15: 0}
	leaves := map[bcert.Type]*bcert.Certificate{}
	for leaf := range byType {
		leaves[leaf] = a.device(func(c *bcert.Certificate) { c.Type = leaf })
		if text := leaf.String(); text == "" || text[:1] != fmt.Sprint(uint32(leaf))[:1] {
			t.Errorf("type %d prints as %q", uint32(leaf), text)
		}
	}
	v := bcert.Verifier{Root: a.root.Public(), Now: now, Memo: &bcert.Memo{}}
	for usage := range bcert.Usage(26) {
		issuer := a.issuerCert(3000, usage)
		for leaf, needed := range byType {
			want := bcert.ReasonUsage
			if usage == bcert.UsageIssuerAll || usage == needed && needed != 0 {
				want = ""
			}
			wants(t, v.Verify(join(t, leaves[leaf], issuer)), want, 0)
		}
	}
}

// TestResponseSigner accepts any type of leaf under any issuer (sheet playready.md §8.1), and nothing else that Verify refuses.
func TestResponseSigner(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	v := bcert.Verifier{Root: a.root.Public(), Now: now}
	server := func(edit func(*bcert.Certificate)) *bcert.Certificate {
		c := bcert.NewServer([16]byte{5}, a.sign.Public())
		edit(&c)
		return issue(t, c, a.issuer)
	}
	as := func(leaf bcert.Type) func(*bcert.Certificate) { return func(c *bcert.Certificate) { c.Type = leaf } }
	for name, c := range map[string]struct {
		chain []*bcert.Certificate
		want  drm.Reason
	}{
		"server":         {[]*bcert.Certificate{server(as(11)), a.issuerCert(3000, bcert.UsageIssuerServer)}, ""},
		"license signer": {[]*bcert.Certificate{server(as(12)), a.issuerCert(3000, bcert.UsageIssuerServer)}, ""},
		"another issuer": {[]*bcert.Certificate{server(as(99)), a.issuerCert(3000, bcert.UsageIssuerLicense)}, ""},
		"no issuer":      {[]*bcert.Certificate{server(as(11)), a.issuerCert(3000, bcert.UsageSignResponse)}, bcert.ReasonUsage},
		"another usage":  {[]*bcert.Certificate{a.device(), a.issuerCert(3000, bcert.UsageIssuerAll)}, bcert.ReasonLeaf},
		"expired":        {[]*bcert.Certificate{server(func(c *bcert.Certificate) { c.Expires = now }), a.issuerCert(3000, bcert.UsageIssuerServer)}, bcert.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := v.VerifyResponseSigner(join(t, c.chain...))
			wants(t, err, c.want, 0)
			if (err == nil) != (key == a.sign.Public()) {
				t.Errorf("key %v", key)
			}
		})
	}
}

// TestMemo verifies with a memory as without, in parallel, and more often than it holds.
func TestMemo(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	memo := &bcert.Memo{}
	v := bcert.Verifier{Root: a.root.Public(), Now: now, Memo: memo}
	good := a.issuerCert(3000, bcert.UsageIssuerDevice)
	chain := join(t, a.device(func(c *bcert.Certificate) { c.Expires = now.Add(time.Hour) }), good)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 4 {
				_, _, err := v.VerifyDevice(chain)
				wants(t, err, "", 0)
			}
		})
	}
	all.Wait()
	// What it remembers is the signature alone.
	late, strict, elsewhere := v, v, v
	late.Now = now.Add(time.Hour)
	strict.Revoked = map[[32]byte]bool{chain.Leaf().Digest: true}
	elsewhere.Root = a.foreign.Public()
	wants(t, late.Verify(chain), bcert.ReasonExpired, 0)
	wants(t, strict.Verify(chain), bcert.ReasonRevoked, 0)
	wants(t, elsewhere.Verify(chain), bcert.ReasonRoot, 1)
	leaf := chain.Leaf()
	for _, at := range []int{atLevel, leaf.SignedLen + atSignature, leaf.SignedLen + atSignature + 40} {
		wants(t, v.Verify(join(t, altered(leaf, at), good)), bcert.ReasonSignature, 0)
	}
	wants(t, v.Verify(join(t, resign(t, leaf, a.foreign, func([]byte) {}), good)), bcert.ReasonIssuer, 0)
}

// TestMemoSpares sees by the allocations that nothing is verified twice.
func TestMemoSpares(t *testing.T) { // not in parallel: it counts allocations
	chain := parse(t, decode(t, deviceChain))
	v := bcert.Verifier{Root: publicKey(t, deviceRoot), Now: now, Memo: &bcert.Memo{}}
	again := func() {
		if err := v.Verify(chain); err != nil {
			t.Fatal(err)
		}
	}
	again()
	spared := testing.AllocsPerRun(10, again)
	v.Memo = nil
	if all := testing.AllocsPerRun(10, again); spared > 2 || all < 10 {
		t.Errorf("%v allocations with a memory, %v without", spared, all)
	}
}

func TestRevokedCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	chain := join(t, append([]*bcert.Certificate{a.device()}, a.issuers(2, nil)...)...)
	for i, cert := range chain.Certificates {
		v := bcert.Verifier{Root: a.root.Public(), Now: now, Revoked: map[[32]byte]bool{cert.Digest: true, {1}: true}}
		wants(t, v.Verify(chain), bcert.ReasonRevoked, i)
		_, _, err := v.VerifyDevice(chain)
		wants(t, err, bcert.ReasonRevoked, i)
	}
	wants(t, bcert.Verifier{Root: a.root.Public(), Now: now, Revoked: map[[32]byte]bool{{1}: true}}.Verify(chain), "", 0)
}

// TestEveryBit flips every bit of a chain: it is no longer trusted, except where nothing covers the bit.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	good := decode(t, deviceChain)
	root := publicKey(t, deviceRoot)
	memo := &bcert.Memo{} // as a server would: it must not matter
	for at := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << bit
			c, err := bcert.Parse(bad)
			if err == nil {
				_, _, err = bcert.Verifier{Root: root, Now: now, Memo: memo}.VerifyDevice(c)
			}
			if (err == nil) != slices.Contains(openBytes, at) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, at, err)
			}
		}
	}
	// The same for the extended data of a certificate, which this package keeps and nobody signs for.
	a := newAuthority(t)
	leaf := a.device(func(c *bcert.Certificate) {
		c.Extended = []bcert.Attribute{{Flags: 1, Tag: 0x000e, Body: []byte{1, 2, 3, 4}}}
	})
	issuer := a.issuerCert(3000, bcert.UsageIssuerDevice)
	wants(t, join(t, altered(leaf, len(leaf.Raw)-1), issuer).Verify(a.root.Public(), now), "", 0)
	if binary.BigEndian.Uint32(leaf.Raw[atSignedLen:])+144+12 != binary.BigEndian.Uint32(leaf.Raw[atLength:]) {
		t.Error("the extended data stand elsewhere")
	}
}
