package xmr

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/secret"
)

// TestScalableArithmetic is sheet playready.md §13.8.
func TestScalableArithmetic(t *testing.T) {
	t.Parallel()
	integrity, content := interleaved(secret.New(unhex(t, integrityKey+contentKey)))
	count := func(from byte, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	auxiliary, secondary, part := [16]byte(count(0x10, 16)), count(0x20, 16), count(0x30, 32)
	prime, err := mixed(content)
	if err != nil {
		t.Fatal(err)
	}
	u, v, err := leafWraps(content, auxiliary, secondary)
	if err != nil {
		t.Fatal(err)
	}
	leafIntegrity, leafContent, err := leafKeys(content, auxiliary, secondary, part)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		seen       secret.Bytes
	}{
		{"CI", "21f42170b2b333329c614b13ef7d184c", integrity}, {"CK", "2fde00a83c09f8a7b01670eacc6d422c", content},
		{"CK'", "1db434161905e0c16ebf11a1d65337c7", prime}, {"U", "6aa94bb4974dbf5a5d930db3d4c117f9", u}, {"T", "098ca284c42cb99b8360ea328eb89fbf", v},
		{"L2, first half", "8988a46fbfa34e0f65c6ab7980dcd9f5", leafIntegrity}, {"L2, second half", "985799ee978a048318e65c75d199f87e", leafContent},
	} {
		if got := hex.EncodeToString(c.seen.Reveal()); got != c.want {
			t.Errorf("%s %s, want %s", c.name, got, c.want)
		}
	}
}

// scalable is a scalable license and its keys.
type scalable struct {
	tree               *Object
	license            []byte
	integrity, content secret.Bytes
}

func draw(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// issueScalable issues as sheet playready.md §9.6 tells servers to. More bytes may follow the pair of a root.
func issueScalable(t testing.TB, cipher CipherType, more int) scalable {
	t.Helper()
	s := scalable{content: secret.New(unhex(t, contentKey))}
	auxiliary := [16]byte(draw(16))
	var encrypted []byte
	err := ecc.ErrNoPoint
	switch cipher {
	case CipherScalableRoot:
		for errors.Is(err, ecc.ErrNoPoint) {
			s.integrity = secret.New(draw(16))
			x := make([]byte, 0, 32)
			for i, b := range s.integrity.Reveal() {
				x = append(x, b, s.content.Reveal()[i])
			}
			encrypted, err = device(t).Public().EncryptX(secret.New(x))
		}
		encrypted = append(encrypted, draw(more)...)
	case CipherScalableLeaf:
		s.integrity = secret.New(draw(16))
		encrypted, err = issueLeafKey(t, s, auxiliary)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.tree = Grant{KeyType: KeyAESCTR, Device: device(t).Public(), SecurityLevel: 2000}.Tree(encrypted)
	s.tree.Find(TypeContentKey).Body[19] = byte(cipher)
	material := s.tree.Find(TypeKeyMaterial)
	material.Children = append(material.Children, Leaf(TypeAuxiliaryKeys, FlagMustUnderstand, append(append(u16(1), u32(0)...), auxiliary[:]...)))
	if s.license, err = Seal([16]byte{4}, s.tree, s.integrity); err != nil {
		t.Fatal(err)
	}
	return s
}

func issueLeafKey(t testing.TB, s scalable, auxiliary [16]byte) ([]byte, error) {
	t.Helper()
	point, err := ecc.GenerateKey()
	if err != nil {
		return nil, err
	}
	encrypted, x, err := device(t).Public().EncryptKey(point)
	if err != nil {
		return nil, err
	}
	secondary := draw(16)
	_, ck := interleaved(x)
	u, v, err := leafWraps(ck, auxiliary, secondary)
	if err != nil {
		return nil, err
	}
	part := append(bytes.Clone(s.integrity.Reveal()), s.content.Reveal()...)
	for _, key := range []secret.Bytes{v, u} {
		block, err := aes.NewCipher(key.Reveal())
		if err != nil {
			return nil, err
		}
		block.Decrypt(part[:16], part[:16])
		block.Decrypt(part[16:], part[16:])
	}
	return append(append(encrypted, secondary...), part...), nil
}

func TestUnwrapScalable(t *testing.T) {
	t.Parallel()
	stranger, err := ecc.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]scalable{
		"root": issueScalable(t, CipherScalableRoot, 0), "root with 144 bytes": issueScalable(t, CipherScalableRoot, 16),
		"leaf": issueScalable(t, CipherScalableLeaf, 0),
	} {
		l := parsed(t, s.license)
		integrity, content, err := l.Unwrap(device(t))
		if err != nil || !integrity.Equal(s.integrity) || !content.Equal(s.content) || l.Form() != FormScalable {
			t.Errorf("%s: %v", name, err)
		}
		if integrity, content, err := l.Unwrap(stranger); !errors.Is(err, ErrForm) || !integrity.IsZero() || !content.IsZero() {
			t.Errorf("%s: another device: %v", name, err)
		}
	}
	leaf := issueScalable(t, CipherScalableLeaf, 0)
	keys := leaf.tree.Find(TypeAuxiliaryKeys)
	keys.Body = slices.Concat(u16(2), keys.Body[2:], u32(5), draw(16))
	leaf.tree.Find(TypeKeyMaterial).Children = append(leaf.tree.Find(TypeKeyMaterial).Children,
		Leaf(TypeUplinkX, 1, slices.Concat(bytes.Repeat([]byte{1}, 16), u16(2), []byte{7, 8}, u16(2), u32(5), u32(9))))
	b, err := Seal([16]byte{}, leaf.tree, leaf.integrity)
	if err != nil {
		t.Fatal(err)
	}
	l := parsed(t, b)
	if _, content, err := l.Unwrap(device(t)); err != nil || !content.Equal(leaf.content) {
		t.Errorf("two auxiliary keys: %v", err)
	}
	if x := l.UplinkX; len(l.Auxiliary) != 2 || l.Auxiliary[1].Location != 5 || x.Root[15] != 1 ||
		!bytes.Equal(x.Checksum, []byte{7, 8}) || !slices.Equal(x.Locations, []uint32{5, 9}) {
		t.Errorf("%+v, %+v", l.Auxiliary, l.UplinkX)
	}
	swapped := slices.Concat(u16(2), keys.Body[22:], keys.Body[2:22])
	keys.Body = swapped
	if b, err = Seal([16]byte{}, leaf.tree, leaf.integrity); err != nil {
		t.Fatal(err)
	}
	if _, _, err := parsed(t, b).Unwrap(device(t)); !errors.Is(err, ErrForm) || !strings.Contains(err.Error(), "CMAC does not verify") {
		t.Errorf("the wrong auxiliary key first: %v", err)
	}
}

// TestUnwrapRefusals: what is not known is not guessed, and a key that does not decrypt is told apart from that.
func TestUnwrapRefusals(t *testing.T) {
	t.Parallel()
	encrypted, integrity, err := EncryptKey(device(t).Public(), secret.New(unhex(t, contentKey)))
	if err != nil {
		t.Fatal(err)
	}
	cipher := func(c CipherType) func(*Object) {
		return func(o *Object) { o.Find(TypeContentKey).Body[19] = byte(c) }
	}
	key := func(c CipherType, encrypted []byte) func(*Object) {
		return func(o *Object) {
			b := o.Find(TypeContentKey).Body[:16]
			o.Find(TypeContentKey).Body = slices.Concat(b, u16(uint16(KeyAESCTR), uint16(c), uint16(len(encrypted))), encrypted)
		}
	}
	with := func(leaf *Object) func(*Object) {
		return func(o *Object) { o.Find(TypeKeyMaterial).Children = append(o.Find(TypeKeyMaterial).Children, leaf) }
	}
	auxiliary := with(Leaf(TypeAuxiliaryKeys, 1, append(u16(1), make([]byte, 20)...)))
	uplink := with(Leaf(TypeUplinkKID2, 1, append(bytes.Repeat([]byte{1}, 16), u16(1, 2, 0x0304)...)))
	old := with(Leaf(TypeUplinkKID, 1, []byte{1, 2, 3}))
	offCurve := bytes.Clone(encrypted)
	offCurve[70] ^= 1
	for name, c := range map[string]struct {
		form, want string
		is         error
		edit       []func(*Object)
	}{
		"chained":                 {FormChained, "chained license, cipher type 2", ErrForm, []func(*Object){cipher(CipherChained)}},
		"uplink":                  {FormChained, "chained license, cipher type 3", ErrForm, []func(*Object){uplink}},
		"old uplink":              {FormChained, "chained license, cipher type 3", ErrForm, []func(*Object){old}},
		"both uplinks":            {FormChained, "chained license, cipher type 3", ErrForm, []func(*Object){old, uplink}},
		"scalable and chained":    {FormChained, "chained license, cipher type 4", ErrForm, []func(*Object){cipher(CipherScalableRoot), auxiliary, uplink}},
		"RSA":                     {"cipher type 1", "cipher type 1", ErrForm, []func(*Object){cipher(1)}},
		"TEE":                     {"cipher type 5", "cipher type 5", ErrForm, []func(*Object){cipher(5)}},
		"no auxiliary keys":       {FormScalable, "scalable license, cipher type 4", ErrForm, []func(*Object){cipher(CipherScalableRoot)}},
		"empty auxiliary keys":    {FormScalable, "no auxiliary key", ErrForm, []func(*Object){cipher(4), with(Leaf(TypeAuxiliaryKeys, 1, u16(0)))}},
		"ECC and auxiliary keys":  {FormScalable, "scalable license, cipher type 3", ErrForm, []func(*Object){auxiliary}},
		"root of 136 bytes":       {FormScalable, "of 136 bytes, want 128 or 144", ErrForm, []func(*Object){auxiliary, key(4, make([]byte, 136))}},
		"leaf of 128 bytes":       {FormScalable, "of 128 bytes, want 176", ErrForm, []func(*Object){auxiliary, cipher(CipherScalableLeaf)}},
		"another root":            {FormScalable, "CMAC does not verify", ErrForm, []func(*Object){auxiliary, cipher(CipherScalableRoot)}},
		"simple of 127 bytes":     {FormSimple, "127 bytes, want 128", ErrDecrypt, []func(*Object){key(3, encrypted[:127])}},
		"no key":                  {FormSimple, "0 bytes, want 128", ErrDecrypt, []func(*Object){key(3, nil)}},
		"off the curve":           {FormSimple, "second half", ErrDecrypt, []func(*Object){key(3, offCurve)}},
		"scalable, off the curve": {FormScalable, "second half", ErrDecrypt, []func(*Object){auxiliary, key(4, offCurve)}},
	} {
		tree := Grant{KeyType: KeyAESCTR, Device: device(t).Public()}.Tree(encrypted)
		for _, edit := range c.edit {
			edit(tree)
		}
		b, err := Seal([16]byte{}, tree, integrity)
		if err != nil {
			t.Fatal(err)
		}
		l := parsed(t, b)
		ci, ck, err := l.Unwrap(device(t))
		if !errors.Is(err, c.is) || errors.Is(err, ErrForm) == errors.Is(err, ErrDecrypt) || !strings.Contains(err.Error(), c.want) || l.Form() != c.form {
			t.Errorf("%s: form %s, %v; want %q", name, l.Form(), err, c.want)
		}
		if !ci.IsZero() || !ck.IsZero() {
			t.Errorf("%s: keys beside an error", name)
		}
	}
	tree := Grant{KeyType: KeyAESCTR, Device: device(t).Public()}.Tree(encrypted)
	old(tree)
	uplink(tree)
	if u := parsed(t, sealed(t, tree)).Uplink; !u.Old || u.Root[0] != 1 || u.ChecksumType != 1 || !bytes.Equal(u.Checksum, []byte{3, 4}) {
		t.Errorf("%+v", u)
	}
}

// TestUnwrapDoesNotVerify: the keys of a simple license come out for a wrong device too, and the CMAC tells.
func TestUnwrapDoesNotVerify(t *testing.T) {
	t.Parallel()
	stranger, err := ecc.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	l := parsed(t, vector(t))
	integrity, content, err := l.Unwrap(stranger)
	if err != nil || l.Verify(integrity) || content.Equal(secret.New(unhex(t, contentKey))) {
		t.Errorf("%v", err)
	}
	if _, _, err := l.Unwrap(ecc.PrivateKey{}); !errors.Is(err, ErrDecrypt) {
		t.Errorf("no device key: %v", err)
	}
	if (&License{}).Verify(integrity) {
		t.Error("nothing verifies")
	}
	if _, _, err := SplitKey(secret.New(make([]byte, 31))); err == nil {
		t.Error("31 bytes are split")
	}
	if _, _, err := EncryptKey(device(t).Public(), secret.New(make([]byte, 15))); err == nil || errors.Is(err, ecc.ErrNoPoint) {
		t.Errorf("a content key of 15 bytes: %v", err)
	}
	if _, err := Seal([16]byte{}, l.Outer, secret.New(make([]byte, 15))); err == nil {
		t.Error("sealed with an integrity key of 15 bytes")
	}
}
