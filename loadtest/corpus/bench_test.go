package corpus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDraw draws requests of 2 KB, as Widevine's are, by as many goroutines as there are processors.
func BenchmarkDraw(b *testing.B) {
	const n = 20_000
	path := filepath.Join(b.TempDir(), "c.kfc")
	w, err := Create(path, testHeader())
	if err != nil {
		b.Fatal(err)
	}
	for i := range int64(n) {
		e := testEntry(i)
		e.Message.Body = fmt.Appendf(nil, "%02048d", i)
		if err := w.Add(e); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Commit(path, false); err != nil {
		b.Fatal(err)
	}
	for name, how := range map[string]func(*os.File, int64) (data, error){"mapped": mapped, "copied": copied} {
		b.Run(name, func(b *testing.B) {
			r, err := open(context.Background(), path, how)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			b.ReportAllocs()
			b.SetBytes(2048)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := r.Draw(0, 1); err != nil {
						for g := range r.next {
							r.next[g].Store(0)
						}
					}
				}
			})
		})
	}
}

// BenchmarkAdd writes requests of 2 KB.
func BenchmarkAdd(b *testing.B) {
	path := filepath.Join(b.TempDir(), "c.kfc")
	w, err := Create(path, testHeader())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	e := testEntry(0)
	e.Message.Body = make([]byte, 2048)
	b.ReportAllocs()
	b.SetBytes(2048)
	for b.Loop() {
		if err := w.Add(e); err != nil {
			b.Fatal(err)
		}
	}
}
