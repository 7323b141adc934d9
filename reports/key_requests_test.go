package reports

import (
	"strings"
	"testing"
	"time"
)

// TestKeyRequestsAddUp: generators that share a corpus have one, others have several.
func TestKeyRequestsAddUp(t *testing.T) {
	t.Parallel()
	of := func(digest string, entries int64, age time.Duration) KeyRequests {
		return KeyRequests{Source: Corpus, Corpus: &CorpusFile{Digest: digest, Entries: entries, Oldest: testStart.Add(-age), AgeMS: age.Milliseconds()}}
	}
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	sum := KeyRequests{Source: Corpus}
	for _, k := range []KeyRequests{of(a, 10, time.Minute), of(a, 10, time.Minute), of(b, 5, time.Hour), of(a, 10, time.Minute)} {
		sum.Add(k)
	}
	if c := sum.Corpus; c.Digest != a+"+"+b || c.Entries != 15 || !c.Oldest.Equal(testStart.Add(-time.Hour)) || c.AgeMS != time.Hour.Milliseconds() {
		t.Errorf("corpora add up to %+v", c)
	}
	const want = "a corpus of 15 entries (sha256 aaaaaaaaaaaa, bbbbbbbbbbbb), each sent once, the oldest minted 1h0m0s before: "
	if got := sum.String(); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	replay := KeyRequests{Source: Replay}
	replay.Add(KeyRequests{Source: Replay, Replay: &Replayed{Requests: 3, Known: 1}})
	replay.Add(KeyRequests{Source: Replay, Replay: &Replayed{Requests: 2, Known: 2}})
	if r := replay.Replay; r.Requests != 3 || r.Known != 2 {
		t.Errorf("replays add up to %+v", r)
	}
	fresh := KeyRequests{Source: Fresh}
	fresh.Add(KeyRequests{Source: Fresh})
	if fresh.String() != "fresh" || fresh.notFresh() || !sum.notFresh() || !replay.notFresh() {
		t.Errorf("%v, %v, %v", fresh, sum, replay)
	}
}
