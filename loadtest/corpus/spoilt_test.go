package corpus

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// spoil returns the reason why a changed file is refused, "" if it is not.
func spoil(t *testing.T, content []byte) (Reason, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoilt.kfc")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), path)
	if err == nil {
		r.Close()
		return "", ""
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Hint == "" {
		t.Errorf("%v has no hint", err)
	}
	return e.Reason, e.Problem
}

func TestSpoilt(t *testing.T) {
	path, _ := write(t, 20)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, b byte) []byte {
		c := append([]byte(nil), whole...)
		c[at] ^= b
		return c
	}
	headerLen := preambleLen + int(binary.LittleEndian.Uint32(whole[12:])) + 4
	index := len(whole) - tailLen - 2*offsetLen - 20*offsetLen
	for name, c := range map[string]struct {
		content []byte
		reason  Reason
		text    string
	}{
		"empty":            {nil, ReasonEmpty, "empty"},
		"another file":     {[]byte(strings.Repeat("<html>", 100)), ReasonForeign, "no corpus"},
		"a few bytes":      {whole[:10], ReasonForeign, "no corpus"},
		"version":          {changed(8, 3), ReasonVersion, "version 2 of the corpus format, this keyflow reads version 1"},
		"header length":    {changed(15, 0x80), ReasonAltered, "header"},
		"reserved":         {changed(10, 1), ReasonAltered, "header"},
		"header":           {changed(preambleLen+5, 1), ReasonAltered, "header is altered"},
		"cut in header":    {whole[:headerLen-1], ReasonCut, "after 0 whole entries"},
		"cut after header": {whole[:headerLen], ReasonCut, "after 0 whole entries"},
		"cut":              {whole[:index-200], ReasonCut, "whole entries"},
		"cut in index":     {whole[:index+9], ReasonCut, "after 20 whole entries"},
		"cut at the end":   {whole[:len(whole)-1], ReasonCut, "after 20 whole entries"},
		"longer":           {append(changed(0, 0), 0), ReasonCut, "after 20 whole entries"},
		"first entry":      {changed(headerLen+40, 1), ReasonAltered, "entry 1, at byte"},
		"entry length":     {changed(headerLen+1, 1), ReasonAltered, "entry 1, at byte"},
		"length is zero":   {changed(headerLen, whole[headerLen]), ReasonAltered, "entry 1, at byte"},
		"last entry":       {changed(index-10, 1), ReasonAltered, "entry 20, at byte"},
		"end of entries":   {changed(index-4, 1), ReasonAltered, "index or trailer"},
		"index":            {changed(index, 1), ReasonAltered, "index or trailer"},
		"a group's count":  {changed(len(whole)-tailLen-offsetLen, 1), ReasonAltered, "trailer"},
		"a huge count":     {changed(len(whole)-tailLen-1, 0x80), ReasonAltered, "trailer"},
		"count":            {changed(len(whole)-tailLen+8, 1), ReasonAltered, "trailer"},
		"oldest":           {changed(len(whole)-tailLen+16, 1), ReasonAltered, "index or trailer"},
		"digest":           {changed(len(whole)-20, 1), ReasonAltered, "index or trailer"},
		"middle missing":   {append(append([]byte(nil), whole[:headerLen+50]...), whole[headerLen+60:]...), ReasonAltered, "middle"},
		"cut and altered":  {changed(headerLen+40, 1)[:index-200], ReasonAltered, "no trailer, and entry 1"},
	} {
		t.Run(name, func(t *testing.T) {
			reason, text := spoil(t, c.content)
			if reason != c.reason || !strings.Contains(text, c.text) {
				t.Errorf("reason %q, %q; want %q, %q", reason, text, c.reason, c.text)
			}
		})
	}
}

// Whichever bit is changed, the file is refused.
func TestEveryByteCounts(t *testing.T) {
	path, _ := write(t, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := filepath.Join(t.TempDir(), "spoilt.kfc")
	for i := range whole {
		c := append([]byte(nil), whole...)
		c[i] ^= 1 << (i % 8)
		if err := os.WriteFile(spoilt, c, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Open(context.Background(), spoilt); err == nil {
			r.Close()
			t.Errorf("a change of byte %d of %d was not seen", i, len(whole))
		}
	}
}

// A file that is changed while it is open gives an error, not another request.
func TestChangedWhileOpen(t *testing.T) {
	for name, change := range map[string]func(r *Reader) int64{
		"entry": func(r *Reader) int64 { return r.first + 50 },
		"size":  func(r *Reader) int64 { return r.first + 3 },
		"index": func(r *Reader) int64 { return r.end + 4 },
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := write(t, 3)
			r, err := Open(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{0xff}, change(r)); err != nil {
				t.Fatal(err)
			}
			var e *Error
			if _, err := r.Draw(0); !errors.As(err, &e) || e.Reason != ReasonAltered {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestOpenEnds(t *testing.T) {
	path, _ := write(t, 3)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := Open(context.Background(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := Open(context.Background(), t.TempDir()); err == nil {
		t.Error("a directory was opened")
	}
}
