package chain_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm/secret"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

var now = time.Unix(1700000000, 0)

// keyRing are the keys of the tests: the root's, the model's, the device's, and one of a stranger.
type keyRing struct{ root, model, device, stranger secret.RSAKey }

var generated = sync.OnceValues(func() (ring keyRing, err error) {
	for _, into := range []*secret.RSAKey{&ring.root, &ring.model, &ring.device, &ring.stranger} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return ring, err
		}
		*into = secret.NewRSAKey(key)
	}
	return ring, nil
})

func keys(t testing.TB) keyRing {
	t.Helper()
	ring, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func fields(kind wire.DrmCertificate_Type) *wire.DrmCertificate {
	return &wire.DrmCertificate{Type: kind.Enum(), SerialNumber: []byte{1}, SystemId: proto.Uint32(900001)}
}

// recipe is a chain that can be spoilt in every place before it is signed.
type recipe struct {
	device, model             *wire.DrmCertificate
	deviceIssuer, modelIssuer secret.RSAKey
	deviceKey, modelKey       *rsa.PublicKey
}

func newRecipe(t testing.TB) *recipe {
	t.Helper()
	k := keys(t)
	return &recipe{
		device: fields(wire.DrmCertificate_DEVICE), model: fields(wire.DrmCertificate_DEVICE_MODEL),
		deviceIssuer: k.model, modelIssuer: k.root, deviceKey: k.device.Public(), modelKey: k.model.Public(),
	}
}

func (r *recipe) issue(t testing.TB) *wire.SignedDrmCertificate {
	t.Helper()
	model, err := chain.Issue(r.model, r.modelKey, r.modelIssuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	device, err := chain.Issue(r.device, r.deviceKey, r.deviceIssuer, model)
	if err != nil {
		t.Fatal(err)
	}
	return device
}

func serialize(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// resign gives the device certificate other bytes and a right signature over them.
func resign(t testing.TB, s *wire.SignedDrmCertificate, raw []byte) {
	t.Helper()
	signature, err := ladder.Sign(keys(t).model.Reveal(), raw)
	if err != nil {
		t.Fatal(err)
	}
	s.DrmCertificate, s.Signature = raw, signature
}

// withKey re-issues the device certificate with another public_key field.
func withKey(der []byte) func(*testing.T, *wire.SignedDrmCertificate) {
	return func(t *testing.T, s *wire.SignedDrmCertificate) {
		t.Helper()
		f := fields(wire.DrmCertificate_DEVICE)
		f.PublicKey = der
		resign(t, s, serialize(t, f))
	}
}

func TestVerifyDeviceAccepts(t *testing.T) {
	t.Parallel()
	seconds := uint32(now.Unix())
	for name, change := range map[string]func(r *recipe){
		"plain":                  func(*recipe) {},
		"expires one second on":  func(r *recipe) { r.device.ExpirationTimeSeconds = proto.Uint32(seconds + 1) },
		"expiry 0 is never":      func(r *recipe) { r.model.ExpirationTimeSeconds = proto.Uint32(0) },
		"no system id in either": func(r *recipe) { r.device.SystemId, r.model.SystemId = nil, nil },
		"algorithm stated":       func(r *recipe) { r.device.Algorithm = wire.DrmCertificate_RSA.Enum() },
	} {
		r := newRecipe(t)
		change(r)
		c, err := chain.VerifyDevice(serialize(t, r.issue(t)), keys(t).root.Public(), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !c.Key.Equal(keys(t).device.Public()) || !c.Encryption.Equal(c.Key) || c.Fields.GetType() != wire.DrmCertificate_DEVICE {
			t.Errorf("%s: %v", name, c.Fields)
		}
	}
}

// TestPackedServiceTypes: a repeated enum may come packed (sheet widevine.md §4).
func TestPackedServiceTypes(t *testing.T) {
	t.Parallel()
	s := newRecipe(t).issue(t)
	resign(t, s, append(s.DrmCertificate, 0x42, 2, 1, 2, 0x42, 0, 0x40, 3))
	c, err := chain.VerifyDevice(serialize(t, s), keys(t).root.Public(), now)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Fields.GetServiceTypes(); !slices.Equal(got, []wire.DrmCertificate_ServiceType{1, 2, 3}) {
		t.Errorf("service types %v", got)
	}
}

// TestDualKey: a device with an encryption key signs with one key and gets its session keys for the other.
func TestDualKey(t *testing.T) {
	t.Parallel()
	k := keys(t)
	r := newRecipe(t)
	r.device.EncryptionKey = &wire.DrmCertificate_EncryptionKey{PublicKey: x509.MarshalPKCS1PublicKey(k.stranger.Public())}
	c, err := chain.VerifyDevice(serialize(t, r.issue(t)), k.root.Public(), now)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Key.Equal(k.device.Public()) || !c.Encryption.Equal(k.stranger.Public()) {
		t.Error("the keys are not where they belong")
	}
	r.device.EncryptionKey.PublicKey = []byte("no key")
	if _, err := chain.Parse(serialize(t, r.issue(t))); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("encryption key that is none: %v", err)
	}
	r.device.EncryptionKey = &wire.DrmCertificate_EncryptionKey{Algorithm: wire.DrmCertificate_ALGORITHM_ECC_SECP384R1.Enum()}
	if _, err := chain.Parse(serialize(t, r.issue(t))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("encryption key on a curve: %v", err)
	}
}

// TestVerifyDeviceRefusesContent spoils what is signed.
func TestVerifyDeviceRefusesContent(t *testing.T) {
	t.Parallel()
	k, seconds := keys(t), uint32(now.Unix())
	for _, c := range []struct {
		name   string
		change func(r *recipe)
		want   error
	}{
		{"foreign root", func(r *recipe) { r.modelIssuer = k.stranger }, chain.ErrSignature},
		{"model signed by the device", func(r *recipe) { r.modelIssuer = k.device }, chain.ErrSignature},
		{"model signed by itself", func(r *recipe) { r.modelIssuer = k.model }, chain.ErrSignature},
		{"device signed by the root", func(r *recipe) { r.deviceIssuer = k.root }, chain.ErrSignature},
		{"device signed by itself", func(r *recipe) { r.deviceIssuer = k.device }, chain.ErrSignature},
		{"device signed by a stranger", func(r *recipe) { r.deviceIssuer = k.stranger }, chain.ErrSignature},
		{"device as issuer", func(r *recipe) { r.model.Type = wire.DrmCertificate_DEVICE.Enum() }, chain.ErrType},
		{"service as issuer", func(r *recipe) { r.model.Type = wire.DrmCertificate_SERVICE.Enum() }, chain.ErrType},
		{"issuer without a type", func(r *recipe) { r.model.Type = nil }, chain.ErrType},
		{"model as device", func(r *recipe) { r.device.Type = wire.DrmCertificate_DEVICE_MODEL.Enum() }, chain.ErrType},
		{"service as device", func(r *recipe) { r.device.Type = wire.DrmCertificate_SERVICE.Enum() }, chain.ErrType},
		{"device without a type", func(r *recipe) { r.device.Type = nil }, chain.ErrType},
		{"unknown type", func(r *recipe) { r.device.Type = wire.DrmCertificate_Type(99).Enum() }, chain.ErrType},
		{"system id", func(r *recipe) { r.device.SystemId = proto.Uint32(900002) }, chain.ErrSystemID},
		{"no system id", func(r *recipe) { r.device.SystemId = nil }, chain.ErrSystemID},
		{"expired device", func(r *recipe) { r.device.ExpirationTimeSeconds = proto.Uint32(seconds - 1) }, chain.ErrExpired},
		{"device expires now", func(r *recipe) { r.device.ExpirationTimeSeconds = proto.Uint32(seconds) }, chain.ErrExpired},
		{"expired model", func(r *recipe) { r.model.ExpirationTimeSeconds = proto.Uint32(1) }, chain.ErrExpired},
		{"ECC device", func(r *recipe) { r.device.Algorithm = wire.DrmCertificate_ALGORITHM_ECC_SECP256R1.Enum() }, errors.ErrUnsupported},
		{"ECC model", func(r *recipe) { r.model.Algorithm = wire.DrmCertificate_ALGORITHM_ECC_SECP521R1.Enum() }, errors.ErrUnsupported},
		{"algorithm 0", func(r *recipe) { r.device.Algorithm = wire.DrmCertificate_ALGORITHM_UNKNOWN.Enum() }, chain.ErrMalformed},
		{"1024-bit device", func(r *recipe) { r.deviceKey = publicKey(1024) }, chain.ErrMalformed},
		{"2047-bit device", func(r *recipe) { r.deviceKey = publicKey(2047) }, chain.ErrMalformed},
		{"1024-bit model", func(r *recipe) { r.modelKey = publicKey(1024) }, chain.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRecipe(t)
			c.change(r)
			if device, err := chain.VerifyDevice(serialize(t, r.issue(t)), k.root.Public(), now); !errors.Is(err, c.want) || device != nil {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// publicKey is a number of so many bits in the shape of a public key; nobody needs its private half.
func publicKey(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

// TestVerifyDeviceRefusesForm spoils a right chain after it was signed.
func TestVerifyDeviceRefusesForm(t *testing.T) {
	t.Parallel()
	k := keys(t)
	spki, err := x509.MarshalPKIXPublicKey(k.device.Public())
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecc, err := x509.MarshalPKIXPublicKey(curve.Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(k.device.Public())
	type signed = *wire.SignedDrmCertificate
	for _, c := range []struct {
		name   string
		change func(t *testing.T, s signed)
		want   error
	}{
		{"no signer", func(_ *testing.T, s signed) { s.Signer = nil }, chain.ErrLength},
		{"empty signer", func(_ *testing.T, s signed) { s.Signer = &wire.SignedDrmCertificate{} }, chain.ErrMalformed},
		{"model with a signer", func(_ *testing.T, s signed) { s.Signer.Signer = proto.CloneOf(s.Signer) }, chain.ErrLength},
		{"empty certificate", func(_ *testing.T, s signed) { s.DrmCertificate = nil }, chain.ErrMalformed},
		{"certificate is text", func(_ *testing.T, s signed) { s.DrmCertificate = []byte("<html>") }, chain.ErrMalformed},
		{"no device signature", func(_ *testing.T, s signed) { s.Signature = nil }, chain.ErrSignature},
		{"no model signature", func(_ *testing.T, s signed) { s.Signer.Signature = nil }, chain.ErrSignature},
		{"signatures swapped", func(_ *testing.T, s signed) { s.Signature, s.Signer.Signature = s.Signer.Signature, s.Signature }, chain.ErrSignature},
		{"no key", withKey(nil), chain.ErrMalformed},
		{"SPKI", withKey(spki), chain.ErrMalformed},
		{"ECC key", withKey(ecc), chain.ErrMalformed},
		{"key with a tail", withKey(append(slices.Clone(pkcs1), 0)), chain.ErrMalformed},
		{"cut key", withKey(pkcs1[:len(pkcs1)-1]), chain.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newRecipe(t).issue(t)
			c.change(t, s)
			if device, err := chain.VerifyDevice(serialize(t, s), k.root.Public(), now); !errors.Is(err, c.want) || device != nil {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	for name, token := range map[string][]byte{"empty": nil, "text": []byte("<html>")} {
		if _, err := chain.VerifyDevice(token, k.root.Public(), now); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s token: %v", name, err)
		}
	}
}

// TestEveryByteIsSigned flips bits in every byte of both certificates and both signatures, and cuts the token everywhere.
func TestEveryByteIsSigned(t *testing.T) {
	t.Parallel()
	right := newRecipe(t).issue(t)
	for name, part := range map[string]func(s *wire.SignedDrmCertificate) []byte{
		"device certificate": func(s *wire.SignedDrmCertificate) []byte { return s.DrmCertificate },
		"device signature":   func(s *wire.SignedDrmCertificate) []byte { return s.Signature },
		"model certificate":  func(s *wire.SignedDrmCertificate) []byte { return s.Signer.DrmCertificate },
		"model signature":    func(s *wire.SignedDrmCertificate) []byte { return s.Signer.Signature },
	} {
		for i := range part(right) {
			s := proto.CloneOf(right)
			part(s)[i] ^= 0x10
			if _, err := chain.VerifyDevice(serialize(t, s), keys(t).root.Public(), now); err == nil {
				t.Errorf("%s, byte %d flipped: accepted", name, i)
			}
		}
	}
	token := serialize(t, right)
	for n := range token {
		if _, err := chain.VerifyDevice(token[:n], keys(t).root.Public(), now); err == nil {
			t.Errorf("cut to %d of %d bytes: accepted", n, len(token))
		}
	}
}

// TestDeepChain: a chain of a thousand signers is refused, whether it begins right or not, and so is one that is deeper
// than protobuf nests; each at once (WV-ROB-06).
func TestDeepChain(t *testing.T) {
	t.Parallel()
	link := newRecipe(t).issue(t)
	link.Signer = nil
	deep := proto.CloneOf(link)
	for range 1000 {
		next := proto.CloneOf(link)
		next.Signer, deep = deep, next
	}
	began := time.Now()
	if _, err := chain.VerifyDevice(serialize(t, deep), keys(t).root.Public(), now); !errors.Is(err, chain.ErrType) {
		t.Errorf("1000 devices: %v", err)
	}
	right := newRecipe(t).issue(t)
	right.Signer.Signer = deep
	if _, err := chain.VerifyDevice(serialize(t, right), keys(t).root.Public(), now); !errors.Is(err, chain.ErrLength) {
		t.Errorf("1000 signers above the model: %v", err)
	}
	// signer in signer in signer, with nothing but the length of the rest in each.
	const depth = 20_000
	var nested []byte
	for range depth {
		length := protowire.AppendVarint(nil, uint64(len(nested)))
		slices.Reverse(length)
		nested = append(append(nested, length...), 0x1a)
	}
	slices.Reverse(nested)
	if _, err := chain.Parse(nested); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("%d signers: %v", depth, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	one, two := newRecipe(t).issue(t), newRecipe(t)
	two.device.SerialNumber = []byte{2}
	a, errA := chain.Parse(serialize(t, one))
	b, errB := chain.Parse(serialize(t, two.issue(t)))
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() != secret.FingerprintOf(one.DrmCertificate) || a.Fingerprint() == b.Fingerprint() {
		t.Errorf("fingerprints %s and %s", a.Fingerprint(), b.Fingerprint())
	}
}

// TestIssueLeavesItsFieldsAlone: the caller's fields keep what they had, and a bad key or text is an error.
func TestIssueLeavesItsFieldsAlone(t *testing.T) {
	t.Parallel()
	k, f := keys(t), fields(wire.DrmCertificate_SERVICE)
	s, err := chain.Issue(f, k.device.Public(), k.root, nil)
	if err != nil || f.PublicKey != nil {
		t.Fatalf("%v, fields %v", err, f)
	}
	if ladder.Verify(k.root.Public(), s.DrmCertificate, s.Signature) != nil || s.Signer != nil {
		t.Errorf("certificate %v", s)
	}
	small := secret.NewRSAKey(&rsa.PrivateKey{PublicKey: *publicKey(256), D: big.NewInt(3), Primes: []*big.Int{big.NewInt(3), big.NewInt(5)}})
	if _, err := chain.Issue(f, k.device.Public(), small, nil); err == nil {
		t.Error("a key that cannot sign has signed")
	}
}

// TestVendorRoot compares the vendor's root with its published hash (sheet widevine.md §5.3).
func TestVendorRoot(t *testing.T) {
	t.Parallel()
	key := chain.VendorRoot()
	der := x509.MarshalPKCS1PublicKey(key)
	sum := sha256.Sum256(der)
	if key.N.BitLen() != 3072 || key.E != 65537 || len(der) != 398 ||
		hex.EncodeToString(sum[:]) != "4d37517967d93c1fe39ea841f17a88da28c4aba7f3f09505224cafdf33f75c32" {
		t.Errorf("%d bits, exponent %d, %d bytes, SHA-256 %x", key.N.BitLen(), key.E, len(der), sum)
	}
	if _, err := chain.VerifyDevice(serialize(t, newRecipe(t).issue(t)), key, now); !errors.Is(err, chain.ErrSignature) {
		t.Errorf("a harness chain under the published root: %v", err)
	}
	key.E = 3
	if chain.VendorRoot().E != 65537 {
		t.Error("a caller changed the root for all others")
	}
}
