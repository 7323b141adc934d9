package bcert_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

var now = time.Unix(1_700_000_000, 0)

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func publicKey(t testing.TB, digits string) ecc.PublicKey {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ecc.ParsePublicKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parse(t testing.TB, b []byte) *bcert.Chain {
	t.Helper()
	c, err := bcert.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDeviceChain reads and verifies sheet playready.md §13.9.
func TestDeviceChain(t *testing.T) {
	t.Parallel()
	c := parse(t, decode(t, deviceChain))
	if len(c.Raw) != 924 || len(c.Certificates) != 2 || len(c.Leaf().Raw) != 508 || len(c.Certificates[1].Raw) != 396 {
		t.Errorf("%d bytes, %d certificates of %d and %d", len(c.Raw), len(c.Certificates), len(c.Leaf().Raw), len(c.Certificates[1].Raw))
	}
	leaf, issuer := c.Leaf(), c.Certificates[1]
	if leaf.Type != bcert.TypeDevice || leaf.SecurityLevel != 150 || *leaf.Device != (bcert.Device{MaxLicense: 10240, MaxHeader: 15360, MaxChainDepth: 2}) ||
		len(leaf.Features) != 3 || leaf.Features[2] != 13 || !leaf.Expires.IsZero() || leaf.Manufacturer != (bcert.Manufacturer{Name: "Harness", Model: "Client", Number: "1"}) {
		t.Errorf("leaf %+v", leaf)
	}
	if issuer.Type != bcert.TypeIssuer || len(issuer.Features) != 0 || issuer.Keys[0].Usages[0] != bcert.UsageIssuerDevice {
		t.Errorf("issuer %+v", issuer)
	}
	sign, encrypt, err := c.VerifyDevice(publicKey(t, deviceRoot), now)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := hex.DecodeString("557f70e0af51b0c30b3f17f8babe19d935bb362b9d6bff1809a4ca97e026596c")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecc.NewPrivateKey(scalar)
	if err != nil || key.Public() != sign {
		t.Errorf("signing key %v, %v", sign, err)
	}
	if encrypt != publicKey(t, "12b8e5fafa3b7ed8271584807406e617b7d138c117e90c882d78ca50abe7bff3a8adb1d3c9295d7672d061c10032852b9a54822376824107da0f3e496dd4e62b") {
		t.Errorf("encryption key %v", encrypt)
	}
	// Built anew from what was read, the signed bytes are the same.
	for i, cert := range c.Certificates {
		again, err := cert.Issue(key)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Raw[:again.SignedLen], cert.Raw[:cert.SignedLen]) || len(again.Raw) != len(cert.Raw) {
			t.Errorf("certificate %d comes out differently:\n%x\n%x", i, again.Raw, cert.Raw)
		}
	}
}

// TestServerChain reads and verifies the signer chain of sheet playready.md §13.12.
func TestServerChain(t *testing.T) {
	t.Parallel()
	c := parse(t, decode(t, serverChain))
	if err := c.Verify(publicKey(t, serverRoot), now); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Leaf().Key(bcert.UsageSignResponse); !ok || c.Leaf().Type != bcert.TypeServer || c.Leaf().SecurityLevel != 3000 {
		t.Errorf("leaf %+v", c.Leaf())
	}
	var refused *bcert.VerifyError
	if _, _, err := c.VerifyDevice(publicKey(t, serverRoot), now); !errors.As(err, &refused) || refused.Reason != bcert.ReasonLeaf {
		t.Errorf("a server's chain as a device's: %v", err)
	}
	if _, err := ecc.ParsePublicKey(append([]byte(nil), bytes.Clone(func() []byte { k := bcert.VendorRoot(); return k[:] }())...)); err != nil {
		t.Errorf("the vendor's root: %v", err)
	}
}

// party is a key pair for tests.
func party(t *testing.T) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerify(t *testing.T) {
	t.Parallel()
	root, other, issuerKey, sign, encrypt := party(t), party(t), party(t), party(t), party(t)
	issue := func(c bcert.Certificate, by ecc.PrivateKey) *bcert.Certificate {
		cert, err := c.Issue(by)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	issuer := func(level uint32, usages ...bcert.Usage) *bcert.Certificate {
		return issue(bcert.NewIssuer([16]byte{1}, level, issuerKey.Public(), usages...), root)
	}
	device := func(edit func(*bcert.Certificate)) *bcert.Certificate {
		c := bcert.NewDevice([16]byte{2}, 2000, sign.Public(), encrypt.Public(), time.Time{})
		if edit != nil {
			edit(&c)
		}
		return issue(c, issuerKey)
	}
	good := issuer(3000, bcert.UsageIssuerDevice)
	altered := func(c *bcert.Certificate, at int) *bcert.Certificate {
		copied := *c
		copied.Raw = bytes.Clone(c.Raw)
		copied.Raw[at] ^= 1
		return &copied
	}
	deep := []*bcert.Certificate{device(nil), good, good, good, good, good, good}
	for name, c := range map[string]struct {
		chain []*bcert.Certificate
		want  drm.Reason
	}{
		"good":                  {[]*bcert.Certificate{device(nil), good}, ""},
		"issuer of all":         {[]*bcert.Certificate{device(nil), issuer(3000, bcert.UsageIssuerAll)}, ""},
		"unspecified level":     {[]*bcert.Certificate{device(nil), issuer(0, bcert.UsageIssuerDevice)}, ""},
		"foreign root":          {[]*bcert.Certificate{device(nil), issue(bcert.NewIssuer([16]byte{1}, 3000, issuerKey.Public(), bcert.UsageIssuerDevice), other)}, bcert.ReasonRoot},
		"foreign issuer":        {[]*bcert.Certificate{issue(bcert.NewDevice([16]byte{2}, 2000, sign.Public(), encrypt.Public(), time.Time{}), other), good}, bcert.ReasonIssuer},
		"issuer of servers":     {[]*bcert.Certificate{device(nil), issuer(3000, bcert.UsageIssuerServer)}, bcert.ReasonUsage},
		"rising level":          {[]*bcert.Certificate{device(nil), issuer(150, bcert.UsageIssuerDevice)}, bcert.ReasonSecurityLevel},
		"expired":               {[]*bcert.Certificate{device(func(c *bcert.Certificate) { c.Expires = now }), good}, bcert.ReasonExpired},
		"level patched":         {[]*bcert.Certificate{altered(device(nil), 16+8+16+3), good}, bcert.ReasonSignature},
		"signature flipped":     {[]*bcert.Certificate{altered(device(nil), len(device(nil).Raw)-100), good}, bcert.ReasonSignature},
		"too deep":              {deep, bcert.ReasonDepth},
		"not a device":          {[]*bcert.Certificate{device(func(c *bcert.Certificate) { c.Type = bcert.TypeCRLSigner }), issuer(3000, bcert.UsageIssuerAll)}, bcert.ReasonLeaf},
		"no key to encrypt for": {[]*bcert.Certificate{device(func(c *bcert.Certificate) { c.Keys = c.Keys[:1] }), good}, bcert.ReasonLeaf},
		"leaf as issuer":        {[]*bcert.Certificate{issue(bcert.NewDevice([16]byte{3}, 150, sign.Public(), encrypt.Public(), time.Time{}), sign), device(nil), good}, bcert.ReasonUsage},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := bcert.Join(c.chain...)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = chain.VerifyDevice(root.Public(), now)
			var refused *bcert.VerifyError
			switch {
			case c.want == "" && err != nil, c.want != "" && (!errors.As(err, &refused) || refused.Reason != c.want):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestMalformed cuts and lies: every one is an error, and quick.
func TestMalformed(t *testing.T) {
	t.Parallel()
	good := decode(t, deviceChain)
	for n := range good {
		if _, err := bcert.Parse(good[:n]); err == nil {
			t.Errorf("cut at %d: accepted", n)
		}
	}
	if _, err := bcert.Parse(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte too many: accepted")
	}
	// Each length and count of the leaf, set to 0, to the largest number, and one more or less.
	for _, at := range []int{4, 8, 16, 24, 28, 32, 40, 128, 148, 152, 172, 180, 344 - 92, 352} {
		for _, v := range []uint32{0, 1<<32 - 1, binary.BigEndian.Uint32(good[at:]) + 1, binary.BigEndian.Uint32(good[at:]) - 1} {
			bad := bytes.Clone(good)
			binary.BigEndian.PutUint32(bad[at:], v)
			c, err := bcert.Parse(bad)
			if err == nil && c.Verify(publicKey(t, deviceRoot), now) == nil {
				t.Errorf("%08x at %d: trusted", v, at)
			}
		}
	}
	if _, err := bcert.Parse(make([]byte, bcert.MaxChainLen+1)); err == nil {
		t.Error("a long chain: accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{deviceChain, serverChain} {
		b := decode(f, text)
		f.Add(b)
		f.Add(b[20:])
		f.Add(b[:len(b)/2])
	}
	root := publicKey(f, deviceRoot)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := bcert.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, b) || len(c.Certificates) == 0 || len(c.Leaf().Keys) == 0 {
			t.Error("accepted a chain without a key")
		}
		again, err := bcert.Join(c.Certificates...)
		if err != nil || len(again.Certificates) != len(c.Certificates) {
			t.Errorf("joined again: %v", err)
		}
		_ = c.Verify(root, now)
	})
}
