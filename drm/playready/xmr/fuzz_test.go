package xmr

import (
	"bytes"
	"errors"
	"testing"

	"keyflow/drm/secret"
)

// FuzzParse: the tree is the license, byte for byte, and whatever is read either unwraps or says why not.
func FuzzParse(f *testing.F) {
	good, key := vector(f), device(f)
	full, _ := fullLicense(f)
	f.Add(good)
	f.Add(good[:100])
	f.Add(append(bytes.Clone(good[:32]), good[24:]...))
	f.Add(full)
	f.Add(issueScalable(f, CipherScalableRoot, 16).license)
	f.Add(issueScalable(f, CipherScalableLeaf, 0).license)
	f.Add(sealed(f, Container(TypeOuter, 1, Container(TypeKeyMaterial, 1,
		Leaf(TypeContentKey, 1, append(make([]byte, 16), u16(1, 2, 0)...)), Leaf(TypeUplinkKID2, 1, append(make([]byte, 16), u16(1, 1, 5)...)[:21]),
		Leaf(TypeUplinkX, 1, append(append(make([]byte, 16), u16(0, 1)...), u32(4)...))))))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Outer.Append(bytes.Clone(b[:preludeLen])), b) || !bytes.Equal(l.Raw, b) {
			t.Error("the tree is not the license")
		}
		l.Verify(secret.New(make([]byte, 16)))
		integrity, content, err := l.Unwrap(key)
		switch {
		case err == nil && (integrity.Len() != 16 || content.Len() != 16):
			t.Errorf("keys of %d and %d bytes", integrity.Len(), content.Len())
		case err == nil && l.Form() != FormSimple && !l.Verify(integrity):
			t.Errorf("%s: keys that the CMAC does not prove", l.Form())
		case err != nil && !errors.Is(err, ErrForm) && !errors.Is(err, ErrDecrypt):
			t.Error(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	full, _ := fullLicense(b)
	for name, license := range map[string][]byte{"simple": vector(b), "full": full} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(license); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnwrap(b *testing.B) {
	key := device(b)
	for name, license := range map[string][]byte{"simple": vector(b), "scalable": issueScalable(b, CipherScalableLeaf, 0).license} {
		l := parsed(b, license)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := l.Unwrap(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	l, integrity := parsed(b, vector(b)), secret.New(unhex(b, integrityKey))
	b.ReportAllocs()
	for b.Loop() {
		if !l.Verify(integrity) {
			b.Fatal("does not verify")
		}
	}
}
