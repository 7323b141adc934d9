package widevine

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"sync"
	"testing"

	"keyflow/drm"
)

func requestIDOf(t *testing.T, p *Platform) []byte {
	t.Helper()
	_, r := parseRequest(t, request(t, openSession(t, p)).Body)
	return r.GetContentId().GetWidevinePsshData().GetRequestId()
}

// TestRequestIDStyles: both forms of sheet §6.2; a style that is not known is the desktop's.
func TestRequestIDStyles(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	for _, desktop := range []*Platform{p, p.WithRequestIDStyle(RequestIDDesktop), p.WithRequestIDStyle(RequestIDAndroid).WithRequestIDStyle(RequestIDDesktop)} {
		if id := requestIDOf(t, desktop); len(id) != 16 {
			t.Errorf("desktop: %q", id)
		}
	}
	shape := regexp.MustCompile(`^[0-9A-F]{8}00000000[0-9A-F]{16}$`)
	android := p.WithRequestIDStyle(RequestIDAndroid)
	var first [2]string
	for i := range 2 {
		id := requestIDOf(t, android.WithForge(Forge{})) // a derived platform goes on counting
		block, err := hex.DecodeString(string(id))
		if err != nil || !shape.Match(id) {
			t.Fatalf("Android: %q, %v", id, err)
		}
		if n := binary.LittleEndian.Uint64(block[8:]); n != uint64(i)+1 {
			t.Errorf("request %d has number %d", i+1, n)
		}
		first[i] = string(block[:4])
	}
	if first[0] == first[1] {
		t.Errorf("the random bytes repeat: %x", first[0])
	}
}

// TestAndroidRequestIDsUnderLoad: no number is given twice when sessions run at once.
func TestAndroidRequestIDsUnderLoad(t *testing.T) {
	t.Parallel()
	p := testPlatform(t).WithRequestIDStyle(RequestIDAndroid)
	const workers, each = 8, 8
	var mu sync.Mutex
	numbers := map[uint64]bool{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			s, err := p.Open(context.Background(), testBox(), drm.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				m, err := s.Request(context.Background(), drm.KindLicense)
				if err != nil {
					t.Error(err)
					return
				}
				_, r := parseRequest(t, m.Body)
				var block [16]byte
				if _, err := hex.Decode(block[:], r.GetContentId().GetWidevinePsshData().GetRequestId()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				numbers[binary.LittleEndian.Uint64(block[8:])] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(numbers) != workers*each || numbers[0] || !numbers[workers*each] {
		t.Errorf("%d different numbers for %d requests", len(numbers), workers*each)
	}
}
