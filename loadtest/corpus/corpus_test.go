package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
)

var (
	testKID    = drm.KID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	testMinted = time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
)

func testHeader() Header {
	return Header{
		Tool: "v1.2.3", Created: testMinted, Authority: "00112233445566ff",
		Groups: []Group{
			{"plain-widevine", drm.Widevine, 3, testAsks(), []drm.Fingerprint{"aaaaaaaaaaaaaaaa"}},
			{"plain-playready", drm.PlayReady, 1, testAsks(), []drm.Fingerprint{"ffffffffffffffff", "bbbbbbbbbbbbbbbb"}},
		},
	}
}

func testAsks() []Ask {
	return []Ask{
		{Asset: "one", KIDs: []drm.KID{testKID}, Box: testBox(), ContentID: []byte("id"), Labels: map[drm.KID]string{testKID: "HD"}},
		{Asset: "two", KIDs: []drm.KID{testKID, {9}}},
	}
}

func testBox() []byte {
	raw, err := pssh.Build(drm.Box{SystemID: pssh.WidevineSystemID, Data: pssh.Synthesize([]drm.KID{testKID})})
	if err != nil {
		panic(err)
	}
	return raw
}

// testEntry returns entry i: three of the first group to one of the second.
func testEntry(i int64) Entry {
	e := Entry{Ask: int(i % 2), Message: drm.Message{
		Kind: drm.KindLicense, Body: fmt.Appendf(nil, "body %d %s", i, strings.Repeat("x", int(i%50))), KIDs: []drm.KID{testKID},
		Ticket: drm.Ticket{System: drm.Widevine, Kind: drm.KindLicense, Device: "aaaaaaaaaaaaaaaa", Minted: testMinted.Add(time.Duration(i) * time.Second), KIDs: []drm.KID{testKID}},
	}}
	if i%4 == 3 {
		e.Group = 1
		m := &e.Message
		m.URL, m.Header = "https://license.example/", map[string][]string{"Content-Type": {"text/xml"}, "A": {"1", "2"}}
		m.KIDs = append(m.KIDs, drm.KID{9})
		m.Ticket.System, m.Ticket.Device, m.Ticket.KIDs, m.Ticket.LeaseExpires = drm.PlayReady, "bbbbbbbbbbbbbbbb", m.KIDs, testMinted.Add(time.Hour)
	}
	return e
}

// write writes a corpus of n entries and returns its path.
func write(t testing.TB, n int64) (path string, info Info) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "c.kfc")
	w, err := Create(path, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := w.Add(testEntry(i)); err != nil {
			t.Fatal(err)
		}
	}
	if info, err = w.Commit(path, false); err != nil {
		t.Fatal(err)
	}
	return path, info
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		list = append(list, f.Name())
	}
	return list
}

// What was written is drawn, in the order of each group, mapped and copied.
func TestRoundTrip(t *testing.T) {
	path, info := write(t, 40)
	if files := names(t, filepath.Dir(path)); !reflect.DeepEqual(files, []string{"c.kfc"}) {
		t.Errorf("files beside the corpus: %q", files)
	}
	for name, how := range map[string]func(*os.File, int64) (data, error){"mapped": mapped, "copied": copied} {
		t.Run(name, func(t *testing.T) {
			r, err := open(context.Background(), path, how)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			want := testHeader()
			if !reflect.DeepEqual(*r.Header(), want) {
				t.Errorf("header\n%+v, want\n%+v", *r.Header(), want)
			}
			got := r.Info()
			if got.Digest != info.Digest || got.Entries != 40 || !reflect.DeepEqual(got.ByGroup, []int64{30, 10}) || got.Bytes != info.Bytes ||
				!got.Oldest.Equal(testMinted) || !got.Newest.Equal(testMinted.Add(39*time.Second)) {
				t.Errorf("info %+v, written %+v", got, info)
			}
			for i := range int64(40) {
				want := testEntry(i)
				e, err := r.Draw(want.Group)
				if err != nil {
					t.Fatal(err)
				}
				if !e.Message.Ticket.Minted.Equal(want.Message.Ticket.Minted) || !e.Message.Ticket.LeaseExpires.Equal(want.Message.Ticket.LeaseExpires) {
					t.Errorf("entry %d: times %v, want %v", i, e.Message.Ticket, want.Message.Ticket)
				}
				e.Message.Ticket.Minted, e.Message.Ticket.LeaseExpires = want.Message.Ticket.Minted, want.Message.Ticket.LeaseExpires
				if !reflect.DeepEqual(e, want) {
					t.Errorf("entry %d\n%+v, want\n%+v", i, e, want)
				}
			}
			if _, err := r.Draw(0, 1); !errors.Is(err, ErrSpent) {
				t.Errorf("after the last entry: %v", err)
			}
		})
	}
}

// Each entry is drawn once, whoever draws, from whichever groups.
func TestDrawOnce(t *testing.T) {
	const n = 4000
	path, _ := write(t, n)
	r, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for _, groups := range [][]int{{0}, {1}, {0, 1}, {1, 0}, {0, 1}} {
		wg.Go(func() {
			for {
				e, err := r.Draw(groups...)
				if err != nil {
					if !errors.Is(err, ErrSpent) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				seen[string(e.Message.Body)]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != n || r.Left(0, 1) != 0 {
		t.Errorf("%d of %d entries were drawn, %d are left", len(seen), n, r.Left(0, 1))
	}
	for body, times := range seen {
		if times != 1 {
			t.Errorf("%.20q was drawn %d times", body, times)
		}
	}
}

func TestAskKeepsTheNeed(t *testing.T) {
	boxes, _, err := pssh.Parse(testBox(), pssh.Strict)
	if err != nil {
		t.Fatal(err)
	}
	need := provider.Need{Asset: "one", KIDs: []drm.KID{testKID}, ContentID: []byte("id"), Labels: map[drm.KID]string{testKID: "HD"}, Box: boxes[0]}
	got, err := AskOf(need).Need()
	if err != nil || !reflect.DeepEqual(got, need) {
		t.Errorf("need %+v, %v, want %+v", got, err, need)
	}
	if _, err := (Ask{Asset: "spoilt", Box: []byte("box")}).Need(); err == nil || !strings.Contains(err.Error(), "spoilt") {
		t.Errorf("a spoilt box: %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	create := func(t *testing.T) (*Writer, string) {
		path := filepath.Join(t.TempDir(), "c.kfc")
		w, err := Create(path, testHeader())
		if err != nil {
			t.Fatal(err)
		}
		return w, path
	}
	t.Run("nothing", func(t *testing.T) {
		w, path := create(t)
		if _, err := w.Commit(path, false); err == nil {
			t.Error("a corpus without entries was written")
		}
		if err := w.Abort(); err != nil || len(names(t, filepath.Dir(path))) > 0 {
			t.Errorf("abort left %q, %v", names(t, filepath.Dir(path)), err)
		}
	})
	t.Run("file is there", func(t *testing.T) {
		w, path := create(t)
		if err := errors.Join(w.Add(testEntry(0)), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(path, false); !errors.Is(err, ErrExists) {
			t.Errorf("commit over a file: %v", err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		if text, _ := os.ReadFile(path); string(text) != "mine" || len(names(t, filepath.Dir(path))) != 1 {
			t.Errorf("the file holds %q, beside it %q", text, names(t, filepath.Dir(path)))
		}
	})
	t.Run("replace", func(t *testing.T) {
		w, path := create(t)
		if err := errors.Join(w.Add(testEntry(0)), os.WriteFile(path, []byte("mine"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(path, true); err != nil {
			t.Error(err)
		}
	})
	t.Run("entries", func(t *testing.T) {
		w, _ := create(t)
		defer w.Abort()
		stranger, kind, group, long := testEntry(0), testEntry(0), testEntry(0), testEntry(0)
		system := testEntry(3)
		system.Group = 0
		stranger.Message.Ticket.Device = "cccccccccccccccc"
		kind.Message.Kind = "other"
		group.Group = 2
		long.Message.Body = make([]byte, MaxEntry)
		for _, e := range []Entry{stranger, kind, group, long, system} {
			if err := w.Add(e); err == nil {
				t.Errorf("%+.60v was accepted", e)
			}
		}
	})
	t.Run("headers", func(t *testing.T) {
		for _, h := range []Header{{}, {Groups: make([]Group, MaxGroups+1)}, {Groups: make([]Group, 1)}} {
			if _, err := Create(filepath.Join(t.TempDir(), "c"), h); err == nil {
				t.Errorf("a header of %d groups was accepted", len(h.Groups))
			}
		}
		if _, err := Create(filepath.Join(t.TempDir(), "no", "c"), testHeader()); err == nil {
			t.Error("a directory that is not there was accepted")
		}
	})
}

// Entries that are made out of order, with some of them late, are written in order.
func TestFillKeepsOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.kfc")
	w, err := Create(path, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	err = w.Fill(context.Background(), n, 8, func(_ context.Context, i int64) (Entry, error) {
		if i%97 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
		return testEntry(i), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(path, false); err != nil {
		t.Fatal(err)
	}
	other, _ := write(t, n)
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(other)
	if !bytes.Equal(a, b) {
		t.Error("minted side by side the corpus is another than minted one by one")
	}
}

func TestFillEnds(t *testing.T) {
	failed := errors.New("no more")
	for name, c := range map[string]struct {
		want error
		at   int64
		stop func(cancel func()) error
	}{
		"with an error":    {failed, 100, func(func()) error { return failed }},
		"with its context": {context.Canceled, 100, func(cancel func()) error { cancel(); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			w, err := Create(filepath.Join(t.TempDir(), "c.kfc"), testHeader())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			err = w.Fill(ctx, 1<<40, 4, func(_ context.Context, i int64) (Entry, error) {
				if i == c.at {
					return testEntry(i), c.stop(cancel)
				}
				return testEntry(i), nil
			})
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if c.want == failed && w.Entries() > c.at {
				t.Errorf("%d entries were written, entry %d failed", w.Entries(), c.at)
			}
			for range 100 {
				if runtime.NumGoroutine() <= before {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		})
	}
}
