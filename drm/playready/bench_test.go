package playready

import (
	"fmt"
	"testing"

	"keyflow/drm"
)

func BenchmarkOpen(b *testing.B) {
	p, box := testPlatform(b), testBox(b, kidA)
	for b.Loop() {
		openBox(b, p, box, drm.Options{})
	}
}

func BenchmarkRequest(b *testing.B) {
	s := openSession(b, testPlatform(b))
	for b.Loop() {
		clear(s.pending)
		request(b, s)
	}
}

// exchanges are a session for one license, one for three, and one whose response is signed.
func exchanges(b *testing.B, run func(b *testing.B, s *session, m drm.Message, body []byte)) {
	b.Helper()
	for name, c := range map[string]struct {
		kids   []drm.KID
		change func(*response)
	}{"one": {all[:1], nil}, "three": {all, nil}, "persistent": {all[:1], persist}} {
		s := openBox(b, testPlatform(b), testBox(b, c.kids...), drm.Options{})
		m := request(b, s)
		body := answerTo(b, m.Body, c.change)
		b.Run(name, func(b *testing.B) { run(b, s, m, body) })
	}
}

func BenchmarkProcess(b *testing.B) {
	exchanges(b, func(b *testing.B, s *session, m drm.Message, body []byte) {
		sent := s.pending[m.ID]
		for b.Loop() {
			s.pending[m.ID], s.licenses = sent, nil
			if o, err := s.Process(b.Context(), m.ID, body); err != nil || len(o.Findings) > 0 || len(s.licenses) == 0 {
				b.Fatalf("%v, %d licenses", err, len(s.licenses))
			}
		}
		s.pending[m.ID] = sent
	})
}

func BenchmarkJudge(b *testing.B) {
	exchanges(b, func(b *testing.B, s *session, m drm.Message, body []byte) {
		for _, depth := range []drm.Depth{drm.DepthShape, drm.DepthFull} {
			b.Run(fmt.Sprintf("depth=%s", [...]string{"shape", "full"}[depth]), func(b *testing.B) {
				for b.Loop() {
					if v := s.platform.Judge(m.Ticket, m.Body, body, depth); len(v.Findings) > 0 {
						b.Fatal(v.Findings)
					}
				}
			})
		}
	})
}
