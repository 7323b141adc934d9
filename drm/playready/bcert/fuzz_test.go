package bcert_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"keyflow/drm/playready/bcert"
)

func FuzzParse(f *testing.F) {
	for _, text := range []string{deviceChain, serverChain} {
		b := decode(f, text)
		f.Add(b)
		f.Add(b[20:])
		f.Add(b[:len(b)/2])
	}
	a := vectorAuthority(f)
	full := a.device(func(c *bcert.Certificate) {
		c.Unknown = []bcert.Attribute{{Flags: 1, Tag: 0x7777}}
		c.Extended = []bcert.Attribute{{Flags: 1, Tag: 0x000e, Body: []byte{1}}}
	})
	f.Add(join(f, append([]*bcert.Certificate{full}, a.issuers(7, nil)...)...).Raw)
	root := publicKey(f, deviceRoot)
	good := [][]byte{decode(f, deviceChain)}
	memo := &bcert.Memo{}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := bcert.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Raw, b) || len(c.Certificates) == 0 || len(c.Certificates) > bcert.MaxCertificates {
			t.Fatalf("%d certificates", len(c.Certificates))
		}
		for _, cert := range c.Certificates {
			if len(cert.Keys) == 0 || cert.SignedLen > len(cert.Raw) {
				t.Error("accepted a certificate without a key, or with a signed part that is longer than itself")
			}
		}
		again, err := bcert.Join(c.Certificates...)
		if err != nil || !bytes.Equal(again.Raw, b) {
			t.Errorf("joined again: %v", err)
		}
		err = bcert.Verifier{Root: root, Now: now, Memo: memo}.Verify(c)
		plain := c.Verify(root, now)
		var refused *bcert.VerifyError
		switch {
		case (err == nil) != (plain == nil):
			t.Errorf("%v with a memory, %v without", err, plain)
		case err != nil && (!errors.As(err, &refused) || refused.Reason == ""):
			t.Errorf("%v has no reason", err)
		case err == nil && len(b) == len(good[0]) && !sameBut(b, good[0], openBytes):
			t.Error("trusted a chain that nobody signed")
		}
		_, _, _ = c.VerifyDevice(root, now)
	})
}

func FuzzParseCertificate(f *testing.F) {
	a := vectorAuthority(f)
	for _, c := range append(slices.Concat(parse(f, decode(f, deviceChain)).Certificates, parse(f, decode(f, serverChain)).Certificates),
		a.device(func(c *bcert.Certificate) {
			c.Unknown = []bcert.Attribute{{Flags: 1, Tag: 0x7777}}
			c.Extended = []bcert.Attribute{{Flags: 1, Tag: 0x000e, Body: []byte{1}}}
		})) {
		f.Add(c.Raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := bcert.ParseCertificate(b)
		if err != nil || len(b) > bcert.MaxChainLen/2 {
			return // what Issue and Join add to a very long one may be too much
		}
		// What can be read can be issued, and reads the same then: all but the order and the flags of what this package knows.
		again, err := c.Issue(a.issuer)
		if err != nil {
			if c.Features == nil || c.Manufacturer == (bcert.Manufacturer{}) {
				return // the attributes that Issue adds were too many
			}
			t.Fatal(err)
		}
		if again.ID != c.ID || again.SecurityLevel != c.SecurityLevel || again.Type != c.Type || again.Expires != c.Expires || again.Flags != c.Flags ||
			again.Manufacturer != c.Manufacturer || len(again.Keys) != len(c.Keys) || len(again.Unknown) != len(c.Unknown) || len(again.Extended) != len(c.Extended) ||
			!slices.Equal(again.Features, c.Features) || again.Digest != [32]byte(digestOfPoint(c.Keys[0].Public)) {
			t.Errorf("%+v\n%+v", again, c)
		}
		if chain, err := bcert.Join(again); err != nil || len(again.Unknown) == 0 && c.Expires.IsZero() && chain.Verify(a.issuer.Public(), now) != nil {
			t.Errorf("what was issued is not trusted: %v", err)
		}
	})
}

func FuzzParseRevocationList(f *testing.F) {
	a := vectorAuthority(f)
	signer := a.crlChain(bcert.UsageIssuerCRL, nil)
	for n := range 3 {
		l := a.list(signer, slices.Repeat([]*bcert.Certificate{a.device()}, n)...)
		f.Add(l.Raw)
		f.Add(l.Raw[:l.SignedLen+67])
	}
	v := bcert.Verifier{Root: a.root.Public(), Now: now, Memo: &bcert.Memo{}}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := bcert.ParseRevocationList(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Raw, b) || l.SignedLen != 24+32*len(l.Entries) || len(bcert.Revoked(l)) > len(l.Entries) {
			t.Errorf("%d bytes signed, %d entries", l.SignedLen, len(l.Entries))
		}
		var refused *bcert.VerifyError
		if err := v.VerifyList(l); err != nil && !errors.As(err, &refused) {
			t.Errorf("%v has no reason", err)
		}
	})
}
