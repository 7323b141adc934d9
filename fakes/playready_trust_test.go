package fakes_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/nistec"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/fakes"
)

// untrusted are devices whose chain is wrong in one way each; their keys are their own.
func untrusted(t testing.TB) map[string]playready.Identity {
	t.Helper()
	root, key, issuer := authority(t, trusted).PlayReadyIssuer()
	own, err := ecc.GenerateKey()
	must(t, err)
	// under is a fresh device that a key signs, under certificates that go from its issuer up.
	under := func(by ecc.PrivateKey, level uint32, above ...*bcert.Certificate) playready.Identity {
		sign, encrypt, template := freshKeys(t, level)
		return chained(t, sign, encrypt, append([]*bcert.Certificate{issued(t, template, by)}, above...)...)
	}
	of := func(level uint32, usages ...bcert.Usage) *bcert.Certificate {
		return issued(t, bcert.NewIssuer([16]byte(randomBytes(16)), level, own.Public(), usages...), root)
	}
	first := firstPlayReady(t)
	leaf := first.Chain().Leaf()
	signer := func() playready.Identity {
		sign, encrypt, template := freshKeys(t, 2000)
		template.Type = bcert.TypeServer
		return chained(t, sign, encrypt, issued(t, template, key), issuer)
	}
	deep := []*bcert.Certificate{issuer}
	by := key
	for len(deep) < 6 {
		next, err := ecc.GenerateKey()
		must(t, err)
		deep = slices.Insert(deep, 0, issued(t, bcert.NewIssuer([16]byte(randomBytes(16)), 3000, next.Public(), bcert.UsageIssuerDevice), by))
		by = next
	}
	return map[string]playready.Identity{
		"foreign root":            authority(t, foreign).PlayReadyDevices()[0],
		"no issuer":               under(own, 2000),
		"not by the issuer":       under(own, 2000, issuer),
		"issuer for servers only": under(own, 2000, of(3000, bcert.UsageIssuerServer)),
		"issuer for nothing":      under(own, 2000, of(3000)),
		"level above the issuer":  under(own, 3000, of(2000, bcert.UsageIssuerDevice)),
		"leaf as issuer":          under(first.SigningKey(), 2000, leaf, issuer),
		"leaf's other key":        under(first.EncryptionKey(), 2000, leaf, issuer),
		"seven certificates":      under(by, 2000, deep...),
		"a server":                signer(),
	}
}

// TestPlayReadyUntrusted is rows PR-SEC-06 to -10.
func TestPlayReadyUntrusted(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{Tracks: map[drm.KID]fakes.Track{kid0: {PlayReady: fakes.PlayReadyTrack{SecurityLevel: 150}}}})
	for name, device := range untrusted(t) {
		t.Log(name)
		checkFault(t, s, prAsk{device: device}.make(t).post(t, s), prInvalid, "certificate-chain")
		isTrue(t, lastRecord(t, s).Device == "")
	}
	// Every part of a chain that is signed counts, wherever a bit flips in it.
	low := issuePlayReady(t, 150, time.Time{})
	acquire(t, s, prAsk{device: low, header: header42(kid0)})
	raised := func(chain []byte) []byte {
		return bytes.Replace(chain, []byte{0, 0, 0, 150}, []byte{0, 0, 0x0B, 0xB8}, 1)
	}
	checkFault(t, s, prAsk{device: low, chain: raised}.make(t).post(t, s), prInvalid, "certificate-chain")
	leaf, issuerOf := low.Chain().Certificates[0], low.Chain().Certificates[1]
	for at := 20; at < 20+len(leaf.Raw)+issuerOf.SignedLen; at += 7 {
		if at >= 20+leaf.SignedLen && at < 20+len(leaf.Raw)-136 {
			continue // the header of the signature, which nothing is over
		}
		prAsk{device: low, chain: func(chain []byte) []byte { return flip(chain, at) }}.make(t).post(t, s)
		if r := lastRecord(t, s).Reason; r != "certificate-chain" && r != "encrypted-data" {
			t.Errorf("bit flipped in byte %d: %q", at, r)
		}
	}
	many := func([]byte) []byte { return repeatedIssuer(t, 20) }
	checkFault(t, s, prAsk{chain: many}.make(t).post(t, s), prInvalid, "certificate-chain")
	// An issuer may stand between.
	_, key, issuer := s.Authority().PlayReadyIssuer()
	between, err := ecc.GenerateKey()
	must(t, err)
	sign, encrypt, template := freshKeys(t, 2000)
	acquire(t, s, prAsk{device: chained(t, sign, encrypt, issued(t, template, between),
		issued(t, bcert.NewIssuer([16]byte{1}, 2000, between.Public(), bcert.UsageIssuerDevice), key), issuer)})
}

// TestPlayReadyExpiry has certificates that expire while their chain is remembered (PR-SEC-09).
func TestPlayReadyExpiry(t *testing.T) {
	t.Parallel()
	clock := time.Unix(requestTime, 0)
	root, _, _ := authority(t, trusted).PlayReadyIssuer()
	own, err := ecc.GenerateKey()
	must(t, err)
	short := bcert.NewIssuer([16]byte{2}, 3000, own.Public(), bcert.UsageIssuerDevice)
	short.Expires = clock.Add(time.Hour)
	sign, encrypt, template := freshKeys(t, 2000)
	for name, device := range map[string]playready.Identity{
		"device": issuePlayReady(t, 2000, clock.Add(time.Hour)),
		"issuer": chained(t, sign, encrypt, issued(t, template, own), issued(t, short, root)),
	} {
		s := startPlayReady(t, fakes.Options{})
		ask := func(want drm.Reason) {
			answer := prAsk{device: device, la: func(la *soap.LA) { la.ClientTime = fmt.Sprint(s.Clock().Now().Unix()) }}.make(t).post(t, s)
			if want != "" {
				checkFault(t, s, answer, prInvalid, want)
			} else if answer.status != 200 {
				t.Errorf("%s: status %d, %q", name, answer.status, lastRecord(t, s).Reason)
			}
		}
		ask("")
		s.Clock().Advance(time.Hour - time.Second)
		ask("")
		s.Clock().Advance(time.Second)
		ask("certificate-expired")
		ask("certificate-expired")
		s.Clock().Advance(-time.Second)
		ask("")
	}
}

// wrongEncryption are challenges whose encrypted data the server cannot use, whichever step of sheet playready.md §7.3, §7.4
// fails. Digest and signature are right every time.
func wrongEncryption(t testing.TB) map[string]prAsk {
	t.Helper()
	la := func(alter func(*soap.LA)) prAsk { return prAsk{la: alter} }
	key := func(alter func([]byte) []byte) prAsk {
		return la(func(la *soap.LA) { la.EncryptedKey = alter(la.EncryptedKey) })
	}
	data := func(alter func([]byte) []byte) prAsk {
		return la(func(la *soap.LA) { la.EncryptedData = alter(la.EncryptedData) })
	}
	plain := func(text string) prAsk { return prAsk{plain: func([]byte) []byte { return []byte(text) }} }
	chain := func(alter func([]byte) []byte) prAsk { return prAsk{chain: alter} }
	last := func(b []byte, mask byte) []byte { // of the plaintext: it changes with the block before
		b = bytes.Clone(b)
		b[len(b)-17] ^= mask
		return b
	}
	other, err := ecc.GenerateKey()
	must(t, err)
	// padded changes the padding, which is known, into another.
	padded := func(to byte) prAsk {
		n := len(soap.ClientData(firstPlayReady(t).Chain().Raw))
		return data(func(b []byte) []byte { return last(b, byte(16-n%16)^to) })
	}
	return map[string]prAsk{
		"key of zeros":            key(func(b []byte) []byte { return make([]byte, len(b)) }),
		"key of ones":             key(func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) }),
		"random key":              key(func(b []byte) []byte { return randomBytes(len(b)) }),
		"first point off":         key(func(b []byte) []byte { return flip(b, 63) }),
		"second point off":        key(func(b []byte) []byte { return flip(b, 127) }),
		"points swapped":          key(func(b []byte) []byte { return slices.Concat(b[64:], b[:64]) }),
		"the identity":            key(func([]byte) []byte { return identity(t) }),
		"key of 127 bytes":        key(func(b []byte) []byte { return b[:127] }),
		"key of 129 bytes":        key(func(b []byte) []byte { return append(b, 0) }),
		"no key":                  key(func([]byte) []byte { return nil }),
		"for another server":      {server: other.Public()},
		"padding of 0":            padded(0),
		"padding of 17":           padded(17),
		"padding of 255":          padded(255),
		"another padding":         padded(15), // what is left is no XML
		"first block":             data(func(b []byte) []byte { return flip(b, 16) }),
		"another IV":              data(func(b []byte) []byte { return flip(b, 0) }),
		"half a block":            data(func(b []byte) []byte { return b[:len(b)-8] }),
		"a block missing":         data(func(b []byte) []byte { return b[:len(b)-16] }),
		"IV alone":                data(func(b []byte) []byte { return b[:16] }),
		"no data":                 data(func([]byte) []byte { return nil }),
		"nothing inside":          plain(""),
		"no XML":                  plain("garbage"),
		"no UTF-8":                plain("\xff\xfe"),
		"another element":         plain("<Date></Date>"),
		"no chain":                plain("<Data><CertificateChains></CertificateChains></Data>"),
		"chain not base64":        plain("<Data><CertificateChains><CertificateChain>????</CertificateChain></CertificateChains></Data>"),
		"document type":           plain("<!DOCTYPE Data><Data></Data>"),
		"empty chain":             chain(func([]byte) []byte { return nil }),
		"chain is garbage":        chain(func(b []byte) []byte { return randomBytes(len(b)) }),
		"chain cut":               chain(func(b []byte) []byte { return b[:len(b)-1] }),
		"chain too long":          chain(func(b []byte) []byte { return append(bytes.Clone(b), 0) }),
		"chain's magic":           chain(func(b []byte) []byte { return flip(b, 0) }),
		"length 0":                chain(func(b []byte) []byte { return patched(b, 8, 0, 0, 0, 0) }),
		"length of 4 GiB":         chain(func(b []byte) []byte { return patched(b, 8, 0xff, 0xff, 0xff, 0xff) }),
		"no certificates":         chain(func(b []byte) []byte { return patched(b, 16, 0, 0, 0, 0) }),
		"as many as there are":    chain(func(b []byte) []byte { return patched(b, 16, 0xff, 0xff, 0xff, 0xff) }),
		"certificate of 0 bytes":  chain(func(b []byte) []byte { return patched(b, 28, 0, 0, 0, 0) }),
		"certificate of 4 GiB":    chain(func(b []byte) []byte { return patched(b, 28, 0xff, 0xff, 0xff, 0xff) }),
		"attribute of 0 bytes":    chain(func(b []byte) []byte { return patched(b, 40, 0, 0, 0, 0) }),
		"forty certificates":      chain(func([]byte) []byte { return repeatedIssuer(t, 40) }),
		"attribute not known":     chain(func(b []byte) []byte { return patched(b, 38, 0x77) }),
		"a key off the curve":     chain(func(b []byte) []byte { return bytes.Replace(b, publicOf(t), make([]byte, 64), 1) }),
		"chain of another length": chain(func([]byte) []byte { return []byte(strings.Repeat("CHAI", 1000)) }),
	}
}

func patched(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}

func publicOf(t testing.TB) []byte {
	public := firstPlayReady(t).SigningKey().Public()
	return public[:]
}

// repeatedIssuer is a chain of n certificates: the first device's, and its issuer's over and over.
func repeatedIssuer(t testing.TB, n int) []byte {
	c := firstPlayReady(t).Chain().Certificates
	body := slices.Concat(c[0].Raw, bytes.Repeat(c[1].Raw, n-1))
	b := []byte("CHAI\x00\x00\x00\x01")
	for _, v := range []int{20 + len(body), 0, n} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return append(b, body...)
}

// identity encrypts the point at infinity for the server: C1 = k·G, C2 = k·S.
func identity(t testing.TB) []byte {
	t.Helper()
	k, err := ecc.GenerateKey()
	must(t, err)
	public := authority(t, trusted).PlayReadyServerKey()
	server, err := nistec.NewP256Point().SetBytes(append([]byte{4}, public[:]...))
	must(t, err)
	c2, err := nistec.NewP256Point().ScalarMult(server, k.Scalar().Reveal())
	must(t, err)
	c1 := k.Public()
	return slices.Concat(c1[:], c2.Bytes()[1:])
}

// TestPlayReadyOneRefusal is rows PR-SEC-11, -13 and -14: whatever is wrong with the encrypted data, the answer is the same to
// the byte.
func TestPlayReadyOneRefusal(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{})
	var want reply
	for name, a := range wrongEncryption(t) {
		answer := a.make(t).post(t, s)
		answer.header.Del("Date")
		checkFault(t, s, answer, prInvalid, "encrypted-data")
		if want.status == 0 {
			want = answer
		}
		if !bytes.Equal(answer.body, want.body) || answer.status != want.status || fmt.Sprint(answer.header) != fmt.Sprint(want.header) {
			t.Errorf("%s: status %d, %s", name, answer.status, answer.body)
		}
		isTrue(t, lastRecord(t, s).Device == "")
	}
	acquire(t, s, prAsk{})
}
