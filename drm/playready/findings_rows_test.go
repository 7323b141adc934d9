package playready

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
)

// second makes a row whose second license of three is altered, and a finding about it alone.
func second(name string, reason drm.Reason, seen string, decoded int, change func(t testing.TB, g *grant)) row {
	return row{
		name: name, want: []drm.Reason{reason}, seen: "license 2: " + seen, kid: &kidB, keys: others, decoded: decoded, pattern: NonceBigEndian,
		change: func(t testing.TB, r *response) { change(t, r.grants[1]) },
	}
}

// unparsed is a second license that is none, so that nobody knows its KID.
func unparsed(name, seen string, change func(g *grant)) row {
	r := second(name, ReasonLicenseParse, seen, 2, func(_ testing.TB, g *grant) { change(g) })
	r.kid = nil
	return r
}

// encrypted is a second license whose encrypted key is altered.
func encrypted(name string, change func([]byte) []byte) row {
	return second(name, ReasonKeyUnwrap, "", 2, func(_ testing.TB, g *grant) { g.encrypted = change })
}

// setCipher makes the license say another cipher type.
func setCipher(to xmr.CipherType) func(testing.TB, *grant) {
	return func(_ testing.TB, g *grant) {
		g.tree = func(outer *xmr.Object) { outer.Find(xmr.TypeContentKey).Body[19] = byte(to) }
	}
}

func without(t xmr.Type) func(testing.TB, *grant) {
	return func(_ testing.TB, g *grant) {
		g.tree = func(outer *xmr.Object) {
			for _, c := range []*xmr.Object{outer, outer.Find(xmr.TypeKeyMaterial)} {
				c.Children = slices.DeleteFunc(c.Children, func(o *xmr.Object) bool { return o.Type == t })
			}
		}
	}
}

// stranger is the public key of another device.
func stranger(t testing.TB) ecc.PublicKey { return everybody(t).stranger.Public() }

// licenseRows are licenses with something wrong: the others stay usable.
func licenseRows() []row {
	keyLess := second("no device key, chained", ReasonLicenseForm, "", 2, func(t testing.TB, g *grant) {
		setCipher(xmr.CipherChained)(t, g)
		chained := g.tree
		g.tree = func(outer *xmr.Object) {
			chained(outer)
			without(xmr.TypeDeviceKey)(t, g)
			g.tree(outer)
		}
	})
	foreign := second("for another device", ReasonDeviceKey, "", 3, func(t testing.TB, g *grant) { g.Device, g.to = stranger(t), stranger(t) })
	foreign.want = []drm.Reason{ReasonDeviceKey, ReasonCMAC}
	return []row{
		unparsed("no XMR", "xmr: ", func(g *grant) { g.sealed = func([]byte) []byte { return []byte("none") } }),
		unparsed("a byte too many", "xmr: ", func(g *grant) { g.sealed = func(b []byte) []byte { return append(b, 0) } }),
		unparsed("a byte too few", "xmr: ", func(g *grant) { g.sealed = func(b []byte) []byte { return b[:len(b)-1] } }),
		unparsed("version 4", "xmr: version 4", func(g *grant) {
			g.sealed = func(b []byte) []byte {
				b[7] = 4
				return b
			}
		}),
		unparsed("unknown object that must be understood", "xmr: ", func(g *grant) {
			g.tree = func(outer *xmr.Object) {
				outer.Children = append(outer.Children, xmr.Leaf(0x1234, xmr.FlagMustUnderstand, []byte{1}))
			}
		}),
		{name: "unknown object", keys: all, decoded: 3, pattern: NonceBigEndian, change: func(_ testing.TB, r *response) {
			r.grants[1].tree = func(outer *xmr.Object) { outer.Children = append(outer.Children, xmr.Leaf(0x1234, 0, []byte{1})) }
		}},
		{name: "first license of three is none", want: []drm.Reason{ReasonLicenseParse}, seen: "license 1: ",
			keys: []drm.KID{kidB, kidC}, decoded: 2, pattern: NonceBigEndian,
			change: func(_ testing.TB, r *response) { r.grants[0].sealed = func([]byte) []byte { return []byte("none") } }},

		second("chained", ReasonLicenseForm, "", 2, setCipher(xmr.CipherChained)), keyLess,
		second("RSA", ReasonLicenseForm, "", 2, setCipher(1)),
		scalable("scalable leaf without its keys", xmr.CipherScalableLeaf),
		scalable("scalable root without its keys", xmr.CipherScalableRoot),

		encrypted("encrypted key of 127 bytes", func(b []byte) []byte { return b[:127] }),
		encrypted("encrypted key of 129 bytes", func(b []byte) []byte { return append(b, 0) }),
		encrypted("no encrypted key", func([]byte) []byte { return nil }),
		encrypted("points that are not on the curve", func([]byte) []byte { return bytes.Repeat([]byte{1}, 128) }),

		second("no device key", ReasonDeviceKey, "none", 3, without(xmr.TypeDeviceKey)),
		second("another device key", ReasonDeviceKey, "", 3, func(t testing.TB, g *grant) { g.Device = stranger(t) }),
		foreign,
		second("encrypted for another device", ReasonCMAC, "", 3, func(t testing.TB, g *grant) { g.to = stranger(t) }),
		second("CMAC with a wrong bit", ReasonCMAC, "", 3, func(_ testing.TB, g *grant) {
			g.sealed = func(b []byte) []byte {
				b[len(b)-1] ^= 1
				return b
			}
		}),
		second("security level altered", ReasonCMAC, "", 3, func(t testing.TB, g *grant) {
			g.sealed = func(b []byte) []byte {
				l, err := xmr.Parse(b)
				if err != nil {
					t.Fatal(err)
				}
				copy(b[l.Outer.Find(xmr.TypeSecurityLevel).Offset+8:], []byte{0, 150})
				return b
			}
		}),
		{name: "key type 5 for AES-CTR", want: []drm.Reason{ReasonKeyType}, seen: "license 2: key type 5", kid: &kidB,
			keys: all, decoded: 3, pattern: NonceBigEndian, change: func(_ testing.TB, r *response) { r.grants[1].KeyType = xmr.KeyAESCBC }},
		{name: "key type 1 for AES-CBC", want: []drm.Reason{ReasonKeyType}, seen: "license 1: key type 1", kid: &kidA, keys: []drm.KID{kidA}, decoded: 1,
			header: new(header(pssh.Header43, pssh.AlgorithmAESCBC, kidA)), change: func(_ testing.TB, r *response) { r.grants[0].KeyType = xmr.KeyAESCTR }},
		{name: "key type 5 for AES-CBC", keys: []drm.KID{kidA}, decoded: 1, header: new(header(pssh.Header43, pssh.AlgorithmAESCBC, kidA))},
		{name: "key type 5 for no algorithm", keys: []drm.KID{kidA}, decoded: 1, header: new(header(pssh.Header43, "", kidA)),
			change: func(_ testing.TB, r *response) { r.grants[0].KeyType = xmr.KeyAESCBC }},

		{name: "two keys for a KID", want: []drm.Reason{ReasonKeyConflict}, seen: "license 3: another key than that of license 1", kid: &kidA,
			keys: []drm.KID{kidB}, decoded: 3, pattern: NonceBigEndian, change: func(_ testing.TB, r *response) { r.grants[2].KID = kidA }},
		{name: "the same key twice", keys: []drm.KID{kidA, kidB, kidA}, decoded: 3, pattern: NonceBigEndian, change: func(_ testing.TB, r *response) {
			r.grants[2].KID, r.grants[2].key = kidA, contentKey(kidA)
		}},
		{name: "another key in a license that does not verify", want: []drm.Reason{ReasonCMAC}, seen: "license 3: ", kid: &kidA,
			keys: []drm.KID{kidA, kidB}, decoded: 3, pattern: NonceBigEndian,
			change: func(t testing.TB, r *response) { r.grants[2].KID, r.grants[2].to = kidA, stranger(t) }},
		{name: "another key in an earlier license that does not verify", want: []drm.Reason{ReasonCMAC}, seen: "license 1: ", kid: &kidA,
			keys: []drm.KID{kidB, kidA}, decoded: 3, pattern: NonceBigEndian, change: func(t testing.TB, r *response) {
				r.grants[0].to, r.grants[2].KID, r.grants[2].key = stranger(t), kidA, contentKey(kidA)
			}},
	}
}

// scalable is a license whose form cannot be judged without a key: nothing is seen of it at shape depth.
func scalable(name string, cipher xmr.CipherType) row {
	r := second(name, ReasonLicenseForm, "", 2, setCipher(cipher))
	r.shape = []drm.Reason{}
	return r
}

// policyRows are licenses that the device must not use by what they say.
func policyRows() []row {
	in := testNow.Add
	window := func(begin, end time.Time) func(testing.TB, *grant) {
		return func(_ testing.TB, g *grant) { g.Begin, g.End = begin, end }
	}
	clean := func(name string, change func(testing.TB, *grant)) row {
		return row{name: name, keys: all, decoded: 3, pattern: NonceBigEndian, change: func(t testing.TB, r *response) { change(t, r.grants[1]) }}
	}
	future := second("ends before it begins, in an hour", ReasonNotYetValid, "begins", 3, window(in(time.Hour), in(time.Minute)))
	future.want = []drm.Reason{ReasonNotYetValid, ReasonWindow}
	return []row{
		second("no right to play", ReasonCannotPlay, "no playback", 3, without(xmr.TypePlayback)),
		second("security level 3000", ReasonSecurityLevel, "3000", 3, func(_ testing.TB, g *grant) { g.SecurityLevel = 3000 }),
		clean("security level 150", func(_ testing.TB, g *grant) { g.SecurityLevel = 150 }),
		second("begins in 61 seconds", ReasonNotYetValid, "begins 2023-11-14T22:16:24Z", 3, window(in(61*time.Second), time.Time{})),
		clean("begins in a minute", window(in(time.Minute), in(time.Hour))),
		second("ended 61 seconds ago", ReasonExpired, "ended 2023-11-14T22:14:22Z", 3, window(in(-time.Hour), in(-61*time.Second))),
		clean("ended a minute ago", window(in(-time.Hour), in(-time.Minute))),
		clean("has an hour", window(in(0), in(time.Hour))),
		clean("has no end", window(in(-time.Hour), time.Time{})),
		clean("has no begin", window(time.Time{}, in(time.Hour))),
		second("ends before it begins", ReasonWindow, "ends", 3, window(in(10*time.Second), in(0))),
		second("ends when it begins", ReasonWindow, "ends", 3, window(in(0), in(0))),
		second("ends before it was issued", ReasonWindow, "ends", 3, func(_ testing.TB, g *grant) { g.End, g.Issued = in(time.Second), in(time.Minute) }),
		future,
	}
}

// bindingRows are answers to other requests, and what counts as an answer to this one.
func bindingRows() []row {
	pattern := func(name string, want NoncePattern, of func(nonce []byte, i int) []byte) row {
		return row{name: name, keys: all, decoded: 3, pattern: want, change: func(_ testing.TB, r *response) {
			for i, g := range r.grants {
				copy(g.rightsID[:], of(r.nonce, i))
			}
		}}
	}
	signed := func(name string, change func(r *response)) row {
		return row{name: name, keys: all, decoded: 3, change: func(_ testing.TB, r *response) {
			persist(r)
			change(r)
		}}
	}
	nonce := func(name, seen string, change func(r *soap.Response)) row {
		r := signed(name, func(r *response) { r.fields = change })
		r.want, r.seen = []drm.Reason{ReasonNonce}, seen
		return r
	}
	random16 := second("random Rights ID", ReasonRightsID, "another", 3, func(_ testing.TB, g *grant) { g.rightsID = [16]byte(random(16)) })
	random16.pattern = NonceBigEndian // by the third license
	return []row{
		pattern("nonce + i, little-endian", NonceLittleEndian, func(nonce []byte, i int) []byte { return reversed(addBig(reversed(nonce), i)) }),
		pattern("the nonce unchanged", NonceUnchanged, func(nonce []byte, _ int) []byte { return nonce }),
		pattern("two patterns", NonceMixed, func(nonce []byte, i int) []byte {
			if i == 2 {
				return nonce
			}
			return addBig(nonce, i)
		}),
		{name: "one license", header: new(header(pssh.Header40, pssh.AlgorithmAESCTR, kidA)), keys: []drm.KID{kidA}, decoded: 1},
		random16,
		{name: "Rights IDs of zeros after the first", want: []drm.Reason{ReasonRightsID, ReasonRightsID}, seen: "license 2: ", kid: &kidB,
			keys: []drm.KID{kidA}, decoded: 3,
			change: func(_ testing.TB, r *response) { r.grants[1].rightsID, r.grants[2].rightsID = [16]byte{}, [16]byte{} }},
		{name: "first Rights ID is nonce + 1", want: []drm.Reason{ReasonRightsID}, seen: "license 1: ", kid: &kidA,
			keys: []drm.KID{kidB, kidC}, decoded: 3, pattern: NonceBigEndian,
			change: func(_ testing.TB, r *response) { copy(r.grants[0].rightsID[:], addBig(r.nonce, 1)) }},

		signed("persistent", func(*response) {}),
		signed("one persistent among others", func(r *response) { r.grants[0].CannotPersist, r.grants[2].CannotPersist = true, true }),
		signed("white space in the nonce", func(r *response) {
			r.fields = func(f *soap.Response) { f.Nonce = "\n" + f.Nonce[:10] + " \t" + f.Nonce[10:] + "\n" }
		}),
		nonce("no nonce", "none", func(r *soap.Response) { r.Nonce = "" }),
		nonce("another nonce", "another of 24 characters", func(r *soap.Response) { r.Nonce = base64.StdEncoding.EncodeToString(random(16)) }),
		nonce("nonce in hexadecimal", "another of 32 characters", func(r *soap.Response) { r.Nonce = strings.Repeat("0f", 16) }),
	}
}

// signatureRows are signed responses with something wrong about the signature: clients unwrap their keys all the same.
func signatureRows() []row {
	signed := func(name string, want drm.Reason, seen string, change func(t testing.TB, r *response)) row {
		r := row{name: name, seen: seen, keys: all, decoded: 3, change: func(t testing.TB, r *response) {
			persist(r)
			change(t, r)
		}}
		if want != "" {
			r.want = []drm.Reason{want}
		}
		return r
	}
	chain := func(name string, want drm.Reason, seen string, of func(t testing.TB, p parties) []byte) row {
		return signed(name, want, seen, func(t testing.TB, r *response) {
			r.fields = func(f *soap.Response) { f.SigningChain = of(t, everybody(t)) }
		})
	}
	leaf := func(name string, want drm.Reason, seen string, change func(c *bcert.Certificate)) row {
		return chain(name, want, seen, func(t testing.TB, p parties) []byte {
			c := bcert.NewServer([16]byte{3}, p.signer.Public())
			change(&c)
			raw, err := p.chain(c)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		})
	}
	other := signed("reference to another element", ReasonDigest, `"#Other"`, func(_ testing.TB, r *response) {
		r.info = func(info string) string { return strings.Replace(info, "#SignedData", "#Other", 1) }
	})
	forced := row{name: "signed though nothing is persistent", keys: all, decoded: 3, pattern: NonceBigEndian,
		change: func(_ testing.TB, r *response) { r.signed = true }}
	altered := row{name: "signed though nothing is persistent, altered", want: []drm.Reason{ReasonDigest},
		keys: all, decoded: 3, pattern: NonceBigEndian, change: func(_ testing.TB, r *response) {
			r.signed, r.tampered = true, func(text string) string { return strings.Replace(text, "<Version>", "<Other></Other><Version>", 1) }
		}}
	return []row{
		forced, altered, other,
		signed("unsigned", ReasonUnsigned, "none", func(_ testing.TB, r *response) { r.unsigned = true }),
		signed("no ResponseID", ReasonResponseID, "0 bytes", func(_ testing.TB, r *response) { r.fields = func(f *soap.Response) { f.ResponseID = nil } }),
		signed("ResponseID of 16 bytes", ReasonResponseID, "16 bytes", func(_ testing.TB, r *response) {
			r.fields = func(f *soap.Response) { f.ResponseID = f.ResponseID[:16] }
		}),
		signed("altered after signing", ReasonDigest, "another digest", func(_ testing.TB, r *response) {
			r.tampered = func(text string) string {
				return strings.Replace(text, "<LicenseNonce>", "<Other></Other><LicenseNonce>", 1)
			}
		}),
		signed("no Id", ReasonDigest, `its Id is ""`, func(_ testing.TB, r *response) {
			r.tampered = func(text string) string { return strings.Replace(text, ` Id="SignedData"`, "", 1) }
		}),
		signed("no Id, and a reference to it", ReasonDigest, `its Id is ""`, func(_ testing.TB, r *response) {
			r.text = func(text string) string { return strings.Replace(text, ` Id="SignedData"`, "", 1) }
			r.info = func(info string) string { return strings.Replace(info, "#SignedData", "#", 1) }
		}),
		signed("self-closing tags", "", "", func(_ testing.TB, r *response) {
			r.reinfo = func(info string) string { return strings.ReplaceAll(info, "></DigestMethod>", " />") }
		}),
		signed("another key", ReasonSignature, "does not verify", func(t testing.TB, r *response) { r.signer = everybody(t).stranger }),
		signed("SignedInfo altered", ReasonSignature, "does not verify", func(_ testing.TB, r *response) {
			r.reinfo = func(info string) string { return strings.Replace(info, "#sha256", "#sha1", 1) }
		}),
		signed("signature of zeros", ReasonSignature, "does not verify", func(_ testing.TB, r *response) {
			r.signature = func([]byte) []byte { return make([]byte, ecc.SignatureLen) }
		}),
		signed("signature of 63 bytes", ReasonSignature, "does not verify", func(_ testing.TB, r *response) {
			r.signature = func(b []byte) []byte { return b[:63] }
		}),
		chain("no chain", ReasonSigner, "chain", func(testing.TB, parties) []byte { return nil }),
		chain("no chain but bytes", ReasonSigner, "chain", func(testing.TB, parties) []byte { return []byte("none") }),
		chain("chain of a device", ReasonSigner, "sign responses", func(_ testing.TB, p parties) []byte { return p.deviceChain }),
		chain("chain to another root", ReasonSigner, string(bcert.ReasonRoot), func(t testing.TB, p parties) []byte {
			p.root = p.stranger
			raw, err := p.chain(bcert.NewServer([16]byte{3}, p.signer.Public()))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}),
		leaf("expired signer", ReasonSigner, string(bcert.ReasonExpired), func(c *bcert.Certificate) { c.Expires = testNow.Add(-time.Hour) }),
		leaf("signer that expires later", "", "", func(c *bcert.Certificate) { c.Expires = testNow.Add(time.Hour) }),
		leaf("signer without the usage", ReasonSigner, "sign responses", func(c *bcert.Certificate) { c.Keys[0].Usages = []bcert.Usage{bcert.UsageSign} }),
		leaf("signer of another type", "", "", func(c *bcert.Certificate) { c.Type = 12 }),
	}
}
