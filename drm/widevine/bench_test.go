package widevine

import (
	"testing"

	"keyflow/drm"
)

func BenchmarkRequest(b *testing.B) {
	p := testPlatform(b)
	for b.Loop() {
		request(b, openSession(b, p))
	}
}

func BenchmarkProcess(b *testing.B) {
	s := openSession(b, testPlatform(b))
	m := request(b, s)
	body, sent := answerTo(b, m.Body, nil), s.pending[m.ID]
	for b.Loop() {
		s.pending[m.ID], s.licenses = sent, nil
		if _, err := s.Process(b.Context(), m.ID, body); err != nil || len(s.licenses) != 1 {
			b.Fatalf("%v, %d licenses", err, len(s.licenses))
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	p := testPlatform(b)
	m := request(b, openSession(b, p))
	body := answerTo(b, m.Body, nil)
	for name, depth := range map[string]drm.Depth{"full": drm.DepthFull, "shape": drm.DepthShape} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if v := p.Judge(m.Ticket, m.Body, body, depth); len(v.Findings) > 0 {
					b.Fatal(v.Findings)
				}
			}
		})
	}
}
