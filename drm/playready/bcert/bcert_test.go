package bcert_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
)

var now = time.Unix(1_700_000_000, 0)

// Offsets into a certificate.
const (
	atLength    = 8
	atSignedLen = 12
	atLevel     = 40 // of the security level
	atDigest    = 52
	// Behind the signed part.
	atSignature = 12
	atIssuerKey = atSignature + ecc.SignatureLen + 4
)

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func publicKey(t testing.TB, digits string) ecc.PublicKey {
	t.Helper()
	k, err := ecc.ParsePublicKey(unhex(t, digits))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func privateKey(t testing.TB, digits string) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.NewPrivateKey(unhex(t, digits))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// party returns a new key.
func party(t testing.TB) ecc.PrivateKey {
	t.Helper()
	k, err := ecc.GenerateKey()
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

func issue(t testing.TB, c bcert.Certificate, by ecc.PrivateKey) *bcert.Certificate {
	t.Helper()
	cert, err := c.Issue(by)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func join(t testing.TB, certificates ...*bcert.Certificate) *bcert.Chain {
	t.Helper()
	c, err := bcert.Join(certificates...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// resign returns the certificate with its signed part edited and signed again.
func resign(t testing.TB, c *bcert.Certificate, by ecc.PrivateKey, edit func(signed []byte)) *bcert.Certificate {
	t.Helper()
	raw := bytes.Clone(c.Raw)
	edit(raw[:c.SignedLen])
	signature, err := by.Sign(raw[:c.SignedLen])
	if err != nil {
		t.Fatal(err)
	}
	public := by.Public()
	copy(raw[c.SignedLen+atSignature:], signature)
	copy(raw[c.SignedLen+atIssuerKey:], public[:])
	again, err := bcert.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// wants fails the test unless the error has the reason, at the certificate; "" wants none.
func wants(t testing.TB, err error, reason drm.Reason, certificate int) {
	t.Helper()
	var refused *bcert.VerifyError
	switch {
	case reason == "" && err != nil:
		t.Errorf("%v, want none", err)
	case reason != "" && (!errors.As(err, &refused) || refused.Reason != reason || refused.Certificate != certificate):
		t.Errorf("%v, want certificate %d: %s", err, certificate, reason)
	case reason != "" && !strings.Contains(err.Error(), string(reason)):
		t.Errorf("%q does not tell the reason", err)
	}
}

// reissued fails the test unless issuing what was read gives the same bytes, but for the signature and the key that made it.
func reissued(t *testing.T, c *bcert.Chain) {
	t.Helper()
	for i, cert := range c.Certificates {
		raw := bytes.Clone(issue(t, *cert, party(t)).Raw)
		if len(raw) == len(cert.Raw) {
			copy(raw[cert.SignedLen+atSignature:], cert.Signature)
			copy(raw[cert.SignedLen+atIssuerKey:], cert.Issuer[:])
		}
		if !bytes.Equal(raw, cert.Raw) {
			t.Errorf("certificate %d comes out differently:\n%x\n%x", i, raw, cert.Raw)
		}
	}
	if again := join(t, c.Certificates...); !bytes.Equal(again.Raw, c.Raw) {
		t.Errorf("the chain comes out differently:\n%x\n%x", again.Raw, c.Raw)
	}
}

// TestDeviceChain reads, verifies and issues sheet playready.md §13.9.
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
	if issuer.Type != bcert.TypeIssuer || len(issuer.Features) != 0 || issuer.Keys[0].Usages[0] != bcert.UsageIssuerDevice || issuer.Device != nil {
		t.Errorf("issuer %+v", issuer)
	}
	sign, encrypt, err := c.VerifyDevice(publicKey(t, deviceRoot), now)
	if err != nil {
		t.Fatal(err)
	}
	if key := privateKey(t, "557f70e0af51b0c30b3f17f8babe19d935bb362b9d6bff1809a4ca97e026596c"); key.Public() != sign {
		t.Errorf("signing key %v", sign)
	}
	if encrypt != publicKey(t, "12b8e5fafa3b7ed8271584807406e617b7d138c117e90c882d78ca50abe7bff3a8adb1d3c9295d7672d061c10032852b9a54822376824107da0f3e496dd4e62b") {
		t.Errorf("encryption key %v", encrypt)
	}
	reissued(t, c)
}

// TestServerChain reads, verifies and issues the signer chain of sheet playready.md §13.12.
func TestServerChain(t *testing.T) {
	t.Parallel()
	c := parse(t, decode(t, serverChain))
	if len(c.Raw) != 816 || len(c.Leaf().Raw) != 396 || len(c.Certificates[1].Raw) != 400 {
		t.Errorf("%d bytes, certificates of %d and %d", len(c.Raw), len(c.Leaf().Raw), len(c.Certificates[1].Raw))
	}
	root := publicKey(t, serverRoot)
	wants(t, c.Verify(root, now), "", 0)
	signer, err := bcert.Verifier{Root: root, Now: now}.VerifyResponseSigner(c)
	if err != nil || signer != privateKey(t, "ce273d20abd583d518ee74fa015aa34f367aa77369715f8e9c0cc589495f7ed8").Public() {
		t.Errorf("signer %v, %v", signer, err)
	}
	if c.Leaf().Type != bcert.TypeServer || c.Leaf().SecurityLevel != 3000 {
		t.Errorf("leaf %+v", c.Leaf())
	}
	_, _, err = c.VerifyDevice(root, now)
	wants(t, err, bcert.ReasonLeaf, 0)
	wants(t, c.Verify(publicKey(t, deviceRoot), now), bcert.ReasonRoot, 1)
	reissued(t, c)
}

func TestVendorRoot(t *testing.T) {
	t.Parallel()
	const want = "864d61cff2256e422c568b3c28001cfb3e1527658584ba0521b79b1828d936de1d826a8fc3e6e7fa7a90d5ca2946f1f64a2efb9f5dcffe7e434eb44293fac5ab"
	if bcert.VendorRoot() != publicKey(t, want) {
		t.Errorf("%v", bcert.VendorRoot())
	}
}

// TestReissueEverything issues a certificate that has all that a certificate can have, twice.
func TestReissueEverything(t *testing.T) {
	t.Parallel()
	key := party(t)
	full := bcert.NewDevice([16]byte{1, 2}, 3000, key.Public(), party(t).Public(), time.Unix(1<<32-2, 0).UTC())
	full.Keys[0].Flags, full.Keys[1].Usages = 7, nil
	full.Manufacturer = bcert.Manufacturer{Flags: 9, Name: "", Model: "abc", Number: "abcd ü"}
	full.Unknown = []bcert.Attribute{{Flags: 1, Tag: 0x0003, Body: []byte{0, 0, 0, 1}}, {Flags: 0, Tag: 0x4242}}
	full.Extended = []bcert.Attribute{{Flags: 1, Tag: 0x000e, Body: []byte("hardware")}}
	cert := issue(t, full, key)
	if cert.Expires != full.Expires || cert.Manufacturer != full.Manufacturer || len(cert.Unknown) != 2 || len(cert.Extended) != 1 || cert.Flags != 1 ||
		string(cert.Extended[0].Body) != "hardware" || !cert.Unknown[0].MustUnderstand() || cert.Unknown[1].Tag != 0x4242 {
		t.Errorf("%+v", cert)
	}
	c := join(t, cert)
	wants(t, c.Verify(key.Public(), now), "", 0)
	reissued(t, c)
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	key := party(t)
	for name, edit := range map[string]func(*bcert.Certificate){
		"no key":                    func(c *bcert.Certificate) { c.Keys = nil },
		"a key off the curve":       func(c *bcert.Certificate) { c.Keys = []bcert.Key{{}} },
		"too many keys":             func(c *bcert.Certificate) { c.Keys = make([]bcert.Key, 1000) },
		"too many features":         func(c *bcert.Certificate) { c.Features = make([]uint32, 33) },
		"a NUL in a text":           func(c *bcert.Certificate) { c.Manufacturer.Name = "a\x00b" },
		"a NUL at a text's end":     func(c *bcert.Certificate) { c.Manufacturer.Name = "a\x00" },
		"expiry before 1970":        func(c *bcert.Certificate) { c.Expires = time.Unix(-1, 0) },
		"expiry that means never":   func(c *bcert.Certificate) { c.Expires = time.Unix(1<<32-1, 0) },
		"expiry beyond 32 bits":     func(c *bcert.Certificate) { c.Expires = time.Unix(1<<32, 0) },
		"two attributes of a tag":   func(c *bcert.Certificate) { c.Unknown = []bcert.Attribute{{Tag: 6}} },
		"keys behind the signature": func(c *bcert.Certificate) { c.Extended = []bcert.Attribute{{Tag: 6}} },
		"device after the signature": func(c *bcert.Certificate) {
			c.Device, c.Extended = nil, []bcert.Attribute{{Tag: 4, Body: make([]byte, 12)}}
		},
		"longer than any chain": func(c *bcert.Certificate) {
			c.Unknown = []bcert.Attribute{{Tag: 77, Body: make([]byte, bcert.MaxChainLen)}}
		},
	} {
		c := bcert.NewDevice([16]byte{}, 150, key.Public(), key.Public(), time.Time{})
		edit(&c)
		if _, err := c.Issue(key); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	if _, err := bcert.NewServer([16]byte{}, key.Public()).Issue(ecc.PrivateKey{}); err == nil {
		t.Error("issued without an issuer")
	}
	if _, err := bcert.Join(); err == nil {
		t.Error("a chain of nothing")
	}
}
