package secret

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
)

// A run with tokens knows thousands of secrets and redacts thousands of short texts; its reports are megabytes.
func benchVault(b *testing.B, secrets int) *Vault {
	b.Helper()
	v := NewVault()
	for range secrets {
		s := make([]byte, 64)
		_, _ = rand.Read(s)
		v.Add("token", New(s))
	}
	return v
}

func BenchmarkVaultRedact(b *testing.B) {
	text := strings.Repeat("POST /playready/RightsManager.asmx HTTP/1.1 <Challenge>4c2b9f10</Challenge> ", 13)
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			v := benchVault(b, n)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				v.Redact(text)
			}
		})
	}
}

func BenchmarkVaultNames(b *testing.B) {
	text := []byte(strings.Repeat("POST /playready/RightsManager.asmx HTTP/1.1 <Challenge>4c2b9f10</Challenge> ", 13000))
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			v := benchVault(b, n)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				v.Names(text)
			}
		})
	}
}

func BenchmarkVaultAdd(b *testing.B) {
	s := make([]byte, 64)
	v := NewVault()
	for b.Loop() {
		_, _ = rand.Read(s)
		v.Add("token", New(s))
	}
}
