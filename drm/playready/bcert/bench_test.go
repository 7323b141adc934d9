package bcert_test

import (
	"testing"

	"keyflow/drm/playready/bcert"
)

func BenchmarkParse(b *testing.B) {
	raw := decode(b, deviceChain)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bcert.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyDevice(b *testing.B) {
	chain, root := parse(b, decode(b, deviceChain)), publicKey(b, deviceRoot)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := chain.VerifyDevice(root, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyDeviceMemo is a server that has seen the device before.
func BenchmarkVerifyDeviceMemo(b *testing.B) {
	chain := parse(b, decode(b, deviceChain))
	v := bcert.Verifier{Root: publicKey(b, deviceRoot), Now: now, Memo: &bcert.Memo{}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.VerifyDevice(chain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIssue(b *testing.B) {
	a := newAuthority(b)
	b.ReportAllocs()
	for b.Loop() {
		a.device()
	}
}
