package playready

import (
	"bytes"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// vectorPlatform is the device of sheet §13.9, which trusts the root of §13.12.
func vectorPlatform(t testing.TB) *Platform {
	t.Helper()
	identity, err := NewIdentity(unb64(t, vectorChain), keyOf(t, vectorSign), keyOf(t, vectorEncrypt))
	if err != nil {
		t.Fatal(err)
	}
	return NewPlatform(identity, testClock()).WithRoot(ecc.PublicKey(unhex(t, vectorRoot))).WithServerKey(keyOf(t, vectorServer).Public())
}

// vectorRequest is the challenge of sheet §13.11.
func vectorRequest(t testing.TB) []byte {
	t.Helper()
	boxes, _, err := pssh.ParseText(vectorBox, pssh.Strict)
	if err != nil {
		t.Fatal(err)
	}
	h, err := pssh.PlayReadyHeader(boxes[0])
	if err != nil {
		t.Fatal(err)
	}
	x, err := keyOf(t, vectorServer).Decrypt(unb64(t, vectorSessionKey))
	if err != nil {
		t.Fatal(err)
	}
	key, err := soap.NewSessionKey(x)
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.Encrypt(soap.ClientData(unb64(t, vectorChain)))
	if err != nil {
		t.Fatal(err)
	}
	text := soap.LA{
		Version: "1", Header: h.XML, ClientVersion: clientVersion, CustomData: secret.New([]byte(`a & b <c> "d"`)), Nonce: vectorNonce,
		ClientTime: "1700000000", KeyName: soap.ServerKeyName, EncryptedKey: unb64(t, vectorSessionKey), EncryptedData: data,
	}.Text()
	public := keyOf(t, vectorSign).Public()
	return soap.ChallengeBody(text, soap.SignedInfo(soap.Digest(text)), unb64(t, vectorChallenge), public[:])
}

// vectorPersistent is the license of sheet §13.12: that of §13.6 with another Rights ID and without settings.
func vectorPersistent(t testing.TB) []byte {
	t.Helper()
	l, err := xmr.Parse(unb64(t, vectorLicense))
	if err != nil {
		t.Fatal(err)
	}
	global := l.Outer.Find(xmr.TypeGlobalPolicy)
	global.Children = global.Children[1:]                         // the settings
	l.Outer.Children = l.Outer.Children[:len(l.Outer.Children)-1] // the signature
	license, err := xmr.Seal([16]byte(unhex(t, "101112131415161718191a1b1c1d1e1f")), l.Outer, secret.New(unhex(t, vectorIntegrity)))
	if err != nil {
		t.Fatal(err)
	}
	return license
}

// vectorAnswer is the signed response of sheet §13.12.
func vectorAnswer(t testing.TB) []byte {
	t.Helper()
	id := make([]byte, responseIDLen)
	for i := range id {
		id[i] = byte(0x20 + i)
	}
	text := soap.Response{
		Version: "1", Licenses: [][]byte{vectorPersistent(t)}, Nonce: vectorNonce, ResponseID: id, SigningChain: unb64(t, vectorSigner),
	}.Text(true)
	return soap.ResponseBody(text, soap.SignedInfo(soap.Digest(text)), unb64(t, vectorResponse))
}

// vectorMemory is a response with the license of sheet §13.6, which stays in memory and has the request's nonce.
func vectorMemory(t testing.TB) []byte {
	t.Helper()
	return soap.ResponseBody(soap.Response{Version: "1", Licenses: [][]byte{unb64(t, vectorLicense)}}.Text(false), "", nil)
}

func vectorPending(t testing.TB) pending {
	t.Helper()
	sent := pendingOf(parseChallenge(t, vectorRequest(t)).LA, nil)
	sent.kind, sent.minted = drm.KindLicense, testNow
	if !bytes.Equal(sent.nonce, unb64(t, vectorNonce)) || sent.header == nil {
		t.Fatalf("pending %+v", sent)
	}
	return sent
}

// TestVectors: the whole responses of sheet §13.12 and §13.6 are right answers to the challenge of §13.11, in a session and for the
// judge, and the content key is that of §13.1.
func TestVectors(t *testing.T) {
	t.Parallel()
	p := vectorPlatform(t)
	kid, err := drm.ParseKID(vectorKID)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body []byte
		kind drm.LicenseType
	}{
		"persistent, signed": {vectorAnswer(t), drm.Offline},
		"in memory":          {vectorMemory(t), drm.Streaming},
	} {
		x := p.examine(vectorPending(t), c.body, drm.DepthFull)
		if len(x.findings) > 0 {
			t.Errorf("%s: findings %v", name, x.findings)
		}
		all := x.licenses()
		if len(all) != 1 || all[0].Type != c.kind || all[0].Policy != (drm.Policy{CanPlay: true, CanPersist: c.kind == drm.Offline}) {
			t.Fatalf("%s: licenses %+v", name, all)
		}
		if k, ok := all[0].Key(kid); !ok || !bytes.Equal(k.Key.Reveal(), unhex(t, vectorKey)) || k.SecurityLevel != 150 {
			t.Errorf("%s: content key found %v, level %d", name, ok, k.SecurityLevel)
		}
		if got := x.answer.Licenses[0].Integrity; got != secret.FingerprintOf(unhex(t, vectorIntegrity)) {
			t.Errorf("%s: integrity key %s", name, got)
		}
		v := p.Judge(drm.Ticket{Device: p.Device(), Minted: testNow}, vectorRequest(t), c.body, drm.DepthFull)
		if len(v.Findings) > 0 || v.Keys[kid] != secret.FingerprintOf(unhex(t, vectorKey)) {
			t.Errorf("%s: judged %+v", name, v)
		}
	}
}

// TestEveryLicenseByteIsProtected is check PR-LIC-03: with any byte of a license changed there is no license. The CMAC ends before
// the signature object (sheet §9.5), so that its flags, two bytes that say nothing there, are all that is free.
func TestEveryLicenseByteIsProtected(t *testing.T) {
	t.Parallel()
	p, sent, license := vectorPlatform(t), vectorPending(t), unb64(t, vectorLicense)
	flags := len(license) - 28
	for i := range license {
		if i == flags || i == flags+1 {
			continue
		}
		for _, bit := range []byte{0x01, 0x80} {
			changed := bytes.Clone(license)
			changed[i] ^= bit
			body := soap.ResponseBody(soap.Response{Version: "1", Licenses: [][]byte{changed}}.Text(false), "", nil)
			if x := p.examine(sent, body, drm.DepthFull); len(x.licenses()) > 0 || len(x.findings) == 0 {
				t.Errorf("byte %d of %d ^ %#x: still a license, findings %v", i, len(license), bit, x.findings)
			}
		}
	}
}

// TestEverySignedByteIsProtected: any change of what is signed, or of what says so, is found.
func TestEverySignedByteIsProtected(t *testing.T) {
	t.Parallel()
	p, sent, body := vectorPlatform(t), vectorPending(t), vectorAnswer(t)
	from, to := strings.Index(string(body), "<LicenseResponse "), strings.Index(string(body), "<SignatureValue>")
	if from < 0 || to-from < 2000 {
		t.Fatalf("signed from %d to %d", from, to)
	}
	for i := from; i < to; i++ {
		changed := bytes.Clone(body)
		changed[i] ^= 1
		if x := p.examine(sent, changed, drm.DepthShape); len(x.findings) == 0 {
			t.Errorf("byte %d, in %q: nothing was found", i, changed[i-10:i+10])
		}
	}
}

// TestNoncePatterns: which Rights IDs follow from a nonce, with carries.
func TestNoncePatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nonce, id string
		i         int
		want      NoncePattern
	}{
		{"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f", 0, NonceBigEndian},
		{"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e10", 1, NonceBigEndian},
		{"000102030405060708090a0b0c0d0e0f", "010102030405060708090a0b0c0d0e0f", 1, NonceLittleEndian},
		{"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f", 1, NonceUnchanged},
		{"0000000000000000000000000000ffff", "00000000000000000000000000010001", 2, NonceBigEndian},
		{"ffff0000000000000000000000000001", "01000100000000000000000000000001", 2, NonceLittleEndian},
		{"fffffffffffffffffffffffffffffffe", "00000000000000000000000000000001", 3, NonceBigEndian},
		{"00000000000000000000000000000001", "00000000000000000000000000000101", 256, NonceBigEndian},
		{"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e10", 0, ""},
		{"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e11", 1, ""},
		{"000102030405060708090a0b0c0d0e0f", "00000000000000000000000000000000", 1, ""},
	} {
		got, ok := patternOf(unhex(t, c.nonce), unhex(t, c.id), c.i)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("nonce %s, license %d with %s: %q, %v; want %q", c.nonce, c.i, c.id, got, ok, c.want)
		}
	}
}
